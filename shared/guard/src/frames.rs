//! When each recent frame was captured, on the kit's own clock.

use farhand_wire::{FrameId, FrameMark, KitTick};

#[cfg(test)]
#[path = "explore/keys/frames.rs"]
mod explored;

/// Frames remembered: over four seconds at 60 a second, ten times the oldest picture allowed.
const REMEMBERED: usize = 256;

/// The last frames that the edge box announced.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Frames {
    marks: [FrameMark; REMEMBERED],
    newest: FrameId,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let none = FrameMark { frame: FrameId(0), kit_tick_at_capture: KitTick(0) };
        Self { marks: [none; REMEMBERED], newest: FrameId(0) }
    }

    /// Remembers a mark. One from the future would make an old picture look fresh, and is not believed.
    pub(crate) fn take(&mut self, now: KitTick, mark: FrameMark) {
        if mark.kit_tick_at_capture <= now && mark.frame > FrameId(0) {
            self.marks[slot(mark.frame)] = mark;
            self.newest = self.newest.max(mark.frame);
        }
    }

    pub(crate) fn newest(&self) -> FrameId {
        self.newest
    }

    /// Age of that frame, if it is remembered.
    pub(crate) fn age_ms(&self, now: KitTick, frame: FrameId) -> Option<f64> {
        let mark = self.marks[slot(frame)];
        (frame > FrameId(0) && mark.frame == frame).then(|| now.ms_since(mark.kit_tick_at_capture))
    }
}

fn slot(frame: FrameId) -> usize {
    (frame.0 % REMEMBERED as u64) as usize
}
