//! The trust root: what a verifier must hold beforehand, from somewhere else than the bundle that it verifies.
//!
//! **A bundle that brings its own validator keys proves nothing**: five fresh keys forge a whole ledger. So the ledger's
//! name, its validators and its hospitals come from a file that the regulator keeps, and that the kit has pinned.
//!
//! Who holds a ledger's first epoch can follow it through all later ones: each is proven under the one before.

use farhand_wire::PublicKey;
use thiserror::Error;

use crate::{
    BadEpochEnd, Cbor, Epoch, Event, Hash, LedgerId, Malformed, Position, TransactionProof, Validator,
    cbor::at_most,
};

/// No ledger has fewer. A commit needs four consecutive live leaders, so of four validators none may ever fail.
pub const VALIDATORS_MIN: usize = 5;
/// No ledger has more.
pub const VALIDATORS_MAX: usize = 64;
/// No ledger has more hospitals.
pub const HOSPITALS_MAX: usize = 64;
/// No trust root is longer: some hundreds of epochs.
pub const TRUST_BYTES_MAX: usize = 1 << 20;

/// A ledger's epochs, as far as they are known. Invariant (local): the first is number 0, and each later one was endorsed
/// and committed by a quorum of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoot {
    first: Epoch,
    later: Vec<Later>,
}

/// An epoch that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Later {
    epoch: Epoch,
    /// Proof of the transaction that ended the epoch before, and where that stands.
    proof: Vec<u8>,
    begins: Position,
}

/// Why a trust root is none.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadTrust {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("format is \"{seen}\", which is none of a trust root")]
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
    #[error("it begins with epoch {seen}, expected {expected}")]
    Epoch { seen: u64, expected: u64 },
    #[error("the end of epoch {epoch}: {why}")]
    End { epoch: u64, why: BadEpochEnd },
}

impl TrustRoot {
    /// A trust root of the first epoch, its keys put in order.
    pub fn new(
        ledger: LedgerId,
        chain: u64,
        validators: Vec<Validator>,
        hospitals: Vec<PublicKey>,
    ) -> Result<Self, BadTrust> {
        let first = Epoch::new(ledger, 0, chain, validators, hospitals)?;
        Ok(Self { first, later: Vec::new() })
    }

    /// The trust root in a file: the first epoch, then a proof of each one's end.
    pub fn read(bytes: &[u8]) -> Result<Self, BadTrust> {
        at_most("trust root", bytes.len(), TRUST_BYTES_MAX)?;
        let malformed = |_| Malformed::Cbor { what: "trust root" };
        let mut items = minicbor::Decoder::new(bytes);
        items.skip().map_err(malformed)?;
        let first = Epoch::read(&bytes[..items.position()])?;
        if first.number() != 0 {
            return Err(BadTrust::Epoch { seen: first.number(), expected: 0 });
        }
        let mut root = Self { first, later: Vec::new() };
        while items.position() < bytes.len() {
            let proof = items.bytes().map_err(malformed)?;
            root.end(proof).map_err(|why| BadTrust::End { epoch: root.newest().number(), why })?;
        }
        if root.to_bytes() == bytes { Ok(root) } else { Err(Malformed::Cbor { what: "trust root" }.into()) }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut items = minicbor::Encoder::new(self.first.to_bytes());
        for later in &self.later {
            items.bytes(&later.proof).expect("a vector takes every byte");
        }
        items.into_writer()
    }

    /// Goes on to the next epoch, if this proves that a quorum of the newest one endorsed and committed it.
    pub fn end(&mut self, proof: &[u8]) -> Result<(), BadEpochEnd> {
        let proven =
            TransactionProof::read(proof)?.check(self).map_err(|why| BadEpochEnd::Proof(Box::new(why)))?;
        let ending = self.newest();
        let Event::EpochEnded(end) = &proven.transaction.event else {
            return Err(BadEpochEnd::Event { seen: proven.transaction.event.name(), epoch: ending.number() });
        };
        let (seen, expected) = (proven.position.epoch, ending.number());
        if seen != expected {
            return Err(BadEpochEnd::OtherChain { seen, expected });
        }
        let epoch = end.check(ending)?;
        if self.epoch_of(epoch.chain()).is_some() {
            return Err(BadEpochEnd::Chain { seen: epoch.chain() });
        }
        self.later.push(Later { epoch, proof: proof.to_vec(), begins: proven.position });
        Ok(())
    }

    /// SHA-256 of the first epoch, which is the genesis file: short enough to be compared by eye or carried in a link. It
    /// stays the same for the ledger's whole life.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        self.first.hash()
    }

    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.first.ledger()
    }

    /// In order.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = &Epoch> {
        std::iter::once(&self.first).chain(self.later.iter().map(|later| &later.epoch))
    }

    /// The newest epoch known.
    #[must_use]
    pub fn newest(&self) -> &Epoch {
        self.later.last().map_or(&self.first, |later| &later.epoch)
    }

    /// The epoch whose chain this is.
    #[must_use]
    pub fn epoch_of(&self, chain: u64) -> Option<&Epoch> {
        self.epochs().find(|epoch| epoch.chain() == chain)
    }

    /// Where the last transaction of an epoch stands, if its end is known.
    #[must_use]
    pub fn end_of(&self, epoch: u64) -> Option<Position> {
        self.later.iter().map(|later| later.begins).find(|end| end.epoch == epoch)
    }

    /// The proof of an epoch's end, if that is known.
    #[must_use]
    pub fn end_proof(&self, epoch: u64) -> Option<&[u8]> {
        let ends = |later: &&Later| later.begins.epoch == epoch;
        self.later.iter().find(ends).map(|later| later.proof.as_slice())
    }

    /// Whether a key was a hospital's in that epoch.
    #[must_use]
    pub fn is_hospital(&self, key: PublicKey, epoch: u64) -> bool {
        self.epochs().any(|one| one.number() == epoch && one.hospitals().contains(&key))
    }

    /// Whether `other` knows these epochs, and perhaps more.
    #[must_use]
    pub fn leads_to(&self, other: &Self) -> bool {
        let mut others = other.epochs();
        self.epochs().all(|epoch| others.next() == Some(epoch))
    }

    /// Of the newest epoch.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.newest().chain()
    }

    /// Of the newest epoch.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        self.newest().validators()
    }

    /// Of the newest epoch.
    #[must_use]
    pub fn hospitals(&self) -> &[PublicKey] {
        self.newest().hospitals()
    }

    /// Of the newest epoch.
    #[must_use]
    pub fn quorum(&self) -> u64 {
        self.newest().quorum()
    }
}
