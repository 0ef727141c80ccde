//! The state machine itself.

use arrayvec::ArrayVec;
use farhand_wire::{
    ARMS_MAX, Action, ArmState, Command, FrameMark, KitTick, LeaseToken, Mode, Pose, PublicKey, Rejection,
    Sequence, Verdict, Watermark,
};

use crate::{
    ArmStart, Authentic, Limits, Order, Permit, Proposal, Refusal,
    arm::{Applied, Arm},
    deadlines::Deadlines,
    engagement::{Cause, fresh},
    estop::EStop,
    frames::Frames,
    lease::Leases,
    line::Line,
    orders::Errand,
    record::RecordLead,
    ritual::{PEOPLE_NEEDED, Rituals},
};

#[cfg(test)]
#[path = "explore/keys/guard.rs"]
mod explored;

/// What comes in. Commands and orders are authentic by type; the rest comes over the kit's own cables and links.
#[derive(Debug)]
pub enum Input {
    /// With the lag from its arm's tool to its target, after workspace and region clamping.
    Command(Authentic<Command>, Lag),
    Order(Authentic<Order>),
    /// By the paired edge box.
    Frame(FrameMark),
    /// By the paired edge box: what is durable on record.
    Watermark(Watermark),
    /// By the arm of that number, over its authenticated cable.
    Arm(usize, ArmState),
    /// The token is durable.
    TokenStored(LeaseToken),
    /// The session was closed in an earlier run of the kit: nothing arms it again.
    Closed,
}

/// From the setpoint to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lag {
    pub mm: f64,
    pub deg: f64,
}

/// What the guard says to an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Response {
    Nothing,
    Verdict(Verdict),
    /// Store this token durably, then say so.
    StoreToken {
        token: LeaseToken,
        to: PublicKey,
    },
    /// Grant it: it is durable.
    Grant {
        token: LeaseToken,
        to: PublicKey,
    },
    /// The lease began: from now on commands are sealed under its keys.
    Leased {
        token: LeaseToken,
    },
    /// The regions of this version are in force.
    Latched {
        version: u64,
    },
    /// An order was not followed.
    Refused {
        to: PublicKey,
        why: Refusal,
    },
}

/// What an arm's tool shall do in this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Intent {
    /// Slow down as fast as the arm may, and stand.
    Stop,
    /// Go to the target, absolute in the kit's frame.
    Follow {
        target: Pose,
        jaw_rad: f64,
        tip_speed_mm_s_max: f64,
    },
    Home,
    /// Out along the shaft. The jaw goes along with whoever draws it out, or stays.
    Withdraw {
        jaw_rad: Option<f64>,
    },
}

/// Decides what moves the tools. See the crate's documentation for the order of calls.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Guard {
    pub(crate) limits: Limits,
    pub(crate) arms: ArrayVec<Arm, ARMS_MAX>,
    pub(crate) estop: EStop,
    pub(crate) rituals: Rituals,
    pub(crate) leases: Leases,
    pub(crate) frames: Frames,
    pub(crate) armed: bool,
    pub(crate) closed: bool,
    pub(crate) consent_withdrawn: bool,
    /// Version of the forbidden regions in force.
    pub(crate) regions: Option<u64>,
    pub(crate) deadlines: Deadlines,
    /// The arm with which something was wrong first, and what, until it is cleared.
    pub(crate) faulted: Option<(usize, Rejection)>,
    /// Of all commands taken in.
    pub(crate) newest: Sequence,
    /// Of those with the dead-man up: what was sent before moves nothing any more.
    pub(crate) released: Sequence,
    pub(crate) record: RecordLead,
    pub(crate) line: Line,
    /// Ages of command and picture, when the newest command was applied.
    pub(crate) ages_ms: (f64, f64),
    pub(crate) counts: (u64, u64),
}

