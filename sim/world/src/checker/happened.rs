//! How often there was something to keep a promise against: a promise that was never put to the test is not kept.

use std::collections::BTreeMap;

/// What a promise is kept against.
#[derive(Clone, Copy, Debug)]
pub(super) enum Precondition {
    Moves,
    Lost,
    LetGo,
    Press,
    Fast,
    Regions,
    AtRegion,
    LimitedLine,
    Lease,
    HandedOver,
    TakenOver,
    Behind,
    Withdrawal,
    Late,
    OnePath,
    Forged,
}

/// Their words, in the same order.
const WORDS: [&str; 16] = [
    "P1: moves",
    "P2: a command lost while moving",
    "P3: let go while moving",
    "P4: a new press",
    "P5: a joint at speed",
    "P6: regions in force",
    "P6: at a region",
    "P7: moves on a line that limits it",
    "P8: control begins anew",
    "P8: control handed over",
    "P8: control given away after a lease",
    "P11: the record falls behind",
    "P13: a withdrawal",
    "P10: deadlines missed under a command",
    "P9: a command while one path is dead",
    "P12: a message that was forged or damaged",
];

/// A count of each.
#[derive(Debug, Default)]
pub(super) struct Happened([u64; WORDS.len()]);

impl Happened {
    pub(super) fn note(&mut self, precondition: Precondition) {
        self.0[precondition as usize] += 1;
    }

    pub(super) fn by_words(&self) -> BTreeMap<&'static str, u64> {
        WORDS.into_iter().zip(self.0).collect()
    }
}
