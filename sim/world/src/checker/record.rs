//! P11: no motion without a record.

use farhand_wire::LeaseToken;

use super::{Checker, LEAD_HOLD_US_MAX, UNLISTED_US_MAX, happened::Precondition};

const LEAD_PAUSE_US_MAX: u64 = 500_000;

impl Checker {
    /// What the kit says it made of a command: if it refused this one, the tool has moved under the one before it.
    pub fn verdict(&mut self, token: LeaseToken, sequence: u64, refused: bool) {
        // What is unlisted outlives its token.
        if refused && sequence > 1 {
            self.unlisted_since = self.unlisted_since.filter(|(since, _)| *since != (token, sequence));
        }
        if token != self.highest {
            return;
        }
        for arm in &mut self.arms {
            let came_us = arm.applicable.remove(&sequence).filter(|_| !refused);
            arm.moved_us = arm.moved_us.map(|moved_us| came_us.map_or(moved_us, |at_us| at_us.max(moved_us)));
        }
        // The first entry of a lease stands for what moved before it.
        if refused && sequence > 1 {
            self.unrecorded.remove(&sequence);
        }
    }

    /// From the oldest command that moved the tool and is not durable.
    pub(super) fn lead_us(&self, now_us: u64) -> u64 {
        self.unrecorded.values().min().map_or(0, |at_us| now_us - at_us)
    }

    pub(super) fn unlisted_us(&self, now_us: u64) -> u64 {
        self.unlisted_since.map_or(0, |(_, since_us)| now_us - since_us)
    }

    /// A record that lags needs a fresh command, and one that lagged for long a release too, before the tool moves again.
    pub(super) fn check_record(&mut self, now_us: u64) {
        let lead_us = self.lead_us(now_us);
        let unlisted_us = self.unlisted_us(now_us);
        if lead_us > LEAD_HOLD_US_MAX && self.arms.iter().any(|arm| arm.basis.is_some()) {
            self.happened(Precondition::Behind);
        }
        if lead_us > LEAD_HOLD_US_MAX || unlisted_us > UNLISTED_US_MAX {
            self.arms.iter_mut().for_each(|arm| arm.basis = None);
        }
        if lead_us > LEAD_PAUSE_US_MAX {
            for arm in &mut self.arms {
                arm.release_after_us.get_or_insert(now_us);
            }
        }
    }

    /// The kit's own log has a hole, or lacks a verdict.
    pub fn log_broken(&mut self, now_us: u64, words: String) {
        self.broken("P11", now_us, words);
    }
}