impl Guard {
    /// A disarmed guard over one to [`ARMS_MAX`] arms; those beyond are left out. `highest_token` is the greatest ever stored,
    /// `seed` is secret and new at each start of the kit.
    #[must_use]
    pub fn new(
        limits: Limits,
        arms: impl IntoIterator<Item = ArmStart>,
        highest_token: LeaseToken,
        seed: [u8; 32],
    ) -> Self {
        Self {
            leases: Leases::new(highest_token, limits.lease_ms),
            limits,
            arms: arms.into_iter().take(ARMS_MAX).map(Arm::new).collect(),
            estop: EStop::default(),
            rituals: Rituals::new(seed),
            frames: Frames::new(),
            armed: false,
            closed: false,
            consent_withdrawn: false,
            regions: None,
            deadlines: Deadlines::default(),
            faulted: None,
            newest: Sequence(0),
            released: Sequence(0),
            record: RecordLead::new(),
            line: Line::default(),
            ages_ms: (0.0, 0.0),
            counts: (0, 0),
        }
    }

    /// Takes in one thing that came.
    pub fn take(&mut self, now: KitTick, input: Input) -> Response {
        match input {
            Input::Command(command, lag) => Response::Verdict(self.command(now, command.get(), lag)),
            Input::Order(order) => self.order(now, order.get()),
            Input::Frame(mark) => {
                self.frames.take(now, mark);
                Response::Nothing
            }
            Input::Watermark(mark) => {
                self.recorded_so_far(&mark);
                Response::Nothing
            }
            Input::Arm(number, state) => {
                if self.arms.get_mut(number).is_some_and(|arm| arm.says(now, &state)) {
                    self.fault(number, Rejection::Faulted { faults: 1.0, max: 0.0 });
                }
                Response::Nothing
            }
            Input::Closed => {
                self.closed = true;
                Response::Nothing
            }
            Input::TokenStored(token) => {
                self.leases.stored(token).map_or(Response::Nothing, |to| Response::Grant { token, to })
            }
        }
    }

    /// The arm of that number was not there when the guard began, and is now. One that was heard before is left as it is.
    pub fn found(&mut self, number: usize, start: ArmStart) {
        if let Some(arm) = self.arms.get_mut(number).filter(|arm| arm.heard == KitTick(0)) {
            *arm = Arm::new(start);
        }
    }

    /// Says what each arm's tool shall do in this tick, in the order of the arms.
    pub fn decide(&mut self, now: KitTick) -> ArrayVec<Intent, ARMS_MAX> {
        self.line.tick(&self.limits);
        self.watch_deadlines(now);
        self.watch_cables(now);
        self.watch_silence(now);
        self.watch_record(now);
        self.watch_ways_out(now);
        self.watch_errands(now);
        (0..self.arms.len()).map(|arm| self.decide_one(now, arm)).collect()
    }

    fn decide_one(&mut self, now: KitTick, arm: usize) -> Intent {
        let hindrance = self.most_severe(now, &self.arms[arm]);
        let follows = hindrance.0 <= Mode::Limited;
        let withdrawn = self.safe_stopped().err().map(|why| (Mode::SafeStop, Some(why)));
        let (mode, reason) = withdrawn.into_iter().fold(hindrance, severest);
        let (consent_withdrawn, tip_speed_mm_s_max) = (self.consent_withdrawn, self.tip_speed_mm_s_max(arm));
        let arm = &mut self.arms[arm];
        arm.intent = match (arm.errand, arm.applied) {
            _ if arm.way_out => Intent::Withdraw { jaw_rad: None },
            _ if mode == Mode::Stopped => Intent::Stop,
            (Some(Errand::Home), _) => Intent::Home,
            (Some(Errand::Withdraw), _) => Intent::Withdraw { jaw_rad: None },
            (None, Some(applied)) if follows && consent_withdrawn => {
                Intent::Withdraw { jaw_rad: Some(applied.jaw_rad) }
            }
            (None, Some(applied)) if follows => {
                Intent::Follow { target: applied.target, jaw_rad: applied.jaw_rad, tip_speed_mm_s_max }
            }
            _ => Intent::Stop,
        };
        (arm.mode, arm.reason) = (mode, reason);
        arm.intent
    }

