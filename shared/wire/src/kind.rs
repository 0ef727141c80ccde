//! What a message is, by its first two bytes.

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Version of every layout in this crate; a peer that speaks another is refused.
pub const VERSION: u8 = 1;

/// First byte of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Command = 1,
    KitState = 2,
    FrameMark = 3,
    Watermark = 4,
    FrameRecord = 5,
    ClockPing = 6,
    ClockPong = 7,
    Signed = 16,
    /// Opening evidence of a session, in the ledger's own CBOR after the two bytes.
    Opening = 17,
    /// Console to edge: a surgeon's segment as signed, after the two bytes.
    SurgeonSegment = 18,
    /// Kit to edge: a kit's segment as signed, after the two bytes.
    KitSegment = 19,
    /// Console to edge: a display report as signed, after the two bytes.
    DisplayReport = 20,
    /// Edge to kit: sign the next steps of your custody, CBOR of the transaction proofs so far after the two bytes.
    CustodyAsk = 21,
    /// Kit to edge: a signed custody transaction, after the two bytes.
    CustodyAnswer = 22,
    /// Console to edge: over which of its paths pictures shall come.
    PicturesVia = 23,
    /// Edge to a surgeon's console: how the endoscope looks at the arm.
    Camera = 25,
    /// Edge to a surgeon's console: what the net sees in a picture, beside it.
    Overlay = 26,
    /// Console to edge: whether a surgeon wants to see what the net sees.
    SightWanted = 27,
    /// Edge to a surgeon's console: nothing looks at the pictures, and why, in words of UTF-8 after the two bytes.
    NoSight = 28,
    ArmSetpoint = 32,
    ArmState = 33,
    /// Kit to whoever watches it on the same machine.
    Observation = 34,
}

impl Kind {
    const ALL: [Kind; 22] = [
        Kind::Command,
        Kind::KitState,
        Kind::FrameMark,
        Kind::Watermark,
        Kind::FrameRecord,
        Kind::ClockPing,
        Kind::ClockPong,
        Kind::Signed,
        Kind::Opening,
        Kind::SurgeonSegment,
        Kind::KitSegment,
        Kind::DisplayReport,
        Kind::CustodyAsk,
        Kind::CustodyAnswer,
        Kind::PicturesVia,
        Kind::Camera,
        Kind::Overlay,
        Kind::SightWanted,
        Kind::NoSight,
        Kind::ArmSetpoint,
        Kind::ArmState,
        Kind::Observation,
    ];

    /// The kind of a message, once its version is known to be ours.
    pub fn of(bytes: &[u8]) -> Result<Kind, Malformed> {
        let &[kind, version, ..] = bytes else {
            return Err(Malformed::Length { bytes: bytes.len(), expected: 2 });
        };
        if version != VERSION {
            return Err(Malformed::Version { version, expected: VERSION });
        }
        Self::ALL.into_iter().find(|known| *known as u8 == kind).ok_or(Malformed::Kind { kind })
    }

    /// A message whose content is not laid out by this crate: the two bytes, then `content`.
    #[must_use]
    pub fn wrap(self, content: &[u8]) -> Vec<u8> {
        [&[self as u8, VERSION], content].concat()
    }

    /// What [`Kind::wrap`] put around.
    pub fn content(self, bytes: &[u8]) -> Result<&[u8], Malformed> {
        self.expect(bytes)?;
        Ok(&bytes[2..])
    }

    pub(crate) fn expect(self, bytes: &[u8]) -> Result<(), Malformed> {
        match Kind::of(bytes)? {
            kind if kind == self => Ok(()),
            other => Err(Malformed::Kind { kind: other as u8 }),
        }
    }
}

/// Why bytes are not a message of ours. Nothing about them is believed.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum Malformed {
    #[error("the message has {bytes} bytes, expected {expected}")]
    Length { bytes: usize, expected: usize },
    #[error("the message has {bytes} bytes, at most {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    #[error("wire version {version}, expected {expected}")]
    Version { version: u8, expected: u8 },
    #[error("message kind {kind} was not expected here")]
    Kind { kind: u8 },
    #[error("unknown {field} {value}")]
    Unknown { field: &'static str, value: u64 },
    #[error("{field} is {value}, outside {min} to {max}")]
    Range { field: &'static str, value: f64, min: f64, max: f64 },
    #[error("the statement is not deterministic CBOR of a known shape")]
    Cbor,
}

/// Reads a fixed layout: right kind, right version, exact length.
pub(crate) fn layout<T>(kind: Kind, bytes: &[u8]) -> Result<T, Malformed>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    kind.expect(bytes)?;
    T::read_from_bytes(bytes).map_err(|_| Malformed::Length { bytes: bytes.len(), expected: size_of::<T>() })
}

/// A float that is finite and within its bounds.
pub(crate) fn bounded(field: &'static str, value: f64, min: f64, max: f64) -> Result<f64, Malformed> {
    if value.is_finite() && (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(Malformed::Range { field, value, min, max })
    }
}

/// A flag byte with no bit set that we do not know.
pub(crate) fn flags(field: &'static str, value: u8, known: u8) -> Result<u8, Malformed> {
    if value & !known == 0 { Ok(value) } else { Err(Malformed::Unknown { field, value: value.into() }) }
}
