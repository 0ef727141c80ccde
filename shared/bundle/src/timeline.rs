//! When something happened in UTC, as far as a reader of the leaves so far can tell: what log times are made of.
//!
//! The edge box's own clock counts from when it started. The opening's block says when that was, a clock leaf says it
//! better, and after a restart time goes on where it was until the next clock leaf. Invariant (local): times never fall.

use farhand_ledger::{Cbor, Entry, OpeningEvidence, What};

/// UTC of the edge box's clock, by the leaves so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    /// UTC less the edge box's clock.
    offset_us: i128,
    newest_us: u64,
}

impl Timeline {
    /// The next leaf's time, in µs of UTC. A leaf that can't be read has the time of the one before.
    pub(crate) fn take(&mut self, entry: Option<&Entry>) -> u64 {
        if let Some(entry) = entry {
            self.set(entry);
            self.newest_us = self.newest_us.max(self.utc_us(entry.recorded.0));
        }
        self.newest_us
    }

    /// UTC of a moment on the edge box's clock, in µs.
    pub(crate) fn utc_us(&self, edge_us: u64) -> u64 {
        u64::try_from((i128::from(edge_us) + self.offset_us).max(0)).unwrap_or(u64::MAX)
    }

    /// The newest leaf's time.
    pub(crate) fn newest_us(&self) -> u64 {
        self.newest_us
    }

    fn set(&mut self, entry: &Entry) {
        let utc_us = match &entry.what {
            What::Opened { evidence } => {
                OpeningEvidence::read(evidence).ok().map(|evidence| evidence.opening.batch.at.us)
            }
            What::Clock { utc, .. } => Some(utc.us),
            What::Restarted { .. } => Some(self.newest_us),
            _ => None,
        };
        if let Some(utc_us) = utc_us {
            self.offset_us = i128::from(utc_us) - i128::from(entry.recorded.0);
        }
    }
}
