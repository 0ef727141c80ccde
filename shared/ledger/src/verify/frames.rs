//! Frames without holes, and what the browser says it was shown.

use std::collections::VecDeque;

use farhand_wire::{EdgeTick, FrameId};

use super::finding::{Findings, Problem};
use crate::{FrameEntry, Hash, Shown};

/// Frames that a display report may be late by: four minutes at 30 a second.
const REMEMBERED_MAX: usize = 8192;

/// Frames so far.
#[derive(Debug, Default)]
pub(super) struct Frames {
    newest: FrameId,
    captured: EdgeTick,
    /// The newest frames' picture hashes, oldest first.
    pictures: VecDeque<(FrameId, Hash)>,
    /// Frames that a report confirmed.
    pub(super) confirmed: u64,
    /// Frames in reports that came too late to be compared.
    pub(super) unchecked: u64,
}

impl Frames {
    pub(super) fn newest(&self) -> FrameId {
        self.newest
    }

    /// The edge box's clock begins anew.
    pub(super) fn restart(&mut self) {
        self.captured = EdgeTick::default();
    }

    /// The edge box declared these missing: they may have been shown, and what comes next goes on behind them.
    pub(super) fn lose(&mut self, first: u64, last: u64) {
        if first == self.newest.next().0 {
            self.newest = FrameId(last);
        }
    }

    /// Takes a frame; `missing` says whether the edge box declared that range missing.
    pub(super) fn take(
        &mut self,
        leaf: u64,
        entry: &FrameEntry,
        missing: impl Fn(u64, u64) -> bool,
        findings: &mut Findings,
    ) {
        let (seen, expected) = (entry.frame, self.newest.next());
        if seen != expected && !(seen > expected && missing(expected.0, seen.0 - 1)) {
            findings.add(leaf, Problem::FrameNumber { seen, expected });
        }
        if entry.captured < self.captured {
            let (frame, seen, newest) = (entry.frame, entry.captured, self.captured);
            findings.add(leaf, Problem::FrameTime { frame, seen, newest });
        }
        self.newest = self.newest.max(seen);
        self.captured = self.captured.max(entry.captured);
        self.pictures.push_back((entry.frame, entry.picture_hash));
        if self.pictures.len() > REMEMBERED_MAX {
            self.pictures.pop_front();
        }
    }

    /// Compares what was shown with what was sent.
    pub(super) fn shown(&mut self, leaf: u64, shown: &Shown, findings: &mut Findings) {
        let Shown { frame, picture_hash: seen, .. } = *shown;
        let sent = self.pictures.binary_search_by_key(&frame, |(frame, _)| *frame);
        match sent.ok().and_then(|at| self.pictures.get(at)) {
            Some((_, expected)) if *expected == seen => self.confirmed += 1,
            Some((_, expected)) => {
                findings.add(leaf, Problem::OtherPicture { frame, seen, expected: *expected })
            }
            None if frame > self.newest || frame.0 == 0 => {
                findings.add(leaf, Problem::NeverSent { frame, newest: self.newest });
            }
            None if self.pictures.front().is_some_and(|(oldest, _)| frame < *oldest) => self.unchecked += 1,
            None => findings.add(leaf, Problem::NeverSent { frame, newest: self.newest }),
        }
    }
}
