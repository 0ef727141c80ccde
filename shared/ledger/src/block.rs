//! Blocks and certificates, byte for byte as HotStuff's replicas (hotstuff_rs 0.4) hash and sign them.
//!
//! A header's bytes are what its hash covers: `height u64 LE ‖ certificate ‖ data_hash[32]`. The certificate in it, its
//! *justify*, certifies its parent. A certificate is a vote's 49 bytes (`chain u64 LE ‖ view u64 LE ‖ block[32] ‖ phase
//! u8`), then `n u32 LE`, then for each validator in ascending order of its key `00`, or `01 ‖ signature[64]`.

use ed25519_dalek::{Signature, VerifyingKey};
use farhand_wire::PublicKey;
use thiserror::Error;

use crate::{Epoch, Hash, Malformed, TrustRoot, VALIDATORS_MAX, cbor::within};

/// Bytes that a validator signs when it votes.
pub const VOTE_BYTES: usize = 8 + 8 + 32 + 1;
/// The only phase there is while the set of validators is fixed.
const GENERIC: u8 = 0;

/// A quorum's word for a block in a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub chain: u64,
    pub view: u64,
    /// The block that is certified.
    pub block: Hash,
    /// 0 generic, 1 prepare, 2 precommit, 3 commit, 4 decide.
    pub phase: u8,
    /// In ascending order of the validators' keys.
    pub signatures: Vec<Option<[u8; 64]>>,
}

/// A block without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub height: u64,
    /// Certifies the parent.
    pub justify: Certificate,
    /// Root of the block's batch.
    pub data_hash: Hash,
}

/// Why a certificate is not a quorum's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCertificate {
    #[error("certificate is of chain {seen}, expected {expected}")]
    Chain { seen: u64, expected: u64 },
    #[error("certificate is of phase {seen}, expected {expected}")]
    Phase { seen: u8, expected: u8 },
    #[error("certificate has room for {seen} signatures, there are {expected} validators")]
    Slots { seen: usize, expected: usize },
    #[error("the signature is not by validator {validator}")]
    Signature { validator: PublicKey },
    #[error("signatures of power {power}, a quorum needs {quorum}")]
    Quorum { power: u64, quorum: u64 },
}

/// What a validator signs to vote for `block` in `view`.
#[must_use]
pub fn vote_payload(chain: u64, view: u64, block: Hash, phase: u8) -> [u8; VOTE_BYTES] {
    let mut bytes = [0; VOTE_BYTES];
    bytes[..8].copy_from_slice(&chain.to_le_bytes());
    bytes[8..16].copy_from_slice(&view.to_le_bytes());
    bytes[16..48].copy_from_slice(&block.0);
    bytes[48] = phase;
    bytes
}

impl Certificate {
    /// What stands for a certificate in block 0: all zero, and of no chain. Whoever needs to know which ledger block 0
    /// begins reads it in its batch.
    #[must_use]
    pub fn genesis() -> Self {
        Self { chain: 0, view: 0, block: Hash::ZERO, phase: GENERIC, signatures: Vec::new() }
    }

