//! Farhand's evidence, from the bytes up: who said what, in which order, and how somebody who trusts none of us checks it.
//!
//! **Everything here is a function of bytes.** No clock, no random numbers, no socket, thread or file: whoever reads
//! this crate and builds it can verify a session offline. `docs/evidence-format.md` says every byte in prose, and
//! `docs/evidence.cddl` is the contract for whatever is CBOR.
//!
//! Bottom up: [`merkle`] (RFC 9162), [`Transaction`] (a signed fact for the ledger), [`Batch`] (what a block commits
//! to), [`Header`] and [`Certificate`] (HotStuff's own bytes), [`CommitProof`] and [`TransactionProof`] (a fact that
//! a quorum has committed, against a [`TrustRoot`] held beforehand), [`VerifiedOpening`] (what a kit needs before it
//! arms). Then the session: [`Entry`] (one leaf), [`SessionLog`] (the file they are written ahead to), [`Segment`]s (what
//! surgeon, kit and display sign), and [`verify`](mod@verify), which checks them all.

mod batch;
mod block;
mod cbor;
mod custody_request;
mod entry;
pub mod five_keys;
mod hash;
mod log;
mod manifest;
pub mod merkle;
mod opening;
mod people;
pub mod picture;
mod proof;
mod segment;
mod transaction;
mod trust;
pub mod verify;

pub use batch::{BATCH_BYTES_MAX, Batch, BatchHeader, TRANSACTIONS_MAX};
pub use block::{BadCertificate, Certificate, Header, VOTE_BYTES, vote_payload};
pub use cbor::{Cbor, Malformed};
pub use custody_request::{CustodyAnswer, CustodyRequest, KitStep};
pub use entry::{
    Closing, ENTRY_BYTES_MAX, Entry, FrameEntry, Gap, Numbered, REASON_BYTES_MAX, REGION_BYTES_MAX, UNHELD,
    What,
};
pub use hash::{Hash, LedgerId, Salt};
pub use log::{
    BadLog, LOG_HEAD_BYTES, RECORD_HEAD_BYTES, Record, Records, Recovered, SessionLog, Torn, read_record,
};
pub use manifest::{Binding, Manifest, Software};
pub use opening::{OpeningEvidence, VerifiedOpening, verify_opening};
pub use people::{NotTheirs, People};
pub use proof::{BadCommit, CommitProof, Committed, HEADERS_MAX, ProofError, Proven, TransactionProof};
pub use segment::{
    BadLink, Chain, DisplayReport, KitSegment, KitVerdict, Link, Outcome, SEGMENT_ITEMS_MAX, Segment, Sent,
    Shown, SurgeonSegment,
};
pub use transaction::{
    Authored, BadTransaction, Checkpoint, CheckpointError, Consent, Custody, CustodyStep, Event, Export,
    Grant, HandOver, Member, ModelDigest, Opening, ROSTER_MAX, RosterAddition, Sealing,
    TRANSACTION_BYTES_MAX, TRANSACTION_DOMAIN, Transaction, Utc,
};
pub use trust::{BadTrust, HOSPITALS_MAX, TrustRoot, VALIDATORS_MAX, VALIDATORS_MIN, Validator};
