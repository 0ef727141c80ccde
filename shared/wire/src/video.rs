//! About pictures: what the edge box says of each frame, and how console and edge box compare clocks.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F64, U32, U64},
};

use crate::{
    ARMS_MAX, EdgeTick, FrameId, Kind, KitTick, LeaseToken, Malformed, Pose, Sequence, VERSION,
    kind::{bounded, flags, layout},
    pose::PoseBytes,
};

macro_rules! fixed {
    ($name:ident, $bytes:ident, $kind:expr) => {
        impl $name {
            /// The message as it travels.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; size_of::<$bytes>()] {
                zerocopy::transmute!($bytes::from(*self))
            }

            /// The message in `bytes`.
            pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
                layout::<$bytes>($kind, bytes)?.try_into()
            }
        }
    };
}

/// Edge to kit: a frame was captured while this was the newest kit tick the edge box held. So the picture's age is
/// the kit's own clock less that tick: never younger than the truth, and no browser can shorten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMark {
    pub frame: FrameId,
    pub kit_tick_at_capture: KitTick,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FrameMarkBytes {
    kind: u8,
    version: u8,
    frame: U64,
    kit_tick_at_capture_us: U64,
}

fixed!(FrameMark, FrameMarkBytes, Kind::FrameMark);

impl From<FrameMark> for FrameMarkBytes {
    fn from(mark: FrameMark) -> Self {
        Self {
            kind: Kind::FrameMark as u8,
            version: VERSION,
            frame: mark.frame.0.into(),
            kit_tick_at_capture_us: mark.kit_tick_at_capture.0.into(),
        }
    }
}

impl TryFrom<FrameMarkBytes> for FrameMark {
    type Error = Malformed;

    fn try_from(bytes: FrameMarkBytes) -> Result<Self, Malformed> {
        Ok(Self {
            frame: FrameId(bytes.frame.get()),
            kit_tick_at_capture: KitTick(bytes.kit_tick_at_capture_us.get()),
        })
    }
}

/// Edge to kit and to console: what is durable on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    pub token: LeaseToken,
    /// Every command under that token that the edge box relayed, up to and including this one, is durable.
    pub newest: Sequence,
    /// Number of the newest durable segment signed by the surgeon's key; 0 before the first.
    pub segments: u64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct WatermarkBytes {
    kind: u8,
    version: u8,
    token: U64,
    newest: U64,
    segments: U64,
}

fixed!(Watermark, WatermarkBytes, Kind::Watermark);

impl From<Watermark> for WatermarkBytes {
    fn from(mark: Watermark) -> Self {
        Self {
            kind: Kind::Watermark as u8,
            version: VERSION,
            token: mark.token.0.into(),
            newest: mark.newest.0.into(),
            segments: mark.segments.into(),
        }
    }
}

impl TryFrom<WatermarkBytes> for Watermark {
    type Error = Malformed;

    fn try_from(bytes: WatermarkBytes) -> Result<Self, Malformed> {
        Ok(Self {
            token: LeaseToken(bytes.token.get()),
            newest: Sequence(bytes.newest.get()),
            segments: bytes.segments.get(),
        })
    }
}

/// Edge to console, beside each frame: which frame carries this RTP timestamp, when it was captured, and its hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    pub frame: FrameId,
    /// 90 kHz.
    pub rtp_timestamp: u32,
    pub captured: EdgeTick,
    pub key_frame: bool,
    /// SHA-256 over every NAL unit that was sent, each after its length (u32 big endian).
    pub au_hash: [u8; 32],
    /// The same over NAL unit types 1 to 5 only: what a browser can check.
    pub picture_hash: [u8; 32],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FrameRecordBytes {
    kind: u8,
    version: u8,
    flags: u8,
    reserved: u8,
    rtp_timestamp: U32,
    frame: U64,
    captured_us: U64,
    au_hash: [u8; 32],
    picture_hash: [u8; 32],
}

const KEY_FRAME: u8 = 1;

/// Under this name a picture's access unit carries its own record, too (user data unregistered, ITU-T H.264, D.1.6): then neither
/// comes without the other, whatever the line does.
pub const FRAME_RECORD_NAME: [u8; 16] = *b"\xb3\x9e\x5a\x1c\x6f\x27\x4d\x08\x91\x43\xd2\x7b\x0e\x85\xfa\x36";

/// Bytes of a frame record on the wire.
pub const FRAME_RECORD_BYTES: usize = size_of::<FrameRecordBytes>();
const _: () = assert!(FRAME_RECORD_BYTES == 88);

fixed!(FrameRecord, FrameRecordBytes, Kind::FrameRecord);

impl From<FrameRecord> for FrameRecordBytes {
    fn from(record: FrameRecord) -> Self {
        Self {
            kind: Kind::FrameRecord as u8,
            version: VERSION,
            flags: if record.key_frame { KEY_FRAME } else { 0 },
            reserved: 0,
            rtp_timestamp: record.rtp_timestamp.into(),
            frame: record.frame.0.into(),
            captured_us: record.captured.0.into(),
            au_hash: record.au_hash,
            picture_hash: record.picture_hash,
        }
    }
}

impl TryFrom<FrameRecordBytes> for FrameRecord {
    type Error = Malformed;

    fn try_from(bytes: FrameRecordBytes) -> Result<Self, Malformed> {
        flags("reserved byte", bytes.reserved, 0)?;
        Ok(Self {
            frame: FrameId(bytes.frame.get()),
            rtp_timestamp: bytes.rtp_timestamp.get(),
            captured: EdgeTick(bytes.captured_us.get()),
            key_frame: flags("frame flags", bytes.flags, KEY_FRAME)? == KEY_FRAME,
            au_hash: bytes.au_hash,
            picture_hash: bytes.picture_hash,
        })
    }
}

