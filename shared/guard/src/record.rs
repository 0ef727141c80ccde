//! How far motion is ahead of its record, and of the surgeon's own signed list of it (P11).
//!
//! Invariants, local: the watermark never goes back, and vouches for nothing that has not come yet; what is taken for the
//! oldest unrecorded command is never younger than the truth.

use arrayvec::ArrayVec;
use farhand_wire::{KitTick, Sequence, Watermark};

#[cfg(test)]
#[path = "explore/keys/record.rs"]
mod explored;

/// Unrecorded commands told apart: more than are applied before the lead holds.
const AHEAD_MAX: usize = 128;

/// What is durable, and the applied commands that are not yet.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct RecordLead {
    durable: Sequence,
    /// The surgeon's newest durable list, once one was told of under this token.
    segments: Option<u64>,
    ahead: ArrayVec<(Sequence, KitTick), AHEAD_MAX>,
    /// The first command that was applied after that list became durable.
    unlisted: Option<KitTick>,
}

impl RecordLead {
    pub(crate) fn new() -> Self {
        Self { durable: Sequence(0), segments: None, ahead: ArrayVec::new(), unlisted: None }
    }

    /// Sequences begin anew with each token. What is unrecorded still is: the log is written in order, so it becomes
    /// durable before the new token's first command does. What is unlisted is until the next list, whoever signs it.
    pub(crate) fn restart(&mut self) {
        (self.durable, self.segments) = (Sequence(0), None);
        let oldest = self.ahead.first().map(|(_, at)| (Sequence(1), *at));
        self.ahead.clear();
        self.ahead.extend(oldest);
    }

    /// A command was applied; `newest` was taken in. One that a newer one, for another arm, has overtaken may not have been before
    /// the recorder when that one was: only a mark for what comes after both vouches for it. When too many wait they count as
    /// one, as old as its oldest.
    pub(crate) fn applied(&mut self, now: KitTick, sequence: Sequence, newest: Sequence) {
        self.unlisted.get_or_insert(now);
        let sequence = if sequence < newest { newest.next() } else { sequence };
        if let Err(full) = self.ahead.try_push((sequence, now)) {
            let (newest, _) = full.element();
            self.ahead.last_mut().into_iter().for_each(|(last, _)| *last = newest);
        }
    }

    /// The edge box says what is durable; `newest` was taken in last.
    pub(crate) fn take(&mut self, mark: &Watermark, newest: Sequence) {
        self.durable = self.durable.max(mark.newest.min(newest));
        if self.segments.is_some_and(|before| mark.segments > before) {
            self.unlisted = None;
        }
        self.segments = self.segments.max(Some(mark.segments));
        self.ahead.retain(|(sequence, _)| *sequence > self.durable);
    }

    /// Age of the oldest applied command that is not durable.
    pub(crate) fn ms(&self, now: KitTick) -> f64 {
        self.ahead.first().map_or(0.0, |(_, at)| now.ms_since(*at))
    }

    /// How long commands have been applied without a new list.
    pub(crate) fn unlisted_ms(&self, now: KitTick) -> f64 {
        self.unlisted.map_or(0.0, |since| now.ms_since(since))
    }

    /// Every command up to this one is durable.
    pub(crate) fn durable(&self) -> Sequence {
        self.durable
    }

    /// The surgeon's newest durable segment.
    pub(crate) fn segments(&self) -> u64 {
        self.segments.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use farhand_wire::LeaseToken;

    use super::*;

    fn mark(newest: u64) -> Watermark {
        Watermark { token: LeaseToken(1), newest: Sequence(newest), segments: newest }
    }

    fn at(ms: u64) -> KitTick {
        KitTick(0).plus_ms(ms)
    }

    /// Goal: the lead is the age of the oldest applied command above the watermark, which only rises.
    #[test]
    fn the_lead_is_that_of_the_oldest_unrecorded_command() {
        let mut lead = RecordLead::new();
        (1..=3).for_each(|n| lead.applied(at(n * 10), Sequence(n), Sequence(n)));
        assert_eq!(lead.ms(at(50)), 40.0);
        lead.take(&mark(2), Sequence(3));
        assert_eq!(lead.ms(at(50)), 20.0);
        lead.take(&mark(1), Sequence(3));
        assert_eq!((lead.ms(at(50)), lead.durable()), (20.0, Sequence(2)), "it never goes back");
        lead.take(&mark(3), Sequence(3));
        assert_eq!(lead.ms(at(50)), 0.0);
    }

    /// Goal: a watermark from the future vouches for nothing that has not come.
    #[test]
    fn a_watermark_does_not_vouch_beforehand() {
        let mut lead = RecordLead::new();
        lead.applied(at(1), Sequence(1), Sequence(1));
        lead.take(&mark(u64::MAX), Sequence(1));
        lead.applied(at(2), Sequence(2), Sequence(2));
        assert_eq!(lead.ms(at(12)), 10.0);
    }

    /// Goal: more commands than are told apart make the lead longer, never shorter.
    #[test]
    fn commands_beyond_the_bound_count_as_old_as_the_oldest() {
        let mut lead = RecordLead::new();
        let last = AHEAD_MAX as u64 + 50;
        (1..=last).for_each(|n| lead.applied(at(n), Sequence(n), Sequence(n)));
        lead.take(&mark(last - 1), Sequence(last));
        assert_eq!(lead.ms(at(last)), 50.0);
        lead.take(&mark(last), Sequence(last));
        assert_eq!(lead.ms(at(last)), 0.0);
    }

    /// Goal: a command that was overtaken is on record no sooner than one that came after it.
    #[test]
    fn an_overtaken_command_waits_for_the_next_mark() {
        let mut lead = RecordLead::new();
        lead.applied(at(1), Sequence(2), Sequence(2));
        lead.applied(at(2), Sequence(1), Sequence(2));
        lead.take(&mark(2), Sequence(2));
        assert_eq!(lead.ms(at(12)), 10.0);
        lead.take(&mark(3), Sequence(3));
        assert_eq!(lead.ms(at(12)), 0.0);
    }

    /// Goal: a new lease does not make an old debt forgotten.
    #[test]
    fn a_new_token_keeps_what_is_unrecorded() {
        let mut lead = RecordLead::new();
        (7..=9).for_each(|n| lead.applied(at(n), Sequence(n), Sequence(n)));
        lead.restart();
        assert_eq!(lead.ms(at(107)), 100.0);
        lead.take(&mark(0), Sequence(0));
        assert_eq!(lead.ms(at(107)), 100.0);
        lead.take(&mark(1), Sequence(1));
        assert_eq!(lead.ms(at(107)), 0.0);
    }
}