    /// Permits the setpoint that motion proposes for this arm's last decision, if the arm may go there in one tick; else permits
    /// the fastest stop and latches a fault, because motion did what it must not. `None`: there is no such arm.
    pub fn permit(&mut self, now: KitTick, number: usize, proposal: &Proposal) -> Option<Permit> {
        let arm = self.arms.get_mut(number)?;
        arm.setpoints += 1;
        match arm.last.check(proposal, &arm.limits, arm.limits.tip_speed_mm_s_max) {
            Ok(()) => Some(arm.permit(now, number, proposal)),
            Err(broken) => {
                let (value, max) = broken.value_and_limit();
                arm.last.brake(&arm.limits);
                let permit = Permit::new(now, number, arm.last.setpoint(arm.setpoints, Action::Brake));
                self.fault(number, Rejection::ImpossibleSetpoint { value, max });
                self.arms[number].engagements.tick(true, false);
                Some(permit)
            }
        }
    }

    /// Motion has brought this arm home, or out.
    pub fn errand_done(&mut self, arm: usize) {
        self.arms.get_mut(arm).into_iter().for_each(|arm| arm.errand = None);
    }

    // ---- commands

    fn command(&mut self, now: KitTick, command: &Command, lag: Lag) -> Verdict {
        let rejection = self.judge(now, command, lag).err();
        match rejection {
            Some(_) => {
                self.counts.1 += 1;
                let arm = self.arms.get_mut(usize::from(command.arm));
                arm.into_iter().for_each(|arm| arm.refused = rejection);
            }
            None => self.counts.0 += 1,
        }
        Verdict { sequence: command.sequence, rejection }
    }

    fn judge(&mut self, now: KitTick, command: &Command, lag: Lag) -> Result<(), Rejection> {
        let (arm, arms) = (usize::from(command.arm), self.arms.len());
        if arm >= arms {
            return Err(Rejection::NoSuchArm { arm: command.arm.into(), arms: arms as f64 });
        }
        if command.token != self.leases.token() || command.token == LeaseToken(0) {
            self.leases.honours(now, command.token)?;
        }
        let newest = self.arms[arm].newest.max(self.released);
        if !command.dead_man {
            self.release(now, command);
        }
        if command.sequence <= newest {
            return Err(Rejection::OldSequence {
                sequence: command.sequence.0 as f64,
                newest: newest.0 as f64,
            });
        }
        // Taken in, applied or not: nothing older will be looked at.
        self.arms[arm].newest = command.sequence;
        self.newest = self.newest.max(command.sequence);
        self.hold(now, command, arm);
        self.leases.honours(now, command.token)?;
        self.leases.renew(now);
        self.line.heard(now, command.kit_tick_echo);
        if !command.dead_man || command.clutch {
            return Ok(());
        }
        self.apply(now, command, arm, lag)
    }

    /// There is one dead-man for all arms. One that is up counts for every arm that has not been told anything newer, whichever arm it
    /// names and though that one may have been.
    fn release(&mut self, now: KitTick, command: &Command) {
        if command.sequence <= self.released {
            return;
        }
        self.released = command.sequence;
        for arm in self.arms.iter_mut().filter(|arm| arm.newest < command.sequence) {
            arm.held = None;
            arm.engagements.release(now, command.kit_tick_echo);
        }
    }

    /// The dead-man is down for this arm, or its clutch is.
    fn hold(&mut self, now: KitTick, command: &Command, arm: usize) {
        let arm = &mut self.arms[arm];
        if command.dead_man && command.clutch {
            arm.held = None;
            arm.engagements.end();
        } else if command.dead_man {
            arm.held.get_or_insert(now);
        }
    }

    fn apply(&mut self, now: KitTick, command: &Command, arm: usize, lag: Lag) -> Result<(), Rejection> {
        self.stopped()?;
        self.undisturbed()?;
        self.ready(&self.arms[arm])?;
        let (age_max, picture_max) = (self.limits.command_age_ms_max, self.limits.picture_age_ms_max);
        self.ages_ms = fresh(now, command, &self.frames, age_max, picture_max)?;
        self.recorded(now, self.limits.record_lead_hold_ms_max)?;
        self.listed(now)?;
        let arm = &mut self.arms[arm];
        arm.released(now, &self.limits)?;
        arm.engagements.admit(command, arm.speed_mm_s)?;
        if !self.consent_withdrawn {
            arm.within_reach(lag, &self.limits)?; // else nothing chases the target
        }
        arm.apply(Applied { at: now, target: command.target, jaw_rad: command.jaw_rad });
        self.record.applied(now, command.sequence, self.newest);
        Ok(())
    }

