//! The state machine itself.

use farhand_wire::{
    Action, ArmState, Command, FrameMark, KitTick, LeaseToken, Mode, Pose, PublicKey, Rejection, Sequence,
    Verdict, Watermark, arm_flags,
};

use crate::{
    Authentic, Limits, Order, Permit, Proposal, Refusal, SetpointLimits,
    deadlines::Deadlines,
    engagement::{Cause, Engagements, fresh},
    estop::EStop,
    frames::Frames,
    lease::Leases,
    line::Line,
    orders::Errand,
    permit::LastSetpoint,
    record::RecordLead,
    ritual::{PEOPLE_NEEDED, Rituals},
};

#[cfg(test)]
#[path = "explore/keys/guard.rs"]
mod explored;

/// Patient-side arms of the kit.
const ARMS: u8 = 1;

/// What comes in. Commands and orders are authentic by type; the rest comes over the kit's own cables and links.
#[derive(Debug)]
pub enum Input {
    /// With the lag from the tool to the command's target, after workspace and region clamping.
    Command(Authentic<Command>, Lag),
    Order(Authentic<Order>),
    /// By the paired edge box.
    Frame(FrameMark),
    /// By the paired edge box: what is durable on record.
    Watermark(Watermark),
    /// By the arm, over its authenticated cable.
    Arm(ArmState),
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

/// What the tool shall do in this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Intent {
    /// Slow down as fast as the arm may, and stand.
    Stop,
    /// Go to the target, absolute in the arm's base frame.
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

/// The newest command applied, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    at: KitTick,
    target: Pose,
    jaw_rad: f64,
}

/// Decides what moves the tool. See the crate's documentation for the order of calls.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Guard {
    pub(crate) limits: Limits,
    pub(crate) arm: SetpointLimits,
    pub(crate) estop: EStop,
    pub(crate) rituals: Rituals,
    pub(crate) leases: Leases,
    pub(crate) engagements: Engagements,
    pub(crate) frames: Frames,
    pub(crate) armed: bool,
    pub(crate) closed: bool,
    pub(crate) consent_withdrawn: bool,
    /// The arm's own switch draws the tool out.
    pub(crate) way_out: bool,
    /// Version of the forbidden regions in force.
    pub(crate) regions: Option<u64>,
    pub(crate) deadlines: Deadlines,
    pub(crate) errand: Option<Errand>,
    /// What was wrong with the arm first, until it is cleared.
    pub(crate) faulted: Option<Rejection>,
    pub(crate) arm_heard: KitTick,
    pub(crate) arm_flags: u8,
    pub(crate) newest: Sequence,
    /// Since when the dead-man has been held with the clutch up, as far as is known.
    pub(crate) held: Option<KitTick>,
    pub(crate) record: RecordLead,
    pub(crate) line: Line,
    pub(crate) applied: Option<Applied>,
    /// Refused since the last one applied.
    pub(crate) refused: Option<Rejection>,
    pub(crate) last: LastSetpoint,
    pub(crate) speed_mm_s: f64,
    pub(crate) intent: Intent,
    pub(crate) mode: Mode,
    pub(crate) reason: Option<Rejection>,
    /// Ages of command and picture, when the newest command was applied; and its lag.
    pub(crate) ages_ms: (f64, f64),
    pub(crate) lag: Lag,
    pub(crate) counts: (u64, u64),
    pub(crate) setpoints: u64,
}

