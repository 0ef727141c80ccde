//! How the paths are.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use super::PATHS_MAX;
use crate::Connection;

/// One path, since its device started; rtt and loss since it was connected last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathQuality {
    /// Its number, from 0, as the connecting device counts.
    pub path: usize,
    /// Where its packets come from; `None` while it does not stand.
    pub peer: Option<SocketAddr>,
    /// Smoothed round trip (RFC 9002 §5.3).
    pub rtt_ms: f64,
    /// Packets sent, and those of them held for lost (RFC 9002 §6).
    pub packets: u64,
    pub lost: u64,
    /// Datagrams that came over it, and those of them that came over no other path before.
    pub heard: u64,
    pub first: u64,
    /// Since a datagram came over it; `None` if none ever did.
    pub silent_ms: Option<u64>,
}

/// Counts for each path, whichever bond it is of.
#[derive(Debug)]
pub(crate) struct Tallies {
    began: Instant,
    paths: [Tally; PATHS_MAX],
}

#[derive(Debug, Default)]
struct Tally {
    heard: AtomicU64,
    first: AtomicU64,
    /// ms since the start, plus one; 0 is never.
    last_ms: AtomicU64,
}

impl Tallies {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), paths: Default::default() }
    }

    pub(crate) fn heard(&self, path: u8, first: bool) {
        let Some(tally) = self.paths.get(usize::from(path)) else { return };
        tally.heard.fetch_add(1, Relaxed);
        tally.first.fetch_add(u64::from(first), Relaxed);
        tally.last_ms.store(self.now_ms() + 1, Relaxed);
    }

    /// `connection`: the path's, while it stands.
    pub(crate) fn quality(&self, path: usize, connection: Option<&Connection>) -> PathQuality {
        let tally = &self.paths[path];
        let stats = connection.map(Connection::path_stats).unwrap_or_default();
        let last_ms = tally.last_ms.load(Relaxed);
        PathQuality {
            path,
            peer: connection.map(Connection::peer_addr),
            rtt_ms: stats.rtt.as_secs_f64() * 1e3,
            packets: stats.sent_packets,
            lost: stats.lost_packets,
            heard: tally.heard.load(Relaxed),
            first: tally.first.load(Relaxed),
            silent_ms: last_ms.checked_sub(1).map(|at_ms| self.now_ms().saturating_sub(at_ms)),
        }
    }

    /// Paths that ever carried something.
    pub(crate) fn is_known(&self, path: usize) -> bool {
        self.paths[path].last_ms.load(Relaxed) > 0
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
