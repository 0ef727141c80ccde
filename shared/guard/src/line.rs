//! How fast the hand may be on this line: the tip-speed cap falls with the measured loop delay and jitter (P7).
//!
//! Measured where authority lies, from the ticks that authentic commands echo: a console can make its line look worse, never
//! better. Invariants, local: the cap is never above what the newest measure allows, and rises by no more than its
//! recovery allows a tick; a line that was not measured under this lease has none.

use farhand_wire::KitTick;

use crate::{Limits, TICK_MS};

/// Of the change of delay from one command to the next, this share counts (RFC 3550, 6.4.1).
const JITTER_GAIN: f64 = 1.0 / 16.0;

/// What the line was like, and the share of the arm's own tip speed that this allows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    measured: Option<Measured>,
    share: f64,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    delay_ms: f64,
    jitter_ms: f64,
}

impl Line {
    /// A command came that echoes this tick.
    pub(crate) fn heard(&mut self, now: KitTick, echo: KitTick) {
        if echo > now {
            return; // refused for that
        }
        let delay_ms = now.ms_since(echo);
        let jitter_ms = self.measured.map_or(0.0, |before| {
            before.jitter_ms + JITTER_GAIN * ((delay_ms - before.delay_ms).abs() - before.jitter_ms)
        });
        self.measured = Some(Measured { delay_ms, jitter_ms });
    }

    /// A tick passes.
    pub(crate) fn tick(&mut self, limits: &Limits) {
        let allowed = self.measured.map_or(0.0, |line| line.allows(limits));
        self.share = allowed.min(self.share + TICK_MS / limits.speed_recovery_ms);
    }

    /// Another holder, another line.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }
}

impl Measured {
    /// Full up to the first limit, nothing from the second on, and in between the less the worse.
    fn allows(&self, limits: &Limits) -> f64 {
        let left_ms = limits.command_age_ms_max - (self.delay_ms + self.jitter_ms);
        let over_ms = (limits.command_age_ms_max - limits.speed_full_ms_max).max(TICK_MS);
        (left_ms / over_ms).clamp(0.0, 1.0)
    }
}