impl Guard {
    /// A disarmed guard over an arm that stands at `start` and has followed the setpoint of that number.
    /// `highest_token` is the greatest ever stored, `seed` is secret and new at each start of the kit.
    #[must_use]
    pub fn new(
        limits: Limits,
        arm: SetpointLimits,
        start: &Proposal,
        setpoint: u64,
        highest_token: LeaseToken,
        seed: [u8; 32],
    ) -> Self {
        Self {
            leases: Leases::new(highest_token, limits.lease_ms),
            limits,
            arm,
            estop: EStop::default(),
            rituals: Rituals::new(seed),
            engagements: Engagements::new(),
            frames: Frames::new(),
            armed: false,
            closed: false,
            consent_withdrawn: false,
            way_out: false,
            regions: None,
            deadlines: Deadlines::default(),
            errand: None,
            faulted: None,
            arm_heard: KitTick(0),
            arm_flags: 0,
            newest: Sequence(0),
            held: None,
            record: RecordLead::new(),
            line: Line::default(),
            applied: None,
            refused: None,
            last: LastSetpoint::at(start),
            speed_mm_s: 0.0,
            intent: Intent::Stop,
            mode: Mode::Paused,
            reason: None,
            ages_ms: (0.0, 0.0),
            lag: Lag::default(),
            counts: (0, 0),
            setpoints: setpoint,
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
            Input::Arm(state) => {
                self.arm_state(now, &state);
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

    /// Says what the tool shall do in this tick.
    pub fn decide(&mut self, now: KitTick) -> Intent {
        self.line.tick(&self.limits);
        self.deadlines.tick(now, &self.limits);
        self.watch_arm(now);
        self.watch_silence(now);
        self.watch_record(now);
        let way_out = self.watch_way_out(now);
        self.watch_errand(now);
        let hindrance = self.most_severe(now);
        let follows = hindrance.0 <= Mode::Limited;
        let withdrawn = self.safe_stopped().err().map(|why| (Mode::SafeStop, Some(why)));
        (self.mode, self.reason) = withdrawn.into_iter().fold(hindrance, severest);
        self.intent = match (self.errand, self.applied) {
            _ if way_out => Intent::Withdraw { jaw_rad: None },
            _ if self.mode == Mode::Stopped => Intent::Stop,
            (Some(Errand::Home), _) => Intent::Home,
            (Some(Errand::Withdraw), _) => Intent::Withdraw { jaw_rad: None },
            (None, Some(applied)) if follows && self.consent_withdrawn => {
                Intent::Withdraw { jaw_rad: Some(applied.jaw_rad) }
            }
            (None, Some(applied)) if follows => Intent::Follow {
                target: applied.target,
                jaw_rad: applied.jaw_rad,
                tip_speed_mm_s_max: self.tip_speed_mm_s_max(),
            },
            _ => Intent::Stop,
        };
        self.intent
    }

    /// Permits the setpoint that motion proposes for the last decision, if the arm may go there in one tick; else
    /// permits the fastest stop and latches a fault, because motion did what it must not.
    pub fn permit(&mut self, now: KitTick, proposal: &Proposal) -> Permit {
        self.setpoints += 1;
        match self.last.check(proposal, &self.arm, self.arm.tip_speed_mm_s_max) {
            Ok(()) => self.permit_proposed(now, proposal),
            Err(broken) => {
                let (value, max) = broken.value_and_limit();
                self.fault(Rejection::ImpossibleSetpoint { value, max });
                self.last.brake(&self.arm);
                self.engagements.tick(true, false);
                Permit::new(now, self.last.setpoint(self.setpoints, Action::Brake))
            }
        }
    }

    fn permit_proposed(&mut self, now: KitTick, proposal: &Proposal) -> Permit {
        self.speed_mm_s = self.last.tip_speed_mm_s(proposal);
        self.last.advance(proposal);
        let action = match self.intent {
            Intent::Follow { .. } => Action::Move,
            Intent::Home => Action::Home,
            Intent::Withdraw { .. } => Action::Withdraw,
            Intent::Stop if proposal.at_rest => Action::Hold,
            Intent::Stop => Action::Brake,
        };
        self.engagements
            .tick(matches!(action, Action::Move | Action::Home | Action::Withdraw), proposal.at_rest);
        Permit::new(now, self.last.setpoint(self.setpoints, action))
    }

    /// Motion has brought the arm home, or out.
    pub fn errand_done(&mut self) {
        self.errand = None;
    }

    // ---- commands

    fn command(&mut self, now: KitTick, command: &Command, lag: Lag) -> Verdict {
        let rejection = self.judge(now, command, lag).err();
        match rejection {
            Some(rejection) => {
                self.counts.1 += 1;
                self.refused = Some(rejection);
            }
            None => self.counts.0 += 1,
        }
        Verdict { sequence: command.sequence, rejection }
    }

    fn judge(&mut self, now: KitTick, command: &Command, lag: Lag) -> Result<(), Rejection> {
        if command.arm >= ARMS {
            return Err(Rejection::NoSuchArm { arm: command.arm.into(), arms: ARMS.into() });
        }
        if command.token != self.leases.token() || command.token == LeaseToken(0) {
            self.leases.honours(now, command.token)?;
        }
        if command.sequence <= self.newest {
            return Err(Rejection::OldSequence {
                sequence: command.sequence.0 as f64,
                newest: self.newest.0 as f64,
            });
        }
        // Taken in, applied or not: nothing older will be looked at.
        self.newest = command.sequence;
        self.held = (command.dead_man && !command.clutch).then(|| self.held.unwrap_or(now));
        if !command.dead_man {
            self.engagements.release(now, command.kit_tick_echo);
        } else if command.clutch {
            self.engagements.end();
        }
        self.leases.honours(now, command.token)?;
        self.leases.renew(now);
        self.line.heard(now, command.kit_tick_echo);
        if !command.dead_man || command.clutch {
            return Ok(());
        }
        self.apply(now, command, lag)
    }

    fn apply(&mut self, now: KitTick, command: &Command, lag: Lag) -> Result<(), Rejection> {
        self.stopped()?;
        self.ready()?;
        let (age_max, picture_max) = (self.limits.command_age_ms_max, self.limits.picture_age_ms_max);
        self.ages_ms = fresh(now, command, &self.frames, age_max, picture_max)?;
        self.recorded(now, self.limits.record_lead_hold_ms_max)?;
        self.listed(now)?;
        self.released(now)?;
        self.engagements.admit(command, self.speed_mm_s)?;
        if !self.consent_withdrawn {
            self.within_reach(lag)?; // else nothing chases the target
        }
        self.record.applied(now, command.sequence);
        self.deadlines.applied();
        self.applied = Some(Applied { at: now, target: command.target, jaw_rad: command.jaw_rad });
        self.refused = None;
        Ok(())
    }

    fn stopped(&self) -> Result<(), Rejection> {
        if self.estop.is_latched() {
            return Err(Rejection::EmergencyStopped { presses: self.estop.latched() as f64, max: 0.0 });
        }
        self.faulted.map_or(Ok(()), Err)
    }

    fn ready(&self) -> Result<(), Rejection> {
        if !self.armed {
            let people = self.rituals.arm.count() as f64;
            return Err(Rejection::NotArmed { people, needed: PEOPLE_NEEDED as f64 });
        }
        if self.is_homed() { Ok(()) } else { Err(Rejection::NotHomed { joints_homed: 0.0, needed: 6.0 }) }
    }

    fn released(&self, now: KitTick) -> Result<(), Rejection> {
        match self.engagements.release_due() {
            None => Ok(()),
            Some(Cause::Silence) => Err(Rejection::Paused {
                silent_ms: self.silent_ms(now),
                max_ms: self.limits.silence_pause_ms_max,
            }),
            Some(Cause::Interruption) => Err(Rejection::NotReleased { releases: 0.0, needed: 1.0 }),
        }
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

    /// A target out of reach is not chased, and not waited for: the engagement is over.
    fn within_reach(&mut self, lag: Lag) -> Result<(), Rejection> {
        self.lag = lag;
        let (max_mm, max_deg) = (self.limits.lag_mm_max, self.limits.lag_deg_max);
        let near = lag.mm <= max_mm;
        if near && lag.deg <= max_deg {
            return Ok(());
        }
        self.engagements.end();
        Err(if near {
            Rejection::LagTurned { lag_deg: lag.deg, max_deg }
        } else {
            Rejection::LagTooFar { lag_mm: lag.mm, max_mm }
        })
    }

    // ---- the arm, and time passing

    fn arm_state(&mut self, now: KitTick, state: &ArmState) {
        let was_homed = self.is_homed();
        self.arm_heard = now;
        self.arm_flags = state.flags;
        if was_homed && !self.is_homed() {
            self.engagements.interrupt(now, Cause::Interruption);
        }
        if state.flags & (arm_flags::FAULT | arm_flags::BUTTON) != 0 {
            self.fault(Rejection::Faulted { faults: 1.0, max: 0.0 });
        }
    }

    /// A cable that says nothing is a fault, once the arm has been heard at all.
    fn watch_arm(&mut self, now: KitTick) {
        if self.arm_heard > KitTick(0) && self.arm_is_silent(now) {
            let (silent_ms, max_ms) = (now.ms_since(self.arm_heard), self.limits.arm_silence_ms_max);
            self.fault(Rejection::ArmSilent { silent_ms, max_ms });
        }
    }

    /// The arm's own switch, held by someone at the bedside: the last way out, without network, ledger or cloud, and in spite of
    /// any stop that those could clear. Afterwards two people arm anew.
    fn watch_way_out(&mut self, now: KitTick) -> bool {
        let (switch, hindered) = (arm_flags::WAY_OUT, arm_flags::FAULT | arm_flags::BUTTON);
        let held = self.arm_flags & (switch | hindered) == switch && !self.arm_is_silent(now);
        if held {
            (self.armed, self.errand) = (false, None);
            self.engagements.interrupt(now, Cause::Interruption);
        }
        if held != self.way_out {
            self.rituals.renew();
        }
        self.way_out = held;
        held
    }

    /// While the bedside moves the arm no engagement begins: it would go on from where the arm no longer is.
    fn watch_errand(&mut self, now: KitTick) {
        if self.errand.is_some() {
            self.engagements.interrupt(now, Cause::Interruption);
        }
    }

    fn fault(&mut self, why: Rejection) {
        self.faulted.get_or_insert(why);
        self.errand = None;
        self.engagements.end();
    }

    /// A dead-man that was held for so long without anything that could be applied must be seen released.
    fn watch_silence(&mut self, now: KitTick) {
        let Some(held) = self.held else { return };
        let silent_ms = self.silent_ms(now).min(now.ms_since(held));
        let long = silent_ms > self.limits.silence_pause_ms_max || self.leases.in_force(now).is_err();
        if long && self.engagements.release_due().is_none() {
            self.engagements.interrupt(now, Cause::Silence);
        }
    }

    /// Only about the token in force: another one's sequences mean other commands.
    fn recorded_so_far(&mut self, mark: &Watermark) {
        let current = self.leases.token();
        if current != LeaseToken(0) && mark.token == current {
            self.record.take(mark, self.newest);
        }
    }

    /// A record that lags holds the tool until something fresh is applied, and pauses it when it lags for long: the
    /// watermark that catches up moves nothing by itself.
    fn watch_record(&mut self, now: KitTick) {
        let hold_ms = self.limits.record_lead_hold_ms_max;
        if let Err(why) = self.recorded(now, hold_ms).and_then(|()| self.listed(now)) {
            self.record.hold(why);
        }
        let pauses = self.recorded(now, self.limits.record_lead_pause_ms_max).is_err();
        if pauses && self.engagements.release_due().is_none() {
            self.engagements.interrupt(now, Cause::Interruption);
        }
    }

    /// Of all that keeps the tool from moving, the most severe; of equals, the first.
    fn most_severe(&self, now: KitTick) -> (Mode, Option<Rejection>) {
        let hindrances = [
            self.stopped().err().map(|why| (Mode::Stopped, Some(why))),
            self.ready().err().map(|why| (Mode::Paused, Some(why))),
            self.leases.in_force(now).err().map(|why| (Mode::Paused, Some(why))),
            self.recorded(now, self.limits.record_lead_pause_ms_max)
                .err()
                .map(|why| (Mode::Paused, Some(why))),
            self.released(now).err().map(|why| (Mode::Paused, Some(why))),
            (!self.engagements.is_running()).then_some((Mode::Holding, self.refused)),
            self.record.held().map(|why| (Mode::Holding, Some(why))),
            self.deadlines.held().map(|why| (Mode::Holding, Some(why))),
            self.silent(now).map(|why| (Mode::Holding, Some(why))),
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

    /// Why nothing was applied for a while: the last refusal, or plain silence.
    fn silent(&self, now: KitTick) -> Option<Rejection> {
        let (silent_ms, max_ms) = (self.silent_ms(now), self.limits.silence_hold_ms_max);
        (silent_ms > max_ms).then(|| self.refused.unwrap_or(Rejection::Silent { silent_ms, max_ms }))
    }

    /// As fast as the line allows.
    pub(crate) fn tip_speed_mm_s_max(&self) -> f64 {
        self.arm.tip_speed_mm_s_max * self.line.share()
    }

    fn silent_ms(&self, now: KitTick) -> f64 {
        self.applied.map_or(f64::INFINITY, |applied| now.ms_since(applied.at))
    }

    pub(crate) fn arm_is_silent(&self, now: KitTick) -> bool {
        now.ms_since(self.arm_heard) > self.limits.arm_silence_ms_max
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.estop.is_latched() || self.faulted.is_some()
    }

    fn is_homed(&self) -> bool {
        self.arm_flags & arm_flags::HOMED != 0
    }
}

/// Of two hindrances the more severe; of equals, the first.
fn severest(worst: (Mode, Option<Rejection>), next: (Mode, Option<Rejection>)) -> (Mode, Option<Rejection>) {
    if next.0 > worst.0 { next } else { worst }
}
