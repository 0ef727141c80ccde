//! Role links, and who has claimed them. Pure: time and random bytes are arguments.
//!
//! **Invariant (local):** a link belongs to the first session key that its own key endorsed for this session, and never
//! to another. A link that nobody claimed in time can't be claimed any more. A cookie is known by its SHA-256 only,
//! so that reading this table lets nobody in; there is one per link, the newest.

use std::{collections::BTreeMap, fmt};

use farhand_wire::{BadSignature, PublicKey, Role, Said, SessionId, Statement};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// No server has more links at once.
pub const LINKS_MAX: usize = 256;
/// No pseudonym is longer, in bytes.
pub const PSEUDONYM_BYTES_MAX: usize = 64;
/// A cookie is good for this long after its claim; claiming again gets a new one.
pub const COOKIE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Names a link to the server: the 16 random bytes of its path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub [u8; 16]);

/// What a cookie says: 32 random bytes.
#[derive(Clone, Copy)]
pub struct Token(pub [u8; 32]);

/// What a link gives to whoever holds its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The link's own key; the hospital has put it on the roster.
    pub key: PublicKey,
    pub role: Role,
    /// At most [`PSEUDONYM_BYTES_MAX`] bytes.
    pub pseudonym: String,
    /// The first claim must come before this, ms of Unix time.
    pub expires_ms: u64,
}

/// Why a link could not be issued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssueError {
    #[error("{max} links are issued, and none of them has expired unclaimed")]
    Full { max: usize },
    #[error("link {id} is issued already")]
    Taken { id: LinkId },
    #[error("a role link is for a person, not for {role:?}")]
    NotAPerson { role: Role },
    #[error("a pseudonym of {bytes} bytes; 1 to {max} are allowed")]
    Pseudonym { bytes: usize, max: usize },
}

/// Why a claim failed. The page shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum ClaimError {
    #[error("This link is not known here. Check that it was copied whole, or ask for a new one.")]
    Unknown,
    #[error("This link expired before it was opened ({expired_ms} ms ago). Ask for a new one.")]
    Expired { expired_ms: u64 },
    #[error("This link was already used in another browser. Ask for a new one.")]
    Used,
    #[error("This link's key did not sign the request. Check that the link was copied whole.")]
    Signature,
    #[error("The request is not the signed endorsement of a session key.")]
    Malformed,
}

/// Links by name.
#[derive(Debug)]
pub struct Links {
    session: SessionId,
    issued: BTreeMap<LinkId, Issued>,
}

#[derive(Debug)]
struct Issued {
    grant: Grant,
    claim: Option<Claim>,
}

#[derive(Debug)]
struct Claim {
    session_key: PublicKey,
    cookie_sha256: [u8; 32],
    at_ms: u64,
}

