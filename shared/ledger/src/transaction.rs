//! Transactions: facts that go onto the ledger, each signed by whoever states it.
//!
//! A transaction is deterministic CBOR in the one envelope of [`farhand_wire::Signed`], under a domain of its own, so
//! that a statement to the kit can't be read as a fact for the ledger or the other way round. It names its ledger, so
//! it is worth nothing on another, and its author's time, so that the same fact said again is another transaction.

use ed25519_dalek::SigningKey;
use farhand_wire::{BadSignature, LeaseToken, PublicKey, Role, STATEMENT_BYTES_MAX, SessionId, Signed};
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::{
    Cbor, EpochEnd, Hash, LedgerId, Malformed,
    cbor::{at_most, within},
    merkle,
};

/// Covered by the signature before author and body.
pub const TRANSACTION_DOMAIN: &[u8] = b"farhand/v1 transaction\0";
/// No signed transaction is longer.
pub const TRANSACTION_BYTES_MAX: usize = STATEMENT_BYTES_MAX;
/// No session has more people.
pub const ROSTER_MAX: usize = 16;
/// No pseudonym, and no other name in a transaction, has more bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// End of the year 2100: no honest clock is past it.
const UTC_US_MAX: u64 = 4_133_980_799_999_999;
/// A clock that may be off by more than a day says nothing.
const UNCERTAINTY_US_MAX: u64 = 86_400_000_000;

/// A time with how far it may be off, as its author's clock had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Utc {
    /// µs since 1970-01-01T00:00:00Z, leap seconds not counted.
    #[n(0)]
    pub us: u64,
    /// The true time lies within this many µs to either side.
    #[n(1)]
    pub uncertainty_us: u64,
}

impl Utc {
    /// Whether both numbers are within their bounds.
    pub fn check(&self) -> Result<(), Malformed> {
        within("UTC in µs", self.us, 0, UTC_US_MAX)?;
        within("uncertainty of UTC in µs", self.uncertainty_us, 0, UNCERTAINTY_US_MAX)
    }
}

