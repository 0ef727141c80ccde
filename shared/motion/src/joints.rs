//! Names and values of the arm's axes.

use std::fmt;

/// Number of joints that place the tip; the jaw is an axis besides.
pub const JOINTS: usize = 6;

/// Of these, the joints up to the wrist, which every arm has; where there is no wrist the others and the jaw stay at zero.
pub(crate) const SHAFT_JOINTS: usize = 4;

/// Joints and jaw: what the tracker moves.
pub(crate) const AXES: usize = 7;

/// One value an axis, in the order of [`Axis::ALL`].
pub(crate) type Axes = [f64; AXES];

/// Joint positions: yaw rad, pitch rad, insertion m, roll rad, wrist pitch rad, wrist yaw rad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Joints(pub [f64; JOINTS]);

impl Joints {
    /// How far the shaft is pushed in from its outermost position, m.
    pub fn insertion_m(&self) -> f64 {
        self.0[Axis::Insertion.index()]
    }

    pub(crate) fn with_jaw(&self, jaw_rad: f64) -> Axes {
        let [yaw, pitch, insertion, roll, wrist_pitch, wrist_yaw] = self.0;
        [yaw, pitch, insertion, roll, wrist_pitch, wrist_yaw, jaw_rad]
    }

    pub(crate) fn split(axes: &Axes) -> (Joints, f64) {
        let [yaw, pitch, insertion, roll, wrist_pitch, wrist_yaw, jaw] = *axes;
        (Joints([yaw, pitch, insertion, roll, wrist_pitch, wrist_yaw]), jaw)
    }

    /// Sum of absolute differences, where a metre counts as a radian: only ever used to tell two branches apart.
    pub(crate) fn distance(&self, other: &Joints) -> f64 {
        self.0.iter().zip(other.0).map(|(a, b)| (a - b).abs()).sum()
    }
}

/// An axis of the arm, in the order of [`Joints`], the jaw last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Yaw,
    Pitch,
    Insertion,
    Roll,
    WristPitch,
    WristYaw,
    Jaw,
}

impl Axis {
    /// Every axis, in order.
    pub const ALL: [Axis; AXES] =
        [Axis::Yaw, Axis::Pitch, Axis::Insertion, Axis::Roll, Axis::WristPitch, Axis::WristYaw, Axis::Jaw];

    /// Place in [`Axis::ALL`], and in [`Joints`] for all but the jaw.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name in the arm's file.
    pub const fn name(self) -> &'static str {
        ["yaw", "pitch", "insertion", "roll", "wrist_pitch", "wrist_yaw", "jaw"][self.index()]
    }

    /// Unit of its position: `m` for insertion, `rad` for the others.
    pub const fn unit(self) -> &'static str {
        if matches!(self, Axis::Insertion) { "m" } else { "rad" }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
