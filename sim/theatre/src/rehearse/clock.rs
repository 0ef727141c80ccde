//! A console's own clock, and the edge box's, by the round trip that was shortest.

use std::time::Instant;

use farhand_wire::{ClockPing, ClockPong, EdgeTick};

/// The console's clock in µs since it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    /// Shortest round trip so far, µs, and the edge's clock less ours then.
    best: Option<(u64, i128)>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), best: None }
    }

    /// The edge box's clock began anew.
    pub(super) fn forget_edge(&mut self) {
        self.best = None;
    }

    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// When that was, on this clock.
    pub(super) fn at_us(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn ping(&self) -> Vec<u8> {
        ClockPing { sent_us: self.now_us() }.to_bytes().to_vec()
    }

    pub(super) fn pong(&mut self, pong: &ClockPong) {
        let now_us = self.now_us();
        let round_us = now_us.saturating_sub(pong.sent_us);
        if self.best.is_none_or(|(best_us, _)| round_us < best_us) {
            let middle = i128::from(pong.sent_us) + i128::from(round_us / 2);
            self.best = Some((round_us, i128::from(pong.edge.0) - middle));
        }
    }

    /// From an instant of the edge's clock to one of ours, µs; 0 before the clocks have met.
    pub(super) fn since_us(&self, edge: EdgeTick, ours_us: u64) -> u64 {
        let Some((_, ahead)) = self.best else { return 0 };
        u64::try_from(i128::from(ours_us) + ahead - i128::from(edge.0)).unwrap_or(0)
    }
}
