//! E-stops: every press latches once, and once cleared never again.

use arrayvec::ArrayVec;
use farhand_wire::PressId;

#[cfg(test)]
#[path = "explore/keys/estop.rs"]
mod explored;

const LATCHED_MAX: usize = 16;
const CLEARED_MAX: usize = 64;

/// Presses that hold the arm, and presses dealt with.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct EStop {
    latched: ArrayVec<PressId, LATCHED_MAX>,
    cleared: ArrayVec<PressId, CLEARED_MAX>,
}

impl EStop {
    /// Whether the press is new and so latches. Beyond the bound it need not be remembered: the arm is stopped anyway.
    pub(crate) fn press(&mut self, press: PressId) -> bool {
        let known = self.cleared.contains(&press) || self.latched.contains(&press);
        if !known && self.latched.is_full() {
            self.latched.remove(0);
        }
        if !known {
            self.latched.push(press);
        }
        !known
    }

    pub(crate) fn is_latched(&self) -> bool {
        !self.latched.is_empty()
    }

    pub(crate) fn latched(&self) -> usize {
        self.latched.len()
    }

    /// Forgets the oldest cleared press when full: should it come again it latches, which is the safe side.
    pub(crate) fn clear(&mut self) {
        for press in self.latched.drain(..) {
            if self.cleared.is_full() {
                self.cleared.remove(0);
            }
            self.cleared.push(press);
        }
    }

    /// Presses that arrived, latched or cleared: those who pressed may stop repeating.
    pub(crate) fn seen(&self) -> impl Iterator<Item = PressId> + '_ {
        self.cleared.iter().chain(&self.latched).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_press_never_latches_again() {
        let (mut estop, press) = (EStop::default(), PressId([7; 16]));
        assert!(estop.press(press));
        estop.clear();
        assert!(!estop.press(press));
        assert!(!estop.is_latched());
        assert!(estop.press(PressId([8; 16])));
    }

    #[test]
    fn more_presses_than_are_remembered_keep_it_latched() {
        let mut estop = EStop::default();
        for n in 0..200 {
            assert!(estop.press(PressId([n; 16])));
        }
        assert!(estop.is_latched());
    }
}
