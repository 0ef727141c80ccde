use farhand_wire::Sequence;

use super::RecordLead;
use crate::explore::{Age, Moment};

impl RecordLead {
    pub(crate) fn key(
        &self,
        at: &Moment<'_>,
        newest: Sequence,
    ) -> (Option<Age>, Option<Age>, bool, Option<Age>, bool) {
        let Self { durable: _, segments, ahead, unlisted, held } = self;
        let max_ms = at.limits.record_lead_hold_ms_max.max(at.limits.record_lead_pause_ms_max);
        let oldest = ahead.first().map(|(_, applied)| at.age(*applied, max_ms));
        let last = ahead.iter().rfind(|(sequence, _)| *sequence == newest);
        let last = last.map(|(_, applied)| at.age(*applied, max_ms));
        let unlisted = unlisted.map(|since| at.age(since, at.limits.unlisted_hold_ms_max));
        (oldest, last, segments.is_some(), unlisted, held.is_some())
    }
}
