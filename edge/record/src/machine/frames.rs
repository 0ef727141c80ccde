//! Which frames are on record, and which the record knows that it lost.

use farhand_wire::FrameId;

/// Ranges of lost frames that are remembered, the newest; as many as a long day of faults makes.
const LOST_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) newest: FrameId,
    /// First and last, in order.
    lost: Vec<(u64, u64)>,
    /// Frames after the newest that found no room; declared before the next one.
    pub(super) missing_to: FrameId,
    /// What was sent last before the edge box's program started again may not be here.
    restarted_after: Option<FrameId>,
}

impl Frames {
    pub(super) fn insert(&mut self, frame: FrameId) {
        if frame > self.newest {
            self.newest = frame;
            self.restarted_after = None;
        }
    }

    pub(super) fn lose(&mut self, first: u64, last: u64) {
        if first == self.newest.0 + 1 {
            self.newest = FrameId(last);
        }
        if self.lost.len() >= LOST_MAX {
            self.lost.remove(0);
        }
        self.lost.push((first, last));
    }

    pub(super) fn restart(&mut self) {
        self.restarted_after = Some(self.newest);
    }

    /// Whether this frame was sent, or may have been, and the record lost it.
    pub(super) fn is_lost(&self, frame: FrameId) -> bool {
        (frame > self.newest && (frame <= self.missing_to || self.restarted_after.is_some()))
            || self.lost.iter().any(|&(first, last)| (first..=last).contains(&frame.0))
    }
}
