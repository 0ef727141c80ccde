//! What came of sessions.

use std::collections::BTreeMap;

use farhand_wire::Rejection;

use crate::{Violation, exercise::Report};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub seed: u64,
    pub ticks: u64,
    pub commands: u64,
    pub applied: u64,
    pub refused: BTreeMap<&'static str, u64>,
    /// The newest refusal of each kind, with its values.
    pub last_refused: BTreeMap<&'static str, Rejection>,
    /// States of the kit that gave this for the tool's standing still, or being slower.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Orders that were not followed, by the kit's words.
    pub orders_refused: BTreeMap<String, u64>,
    pub unauthentic: u64,
    pub tasks_done: u64,
    /// Of an exercise, if there was one to do.
    pub exercise: Option<Report>,
    /// Of each object, how long after it appeared it was grasped; the first has to wait for the kit's arming.
    pub tasks_us: Vec<Option<u64>>,
    pub moves: u64,
    /// Segments of the kit's log that the edge box has, and verdicts in them.
    pub segments: u64,
    pub verdicts: u64,
    /// Segments that came again, after a reconnect.
    pub resent: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often there was something to keep a promise against.
    pub preconditions: BTreeMap<&'static str, u64>,
    pub violations: Vec<Violation>,
    /// When the first promise was broken, in µs from the session's beginning.
    pub broken_us: Option<u64>,
}

impl Outcome {
    /// Counts both together.
    pub fn add(&mut self, other: Outcome) {
        self.ticks += other.ticks;
        self.commands += other.commands;
        self.applied += other.applied;
        self.unauthentic += other.unauthentic;
        self.tasks_done += other.tasks_done;
        self.tasks_us.extend(other.tasks_us);
        self.moves += other.moves;
        self.segments += other.segments;
        self.verdicts += other.verdicts;
        self.resent += other.resent;
        for (sum, counts) in [
            (&mut self.refused, other.refused),
            (&mut self.reasons, other.reasons),
            (&mut self.faults, other.faults),
            (&mut self.preconditions, other.preconditions),
        ] {
            counts.into_iter().for_each(|(name, count)| *sum.entry(name).or_default() += count);
        }
        for (words, count) in other.orders_refused {
            *self.orders_refused.entry(words).or_default() += count;
        }
        self.last_refused.extend(other.last_refused);
        self.exercise = other.exercise.or(self.exercise.take());
        self.broken_us = self.broken_us.or(other.broken_us);
        self.violations.extend(other.violations);
    }
}