    /// Whether a quorum of the validators of its chain's epoch certified the block: every signature there is must be good. The epoch.
    pub fn check<'a>(&self, trust: &'a TrustRoot) -> Result<&'a Epoch, BadCertificate> {
        let other = BadCertificate::Chain { seen: self.chain, expected: trust.chain() };
        let epoch = trust.epoch_of(self.chain).ok_or(other)?;
        self.check_in(epoch)?;
        Ok(epoch)
    }

    /// The same for one epoch's chain alone.
    pub fn check_in(&self, epoch: &Epoch) -> Result<(), BadCertificate> {
        self.check_form(epoch)?;
        let payload = vote_payload(self.chain, self.view, self.block, self.phase);
        let mut power = 0;
        for (validator, signature) in epoch.validators().iter().zip(&self.signatures) {
            if let Some(signature) = signature {
                verify(validator.key, &payload, signature)?;
                power += validator.power;
            }
        }
        let quorum = epoch.quorum();
        if power >= quorum { Ok(()) } else { Err(BadCertificate::Quorum { power, quorum }) }
    }

    fn check_form(&self, epoch: &Epoch) -> Result<(), BadCertificate> {
        let (seen, expected) = (self.chain, epoch.chain());
        if seen != expected {
            return Err(BadCertificate::Chain { seen, expected });
        }
        if self.phase != GENERIC {
            return Err(BadCertificate::Phase { seen: self.phase, expected: GENERIC });
        }
        let (seen, expected) = (self.signatures.len(), epoch.validators().len());
        if seen == expected { Ok(()) } else { Err(BadCertificate::Slots { seen, expected }) }
    }

    /// Its bytes, as they stand in a header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vote_payload(self.chain, self.view, self.block, self.phase).to_vec();
        bytes.extend((self.signatures.len() as u32).to_le_bytes());
        for signature in &self.signatures {
            bytes.push(signature.is_some().into());
            bytes.extend(signature.iter().flatten());
        }
        bytes
    }

    /// The certificate that is exactly `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { what: "certificate", rest: bytes, whole: bytes.len() };
        let certificate = reader.certificate()?;
        reader.end()?;
        Ok(certificate)
    }
}

impl Header {
    /// Hash of the block.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    /// The bytes that the hash covers.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.height.to_le_bytes()[..], &self.justify.to_bytes(), &self.data_hash.0].concat()
    }

    /// The header that is exactly `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { what: "block header", rest: bytes, whole: bytes.len() };
        let height = u64::from_le_bytes(reader.take()?);
        let justify = reader.certificate()?;
        let data_hash = Hash(reader.take()?);
        reader.end()?;
        Ok(Self { height, justify, data_hash })
    }
}

fn verify(validator: PublicKey, payload: &[u8], signature: &[u8; 64]) -> Result<(), BadCertificate> {
    let bad = BadCertificate::Signature { validator };
    let key = VerifyingKey::from_bytes(&validator.0).map_err(|_| bad)?;
    key.verify_strict(payload, &Signature::from_bytes(signature)).map_err(|_| bad)
}

/// Takes fixed pieces off the front of bytes.
struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
    whole: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let expected = self.whole - self.rest.len() + N;
        let short = Malformed::Length { what: self.what, bytes: self.whole, expected };
        let (piece, rest) = self.rest.split_first_chunk().ok_or(short)?;
        self.rest = rest;
        Ok(*piece)
    }

    fn certificate(&mut self) -> Result<Certificate, Malformed> {
        let chain = u64::from_le_bytes(self.take()?);
        let view = u64::from_le_bytes(self.take()?);
        let block = Hash(self.take()?);
        let [phase] = self.take()?;
        let slots = u32::from_le_bytes(self.take()?);
        within("signatures in a certificate", slots.into(), 0, VALIDATORS_MAX as u64)?;
        let signatures = (0..slots).map(|_| self.signature()).collect::<Result<_, _>>()?;
        Ok(Certificate { chain, view, block, phase, signatures })
    }

    fn signature(&mut self) -> Result<Option<[u8; 64]>, Malformed> {
        match self.take()? {
            [0] => Ok(None),
            [1] => self.take().map(Some),
            [other] => Err(Malformed::UnknownKind { what: "signature", kind: other.into() }),
        }
    }

    fn end(self) -> Result<(), Malformed> {
        let expected = self.whole - self.rest.len();
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Length { what: self.what, bytes: self.whole, expected })
        }
    }
}

macro_rules! as_cbor_bytes {
    ($($name:ident),*) => {$(
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.to_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                Self::read(d.bytes()?).map_err(|error| minicbor::decode::Error::message(error.to_string()))
            }
        }
    )*};
}

as_cbor_bytes!(Certificate, Header);
