//! A role link: where the server is, which link it is, and what its fragment carries (`docs/signalling.md`).

use std::{net::SocketAddr, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use farhand_ledger::Hash;
use thiserror::Error;

/// `http://ADDR:PORT/PAGE/LINK#SEED.TRUST`, parsed.
#[derive(Clone, Debug)]
pub struct RoleLink {
    /// The server, plain HTTP: so only ever loopback.
    pub server: SocketAddr,
    /// `operate`, `bedside`, `field` or `audit`.
    pub page: String,
    /// The link's name, 16 bytes.
    pub link: [u8; 16],
    /// The link's key, from its seed: on the roster as the person's.
    pub key: SigningKey,
    /// SHA-256 of the trust root.
    pub trust: Hash,
}

/// Why a text is no role link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadRoleLink {
    #[error("a role link begins with http:// and the server's address and port, not \"{seen}\"")]
    Server { seen: String },
    #[error("a role link's {what} is missing")]
    Missing { what: &'static str },
    #[error("a role link's page is operate, bedside, field or audit, not \"{seen}\"")]
    Page { seen: String },
    #[error("a role link's {what} has {bytes} bytes, expected {expected}")]
    Length { what: &'static str, bytes: usize, expected: usize },
    #[error("a role link's {what} is not {encoding}")]
    Encoding { what: &'static str, encoding: &'static str },
}

impl FromStr for RoleLink {
    type Err = BadRoleLink;

    fn from_str(text: &str) -> Result<Self, BadRoleLink> {
        let (address, fragment) = part(text.trim(), '#', "fragment")?;
        let rest = address.strip_prefix("http://").ok_or(BadRoleLink::Server { seen: address.to_owned() })?;
        let (host, path) = part(rest, '/', "page")?;
        let server = host.parse().map_err(|_| BadRoleLink::Server { seen: host.to_owned() })?;
        let (page, link) = part(path, '/', "name")?;
        if !["operate", "bedside", "field", "audit"].contains(&page) {
            return Err(BadRoleLink::Page { seen: page.to_owned() });
        }
        let (seed, trust) = part(fragment, '.', "trust root's fingerprint")?;
        let link = hex::decode(link).map_err(|_| BadRoleLink::Encoding { what: "name", encoding: "hex" })?;
        Ok(Self {
            server,
            page: page.to_owned(),
            link: sized("name", &link)?,
            key: SigningKey::from_bytes(&base64("seed", seed)?),
            trust: Hash(base64("trust root's fingerprint", trust)?),
        })
    }
}

fn part<'a>(text: &'a str, at: char, what: &'static str) -> Result<(&'a str, &'a str), BadRoleLink> {
    text.split_once(at).filter(|(_, rest)| !rest.is_empty()).ok_or(BadRoleLink::Missing { what })
}

fn base64(what: &'static str, text: &str) -> Result<[u8; 32], BadRoleLink> {
    let wrong = |_| BadRoleLink::Encoding { what, encoding: "base64url without padding" };
    sized(what, &URL_SAFE_NO_PAD.decode(text).map_err(wrong)?)
}

fn sized<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], BadRoleLink> {
    bytes.try_into().map_err(|_| BadRoleLink::Length { what, bytes: bytes.len(), expected: N })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "0123456789abcdef0123456789abcdef";

    fn fragment() -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]))
    }

    /// Goal: a link as it is printed gives server, name, key and fingerprint.
    #[test]
    fn a_printed_link_is_parsed() {
        let link: RoleLink = format!("http://127.0.0.1:7000/operate/{LINK}#{}", fragment()).parse().unwrap();
        assert_eq!((link.server.port(), link.page.as_str()), (7000, "operate"));
        assert_eq!((hex::encode(link.link), link.trust), (LINK.to_owned(), Hash([2; 32])));
        assert_eq!(link.key.to_bytes(), [1; 32]);
    }

    /// Goal: a link that lost a part says which.
    #[test]
    fn a_damaged_link_says_what_is_wrong() {
        let fragment = fragment();
        for (text, says) in [
            (format!("http://127.0.0.1:7000/operate/{LINK}"), "fragment is missing"),
            (format!("https://127.0.0.1:7000/operate/{LINK}#{fragment}"), "begins with http://"),
            (format!("http://nowhere/operate/{LINK}#{fragment}"), "not \"nowhere\""),
            (format!("http://127.0.0.1:7000/cook/{LINK}#{fragment}"), "not \"cook\""),
            (format!("http://127.0.0.1:7000/operate/{LINK}#x.y"), "base64url"),
            (format!("http://127.0.0.1:7000/operate/01#{fragment}"), "1 bytes, expected 16"),
        ] {
            assert!(text.parse::<RoleLink>().unwrap_err().to_string().contains(says), "{text}");
        }
    }
}
