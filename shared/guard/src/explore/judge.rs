//! What the guard decided, held against the facts.

use farhand_wire::{Action, KitTick, Mode, Rejection, arm_flags};

use super::{
    facts::{ArmFacts, Errand, Facts, Why},
    promises::{Broken, Promise},
};
use crate::{Intent, TICK_MS};

impl Facts {
    /// A tick begins: what time alone brings about.
    pub(super) fn tick(&mut self, now: KitTick) {
        let missed = self.decided.map_or(0, |before| now.us_since(before) / 1000 - TICK_MS as u64);
        self.decided = Some(now);
        self.missed = if missed > 0 { self.missed + missed } else { 0 };
        let late = self.missed as f64 >= self.limits.late_ticks_max;
        self.arms.iter_mut().for_each(|arm| arm.late |= late);
        let begun = self.arms.iter().any(|arm| arm.heard.is_some());
        if begun && self.arms.iter().any(|arm| arm.cable_is_silent(now, &self.limits)) {
            self.fault = true;
            self.stop();
        }
        self.falls_silent(now);
        self.runs_ahead(now);
        self.ways_out(now);
        if self.arms.iter().any(|arm| arm.errand.is_some()) {
            self.interrupt(now, Why::Interruption);
        }
    }

    fn ways_out(&mut self, now: KitTick) {
        let (seen, held) = (arm_flags::WAY_OUT | arm_flags::FAULT | arm_flags::BUTTON, arm_flags::WAY_OUT);
        let mut changed = false;
        for arm in &mut self.arms {
            let used = arm.flags & seen == held && !arm.cable_is_silent(now, &self.limits);
            changed |= std::mem::replace(&mut arm.way_out, used) != used;
        }
        if self.arms.iter().any(|arm| arm.way_out) {
            self.armed = false;
            self.arms.iter_mut().for_each(|arm| arm.errand = None);
            self.interrupt(now, Why::Interruption);
        }
        if changed {
            self.forget_signatures();
        }
    }

    fn falls_silent(&mut self, now: KitTick) {
        let lapsed = !self.is_held(now);
        for arm in &mut self.arms {
            let Some(held) = arm.held else { continue };
            let silent_ms = arm.silent_ms(now).min(now.ms_since(held));
            let long = silent_ms > self.limits.silence_pause_ms_max || lapsed;
            if long && arm.due.is_none() {
                arm.interrupt(now, Why::Silence);
            }
        }
    }

    fn runs_ahead(&mut self, now: KitTick) {
        let lead_ms = self.lead_ms(now);
        let holds = lead_ms > self.limits.record_lead_hold_ms_max
            || self.unlisted_ms(now) > self.limits.unlisted_hold_ms_max;
        let pauses = lead_ms > self.limits.record_lead_pause_ms_max;
        for arm in &mut self.arms {
            arm.record_holds |= holds;
            if pauses {
                arm.interrupt(now, arm.due.map_or(Why::Interruption, |(_, why)| why));
            }
        }
    }

    /// What the guard decided for this arm in this tick, after [`Facts::tick`].
    pub(super) fn judge(&mut self, now: KitTick, number: usize, mode: Mode, intent: &Intent) -> Broken {
        let mut broken = Broken::default();
        let arm = &self.arms[number];
        let expected = self.mode(now, arm);
        let severity = mode.max(Mode::Limited);
        broken.add_if(severity < expected, Promise::Severest);
        broken.add_if(severity > expected, Promise::Useful);
        match *intent {
            Intent::Follow { target, .. } => {
                broken.merge(self.against_the_hand(now, arm));
                broken.add_if(self.consent_withdrawn, Promise::Consent);
                let newest = arm.applied.is_some_and(|(_, x)| x == target.position_m[0]);
                broken.add_if(!newest, Promise::Target);
            }
            Intent::Withdraw { jaw_rad: Some(_) } => {
                broken.merge(self.against_the_hand(now, arm));
                broken.add_if(!self.consent_withdrawn, Promise::Consent);
            }
            Intent::Home => {
                broken.add_if(arm.errand != Some(Errand::Home), Promise::Errand);
                broken.add_if(self.is_stopped(), Promise::Stopped);
                broken.add_if(self.consent_withdrawn, Promise::Consent);
            }
            Intent::Withdraw { jaw_rad: None } if !arm.way_out => {
                broken.add_if(arm.errand != Some(Errand::Out), Promise::Errand);
                broken.add_if(self.is_stopped(), Promise::Stopped);
            }
            Intent::Withdraw { jaw_rad: None } => {}
            Intent::Stop => {
                let moves = arm.errand.is_some() && !self.is_stopped() || expected <= Mode::Limited;
                broken.add_if(moves || self.hand_may_withdraw(now, arm), Promise::Useful);
            }
        }
        broken.add_if(arm.way_out && *intent != Intent::Withdraw { jaw_rad: None }, Promise::WayOut);
        self.pauses(now, number, mode);
        broken
    }

