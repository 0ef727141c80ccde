//! Targets, and putting them where the arm can go.
//!
//! Invariant: a [`Clamped`] target's joints and jaw are within their limits, and its pose is the one they give. So a direction
//! that an arm without a wrist cannot take is not in it, and never counts as lag.

use nalgebra::{Isometry3, Point3};

use crate::joints::{JOINTS, Joints};
use crate::model::ArmModel;

/// Where a hand asks the tip to be: an absolute pose in the base frame, and the jaw's angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    pub base_from_tip: Isometry3<f64>,
    pub jaw_rad: f64,
}

/// What was taken away from a target, or from the motion towards it. What the arm has not at all, a jaw or a wrist to give
/// the direction with, is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clamps {
    /// The tip's position was moved into the workspace.
    pub workspace: bool,
    /// The joints, in order, that would have left their ranges; where the wrist's did, the tip's place was kept and its
    /// direction was not.
    pub joints: [bool; JOINTS],
    pub jaw: bool,
    /// The direction asked for has no joints at all, so the wrist stays as it is.
    pub direction: bool,
    /// The target was not finite: the whole target is the present setpoint.
    pub not_finite: bool,
    /// The workspace's edge or a forbidden region took motion away from this tick.
    pub fence: bool,
    /// The tip-speed cap slowed this tick.
    pub tip_speed: bool,
}

impl Clamps {
    /// Whether anything was taken away.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// A target the arm can reach: inside the inset workspace and every joint's range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamped {
    base_from_tip: Isometry3<f64>,
    joints: Joints,
    jaw_rad: f64,
    clamps: Clamps,
}

impl Clamped {
    pub fn base_from_tip(&self) -> &Isometry3<f64> {
        &self.base_from_tip
    }

    pub fn joints(&self) -> &Joints {
        &self.joints
    }

    pub fn jaw_rad(&self) -> f64 {
        self.jaw_rad
    }

    pub fn clamps(&self) -> &Clamps {
        &self.clamps
    }
}

/// How far the tip has still to go: between positions, and by the smallest turn between directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    pub mm: f64,
    pub deg: f64,
}

impl Lag {
    pub(crate) fn between(from: &Isometry3<f64>, to: &Isometry3<f64>) -> Self {
        let mm = (to.translation.vector - from.translation.vector).norm() * 1e3;
        Self { mm, deg: from.rotation.angle_to(&to.rotation).to_degrees() }
    }
}

impl ArmModel {
    /// The nearest thing to the target that the arm can do, continuous with the joints it has now.
    pub(crate) fn clamp(&self, target: &Target, now: &Joints, now_jaw_rad: f64) -> Clamped {
        if !is_finite(target) {
            let clamps = Clamps { not_finite: true, ..Clamps::default() };
            return self.clamped(*now, now_jaw_rad, clamps);
        }
        let base_tip: Point3<f64> = target.base_from_tip.translation.vector.into();
        let kept_tip = self.limits.workspace.keep_inside(&base_tip);
        let (jaw_rad_min, jaw_rad_max) = (self.limits.jaw_position_rad_min, self.limits.jaw_position_rad_max);
        let jaw_rad = target.jaw_rad.clamp(jaw_rad_min, jaw_rad_max);
        let mut clamps = Clamps {
            workspace: kept_tip != base_tip,
            jaw: self.has_wrist && jaw_rad != target.jaw_rad,
            ..Clamps::default()
        };
        let base_from_tip = Isometry3::from_parts(kept_tip.into(), target.base_from_tip.rotation);
        let solved = self.inverse_unlimited(&base_from_tip, now);
        match solved.map(|joints| self.limits.without_rounding(&joints)) {
            Ok(joints) if self.limits.check_joints(&joints).is_ok() => {
                let base_from_tip = if self.has_wrist { base_from_tip } else { self.forward(&joints) };
                Clamped { base_from_tip, joints, jaw_rad, clamps }
            }
            Ok(joints) => self.clamped(self.keep_place(&kept_tip, &joints, &mut clamps), jaw_rad, clamps),
            Err(_) => {
                clamps.direction = true;
                self.clamped(self.keep_place(&kept_tip, now, &mut clamps), jaw_rad, clamps)
            }
        }
    }

    fn clamped(&self, joints: Joints, jaw_rad: f64, clamps: Clamps) -> Clamped {
        Clamped { base_from_tip: self.forward(&joints), joints, jaw_rad, clamps }
    }

    /// Joints within limits whose wrist is as near as it can be to `wanted`, and whose tip is at this point unless the
    /// shaft's own limits forbid it.
    fn keep_place(&self, base_tip: &Point3<f64>, wanted: &Joints, clamps: &mut Clamps) -> Joints {
        let wrist = self.within_limits(wanted, clamps);
        self.within_limits(&self.point_shaft(base_tip, &wrist), clamps)
    }

    fn within_limits(&self, joints: &Joints, clamps: &mut Clamps) -> Joints {
        let (min, max) = (&self.limits.position_rad_m_min, &self.limits.position_rad_m_max);
        let kept = std::array::from_fn(|i| joints.0[i].clamp(min[i], max[i]));
        for ((clamp, kept), asked) in clamps.joints.iter_mut().zip(kept).zip(joints.0) {
            *clamp |= kept != asked;
        }
        Joints(kept)
    }

    /// Yaw, pitch and insertion that bring the tip to this point while roll and wrist stay as they are.
    fn point_shaft(&self, base_tip: &Point3<f64>, wrist: &Joints) -> Joints {
        let [_, _, _, roll, wrist_pitch, wrist_yaw] = wrist.0;
        // With the wrist at the remote centre and the shaft straight down, the tip's place is its offset from the wrist;
        // there the insertion frame's axes are -y, -x, -z of the base.
        let wrist_at_centre =
            Joints([0.0, 0.0, -self.wrist_at_zero_insertion_m(), roll, wrist_pitch, wrist_yaw]);
        let offset = self.forward(&wrist_at_centre).translation.vector;
        let (x, y, along) = (-offset.y, -offset.x, -offset.z);
        let p = base_tip;
        let shaft_m = (p.coords.norm_squared() - x * x - y * y).max(0.0).sqrt() - along;
        let z = along + shaft_m;
        // Pitch turns (x, z) in the plane through the yaw axis; yaw then turns the rest about that axis.
        let level = (x * x + z * z - p.y * p.y).max(0.0).sqrt();
        let pitch_rad = (-z * p.y - x * level).atan2(z * level - x * p.y);
        let yaw_rad = (level * p.x - y * p.z).atan2(-y * p.x - level * p.z);
        let insertion_m = shaft_m - self.wrist_at_zero_insertion_m();
        Joints([yaw_rad, pitch_rad, insertion_m, roll, wrist_pitch, wrist_yaw])
    }
}

fn is_finite(target: &Target) -> bool {
    let pose = &target.base_from_tip;
    // Sums: one NaN or infinity anywhere shows in them.
    let sum = pose.translation.vector.sum() + pose.rotation.coords.sum() + target.jaw_rad;
    sum.is_finite() && pose.translation.vector.amax() < 1e6
}
