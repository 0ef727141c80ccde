//! A device's key, and its name, which is the public half.
//!
//! **Invariant (local):** the private key is in one zeroized place, never copied out, and never shown.

use std::{fmt, str::FromStr, sync::Arc};

use ed25519_dalek::{SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{DeviceIdError, KeyError};

pub(crate) const ID_BYTES: usize = 32;
const SHORT_BYTES: usize = 4;

/// A device's name: its Ed25519 public key, 32 bytes. Always a point that one holder alone can sign for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId([u8; ID_BYTES]);

impl DeviceId {
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The first 8 hexadecimal digits: for people to tell devices apart, never to decide anything.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..SHORT_BYTES])
    }
}

impl TryFrom<[u8; ID_BYTES]> for DeviceId {
    type Error = DeviceIdError;

    /// Refuses points of small order: a signature under such a key proves nothing (RFC 8032 §8.9).
    fn try_from(bytes: [u8; ID_BYTES]) -> Result<Self, DeviceIdError> {
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            _ => Err(DeviceIdError::NotAKey),
        }
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let digits: Vec<char> = text.chars().collect();
        if digits.len() != 2 * ID_BYTES {
            return Err(DeviceIdError::Length { chars: digits.len() });
        }
        let mut bytes = [0; ID_BYTES];
        for (at, &found) in digits.iter().enumerate() {
            let value = found.to_digit(16).ok_or(DeviceIdError::Digit { found, at })?;
            bytes[at / 2] = bytes[at / 2] << 4 | value as u8;
        }
        Self::try_from(bytes)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({}…)", self.short())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A device's Ed25519 signing key. Clones share one copy, which is overwritten when the last is dropped.
#[derive(Clone)]
pub struct DeviceKey(Arc<SigningKey>);

impl DeviceKey {
    /// A new key, kept nowhere: for trials. [`DeviceKey::load_or_create`] keeps it.
    ///
    /// # Errors
    /// [`KeyError::Random`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; ID_BYTES]);
        getrandom::fill(seed.as_mut()).map_err(KeyError::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that belongs to a seed of 32 bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; ID_BYTES]) -> Self {
        Self(Arc::new(SigningKey::from_bytes(seed)))
    }

    #[must_use]
    pub fn id(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    /// To sign a device's own statements with. Whatever is signed must begin with a domain of its own, so that it
    /// can't be taken for a TLS handshake (64 spaces, RFC 8446 §4.4.3) or a certificate (DER, 0x30).
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// Secret bytes for one purpose, the same at each start, that tell nothing about the key (HKDF-SHA-256).
    pub(crate) fn derive(&self, purpose: &[&[u8]], out: &mut [u8]) {
        Hkdf::<Sha256>::new(Some(b"farhand/v1 link\0"), self.0.as_bytes())
            .expand_multi_info(purpose, out)
            .expect("a few dozen bytes are within HKDF's limit of 255 hashes");
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey(of {}…)", self.id().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a name survives being written down, and a slip in copying is named.
    #[test]
    fn an_id_reads_back_from_its_text_and_a_slip_is_named() {
        let id = DeviceKey::generate().unwrap().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short().parse::<DeviceId>(), Err(DeviceIdError::Length { chars: 8 }));
        let slip = id.to_string().replacen(|_| true, "x", 1);
        assert_eq!(slip.parse::<DeviceId>(), Err(DeviceIdError::Digit { found: 'x', at: 0 }));
    }

    /// Goal: a point of small order, for which anybody can make a signature, never becomes a device.
    #[test]
    fn a_weak_point_is_no_device() {
        let mut identity_point = [0; ID_BYTES];
        identity_point[0] = 1;
        assert_eq!(DeviceId::try_from(identity_point), Err(DeviceIdError::NotAKey));
    }

    /// Goal: what is printed of a key is its name, whole or short, and nothing of the secret.
    #[test]
    fn a_key_in_a_log_shows_only_whose_it_is() {
        let seed = [0x5a; ID_BYTES];
        let key = DeviceKey::from_seed(&seed);
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains(&key.id().short()));
        assert!(!shown.contains("5a5a") && !shown.contains("90, 90"), "{shown}");
    }
}
