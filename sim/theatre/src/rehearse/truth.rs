//! What a surgeon sees in the picture, as the simulated world's truth file says it.

use std::{fs, path::Path};

use farhand_world::exercise::{Hand, Phase};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Truth {
    tip_mm: [f64; 3],
    jaw_end_mm: [f64; 3],
    target_mm: [f64; 3],
    pub(super) grasped: bool,
    pub(super) exercise: Option<Exercise>,
}

/// How an exercise stands.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Exercise {
    phase: String,
    next: Next,
}

/// Where the jaws should be, base frame.
#[derive(Clone, Debug, Deserialize)]
struct Next {
    jaw_end_mm: [f64; 3],
    orientation_wxyz: [f64; 4],
    jaw_rad: f64,
}

impl Exercise {
    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done.name()
    }

    pub(super) fn next(&self) -> Hand {
        let [w, x, y, z] = self.next.orientation_wxyz;
        let turn = UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z));
        let at = Translation3::from(self.next.jaw_end_mm.map(|mm| mm / 1e3));
        Hand { base_from_end: Isometry3::from_parts(at, turn), jaw_rad: self.next.jaw_rad }
    }
}

impl Truth {
    /// Where the tip must be, turned as it is now, so that the jaws' end is at the bead.
    pub(super) fn goal_mm(&self) -> [f64; 3] {
        std::array::from_fn(|axis| self.target_mm[axis] - self.jaw_end_mm[axis] + self.tip_mm[axis])
    }
}

/// The truth now; `None` while the file is not there.
pub(super) fn read(path: &Path) -> Option<Truth> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
