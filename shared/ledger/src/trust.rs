//! The trust root: what a verifier must hold beforehand, from somewhere else than the bundle that it verifies.
//!
//! **A bundle that brings its own validator keys proves nothing**: five fresh keys forge a whole ledger. So the ledger's
//! name, its validators and its hospitals come from a file that the regulator keeps, and that the kit has pinned.

use ed25519_dalek::VerifyingKey;
use farhand_wire::PublicKey;
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::{Cbor, Hash, LedgerId, Malformed};

/// No ledger has fewer. A commit needs four consecutive live leaders, so of four validators none may ever fail.
pub const VALIDATORS_MIN: usize = 5;
/// No ledger has more.
pub const VALIDATORS_MAX: usize = 64;
/// No ledger has more hospitals.
pub const HOSPITALS_MAX: usize = 64;
const POWER_MAX: u64 = 1 << 32;
const FORMAT: &str = "farhand trust root v1";

/// One of those who keep the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Validator {
    #[n(0)]
    pub key: PublicKey,
    /// Weight of its vote.
    #[n(1)]
    pub power: u64,
}

/// The ledger's genesis. Invariant (local): at least five validators in ascending order of their keys, none of which is
/// needed for a quorum of the rest, and at least one hospital; all keys are usable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TrustRoot {
    #[n(0)]
    format: String,
    #[n(1)]
    ledger: LedgerId,
    #[n(2)]
    chain: u64,
    #[n(3)]
    validators: Vec<Validator>,
    #[n(4)]
    hospitals: Vec<PublicKey>,
    /// Which set of validators this is. A later one begins with a transaction signed by the quorum before; this version
    /// knows the first only.
    #[n(5)]
    epoch: u64,
}

/// Why a trust root is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTrust {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("format is \"{seen}\", expected \"{FORMAT}\"")]
    Format { seen: String },
    #[error("{seen} validators, a ledger needs {min} to {max}: of four, one crash would stop it for ever")]
    Validators { seen: usize, min: usize, max: usize },
    #[error("{seen} hospitals, a ledger needs {min} to {max}")]
    Hospitals { seen: usize, min: usize, max: usize },
    #[error("keys are not in ascending order, or one stands twice: {seen}")]
    Order { seen: PublicKey },
    #[error("{seen} is not a usable Ed25519 key")]
    Key { seen: PublicKey },
    #[error("validator {validator} has power {seen}, allowed are 1 to {max}")]
    Power { validator: PublicKey, seen: u64, max: u64 },
    #[error(
        "without validator {validator} power {rest} is left, a quorum needs {quorum}: one crash would stop the ledger"
    )]
    Needed { validator: PublicKey, rest: u64, quorum: u64 },
    #[error("chain id is 0, which is that of no chain")]
    Chain,
    #[error("epoch {seen}, this version knows only {expected}")]
    Epoch { seen: u64, expected: u64 },
}

impl TrustRoot {
    /// A trust root of the first epoch, its keys put in order.
    pub fn new(
        ledger: LedgerId,
        chain: u64,
        mut validators: Vec<Validator>,
        mut hospitals: Vec<PublicKey>,
    ) -> Result<Self, BadTrust> {
        validators.sort_by_key(|validator| validator.key);
        hospitals.sort();
        let root = Self { format: FORMAT.to_owned(), ledger, chain, validators, hospitals, epoch: 0 };
        root.validate()?;
        Ok(root)
    }

    /// The trust root in a genesis file.
    pub fn read(bytes: &[u8]) -> Result<Self, BadTrust> {
        let root = <Self as Cbor>::read(bytes)?;
        root.validate()?;
        Ok(root)
    }

    /// The genesis file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Cbor::to_bytes(self)
    }

    /// SHA-256 of the genesis file: short enough to be compared by eye or carried in a link.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// HotStuff's chain id, part of every vote.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// In ascending order of their keys, which is the order of signatures in a certificate.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Who may grant roles and open sessions.
    #[must_use]
    pub fn hospitals(&self) -> &[PublicKey] {
        &self.hospitals
    }

    /// The power that a certificate needs: `floor(2P/3) + 1` of all power P.
    #[must_use]
    pub fn quorum(&self) -> u64 {
        self.power() * 2 / 3 + 1
    }

    fn power(&self) -> u64 {
        self.validators.iter().map(|validator| validator.power).sum()
    }

    fn validate(&self) -> Result<(), BadTrust> {
        if self.format != FORMAT {
            return Err(BadTrust::Format { seen: self.format.clone() });
        }
        if self.chain == 0 {
            return Err(BadTrust::Chain);
        }
        if self.epoch != 0 {
            return Err(BadTrust::Epoch { seen: self.epoch, expected: 0 });
        }
        self.validate_validators()?;
        self.validate_hospitals()
    }

    fn validate_validators(&self) -> Result<(), BadTrust> {
        let (seen, min, max) = (self.validators.len(), VALIDATORS_MIN, VALIDATORS_MAX);
        if !(min..=max).contains(&seen) {
            return Err(BadTrust::Validators { seen, min, max });
        }
        keys(self.validators.iter().map(|validator| validator.key))?;
        for &Validator { key: validator, power: seen } in &self.validators {
            if !(1..=POWER_MAX).contains(&seen) {
                return Err(BadTrust::Power { validator, seen, max: POWER_MAX });
            }
        }
        let quorum = self.quorum();
        for &Validator { key: validator, power } in &self.validators {
            let rest = self.power() - power;
            if rest < quorum {
                return Err(BadTrust::Needed { validator, rest, quorum });
            }
        }
        Ok(())
    }

    fn validate_hospitals(&self) -> Result<(), BadTrust> {
        let (seen, min, max) = (self.hospitals.len(), 1, HOSPITALS_MAX);
        if !(min..=max).contains(&seen) {
            return Err(BadTrust::Hospitals { seen, min, max });
        }
        keys(self.hospitals.iter().copied())
    }
}

impl Cbor for TrustRoot {
    const WHAT: &'static str = "trust root";
    const BYTES_MAX: usize = 16 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        // What a trust root must be is said by `validate`, in errors of its own.
        Ok(())
    }
}

/// Keys that are usable, each once and in ascending order.
fn keys(keys: impl Iterator<Item = PublicKey>) -> Result<(), BadTrust> {
    let mut newest = None;
    for seen in keys {
        if newest >= Some(seen) {
            return Err(BadTrust::Order { seen });
        }
        let usable = VerifyingKey::from_bytes(&seen.0).is_ok_and(|key| !key.is_weak());
        if !usable {
            return Err(BadTrust::Key { seen });
        }
        newest = Some(seen);
    }
    Ok(())
}
