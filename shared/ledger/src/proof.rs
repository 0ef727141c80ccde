//! Proofs that a quorum has committed a transaction, checked against a trust root and nothing else.
//!
//! HotStuff's rule: block b0 is committed when b1, b2 and b3 certify b0, b1 and b2 in consecutive views. Of b3 only its
//! certificate is needed. A committed block commits all its ancestors, so a block whose own successor skipped a view is
//! proven through a later b0: the headers from it to there are in the proof, each naming the one before by its hash.

use std::fmt;

use farhand_wire::PublicKey;
use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::{
    Authored, BadCertificate, BadTransaction, Batch, BatchHeader, Cbor, Certificate, Event, Hash, Header,
    LedgerId, Malformed, TRANSACTION_BYTES_MAX, Transaction, TrustRoot, Utc,
    cbor::{at_most, within},
    merkle,
};

/// No commit proof has more headers.
pub const HEADERS_MAX: usize = 64;

/// That a block is committed: its header first, then its descendants to b2, then b3's certificate (which certifies b2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CommitProof {
    #[n(0)]
    pub headers: Vec<Header>,
    #[n(1)]
    pub certificate: Certificate,
}

/// A block that a quorum has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub epoch: u64,
    pub height: u64,
    pub block: Hash,
    pub data_hash: Hash,
}

/// Why a block is not shown to be committed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadCommit {
    #[error("commit proof has {seen} headers, allowed are {min} to {max}")]
    Headers { seen: usize, min: usize, max: usize },
    #[error("block {height} is certified as {seen}, expected {expected}")]
    Link { height: u64, seen: Hash, expected: Hash },
    #[error("block at height {seen} follows, expected {expected}")]
    Height { seen: u64, expected: u64 },
    #[error("certificate of view {seen} follows, expected view {expected}: the three are not consecutive")]
    View { seen: u64, expected: u64 },
    #[error("block {height} has a genesis certificate, or block 0 has none")]
    Genesis { height: u64 },
    #[error("the certificate of block {height}: {error}")]
    Certificate { height: u64, error: BadCertificate },
}

impl CommitProof {
    /// The block that is committed, if this proves it.
    pub fn check(&self, trust: &TrustRoot) -> Result<Committed, BadCommit> {
        let seen = self.headers.len();
        if !(3..=HEADERS_MAX).contains(&seen) {
            return Err(BadCommit::Headers { seen, min: 3, max: HEADERS_MAX });
        }
        self.check_links()?;
        let epoch = self.check_quorums(trust)?;
        let first = &self.headers[0];
        Ok(Committed { epoch, height: first.height, block: first.hash(), data_hash: first.data_hash })
    }

    /// Each header is the parent of the next, and b2 the block that b3 certifies.
    fn check_links(&self) -> Result<(), BadCommit> {
        let justifies = self.headers.iter().skip(1).map(|header| &header.justify).chain([&self.certificate]);
        for (header, justify) in self.headers.iter().zip(justifies) {
            let (seen, expected) = (justify.block, header.hash());
            if seen != expected {
                return Err(BadCommit::Link { height: header.height, seen, expected });
            }
            if (header.justify == Certificate::genesis()) != (header.height == 0) {
                return Err(BadCommit::Genesis { height: header.height });
            }
        }
        for pair in self.headers.windows(2) {
            let (seen, expected) = (pair[1].height, pair[0].height.saturating_add(1));
            if seen != expected {
                return Err(BadCommit::Height { seen, expected });
            }
        }
        Ok(())
    }

