//! Leaves of the session log.
//!
//! A leaf is one [`Entry`]: a salt, its number, when the edge box recorded it, and [`What`]. What somebody else signed
//! or sealed is kept verbatim, so that it can be checked without believing the edge box. The salt keeps the hash of a
//! redacted leaf from being guessed. **A kind that is not known is an error, never skipped**: who verifies must
//! understand all of it.

use farhand_wire::{
    COMMAND_BYTES, EdgeTick, EngagementId, FrameId, HoldNumber, KIT_STATE_BYTES, KitTick, LeaseToken,
    STATEMENT_BYTES_MAX, Sequence,
};
use minicbor::{Decode, Decoder, Encode};

use crate::{
    Cbor, Hash, Malformed, OpeningEvidence, Salt, TransactionProof, Utc,
    cbor::{at_most, within},
    transaction::name,
};

/// No leaf is longer.
pub const ENTRY_BYTES_MAX: usize = OpeningEvidence::BYTES_MAX + 4096;
/// No snapshot of a region is longer.
pub const REGION_BYTES_MAX: usize = 64 * 1024;
/// No reason, in words, has more bytes.
pub const REASON_BYTES_MAX: usize = 512;
/// The source of a clock leaf where nothing says how far the clock is off.
pub const UNHELD: &str = "none";
/// A clock that is off by more is none.
const OFFSET_US_MAX: u64 = 86_400_000_000;
/// The highest kind in [`What`].
const KIND_MAX: u64 = 17;

/// One leaf.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Random, so that the hash of a leaf that was redacted can't be guessed.
    #[n(0)]
    pub salt: Salt,
    /// Its index in the tree, from 0.
    #[n(1)]
    pub number: u64,
    /// When the edge box recorded it, on its own clock.
    #[n(2)]
    pub recorded: EdgeTick,
    #[n(3)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum What {
    /// Always the first leaf, and only that: [`OpeningEvidence`] as the kit was shown it.
    #[n(0)]
    Opened {
        #[cbor(n(0), with = "minicbor::bytes")]
        evidence: Vec<u8>,
    },
    /// A command from the console, verbatim, with its code.
    #[n(1)]
    Command {
        #[cbor(n(0), with = "minicbor::bytes")]
        frame: Vec<u8>,
    },
    /// A [`SurgeonSegment`](crate::SurgeonSegment), as signed.
    #[n(2)]
    SurgeonSegment {
        #[cbor(n(0), with = "minicbor::bytes")]
        signed: Vec<u8>,
    },
    /// A [`KitSegment`](crate::KitSegment), as signed.
    #[n(3)]
    KitSegment {
        #[cbor(n(0), with = "minicbor::bytes")]
        signed: Vec<u8>,
    },
    /// A frame that went to the console.
    #[n(4)]
    Frame(#[n(0)] FrameEntry),
    /// A [`DisplayReport`](crate::DisplayReport), as signed.
    #[n(5)]
    DisplayReport {
        #[cbor(n(0), with = "minicbor::bytes")]
        signed: Vec<u8>,
    },
    /// A [`Statement`](farhand_wire::Statement), as signed: arming, hand-over, e-stop, clearing, leases and all others.
    #[n(6)]
    Statement {
        #[cbor(n(0), with = "minicbor::bytes")]
        signed: Vec<u8>,
    },
    /// A [`KitState`](farhand_wire::KitState) from the kit, verbatim, with its code.
    #[n(7)]
    KitState {
        #[cbor(n(0), with = "minicbor::bytes")]
        sealed: Vec<u8>,
    },
    /// An overlay that went to the console.
    #[n(8)]
    Overlay {
        #[n(0)]
        frame: FrameId,
        /// SHA-256 of the model's weights.
        #[n(1)]
        model: Hash,
        /// SHA-256 of the overlay's bytes.
        #[n(2)]
        overlay: Hash,
    },
    /// The kit began to follow an engagement.
    #[n(9)]
    Engagement {
        #[n(0)]
        token: LeaseToken,
        #[n(1)]
        engagement: EngagementId,
        #[n(2)]
        hold: HoldNumber,
        /// Its first command.
        #[n(3)]
        first: Sequence,
    },
    /// A version of the forbidden regions, as sent to the kit.
    #[n(10)]
    Region {
        #[n(0)]
        version: u64,
        #[cbor(n(1), with = "minicbor::bytes")]
        snapshot: Vec<u8>,
    },
    /// Something was switched on or off: a path, the overlay, recording itself.
    #[n(11)]
    Switch {
        #[n(0)]
        what: String,
        #[n(1)]
        on: bool,
        #[n(2)]
        reason: String,
    },
    /// What should be here is not, and the edge box knows.
    #[n(12)]
    Gap(#[n(0)] Gap),
    /// What time it was, when this was recorded.
    #[n(13)]
    Clock {
        #[n(0)]
        utc: Utc,
        /// By what the machine's clock was held, in words: [`UNHELD`] if by nothing that says so.
        #[n(1)]
        source: String,
        /// By its word: what is to be added to `utc`, µs.
        #[n(2)]
        offset_us: i64,
    },
    /// A committed transaction about this session, such as a person who joined: a [`TransactionProof`].
    #[n(14)]
    Proof {
        #[cbor(n(0), with = "minicbor::bytes")]
        proof: Vec<u8>,
    },
    /// Something about a person: SHA-256(salt ‖ ciphertext); key and salt are kept elsewhere and can be destroyed.
    #[n(15)]
    Personal {
        #[n(0)]
        commitment: Hash,
    },
    /// The edge box's program started again: its clock begins anew.
    #[n(16)]
    Restarted {
        #[n(0)]
        reason: String,
    },
    /// Always the last leaf.
    #[n(17)]
    Closed(#[n(0)] Closing),
}

/// A frame that went to the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FrameEntry {
    /// From 1, one more each frame.
    #[n(0)]
    pub frame: FrameId,
    /// 90 kHz.
    #[n(1)]
    pub rtp_timestamp: u32,
    #[n(2)]
    pub captured: EdgeTick,
    /// The newest kit tick that the edge box held then: the picture's age is measured from it.
    #[n(3)]
    pub kit_tick_at_capture: KitTick,
    #[n(4)]
    pub key_frame: bool,
    /// Over every NAL unit that was sent ([`picture`](crate::picture)).
    #[n(5)]
    pub au_hash: Hash,
    /// Over NAL unit types 1 to 5.
    #[n(6)]
    pub picture_hash: Hash,
    /// Bytes of the access unit.
    #[n(7)]
    pub au_bytes: u64,
}

/// Numbers that are missing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gap {
    #[n(0)]
    pub of: Numbered,
    /// For commands; zero for all others.
    #[n(1)]
    pub token: LeaseToken,
    #[n(2)]
    pub first: u64,
    #[n(3)]
    pub last: u64,
    #[n(4)]
    pub reason: String,
}

