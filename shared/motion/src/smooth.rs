//! The moving average that bounds jerk.
//!
//! Invariant: the mean of the last n positions keeps every bound that the positions keep on range, velocity and
//! acceleration (each is convex), and its acceleration changes by at most 2·a/n in a tick.

use crate::joints::{AXES, Axes};

/// Longest average an arm's file can ask for.
pub(crate) const SMOOTHING_TICKS_MAX: usize = 32;

#[derive(Clone, Debug)]
pub(crate) struct Smoother {
    ring: [Axes; SMOOTHING_TICKS_MAX],
    ticks: usize,
    next: usize,
}

impl Smoother {
    /// At rest at `position`; `ticks` is at most [`SMOOTHING_TICKS_MAX`].
    pub(crate) fn new(ticks: usize, position: &Axes) -> Self {
        Self { ring: [*position; SMOOTHING_TICKS_MAX], ticks: ticks.clamp(1, SMOOTHING_TICKS_MAX), next: 0 }
    }

    /// Forgets what it saw, as if it had always been at `position`.
    pub(crate) fn settle(&mut self, position: &Axes) {
        self.ring[..self.ticks].fill(*position);
    }

    /// The mean of this and the positions before it.
    pub(crate) fn push(&mut self, position: &Axes) -> Axes {
        self.ring[self.next] = *position;
        self.next = (self.next + 1) % self.ticks;
        let mut sum = [0.0; AXES];
        for seen in &self.ring[..self.ticks] {
            for i in 0..AXES {
                sum[i] += seen[i] - position[i];
            }
        }
        // As differences from the newest, so that an axis at rest gives its own position back to the last bit.
        std::array::from_fn(|i| position[i] + sum[i] / self.ticks as f64)
    }
}
