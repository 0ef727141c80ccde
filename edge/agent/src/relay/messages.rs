//! What the relay takes and what it gives.

use bytes::Bytes;
use farhand_ledger::{FrameEntry, VerifiedOpening};
use farhand_record::Recorded;
use farhand_wire::{FrameRecord, Watermark};

use crate::meeting::Guest;

/// One console, over as many paths as stand, numbered by the driver; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsoleId(pub u64);

/// A data channel of a console, as in `docs/signalling.md`. (`frames` goes out only, beside the picture.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Control,
    Statements,
}

/// How a message goes to the kit or came from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A datagram: at once or not at all.
    Datagram,
    /// In order, whole, once.
    Reliable,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The session's opening, verified; once. `evidence` is its CBOR.
    Opened {
        opening: Box<VerifiedOpening>,
        evidence: Bytes,
    },
    /// A console was let in; nothing it says counts before.
    ConsoleCame {
        console: ConsoleId,
        guest: Guest,
        vouched: Bytes,
    },
    /// Its reliable channel is open.
    ConsoleListens {
        console: ConsoleId,
    },
    /// Its last path has ended.
    ConsoleLeft {
        console: ConsoleId,
    },
    /// One more path to a console that is there. `vouched`: its word for that path's certificate.
    PathCame {
        console: ConsoleId,
        path: u8,
        vouched: Bytes,
    },
    /// One of its paths has ended, and another stands. `rtt_ms`: as ICE measured it, where it did.
    PathLeft {
        console: ConsoleId,
        path: u8,
        rtt_ms: Option<f64>,
    },
    /// A signed statement of this edge box's own, to be recorded.
    OwnStatement {
        signed: Bytes,
    },
    /// Over that path. Statements come once, whatever paths there are; what comes on `control` may come over each.
    FromConsole {
        console: ConsoleId,
        path: u8,
        channel: Channel,
        message: Bytes,
    },
    /// A new connection to the kit. What an older one had heard of its clock is void.
    KitCame,
    KitLeft,
    FromKit {
        route: Route,
        message: Bytes,
    },
    /// The cloud asks the kit for its custody, CBOR.
    CustodyAsked {
        ask: Bytes,
    },
    /// An encoded picture. `kit_tick_at_capture` of the entry is filled in here.
    Frame {
        entry: FrameEntry,
        unit: Bytes,
    },
    /// What is durable: to the kit as often as it changes, for the kit holds when it falls behind; to everybody every
    /// 100 ms.
    Durable {
        watermark: Watermark,
        to_everybody: bool,
    },
    /// Something else of the edge box came or went: `cloud` or `video`.
    Switched {
        what: &'static str,
        on: bool,
        reason: String,
    },
    /// The record is sealed: nothing is recorded any more, and so nothing but stops and the kit's word passes.
    Sealed,
}

/// What to do, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    Record(Passed),
    ToKit {
        route: Route,
        message: Bytes,
    },
    /// Over every path of it.
    ToConsole {
        console: ConsoleId,
        channel: Channel,
        message: Bytes,
    },
    /// Back over the path that the question came on, unreliably.
    ToPath {
        console: ConsoleId,
        path: u8,
        message: Bytes,
    },
    /// Pictures go to that console over this path from now on.
    PicturesVia {
        console: ConsoleId,
        path: u8,
    },
    /// Whether any surgeon who is here wants to see what the net sees.
    SightWanted(bool),
    /// The picture just taken in goes to this surgeon, with this beside it.
    Picture {
        console: ConsoleId,
        record: FrameRecord,
    },
    /// This console must make room: another has its key, or there are too many.
    Dismiss {
        console: ConsoleId,
    },
    ToCloud {
        custody_answer: Bytes,
    },
    /// The kit says, signed, that it is armed, or no longer.
    Armed(bool),
    /// The kit says, signed, that the operation is over. Once.
    Closed,
}

/// Owned [`Recorded`].
#[derive(Clone, Debug)]
pub enum Passed {
    Opened { evidence: Bytes },
    Command { frame: Bytes },
    KitState { sealed: Bytes },
    Statement { signed: Bytes },
    Frame { entry: FrameEntry, unit: Bytes },
    SurgeonSegment { signed: Bytes },
    KitSegment { signed: Bytes },
    DisplayReport { signed: Bytes },
    Switch { what: &'static str, on: bool, reason: String },
}

impl Passed {
    /// For the recorder.
    #[must_use]
    pub fn as_recorded(&self) -> Recorded<'_> {
        match self {
            Self::Opened { evidence } => Recorded::Opened { evidence },
            Self::Command { frame } => Recorded::Command { frame },
            Self::KitState { sealed } => Recorded::KitState { sealed },
            Self::Statement { signed } => Recorded::Statement { signed },
            Self::Frame { entry, unit } => Recorded::Frame { entry: *entry, unit },
            Self::SurgeonSegment { signed } => Recorded::SurgeonSegment { signed },
            Self::KitSegment { signed } => Recorded::KitSegment { signed },
            Self::DisplayReport { signed } => Recorded::DisplayReport { signed },
            Self::Switch { what, on, reason } => Recorded::Switch { what, on: *on, reason },
        }
    }
}

/// Messages that changed nothing, and why. They are not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Not a message of ours, or longer than [`MESSAGE_BYTES_MAX`](super::MESSAGE_BYTES_MAX).
    pub malformed: u64,
    /// A message of ours that has no business there.
    pub misplaced: u64,
    /// By somebody who may not say it, or whose signature does not hold.
    pub unauthorised: u64,
    /// About another session.
    pub other_session: u64,
    /// Commands that had come over another path before: the first counts.
    pub copies: u64,
}
