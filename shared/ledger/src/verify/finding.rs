//! What a verifier finds.

use farhand_wire::{BadSignature, EdgeTick, FrameId, LeaseToken, PublicKey, Sequence, SessionId};
use thiserror::Error;

use crate::{
    BadLink, BadTransaction, BadTrust, CheckpointError, Closing, Hash, KitVerdict, Malformed, NotTheirs,
    Numbered, Position, ProofError,
};

/// No report lists more; the rest is counted.
pub const FINDINGS_MAX: usize = 1000;
/// Nor more notes, so that they crowd out no fault.
const NOTES_MAX: usize = 500;

/// Something that a reader of the report should know, and at which leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub leaf: Option<u64>,
    pub problem: Problem,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said for completeness.
    Note,
    /// Something is not there. Where leaves were redacted it may be one of those, and is a note; otherwise it is a
    /// violation.
    Absence,
    /// A leaf that this version can't read.
    Unreadable,
    /// Something is there that should not be.
    Violation,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "each says itself in words")]
pub enum Problem {
    // About the bundle as a whole.
    #[error("the trust root that the bundle brings: {0}")]
    OwnTrust(BadTrust),
    #[error("the bundle is of the ledger with fingerprint {seen}, the trust root given has {expected}")]
    OtherTrust { seen: Hash, expected: Hash },
    #[error("manifest is of session {seen}, the opening of {expected}")]
    ManifestSession { seen: SessionId, expected: SessionId },
    #[error("{0}")]
    Malformed(Malformed),
    #[error("the session does not begin with its opening")]
    NotOpened,
    #[error("the opening: {0}")]
    Opening(ProofError),
    #[error("a session is opened, or closed, in its middle")]
    Misplaced,
    #[error("leaf says number {seen}, it stands at {expected}")]
    Number { seen: u64, expected: u64 },
    #[error("recorded at {} µs, before {} µs", seen.0, newest.0)]
    Recorded { seen: EdgeTick, newest: EdgeTick },
    #[error("the edge box's program started again: {reason}")]
    Restarted { reason: String },
    #[error("the edge box says that {of:?} {first} to {last} are missing: {reason}")]
    Gap { of: Numbered, first: u64, last: u64, reason: String },
    #[error("leaf is redacted")]
    Redacted,
    #[error("closing counts {claimed:?}, the log has {seen:?}, {redacted} leaves are redacted")]
    Counts { claimed: Box<Closing>, seen: Box<Closing>, redacted: u64 },
    #[error("the session is not closed")]
    NotClosed,