    fn stopped(&self) -> Result<(), Rejection> {
        if self.estop.is_latched() {
            return Err(Rejection::EmergencyStopped { presses: self.estop.latched() as f64, max: 0.0 });
        }
        self.faulted.map_or(Ok(()), |(_, why)| Err(why))
    }

    /// While the bedside moves an arm nobody else moves any.
    fn undisturbed(&self) -> Result<(), Rejection> {
        let Some(arm) = self.arms.iter().position(|arm| arm.errand.is_some() || arm.way_out) else {
            return Ok(());
        };
        Err(Rejection::ErrandUnderWay { arm: (arm + 1) as f64, arms: self.arms.len() as f64 })
    }

    fn ready(&self, arm: &Arm) -> Result<(), Rejection> {
        if !self.armed {
            let people = self.rituals.arm.count() as f64;
            return Err(Rejection::NotArmed { people, needed: PEOPLE_NEEDED as f64 });
        }
        arm.homed()
    }

    /// What was applied must soon be durable on record.
    fn recorded(&self, now: KitTick, max_ms: f64) -> Result<(), Rejection> {
        let lead_ms = self.record.ms(now);
        if lead_ms <= max_ms { Ok(()) } else { Err(Rejection::Unrecorded { lead_ms, max_ms }) }
    }

    /// The surgeon's own signed word on it must follow, too.
    fn listed(&self, now: KitTick) -> Result<(), Rejection> {
        let (silent_ms, max_ms) = (self.record.unlisted_ms(now), self.limits.unlisted_hold_ms_max);
        if silent_ms <= max_ms { Ok(()) } else { Err(Rejection::Unlisted { silent_ms, max_ms }) }
    }

    // ---- the arms, and time passing

    /// A loop that missed too much waits, on each arm, for a fresh command.
    fn watch_deadlines(&mut self, now: KitTick) {
        if let Some(why) = self.deadlines.tick(now, &self.limits) {
            self.wait(why);
        }
    }

    /// A cable that says nothing is a fault, once any arm has been heard at all.
    fn watch_cables(&mut self, now: KitTick) {
        let max_ms = self.limits.arm_silence_ms_max;
        let begun = self.arms.iter().any(|arm| arm.heard > KitTick(0));
        if let Some(number) = self.arms.iter().position(|arm| begun && arm.is_silent(now, &self.limits)) {
            let silent_ms = now.ms_since(self.arms[number].heard);
            self.fault(number, Rejection::ArmSilent { silent_ms, max_ms });
        }
    }

    /// An arm's own switch, held by someone at the bedside: the last way out, without network, ledger or cloud, and in spite of
    /// any stop that those could clear. Afterwards two people arm anew.
    fn watch_ways_out(&mut self, now: KitTick) {
        let mut changed = false;
        for arm in &mut self.arms {
            let used = arm.uses_way_out(now, &self.limits);
            changed |= std::mem::replace(&mut arm.way_out, used) != used;
        }
        if self.arms.iter().any(|arm| arm.way_out) {
            self.armed = false;
            self.end_errands();
            self.interrupt(now, Cause::Interruption);
        }
        if changed {
            self.rituals.renew();
        }
    }

    /// While the bedside moves an arm no engagement begins: it would go on from where the arm no longer is.
    fn watch_errands(&mut self, now: KitTick) {
        if self.runs_errand() {
            self.interrupt(now, Cause::Interruption);
        }
    }

    fn fault(&mut self, arm: usize, why: Rejection) {
        self.faulted.get_or_insert((arm, why));
        self.stop();
    }

