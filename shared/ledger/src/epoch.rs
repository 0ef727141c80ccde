//! An epoch of a ledger: who keeps it, and how one set of keepers hands over to the next.
//!
//! HotStuff's replicas sign a change of their set by the new set alone, so a chain keeps its validators, and an epoch has a
//! chain of its own. **The old set's quorum says what follows**: the last transaction of an epoch carries the next one,
//! endorsed by so many of the old validators' keys, and is committed on the old chain.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farhand_wire::{BadSignature, PublicKey, Signed};
use minicbor::{Decode, Encode, bytes::ByteVec};
use thiserror::Error;

use crate::{
    BadTrust, Cbor, HOSPITALS_MAX, Hash, LedgerId, Malformed, ProofError, TRANSACTION_BYTES_MAX,
    VALIDATORS_MAX, VALIDATORS_MIN,
    cbor::{at_most, within},
};

/// Covered by the signature of an endorsement, before author and body.
pub const EPOCH_END_DOMAIN: &[u8] = b"farhand/v1 epoch end\0";
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

/// One set of keepers and their chain. Invariant (local): at least five validators in ascending order of their keys, none of
/// which is needed for a quorum of the rest, and at least one hospital; all keys are usable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Epoch {
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
    /// From 0.
    #[n(5)]
    number: u64,
}

impl Epoch {
    /// An epoch, its keys put in order.
    pub fn new(
        ledger: LedgerId,
        number: u64,
        chain: u64,
        mut validators: Vec<Validator>,
        mut hospitals: Vec<PublicKey>,
    ) -> Result<Self, BadTrust> {
        validators.sort_by_key(|validator| validator.key);
        hospitals.sort();
        let epoch = Self { format: FORMAT.to_owned(), ledger, chain, validators, hospitals, number };
        epoch.validate()?;
        Ok(epoch)
    }

    /// The epoch that is exactly `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, BadTrust> {
        let epoch = <Self as Cbor>::read(bytes)?;
        epoch.validate()?;
        Ok(epoch)
    }

    /// What end and endorsements refer to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// From 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// HotStuff's chain id, part of every vote. No two epochs of a ledger have the same.
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

impl Cbor for Epoch {
    const WHAT: &'static str = "trust root";
    const BYTES_MAX: usize = 16 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        // What an epoch must be is said by `validate`, in errors of its own.
        Ok(())
    }
}

/// By the old set's quorum: this epoch ends here, and the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EpochEnd {
    /// Hash of the epoch that ends.
    #[n(0)]
    pub previous: Hash,
    /// The next [`Epoch`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub next: Vec<u8>,
    /// Signed [`Endorsement`]s, in ascending order of their authors.
    #[n(2)]
    pub endorsements: Vec<ByteVec>,
}

/// What a validator of the epoch that ends signs, with the key that it votes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Endorsement {
    #[n(0)]
    pub previous: Hash,
    #[n(1)]
    pub next: Hash,
}

/// Why an epoch does not end so.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadEpochEnd {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the proof: {0}")]
    Proof(Box<ProofError>),
    #[error("it is {seen}, expected the end of epoch {epoch}")]
    Event { seen: &'static str, epoch: u64 },
    #[error("it stands on the chain of epoch {seen}, expected that of epoch {expected}, which it ends")]
    OtherChain { seen: u64, expected: u64 },
    #[error("it ends the epoch {seen}, expected {expected}")]
    Previous { seen: Hash, expected: Hash },
    #[error("the next epoch is none: {0}")]
    Next(Box<BadTrust>),
    #[error("the next epoch is of ledger {seen}, expected {expected}")]
    Ledger { seen: LedgerId, expected: LedgerId },
    #[error("epoch {seen} follows, expected {expected}")]
    Number { seen: u64, expected: u64 },
    #[error("chain {seen} was another epoch's")]
    Chain { seen: u64 },
    #[error("an endorsement: {0}")]
    Signature(#[from] BadSignature),
    #[error(
        "an endorsement is by {seen}, who is no validator of the epoch that ends, stands twice or out of order"
    )]
    Endorser { seen: PublicKey },
    #[error("{endorser} endorsed something else")]
    Endorsed { endorser: PublicKey },
    #[error("endorsements of power {power}, a quorum of the epoch that ends needs {quorum}")]
    Quorum { power: u64, quorum: u64 },
}

impl Endorsement {
    /// Signed by a validator of `ending`, as the next to `next`.
    #[must_use]
    pub fn sign(ending: &Epoch, next: &Epoch, key: &SigningKey) -> Vec<u8> {
        let body = Self { previous: ending.hash(), next: next.hash() };
        Signed::new(EPOCH_END_DOMAIN, key, body.to_bytes()).to_bytes()
    }
}

impl EpochEnd {
    /// The next epoch, if a quorum of `ending` endorsed it. That this was committed is another question.
    pub fn check(&self, ending: &Epoch) -> Result<Epoch, BadEpochEnd> {
        let (seen, expected) = (self.previous, ending.hash());
        if seen != expected {
            return Err(BadEpochEnd::Previous { seen, expected });
        }
        let next = Epoch::read(&self.next).map_err(|error| BadEpochEnd::Next(Box::new(error)))?;
        if next.ledger != ending.ledger {
            return Err(BadEpochEnd::Ledger { seen: next.ledger, expected: ending.ledger });
        }
        let (seen, expected) = (next.number, ending.number.saturating_add(1));
        if seen != expected {
            return Err(BadEpochEnd::Number { seen, expected });
        }
        self.check_endorsements(ending, Endorsement { previous: ending.hash(), next: next.hash() })?;
        Ok(next)
    }

    fn check_endorsements(&self, ending: &Epoch, expected: Endorsement) -> Result<(), BadEpochEnd> {
        let mut power = 0;
        let mut newest = None;
        for bytes in &self.endorsements {
            let signed = Signed::read(bytes).map_err(BadSignature::from)?;
            signed.check(EPOCH_END_DOMAIN)?;
            let endorser = signed.author;
            let validator = ending.validators.iter().find(|validator| validator.key == endorser);
            let validator = validator.filter(|_| newest < Some(endorser));
            power += validator.ok_or(BadEpochEnd::Endorser { seen: endorser })?.power;
            if Endorsement::read(&signed.body)? != expected {
                return Err(BadEpochEnd::Endorsed { endorser });
            }
            newest = Some(endorser);
        }
        let quorum = ending.quorum();
        if power >= quorum { Ok(()) } else { Err(BadEpochEnd::Quorum { power, quorum }) }
    }
}

impl Cbor for EpochEnd {
    const WHAT: &'static str = "end of an epoch";
    const BYTES_MAX: usize = TRANSACTION_BYTES_MAX;

    fn check(&self) -> Result<(), Malformed> {
        at_most("next epoch", self.next.len(), Epoch::BYTES_MAX)?;
        within("endorsements", self.endorsements.len() as u64, 1, VALIDATORS_MAX as u64)?;
        self.endorsements
            .iter()
            .try_for_each(|signed| at_most("endorsement", signed.len(), TRANSACTION_BYTES_MAX))
    }
}

impl Cbor for Endorsement {
    const WHAT: &'static str = "endorsement of an epoch";
    const BYTES_MAX: usize = 128;

    fn check(&self) -> Result<(), Malformed> {
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
