//! What was said to the guard, as plain facts: who signed what, when the arm and the hand were last heard, what is on record.
//!
//! The observer shares no code with the guard. It knows from the promises what each fact forbids; it learns from the guard only
//! what everybody may see: the challenge, the numbers on display, and the answers.

use farhand_wire::{Challenge, Command, KitTick, arm_flags};

use super::{
    act::{Pedal, Who},
    promises::{Broken, Promise},
};
use crate::{Lag, Limits};

/// People who signed one thing, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct People(u8);

impl People {
    pub(super) fn add(&mut self, who: Who) {
        self.0 |= 1 << who as u8;
    }

    pub(super) fn are_two_with_the_bedside(self) -> bool {
        self.0.count_ones() >= 2 && self.0 & (1 << Who::Bedside as u8) != 0
    }
}

/// Who holds control, under which token, and when a command of theirs came last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    pub(super) token: u64,
    pub(super) who: Who,
    pub(super) heard: KitTick,
}

/// A token on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) token: u64,
    pub(super) who: Who,
    pub(super) stored: bool,
}

/// What the arm does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Errand {
    Home,
    Out,
}

/// Why a release is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    Silence,
    Interruption,
}

/// A command that moved the tool and is not known to be durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unrecorded {
    pub(super) token: u64,
    pub(super) sequence: u64,
    pub(super) at: KitTick,
}

/// What is so of one arm.
#[derive(Clone, Debug)]
pub(super) struct ArmFacts {
    pub(super) heard: Option<KitTick>,
    pub(super) flags: u8,
    pub(super) way_out: bool,
    pub(super) errand: Option<Errand>,
    // the hand
    pub(super) newest: u64,
    pub(super) held: Option<KitTick>,
    pub(super) due: Option<(KitTick, Why)>,
    /// Since when decisions have been Paused or worse, and whether a release came from then on.
    pub(super) paused: Option<(KitTick, bool)>,
    pub(super) engagement: Option<u64>,
    pub(super) engagements: u64,
    /// The arm has stood since the last engagement ended, at the hold of this number.
    pub(super) stands: bool,
    pub(super) hold_shown: u64,
    pub(super) applied: Option<(KitTick, f64)>,
    /// The record held it, or the loop was late, and no command for it was applied since.
    pub(super) record_holds: bool,
    pub(super) late: bool,
}

impl ArmFacts {
    fn new() -> Self {
        Self {
            heard: None,
            flags: 0,
            way_out: false,
            errand: None,
            newest: 0,
            held: None,
            due: Some((KitTick(0), Why::Interruption)),
            paused: None,
            engagement: None,
            engagements: 0,
            stands: true,
            hold_shown: 1,
            applied: None,
            record_holds: false,
            late: false,
        }
    }

    pub(super) fn is_homed(&self) -> bool {
        self.flags & arm_flags::HOMED != 0
    }

    pub(super) fn silent_ms(&self, now: KitTick) -> f64 {
        self.applied.map_or(f64::INFINITY, |(at, _)| now.ms_since(at))
    }

    pub(super) fn cable_is_silent(&self, now: KitTick, limits: &Limits) -> bool {
        self.heard.is_none_or(|heard| now.ms_since(heard) > limits.arm_silence_ms_max)
    }

    pub(super) fn interrupt(&mut self, now: KitTick, why: Why) {
        self.engagement = None;
        self.due = Some((now, why));
    }
}

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) limits: Limits,
    pub(super) arms: Vec<ArmFacts>,
    pub(super) fault: bool,
    pub(super) latched: u8,
    pub(super) cleared: u8,
    // people
    pub(super) challenge: Challenge,
    pub(super) signed_arm: People,
    pub(super) signed_clear: People,
    pub(super) signed_give: Option<(Who, People)>,
    pub(super) armed: bool,
    pub(super) closed: bool,
    pub(super) consent_withdrawn: bool,
    pub(super) regions: Option<u64>,
    // control
    pub(super) issued: u64,
    pub(super) control: Option<Control>,
    pub(super) asked: Option<Asked>,
    pub(super) heir: Option<Who>,
    /// The heir was named by two people, and not by the holder.
    pub(super) given: bool,
    // the hand
    pub(super) newest: u64,
    /// Of the newest release.
    pub(super) let_go: u64,
    /// The newest tick that a release echoed.
    pub(super) released: KitTick,
    pub(super) picture: Option<(u64, KitTick)>,
    // the record
    pub(super) unrecorded: Vec<Unrecorded>,
    pub(super) lists: Option<u64>,
    pub(super) unlisted: Option<KitTick>,
    // the loop
    pub(super) decided: Option<KitTick>,
    pub(super) missed: u64,
}