/// One fact on one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    #[n(0)]
    pub ledger: LedgerId,
    /// By the author's clock.
    #[n(1)]
    pub at: Utc,
    #[n(2)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Event {
    /// By the hospital: this key may act in this role until then.
    #[n(0)]
    Grant(#[n(0)] Grant),
    /// By the hospital: this operation may begin, with these people and machines.
    #[n(1)]
    SessionOpened(#[n(0)] Opening),
    /// By the hospital: one more person.
    #[n(2)]
    RosterAdded(#[n(0)] RosterAddition),
    /// By the hospital: the patient's consent is given, or withdrawn.
    #[n(3)]
    Consent(#[n(0)] Consent),
    /// By whoever holds the kit: one step of its way.
    #[n(4)]
    Custody(#[n(0)] Custody),
    /// By the edge box: the session log so far.
    #[n(5)]
    Checkpoint(#[n(0)] Checkpoint),
    /// By the edge box: this model drew the overlay from now on.
    #[n(6)]
    ModelDigest(#[n(0)] ModelDigest),
    /// By the edge box: control went from one session key to another.
    #[n(7)]
    HandOver(#[n(0)] HandOver),
    /// By the edge box: the session log is complete.
    #[n(8)]
    Sealed(#[n(0)] Sealing),
    /// By whoever took it: a bundle left the place where it was kept.
    #[n(9)]
    Exported(#[n(0)] Export),
    /// By a quorum of the validators: these keep the ledger from now on. Nothing follows in this epoch.
    #[n(10)]
    EpochEnded(#[n(0)] EpochEnd),
}

/// A role for a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Grant {
    #[n(0)]
    pub key: PublicKey,
    #[n(1)]
    pub role: Role,
    /// Never a name: who it is stays with the hospital.
    #[n(2)]
    pub pseudonym: String,
    #[n(3)]
    pub until_utc_ms: u64,
}

/// Opening of a session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Opening {
    #[n(0)]
    pub session: SessionId,
    /// People only; machines have fields of their own.
    #[n(1)]
    pub roster: Vec<Member>,
    /// The edge box's device key.
    #[n(2)]
    pub edge: PublicKey,
    /// The kit's device key.
    #[n(3)]
    pub kit: PublicKey,
    /// SHA-256 of the limits that the kit runs with.
    #[n(4)]
    pub limits_digest: Hash,
    /// SHA-256 of the arm's file.
    #[n(5)]
    pub arm_digest: Hash,
    /// Hash of the consent transaction.
    #[n(6)]
    pub consent: Hash,
    /// Hash of the transaction of the kit's last custody step.
    #[n(7)]
    pub custody: Hash,
}

/// A person in a session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    #[n(0)]
    pub key: PublicKey,
    #[n(1)]
    pub role: Role,
    #[n(2)]
    pub pseudonym: String,
}

/// A person who joins a session that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RosterAddition {
    #[n(0)]
    pub session: SessionId,
    #[n(1)]
    pub member: Member,
}

/// Consent, as a commitment that says nothing once its key is destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Consent {
    #[n(0)]
    pub session: SessionId,
    /// SHA-256(salt ‖ ciphertext) of the consent form; key and salt stay off the ledger.
    #[n(1)]
    pub commitment: Hash,
    /// False: withdrawn.
    #[n(2)]
    pub given: bool,
}

/// One step of a kit's custody. Each names the transaction of the step before, so that none can be left out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Custody {
    /// The kit's device key.
    #[n(0)]
    pub kit: PublicKey,
    /// From 1, over the kit's whole life.
    #[n(1)]
    pub sequence: u64,
    #[n(2)]
    pub step: CustodyStep,
    /// Hash of the previous custody transaction of this kit; [`Hash::ZERO`] before the first.
    #[n(3)]
    pub previous: Hash,
}

/// What happened to the kit, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum CustodyStep {
    /// By the field team: packed and sealed. Begins a new chain of custody.
    #[n(0)]
    Sealed,
    #[n(1)]
    Loaded,
    #[n(2)]
    Airborne,
    #[n(3)]
    Landed,
    /// By the field team: the seal was whole and has been opened.
    #[n(4)]
    Unsealed,
    /// By the kit: its own checks passed.
    #[n(5)]
    SelfTested,
    /// By the kit: it obeys this edge box.
    #[n(6)]
    Paired {
        #[n(0)]
        edge: PublicKey,
    },
}

impl CustodyStep {
    /// Whether this step may come right after `previous`. Each follows the one before it in the list; a kit may also be
    /// tested again, and must then be paired again.
    #[must_use]
    pub fn may_follow(self, previous: CustodyStep) -> bool {
        match self {
            Self::Sealed => true,
            Self::SelfTested => previous.number() >= Self::Unsealed.number(),
            step => step.number() == previous.number() + 1,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Sealed => 0,
            Self::Loaded => 1,
            Self::Airborne => 2,
            Self::Landed => 3,
            Self::Unsealed => 4,
            Self::SelfTested => 5,
            Self::Paired { .. } => 6,
        }
    }
}

/// The session log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    #[n(0)]
    pub session: SessionId,
    /// Leaves so far.
    #[n(1)]
    pub tree_size: u64,
    #[n(2)]
    pub root: Hash,
    /// Root of the checkpoint before; of the empty tree before the first.
    #[n(3)]
    pub previous_root: Hash,
    /// Number of the first leaf since the checkpoint before: its `tree_size`.
    #[n(4)]
    pub first_sequence: u64,
    /// Number of the last leaf: `tree_size` less one.
    #[n(5)]
    pub last_sequence: u64,
}

impl Checkpoint {
    /// Whether this checkpoint continues `previous`, or begins the log where there is none.
    pub fn follows(&self, previous: Option<&Checkpoint>) -> Result<(), CheckpointError> {
        let (session, size, root) =
            previous.map_or((self.session, 0, merkle::empty_root()), |p| (p.session, p.tree_size, p.root));
        if self.session != session {
            return Err(CheckpointError::Session { seen: self.session, expected: session });
        }
        if self.tree_size <= size {
            return Err(CheckpointError::Shrinks { seen: self.tree_size, above: size });
        }
        if self.previous_root != root {
            return Err(CheckpointError::Forks { seen: self.previous_root, expected: root });
        }
        let expected = (size, self.tree_size - 1);
        let seen = (self.first_sequence, self.last_sequence);
        if seen == expected { Ok(()) } else { Err(CheckpointError::Skips { seen, expected }) }
    }
}

/// Why a checkpoint does not continue the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    #[error("checkpoint is of session {seen}, expected {expected}")]
    Session { seen: SessionId, expected: SessionId },
    #[error("checkpoint has {seen} leaves, expected more than {above}")]
    Shrinks { seen: u64, above: u64 },
    #[error("checkpoint continues root {seen}, expected {expected}")]
    Forks { seen: Hash, expected: Hash },
    #[error("checkpoint covers leaves {} to {}, expected {} to {}", seen.0, seen.1, expected.0, expected.1)]
    Skips { seen: (u64, u64), expected: (u64, u64) },
}

/// Which model drew the overlay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ModelDigest {
    #[n(0)]
    pub session: SessionId,
    /// SHA-256 of the weights' file.
    #[n(1)]
    pub digest: Hash,
    #[n(2)]
    pub name: String,
}

