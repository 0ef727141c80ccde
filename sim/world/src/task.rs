//! Reach and grasp: a small object somewhere in the workspace, to be taken by the jaws.

use fastrand::Rng;

/// The object is felt when the tip is this close.
pub const GRASP_MM: f64 = 3.0;
const CLOSED_RAD: f64 = 0.15;
const OPEN_RAD: f64 = 0.35;

/// The object, and whether the jaws have it. Places are in the arm's base frame, mm.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub target_mm: [f64; 3],
    /// The jaws were open beside it, so that closing them takes it.
    ready: bool,
    grasped: bool,
}

impl Task {
    /// Somewhere within ±20 mm of `centre_mm`.
    #[must_use]
    pub fn near(centre_mm: [f64; 3], rng: &mut Rng) -> Self {
        Self::at(centre_mm.map(|mm| mm + 40.0 * (rng.f64() - 0.5)))
    }

    /// Here.
    #[must_use]
    pub fn at(target_mm: [f64; 3]) -> Self {
        Self { target_mm, ready: false, grasped: false }
    }

    /// The jaws are here and this far open.
    pub fn touch(&mut self, tip_mm: [f64; 3], jaw_rad: f64) {
        let close = self.error_mm(tip_mm) <= GRASP_MM;
        if jaw_rad >= OPEN_RAD {
            (self.ready, self.grasped) = (close, false);
        } else if jaw_rad <= CLOSED_RAD {
            self.grasped |= self.ready && close;
        }
        if self.grasped {
            self.target_mm = tip_mm;
        }
    }

    /// From the tip to the object.
    #[must_use]
    pub fn error_mm(&self, tip_mm: [f64; 3]) -> f64 {
        self.target_mm.iter().zip(tip_mm).map(|(target, tip)| (target - tip).powi(2)).sum::<f64>().sqrt()
    }

    #[must_use]
    pub fn is_grasped(&self) -> bool {
        self.grasped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jaws_that_close_around_it_take_it() {
        let mut task = Task::near([0.0, 0.0, -100.0], &mut Rng::with_seed(1));
        let at = task.target_mm;
        task.touch(at, 0.0);
        assert!(!task.is_grasped(), "closed jaws push it");
        task.touch(at, 0.5);
        task.touch([at[0] + 10.0, at[1], at[2]], 0.0);
        assert!(!task.is_grasped(), "jaws that close elsewhere miss it");
        task.touch(at, 0.5);
        task.touch(at, 0.0);
        assert!(task.is_grasped());
    }
}
