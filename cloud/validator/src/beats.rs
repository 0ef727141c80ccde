//! Signs of life of the replica's threads, which the consensus crate does not give by itself.
//!
//! Its threads call into this validator again and again: the poller takes messages, the sync server advertises, the
//! algorithm sends. A thread that does not is dead or stuck.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

/// A thread of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// Takes messages from the network.
    Poller,
    /// Advertises and serves blocks.
    SyncServer,
    /// Decides.
    Algorithm,
}

impl Thread {
    pub const ALL: [Self; 3] = [Self::Poller, Self::SyncServer, Self::Algorithm];

    /// What it is called, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poller => "poller",
            Self::SyncServer => "sync server",
            Self::Algorithm => "algorithm",
        }
    }
}

/// When each thread was last seen. Clones are one record.
#[derive(Clone, Debug)]
pub struct Beats(Arc<Record>);

#[derive(Debug)]
struct Record {
    began: Instant,
    last_ms: [AtomicU64; Thread::ALL.len()],
    algorithm_ended: AtomicBool,
    closing: AtomicBool,
}

impl Default for Beats {
    fn default() -> Self {
        Self(Arc::new(Record {
            began: Instant::now(),
            last_ms: Default::default(),
            algorithm_ended: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }))
    }
}

impl Beats {
    /// `thread` was here just now.
    pub fn beat(&self, thread: Thread) {
        self.0.last_ms[thread as usize].store(self.now_ms(), Ordering::Relaxed);
    }

    /// How long ago `thread` was here.
    #[must_use]
    pub fn silent_ms(&self, thread: Thread) -> u64 {
        self.now_ms().saturating_sub(self.0.last_ms[thread as usize].load(Ordering::Relaxed))
    }

    /// The replica is being ended on purpose.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    /// Whether the algorithm's thread ended though nobody wanted it to.
    #[must_use]
    pub fn algorithm_ended(&self) -> bool {
        self.0.algorithm_ended.load(Ordering::Relaxed) && !self.is_closing()
    }

    /// To be owned by what the algorithm's thread owns: dropped, it says that the thread ended.
    #[must_use]
    pub fn watch_algorithm(&self) -> AlgorithmWatch {
        AlgorithmWatch(self.clone())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Lives as long as the algorithm's thread.
#[derive(Debug)]
pub struct AlgorithmWatch(Beats);

impl Drop for AlgorithmWatch {
    fn drop(&mut self) {
        self.0.0.algorithm_ended.store(true, Ordering::Relaxed);
    }
}