    /// A pause ends with what caused it, if the dead-man was let go meanwhile; a safe stop is no pause by itself.
    fn pauses(&mut self, now: KitTick, number: usize, mode: Mode) {
        let released = self.released >= now;
        let arm = &mut self.arms[number];
        if mode >= Mode::Paused && mode != Mode::SafeStop {
            arm.paused.get_or_insert((now, released));
        } else {
            arm.paused = arm.paused.filter(|(_, released)| !released);
        }
    }

    fn hand_may_withdraw(&self, now: KitTick, arm: &ArmFacts) -> bool {
        self.consent_withdrawn && self.against_the_hand(now, arm).is_empty()
    }

    /// The most severe of all that stands against motion of this arm.
    pub(super) fn mode(&self, now: KitTick, arm: &ArmFacts) -> Mode {
        let paused = self.bedside_moves()
            || !self.armed
            || !arm.is_homed()
            || !self.is_held(now)
            || self.lead_ms(now) > self.limits.record_lead_pause_ms_max
            || arm.due.is_some();
        match () {
            () if self.is_stopped() => Mode::Stopped,
            () if self.consent_withdrawn => Mode::SafeStop,
            () if paused => Mode::Paused,
            () if !self.against_the_hand(now, arm).is_empty() => Mode::Holding,
            () => Mode::Limited,
        }
    }

    /// All that forbids that a hand moves this arm's tool in this tick.
    fn against_the_hand(&self, now: KitTick, arm: &ArmFacts) -> Broken {
        let mut forbidden = Broken::default();
        self.standing(now, arm, &mut forbidden);
        forbidden.add_if(arm.engagement.is_none(), Promise::Pedal);
        forbidden.add_if(arm.silent_ms(now) > self.limits.silence_hold_ms_max, Promise::Silence);
        let paused = arm.paused.is_some_and(|(_, released)| !released);
        forbidden.add_if(paused, Promise::StaysPaused);
        forbidden.add_if(arm.record_holds, Promise::Recorded);
        forbidden.add_if(arm.late, Promise::Punctual);
        forbidden
    }
}

impl ArmFacts {
    /// The arm did this in the tick, and stands or not.
    pub(super) fn moved(&mut self, intent: &Intent, at_rest: bool, hold: u64) -> Broken {
        let mut broken = Broken::default();
        if *intent != Intent::Stop || !at_rest {
            self.stands = false;
        } else if !self.stands && self.engagement.is_none() {
            self.stands = true;
            broken.add_if(hold <= self.hold_shown, Promise::Engaged);
        }
        broken.add_if(!self.stands && hold != self.hold_shown, Promise::Engaged);
        self.hold_shown = hold;
        broken
    }
}

/// The action that a permit must name for what was decided.
pub(super) fn action(intent: &Intent, at_rest: bool) -> Action {
    match intent {
        Intent::Follow { .. } => Action::Move,
        Intent::Home => Action::Home,
        Intent::Withdraw { .. } => Action::Withdraw,
        Intent::Stop if at_rest => Action::Hold,
        Intent::Stop => Action::Brake,
    }
}

/// Whether a refusal's value lies beyond its limit.
pub(super) fn says_why(rejection: &Rejection) -> bool {
    use Rejection as R;
    let (_, seen, limit) = rejection.parts();
    match rejection {
        // A lease that was handed over is over at once, and zero is nobody's token.
        R::UnknownFrame { .. } | R::NotAtRest { .. } | R::LeaseExpired { .. } => true,
        R::OldSequence { .. } => seen <= limit,
        R::OldToken { .. } => seen != limit || limit == 0.0,
        R::EngagementMismatch { .. } | R::HoldMismatch { .. } => seen != limit,
        R::NotArmed { .. } => seen <= limit, // two, and none of them at the bedside
        R::NotHomed { .. } | R::NotReleased { .. } => seen < limit,
        R::NoSuchArm { .. } => seen >= limit,
        R::ErrandUnderWay { .. } => (1.0..=limit).contains(&seen),
        _ => seen > limit || seen.is_nan(),
    }
}
