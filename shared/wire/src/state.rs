//! What the kit says a hundred times a second: its tick, its mode, where the tool is, and a verdict on every command.

use arrayvec::ArrayVec;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F32, F64, U32, U64},
};

use crate::{
    EngagementId, FrameId, HoldNumber, Kind, KitTick, LeaseToken, MAC_BYTES, MacKey, Malformed, Pose,
    Rejection, Sequence, SessionId, Unauthentic, VERSION,
    kind::{bounded, flags, layout},
    pose::PoseBytes,
};

/// How freely the tool may move; the greatest is the most severe, and the most severe wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Follows the surgeon.
    Free = 0,
    /// Follows, slower: a limit bites.
    Limited = 1,
    /// Stands still until a fresh command.
    Holding = 2,
    /// Stands still until the dead-man is released and pressed again.
    Paused = 3,
    /// Only withdrawal.
    SafeStop = 4,
    /// An e-stop or a fault is latched.
    #[default]
    Stopped = 5,
}

impl Mode {
    /// From the mildest to the most severe.
    pub const ALL: [Mode; 6] =
        [Mode::Free, Mode::Limited, Mode::Holding, Mode::Paused, Mode::SafeStop, Mode::Stopped];
}

/// CRTK's operating states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OperatingState {
    #[default]
    Disabled = 0,
    Enabled = 1,
    Paused = 2,
    Fault = 3,
}

impl OperatingState {
    pub(crate) const ALL: [OperatingState; 4] =
        [OperatingState::Disabled, OperatingState::Enabled, OperatingState::Paused, OperatingState::Fault];
}

/// Bits of [`KitState::flags`].
pub mod state_flags {
    pub const HOMED: u8 = 1;
    pub const ARMED: u8 = 2;
    pub const ENGAGED: u8 = 4;
    pub const AT_REST: u8 = 8;
    pub const E_STOP: u8 = 16;
    pub const CLAMPED: u8 = 32;
    pub const LEASED: u8 = 64;
    pub const GRASPING: u8 = 128;
    pub(crate) const ALL: u8 = 255;
}

/// Arms that a kit may have.
pub const ARMS_MAX: usize = 4;

/// One arm of a kit's, counted from 0, and how many it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmOf {
    pub number: u8,
    pub arms: u8,
}

impl Default for ArmOf {
    /// The only one.
    fn default() -> Self {
        Self { number: 0, arms: 1 }
    }
}

impl ArmOf {
    pub(crate) fn checked(number: u8, arms: u8) -> Result<Self, Malformed> {
        if arms == 0 || usize::from(arms) > ARMS_MAX || number >= arms {
            return Err(Malformed::Unknown { field: "arm of the kit", value: number.into() });
        }
        Ok(Self { number, arms })
    }
}

/// What became of one command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub sequence: Sequence,
    /// `None`: taken in.
    pub rejection: Option<Rejection>,
}

/// Verdicts that fit in one state; commands come at 250 Hz at the most, states go at 100 Hz.
pub const VERDICTS_MAX: usize = 8;

/// State of the kit and of one of its arms, for the holder of the control lease (sealed under the lease's kit key). Poses are in
/// the kit's frame: the base frame of its first arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KitState {
    pub session: SessionId,
    pub token: LeaseToken,
    /// Of this state; a receiver keeps the newest of each arm only.
    pub tick: KitTick,
    /// Which arm this is about: mode, reason, engagement, hold, setpoint, measured, jaw, speed limit, lag, and of the flags those
    /// that say how an arm stands. The rest is the kit's.
    pub arm: ArmOf,
    pub mode: Mode,
    pub operating_state: OperatingState,
    /// Of [`state_flags`].
    pub flags: u8,
    pub engagement: EngagementId,
    /// The setpoint held at rest, from which the arm's next engagement starts.
    pub hold: HoldNumber,
    /// Newest authentic command taken in, for whichever arm.
    pub newest: Sequence,
    pub applied: u64,
    pub rejected: u64,
    pub unauthentic: u64,
    /// Newest frame that the edge box announced.
    pub newest_frame: FrameId,
    /// Where the arm was told to be: CRTK's `setpoint_cp`.
    pub setpoint: Pose,
    /// Where the arm says it is: CRTK's `measured_cp`.
    pub measured: Pose,
    pub jaw_rad: f64,
    pub speed_limit_mm_s: f32,
    /// Age of the newest command and of the picture it named, when it was taken in.
    pub command_age_ms: f32,
    pub picture_age_ms: f32,
    pub lag_mm: f32,
    /// Why the tool does not move, if it does not.
    pub reason: Option<Rejection>,
    /// On commands for whichever arm.
    pub verdicts: ArrayVec<Verdict, VERDICTS_MAX>,
}

#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct VerdictBytes {
    sequence: U64,
    /// Zero: none.
    rejection: U32,
    seen: F32,
    limit: F32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct KitStateBytes {
    kind: u8,
    version: u8,
    mode: u8,
    operating_state: u8,
    flags: u8,
    verdict_count: u8,
    arm: u8,
    arms: u8,
    session: [u8; 16],
    token: U64,
    tick_us: U64,
    engagement: U64,
    hold: U64,
    newest: U64,
    applied: U64,
    rejected: U64,
    unauthentic: U64,
    newest_frame: U64,
    setpoint: PoseBytes,
    measured: PoseBytes,
    jaw_rad: F64,
    speed_limit_mm_s: F32,
    command_age_ms: F32,
    picture_age_ms: F32,
    lag_mm: F32,
    reason: VerdictBytes,
    verdicts: [VerdictBytes; VERDICTS_MAX],
    mac: [u8; MAC_BYTES],
}

