//! The command: where the surgeon wants the tool, and everything that decides whether it may go there.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F64, U32, U64},
};

use crate::{
    EngagementId, FrameId, HoldNumber, Kind, KitTick, LeaseToken, MAC_BYTES, MacKey, Malformed, Pose,
    Sequence, SessionId, Unauthentic, VERSION,
    kind::{bounded, flags, layout},
    pose::PoseBytes,
};

const DEAD_MAN: u8 = 1;
const CLUTCH: u8 = 2;
const FRAME_AGE_UNKNOWN: u32 = u32::MAX;

/// Opening angle of the jaw, in rad, within ±π.
pub type Jaw = f64;

/// One command, console to kit, unchanged by whoever carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    pub session: SessionId,
    pub token: LeaseToken,
    pub sequence: Sequence,
    /// The newest kit tick that the console had seen: the command's age is measured from it, on the kit's clock.
    pub kit_tick_echo: KitTick,
    /// Which arm of the kit; 0 is the first patient-side manipulator.
    pub arm: u8,
    /// There is one pedal: up, it releases every arm of the kit.
    pub dead_man: bool,
    /// Frees the hand while the dead-man is held: ends this arm's engagement, and is no release.
    pub clutch: bool,
    pub engagement: EngagementId,
    /// The arm's held setpoint that the engagement started from.
    pub hold: HoldNumber,
    /// Absolute and already scaled, in the kit's frame.
    pub target: Pose,
    pub jaw_rad: Jaw,
    /// The last frame that the surgeon was shown.
    pub frame_seen: FrameId,
    /// That frame's age by the console's own reckoning, in µs: evidence only, it permits nothing.
    pub frame_age_us: Option<u32>,
}

/// The layout, 152 bytes; the authentication code covers all that goes before it.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CommandBytes {
    kind: u8,
    version: u8,
    flags: u8,
    arm: u8,
    frame_age_us: U32,
    session: [u8; 16],
    token: U64,
    sequence: U64,
    kit_tick_echo_us: U64,
    engagement: U64,
    hold: U64,
    target: PoseBytes,
    jaw_rad: F64,
    frame_seen: U64,
    mac: [u8; MAC_BYTES],
}

/// Bytes of a command on the wire.
pub const COMMAND_BYTES: usize = size_of::<CommandBytes>();
const _: () = assert!(COMMAND_BYTES == 152);

impl Command {
    /// The frame as it travels, sealed under the console's key.
    #[must_use]
    pub fn seal(&self, key: &MacKey) -> [u8; COMMAND_BYTES] {
        let mut bytes: [u8; COMMAND_BYTES] = zerocopy::transmute!(CommandBytes::from(*self));
        key.seal(&mut bytes);
        bytes
    }

    /// The command in `bytes`, if the holder of `key` sealed it.
    pub fn open(bytes: &[u8], key: &MacKey) -> Result<Command, Unauthentic> {
        let parsed = layout::<CommandBytes>(Kind::Command, bytes)?;
        key.check(bytes)?;
        Ok(parsed.try_into()?)
    }

    /// The command in `bytes` without a look at its code: for a relay or a recorder, that holds no key and decides nothing.
    pub fn read(bytes: &[u8]) -> Result<Command, Malformed> {
        layout::<CommandBytes>(Kind::Command, bytes)?.try_into()
    }
}

impl From<Command> for CommandBytes {
    fn from(command: Command) -> Self {
        Self {
            kind: Kind::Command as u8,
            version: VERSION,
            flags: if command.dead_man { DEAD_MAN } else { 0 } | if command.clutch { CLUTCH } else { 0 },
            arm: command.arm,
            frame_age_us: command.frame_age_us.unwrap_or(FRAME_AGE_UNKNOWN).into(),
            session: command.session.0,
            token: command.token.0.into(),
            sequence: command.sequence.0.into(),
            kit_tick_echo_us: command.kit_tick_echo.0.into(),
            engagement: command.engagement.0.into(),
            hold: command.hold.0.into(),
            target: command.target.into(),
            jaw_rad: command.jaw_rad.into(),
            frame_seen: command.frame_seen.0.into(),
            mac: [0; MAC_BYTES],
        }
    }
}

impl TryFrom<CommandBytes> for Command {
    type Error = Malformed;

    fn try_from(bytes: CommandBytes) -> Result<Self, Malformed> {
        let frame_age_us = bytes.frame_age_us.get();
        let flags = flags("command flags", bytes.flags, DEAD_MAN | CLUTCH)?;
        Ok(Self {
            session: SessionId(bytes.session),
            token: LeaseToken(bytes.token.get()),
            sequence: Sequence(bytes.sequence.get()),
            kit_tick_echo: KitTick(bytes.kit_tick_echo_us.get()),
            arm: bytes.arm,
            dead_man: flags & DEAD_MAN != 0,
            clutch: flags & CLUTCH != 0,
            engagement: EngagementId(bytes.engagement.get()),
            hold: HoldNumber(bytes.hold.get()),
            target: bytes.target.try_into()?,
            jaw_rad: bounded("jaw_rad", bytes.jaw_rad.get(), -std::f64::consts::PI, std::f64::consts::PI)?,
            frame_seen: FrameId(bytes.frame_seen.get()),
            frame_age_us: (frame_age_us != FRAME_AGE_UNKNOWN).then_some(frame_age_us),
        })
    }
}
