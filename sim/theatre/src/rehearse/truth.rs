//! What a surgeon sees in the picture, as the simulated world's truth file says it.

use std::{fs, path::Path};

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Truth {
    tip_mm: [f64; 3],
    jaw_end_mm: [f64; 3],
    target_mm: [f64; 3],
    pub(super) grasped: bool,
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
