//! The edge box's clock: µs since it started.

use std::time::{Instant, SystemTime};

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

    /// The system's time when the ticks were 0, in µs of Unix time: by it ticks can be held against another part's log.
    pub(crate) fn zero_us(&self) -> u64 {
        let since = (SystemTime::now() - self.epoch.elapsed()).duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
    }
}