/// Control changed hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HandOver {
    #[n(0)]
    pub session: SessionId,
    /// The new token.
    #[n(1)]
    pub token: LeaseToken,
    /// Session keys.
    #[n(2)]
    pub from: PublicKey,
    #[n(3)]
    pub to: PublicKey,
}

/// The session log is complete: nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealing {
    #[n(0)]
    pub session: SessionId,
    #[n(1)]
    pub tree_size: u64,
    #[n(2)]
    pub root: Hash,
    /// SHA-256 of the bundle's manifest.
    #[n(3)]
    pub manifest: Hash,
    #[n(4)]
    pub commands: u64,
    #[n(5)]
    pub frames: u64,
}

/// A bundle was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Export {
    #[n(0)]
    pub session: SessionId,
    /// SHA-256 of the file.
    #[n(1)]
    pub bundle: Hash,
    #[n(2)]
    pub bytes: u64,
}

/// A transaction whose author signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authored {
    pub author: PublicKey,
    pub transaction: Transaction,
    /// SHA-256 of the signed bytes: how other transactions refer to it.
    pub hash: Hash,
}

/// Why a signed transaction is not believed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadTransaction {
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Transaction {
    /// The transaction under `key`, as it travels and is hashed.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let signed = Signed::new(TRANSACTION_DOMAIN, key, self.to_bytes()).to_bytes();
        at_most("signed transaction", signed.len(), TRANSACTION_BYTES_MAX)?;
        Ok(signed)
    }

    /// Author and transaction, if the author signed it. Whether the author may say so is another question.
    pub fn open(bytes: &[u8]) -> Result<Authored, BadTransaction> {
        at_most("signed transaction", bytes.len(), TRANSACTION_BYTES_MAX)?;
        let signed = Signed::read(bytes).map_err(BadSignature::from)?;
        signed.check(TRANSACTION_DOMAIN)?;
        Ok(Authored { author: signed.author, transaction: Self::read(&signed.body)?, hash: Hash::of(bytes) })
    }
}

impl Cbor for Transaction {
    const WHAT: &'static str = "transaction";
    const BYTES_MAX: usize = TRANSACTION_BYTES_MAX;

    fn check(&self) -> Result<(), Malformed> {
        self.at.check()?;
        match &self.event {
            Event::Grant(grant) => name("pseudonym", &grant.pseudonym),
            Event::SessionOpened(opening) => {
                within("people in the roster", opening.roster.len() as u64, 1, ROSTER_MAX as u64)?;
                opening.roster.iter().try_for_each(|member| name("pseudonym", &member.pseudonym))
            }
            Event::RosterAdded(addition) => name("pseudonym", &addition.member.pseudonym),
            Event::ModelDigest(model) => name("model name", &model.name),
            Event::Custody(custody) => within("custody sequence", custody.sequence, 1, u64::MAX),
            Event::Checkpoint(checkpoint) => within("leaves", checkpoint.tree_size, 1, u64::MAX),
            Event::EpochEnded(end) => Cbor::check(end),
            Event::Consent(_) | Event::HandOver(_) | Event::Sealed(_) | Event::Exported(_) => Ok(()),
        }
    }
}

/// A name that is not empty and not too long.
pub(crate) fn name(what: &'static str, text: &str) -> Result<(), Malformed> {
    within(what, text.len() as u64, 1, NAME_BYTES_MAX as u64)
}