    /// The certificates of b0, b1 and b2 are quorums' words, in consecutive views of one epoch, which is returned.
    fn check_quorums(&self, trust: &TrustRoot) -> Result<u64, BadCommit> {
        let last = self.headers.len() - 1;
        let certificates = [&self.headers[last - 1].justify, &self.headers[last].justify, &self.certificate];
        for pair in certificates.windows(2) {
            let (seen, expected) = (pair[1].view, pair[0].view.saturating_add(1));
            if seen != expected {
                return Err(BadCommit::View { seen, expected });
            }
        }
        let mut epoch = None;
        for (header, certificate) in self.headers[last - 2..].iter().zip(certificates) {
            let bad = |error| BadCommit::Certificate { height: header.height, error };
            let (seen, expected) = (certificate.chain, self.certificate.chain);
            if seen != expected {
                return Err(bad(BadCertificate::Chain { seen, expected }));
            }
            epoch = Some(certificate.check(trust).map_err(bad)?);
        }
        Ok(epoch.expect("three certificates were checked").number())
    }
}

/// That a transaction is in a committed block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionProof {
    /// Leaf 0 of the batch: which ledger, when, and how many transactions.
    #[n(0)]
    pub batch: BatchHeader,
    /// From leaf 0 to the batch's root.
    #[n(1)]
    pub batch_path: Vec<Hash>,
    /// Which of the batch's transactions, from 0; its leaf is one further.
    #[n(2)]
    pub index: u64,
    /// The signed transaction.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub transaction: Vec<u8>,
    #[n(4)]
    pub path: Vec<Hash>,
    /// Of the block whose `data_hash` is that root.
    #[n(5)]
    pub commit: CommitProof,
}

impl Cbor for TransactionProof {
    const WHAT: &'static str = "transaction proof";
    const BYTES_MAX: usize = 512 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        Cbor::check(&self.batch)?;
        at_most("signed transaction", self.transaction.len(), TRANSACTION_BYTES_MAX)?;
        for path in [&self.path, &self.batch_path] {
            within("hashes in a path", path.len() as u64, 0, merkle::PATH_MAX as u64)?;
        }
        within("headers in a commit proof", self.commit.headers.len() as u64, 3, HEADERS_MAX as u64)
    }
}

/// Where a transaction stands on its ledger: later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub epoch: u64,
    /// Of the block, on the epoch's chain.
    pub height: u64,
    /// In the block's batch, from 0.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, height, index } = self;
        write!(f, "epoch {epoch}, height {height}, index {index}")
    }
}

