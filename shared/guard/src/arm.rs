//! One arm of the kit: what its motion is made of. What gives or takes permission is the kit's.

use farhand_wire::{Action, ArmState, KitTick, Mode, Pose, Rejection, Sequence, arm_flags};

use crate::{
    Intent, Lag, Limits, Permit, Proposal, SetpointLimits,
    engagement::{Cause, Engagements},
    orders::Errand,
    permit::LastSetpoint,
};

#[cfg(test)]
#[path = "explore/keys/arm.rs"]
mod explored;

/// How an arm stands when the guard begins.
#[derive(Clone, Debug)]
pub struct ArmStart {
    pub limits: SetpointLimits,
    /// Where it stands.
    pub at: Proposal,
    /// Number of the last setpoint that it followed.
    pub setpoint: u64,
}

/// The newest command applied, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(crate) at: KitTick,
    pub(crate) target: Pose,
    pub(crate) jaw_rad: f64,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Arm {
    pub(crate) limits: SetpointLimits,
    pub(crate) engagements: Engagements,
    /// Its own switch draws the tool out.
    pub(crate) way_out: bool,
    pub(crate) errand: Option<Errand>,
    pub(crate) heard: KitTick,
    pub(crate) flags: u8,
    /// Of the commands for it that were taken in.
    pub(crate) newest: Sequence,
    /// Since when the dead-man has been held for it with the clutch up, as far as is known.
    pub(crate) held: Option<KitTick>,
    pub(crate) applied: Option<Applied>,
    /// Refused since the last one applied.
    pub(crate) refused: Option<Rejection>,
    /// Why nothing moves until a command is applied again.
    pub(crate) waits: Option<Rejection>,
    pub(crate) last: LastSetpoint,
    pub(crate) speed_mm_s: f64,
    /// When the newest command was applied.
    pub(crate) lag: Lag,
    pub(crate) intent: Intent,
    pub(crate) mode: Mode,
    pub(crate) reason: Option<Rejection>,
    pub(crate) setpoints: u64,
}

impl Arm {
    pub(crate) fn new(start: ArmStart) -> Self {
        Self {
            limits: start.limits,
            engagements: Engagements::new(),
            way_out: false,
            errand: None,
            heard: KitTick(0),
            flags: 0,
            newest: Sequence(0),
            held: None,
            applied: None,
            refused: None,
            waits: None,
            last: LastSetpoint::at(&start.at),
            speed_mm_s: 0.0,
            lag: Lag::default(),
            intent: Intent::Stop,
            mode: Mode::Paused,
            reason: None,
            setpoints: start.setpoint,
        }
    }

    /// What the arm says of itself. True: something is wrong with it.
    pub(crate) fn says(&mut self, now: KitTick, state: &ArmState) -> bool {
        let was_homed = self.is_homed();
        (self.heard, self.flags) = (now, state.flags);
        if was_homed && !self.is_homed() {
            self.engagements.interrupt(now, Cause::Interruption);
        }
        self.is_hindered()
    }

    /// Permits what was checked.
    pub(crate) fn permit(&mut self, now: KitTick, number: usize, proposal: &Proposal) -> Permit {
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
        Permit::new(now, number, self.last.setpoint(self.setpoints, action))
    }

    /// A command for it was applied.
    pub(crate) fn apply(&mut self, applied: Applied) {
        self.applied = Some(applied);
        (self.refused, self.waits) = (None, None);
    }

    /// Its switch is held, and no software hinders it: the last way out.
    pub(crate) fn uses_way_out(&self, now: KitTick, limits: &Limits) -> bool {
        self.flags & arm_flags::WAY_OUT != 0 && !self.is_hindered() && !self.is_silent(now, limits)
    }

    /// Under a fault of its drives or its pressed button nothing should move it.
    pub(crate) fn is_hindered(&self) -> bool {
        self.flags & (arm_flags::FAULT | arm_flags::BUTTON) != 0
    }

    pub(crate) fn is_silent(&self, now: KitTick, limits: &Limits) -> bool {
        now.ms_since(self.heard) > limits.arm_silence_ms_max
    }

    /// Since a command was applied.
    pub(crate) fn silent_ms(&self, now: KitTick) -> f64 {
        self.applied.map_or(f64::INFINITY, |applied| now.ms_since(applied.at))
    }

    /// Why nothing was applied for a while: the last refusal, or plain silence.
    pub(crate) fn silent(&self, now: KitTick, limits: &Limits) -> Option<Rejection> {
        let (silent_ms, max_ms) = (self.silent_ms(now), limits.silence_hold_ms_max);
        (silent_ms > max_ms).then(|| self.refused.unwrap_or(Rejection::Silent { silent_ms, max_ms }))
    }

    /// Whether the dead-man was seen released since it had to be.
    pub(crate) fn released(&self, now: KitTick, limits: &Limits) -> Result<(), Rejection> {
        match self.engagements.release_due() {
            None => Ok(()),
            Some(Cause::Silence) => {
                let (silent_ms, max_ms) = (self.silent_ms(now), limits.silence_pause_ms_max);
                Err(Rejection::Paused { silent_ms, max_ms })
            }
            Some(Cause::Interruption) => Err(Rejection::NotReleased { releases: 0.0, needed: 1.0 }),
        }
    }

    /// A target out of reach is not chased, and not waited for: the engagement is over.
    pub(crate) fn within_reach(&mut self, lag: Lag, limits: &Limits) -> Result<(), Rejection> {
        self.lag = lag;
        let (max_mm, max_deg) = (limits.lag_mm_max, limits.lag_deg_max);
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

    pub(crate) fn homed(&self) -> Result<(), Rejection> {
        if self.is_homed() { Ok(()) } else { Err(Rejection::NotHomed { joints_homed: 0.0, needed: 6.0 }) }
    }

    pub(crate) fn is_homed(&self) -> bool {
        self.flags & arm_flags::HOMED != 0
    }
}
