//! One arm as the loop moves it: motion in the arm's own frame, places in the kit's.

use arrayvec::ArrayVec;
use farhand_guard::{ArmStart, Intent, Lag, Proposal, SetpointLimits};
use farhand_motion::{ArmLimits, Axis, Joints, LimitExceeded, Motion, Mounted, Region, Setpoint, Target};
use farhand_wire::{ArmSetpoint, ArmState, KitTick, Pose, arm_flags};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use crate::{Measured, SELF_TEST_ITEMS_MAX, TestItem};

/// Motion of one arm, and what the arm last said.
#[derive(Debug)]
pub(crate) struct Arm {
    motion: Motion,
    kit_from_base: Isometry3<f64>,
    base_from_kit: Isometry3<f64>,
    measured: ArmState,
    heard: Option<KitTick>,
    /// It has said where it stands. An arm that has not is told nothing.
    pub(crate) found: bool,
    /// Number of the newest setpoint permitted.
    pub(crate) permitted: u64,
}

/// How an arm stands, for whoever tells it. Poses are in the kit's frame.
#[derive(Clone, Copy, Debug)]
pub struct ArmSnapshot {
    pub setpoint: Pose,
    pub measured: Pose,
    pub jaw_rad: f64,
    /// For whoever watches, see [`crate::Config::observer`].
    pub joints: SnapshotJoints,
    pub clamped: bool,
}

/// Joint by joint; units as in [`ArmState`].
#[derive(Clone, Copy, Debug)]
pub struct SnapshotJoints {
    pub measured: [f64; 6],
    pub measured_jaw_rad: f64,
    pub setpoint: [f64; 6],
    pub setpoint_velocity: [f64; 6],
    pub setpoint_jaw_velocity_rad_s: f64,
}

impl Arm {
    /// An arm that stands where it says it does, or has not said so yet.
    pub(crate) fn new(arm: &Mounted, measured: Option<ArmState>) -> Result<Self, LimitExceeded> {
        let found = measured.is_some();
        let home = arm.model.home();
        let unheard = ArmState { setpoint: 0, flags: 0, joints: home.joints.0, jaw_rad: home.jaw_rad };
        let measured = measured.unwrap_or(unheard);
        Ok(Self {
            motion: Motion::new(&arm.model, Joints(measured.joints), measured.jaw_rad)?,
            kit_from_base: arm.kit_from_base,
            base_from_kit: arm.kit_from_base.inverse(),
            measured,
            heard: None,
            found,
            permitted: measured.setpoint,
        })
    }

    /// What the guard begins with.
    pub(crate) fn start(&self) -> ArmStart {
        let limits = setpoint_limits(self.motion.model().limits());
        ArmStart { limits, at: proposal(self.motion.setpoint(), true), setpoint: self.permitted }
    }

    /// Gives what the guard begins with anew, if the arm has just come.
    pub(crate) fn says(&mut self, now: KitTick, state: ArmState) -> Option<ArmStart> {
        (self.measured, self.heard) = (state, Some(now));
        // One that stands outside its limits is none that can be moved.
        if self.found || self.motion.stand(Joints(state.joints), state.jaw_rad).is_err() {
            return None;
        }
        (self.found, self.permitted) = (true, state.setpoint);
        Some(self.start())
    }

    /// What it was told in the end. Where that is not what motion proposed, motion goes on from there.
    pub(crate) fn told(&mut self, setpoint: &ArmSetpoint, proposal: &Proposal) {
        self.permitted = setpoint.number;
        if (setpoint.joints, setpoint.jaw_rad) != (proposal.joints, proposal.jaw_rad) {
            let _ = self.motion.stand(Joints(setpoint.joints), setpoint.jaw_rad); // the guard keeps to the same limits
        }
    }

    /// For rehearsals, see [`Motion::upset`].
    pub(crate) fn upset(&mut self, axis: Axis, by: f64) {
        self.motion.upset(axis, by);
    }

    /// These regions, given in the kit's frame, are in force.
    pub(crate) fn forbid<const N: usize>(&mut self, regions: &ArrayVec<Region, N>) {
        let seen: ArrayVec<Region, N> =
            regions.iter().map(|region| region.seen_from(&self.kit_from_base)).collect();
        self.motion.forbid(&seen);
    }

    /// From the setpoint to a target in the kit's frame.
    pub(crate) fn lag(&self, pose: &Pose, jaw_rad: f64) -> Lag {
        let lag = self.motion.lag(&self.motion.clamp(&self.target(pose, jaw_rad)));
        Lag { mm: lag.mm, deg: lag.deg }
    }

    /// One tick of what the guard decided; and whether that ends its errand.
    pub(crate) fn follow(&mut self, intent: &Intent) -> (Proposal, bool) {
        let (setpoint, done) = match intent {
            Intent::Stop => (self.motion.stop(), false),
            // The arm says itself whether it has found its zero: one setpoint may be lost on the cable.
            Intent::Home => {
                let setpoint = self.motion.home();
                (setpoint, self.motion.is_home() && self.measured.flags & arm_flags::HOMED != 0)
            }
            Intent::Withdraw { jaw_rad } => {
                let setpoint = self.motion.withdraw(*jaw_rad);
                (setpoint, self.motion.is_withdrawn())
            }
            Intent::Follow { target, jaw_rad, tip_speed_mm_s_max } => {
                let wanted = self.motion.clamp(&self.target(target, *jaw_rad));
                (self.motion.follow(&wanted, *tip_speed_mm_s_max), false)
            }
        };
        (proposal(&setpoint, self.motion.is_at_rest()), done)
    }

