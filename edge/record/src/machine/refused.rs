//! Why something does not become a leaf: with it, the log would not hold.

use farhand_ledger::{BadTransaction, Malformed, NotTheirs, ProofError};
use farhand_wire::{BadSignature, LeaseToken, PublicKey, Sequence, SessionId};
use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Error)]
pub(crate) enum Refused {
    #[error("it came before the session's opening")]
    NotOpened,
    #[error("the record is closed")]
    Closed,
    #[error("the session's opening does not hold: {0}")]
    Opening(ProofError),
    #[error("the session is opened already, by other evidence")]
    AnotherOpening,
    #[error("{what} of session {seen}, this is {expected}")]
    Session { what: &'static str, seen: SessionId, expected: SessionId },
    #[error("the session was opened for edge box {expected}, this one is {seen}")]
    Edge { seen: PublicKey, expected: PublicKey },
    #[error("{what}: {error}")]
    Wire { what: &'static str, error: farhand_wire::Malformed },
    #[error("{what}: {error}")]
    Signature { what: &'static str, error: BadSignature },
    #[error("{what}: {error}")]
    Segment { what: &'static str, error: BadTransaction },
    #[error(transparent)]
    Leaf(#[from] Malformed),
    #[error("{what} by {seen}, who may not say so")]
    Author { what: &'static str, seen: PublicKey },
    #[error(transparent)]
    Statement(#[from] NotTheirs),
    #[error("a command under token {token}, which the kit did not grant to anybody")]
    NoLease { token: LeaseToken },
    #[error("command {sequence} under token {token} is on record already, or came far too late")]
    CommandRepeated { token: LeaseToken, sequence: Sequence },
    #[error("{what} {number} is on record already")]
    Repeated { what: &'static str, number: u64 },
    #[error("{what} {number} does not name the one before it")]
    Forks { what: &'static str, number: u64 },
    #[error("a display report names frame {frame}, which the record lost")]
    FrameLost { frame: u64 },
}

impl Refused {
    /// Sent again because nobody knew whether it had arrived: nothing is wrong.
    pub(crate) fn is_repetition(&self) -> bool {
        matches!(self, Self::CommandRepeated { .. } | Self::Repeated { .. })
    }
}
