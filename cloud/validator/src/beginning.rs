//! In which view a replica begins.
//!
//! The crate begins one view after the newest that its own store knows of, and no view ends without a quorum in it. So a ledger
//! that was stopped while some had entered a view and others had not would begin in two views, neither with a quorum, and
//! stand still for ever. Here validators tell each other first where each of them would begin, and those behind begin later.
//! **Nobody begins earlier than its own store says**: what it voted for stays behind it. One liar moves nobody.
//!
//! Those that begin may be a view ahead of those that run, neither with a quorum: then whoever runs and is behind begins anew
//! ([`Watchdog`](crate::watchdog::Watchdog)).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, interval, sleep};

use crate::{frames::PeerFrame, net::PeerNetwork, store::Store};

/// Who has not been heard of by then is taken to be dead.
const MEETING_MAX: Duration = Duration::from_secs(2);
/// Between two words about one's view.
const WORD: Duration = Duration::from_millis(100);
const WORD_LATER: Duration = Duration::from_millis(500);

/// Where this validator began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beginning(Arc<AtomicU64>);

impl Beginning {
    /// Waits for the others, and has the store begin where enough of them do.
    pub(crate) async fn agree(&self, network: &PeerNetwork, store: &mut Store) {
        let own = store.next_view();
        self.0.store(own, Ordering::Release);
        let until = Instant::now() + MEETING_MAX;
        loop {
            network.tell_all(&PeerFrame::Entered { epoch: store.epoch(), view: own }.to_bytes());
            if network.views().len() >= network.peers() || Instant::now() >= until {
                break;
            }
            sleep(WORD).await;
        }
        let begins = common(own, network.views(), network.peers());
        if begins > own {
            tracing::info!(own, begins, "others are in a later view; this replica begins there");
            store.begin_in(begins);
            self.0.store(begins, Ordering::Release);
        }
    }

    /// **Tells whoever begins later where this validator is, for ever.**
    pub(crate) async fn tell(self, network: PeerNetwork, store: Store) {
        let mut word = interval(WORD_LATER);
        loop {
            word.tick().await;
            network
                .tell_all(&PeerFrame::Entered { epoch: store.epoch(), view: self.view(&store) }.to_bytes());
        }
    }

    /// The view that this validator is in. The one in which its replica began is not in its store.
    pub(crate) fn view(&self, store: &Store) -> u64 {
        self.0.load(Ordering::Acquire).max(store.view())
    }
}

/// The latest view that at least one honest validator is in, whoever lies: fewer than a third of all may.
pub(crate) fn common(own: u64, mut views: Vec<u64>, peers: usize) -> u64 {
    views.push(own);
    views.sort_unstable_by(|a, b| b.cmp(a));
    views.get(peers / 3).copied().unwrap_or(own).max(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: those behind join those ahead, a single one ahead is a liar or alone, and nobody goes back.
    #[test]
    fn those_behind_join_those_ahead() {
        assert_eq!(common(7, vec![8, 8, 8, 7], 4), 8);
        assert_eq!(common(7, vec![8, 8, 7, 7], 4), 8);
        assert_eq!(common(7, vec![u64::MAX, 7, 7, 7], 4), 7);
        assert_eq!(common(8, vec![7, 7, 7, 7], 4), 8);
        assert_eq!(common(7, vec![], 4), 7);
        assert_eq!(common(7, vec![9], 4), 7);
    }
}
