//! What the guard shows of itself.

use farhand_wire::{
    Challenge, EngagementId, FrameId, HoldNumber, KitTick, LeaseToken, Mode, OperatingState, PressId,
    PublicKey, Rejection, Sequence, arm_flags, state_flags,
};

use crate::{Guard, arm::Arm};

/// A picture of the guard and one of its arms after a tick; copied, so that another thread may tell it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// How the arm stands.
    pub arm: Standing,
    /// How the kit does: as the freest of its arms, for that says whether anything moves.
    pub kit: Standing,
    /// The arm whose fault is the kit's reason.
    pub faulted: Option<usize>,
    /// The operation is over.
    pub closed: bool,
    /// Nothing may arm the kit again in this session: the operation is over, or consent for it was withdrawn.
    pub ended: bool,
    /// Version of the forbidden regions in force.
    pub regions: Option<u64>,
    pub challenge: Challenge,
    /// Who has signed something under it: a bit a member of the roster.
    pub signed_by: u32,
    pub token: LeaseToken,
    pub holder: Option<PublicKey>,
    /// The arm's.
    pub engagement: EngagementId,
    /// The arm's.
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
    /// The arm's.
    pub lag_mm: f64,
    /// The arm's.
    pub speed_limit_mm_s: f64,
}

/// How freely something may move, and why not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    pub mode: Mode,
    pub operating_state: OperatingState,
    /// Of [`state_flags`].
    pub flags: u8,
    /// Why the tool does not move, if it does not.
    pub reason: Option<Rejection>,
}

impl Guard {
    /// How things stand after the last [`Guard::decide`], with this arm's own part. `None`: there is no such arm.
    #[must_use]
    pub fn report(&self, now: KitTick, number: usize) -> Option<Report> {
        let arm = self.arms.get(number)?;
        Some(Report {
            arm: self.standing(now, arm),
            kit: self.standing_of_all(now),
            faulted: self.faulted.map(|(arm, _)| arm).filter(|_| !self.estop.is_latched()),
            closed: self.closed,
            ended: self.closed || self.consent_withdrawn,
            regions: self.regions,
            challenge: self.rituals.challenge(),
            signed_by: self.rituals.signed_by(),
            token: self.leases.token(),
            holder: self.leases.holder(),
            engagement: arm.engagements.newest(),
            hold: arm.engagements.hold(),
            newest: self.newest,
            newest_frame: self.frames.newest(),
            durable: self.record.durable(),
            durable_segments: self.record.segments(),
            record_lead_ms: self.record.ms(now),
            applied: self.counts.0,
            rejected: self.counts.1,
            command_age_ms: self.ages_ms.0,
            picture_age_ms: self.ages_ms.1,
            lag_mm: arm.lag.mm,
            speed_limit_mm_s: self.tip_speed_mm_s_max(number),
        })
    }

    /// Presses that arrived, latched or cleared.
    pub fn presses(&self) -> impl Iterator<Item = PressId> + '_ {
        self.estop.seen()
    }

    fn standing(&self, now: KitTick, arm: &Arm) -> Standing {
        Standing {
            mode: arm.mode,
            operating_state: self.operating_state(arm.mode, arm.errand.is_some()),
            flags: self.flags(now) | flags_of(arm),
            reason: arm.reason,
        }
    }

    fn standing_of_all(&self, now: KitTick) -> Standing {
        let (mode, reason) = self
            .arms
            .iter()
            .map(|arm| (arm.mode, arm.reason))
            .reduce(|freest, next| if next.0 < freest.0 { next } else { freest })
            .unwrap_or_default();
        let every = self.arms.iter().fold(ALL_MUST, |flags, arm| flags & flags_of(arm));
        let any = self.arms.iter().fold(0, |flags, arm| flags | flags_of(arm) & !ALL_MUST);
        Standing {
            mode,
            operating_state: self.operating_state(mode, self.runs_errand()),
            flags: self.flags(now) | every | any,
            reason,
        }
    }

    /// The kit's own.
    fn flags(&self, now: KitTick) -> u8 {
        flagged([
            (self.armed, state_flags::ARMED),
            (self.estop.is_latched(), state_flags::E_STOP),
            (self.leases.in_force(now).is_ok(), state_flags::LEASED),
        ])
    }

    /// In CRTK's words.
    fn operating_state(&self, mode: Mode, errand: bool) -> OperatingState {
        match mode {
            Mode::Stopped => OperatingState::Fault,
            _ if errand => OperatingState::Enabled,
            _ if !self.armed => OperatingState::Disabled,
            Mode::Paused | Mode::SafeStop => OperatingState::Paused,
            Mode::Free | Mode::Limited | Mode::Holding => OperatingState::Enabled,
        }
    }
}

/// A kit is homed if all its arms are, and engaged if one is.
const ALL_MUST: u8 = state_flags::HOMED | state_flags::AT_REST;

fn flags_of(arm: &Arm) -> u8 {
    flagged([
        (arm.is_homed(), state_flags::HOMED),
        (arm.engagements.is_running(), state_flags::ENGAGED),
        (arm.engagements.is_held(), state_flags::AT_REST),
        (arm.flags & arm_flags::GRASPING != 0, state_flags::GRASPING),
    ])
}

fn flagged<const N: usize>(flags: [(bool, u8); N]) -> u8 {
    flags.into_iter().fold(0, |flags, (set, flag)| if set { flags | flag } else { flags })
}
