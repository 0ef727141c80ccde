//! Message authentication: HMAC-SHA-256 cut to 16 bytes, over all that goes before it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::kind::Malformed;

/// Bytes of a message authentication code.
pub const MAC_BYTES: usize = 16;

/// A key for one direction of one lease, or of one cable. Never printed.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

impl MacKey {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The code over `content`.
    #[must_use]
    pub fn code(&self, content: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.0.clone();
        mac.update(content);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        *whole.first_chunk().expect("16 of 32 bytes")
    }

    /// Writes the code into the last bytes of `message`.
    pub(crate) fn seal(&self, message: &mut [u8]) {
        let (content, code) = message.split_at_mut(message.len() - MAC_BYTES);
        code.copy_from_slice(&self.code(content));
    }

    /// Whether the last bytes of `message` are the code over the rest; in constant time.
    pub(crate) fn check(&self, message: &[u8]) -> Result<(), Unauthentic> {
        let (content, code) = message.split_last_chunk::<MAC_BYTES>().ok_or(Unauthentic::Code)?;
        if self.code(content).ct_eq(code).into() { Ok(()) } else { Err(Unauthentic::Code) }
    }
}

/// Why a message with a code is not believed. Such messages are counted, never answered.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum Unauthentic {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the authentication code does not match")]
    Code,
}