/// A transaction that a quorum has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub author: PublicKey,
    pub transaction: Transaction,
    /// SHA-256 of the signed bytes.
    pub hash: Hash,
    pub position: Position,
    /// By the validators' clocks.
    pub committed: Utc,
}

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProofError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Transaction(#[from] BadTransaction),
    #[error(transparent)]
    Commit(#[from] BadCommit),
    #[error("{what} is of ledger {seen}, expected {expected}")]
    Ledger { what: &'static str, seen: LedgerId, expected: LedgerId },
    #[error("transaction {index} of {transactions} cannot be")]
    Index { index: u64, transactions: u64 },
    #[error("the path of the {what} leads to {seen:?}, the block commits to {expected}")]
    Path { what: &'static str, seen: Option<Hash>, expected: Hash },
    #[error("transaction is {seen}, expected {expected}")]
    Event { seen: &'static str, expected: &'static str },
    #[error("{what} is by {seen}, who may not say so")]
    Author { what: &'static str, seen: PublicKey },
    #[error("{what} is of key {seen}, expected {expected}")]
    Key { what: &'static str, seen: PublicKey, expected: PublicKey },
    #[error("{what} is {seen}, expected {expected}")]
    Reference { what: &'static str, seen: Hash, expected: Hash },
    #[error("{what} is of session {seen}, expected {expected}")]
    Session { what: &'static str, seen: farhand_wire::SessionId, expected: farhand_wire::SessionId },
    #[error("consent has been withdrawn")]
    ConsentWithdrawn,
    #[error("roster has {seen} {what}, allowed are {min} to {max}")]
    Roster { what: &'static str, seen: usize, min: usize, max: usize },
    #[error("key {seen} stands twice among people and machines")]
    SameKey { seen: PublicKey },
    #[error("{seen} custody steps are proven, allowed are {min} to {max}")]
    CustodyLength { seen: usize, min: usize, max: usize },
    #[error("custody step {sequence} is {seen:?}, which may not follow {previous:?}")]
    CustodyOrder { sequence: u64, seen: crate::CustodyStep, previous: Option<crate::CustodyStep> },
    #[error("custody sequence is {seen}, expected {expected}")]
    CustodySequence { seen: u64, expected: u64 },
    #[error("custody ends at {seen:?}, expected a kit that is paired")]
    CustodyEnd { seen: crate::CustodyStep },
    #[error("{what} stands at {seen} on the ledger, expected after {after}")]
    Order { what: &'static str, seen: Position, after: Position },
    #[error("it stands at {seen} on the ledger, but the epoch ended at {end}")]
    AfterEnd { seen: Position, end: Position },
}

impl TransactionProof {
    /// A proof of the transaction at `index` of `batch`, given that its block is committed.
    /// `None` if the batch has no such transaction.
    #[must_use]
    pub fn new(batch: &Batch, index: usize, commit: CommitProof) -> Option<Self> {
        let leaves = batch.leaves();
        Some(Self {
            batch: *batch.header(),
            batch_path: merkle::prove_inclusion(&leaves, 0)?,
            index: index as u64,
            transaction: batch.transactions().nth(index)?.to_vec(),
            path: merkle::prove_inclusion(&leaves, index + 1)?,
            commit,
        })
    }

    /// The transaction, if this proves that it is committed.
    pub fn check(&self, trust: &TrustRoot) -> Result<Proven, ProofError> {
        Cbor::check(self)?;
        let committed = self.commit.check(trust)?;
        self.check_paths(committed.data_hash)?;
        let Authored { author, transaction, hash } = Transaction::open(&self.transaction)?;
        for (what, seen) in [("batch", self.batch.ledger), ("transaction", transaction.ledger)] {
            if seen != trust.ledger() {
                return Err(ProofError::Ledger { what, seen, expected: trust.ledger() });
            }
        }
        let position = Position { epoch: committed.epoch, height: committed.height, index: self.index };
        if let Some(end) = trust.end_of(position.epoch).filter(|end| position > *end) {
            return Err(ProofError::AfterEnd { seen: position, end });
        }
        Ok(Proven { author, transaction, hash, position, committed: self.batch.at })
    }

    fn check_paths(&self, data_hash: Hash) -> Result<(), ProofError> {
        let (index, transactions) = (self.index, self.batch.transactions);
        if index >= transactions {
            return Err(ProofError::Index { index, transactions });
        }
        let header = merkle::leaf_hash(&self.batch.to_bytes());
        let transaction = merkle::leaf_hash(&self.transaction);
        for (what, leaf, at, path) in [
            ("batch header", header, 0, &self.batch_path),
            ("transaction", transaction, index + 1, &self.path),
        ] {
            let seen = merkle::root_of_inclusion(leaf, at, transactions + 1, path);
            if seen != Some(data_hash) {
                return Err(ProofError::Path { what, seen, expected: data_hash });
            }
        }
        Ok(())
    }
}

impl Proven {
    /// The error of a proof that is good, but of something else.
    pub(crate) fn unexpected(&self, expected: &'static str) -> ProofError {
        ProofError::Event { seen: self.transaction.event.name(), expected }
    }
}

impl Event {
    /// What it is, in words.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::Grant(_) => "a grant",
            Event::SessionOpened(_) => "a session's opening",
            Event::RosterAdded(_) => "an addition to a roster",
            Event::Consent(_) => "a consent",
            Event::Custody(_) => "a custody step",
            Event::Checkpoint(_) => "a checkpoint",
            Event::ModelDigest(_) => "a model's digest",
            Event::HandOver(_) => "a hand-over",
            Event::Sealed(_) => "a sealing",
            Event::Exported(_) => "an export",
            Event::EpochEnded(_) => "the end of an epoch",
        }
    }
}
