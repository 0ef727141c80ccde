//! The edge box's clock: µs since it started.

use std::time::Instant;

use farhand_wire::EdgeTick;

/// Reads the one clock that frames are captured and things are recorded on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Zero of the ticks.
    pub(crate) epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    pub(crate) fn now(&self) -> EdgeTick {
        EdgeTick(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}