impl Links {
    /// No links yet, for one session.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, issued: BTreeMap::new() }
    }

    /// The session that all these links are for.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Lets `id` be claimed. When the table is full, links that expired unclaimed make room.
    ///
    /// # Errors
    /// [`IssueError`]: no room, the name is taken, or the grant is none.
    pub fn issue(&mut self, id: LinkId, grant: Grant, now_ms: u64) -> Result<(), IssueError> {
        check(&grant)?;
        if self.issued.contains_key(&id) {
            return Err(IssueError::Taken { id });
        }
        if self.issued.len() >= LINKS_MAX {
            self.issued.retain(|_, link| link.claim.is_some() || now_ms < link.grant.expires_ms);
        }
        if self.issued.len() >= LINKS_MAX {
            return Err(IssueError::Full { max: LINKS_MAX });
        }
        self.issued.insert(id, Issued { grant, claim: None });
        Ok(())
    }

    /// Whether the link was issued.
    #[must_use]
    pub fn is_known(&self, id: LinkId) -> bool {
        self.issued.contains_key(&id)
    }

    /// Gives the link to the session key that `statement` endorses; from then on `token` opens it. The key that has it
    /// may claim again at any time and gets the same, under the new token.
    ///
    /// # Errors
    /// [`ClaimError`]; the link is then as it was.
    pub fn claim(
        &mut self,
        id: LinkId,
        statement: &[u8],
        token: &Token,
        now_ms: u64,
    ) -> Result<&Grant, ClaimError> {
        let link = self.issued.get_mut(&id).ok_or(ClaimError::Unknown)?;
        let session_key = endorsed(statement, link.grant.key, self.session)?;
        match &link.claim {
            Some(claim) if claim.session_key != session_key => return Err(ClaimError::Used),
            None if now_ms >= link.grant.expires_ms => {
                return Err(ClaimError::Expired { expired_ms: now_ms - link.grant.expires_ms });
            }
            _ => {}
        }
        link.claim = Some(Claim { session_key, cookie_sha256: token.digest(), at_ms: now_ms });
        Ok(&link.grant)
    }

    /// What the link gives, if `token` is its newest cookie and not older than [`COOKIE_MS_MAX`]; and when it was claimed,
    /// ms of Unix time.
    #[must_use]
    pub fn holder(&self, id: LinkId, token: &Token, now_ms: u64) -> Option<(&Grant, u64)> {
        self.claimed(id, token, now_ms).map(|(grant, _, at_ms)| (grant, at_ms))
    }

    /// The same, with the session key that has the link.
    #[must_use]
    pub fn claimed(&self, id: LinkId, token: &Token, now_ms: u64) -> Option<(&Grant, PublicKey, u64)> {
        let link = self.issued.get(&id)?;
        let claim = link.claim.as_ref()?;
        let good = claim.cookie_sha256 == token.digest(); // of hashes, so that timing tells nothing of the token
        let fresh = now_ms.saturating_sub(claim.at_ms) < COOKIE_MS_MAX;
        (good && fresh).then_some((&link.grant, claim.session_key, claim.at_ms))
    }
}

fn check(grant: &Grant) -> Result<(), IssueError> {
    let bytes = grant.pseudonym.len();
    if role_name(grant.role).is_none() {
        return Err(IssueError::NotAPerson { role: grant.role });
    }
    if bytes == 0 || bytes > PSEUDONYM_BYTES_MAX {
        return Err(IssueError::Pseudonym { bytes, max: PSEUDONYM_BYTES_MAX });
    }
    Ok(())
}

/// The session key that the link's key endorses for this session and no other.
fn endorsed(bytes: &[u8], key: PublicKey, session: SessionId) -> Result<PublicKey, ClaimError> {
    let (author, statement) = Statement::open(bytes).map_err(|bad| match bad {
        BadSignature::Malformed(_) => ClaimError::Malformed,
        BadSignature::Signature { .. } => ClaimError::Signature,
    })?;
    let Said::Endorse { session_key } = statement.said else {
        return Err(ClaimError::Malformed);
    };
    if author == key && statement.session == session { Ok(session_key) } else { Err(ClaimError::Signature) }
}

/// What the role is called in JSON and configuration; `None` for devices and the hospital, which have no link.
#[must_use]
pub fn role_name(role: Role) -> Option<&'static str> {
    match role {
        Role::Surgeon => Some("surgeon"),
        Role::Bedside => Some("bedside"),
        Role::Field => Some("field"),
        Role::Auditor => Some("auditor"),
        Role::Edge | Role::Kit | Role::Hospital => None,
    }
}

impl LinkId {
    /// The link of that name, 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        lower_hex(text).map(Self)
    }
}

