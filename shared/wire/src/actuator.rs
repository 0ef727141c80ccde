//! Between the kit and its arm: one setpoint a millisecond down, one state back, both sealed under the cable's key.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F64, U64},
};

use crate::{
    Kind, MAC_BYTES, MacKey, Malformed, Unauthentic, VERSION,
    kind::{bounded, flags, layout},
};

/// What the arm is permitted to do in this tick. All carry a setpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Decelerate and stand.
    Brake = 0,
    /// Stand.
    Hold = 1,
    /// Follow the surgeon.
    Move = 2,
    /// Seek home, slowly.
    Home = 3,
    /// Leave the patient along the shaft, slowly.
    Withdraw = 4,
}

impl Action {
    pub const ALL: [Action; 5] = [Action::Brake, Action::Hold, Action::Move, Action::Home, Action::Withdraw];
}

/// No joint value exceeds this, in rad or m.
pub(crate) const JOINT_MAX: f64 = 10.0;

/// One permitted setpoint, kit to arm. Joints: yaw, pitch (rad), insertion (m), roll, wrist pitch, wrist yaw (rad).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmSetpoint {
    /// Rises by one a tick; the arm takes only a higher one.
    pub number: u64,
    pub action: Action,
    pub joints: [f64; 6],
    pub jaw_rad: f64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ArmSetpointBytes {
    kind: u8,
    version: u8,
    action: u8,
    reserved: [u8; 5],
    number: U64,
    joints: [F64; 6],
    jaw_rad: F64,
    mac: [u8; MAC_BYTES],
}

impl ArmSetpoint {
    /// The setpoint as it travels.
    #[must_use]
    pub fn seal(&self, key: &MacKey) -> [u8; size_of::<ArmSetpointBytes>()] {
        let mut bytes: [u8; size_of::<ArmSetpointBytes>()] = zerocopy::transmute!(ArmSetpointBytes {
            kind: Kind::ArmSetpoint as u8,
            version: VERSION,
            action: self.action as u8,
            reserved: [0; 5],
            number: self.number.into(),
            joints: self.joints.map(F64::new),
            jaw_rad: self.jaw_rad.into(),
            mac: [0; MAC_BYTES],
        });
        key.seal(&mut bytes);
        bytes
    }

    /// The setpoint in `bytes`, if the kit at the other end of the cable sealed it.
    pub fn open(bytes: &[u8], key: &MacKey) -> Result<Self, Unauthentic> {
        let parsed = layout::<ArmSetpointBytes>(Kind::ArmSetpoint, bytes)?;
        key.check(bytes)?;
        unused(parsed.reserved)?;
        let action = Action::ALL
            .get(usize::from(parsed.action))
            .ok_or(Malformed::Unknown { field: "action", value: parsed.action.into() })?;
        Ok(Self {
            number: parsed.number.get(),
            action: *action,
            joints: joints(parsed.joints)?,
            jaw_rad: bounded("jaw_rad", parsed.jaw_rad.get(), -JOINT_MAX, JOINT_MAX)?,
        })
    }
}

/// Bits of [`ArmState::flags`].
pub mod arm_flags {
    /// Its joints know where they are.
    pub const HOMED: u8 = 1;
    /// No setpoint for 5 ms: it braked by itself.
    pub const WATCHDOG: u8 = 2;
    /// A drive or an encoder failed.
    pub const FAULT: u8 = 4;
    /// Its own e-stop button is pressed.
    pub const BUTTON: u8 = 8;
    /// The jaws feel something between them.
    pub const GRASPING: u8 = 16;
    /// Its own way-out switch is held: the tool is drawn out along the shaft, whatever else is the matter.
    pub const WAY_OUT: u8 = 32;
    pub(super) const ALL: u8 = 63;
}

/// What the arm measures, arm to kit. CRTK's `measured_js`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmState {
    /// Number of the newest setpoint that it followed.
    pub setpoint: u64,
    /// Of [`arm_flags`].
    pub flags: u8,
    pub joints: [f64; 6],
    pub jaw_rad: f64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ArmStateBytes {
    kind: u8,
    version: u8,
    flags: u8,
    reserved: [u8; 5],
    setpoint: U64,
    joints: [F64; 6],
    jaw_rad: F64,
    mac: [u8; MAC_BYTES],
}

impl ArmState {
    /// The state as it travels.
    #[must_use]
    pub fn seal(&self, key: &MacKey) -> [u8; size_of::<ArmStateBytes>()] {
        let mut bytes: [u8; size_of::<ArmStateBytes>()] = zerocopy::transmute!(ArmStateBytes {
            kind: Kind::ArmState as u8,
            version: VERSION,
            flags: self.flags,
            reserved: [0; 5],
            setpoint: self.setpoint.into(),
            joints: self.joints.map(F64::new),
            jaw_rad: self.jaw_rad.into(),
            mac: [0; MAC_BYTES],
        });
        key.seal(&mut bytes);
        bytes
    }

    /// The state in `bytes`, if the arm at the other end of the cable sealed it.
    pub fn open(bytes: &[u8], key: &MacKey) -> Result<Self, Unauthentic> {
        let parsed = layout::<ArmStateBytes>(Kind::ArmState, bytes)?;
        key.check(bytes)?;
        unused(parsed.reserved)?;
        Ok(Self {
            setpoint: parsed.setpoint.get(),
            flags: flags("arm flags", parsed.flags, arm_flags::ALL)?,
            joints: joints(parsed.joints)?,
            jaw_rad: bounded("jaw_rad", parsed.jaw_rad.get(), -JOINT_MAX, JOINT_MAX)?,
        })
    }
}

/// Reserved bytes are zero: one message, one encoding.
fn unused(reserved: [u8; 5]) -> Result<(), Malformed> {
    reserved.iter().try_for_each(|byte| flags("reserved byte", *byte, 0).map(drop))
}

pub(crate) fn joints(bytes: [F64; 6]) -> Result<[f64; 6], Malformed> {
    let values = bytes.map(F64::get);
    for value in values {
        bounded("joint", value, -JOINT_MAX, JOINT_MAX)?;
    }
    Ok(values)
}
