//! The simulated patient-side arm: drives that follow setpoints with a lag, brakes, and a watchdog of its own.

use farhand_motion::{ArmModel, Joints};
use farhand_wire::{Action, ArmSetpoint, ArmState, MacKey, arm_flags};

/// Without a setpoint for so long, the arm brakes by itself.
pub const WATCHDOG_US: u64 = 5_000;
/// Time constant of the drives, and of drives that fail slowly.
const LAG_MS: f64 = 3.0;
const SLUGGISH_LAG_MS: f64 = 30.0;
/// What encoders that fail slowly are off by.
const NOISE: f64 = 2e-4;
/// Closer to home than this, the encoders have found their index.
const HOMED_WITHIN: f64 = 1e-3;

/// The arm. Its state is the truth that no other part of the software sees.
#[derive(Debug)]
pub struct Arm {
    model: ArmModel,
    key: MacKey,
    joints: [f64; 6],
    jaw_rad: f64,
    newest: Option<ArmSetpoint>,
    heard_us: u64,
    homed: bool,
    /// Set by whoever simulates faults.
    pub fault: bool,
    pub button: bool,
    pub way_out: bool,
    pub sluggish: bool,
    pub noisy: bool,
    /// Set by the task: the jaws feel something.
    pub grasping: bool,
    watchdog: bool,
}

impl Arm {
    #[must_use]
    pub fn new(model: ArmModel, key: &[u8; 32], joints: [f64; 6]) -> Self {
        Self {
            model,
            key: MacKey::new(key),
            joints,
            jaw_rad: 0.0,
            newest: None,
            heard_us: 0,
            homed: false,
            fault: false,
            button: false,
            way_out: false,
            sluggish: false,
            noisy: false,
            grasping: false,
            watchdog: true,
        }
    }

    /// Takes a setpoint that the kit sealed, if it is newer than the newest.
    pub fn receive(&mut self, now_us: u64, bytes: &[u8]) {
        let newer = |setpoint: &ArmSetpoint| self.newest.is_none_or(|newest| setpoint.number > newest.number);
        if let Some(setpoint) = ArmSetpoint::open(bytes, &self.key).ok().filter(newer) {
            self.newest = Some(setpoint);
            self.heard_us = now_us;
        }
    }

    /// One millisecond: the drives follow the newest setpoint, or brake where they are.
    pub fn step(&mut self, now_us: u64) {
        self.watchdog = now_us.saturating_sub(self.heard_us) > WATCHDOG_US;
        let Some(setpoint) = self.newest.filter(|_| !self.watchdog && !self.fault) else { return };
        let lag_ms = if self.sluggish { SLUGGISH_LAG_MS } else { LAG_MS };
        let share = 1.0 - (-1.0 / lag_ms).exp();
        for (joint, wanted) in self.joints.iter_mut().zip(setpoint.joints) {
            *joint += (wanted - *joint) * share;
        }
        self.jaw_rad += (setpoint.jaw_rad - self.jaw_rad) * share;
        self.homed |= setpoint.action == Action::Home && self.is_at_home();
    }

    /// Its encoders do not know any more where they are.
    pub fn lose_zero(&mut self) {
        self.homed = false;
    }

    fn is_at_home(&self) -> bool {
        let home = self.model.home().joints.0;
        self.joints.iter().zip(home).all(|(joint, home)| (joint - home).abs() < HOMED_WITHIN)
    }

    /// What it tells the kit.
    #[must_use]
    pub fn state(&self) -> ArmState {
        let flags = [
            (self.homed, arm_flags::HOMED),
            (self.watchdog, arm_flags::WATCHDOG),
            (self.fault, arm_flags::FAULT),
            (self.button, arm_flags::BUTTON),
            (self.way_out, arm_flags::WAY_OUT),
            (self.grasping, arm_flags::GRASPING),
        ];
        ArmState {
            setpoint: self.newest.map_or(0, |setpoint| setpoint.number),
            flags: flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag),
            joints: if self.noisy { self.with_noise() } else { self.joints },
            jaw_rad: self.jaw_rad,
        }
    }

    /// A different error at every setpoint, on every joint that there is, and the same one every time.
    fn with_noise(&self) -> [f64; 6] {
        let limits = self.model.limits();
        let number = self.newest.map_or(0, |setpoint| setpoint.number);
        std::array::from_fn(|joint| {
            let mixed = (number * 8 + joint as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let noise = NOISE * (mixed as f64 / f64::from(1 << 23) - 1.0);
            let turns = limits.position_rad_m_max[joint] > limits.position_rad_m_min[joint];
            if turns { self.joints[joint] + noise } else { self.joints[joint] }
        })
    }

    /// The state as it goes over the cable.
    #[must_use]
    pub fn sealed_state(&self) -> Vec<u8> {
        self.state().seal(&self.key).to_vec()
    }

    /// Where the tip truly is, in the arm's base frame, mm.
    #[must_use]
    pub fn tip_mm(&self) -> [f64; 3] {
        let tip_m = self.model.forward(&Joints(self.joints)).translation;
        [tip_m.x * 1e3, tip_m.y * 1e3, tip_m.z * 1e3]
    }

    #[must_use]
    pub fn jaw_rad(&self) -> f64 {
        self.jaw_rad
    }

    #[must_use]
    pub fn joints(&self) -> Joints {
        Joints(self.joints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [3; 32];

    fn arm() -> Arm {
        let model = ArmModel::psm_large_needle_driver();
        let joints = model.home().joints.0;
        Arm::new(model, &KEY, joints)
    }

    fn setpoint(number: u64, yaw: f64, arm: &Arm) -> Vec<u8> {
        let mut joints = arm.joints().0;
        joints[0] = yaw;
        ArmSetpoint { number, action: Action::Move, joints, jaw_rad: 0.0 }.seal(&MacKey::new(&KEY)).to_vec()
    }

    /// Goal: an arm whose kit died stands still by itself, and says so.
    #[test]
    fn without_setpoints_the_arm_brakes_by_itself() {
        let mut arm = arm();
        arm.receive(0, &setpoint(1, 0.2, &arm));
        arm.step(1_000);
        assert_eq!(arm.state().flags & arm_flags::WATCHDOG, 0);
        let moving = arm.joints().0[0];
        arm.step(WATCHDOG_US + 1_000);
        assert_ne!(arm.state().flags & arm_flags::WATCHDOG, 0);
        assert_eq!(arm.joints().0[0], moving);
    }

    #[test]
    fn an_old_or_forged_setpoint_moves_nothing() {
        let mut arm = arm();
        arm.receive(0, &setpoint(5, 0.0, &arm));
        arm.receive(0, &setpoint(4, 0.5, &arm));
        let mut forged = setpoint(6, 0.5, &arm);
        forged[20] ^= 1;
        arm.receive(0, &forged);
        assert_eq!(arm.state().setpoint, 5);
    }
}
