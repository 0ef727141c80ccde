//! The loop's pulse, and how late it was.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Length of a tick.
pub const TICK: Duration = Duration::from_millis(1);
const BUCKETS: usize = 5_000;

/// How late ticks began, counted by the µs. One thread writes, any may read; nobody waits.
#[derive(Debug)]
pub struct Lateness {
    by_us: Box<[AtomicU64]>,
    missed: AtomicU64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { by_us: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), missed: AtomicU64::new(0) }
    }
}

impl Lateness {
    fn note(&self, late: Duration) {
        let us = (late.as_micros() as usize).min(BUCKETS - 1);
        self.by_us[us].fetch_add(1, Relaxed);
        if late >= TICK {
            self.missed.fetch_add(1, Relaxed);
        }
    }

    /// Lateness in µs that this share of all ticks kept within; 4999 stands for that and more.
    #[must_use]
    pub fn percentile_us(&self, share: f64) -> u64 {
        let counts: Vec<u64> = self.by_us.iter().map(|count| count.load(Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let within = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        counts.iter().position(within).unwrap_or(0) as u64
    }

    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.by_us.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Ticks that began a whole tick late or later.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }
}

/// Puts the calling thread before all others, where the system allows that: it does a little a thousand times a second.
pub fn before_all_others() {
    let first = ThreadPriority::Crossplatform(ThreadPriorityValue::MAX);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), first, policy) {
        tracing::info!(?error, "no real-time priority here: a busy machine may hold the tool");
    }
}

/// Calls `tick` once a millisecond until it says stop. A tick that comes late is not made up for: the next begins when
/// it is due, and those that were due in between are left out.
pub(crate) fn pace(lateness: &Lateness, mut tick: impl FnMut() -> bool) {
    let mut due = Instant::now();
    while tick() {
        due += TICK;
        let now = Instant::now();
        if let Some(wait) = due.checked_duration_since(now) {
            thread::sleep(wait);
        }
        let late = Instant::now().saturating_duration_since(due);
        lateness.note(late);
        due += TICK * (late.as_micros() / TICK.as_micros()) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_noted() {
        let lateness = Lateness::default();
        (1..=100).for_each(|us| lateness.note(Duration::from_micros(us)));
        lateness.note(Duration::from_millis(7));
        assert_eq!((lateness.ticks(), lateness.missed()), (101, 1));
        assert_eq!(lateness.percentile_us(0.5), 51);
        assert_eq!(lateness.percentile_us(1.0), 4_999);
    }
}
