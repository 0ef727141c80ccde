//! Deadlines of the loop (P10): a kit that can't keep its rate doesn't move the tool.
//!
//! Invariant, local: a loop that missed too many ticks in a row holds until it is on time and a fresh command is applied.

use farhand_wire::{KitTick, Rejection};

use crate::{Limits, TICK_MS};

#[cfg(test)]
#[path = "explore/keys/deadlines.rs"]
mod explored;

/// When the loop last came, and what it missed.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Deadlines {
    last: Option<KitTick>,
    in_a_row: f64,
}

impl Deadlines {
    /// A tick begins. Those that were due since the last one were missed; what that asks for, if they are too many.
    pub(crate) fn tick(&mut self, now: KitTick, limits: &Limits) -> Option<Rejection> {
        let missed = self.last.map_or(0.0, |last| (now.ms_since(last) / TICK_MS).floor() - 1.0);
        self.last = Some(now);
        self.in_a_row = if missed > 0.0 { self.in_a_row + missed } else { 0.0 };
        let (missed, max) = (self.in_a_row, limits.late_ticks_max);
        (missed >= max).then_some(Rejection::LoopLate { missed, max })
    }
}