    // About checkpoints and the seal.
    #[error("the proof of a checkpoint: {0}")]
    CheckpointProof(ProofError),
    #[error("the proof of a checkpoint shows {seen}")]
    NotACheckpoint { seen: &'static str },
    #[error("checkpoint by {seen}, expected the edge box {expected}")]
    CheckpointAuthor { seen: PublicKey, expected: PublicKey },
    #[error("{0}")]
    Checkpoint(CheckpointError),
    #[error("a checkpoint is of session {seen}, expected {expected}")]
    CheckpointSession { seen: SessionId, expected: SessionId },
    #[error("checkpoint stands at {seen} on the ledger, expected after {after}")]
    CheckpointOrder { seen: Position, after: Position },
    #[error("checkpoint says {seen_us} µs, the validators committed it at {committed_us} µs, before")]
    CheckpointTime { seen_us: u64, committed_us: u64 },
    #[error("with {size} leaves the log has root {seen}, the committed checkpoint {expected}")]
    Root { size: u64, seen: Hash, expected: Hash },
    #[error("a checkpoint of {checkpointed} leaves is committed, the log has {size}")]
    Cut { checkpointed: u64, size: u64 },
    #[error("the checkpoints end at {seen} leaves, the seal stands on one of {expected}")]
    CheckpointsEnd { seen: u64, expected: u64 },
    #[error("the seal: {0}")]
    Seal(ProofError),
    #[error("the proof of the seal shows {seen}")]
    NotASeal { seen: &'static str },
    #[error("the seal is by {seen}, expected the edge box {expected}")]
    SealAuthor { seen: PublicKey, expected: PublicKey },
    #[error("the seal says {what} {expected}, the bundle has {seen}")]
    SealNumber { what: &'static str, seen: u64, expected: u64 },
    #[error("the seal says {what} {expected}, the bundle has {seen}")]
    SealHash { what: &'static str, seen: Hash, expected: Hash },
    #[error("the seal is of session {seen}, expected {expected}")]
    SealSession { seen: SessionId, expected: SessionId },

    // About who says what.
    #[error("{what} is not signed by its author: {error}")]
    Signature { what: &'static str, error: BadSignature },
    #[error("{what}: {error}")]
    Segment { what: &'static str, error: BadTransaction },
    #[error("{what} is by {seen}, who may not say so")]
    Author { what: &'static str, seen: PublicKey },
    #[error("{what} is of session {seen}, expected {expected}")]
    Session { what: &'static str, seen: SessionId, expected: SessionId },
    #[error("more {what} than any session has")]
    TooMany { what: &'static str },
    #[error("{what}: {error}")]
    Chain { what: &'static str, error: BadLink },
    #[error("a committed transaction: {0}")]
    Transaction(ProofError),

    // About commands.
    #[error("{what} is no message of ours: {error}")]
    Wire { what: &'static str, error: farhand_wire::Malformed },
    #[error("command {} under token {} carries no code", sequence.0, token.0)]
    NoCode { token: LeaseToken, sequence: Sequence },
    #[error("command {} under token {} names frame {}, the newest is {}", sequence.0, token.0, seen.0, newest.0)]
    UnseenFrame { token: LeaseToken, sequence: Sequence, seen: FrameId, newest: FrameId },
    #[error("command {} under token {} is logged twice", sequence.0, token.0)]
    Twice { token: LeaseToken, sequence: Sequence },
    #[error("token {} was granted to {seen} and to {expected}", token.0)]
    TwoHolders { token: LeaseToken, seen: PublicKey, expected: PublicKey },
    #[error("nobody was granted token {}", token.0)]
    NoLease { token: LeaseToken },
    #[error("commands under token {} are listed by {seen}, it was granted to {expected}", token.0)]
    NotHolder { token: LeaseToken, seen: PublicKey, expected: PublicKey },
    #[error("the surgeon's list goes on at {} under token {}, expected {}", seen.0, token.0, expected.0)]
    ListHole { token: LeaseToken, seen: Sequence, expected: Sequence },
    #[error("command {} under token {} is logged as {seen}, the surgeon sent {expected}", sequence.0, token.0)]
    OtherCommand { token: LeaseToken, sequence: Sequence, seen: Hash, expected: Hash },
    #[error("command {} under token {} is in no list of the surgeon's", sequence.0, token.0)]
    Unlisted { token: LeaseToken, sequence: Sequence },
    #[error("the kit judged command {} under token {}, which is not logged", sequence.0, token.0)]
    Unlogged { token: LeaseToken, sequence: Sequence },
    #[error("the kit judged command {} under token {} twice: {seen:?}", sequence.0, token.0)]
    JudgedTwice { token: LeaseToken, sequence: Sequence, seen: KitVerdict },
    #[error("the kit took in command {} under token {} after {} under token {}", seen.1, seen.0, newest.1, newest.0)]
    TakenInLate { seen: (u64, u64), newest: (u64, u64) },
    #[error("the kit's segment covers {seen_from} to {seen_to} µs, expected from {expected_from}")]
    KitTime { seen_from: u64, seen_to: u64, expected_from: u64 },
    #[error("the kit's verdict at {tick} µs lies outside its segment, {from} to {to}")]
    VerdictTime { tick: u64, from: u64, to: u64 },
    #[error("the kit took in command {} under token {} at {tick} µs, the command knows of {echo} µs", sequence.0, token.0)]
    JudgedEarly { token: LeaseToken, sequence: Sequence, tick: u64, echo: u64 },
    #[error("commands {first} to {last} under token {} were sent and are not in the log", token.0)]
    LostToEdge { token: LeaseToken, first: u64, last: u64 },
    #[error("commands {first} to {last} under token {} are in the log and in no list of the kit's", token.0)]
    LostToKit { token: LeaseToken, first: u64, last: u64 },
    #[error("command {} under token {} says that frame {} was {seen_us} µs old, the edge box's clock {by_edge_us} µs", sequence.0, token.0, frame.0)]
    FrameAge { token: LeaseToken, sequence: Sequence, frame: FrameId, seen_us: u64, by_edge_us: u64 },

    // About frames.
    #[error("frame {} follows, expected {}", seen.0, expected.0)]
    FrameNumber { seen: FrameId, expected: FrameId },
    #[error("frame {} was captured at {} µs, before {} µs", frame.0, seen.0, newest.0)]
    FrameTime { frame: FrameId, seen: EdgeTick, newest: EdgeTick },
    #[error("frame {} was shown with picture hash {seen}, sent was {expected}", frame.0)]
    OtherPicture { frame: FrameId, seen: Hash, expected: Hash },
    #[error("frame {} was shown, but never sent; the newest is {}", frame.0, newest.0)]
    NeverSent { frame: FrameId, newest: FrameId },
    #[error("frame {} was shown {seen_us} µs after its capture, and reported {by_edge_us} µs after it", frame.0)]
    GlassToGlass { frame: FrameId, seen_us: u64, by_edge_us: u64 },

    #[error("{0}; the edge box declared the gap in which this lies")]
    Declared(Box<Problem>),
}

impl Problem {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Problem::Restarted { .. }
            | Problem::Gap { .. }
            | Problem::Redacted
            | Problem::LostToEdge { .. }
            | Problem::LostToKit { .. }
            | Problem::FrameAge { .. }
            | Problem::GlassToGlass { .. }
            | Problem::Declared(_) => Severity::Note,
            Problem::Malformed(_) => Severity::Unreadable,
            Problem::NotOpened
            | Problem::NotClosed
            | Problem::Chain { .. }
            | Problem::NoLease { .. }
            | Problem::Author { .. }
            | Problem::ListHole { .. }
            | Problem::Unlisted { .. }
            | Problem::Unlogged { .. }
            | Problem::KitTime { .. }
            | Problem::UnseenFrame { .. }
            | Problem::NeverSent { .. }
            | Problem::FrameNumber { .. } => Severity::Absence,
            _ => Severity::Violation,
        }
    }

    /// Its name in `docs/evidence-format.md`, section 12.1: the same for every verifier.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Problem::OwnTrust(_) => "bundle-trust-root",
            Problem::OtherTrust { .. } => "other-ledger",
            Problem::ManifestSession { .. } => "manifest-session",
            Problem::Malformed(_) => "unreadable",
            Problem::NotOpened => "not-opened",
            Problem::Opening(_) => "opening",
            Problem::Misplaced => "misplaced",
            Problem::Number { .. } => "leaf-number",
            Problem::Recorded { .. } => "recorded",
            Problem::Restarted { .. } => "restarted",
            Problem::Gap { .. } => "gap",
            Problem::Redacted => "redacted",
            Problem::Counts { .. } => "closing-counts",
            Problem::NotClosed => "not-closed",
            Problem::CheckpointProof(_) | Problem::NotACheckpoint { .. } => "checkpoint-proof",
            Problem::CheckpointAuthor { .. } => "checkpoint-author",
            Problem::Checkpoint(_) | Problem::CheckpointSession { .. } | Problem::CheckpointOrder { .. } => {
                "checkpoint-chain"
            }
            Problem::CheckpointTime { .. } => "checkpoint-time",
            Problem::Root { .. } => "checkpoint-root",
            Problem::Cut { .. } => "checkpoint-beyond",
            Problem::CheckpointsEnd { .. } => "checkpoints-end",
            Problem::Seal(_) | Problem::NotASeal { .. } => "seal-proof",
            Problem::SealAuthor { .. }
            | Problem::SealNumber { .. }
            | Problem::SealHash { .. }
            | Problem::SealSession { .. } => "seal",
            Problem::Signature { .. } | Problem::Segment { .. } => "envelope",
            Problem::Author { .. } => "author",
            Problem::Session { .. } => "session",
            Problem::TooMany { .. } => "too-many",
            Problem::Chain { .. } => "segment-chain",
            Problem::Transaction(_) => "transaction",
            Problem::Wire { .. } => "wire",
            Problem::NoCode { .. } => "command-code",
            Problem::UnseenFrame { .. } => "unseen-frame",
            Problem::Twice { .. } => "command-twice",
            Problem::TwoHolders { .. } => "two-holders",
            Problem::NoLease { .. } => "no-lease",
            Problem::NotHolder { .. } => "not-holder",
            Problem::ListHole { .. } => "list-hole",
            Problem::OtherCommand { .. } => "other-command",
            Problem::Unlisted { .. } => "unlisted-command",
            Problem::Unlogged { .. } => "unlogged-command",
            Problem::JudgedTwice { .. } => "judged-twice",
            Problem::TakenInLate { .. } => "taken-in-late",
            Problem::KitTime { .. } => "kit-time",
            Problem::VerdictTime { .. } => "verdict-time",
            Problem::JudgedEarly { .. } => "judged-early",
            Problem::LostToEdge { .. } => "lost-to-edge",
            Problem::LostToKit { .. } => "lost-to-kit",
            Problem::FrameAge { .. } => "frame-age",
            Problem::FrameNumber { .. } => "frame-number",
            Problem::FrameTime { .. } => "frame-time",
            Problem::OtherPicture { .. } => "other-picture",
            Problem::NeverSent { .. } => "never-sent",
            Problem::GlassToGlass { .. } => "glass-to-glass",
            Problem::Declared(problem) => problem.name(),
        }
    }
}

impl From<NotTheirs> for Problem {
    fn from(why: NotTheirs) -> Self {
        match why {
            NotTheirs::Session { seen, expected } => Self::Session { what: "statement", seen, expected },
            NotTheirs::Author { what, seen } => Self::Author { what, seen },
            NotTheirs::TwoHolders { token, seen, expected } => Self::TwoHolders { token, seen, expected },
            NotTheirs::TooMany { what } => Self::TooMany { what },
        }
    }
}

/// Findings so far, bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    pub(super) left_out: u64,
    notes: usize,
    absences: u64,
    unreadable: u64,
    violations: u64,
}

impl Findings {
    pub(super) fn add(&mut self, leaf: impl Into<Option<u64>>, problem: Problem) {
        let is_note = problem.severity() == Severity::Note;
        match problem.severity() {
            Severity::Note => self.notes += 1,
            Severity::Absence => self.absences += 1,
            Severity::Unreadable => self.unreadable += 1,
            Severity::Violation => self.violations += 1,
        }
        if self.list.len() < FINDINGS_MAX && !(is_note && self.notes > NOTES_MAX) {
            self.list.push(Finding { leaf: leaf.into(), problem });
        } else {
            self.left_out += 1;
        }
    }

    /// Whether something does not hold, given whether leaves were redacted.
    pub(super) fn violated(&self, redacted: bool) -> bool {
        self.violations > 0 || (self.absences > 0 && !redacted)
    }

    pub(super) fn unreadable(&self) -> bool {
        self.unreadable > 0
    }
}
