//! What browser and edge box say to each other through the cloud (`docs/signalling.md`), and the certificate that an SDP
//! names.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// No signal is longer, as the server has it.
pub(crate) const SIGNAL_BYTES_MAX: usize = 64 * 1024;
/// Certificates named in one SDP: one for the session, and one for each of a few media.
const FINGERPRINTS_MAX: usize = 16;

/// One signal. Byte strings are base64url without padding. `path`: which of a console's paths it is about, from 0; without
/// it, the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Signal {
    /// Console to edge with an endorsement, edge to console without.
    Hello {
        #[serde(default, skip_serializing_if = "is_first")]
        path: u8,
        nonce: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endorsement: Option<String>,
        /// Edge to console: how many paths there are. Without it, one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        paths: Option<u8>,
    },
    Offer {
        #[serde(default, skip_serializing_if = "is_first")]
        path: u8,
        sdp: String,
        fingerprint: String,
    },
    Answer {
        #[serde(default, skip_serializing_if = "is_first")]
        path: u8,
        sdp: String,
        fingerprint: String,
    },
    Error {
        #[serde(default, skip_serializing_if = "is_first")]
        path: u8,
        code: String,
        message: String,
    },
    Bye,
    /// By the server.
    EdgeOffline,
    /// By the server.
    EdgeOnline,
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// Why a text is no signal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSignal {
    #[error("a signal of {bytes} bytes, at most {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    #[error("not a signal: {why}")]
    Json { why: String },
    #[error("{field} is not {expected} bytes in base64url without padding")]
    Bytes { field: &'static str, expected: &'static str },
}

impl Signal {
    /// The signal in `text`.
    ///
    /// # Errors
    /// [`BadSignal`]; nothing about the text is believed.
    pub fn read(text: &str) -> Result<Self, BadSignal> {
        if text.len() > SIGNAL_BYTES_MAX {
            return Err(BadSignal::TooLong { bytes: text.len(), max: SIGNAL_BYTES_MAX });
        }
        serde_json::from_str(text).map_err(|error| BadSignal::Json { why: error.to_string() })
    }

    /// As it travels.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // strings always serialize
    }

    /// Which path it is about; the first, where it says nothing of one.
    pub(crate) fn path(&self) -> u8 {
        match self {
            Self::Hello { path, .. }
            | Self::Offer { path, .. }
            | Self::Answer { path, .. }
            | Self::Error { path, .. } => *path,
            Self::Bye | Self::EdgeOffline | Self::EdgeOnline | Self::Unknown => 0,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_first(path: &u8) -> bool {
    *path == 0
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, BadSignal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadSignal::Bytes { field, expected: "some" })
}

pub(crate) fn decode_32(field: &'static str, text: &str) -> Result<[u8; 32], BadSignal> {
    decode(field, text)?.try_into().map_err(|_| BadSignal::Bytes { field, expected: "32" })
}

/// Why an SDP does not say which certificate to expect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSdp {
    #[error("the SDP names no certificate")]
    None,
    #[error("the SDP names {count} certificates, at most {max} are read")]
    TooMany { count: usize, max: usize },
    #[error("the SDP names a certificate by {algorithm}; only sha-256 is taken")]
    Algorithm { algorithm: String },
    #[error("the SDP's fingerprint is not 32 bytes in hex with colons")]
    Form,
    #[error("the SDP names different certificates")]
    Different,
}

/// The one certificate that an SDP names (RFC 8122). Every `a=fingerprint` line must say the same: a second one could be
/// what the other library reads.
pub(crate) fn fingerprint(sdp: &str) -> Result<[u8; 32], BadSdp> {
    let lines: Vec<&str> = sdp.lines().filter_map(fingerprint_value).collect();
    if lines.len() > FINGERPRINTS_MAX {
        return Err(BadSdp::TooMany { count: lines.len(), max: FINGERPRINTS_MAX });
    }
    let mut found = None;
    for line in lines {
        let one = sha256_of(line)?;
        if *found.get_or_insert(one) != one {
            return Err(BadSdp::Different);
        }
    }
    found.ok_or(BadSdp::None)
}

/// Case is ignored, as SDP parsers may: what any of them could take for a fingerprint is looked at.
fn fingerprint_value(line: &str) -> Option<&str> {
    let (name, value) = line.trim().split_once(':')?;
    name.trim().eq_ignore_ascii_case("a=fingerprint").then(|| value.trim())
}

fn sha256_of(value: &str) -> Result<[u8; 32], BadSdp> {
    let (algorithm, digits) = value.split_once(char::is_whitespace).ok_or(BadSdp::Form)?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return Err(BadSdp::Algorithm { algorithm: algorithm.chars().take(32).collect() });
    }
    let digits: String = digits.trim().split(':').collect();
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadSdp::Form)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        format!("a=fingerprint:sha-256 {}\r\n", vec![format!("{byte:02X}"); 32].join(":"))
    }

    /// Goal: signals are read as the page writes them, and written as the page reads them.
    #[test]
    fn signals_are_those_of_the_document() {
        let hello = r#"{"type":"hello","nonce":"AA","endorsement":"BB"}"#;
        let expected =
            Signal::Hello { path: 0, nonce: "AA".into(), endorsement: Some("BB".into()), paths: None };
        assert_eq!(Signal::read(hello), Ok(expected));
        let ours = Signal::Hello { path: 1, nonce: "AA".into(), endorsement: None, paths: Some(2) };
        assert_eq!(ours.to_text(), r#"{"type":"hello","path":1,"nonce":"AA","paths":2}"#);
        assert_eq!(Signal::read(r#"{"type":"error","path":1,"code":"","message":""}"#).unwrap().path(), 1);
        assert!(Signal::read(r#"{"type":"offer","path":256,"sdp":"","fingerprint":""}"#).is_err());
        assert_eq!(Signal::read(r#"{"type":"edge-offline"}"#), Ok(Signal::EdgeOffline));
        assert_eq!(Signal::read(r#"{"type":"bye"}"#), Ok(Signal::Bye));
        assert_eq!(Signal::read(r#"{"type":"later","x":1}"#), Ok(Signal::Unknown));
        assert!(matches!(Signal::read("[]"), Err(BadSignal::Json { .. })));
        assert!(matches!(Signal::read(&" ".repeat(70_000)), Err(BadSignal::TooLong { bytes: 70_000, .. })));
    }

    /// Goal: an SDP that names two certificates, or one by a weak hash, is not taken, however its lines are written.
    #[test]
    fn an_sdp_names_one_certificate() {
        assert_eq!(fingerprint(&format!("v=0\r\n{}m=video\r\n{}", line(7), line(7))), Ok([7; 32]));
        assert_eq!(fingerprint("v=0\r\n"), Err(BadSdp::None));
        assert_eq!(fingerprint(&format!("{}{}", line(7), line(8))), Err(BadSdp::Different));
        assert_eq!(fingerprint(&format!("{}{}", line(7), line(8).to_uppercase())), Err(BadSdp::Different));
        assert_eq!(
            fingerprint(&line(7).replace("sha-256", "sha-1")),
            Err(BadSdp::Algorithm { algorithm: "sha-1".into() })
        );
        assert_eq!(fingerprint("a=fingerprint:sha-256 00:11\r\n"), Err(BadSdp::Form));
        assert!(matches!(fingerprint(&line(7).repeat(17)), Err(BadSdp::TooMany { count: 17, .. })));
    }
}
