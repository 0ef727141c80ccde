//! Where a hand wants a tool, and a tool that follows.

use farhand_motion::{ArmModel, Motion, Target};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

/// A target by its tip's place (metres, in and around the workspace) and direction.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    pub(crate) place: [f64; 3],
    pub(crate) turn: [f64; 3],
    pub(crate) jaw_rad: f64,
    pub(crate) hold_ticks: usize,
}

impl Aim {
    pub(crate) fn target(&self, arm: &ArmModel) -> Target {
        let down = arm.forward(&arm.home().joints).rotation;
        let turn = UnitQuaternion::from_scaled_axis(Vector3::from(self.turn));
        let [x, y, z] = self.place;
        Target {
            base_from_tip: Isometry3::from_parts(Translation3::new(x, y, z), turn * down),
            jaw_rad: self.jaw_rad,
        }
    }
}

/// An arm at rest at its home.
pub(crate) fn at_home(arm: &ArmModel) -> Motion {
    let home = arm.home();
    Motion::new(arm, home.joints, home.jaw_rad).expect("home is within limits")
}
