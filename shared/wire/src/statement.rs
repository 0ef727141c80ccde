//! Statements: what a person or a device says under its own Ed25519 key, valid by whatever route it comes.
//!
//! A statement is deterministic CBOR (RFC 8949 §4.2) in an envelope. The signature covers a domain, the author and the
//! body, so a statement can't be read as anything else that the same key signs. What gives permission carries the
//! kit's fresh [`Challenge`]; what takes permission away (e-stop) needs none.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::{
    Challenge, Kind, KitBootId, KitTick, LeaseToken, LeaseTranscript, Malformed, PressId, PublicKey, Region,
    SessionId, VERSION,
};

/// No statement is longer.
pub const STATEMENT_BYTES_MAX: usize = 16 * 1024;
const STATEMENT_DOMAIN: &[u8] = b"farhand/v1 statement\0";

/// What somebody is in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Operates from afar.
    #[n(0)]
    Surgeon,
    /// Stands at the patient: arms, stops, clears, withdraws. Belongs to the field team.
    #[n(1)]
    Bedside,
    /// Dispatches aircraft and brings up kits.
    #[n(2)]
    Field,
    /// Checks afterwards.
    #[n(3)]
    Auditor,
    #[n(4)]
    Edge,
    #[n(5)]
    Kit,
    /// Grants roles.
    #[n(6)]
    Hospital,
}

/// One statement about one session.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Statement {
    #[n(0)]
    pub session: SessionId,
    #[n(1)]
    pub said: Said,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Said {
    /// By a key of the roster: this session key speaks for me until the session ends.
    #[n(0)]
    Endorse {
        #[n(0)]
        session_key: PublicKey,
    },
    /// By edge box and console: my side of this connection has this DTLS certificate (SHA-256). The nonce is the
    /// other side's.
    #[n(1)]
    Fingerprint {
        #[cbor(n(0), with = "minicbor::bytes")]
        dtls_sha256: [u8; 32],
        #[n(1)]
        nonce: Challenge,
    },
    /// By any key of the roster, over any path: stop.
    #[n(2)]
    EStop {
        #[n(0)]
        press: PressId,
    },
    /// By two people, one at the bedside: what stopped is dealt with.
    #[n(3)]
    ClearEStop {
        #[n(0)]
        challenge: Challenge,
    },
    /// By two people, one at the bedside: the arm may be moved.
    #[n(4)]
    Arm {
        #[n(0)]
        challenge: Challenge,
    },
    /// By the bedside or the holder of control: the arm may not be moved any more.
    #[n(5)]
    Disarm {},
    /// By the bedside: find home, slowly.
    #[n(6)]
    Home {
        #[n(0)]
        challenge: Challenge,
    },
    /// By the bedside: leave the patient along the shaft, slowly.
    #[n(7)]
    Withdraw {
        #[n(0)]
        challenge: Challenge,
    },
    /// By a surgeon: I ask for control.
    #[n(8)]
    LeaseRequest {
        #[n(0)]
        challenge: Challenge,
        #[n(1)]
        x25519: PublicKey,
    },
    /// By the kit: this token is yours once you confirm. It is durable already.
    #[n(9)]
    LeaseGrant {
        #[n(0)]
        transcript: LeaseTranscript,
    },
    /// By the surgeon: I hold it.
    #[n(10)]
    LeaseConfirm {
        #[n(0)]
        transcript: LeaseTranscript,
    },
    /// By the holder of control: I let go, in favour of this session key.
    #[n(11)]
    HandOver {
        #[n(0)]
        token: LeaseToken,
        #[n(1)]
        to: PublicKey,
    },
    /// By two people, one at the bedside: the holder of control is gone, this session key may have it.
    #[n(12)]
    TakeOver {
        #[n(0)]
        challenge: Challenge,
        #[n(1)]
        to: PublicKey,
    },
    /// By the kit, a few times a second and at every change: for those who hold no key of a lease.
    #[n(13)]
    Notice {
        #[n(0)]
        notice: KitNotice,
    },
    /// By the kit: this order of yours was not followed, and why, in words.
    #[n(14)]
    Refused {
        #[n(0)]
        to: PublicKey,
        #[n(1)]
        why: String,
    },
    /// By the bedside or the holder of control: the operation is over. The kit disarms for good, and the record is sealed.
    #[n(15)]
    Close {},
    /// By the bedside or the hospital, in the patient's name: the operation must not go on. All that moves the tool from now on
    /// draws it out.
    #[n(16)]
    WithdrawConsent {},
    /// By a surgeon or the bedside: these are the regions that the tool keeps out of, and no others. Versions only rise.
    #[n(17)]
    Forbid {
        #[n(0)]
        challenge: Challenge,
        #[n(1)]
        version: u64,
        #[n(2)]
        regions: Vec<Region>,
    },
}

