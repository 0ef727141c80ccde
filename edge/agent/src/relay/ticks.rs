//! What the kit's clock said, and when it was heard here.
//!
//! Invariant (local): **a picture is never made younger than it is.** The tick for a capture is one that had been heard by
//! then, so it lies before the capture by the kit's own clock; and what one connection heard is forgotten with it, for a
//! kit that restarted counts from zero.

use std::collections::VecDeque;

use farhand_wire::{EdgeTick, KitTick};

/// Ticks remembered: two and a half seconds at 100 a second, many times what a capture takes.
const REMEMBERED: usize = 256;

/// The newest ticks heard, oldest first.
#[derive(Debug, Default)]
pub struct KitTicks {
    heard: VecDeque<(EdgeTick, KitTick)>,
}

impl KitTicks {
    /// Takes a tick that came now; an older one than was heard says nothing new.
    pub fn hear(&mut self, now: EdgeTick, tick: KitTick) {
        if self.heard.back().is_some_and(|(_, newest)| tick <= *newest) {
            return;
        }
        if self.heard.len() == REMEMBERED {
            self.heard.pop_front();
        }
        self.heard.push_back((now, tick));
    }

    /// The newest tick that had been heard by then, if any is remembered.
    #[must_use]
    pub fn at(&self, then: EdgeTick) -> Option<KitTick> {
        self.heard.iter().rev().find(|(heard, _)| *heard <= then).map(|(_, tick)| *tick)
    }

    /// Another kit, or another run of it.
    pub fn forget(&mut self) {
        self.heard.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the tick of a capture had been heard by then; nothing later counts, nothing of an older connection.
    #[test]
    fn a_capture_gets_a_tick_that_was_heard_before_it() {
        let mut ticks = KitTicks::default();
        assert_eq!(ticks.at(EdgeTick(50)), None);
        ticks.hear(EdgeTick(100), KitTick(7));
        ticks.hear(EdgeTick(110), KitTick(17));
        ticks.hear(EdgeTick(115), KitTick(12));
        assert_eq!(ticks.at(EdgeTick(99)), None);
        assert_eq!(ticks.at(EdgeTick(109)), Some(KitTick(7)));
        assert_eq!(ticks.at(EdgeTick(500)), Some(KitTick(17)));
        ticks.forget();
        assert_eq!(ticks.at(EdgeTick(500)), None);
    }

    /// Goal: what is remembered is bounded, and the newest stay.
    #[test]
    fn the_newest_ticks_stay() {
        let mut ticks = KitTicks::default();
        (1..=1000).for_each(|at| ticks.hear(EdgeTick(at), KitTick(at)));
        assert_eq!((ticks.at(EdgeTick(744)), ticks.at(EdgeTick(745))), (None, Some(KitTick(745))));
    }
}