impl Token {
    /// The token of that text, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        lower_hex(text).map(Self)
    }

    /// As it stands in the cookie.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex::encode(self.0)
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkId({self})")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    const SESSION: SessionId = SessionId([7; 16]);
    const ID: LinkId = LinkId([1; 16]);
    const TOKEN: Token = Token([2; 32]);
    const EXPIRES_MS: u64 = 1000;

    fn link_key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn grant() -> Grant {
        let key = PublicKey(link_key().verifying_key().to_bytes());
        Grant { key, role: Role::Surgeon, pseudonym: "S1".into(), expires_ms: EXPIRES_MS }
    }

    fn one() -> Links {
        let mut links = Links::new(SESSION);
        links.issue(ID, grant(), 0).unwrap();
        links
    }

    fn endorse(session: SessionId, session_key: u8, by: &SigningKey) -> Vec<u8> {
        let said = Said::Endorse { session_key: PublicKey([session_key; 32]) };
        Statement { session, said }.sign(by)
    }

    /// Goal: the first browser gets the link; it may come again, even after the expiry; no other browser ever may.
    #[test]
    fn a_link_belongs_to_the_first_key_that_claims_it() {
        let mut links = one();
        let (mine, other) = (endorse(SESSION, 8, &link_key()), endorse(SESSION, 9, &link_key()));
        assert_eq!(links.claim(ID, &mine, &TOKEN, 1), Ok(&grant()));
        assert_eq!(links.claim(ID, &other, &Token([5; 32]), 2), Err(ClaimError::Used));
        assert!(links.holder(ID, &TOKEN, 2).is_some(), "a refused claim must not touch the cookie");
        assert_eq!(links.claim(ID, &mine, &Token([4; 32]), 5000), Ok(&grant()));
        assert!(links.holder(ID, &TOKEN, 5000).is_none());
        assert!(links.holder(ID, &Token([4; 32]), 5000).is_some());
    }

    /// Goal: at its expiry, to the millisecond, an unclaimed link can't be claimed any more.
    #[test]
    fn an_unclaimed_link_expires() {
        let mine = endorse(SESSION, 8, &link_key());
        let late = one().claim(ID, &mine, &TOKEN, EXPIRES_MS).unwrap_err();
        assert_eq!(late, ClaimError::Expired { expired_ms: 0 });
        assert!(one().claim(ID, &mine, &TOKEN, EXPIRES_MS - 1).is_ok());
    }

    /// Goal: only this link's key, for this session, with an endorsement, takes the link.
    #[test]
    fn only_an_endorsement_by_the_links_key_counts() {
        let stranger = SigningKey::from_bytes(&[4; 32]);
        let mut links = one();
        let mut refused = |bytes: &[u8]| links.claim(ID, bytes, &TOKEN, 1).unwrap_err();
        assert_eq!(refused(&endorse(SESSION, 8, &stranger)), ClaimError::Signature);
        assert_eq!(refused(&endorse(SessionId([6; 16]), 8, &link_key())), ClaimError::Signature);
        let mut altered = endorse(SESSION, 8, &link_key());
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&altered), ClaimError::Signature);
        assert_eq!(refused(b"claim"), ClaimError::Malformed);
        let disarm = Statement { session: SESSION, said: Said::Disarm {} }.sign(&link_key());
        assert_eq!(refused(&disarm), ClaimError::Malformed);
    }

    /// Goal: a cookie ends by itself.
    #[test]
    fn a_cookie_is_good_for_a_day() {
        let mut links = one();
        links.claim(ID, &endorse(SESSION, 8, &link_key()), &TOKEN, 1).unwrap();
        assert!(links.holder(ID, &TOKEN, COOKIE_MS_MAX).is_some());
        assert!(links.holder(ID, &TOKEN, COOKIE_MS_MAX + 1).is_none());
        assert!(links.holder(ID, &Token([9; 32]), 2).is_none());
    }

    /// Goal: the table is bounded, and links that expired unclaimed make room.
    #[test]
    fn a_full_table_takes_no_more_until_links_expire() {
        let mut links = Links::new(SESSION);
        for number in 0..LINKS_MAX {
            links.issue(LinkId((number as u128).to_le_bytes()), grant(), 0).unwrap();
        }
        let next = LinkId([0xff; 16]);
        assert_eq!(links.issue(next, grant(), 0), Err(IssueError::Full { max: LINKS_MAX }));
        assert_eq!(links.issue(next, grant(), EXPIRES_MS), Ok(()));
    }

    /// Goal: names have one spelling.
    #[test]
    fn a_links_name_is_lower_case_hex() {
        let text = "ab".repeat(16);
        assert_eq!(LinkId::read(&text).unwrap().to_string(), text);
        assert!(LinkId::read(&text.to_uppercase()).is_none());
        assert!(LinkId::read(&text[2..]).is_none());
    }
}
