//! How console and kit agree on keys for one lease: both sign one transcript, so that neither the edge box nor the
//! cloud between them can take a side.

use hkdf::Hkdf;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use x25519_dalek::SharedSecret;

use crate::{KitBootId, LeaseToken, MacKey, PublicKey, SessionId};

/// What both keys sign: this session, this token, this run of the kit, these two ephemeral X25519 publics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LeaseTranscript {
    #[n(0)]
    pub session: SessionId,
    #[n(1)]
    pub token: LeaseToken,
    #[n(2)]
    pub boot: KitBootId,
    /// The session key of whoever will hold control.
    #[n(3)]
    pub holder: PublicKey,
    /// The kit's device key.
    #[n(4)]
    pub kit: PublicKey,
    #[n(5)]
    pub holder_x25519: PublicKey,
    #[n(6)]
    pub kit_x25519: PublicKey,
}

/// One key a direction, from HKDF-SHA-256 over the X25519 secret with the transcript's hash as salt.
#[derive(Clone, Debug)]
pub struct LeaseKeys {
    pub console_to_kit: MacKey,
    pub kit_to_console: MacKey,
}

impl LeaseKeys {
    /// `None` if the other side's public point was of low order, so that the secret would be known to all.
    #[must_use]
    pub fn derive(transcript: &LeaseTranscript, secret: &SharedSecret) -> Option<Self> {
        secret.was_contributory().then(|| {
            let hkdf = Hkdf::<Sha256>::new(Some(&transcript.hash()), secret.as_bytes());
            Self {
                console_to_kit: expand(&hkdf, b"farhand/v1 console to kit"),
                kit_to_console: expand(&hkdf, b"farhand/v1 kit to console"),
            }
        })
    }
}

impl LeaseTranscript {
    /// SHA-256 of its CBOR.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(minicbor::to_vec(self).expect("a vector takes every byte")).into()
    }
}

fn expand(hkdf: &Hkdf<Sha256>, info: &[u8]) -> MacKey {
    let mut key = [0; 32];
    hkdf.expand(info, &mut key).expect("32 bytes are fewer than HKDF's limit");
    MacKey::new(&key)
}
