use farhand_wire::FrameId;

use super::{Frames, slot};
use crate::explore::{Age, Moment};

impl Frames {
    /// The age of the newest one.
    pub(crate) fn key(&self, at: &Moment<'_>) -> Option<Age> {
        let Self { marks, newest } = self;
        let mark = marks[slot(*newest)];
        (*newest > FrameId(0)).then(|| at.age(mark.kit_tick_at_capture, at.limits.picture_age_ms_max))
    }
}
