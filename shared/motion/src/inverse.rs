//! Closed-form inverse kinematics.
//!
//! The wrist's yaw axis z is known from the tip's pose, and so is the point p on it. The wrist's link of length L runs
//! from the pitch axis to p, at right angles to z; the pitch axis is at right angles to the shaft, and the shaft passes
//! through the remote centre. Together these say that the link lies along p's part at right angles to z, one way or the
//! other. That gives the pitch axis's place, hence the shaft; the other angles follow by projection.

use std::f64::consts::TAU;

use nalgebra::{Isometry3, Vector3};

use crate::joints::{Axis, Joints};
use crate::limits::LimitExceeded;
use crate::model::ArmModel;

/// A wrist axis nearer than this to the remote centre leaves joints undetermined, m.
const SINGULAR_M: f64 = 1e-6;

/// Why a pose has no joints.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InverseError {
    #[error("the pose is not finite")]
    NotFinite,
    #[error(
        "out of reach: the tip would be {distance_m:.4} m from the remote centre, the arm reaches {reach_m:.4} m"
    )]
    OutOfReach { distance_m: f64, reach_m: f64 },
    #[error(
        "singular: the shaft has no direction {distance_m:.2e} m from the remote centre, least is {min_m:.2e} m"
    )]
    Singular { distance_m: f64, min_m: f64 },
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl ArmModel {
    /// Joints that put the tip at this pose, all within limits; of several, those nearest to `near`. Roll may unwind
    /// by a whole turn to stay within its range. Allocates nothing.
    pub fn inverse(&self, base_from_tip: &Isometry3<f64>, near: &Joints) -> Result<Joints, InverseError> {
        let wrist = self.wrist(base_from_tip)?;
        wrist.check_reach(self.reach_m())?;
        let plain = self.inside(self.solve(&wrist, self.plain_branch(&wrist), near));
        let reversed = self.inside(self.solve(&wrist, self.reversed_branch(&wrist), near));
        match (plain, reversed) {
            (Ok(plain), Ok(reversed)) if reversed.distance(near) < plain.distance(near) => Ok(reversed),
            (Err(_), Ok(reversed)) => Ok(reversed),
            (plain, _) => plain,
        }
    }

    /// The joints of the branch that work is done in, limits unchecked: wrist ahead of the remote centre, and roll
    /// continuous with `near`, so that whoever follows it never meets a jump to another branch.
    pub(crate) fn inverse_unlimited(
        &self,
        base_from_tip: &Isometry3<f64>,
        near: &Joints,
    ) -> Result<Joints, InverseError> {
        let wrist = self.wrist(base_from_tip)?;
        let ahead = Branch { shaft_sign: 1.0, ..self.plain_branch(&wrist) };
        self.solve(&wrist, ahead, near)
    }

    fn wrist(&self, base_from_tip: &Isometry3<f64>) -> Result<Wrist, InverseError> {
        let base_from_link = base_from_tip * self.tip_from_link;
        let rotation = base_from_link.rotation.to_rotation_matrix();
        let point = base_from_link.translation.vector;
        let (axis, x) = (rotation.matrix().column(2).into_owned(), rotation.matrix().column(0).into_owned());
        let across = point - axis * axis.dot(&point);
        let across_m = across.norm();
        if !(point.norm_squared() + axis.norm_squared() + x.norm_squared()).is_finite() {
            return Err(InverseError::NotFinite);
        }
        if across_m < SINGULAR_M {
            return Err(singular(across_m));
        }
        Ok(Wrist { point, axis, x, across: across / across_m, across_m })
    }

    /// The wrist's link points the way the point lies; it bends less than a right angle from the shaft.
    fn plain_branch(&self, wrist: &Wrist) -> Branch {
        let shaft_sign = if wrist.across_m >= self.wrist_offset_m() { 1.0 } else { -1.0 };
        Branch { link: wrist.across, shaft_sign }
    }

    /// The link points the other way, with the wrist drawn back behind the remote centre.
    fn reversed_branch(&self, wrist: &Wrist) -> Branch {
        Branch { link: -wrist.across, shaft_sign: -1.0 }
    }

    fn solve(&self, wrist: &Wrist, branch: Branch, near: &Joints) -> Result<Joints, InverseError> {
        let Branch { link, shaft_sign } = branch;
        let pitch_axis_point = wrist.point - link * self.wrist_offset_m();
        let distance_m = pitch_axis_point.norm();
        if distance_m < SINGULAR_M {
            return Err(singular(distance_m));
        }
        let shaft = Shaft::along(&(pitch_axis_point * (shaft_sign / distance_m)));
        let pitch_axis = link.cross(&wrist.axis);
        let roll_rad = (-pitch_axis.dot(&shaft.x)).atan2(pitch_axis.dot(&shaft.y));
        let (sin_roll, cos_roll) = roll_rad.sin_cos();
        let rolled_x = shaft.x * cos_roll + shaft.y * sin_roll;
        Ok(Joints([
            shaft.yaw_rad,
            shaft.pitch_rad,
            distance_m * shaft_sign - self.wrist_at_zero_insertion_m(),
            nearest_turn(roll_rad, near.0[Axis::Roll.index()]),
            link.dot(&rolled_x).atan2(link.dot(&shaft.z)),
            wrist.x.dot(&link).atan2(wrist.x.dot(&pitch_axis)),
        ]))
    }

    /// Within limits, after unwinding the roll where its range asks for that.
    fn inside(&self, solved: Result<Joints, InverseError>) -> Result<Joints, InverseError> {
        let mut joints = self.limits.without_rounding(&solved?);
        let i = Axis::Roll.index();
        let (min, max) = (self.limits.position_rad_m_min[i], self.limits.position_rad_m_max[i]);
        let unwound = joints.0[i] - TAU.copysign(joints.0[i]);
        if !(min..=max).contains(&joints.0[i]) && (min..=max).contains(&unwound) {
            joints.0[i] = unwound;
        }
        self.limits.check_joints(&joints)?;
        Ok(joints)
    }

    fn reach_m(&self) -> f64 {
        let insertion_m_max = self.limits.position_rad_m_max[Axis::Insertion.index()];
        insertion_m_max + self.wrist_at_zero_insertion_m() + self.wrist_offset_m()
    }
}

