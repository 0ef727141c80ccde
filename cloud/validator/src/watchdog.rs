//! Is this validator well? The consensus crate has no health signal; a fault in it is a panic in one of its threads.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    beats::{Beats, Thread},
    beginning::{Beginning, common},
    fault::{Fault, FaultSignal},
    net::PeerNetwork,
    store::Store,
};

/// When a validator is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// A thread that gave no sign of life for so long is stuck. Longer than a view, and than a sync with a peer
    /// that does not answer.
    pub silent_ms_max: u64,
    /// No commit for so long is worth saying.
    pub stalled_ms_warn: u64,
    /// No commit for so long, though a quorum is connected, is a fault here.
    pub stalled_ms_max: u64,
    /// In one view for so long, while enough others stand in a later one, is a fault here: nothing leads there.
    pub behind_ms_max: u64,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { silent_ms_max: 20_000, stalled_ms_warn: 10_000, stalled_ms_max: 60_000, behind_ms_max: 5_000 }
    }
}

/// Looks once a second.
#[derive(Debug)]
pub struct Watchdog {
    pub limits: WatchLimits,
    pub beats: Beats,
    pub store: Store,
    pub network: PeerNetwork,
    pub fault: FaultSignal,
    pub(crate) beginning: Beginning,
    /// Other validators that, with this one, are a quorum.
    pub quorum_peers: usize,
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Watchdog {
    /// **Looks once a second, for ever; raises the first fault it finds, and calls `report` with the time since the
    /// newest commit and what is wrong, if anything.**
    pub async fn run(self, mut report: impl FnMut(u64, Option<String>) + Send) {
        let mut progress = self.store.progress();
        let mut newest_commit = Instant::now();
        let mut quorum_since = Instant::now();
        let mut stood = ((0, 0), Instant::now());
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if progress.has_changed().unwrap_or(false) {
                progress.mark_unchanged();
                newest_commit = Instant::now();
            }
            if self.network.connected() < self.quorum_peers {
                quorum_since = Instant::now();
            }
            let view = self.beginning.view(&self.store);
            let others = common(view, self.network.views(), self.network.peers());
            // Who is catching up stands in a view, too, but then the others go on.
            if stood.0 != (view, others) || others <= view {
                stood = ((view, others), Instant::now());
            }
            let stalled_ms = ms(newest_commit.elapsed());
            let blameless_ms = ms(quorum_since.elapsed());
            let behind = Behind { view, others, stood_ms: ms(stood.1.elapsed()) };
            if let Some(fault) = self.sight(stalled_ms.min(blameless_ms), behind).fault(self.limits) {
                self.fault.raise(fault);
            }
            report(stalled_ms, self.problem(stalled_ms));
        }
    }

    fn sight(&self, stalled_ms: u64, behind: Behind) -> Sight {
        Sight {
            algorithm_ended: self.beats.algorithm_ended(),
            silent_ms: Thread::ALL.map(|thread| self.beats.silent_ms(thread)),
            stalled_ms,
            peers: self.network.connected(),
            behind,
        }
    }

    fn problem(&self, stalled_ms: u64) -> Option<String> {
        if let Some(fault) = self.fault.raised() {
            return Some(fault.to_string());
        }
        let (connected, needed) = (self.network.connected(), self.quorum_peers);
        match (stalled_ms > self.limits.stalled_ms_warn, connected < needed) {
            (true, true) => Some(format!(
                "no commit for {stalled_ms} ms: {connected} other validators are connected, {needed} are needed"
            )),
            (true, false) => {
                Some(format!("no commit for {stalled_ms} ms though {connected} validators are connected"))
            }
            (false, _) => None,
        }
    }
}

/// What the watchdog saw.
#[derive(Clone, Copy, Debug)]
struct Sight {
    algorithm_ended: bool,
    /// By [`Thread`].
    silent_ms: [u64; Thread::ALL.len()],
    /// Without a commit, while a quorum was connected.
    stalled_ms: u64,
    peers: usize,
    behind: Behind,
}

/// For how long enough others have stood in a later view, and this replica in its own.
#[derive(Clone, Copy, Debug)]
struct Behind {
    view: u64,
    others: u64,
    stood_ms: u64,
}

impl Sight {
    fn fault(self, limits: WatchLimits) -> Option<Fault> {
        if self.algorithm_ended {
            return Some(Fault::ThreadEnded { thread: Thread::Algorithm.name() });
        }
        let limit_ms = limits.silent_ms_max;
        let silent = Thread::ALL.into_iter().zip(self.silent_ms).find(|(_, silent_ms)| *silent_ms > limit_ms);
        if let Some((thread, silent_ms)) = silent {
            return Some(Fault::ThreadSilent { thread: thread.name(), silent_ms, limit_ms });
        }
        let (Behind { view, others, stood_ms }, limit_ms) = (self.behind, limits.behind_ms_max);
        if stood_ms > limit_ms {
            return Some(Fault::Behind { view, others, stood_ms, limit_ms });
        }
        let (stalled_ms, limit_ms, peers) = (self.stalled_ms, limits.stalled_ms_max, self.peers);
        (stalled_ms > limit_ms).then_some(Fault::Stalled { stalled_ms, limit_ms, peers })
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Sight = Sight {
        algorithm_ended: false,
        silent_ms: [100, 300, 2000],
        stalled_ms: 500,
        peers: 4,
        behind: EVEN,
    };
    const EVEN: Behind = Behind { view: 7, others: 7, stood_ms: 900 };

    fn fault(sight: Sight) -> Option<Fault> {
        sight.fault(WatchLimits::default())
    }

    /// Goal: a validator that works is left alone; a dead thread, a stuck one and a height that stands still with a
    /// quorum there are faults that a restart mends.
    #[test]
    fn a_dead_or_stuck_thread_and_a_stalled_height_are_faults() {
        assert_eq!(fault(WELL), None);
        for sight in [
            Sight { algorithm_ended: true, ..WELL },
            Sight { silent_ms: [100, 20_001, 2000], ..WELL },
            Sight { stalled_ms: 60_001, ..WELL },
            Sight { behind: Behind { others: 8, stood_ms: 5_001, ..EVEN }, ..WELL },
        ] {
            assert_eq!(fault(sight).map(|fault| fault.exit_code()), Some(75), "{sight:?}");
        }
    }

    /// Goal: the end of the algorithm's thread is noticed by what that thread owned, except when it was wanted.
    #[test]
    fn the_end_of_the_algorithm_is_noticed() {
        let beats = Beats::default();
        let watch = beats.watch_algorithm();
        assert!(!beats.algorithm_ended());
        drop(watch);
        assert!(beats.algorithm_ended());
        beats.close();
        assert!(!beats.algorithm_ended());
    }
}