/// What has numbers without holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Numbered {
    #[n(0)]
    Commands,
    #[n(1)]
    Frames,
    #[n(2)]
    SurgeonSegments,
    #[n(3)]
    KitSegments,
    #[n(4)]
    DisplayReports,
}

/// How much was recorded, so that nothing can be cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Closing {
    #[n(0)]
    pub commands: u64,
    #[n(1)]
    pub frames: u64,
    #[n(2)]
    pub surgeon_segments: u64,
    #[n(3)]
    pub kit_segments: u64,
    #[n(4)]
    pub display_reports: u64,
    #[n(5)]
    pub statements: u64,
    #[n(6)]
    pub reason: String,
}

impl What {
    /// The time by a clock that nothing holds.
    #[must_use]
    pub fn unheld_clock(utc: Utc) -> Self {
        Self::Clock { utc, source: UNHELD.to_owned(), offset_us: 0 }
    }
}

impl Entry {
    /// The entry in a leaf's bytes. A kind that this version does not know is [`Malformed::UnknownKind`].
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        at_most(Self::WHAT, bytes.len(), Self::BYTES_MAX)?;
        match kind(bytes) {
            Ok(kind) if kind > KIND_MAX => Err(Malformed::UnknownKind { what: Self::WHAT, kind }),
            _ => <Self as Cbor>::read(bytes),
        }
    }
}

/// The number of the leaf's kind.
fn kind(bytes: &[u8]) -> Result<u64, minicbor::decode::Error> {
    let mut decoder = Decoder::new(bytes);
    decoder.array()?;
    for _ in 0..3 {
        decoder.skip()?;
    }
    decoder.array()?;
    decoder.u64()
}

impl Cbor for Entry {
    const WHAT: &'static str = "leaf";
    const BYTES_MAX: usize = ENTRY_BYTES_MAX;

    fn check(&self) -> Result<(), Malformed> {
        match &self.what {
            What::Opened { evidence } => {
                at_most("opening evidence", evidence.len(), OpeningEvidence::BYTES_MAX)
            }
            What::Command { frame } => exactly("command", frame.len(), COMMAND_BYTES),
            What::KitState { sealed } => exactly("kit state", sealed.len(), KIT_STATE_BYTES),
            What::SurgeonSegment { signed }
            | What::KitSegment { signed }
            | What::DisplayReport { signed }
            | What::Statement { signed } => at_most("signed message", signed.len(), STATEMENT_BYTES_MAX),
            What::Region { snapshot, .. } => at_most("region", snapshot.len(), REGION_BYTES_MAX),
            What::Switch { what, reason, .. } => name("switch", what).and(words(reason)),
            What::Gap(gap) => {
                within("last number of a gap", gap.last, gap.first, u64::MAX).and(words(&gap.reason))
            }
            What::Clock { utc, source, offset_us } => {
                let off_us = offset_us.unsigned_abs();
                utc.check().and(name("clock source", source)).and(within("offset", off_us, 0, OFFSET_US_MAX))
            }
            What::Proof { proof } => at_most("transaction proof", proof.len(), TransactionProof::BYTES_MAX),
            What::Restarted { reason } => words(reason),
            What::Closed(closing) => words(&closing.reason),
            What::Frame(_) | What::Overlay { .. } | What::Engagement { .. } | What::Personal { .. } => Ok(()),
        }
    }
}

fn exactly(what: &'static str, bytes: usize, expected: usize) -> Result<(), Malformed> {
    if bytes == expected { Ok(()) } else { Err(Malformed::Length { what, bytes, expected }) }
}

fn words(reason: &str) -> Result<(), Malformed> {
    at_most("reason", reason.len(), REASON_BYTES_MAX)
}
