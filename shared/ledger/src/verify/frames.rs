//! Frames without holes, and what the browser says it was shown.

use std::collections::VecDeque;

use farhand_wire::{EdgeTick, FrameId};

use super::finding::{Findings, Problem};
use crate::{FrameEntry, Hash, Shown};

/// Frames that a display report may be late by: four minutes at 30 a second.
const REMEMBERED_MAX: usize = 8192;
/// What the console's reckoning of a picture's age may differ from the edge box's before it is said: the way of a report or
/// a command, and what the console's idea of the edge box's clock is off by.
const AGES_DIFFER_US_MAX: u64 = 1_000_000;

/// Frames so far.
#[derive(Debug, Default)]
pub(super) struct Frames {
    newest: FrameId,
    captured: EdgeTick,
    /// The newest frames, oldest first.
    sent: VecDeque<Sent>,
    /// Frames that a report confirmed.
    pub(super) confirmed: u64,
    /// Frames in reports that came too late to be compared.
    pub(super) unchecked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    frame: FrameId,
    picture_hash: Hash,
    /// On the edge box's clock as it runs now; that of a run before tells nothing.
    captured: Option<EdgeTick>,
}

impl Frames {
    pub(super) fn newest(&self) -> FrameId {
        self.newest
    }

    /// The edge box's clock begins anew.
    pub(super) fn restart(&mut self) {
        self.captured = EdgeTick::default();
        self.sent.iter_mut().for_each(|sent| sent.captured = None);
    }

    fn sent(&self, frame: FrameId) -> Option<Sent> {
        let at = self.sent.binary_search_by_key(&frame, |sent| sent.frame).ok()?;
        self.sent.get(at).copied()
    }

    /// How old that frame was at `at` by the edge box's clock, if `age_us` says something else altogether.
    pub(super) fn other_age(&self, frame: FrameId, at: EdgeTick, age_us: u64) -> Option<u64> {
        let by_edge_us = at.0.saturating_sub(self.sent(frame)?.captured?.0);
        (by_edge_us.abs_diff(age_us) > AGES_DIFFER_US_MAX).then_some(by_edge_us)
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
        let (frame, picture_hash, captured) = (entry.frame, entry.picture_hash, Some(entry.captured));
        self.sent.push_back(Sent { frame, picture_hash, captured });
        if self.sent.len() > REMEMBERED_MAX {
            self.sent.pop_front();
        }
    }

    /// Compares what was shown, by a report that was recorded at `at`, with what was sent.
    pub(super) fn shown(&mut self, leaf: u64, at: EdgeTick, shown: &Shown, findings: &mut Findings) {
        let Shown { frame, picture_hash: seen, glass_to_glass_us: seen_us, .. } = *shown;
        match self.sent(frame) {
            Some(Sent { picture_hash: expected, .. }) if expected == seen => self.confirmed += 1,
            Some(Sent { picture_hash: expected, .. }) => {
                findings.add(leaf, Problem::OtherPicture { frame, seen, expected });
            }
            None if self.sent.front().is_some_and(|oldest| frame < oldest.frame && frame.0 > 0) => {
                self.unchecked += 1;
            }
            None => findings.add(leaf, Problem::NeverSent { frame, newest: self.newest }),
        }
        // A report may come late, but not before what it reports.
        if let Some(by_edge_us) = self.other_age(frame, at, seen_us).filter(|us| *us < seen_us) {
            findings.add(leaf, Problem::GlassToGlass { frame, seen_us, by_edge_us });
        }
    }
}
