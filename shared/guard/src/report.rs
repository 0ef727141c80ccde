//! What the guard shows of itself.

use farhand_wire::{
    Challenge, EngagementId, FrameId, HoldNumber, KitTick, LeaseToken, Mode, OperatingState, PressId,
    PublicKey, Rejection, Sequence, arm_flags, state_flags,
};

use crate::{Guard, Intent};

/// A picture of the guard after a tick; copied, so that another thread may tell it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    pub mode: Mode,
    pub operating_state: OperatingState,
    /// Of [`state_flags`].
    pub flags: u8,
    /// The operation is over.
    pub closed: bool,
    /// Nothing may arm the kit again in this session: the operation is over, or consent for it was withdrawn.
    pub ended: bool,
    /// Version of the forbidden regions in force.
    pub regions: Option<u64>,
    /// Why the tool does not move, if it does not.
    pub reason: Option<Rejection>,
    pub challenge: Challenge,
    /// Who has signed something under it: a bit a member of the roster.
    pub signed_by: u32,
    pub token: LeaseToken,
    pub holder: Option<PublicKey>,
    pub engagement: EngagementId,
    pub hold: HoldNumber,
    pub newest: Sequence,
    pub newest_frame: FrameId,
    /// Newest command that is durable on record, as the edge box says.
    pub durable: Sequence,
    /// The surgeon's newest segment that is.
    pub durable_segments: u64,
    /// Age of the oldest applied command that is not.
    pub record_lead_ms: f64,
    pub applied: u64,
    pub rejected: u64,
    pub command_age_ms: f64,
    pub picture_age_ms: f64,
    pub lag_mm: f64,
    pub speed_limit_mm_s: f64,
}

impl Guard {
    /// How things stand after the last [`Guard::decide`].
    #[must_use]
    pub fn report(&self, now: KitTick) -> Report {
        Report {
            mode: self.mode,
            operating_state: self.operating_state(),
            flags: self.flags(now),
            closed: self.closed,
            ended: self.closed || self.consent_withdrawn,
            regions: self.regions,
            reason: self.reason,
            challenge: self.rituals.challenge(),
            signed_by: self.rituals.signed_by(),
            token: self.leases.token(),
            holder: self.leases.holder(),
            engagement: self.engagements.newest(),
            hold: self.engagements.hold(),
            newest: self.newest,
            newest_frame: self.frames.newest(),
            durable: self.record.durable(),
            durable_segments: self.record.segments(),
            record_lead_ms: self.record.ms(now),
            applied: self.counts.0,
            rejected: self.counts.1,
            command_age_ms: self.ages_ms.0,
            picture_age_ms: self.ages_ms.1,
            lag_mm: self.lag.mm,
            speed_limit_mm_s: self.tip_speed_mm_s_max(),
        }
    }

    /// Presses that arrived, latched or cleared.
    pub fn presses(&self) -> impl Iterator<Item = PressId> + '_ {
        self.estop.seen()
    }

    /// What it last decided.
    #[must_use]
    pub fn intent(&self) -> Intent {
        self.intent
    }

    fn flags(&self, now: KitTick) -> u8 {
        [
            (self.arm_flags & arm_flags::HOMED != 0, state_flags::HOMED),
            (self.armed, state_flags::ARMED),
            (self.engagements.is_running(), state_flags::ENGAGED),
            (self.engagements.is_held(), state_flags::AT_REST),
            (self.estop.is_latched(), state_flags::E_STOP),
            (self.leases.in_force(now).is_ok(), state_flags::LEASED),
            (self.arm_flags & arm_flags::GRASPING != 0, state_flags::GRASPING),
        ]
        .into_iter()
        .fold(0, |flags, (set, flag)| if set { flags | flag } else { flags })
    }

    /// In CRTK's words.
    fn operating_state(&self) -> OperatingState {
        match self.mode {
            Mode::Stopped => OperatingState::Fault,
            _ if self.errand.is_some() => OperatingState::Enabled,
            _ if !self.armed => OperatingState::Disabled,
            Mode::Paused | Mode::SafeStop => OperatingState::Paused,
            Mode::Free | Mode::Limited | Mode::Holding => OperatingState::Enabled,
        }
    }
}
