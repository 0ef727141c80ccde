//! When two states are the same: what is hashed of a state.
//!
//! A state has clocks and counters that only rise; a key has ages and comparisons instead, so that there are finitely many.
//! **Two states with the same key answer every act of the scene alike, and lead to the same keys.** Why:
//!
//! - Time enters the guard only as the age of something against one limit, or against two of which the greater is taken here;
//!   beyond it all ages are one. The age of a release's due date is compared with echoes alone, so beyond the oldest echo that the
//!   scene's releases carry all are one, too.
//! - Sequences, engagements, holds, tokens, frames and regions are compared with the newest of their kind, never counted with. The
//!   alphabet names each from the newest on display, so the numbers themselves fall away.
//! - A challenge is a hash that nobody meets twice. An act signs the one in force or the one before, and only whether it is the one
//!   in force counts.
//! - Targets are copied, and each is another, so only the promise that looks at them could tell two apart.
//! - The line's measure only sets how fast the tool may be, and which of two modes that is called; those two modes are one here.
//! - Of the commands that wait for their record the oldest one's age counts, and those of the oldest that still wait after a mark for all
//!   but the newest, or for all: the alphabet has no other marks.
//! - The setpoints never change in these scenes, and counters, ages and reasons of the report are only shown.
//!
//! `tests::states_with_the_same_key_behave_the_same` tries it on random walks. Every part of the guard is taken apart by name, so
//! that a new field does not compile before somebody has said here how it counts.

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
};

use farhand_wire::KitTick;

use super::{
    facts::{ArmFacts, Facts},
    stage::Stage,
};
use crate::Limits;

/// An age in µs, or "beyond all that counts".
pub(crate) type Age = Option<u64>;

/// When, and by which limits, something is looked at.
pub(crate) struct Moment<'a> {
    pub(crate) now: KitTick,
    pub(crate) limits: &'a Limits,
    /// The oldest tick that a release of the scene echoes.
    pub(crate) echo_us_max: u64,
}

impl Moment<'_> {
    /// Exact up to the limit, which itself is still within it.
    pub(crate) fn age(&self, since: KitTick, max_ms: f64) -> Age {
        let age_us = self.now.us_since(since);
        (age_us as f64 <= max_ms * 1000.0).then_some(age_us)
    }

    /// An echo of so many µs ago lies before `since`, or not.
    pub(crate) fn due(&self, since: KitTick) -> u64 {
        self.now.us_since(since).min(self.echo_us_max)
    }
}

/// What is hashed of a state: the guard, the facts beside it, and the world around both.
pub(crate) trait Key: Debug + Hash + PartialEq + Eq {}

impl<T: Debug + Hash + PartialEq + Eq> Key for T {}

impl Stage {
    pub(super) fn key(&self) -> impl Key + use<> {
        let at = Moment { now: self.now, limits: &self.facts.limits, echo_us_max: self.echo_us_max };
        let world = (
            self.says.clone(),
            self.films,
            self.records,
            self.still.clone(),
            self.phase_us(),
            self.waiting_lists(),
        );
        (self.guard.key(&at), of_facts(&self.facts, &at), world, self.broken)
    }
}

impl Hash for Stage {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl PartialEq for Stage {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

fn of_facts(facts: &Facts, at: &Moment<'_>) -> impl Key + use<> {
    let limits = &facts.limits;
    let lead_ms_max = limits.record_lead_hold_ms_max.max(limits.record_lead_pause_ms_max);
    let oldest = |from: u64| {
        let waits = facts.unrecorded.iter().find(|command| command.sequence >= from)?;
        Some(at.age(waits.at, lead_ms_max))
    };
    (
        (
            (facts.fault, facts.latched, facts.cleared),
            (facts.signed_arm, facts.signed_clear, facts.signed_give),
            (facts.armed, facts.closed, facts.consent_withdrawn, facts.regions),
        ),
        (
            facts.control.map(|control| (control.who, at.age(control.heard, limits.lease_ms))),
            (facts.token().is_some(), facts.asked.map(|asked| (asked.who, asked.stored))),
            (facts.heir, facts.given),
        ),
        (
            (facts.released >= at.now, facts.newest.saturating_sub(facts.let_go).min(2)),
            facts.picture.map(|(_, captured)| at.age(captured, limits.picture_age_ms_max)),
        ),
        (
            ([0, facts.newest, facts.newest + 1].map(oldest), facts.lists.is_some()),
            facts.unlisted.map(|since| at.age(since, limits.unlisted_hold_ms_max)),
            facts.missed.min(limits.late_ticks_max as u64),
            facts.decided.map(|decided| at.now.us_since(decided)),
        ),
        facts.arms.iter().map(|arm| of_arm(arm, facts.newest, at)).collect::<Vec<_>>(),
    )
}

fn of_arm(arm: &ArmFacts, newest: u64, at: &Moment<'_>) -> impl Key + use<> {
    let limits = at.limits;
    let silence_ms_max = limits.silence_hold_ms_max.max(limits.silence_pause_ms_max);
    (
        arm.heard.map(|heard| at.age(heard, limits.arm_silence_ms_max)),
        (arm.flags, arm.way_out, arm.errand),
        arm.held.map(|held| at.age(held, limits.silence_pause_ms_max)),
        arm.due.map(|(since, why)| (at.due(since), why)),
        arm.paused.map(|(since, released)| (at.due(since), released)),
        (arm.engagement.is_some(), arm.stands, (newest - arm.newest).min(2)),
        arm.applied.map(|(applied, _)| at.age(applied, silence_ms_max)),
        (arm.record_holds, arm.late),
    )
}