impl Facts {
    pub(super) fn new(limits: Limits, arms: usize, issued: u64, challenge: Challenge) -> Self {
        Self {
            limits,
            arms: vec![ArmFacts::new(); arms],
            fault: false,
            latched: 0,
            cleared: 0,
            challenge,
            signed_arm: People::default(),
            signed_clear: People::default(),
            signed_give: None,
            armed: false,
            closed: false,
            consent_withdrawn: false,
            regions: None,
            issued,
            control: None,
            asked: None,
            heir: None,
            given: false,
            newest: 0,
            let_go: 0,
            released: KitTick(0),
            picture: None,
            unrecorded: Vec::new(),
            lists: None,
            unlisted: None,
            decided: None,
            missed: 0,
        }
    }

    // ---- what follows from the facts

    pub(super) fn is_stopped(&self) -> bool {
        self.latched != 0 || self.fault
    }

    pub(super) fn cause_remains(&self, now: KitTick) -> bool {
        let wrong = arm_flags::FAULT | arm_flags::BUTTON;
        self.arms.iter().any(|arm| arm.flags & wrong != 0 || arm.cable_is_silent(now, &self.limits))
    }

    /// Somebody holds control: not given away, and heard of within a lease.
    pub(super) fn is_held(&self, now: KitTick) -> bool {
        self.heir.is_none()
            && self.control.is_some_and(|control| now.ms_since(control.heard) <= self.limits.lease_ms)
    }

    /// The token in force, unless a newer one is on its way or two people gave control away.
    pub(super) fn token(&self) -> Option<u64> {
        let control = self.control.filter(|control| control.token == self.issued && !self.given);
        control.map(|control| control.token)
    }

    pub(super) fn lead_ms(&self, now: KitTick) -> f64 {
        self.unrecorded.first().map_or(0.0, |oldest| now.ms_since(oldest.at))
    }

    pub(super) fn unlisted_ms(&self, now: KitTick) -> f64 {
        self.unlisted.map_or(0.0, |since| now.ms_since(since))
    }

    // ---- what happens

    /// Nothing moves by hand before a release by someone who knew of this tick.
    pub(super) fn interrupt(&mut self, now: KitTick, why: Why) {
        self.arms.iter_mut().for_each(|arm| arm.interrupt(now, why));
    }

    pub(super) fn stop(&mut self) {
        self.arms.iter_mut().for_each(|arm| (arm.errand, arm.engagement) = (None, None));
    }

    pub(super) fn arm_says(&mut self, now: KitTick, arm: usize, flags: u8) {
        let arm = &mut self.arms[arm];
        let was_homed = arm.is_homed();
        (arm.heard, arm.flags) = (Some(now), flags);
        if was_homed && !arm.is_homed() {
            arm.interrupt(now, Why::Interruption);
        }
        if flags & (arm_flags::FAULT | arm_flags::BUTTON) != 0 {
            self.fault = true;
            self.stop();
        }
    }

    pub(super) fn announced(&mut self, now: KitTick, frame: u64, captured: KitTick) {
        if captured <= now {
            self.picture = Some((frame, captured));
        }
    }

    /// The edge box says that commands up to this one are durable, and so many lists.
    pub(super) fn durable(&mut self, token: u64, sequence: u64, lists: u64) {
        if self.token() != Some(token) {
            return;
        }
        let vouched = sequence.min(self.newest);
        self.unrecorded
            .retain(|command| if command.token == token { command.sequence > vouched } else { vouched == 0 });
        if self.lists.is_some_and(|before| lists > before) {
            self.unlisted = None;
        }
        self.lists = self.lists.max(Some(lists));
    }

    /// An authentic command came. Whether it is taken in at all, and all that forbids that it moves the tool.
    pub(super) fn hears(
        &mut self,
        now: KitTick,
        command: &Command,
        pedal: Pedal,
        lag: Lag,
    ) -> (bool, Broken) {
        let mut forbidden = Broken::default();
        let arm = usize::from(command.arm);
        let known = self.token() == Some(command.token.0) && arm < self.arms.len();
        let before = self.arms.get(arm).map_or(0, |arm| arm.newest.max(self.let_go));
        let newer = command.sequence.0 > before;
        forbidden.add_if(!known || !self.is_held(now), Promise::Holder);
        forbidden.add_if(!newer, Promise::Newer);
        if known && matches!(pedal, Pedal::Up | Pedal::UpWithClutch) && command.sequence.0 > self.let_go {
            self.lets_go(now, command);
        }
        if known && newer {
            self.takes_in(now, command, pedal);
        }
        let Some(standing) = self.arms.get(arm) else { return (false, forbidden) };
        self.standing(now, standing, &mut forbidden);
        self.age(now, command, &mut forbidden);
        let recorded = self.lead_ms(now) <= self.limits.record_lead_hold_ms_max;
        forbidden.add_if(!recorded, Promise::Recorded);
        forbidden.add_if(self.unlisted_ms(now) > self.limits.unlisted_hold_ms_max, Promise::Listed);
        forbidden.add_if(pedal != Pedal::Down, Promise::Pedal);
        if forbidden.is_empty() {
            self.engages(command, lag, &mut forbidden);
        }
        (known && newer && self.is_held(now), forbidden)
    }

