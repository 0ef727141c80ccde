use super::Deadlines;
use crate::explore::Moment;

impl Deadlines {
    pub(crate) fn key(&self, at: &Moment<'_>) -> (Option<u64>, u64) {
        let Self { last, in_a_row } = self;
        let since_us = last.map(|last| at.now.us_since(last));
        (since_us, in_a_row.min(at.limits.late_ticks_max) as u64)
    }
}