/// The wrist's yaw axis, in the base frame.
struct Wrist {
    point: Vector3<f64>,
    axis: Vector3<f64>,
    /// The link frame's x axis, which turns with the joint.
    x: Vector3<f64>,
    /// Direction and length of the point's part at right angles to the axis.
    across: Vector3<f64>,
    across_m: f64,
}

impl Wrist {
    fn check_reach(&self, reach_m: f64) -> Result<(), InverseError> {
        let distance_m = self.point.norm();
        // A nanometre of grace, so that full stretch is not lost to rounding.
        if distance_m > reach_m + 1e-9 {
            return Err(InverseError::OutOfReach { distance_m, reach_m });
        }
        Ok(())
    }
}

/// Which way the wrist's link points, and whether the wrist is ahead of the remote centre (1) or behind it (-1).
struct Branch {
    link: Vector3<f64>,
    shaft_sign: f64,
}

/// The insertion frame's axes for a shaft in a given direction, and the yaw and pitch that turn it there.
struct Shaft {
    x: Vector3<f64>,
    y: Vector3<f64>,
    z: Vector3<f64>,
    yaw_rad: f64,
    pitch_rad: f64,
}

impl Shaft {
    fn along(z: &Vector3<f64>) -> Self {
        // z = (sin yaw cos pitch, -sin pitch, -cos yaw cos pitch); pitch never reaches a right angle within its limits.
        let (sin_pitch, cos_pitch) = (-z.y, z.x.hypot(z.z));
        let (sin_yaw, cos_yaw) =
            if cos_pitch > 0.0 { (z.x / cos_pitch, -z.z / cos_pitch) } else { (0.0, 1.0) };
        Self {
            x: Vector3::new(-sin_yaw * sin_pitch, -cos_pitch, cos_yaw * sin_pitch),
            y: Vector3::new(-cos_yaw, 0.0, -sin_yaw),
            z: *z,
            yaw_rad: sin_yaw.atan2(cos_yaw),
            pitch_rad: sin_pitch.atan2(cos_pitch),
        }
    }
}

/// The same angle, by whole turns as near to `near_rad` as it can be.
fn nearest_turn(angle_rad: f64, near_rad: f64) -> f64 {
    angle_rad + TAU * ((near_rad - angle_rad) / TAU).round()
}

fn singular(distance_m: f64) -> InverseError {
    InverseError::Singular { distance_m, min_m: SINGULAR_M }
}