/// What the kit tells everybody.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct KitNotice {
    #[n(0)]
    pub boot: KitBootId,
    #[n(1)]
    pub tick: KitTick,
    /// The one to sign now.
    #[n(2)]
    pub challenge: Challenge,
    /// [`Mode`](crate::Mode) by number, of the freest arm.
    #[n(3)]
    pub mode: u8,
    /// [`OperatingState`](crate::OperatingState) by number.
    #[n(4)]
    pub operating_state: u8,
    /// Of [`state_flags`](crate::state_flags).
    #[n(5)]
    pub flags: u8,
    /// In the order of their numbers; 1 to [`ARMS_MAX`](crate::ARMS_MAX).
    #[n(6)]
    pub arms: Vec<ArmNotice>,
    #[n(7)]
    pub token: LeaseToken,
    #[n(8)]
    pub holder: Option<PublicKey>,
    /// Who has signed the ritual that is under way (arming, clearing, take-over).
    #[n(9)]
    pub signed_by: Vec<PublicKey>,
    /// Presses that are latched or were, newest last: whoever pressed may stop repeating.
    #[n(10)]
    pub presses: Vec<PressId>,
    /// Why the tool does not move, in words.
    #[n(11)]
    pub reason: String,
    /// The operation is over: nothing arms the kit again in this session.
    #[n(12)]
    pub closed: bool,
    /// Version of the forbidden regions in force; `None` before the first.
    #[n(13)]
    pub regions: Option<u64>,
}

/// What an arm is, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ArmNotice {
    /// For people, as CRTK names arms: PSM1, ECM.
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub kind: ArmKind,
    /// Its base, that is its remote centre, in the kit's frame; as [`Region`] tells places.
    #[n(2)]
    pub position_um: [i32; 3],
    #[n(3)]
    pub orientation_wxyz_millionths: [i32; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ArmKind {
    #[n(0)]
    Instrument,
    #[n(1)]
    Endoscope,
}

/// A body, who says it, and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub author: PublicKey,
    pub body: Vec<u8>,
    pub signature: [u8; 64],
}

/// Why a signed message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum BadSignature {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the signature is not by {author}")]
    Signature { author: PublicKey },
}

impl Statement {
    /// The statement under `key`, as it travels.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let body = minicbor::to_vec(self).expect("a vector takes every byte");
        Signed::new(STATEMENT_DOMAIN, key, body).to_bytes()
    }

    /// Author and statement, if the author signed it. Whether the author may say so is another question.
    pub fn open(bytes: &[u8]) -> Result<(PublicKey, Statement), BadSignature> {
        let signed = Signed::read(bytes)?;
        signed.check(STATEMENT_DOMAIN)?;
        Ok((signed.author, canonical(&signed.body)?))
    }
}

/// Decodes CBOR that is exactly what we would have encoded.
fn canonical<T>(bytes: &[u8]) -> Result<T, Malformed>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let value: T = minicbor::decode(bytes).map_err(|_| Malformed::Cbor)?;
    let again = minicbor::to_vec(&value).map_err(|_| Malformed::Cbor)?;
    if again == bytes { Ok(value) } else { Err(Malformed::Cbor) }
}

impl Signed {
    /// `body` under `key`. `domain` says what kind of thing is signed and is not sent.
    #[must_use]
    pub fn new(domain: &[u8], key: &SigningKey, body: Vec<u8>) -> Self {
        let author = PublicKey(key.verifying_key().to_bytes());
        let signature = key.sign(&covered(domain, author, &body)).to_bytes();
        Self { author, body, signature }
    }

    /// Whether the author signed the body as that kind of thing.
    pub fn check(&self, domain: &[u8]) -> Result<(), BadSignature> {
        let bad = BadSignature::Signature { author: self.author };
        let key = VerifyingKey::from_bytes(&self.author.0).map_err(|_| bad)?;
        key.verify_strict(&covered(domain, self.author, &self.body), &Signature::from_bytes(&self.signature))
            .map_err(|_| bad)
    }

    /// Kind, version, author (32), signature (64), body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[Kind::Signed as u8, VERSION][..], &self.author.0, &self.signature, &self.body].concat()
    }

    /// The envelope in `bytes`, its signature not yet looked at.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        const HEAD: usize = 2 + 32 + 64;
        Kind::Signed.expect(bytes)?;
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(Malformed::TooLong { bytes: bytes.len(), max: STATEMENT_BYTES_MAX });
        }
        let short = Malformed::Length { bytes: bytes.len(), expected: HEAD };
        let (author, rest) = bytes[2..].split_first_chunk().ok_or(short)?;
        let (signature, body) = rest.split_first_chunk().ok_or(short)?;
        Ok(Self { author: PublicKey(*author), signature: *signature, body: body.to_vec() })
    }
}

fn covered(domain: &[u8], author: PublicKey, body: &[u8]) -> Vec<u8> {
    [domain, &author.0, body].concat()
}
