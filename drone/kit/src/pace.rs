//! The loop's pulse, how late it was, and what the system gives it so that it is not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Length of a tick.
pub const TICK: Duration = Duration::from_millis(1);
const BUCKETS: usize = 5_000;

/// Times, counted by the µs. One thread writes, any may read; nobody waits.
#[derive(Debug)]
pub struct Histogram {
    by_us: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { by_us: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn note(&self, time: Duration) {
        let us = time.as_micros() as usize;
        self.by_us[us.min(BUCKETS - 1)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us as u64, Relaxed);
    }

    /// How many there were of each whole µs from 0; the last stands for 4999 µs and more.
    #[must_use]
    pub fn by_us(&self) -> Vec<u64> {
        self.by_us.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// All of them together, µs.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Relaxed)
    }
}

/// How the loop has kept its rate since it began.
#[derive(Debug, Default)]
pub struct Pace {
    /// How late each tick began.
    pub late: Histogram,
    /// How long each took.
    pub took: Histogram,
    missed: AtomicU64,
}

impl Pace {
    fn began(&self, late: Duration) {
        self.late.note(late);
        if late >= TICK {
            self.missed.fetch_add(1, Relaxed);
        }
    }

    /// Ticks that began a whole tick late or later.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }
}

/// Puts the calling thread before all others, where the system allows that: it does a little a thousand times a second. Says
/// in the log whether it did.
pub fn before_all_others() {
    let first = ThreadPriority::Crossplatform(ThreadPriorityValue::MAX);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), first, policy) {
        Ok(()) => tracing::info!("real-time priority"),
        Err(error) => {
            tracing::warn!(?error, "no real-time priority here: a busy machine may hold the tool");
        }
    }
}

/// Keeps all of this process in memory, what it will ask for included, where the system allows that: a page that must be
/// fetched from a disk is a deadline missed. Says in the log whether it did.
pub fn lock_memory() {
    let everything = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    match without_limit().and_then(|()| mlockall(everything)) {
        Ok(()) => tracing::info!("memory is locked"),
        Err(error) => {
            tracing::warn!(%error, "memory is not locked: allow it (CAP_IPC_LOCK, or RLIMIT_MEMLOCK unlimited)");
        }
    }
}

/// Memory may be locked without a limit, or not at all: what is asked for later would be refused at it.
fn without_limit() -> Result<(), Errno> {
    let unlimited = Rlimit { current: None, maximum: None };
    let lifted = setrlimit(Resource::Memlock, unlimited);
    let exempt = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if exempt { Ok(()) } else { lifted }
}

/// **Calls `tick` once a millisecond until it says stop.** A tick that comes late is not made up for: the next begins when
/// it is due, and those that were due in between are left out.
pub fn keep_pace(pace: &Pace, mut tick: impl FnMut() -> bool) {
    let mut due = Instant::now();
    let mut began = due;
    while tick() {
        let ended = Instant::now();
        pace.took.note(ended.saturating_duration_since(began));
        due += TICK;
        if let Some(wait) = due.checked_duration_since(ended) {
            thread::sleep(wait);
        }
        began = Instant::now();
        let late = began.saturating_duration_since(due);
        pace.began(late);
        due += TICK * (late.as_micros() / TICK.as_micros()) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: nothing that was noted is lost, and what is longer than the histogram is counted at its end.
    #[test]
    fn each_tick_is_counted_by_its_lateness() {
        let pace = Pace::default();
        (1..=100).for_each(|us| pace.began(Duration::from_micros(us)));
        pace.began(Duration::from_millis(7));
        let by_us = pace.late.by_us();
        assert_eq!((by_us.iter().sum::<u64>(), pace.missed()), (101, 1));
        assert_eq!((by_us[0], by_us[100], by_us[4_999]), (0, 1, 1));
        assert_eq!(pace.late.sum_us(), 5_050 + 7_000);
    }

    /// Goal: the loop ends when its tick says so, and every tick that it made is told.
    #[test]
    fn the_loop_ends_when_it_is_told_to() {
        let (pace, mut left) = (Pace::default(), 3);
        keep_pace(&pace, || {
            left -= 1;
            left > 0
        });
        assert_eq!(pace.took.by_us().iter().sum::<u64>(), 2);
    }
}