    /// A dead-man that was held for so long without anything that could be applied must be seen released.
    fn watch_silence(&mut self, now: KitTick) {
        let lapsed = self.leases.in_force(now).is_err();
        for arm in &mut self.arms {
            let Some(held) = arm.held else { continue };
            let silent_ms = arm.silent_ms(now).min(now.ms_since(held));
            let long = silent_ms > self.limits.silence_pause_ms_max || lapsed;
            if long && arm.engagements.release_due().is_none() {
                arm.engagements.interrupt(now, Cause::Silence);
            }
        }
    }

    /// Only about the token in force: another one's sequences mean other commands.
    fn recorded_so_far(&mut self, mark: &Watermark) {
        let current = self.leases.token();
        if current != LeaseToken(0) && mark.token == current {
            self.record.take(mark, self.newest);
        }
    }

    /// A record that lags holds the tools until something fresh is applied, and pauses them for as long as it lags for long: the
    /// watermark that catches up moves nothing by itself, nor does a release from before.
    fn watch_record(&mut self, now: KitTick) {
        let hold_ms = self.limits.record_lead_hold_ms_max;
        if let Err(why) = self.recorded(now, hold_ms).and_then(|()| self.listed(now)) {
            self.wait(why);
        }
        if self.recorded(now, self.limits.record_lead_pause_ms_max).is_err() {
            for Arm { engagements, .. } in &mut self.arms {
                engagements.interrupt(now, engagements.release_due().unwrap_or(Cause::Interruption));
            }
        }
    }

    /// Of all that keeps an arm's tool from moving, the most severe; of equals, the first.
    fn most_severe(&self, now: KitTick, arm: &Arm) -> (Mode, Option<Rejection>) {
        let hindrances = [
            self.stopped().err().map(|why| (Mode::Stopped, Some(why))),
            self.undisturbed().err().map(|why| (Mode::Paused, Some(why))),
            self.ready(arm).err().map(|why| (Mode::Paused, Some(why))),
            self.leases.in_force(now).err().map(|why| (Mode::Paused, Some(why))),
            self.recorded(now, self.limits.record_lead_pause_ms_max)
                .err()
                .map(|why| (Mode::Paused, Some(why))),
            arm.released(now, &self.limits).err().map(|why| (Mode::Paused, Some(why))),
            (!arm.engagements.is_running()).then_some((Mode::Holding, arm.refused)),
            arm.waits.map(|why| (Mode::Holding, Some(why))),
            arm.silent(now, &self.limits).map(|why| (Mode::Holding, Some(why))),
            (self.line.share() < 1.0).then_some((Mode::Limited, None)),
        ];
        hindrances.into_iter().flatten().fold((Mode::Free, None), severest)
    }

    fn safe_stopped(&self) -> Result<(), Rejection> {
        if self.consent_withdrawn {
            return Err(Rejection::ConsentWithdrawn { withdrawn: 1.0, max: 0.0 });
        }
        Ok(())
    }

    /// As fast as the line allows.
    pub(crate) fn tip_speed_mm_s_max(&self, arm: usize) -> f64 {
        self.arms[arm].limits.tip_speed_mm_s_max * self.line.share()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.estop.is_latched() || self.faulted.is_some()
    }

    pub(crate) fn runs_errand(&self) -> bool {
        self.arms.iter().any(|arm| arm.errand.is_some())
    }

    // ---- every arm at once

    /// Nothing moves by hand before a release by someone who knew of this tick.
    pub(crate) fn interrupt(&mut self, now: KitTick, cause: Cause) {
        self.arms.iter_mut().for_each(|arm| arm.engagements.interrupt(now, cause));
    }

    /// Nothing moves at all.
    pub(crate) fn stop(&mut self) {
        self.end_errands();
        self.arms.iter_mut().for_each(|arm| arm.engagements.end());
    }

    pub(crate) fn end_errands(&mut self) {
        self.arms.iter_mut().for_each(|arm| arm.errand = None);
    }

    fn wait(&mut self, why: Rejection) {
        self.arms.iter_mut().for_each(|arm| arm.waits = Some(why));
    }
}

/// Of two hindrances the more severe; of equals, the first.
fn severest(worst: (Mode, Option<Rejection>), next: (Mode, Option<Rejection>)) -> (Mode, Option<Rejection>) {
    if next.0 > worst.0 { next } else { worst }
}
