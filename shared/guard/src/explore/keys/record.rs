use farhand_wire::Sequence;

use super::RecordLead;
use crate::explore::{Age, Moment};

impl RecordLead {
    /// The oldest command that waits, the oldest that still does after a mark for all but the newest, and after one for all.
    pub(crate) fn key(&self, at: &Moment<'_>, newest: Sequence) -> ([Option<Age>; 3], bool, Option<Age>) {
        let Self { durable: _, segments, ahead, unlisted } = self;
        let max_ms = at.limits.record_lead_hold_ms_max.max(at.limits.record_lead_pause_ms_max);
        let oldest = |from: u64| {
            let (_, applied) = ahead.iter().find(|(sequence, _)| sequence.0 >= from)?;
            Some(at.age(*applied, max_ms))
        };
        let unlisted = unlisted.map(|since| at.age(since, at.limits.unlisted_hold_ms_max));
        ([0, newest.0, newest.0 + 1].map(oldest), segments.is_some(), unlisted)
    }
}