    fn takes_in(&mut self, now: KitTick, command: &Command, pedal: Pedal) {
        self.newest = self.newest.max(command.sequence.0);
        self.arms[usize::from(command.arm)].newest = command.sequence.0;
        match pedal {
            Pedal::Down => {
                self.arms[usize::from(command.arm)].held.get_or_insert(now);
            }
            Pedal::Clutch => {
                let arm = &mut self.arms[usize::from(command.arm)];
                (arm.held, arm.engagement) = (None, None);
            }
            Pedal::Up | Pedal::UpWithClutch => {}
        }
        if self.is_held(now) {
            self.control.iter_mut().for_each(|control| control.heard = now);
        }
    }

    /// There is one pedal for all arms: up, it counts for every one that was not told anything newer.
    fn lets_go(&mut self, now: KitTick, command: &Command) {
        let seen = command.kit_tick_echo;
        self.let_go = command.sequence.0;
        if seen <= now {
            self.released = self.released.max(seen);
        }
        for arm in self.arms.iter_mut().filter(|arm| arm.newest < command.sequence.0) {
            (arm.held, arm.engagement) = (None, None);
            if seen <= now {
                arm.due = arm.due.filter(|(since, _)| seen < *since);
                arm.paused = arm.paused.map(|(since, released)| (since, released || seen >= since));
            }
        }
    }

    /// What forbids motion of this arm by hand for as long as it stands.
    pub(super) fn standing(&self, now: KitTick, arm: &ArmFacts, forbidden: &mut Broken) {
        forbidden.add_if(self.is_stopped(), Promise::Stopped);
        forbidden.add_if(self.bedside_moves(), Promise::Errand);
        forbidden.add_if(!self.armed, Promise::Armed);
        forbidden.add_if(!arm.is_homed(), Promise::Homed);
        forbidden.add_if(!self.is_held(now), Promise::Holder);
        forbidden.add_if(arm.due.is_some(), Promise::Released);
    }

    /// Any arm, by an order or by its switch.
    pub(super) fn bedside_moves(&self) -> bool {
        self.arms.iter().any(|arm| arm.errand.is_some() || arm.way_out)
    }

    fn age(&self, now: KitTick, command: &Command, forbidden: &mut Broken) {
        let echo = command.kit_tick_echo;
        let old = now.ms_since(echo) > self.limits.command_age_ms_max;
        forbidden.add_if(old || echo > now, Promise::Fresh);
        let shown = self.picture.filter(|(frame, _)| *frame == command.frame_seen.0);
        let old = shown.is_none_or(|(_, at)| now.ms_since(at) > self.limits.picture_age_ms_max);
        forbidden.add_if(old, Promise::Picture);
    }

    /// The one thing forbidden so far may be its engagement, or its reach; either ends the one that runs.
    fn engages(&mut self, command: &Command, lag: Lag, forbidden: &mut Broken) {
        let (id, hold) = (command.engagement.0, command.hold.0);
        let arm = &mut self.arms[usize::from(command.arm)];
        let goes_on = arm.engagement == Some(id);
        let starts = arm.engagement.is_none() && id > arm.engagements && arm.stands;
        let from_here = hold == arm.hold_shown;
        if !goes_on {
            arm.engagement = None;
        }
        if !(from_here && (goes_on || starts)) {
            return forbidden.add(Promise::Engaged);
        }
        (arm.engagement, arm.engagements) = (Some(id), id);
        let near = lag.mm <= self.limits.lag_mm_max && lag.deg <= self.limits.lag_deg_max;
        if !near && !self.consent_withdrawn {
            arm.engagement = None;
            forbidden.add(Promise::Reach);
        }
    }

    /// The guard applied a command.
    pub(super) fn applies(&mut self, now: KitTick, command: &Command) {
        let arm = &mut self.arms[usize::from(command.arm)];
        arm.engagement = Some(command.engagement.0);
        arm.applied = Some((now, command.target.position_m[0]));
        (arm.record_holds, arm.late) = (false, false);
        let (token, mut sequence) = (command.token.0, command.sequence.0);
        if sequence < self.newest {
            sequence = self.newest + 1; // overtaken: whoever recorded the newer one may not have seen it yet
        }
        self.unrecorded.push(Unrecorded { token, sequence, at: now });
        self.unlisted.get_or_insert(now);
    }
}
