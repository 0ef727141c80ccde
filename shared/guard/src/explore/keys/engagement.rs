use super::{Cause, Engagements};
use crate::explore::Moment;

impl Engagements {
    pub(crate) fn key(&self, at: &Moment<'_>) -> (bool, bool, Option<(u64, bool)>) {
        let Self { running, newest: _, hold: _, moved, release_due } = self;
        let due = release_due.map(|(since, cause)| (at.due(since), cause == Cause::Silence));
        (running.is_some(), *moved, due)
    }
}