/// Edge to a surgeon's console, once: how the endoscope looks at the arm. What the pictures cannot say of themselves, and a
/// console needs to draw over them and to move the tool as the picture shows it. A pinhole without distortion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// The arm that carries it; `None`: it stands.
    pub arm: Option<u8>,
    /// The optical frame (x to the right of the picture, y down, z into it) in the frame of that arm's tip; else in the kit's.
    pub parent_from_camera: Pose,
    /// Full vertical angle of view.
    pub fov_y_rad: f64,
    /// The picture holds what two eyes see: the left one's in its left half. Frame and angle of view are the left eye's.
    pub stereo: bool,
}

/// Angles of view that a camera may have.
const FOV_Y_RAD: std::ops::RangeInclusive<f64> = 0.1..=2.4;

/// In place of an arm's number: no arm carries the camera.
const STANDS: u8 = u8::MAX;

fn carrier(arm: u8) -> Result<Option<u8>, Malformed> {
    match arm {
        STANDS => Ok(None),
        arm if usize::from(arm) < ARMS_MAX => Ok(Some(arm)),
        arm => Err(Malformed::Unknown { field: "arm of the camera", value: arm.into() }),
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CameraBytes {
    kind: u8,
    version: u8,
    arm: u8,
    parent_from_camera: PoseBytes,
    fov_y_rad: F64,
    stereo: u8,
}

fixed!(Camera, CameraBytes, Kind::Camera);

impl From<Camera> for CameraBytes {
    fn from(camera: Camera) -> Self {
        Self {
            kind: Kind::Camera as u8,
            version: VERSION,
            arm: camera.arm.unwrap_or(STANDS),
            parent_from_camera: camera.parent_from_camera.into(),
            fov_y_rad: camera.fov_y_rad.into(),
            stereo: camera.stereo.into(),
        }
    }
}

impl TryFrom<CameraBytes> for Camera {
    type Error = Malformed;

    fn try_from(bytes: CameraBytes) -> Result<Self, Malformed> {
        let (min, max) = (*FOV_Y_RAD.start(), *FOV_Y_RAD.end());
        Ok(Self {
            arm: carrier(bytes.arm)?,
            parent_from_camera: bytes.parent_from_camera.try_into()?,
            fov_y_rad: bounded("fov_y_rad", bytes.fov_y_rad.get(), min, max)?,
            stereo: flags("camera flags", bytes.stereo, 1)? == 1,
        })
    }
}

/// Console to edge: what time is it? `sent_us` is the console's own clock and comes back as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPing {
    pub sent_us: u64,
}

/// Edge to console: it was this, when the ping came, and the answer left at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPong {
    pub sent_us: u64,
    pub edge: EdgeTick,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ClockPingBytes {
    kind: u8,
    version: u8,
    sent_us: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ClockPongBytes {
    kind: u8,
    version: u8,
    sent_us: U64,
    edge_us: U64,
}

/// Console to edge: pictures shall come over this one of its paths from now on, with a key frame first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PicturesVia {
    /// As the console numbers them, from 0; which there are is the edge box's to know.
    pub path: u8,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PicturesViaBytes {
    kind: u8,
    version: u8,
    path: u8,
}

fixed!(PicturesVia, PicturesViaBytes, Kind::PicturesVia);

impl From<PicturesVia> for PicturesViaBytes {
    fn from(via: PicturesVia) -> Self {
        Self { kind: Kind::PicturesVia as u8, version: VERSION, path: via.path }
    }
}

impl TryFrom<PicturesViaBytes> for PicturesVia {
    type Error = Malformed;

    fn try_from(bytes: PicturesViaBytes) -> Result<Self, Malformed> {
        Ok(Self { path: bytes.path })
    }
}

/// Console to edge: whether this surgeon wants to see what the net sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SightWanted {
    pub wanted: bool,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SightWantedBytes {
    kind: u8,
    version: u8,
    wanted: u8,
}

fixed!(SightWanted, SightWantedBytes, Kind::SightWanted);

impl From<SightWanted> for SightWantedBytes {
    fn from(SightWanted { wanted }: SightWanted) -> Self {
        Self { kind: Kind::SightWanted as u8, version: VERSION, wanted: wanted.into() }
    }
}

impl TryFrom<SightWantedBytes> for SightWanted {
    type Error = Malformed;

    fn try_from(bytes: SightWantedBytes) -> Result<Self, Malformed> {
        Ok(Self { wanted: flags("wanted", bytes.wanted, 1)? == 1 })
    }
}

fixed!(ClockPing, ClockPingBytes, Kind::ClockPing);
fixed!(ClockPong, ClockPongBytes, Kind::ClockPong);

impl From<ClockPing> for ClockPingBytes {
    fn from(ping: ClockPing) -> Self {
        Self { kind: Kind::ClockPing as u8, version: VERSION, sent_us: ping.sent_us.into() }
    }
}

impl TryFrom<ClockPingBytes> for ClockPing {
    type Error = Malformed;

    fn try_from(bytes: ClockPingBytes) -> Result<Self, Malformed> {
        Ok(Self { sent_us: bytes.sent_us.get() })
    }
}

impl From<ClockPong> for ClockPongBytes {
    fn from(pong: ClockPong) -> Self {
        Self {
            kind: Kind::ClockPong as u8,
            version: VERSION,
            sent_us: pong.sent_us.into(),
            edge_us: pong.edge.0.into(),
        }
    }
}

impl TryFrom<ClockPongBytes> for ClockPong {
    type Error = Malformed;

    fn try_from(bytes: ClockPongBytes) -> Result<Self, Malformed> {
        Ok(Self { sent_us: bytes.sent_us.get(), edge: EdgeTick(bytes.edge_us.get()) })
    }
}
