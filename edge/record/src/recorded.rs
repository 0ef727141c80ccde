//! What the edge box hands to the session's record.

use bytes::Bytes;
use farhand_ledger::FrameEntry;

/// One thing that passed. Bytes are as they travelled, signatures and codes included; what comes after kind and version
/// is given without those two where it says so.
#[derive(Clone, Copy, Debug)]
pub enum Recorded<'a> {
    /// The session's opening evidence, verified: always the first. Without kind and version: CBOR of
    /// [`farhand_ledger::OpeningEvidence`].
    Opened { evidence: &'a [u8] },
    /// A command from a surgeon's console, whole (152 bytes), not yet sent to the kit.
    Command { frame: &'a [u8] },
    /// A state from the kit, whole (428 bytes).
    KitState { sealed: &'a [u8] },
    /// A signed statement, whole, from whomever: endorsements, e-stops, arming, leases, notices, refusals. One press of an
    /// e-stop is recorded once, however often it is repeated.
    Statement { signed: &'a [u8] },
    /// A frame that goes to the consoles: what its leaf holds, and the access unit (Annex B, as packetized).
    Frame { entry: FrameEntry, unit: &'a Bytes },
    /// A [`farhand_ledger::SurgeonSegment`] as signed, without kind and version.
    SurgeonSegment { signed: &'a [u8] },
    /// A [`farhand_ledger::KitSegment`] as signed by the kit's device key, without kind and version.
    KitSegment { signed: &'a [u8] },
    /// A [`farhand_ledger::DisplayReport`] as signed by a surgeon's session key, without kind and version.
    DisplayReport { signed: &'a [u8] },
    /// Something of the edge box came or went: `kit`, `cloud`, `video`, `console`.
    Switch { what: &'a str, on: bool, reason: &'a str },
}

/// The same, owned: what waits for the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Opened { evidence: Vec<u8> },
    Command { frame: Vec<u8> },
    KitState { sealed: Vec<u8> },
    Statement { signed: Vec<u8> },
    Frame { entry: FrameEntry, unit: Bytes },
    SurgeonSegment { signed: Vec<u8> },
    KitSegment { signed: Vec<u8> },
    DisplayReport { signed: Vec<u8> },
    Switch { what: String, on: bool, reason: String },
}

impl Passed {
    /// Bytes that it holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Opened { evidence: held }
            | Self::Command { frame: held }
            | Self::KitState { sealed: held } => held.len(),
            Self::Statement { signed }
            | Self::SurgeonSegment { signed }
            | Self::KitSegment { signed }
            | Self::DisplayReport { signed } => signed.len(),
            Self::Frame { unit, .. } => unit.len(),
            Self::Switch { what, reason, .. } => what.len() + reason.len(),
        }
    }
}

impl From<Recorded<'_>> for Passed {
    fn from(recorded: Recorded<'_>) -> Self {
        match recorded {
            Recorded::Opened { evidence } => Self::Opened { evidence: evidence.to_vec() },
            Recorded::Command { frame } => Self::Command { frame: frame.to_vec() },
            Recorded::KitState { sealed } => Self::KitState { sealed: sealed.to_vec() },
            Recorded::Statement { signed } => Self::Statement { signed: signed.to_vec() },
            Recorded::Frame { entry, unit } => Self::Frame { entry, unit: unit.clone() },
            Recorded::SurgeonSegment { signed } => Self::SurgeonSegment { signed: signed.to_vec() },
            Recorded::KitSegment { signed } => Self::KitSegment { signed: signed.to_vec() },
            Recorded::DisplayReport { signed } => Self::DisplayReport { signed: signed.to_vec() },
            Recorded::Switch { what, on, reason } => {
                Self::Switch { what: what.to_owned(), on, reason: reason.to_owned() }
            }
        }
    }
}