    pub(crate) fn snapshot(&self) -> ArmSnapshot {
        let setpoint = self.motion.setpoint();
        let measured = self.motion.model().forward(&Joints(self.measured.joints));
        ArmSnapshot {
            setpoint: pose(&(self.kit_from_base * setpoint.base_from_tip)),
            measured: pose(&(self.kit_from_base * measured)),
            jaw_rad: setpoint.jaw_rad,
            joints: SnapshotJoints {
                measured: self.measured.joints,
                measured_jaw_rad: self.measured.jaw_rad,
                setpoint: setpoint.joints.0,
                setpoint_velocity: setpoint.joint_velocity,
                setpoint_jaw_velocity_rad_s: setpoint.jaw_velocity_rad_s,
            },
            clamped: setpoint.clamps.any(),
        }
    }

    /// What a self-test finds.
    pub(crate) fn tested(
        &self,
        now: KitTick,
        arm_silence_ms_max: f64,
    ) -> ArrayVec<Measured, SELF_TEST_ITEMS_MAX> {
        let limits = self.motion.model().limits();
        let flag = |flag: u8| f64::from(u8::from(self.measured.flags & flag != 0));
        let silent_ms = self.heard.map_or(f64::INFINITY, |heard| now.ms_since(heard));
        let behind = self.permitted.abs_diff(self.measured.setpoint) as f64;
        let homed = if self.heard.is_some() { flag(arm_flags::HOMED) } else { f64::NAN };
        let mut measured: ArrayVec<_, SELF_TEST_ITEMS_MAX> = ArrayVec::new();
        measured.extend([
            Measured { item: TestItem::ArmSilence, value: silent_ms, min: 0.0, max: arm_silence_ms_max },
            Measured { item: TestItem::ArmBehind, value: behind, min: 0.0, max: arm_silence_ms_max },
            Measured { item: TestItem::ArmWatchdog, value: flag(arm_flags::WATCHDOG), min: 0.0, max: 0.0 },
            Measured { item: TestItem::ArmFault, value: flag(arm_flags::FAULT), min: 0.0, max: 0.0 },
            Measured { item: TestItem::ArmButton, value: flag(arm_flags::BUTTON), min: 0.0, max: 0.0 },
            Measured { item: TestItem::Homed, value: homed, min: 0.0, max: 1.0 },
        ]);
        measured.extend((0..6).map(|joint| Measured {
            item: TestItem::Joint(joint as u8),
            value: self.measured.joints[joint],
            min: limits.position_rad_m_min[joint],
            max: limits.position_rad_m_max[joint],
        }));
        let (min, max) = (limits.jaw_position_rad_min, limits.jaw_position_rad_max);
        measured.push(Measured { item: TestItem::Jaw, value: self.measured.jaw_rad, min, max });
        measured
    }

    /// A target of the kit's frame in the arm's own.
    fn target(&self, target: &Pose, jaw_rad: f64) -> Target {
        let [x, y, z] = target.position_m;
        let [w, i, j, k] = target.orientation_wxyz;
        let rotation = UnitQuaternion::from_quaternion(Quaternion::new(w, i, j, k));
        let kit_from_tip = Isometry3::from_parts(Translation3::new(x, y, z), rotation);
        Target { base_from_tip: self.base_from_kit * kit_from_tip, jaw_rad }
    }
}

fn proposal(setpoint: &Setpoint, at_rest: bool) -> Proposal {
    let tip_m = setpoint.base_from_tip.translation;
    Proposal {
        joints: setpoint.joints.0,
        jaw_rad: setpoint.jaw_rad,
        tip_mm: [tip_m.x * 1e3, tip_m.y * 1e3, tip_m.z * 1e3],
        at_rest,
    }
}

fn setpoint_limits(limits: &ArmLimits) -> SetpointLimits {
    SetpointLimits {
        position_min: limits.position_rad_m_min,
        position_max: limits.position_rad_m_max,
        velocity_max: limits.velocity_rad_m_s_max,
        acceleration_max: limits.acceleration_rad_m_s2_max,
        stop_deceleration_max: limits.stop_deceleration_rad_m_s2_max,
        jaw_rad_min: limits.jaw_position_rad_min,
        jaw_rad_max: limits.jaw_position_rad_max,
        jaw_velocity_rad_s_max: limits.jaw_velocity_rad_s_max,
        tip_speed_mm_s_max: limits.tip_speed_mm_s_max,
    }
}

fn pose(kit_from_tip: &Isometry3<f64>) -> Pose {
    let (t, q) = (kit_from_tip.translation, kit_from_tip.rotation);
    Pose { position_m: [t.x, t.y, t.z], orientation_wxyz: [q.w, q.i, q.j, q.k] }
}

#[cfg(test)]
mod tests {
    use farhand_motion::ArmModel;
    use farhand_wire::Action;

    use super::*;

    /// Goal: where the arm was told to stand elsewhere than motion proposed, motion goes on from there.
    #[test]
    fn motion_goes_on_from_where_the_arm_was_stopped() {
        let model = ArmModel::psm_large_needle_driver();
        let home = *model.home();
        let state = ArmState { setpoint: 0, flags: 0, joints: home.joints.0, jaw_rad: home.jaw_rad };
        let mut arm = Arm::new(&Mounted::from(model), Some(state)).expect("home is within limits");
        let (proposal, _) = arm.follow(&Intent::Stop);
        let mut joints = proposal.joints;
        joints[0] += 0.01;
        let told = ArmSetpoint { number: 5, action: Action::Brake, joints, jaw_rad: proposal.jaw_rad };
        arm.told(&told, &proposal);
        let (next, _) = arm.follow(&Intent::Stop);
        assert_eq!((next.joints, next.at_rest, arm.permitted), (joints, true, 5));
    }
}
