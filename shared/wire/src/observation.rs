//! From the kit to whoever watches it on the same machine: a hundred times a second, sealed under a key of its own.
//!
//! One way. Nothing that comes back is a message of this crate's, and the kit does not read what comes back.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F64, U64},
};

use crate::{
    Kind, KitTick, MAC_BYTES, MacKey, Mode, OperatingState, Pose, Unauthentic, VERSION,
    actuator::{JOINT_MAX, joints},
    kind::{bounded, flags, layout},
    pose::PoseBytes,
    state::{ArmOf, numbered, state_flags},
};

/// No joint is told to be faster, in rad/s or m/s.
const JOINT_VELOCITY_MAX: f64 = 100.0;

/// How one arm and its kit stand. Poses are in the kit's frame. Joints: yaw, pitch (rad), insertion (m), roll, wrist pitch, wrist yaw (rad).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// On the kit's clock. It begins at 0 with every start of the kit.
    pub tick: KitTick,
    pub arm: ArmOf,
    pub mode: Mode,
    pub operating_state: OperatingState,
    /// Of [`state_flags`].
    pub flags: u8,
    /// Where the arm says it is: CRTK's `measured_cp` and `measured_js`.
    pub measured: Pose,
    pub measured_joints: [f64; 6],
    pub measured_jaw_rad: f64,
    /// Where the arm was told to be: CRTK's `setpoint_cp` and `setpoint_js`.
    pub setpoint: Pose,
    pub setpoint_joints: [f64; 6],
    /// rad/s, at insertion m/s.
    pub setpoint_velocity: [f64; 6],
    pub setpoint_jaw_rad: f64,
    pub setpoint_jaw_velocity_rad_s: f64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ObservationBytes {
    kind: u8,
    version: u8,
    mode: u8,
    operating_state: u8,
    flags: u8,
    arm: u8,
    arms: u8,
    reserved: u8,
    tick_us: U64,
    measured: PoseBytes,
    measured_joints: [F64; 6],
    measured_jaw_rad: F64,
    setpoint: PoseBytes,
    setpoint_joints: [F64; 6],
    setpoint_velocity: [F64; 6],
    setpoint_jaw_rad: F64,
    setpoint_jaw_velocity_rad_s: F64,
    mac: [u8; MAC_BYTES],
}

/// Bytes of an observation on the wire.
pub const OBSERVATION_BYTES: usize = size_of::<ObservationBytes>();
const _: () = assert!(OBSERVATION_BYTES == 312);

impl Observation {
    /// The observation as it travels.
    #[must_use]
    pub fn seal(&self, key: &MacKey) -> [u8; OBSERVATION_BYTES] {
        let mut bytes: [u8; OBSERVATION_BYTES] = zerocopy::transmute!(ObservationBytes {
            kind: Kind::Observation as u8,
            version: VERSION,
            mode: self.mode as u8,
            operating_state: self.operating_state as u8,
            flags: self.flags,
            arm: self.arm.number,
            arms: self.arm.arms,
            reserved: 0,
            tick_us: self.tick.0.into(),
            measured: self.measured.into(),
            measured_joints: self.measured_joints.map(F64::new),
            measured_jaw_rad: self.measured_jaw_rad.into(),
            setpoint: self.setpoint.into(),
            setpoint_joints: self.setpoint_joints.map(F64::new),
            setpoint_velocity: self.setpoint_velocity.map(F64::new),
            setpoint_jaw_rad: self.setpoint_jaw_rad.into(),
            setpoint_jaw_velocity_rad_s: self.setpoint_jaw_velocity_rad_s.into(),
            mac: [0; MAC_BYTES],
        });
        key.seal(&mut bytes);
        bytes
    }

    /// The observation in `bytes`, if a kit with this key sealed it.
    pub fn open(bytes: &[u8], key: &MacKey) -> Result<Self, Unauthentic> {
        let parsed = layout::<ObservationBytes>(Kind::Observation, bytes)?;
        key.check(bytes)?;
        flags("reserved byte", parsed.reserved, 0)?;
        let jaw = |value: F64| bounded("jaw_rad", value.get(), -JOINT_MAX, JOINT_MAX);
        let velocity = |value: f64| bounded("joint velocity", value, -JOINT_VELOCITY_MAX, JOINT_VELOCITY_MAX);
        let setpoint_velocity = parsed.setpoint_velocity.map(F64::get);
        setpoint_velocity.iter().try_for_each(|value| velocity(*value).map(drop))?;
        Ok(Self {
            tick: KitTick(parsed.tick_us.get()),
            arm: ArmOf::checked(parsed.arm, parsed.arms)?,
            mode: numbered("mode", &Mode::ALL, parsed.mode)?,
            operating_state: numbered("operating state", &OperatingState::ALL, parsed.operating_state)?,
            flags: flags("state flags", parsed.flags, state_flags::ALL)?,
            measured: parsed.measured.try_into()?,
            measured_joints: joints(parsed.measured_joints)?,
            measured_jaw_rad: jaw(parsed.measured_jaw_rad)?,
            setpoint: parsed.setpoint.try_into()?,
            setpoint_joints: joints(parsed.setpoint_joints)?,
            setpoint_velocity,
            setpoint_jaw_rad: jaw(parsed.setpoint_jaw_rad)?,
            setpoint_jaw_velocity_rad_s: velocity(parsed.setpoint_jaw_velocity_rad_s.get())?,
        })
    }
}
