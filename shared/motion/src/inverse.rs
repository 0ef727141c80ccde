//! Closed-form inverse kinematics.
//!
//! The wrist's yaw axis z is known from the tip's pose, and so is the point p on it. The wrist's link of length L runs
//! from the pitch axis to p, at right angles to z; the pitch axis is at right angles to the shaft, and the shaft passes
//! through the remote centre. Together these say that the link lies along p's part at right angles to z, one way or the
//! other. That gives the pitch axis's place, hence the shaft; the other angles follow by projection.
//!
//! Without a wrist the tip is the shaft's end, so that its place is the shaft; of the pose's direction only as much as a
//! roll can give is taken.

use std::f64::consts::TAU;

use nalgebra::{Isometry3, Vector3};

use crate::joints::{Axis, Joints};
use crate::limits::LimitExceeded;
use crate::model::ArmModel;

/// A wrist axis nearer than this to the remote centre leaves joints undetermined, m.
const SINGULAR_M: f64 = 1e-6;

/// Where there is no wrist: a tip's x axis with less than this across the shaft says nothing of the roll, which would
/// otherwise go round with the hand's least tremor.
const ACROSS_MIN: f64 = 0.1;

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
    ///
    /// An arm without a wrist puts the tip at this place; its roll turns the tip's x axis, as seen along the shaft, to the
    /// pose's x axis, or is that of `near` where that axis lies along the shaft. The direction is otherwise what the place
    /// makes it.
    pub fn inverse(&self, base_from_tip: &Isometry3<f64>, near: &Joints) -> Result<Joints, InverseError> {
        let [plain, reversed] = self.branches(base_from_tip, near)?;
        match (self.inside(plain), self.inside(reversed)) {
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
        if !self.has_wrist {
            return self.solve_end(&ShaftEnd::at(base_from_tip)?, 1.0, near);
        }
        let wrist = self.wrist(base_from_tip)?;
        let ahead = Branch { shaft_sign: 1.0, ..self.plain_branch(&wrist) };
        self.solve(&wrist, ahead, near)
    }

    /// The joints of both branches, the one that work is done in first; limits unchecked.
    fn branches(
        &self,
        base_from_tip: &Isometry3<f64>,
        near: &Joints,
    ) -> Result<[Result<Joints, InverseError>; 2], InverseError> {
        if !self.has_wrist {
            let end = ShaftEnd::at(base_from_tip)?;
            check_reach(&end.point, self.reach_m())?;
            return Ok([1.0, -1.0].map(|shaft_sign| self.solve_end(&end, shaft_sign, near)));
        }
        let wrist = self.wrist(base_from_tip)?;
        check_reach(&wrist.point, self.reach_m())?;
        let branches = [self.plain_branch(&wrist), self.reversed_branch(&wrist)];
        Ok(branches.map(|branch| self.solve(&wrist, branch, near)))
    }

    /// `shaft_sign`: whether the shaft's end is ahead of the remote centre (1) or behind it (-1).
    fn solve_end(&self, end: &ShaftEnd, shaft_sign: f64, near: &Joints) -> Result<Joints, InverseError> {
        let distance_m = end.point.norm();
        if distance_m < SINGULAR_M {
            return Err(singular(distance_m));
        }
        let shaft = Shaft::along(&(end.point * (shaft_sign / distance_m)));
        // The x axis that is asked for, and the tip's own at zero roll, both across the shaft.
        let (wanted_x, wanted_y) = (end.x.dot(&shaft.x), end.x.dot(&shaft.y));
        let own = self.link_from_tip.rotation * Vector3::x();
        let roll_rad = if wanted_x.hypot(wanted_y) < ACROSS_MIN {
            near.0[Axis::Roll.index()]
        } else {
            let turn_rad = (wanted_y * own.x - wanted_x * own.y).atan2(wanted_x * own.x + wanted_y * own.y);
            nearest_turn(turn_rad, near.0[Axis::Roll.index()])
        };
        let insertion_m = distance_m * shaft_sign - self.wrist_at_zero_insertion_m();
        Ok(Joints([shaft.yaw_rad, shaft.pitch_rad, insertion_m, roll_rad, 0.0, 0.0]))
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

/// Where a shaft without a wrist ends, and the x axis that its tip should have, in the base frame.
struct ShaftEnd {
    point: Vector3<f64>,
    x: Vector3<f64>,
}

impl ShaftEnd {
    fn at(base_from_tip: &Isometry3<f64>) -> Result<Self, InverseError> {
        let (point, x) = (base_from_tip.translation.vector, base_from_tip.rotation * Vector3::x());
        let finite = (point.norm_squared() + x.norm_squared()).is_finite();
        if finite { Ok(Self { point, x }) } else { Err(InverseError::NotFinite) }
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

fn check_reach(point: &Vector3<f64>, reach_m: f64) -> Result<(), InverseError> {
    let distance_m = point.norm();
    // A nanometre of grace, so that full stretch is not lost to rounding.
    if distance_m > reach_m + 1e-9 {
        return Err(InverseError::OutOfReach { distance_m, reach_m });
    }
    Ok(())
}

/// The same angle, by whole turns as near to `near_rad` as it can be.
fn nearest_turn(angle_rad: f64, near_rad: f64) -> f64 {
    angle_rad + TAU * ((near_rad - angle_rad) / TAU).round()
}

fn singular(distance_m: f64) -> InverseError {
    InverseError::Singular { distance_m, min_m: SINGULAR_M }
}
