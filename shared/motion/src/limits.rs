//! The arm's limits as plain numbers, for whoever checks a setpoint.

use crate::joints::{Axes, Axis, JOINTS, Joints};
use crate::workspace::Workspace;

/// What solving for joints may add to a position that is on the end of its range, rad or m.
const ROUNDING: f64 = 1e-10;

/// Limits of one arm, from its file. Arrays are in the order of [`Joints`]; `rad_m` stands for metres at insertion
/// (index 2) and radians elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmLimits {
    pub position_rad_m_min: [f64; JOINTS],
    pub position_rad_m_max: [f64; JOINTS],
    pub velocity_rad_m_s_max: [f64; JOINTS],
    pub acceleration_rad_m_s2_max: [f64; JOINTS],
    /// Deceleration of a stop; at least the acceleration. A stop is bound by this alone, not by jerk.
    pub stop_deceleration_rad_m_s2_max: [f64; JOINTS],
    pub jerk_rad_m_s3_max: [f64; JOINTS],
    pub jaw_position_rad_min: f64,
    pub jaw_position_rad_max: f64,
    pub jaw_velocity_rad_s_max: f64,
    pub jaw_acceleration_rad_s2_max: f64,
    pub jaw_stop_deceleration_rad_s2_max: f64,
    pub jaw_jerk_rad_s3_max: f64,
    /// Speed of the tip frame's origin.
    pub tip_speed_mm_s_max: f64,
    /// Where the tip may be while it follows a hand; homing and withdrawal may leave it.
    pub workspace: Workspace,
}

impl ArmLimits {
    /// Whether every joint is within its range; the first that is not, with its value and range.
    pub fn check_joints(&self, joints: &Joints) -> Result<(), LimitExceeded> {
        Axis::ALL[..JOINTS].iter().try_for_each(|&axis| self.check(axis, joints.0[axis.index()]))
    }

    /// Whether the jaw is within its range.
    pub fn check_jaw(&self, jaw_rad: f64) -> Result<(), LimitExceeded> {
        self.check(Axis::Jaw, jaw_rad)
    }

    /// The joints, where they are outside by no more than rounding, put back on the end of their range.
    pub(crate) fn without_rounding(&self, joints: &Joints) -> Joints {
        let (min, max) = (&self.position_rad_m_min, &self.position_rad_m_max);
        Joints(std::array::from_fn(|i| {
            let kept = joints.0[i].clamp(min[i], max[i]);
            if (kept - joints.0[i]).abs() < ROUNDING { kept } else { joints.0[i] }
        }))
    }

    fn check(&self, axis: Axis, value: f64) -> Result<(), LimitExceeded> {
        let (min, max) = (self.position_min()[axis.index()], self.position_max()[axis.index()]);
        // Written so that NaN is outside.
        if value >= min && value <= max { Ok(()) } else { Err(LimitExceeded { axis, value, min, max }) }
    }

    pub(crate) fn position_min(&self) -> Axes {
        Joints(self.position_rad_m_min).with_jaw(self.jaw_position_rad_min)
    }

    pub(crate) fn position_max(&self) -> Axes {
        Joints(self.position_rad_m_max).with_jaw(self.jaw_position_rad_max)
    }

    pub(crate) fn velocity_max(&self) -> Axes {
        Joints(self.velocity_rad_m_s_max).with_jaw(self.jaw_velocity_rad_s_max)
    }

    pub(crate) fn acceleration_max(&self) -> Axes {
        Joints(self.acceleration_rad_m_s2_max).with_jaw(self.jaw_acceleration_rad_s2_max)
    }

    pub(crate) fn stop_deceleration_max(&self) -> Axes {
        Joints(self.stop_deceleration_rad_m_s2_max).with_jaw(self.jaw_stop_deceleration_rad_s2_max)
    }

    pub(crate) fn jerk_max(&self) -> Axes {
        Joints(self.jerk_rad_m_s3_max).with_jaw(self.jaw_jerk_rad_s3_max)
    }
}

/// A position outside its axis's range, in the axis's unit.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{axis} is {value:.6} {unit}, allowed is {min} to {max} {unit}", unit = .axis.unit())]
pub struct LimitExceeded {
    pub axis: Axis,
    pub value: f64,
    pub min: f64,
    pub max: f64,
}
