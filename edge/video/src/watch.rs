//! Notices that a source has fallen silent, and that it speaks again. Pure: time is an argument.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// No frame for this long.
    Stalled {
        ms: u64,
    },
    Resumed,
}

#[derive(Debug)]
pub(crate) struct StallWatch {
    limit: Duration,
    last_frame: Instant,
    stalled: bool,
}

impl StallWatch {
    pub(crate) fn new(now: Instant, limit: Duration) -> Self {
        Self { limit, last_frame: now, stalled: false }
    }

    /// Says what has changed, given the instant of the newest frame.
    pub(crate) fn step(&mut self, now: Instant, newest_frame: Instant) -> Option<Change> {
        self.last_frame = self.last_frame.max(newest_frame);
        let silent = now.saturating_duration_since(self.last_frame);
        let is_stalled = silent >= self.limit;
        if is_stalled == self.stalled {
            return None;
        }
        self.stalled = is_stalled;
        Some(if is_stalled { Change::Stalled { ms: silent.as_millis() as u64 } } else { Change::Resumed })
    }

    /// When to look again: the first instant at which an unbroken silence is a stall.
    pub(crate) fn next_look(&self, now: Instant) -> Duration {
        let pause_min = self.limit / 8;
        if self.stalled {
            pause_min
        } else {
            (self.last_frame + self.limit).saturating_duration_since(now).max(pause_min)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: one event when the source falls silent, one when it is back, none between.
    #[test]
    fn a_silence_is_told_once_and_its_end_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut watch = StallWatch::new(start, Duration::from_millis(500));
        assert_eq!(watch.step(at(400), at(399)), None);
        assert_eq!(watch.step(at(898), at(399)), None);
        assert_eq!(watch.step(at(899), at(399)), Some(Change::Stalled { ms: 500 }));
        assert_eq!(watch.step(at(2000), at(399)), None);
        assert_eq!(watch.step(at(2100), at(2099)), Some(Change::Resumed));
        assert_eq!(watch.step(at(2200), at(2199)), None);
    }

    /// Goal: the watch looks when a stall could first be, and never without a pause.
    #[test]
    fn it_looks_when_a_stall_could_be() {
        let start = Instant::now();
        let watch = StallWatch::new(start, Duration::from_millis(400));
        assert_eq!(watch.next_look(start), Duration::from_millis(400));
        assert_eq!(watch.next_look(start + Duration::from_secs(9)), Duration::from_millis(50));
    }
}