/// Bytes of a kit state on the wire.
pub const KIT_STATE_BYTES: usize = size_of::<KitStateBytes>();
const _: () = assert!(KIT_STATE_BYTES == 428);

impl KitState {
    /// The state as it travels, sealed under the kit's key of the lease.
    #[must_use]
    pub fn seal(&self, key: &MacKey) -> [u8; KIT_STATE_BYTES] {
        let mut bytes: [u8; KIT_STATE_BYTES] = zerocopy::transmute!(KitStateBytes::from(self));
        key.seal(&mut bytes);
        bytes
    }

    /// The state in `bytes`, if the kit sealed it under `key`.
    pub fn open(bytes: &[u8], key: &MacKey) -> Result<KitState, Unauthentic> {
        let parsed = layout::<KitStateBytes>(Kind::KitState, bytes)?;
        key.check(bytes)?;
        Ok(parsed.try_into()?)
    }

    /// The state in `bytes` without a look at its code: for whoever only shows or records it.
    pub fn read(bytes: &[u8]) -> Result<KitState, Malformed> {
        layout::<KitStateBytes>(Kind::KitState, bytes)?.try_into()
    }
}

impl From<&KitState> for KitStateBytes {
    fn from(state: &KitState) -> Self {
        let mut verdicts = [VerdictBytes::default(); VERDICTS_MAX];
        for (bytes, verdict) in verdicts.iter_mut().zip(&state.verdicts) {
            *bytes = VerdictBytes::new(verdict.sequence, verdict.rejection);
        }
        Self {
            kind: Kind::KitState as u8,
            version: VERSION,
            mode: state.mode as u8,
            operating_state: state.operating_state as u8,
            flags: state.flags,
            verdict_count: state.verdicts.len() as u8,
            arm: state.arm.number,
            arms: state.arm.arms,
            session: state.session.0,
            token: state.token.0.into(),
            tick_us: state.tick.0.into(),
            engagement: state.engagement.0.into(),
            hold: state.hold.0.into(),
            newest: state.newest.0.into(),
            applied: state.applied.into(),
            rejected: state.rejected.into(),
            unauthentic: state.unauthentic.into(),
            newest_frame: state.newest_frame.0.into(),
            setpoint: state.setpoint.into(),
            measured: state.measured.into(),
            jaw_rad: state.jaw_rad.into(),
            speed_limit_mm_s: state.speed_limit_mm_s.into(),
            command_age_ms: state.command_age_ms.into(),
            picture_age_ms: state.picture_age_ms.into(),
            lag_mm: state.lag_mm.into(),
            reason: VerdictBytes::new(state.newest, state.reason),
            verdicts,
            mac: [0; MAC_BYTES],
        }
    }
}

impl TryFrom<KitStateBytes> for KitState {
    type Error = Malformed;

    fn try_from(bytes: KitStateBytes) -> Result<Self, Malformed> {
        let count = usize::from(bytes.verdict_count);
        let verdicts =
            bytes.verdicts.get(..count).ok_or(Malformed::TooLong { bytes: count, max: VERDICTS_MAX })?;
        Ok(Self {
            session: SessionId(bytes.session),
            token: LeaseToken(bytes.token.get()),
            tick: KitTick(bytes.tick_us.get()),
            arm: ArmOf::checked(bytes.arm, bytes.arms)?,
            mode: numbered("mode", &Mode::ALL, bytes.mode)?,
            operating_state: numbered("operating state", &OperatingState::ALL, bytes.operating_state)?,
            flags: flags("state flags", bytes.flags, state_flags::ALL)?,
            engagement: EngagementId(bytes.engagement.get()),
            hold: HoldNumber(bytes.hold.get()),
            newest: Sequence(bytes.newest.get()),
            applied: bytes.applied.get(),
            rejected: bytes.rejected.get(),
            unauthentic: bytes.unauthentic.get(),
            newest_frame: FrameId(bytes.newest_frame.get()),
            setpoint: bytes.setpoint.try_into()?,
            measured: bytes.measured.try_into()?,
            jaw_rad: bounded("jaw_rad", bytes.jaw_rad.get(), -std::f64::consts::PI, std::f64::consts::PI)?,
            speed_limit_mm_s: bytes.speed_limit_mm_s.get(),
            command_age_ms: bytes.command_age_ms.get(),
            picture_age_ms: bytes.picture_age_ms.get(),
            lag_mm: bytes.lag_mm.get(),
            reason: bytes.reason.rejection()?,
            verdicts: verdicts.iter().map(|verdict| (*verdict).try_into()).collect::<Result<_, _>>()?,
        })
    }
}

impl VerdictBytes {
    fn new(sequence: Sequence, rejection: Option<Rejection>) -> Self {
        let (code, seen, limit) = rejection.map_or((0, 0.0, 0.0), |rejection| rejection.parts());
        Self {
            sequence: sequence.0.into(),
            rejection: code.into(),
            seen: (seen as f32).into(),
            limit: (limit as f32).into(),
        }
    }

    fn rejection(self) -> Result<Option<Rejection>, Malformed> {
        let code = self.rejection.get();
        (code != 0)
            .then(|| Rejection::from_parts(code, self.seen.get().into(), self.limit.get().into()))
            .transpose()
    }
}

impl TryFrom<VerdictBytes> for Verdict {
    type Error = Malformed;

    fn try_from(bytes: VerdictBytes) -> Result<Self, Malformed> {
        Ok(Self { sequence: Sequence(bytes.sequence.get()), rejection: bytes.rejection()? })
    }
}

pub(crate) fn numbered<T: Copy>(field: &'static str, all: &[T], value: u8) -> Result<T, Malformed> {
    all.get(usize::from(value)).copied().ok_or(Malformed::Unknown { field, value: value.into() })
}
