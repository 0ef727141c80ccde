//! Orders: what people on the roster may do besides moving the tool.
//!
//! **Taking permission away is easy, giving it is not.** Anybody's press stops; arming, clearing and taking over need two
//! people, one of them at the bedside, who sign the challenge in force; and nothing an order does moves a tool that was
//! being held: the dead-man must be seen released first.

use farhand_wire::{Challenge, KitTick, LeaseToken, PressId, PublicKey, Role, Sequence};
use thiserror::Error;

use crate::{Guard, Order, Response, Said, arm::Arm, engagement::Cause, ritual::Person};

/// Why an authentic order was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("only the person at the bedside may order this")]
    NotAtTheBedside,
    #[error("only a surgeon or the person at the bedside may sign this")]
    NotATeamMember,
    #[error("only a surgeon may hold control")]
    NotASurgeon,
    #[error("the order signs a challenge that is no longer in force: sign the newest one")]
    OldChallenge,
    #[error("the kit is not armed: two people sign, one of them at the bedside")]
    NotArmed,
    #[error("{}", held(*lapsed))]
    ControlHeld { lapsed: bool },
    #[error("only the holder of control may hand it over")]
    NotTheHolder,
    #[error("token {token} was not granted to this key")]
    NoSuchGrant { token: LeaseToken },
    #[error("no stop is latched")]
    NothingToClear,
    #[error("the arm still reports a fault or a pressed button: see to it first")]
    CauseRemains,
    #[error("a stop is latched: clear it first")]
    Latched,
    #[error("a surgeon is engaged: stop or let go first")]
    Engaged,
    #[error("only the person at the bedside or the hospital may withdraw the patient's consent")]
    NotInThePatientsName,
    #[error("consent was withdrawn: nothing arms the kit again in this session")]
    ConsentWithdrawn,
    #[error("regions of that version or a newer one are in force already")]
    OldRegions,
    #[error("the operation was closed: nothing arms the kit again in this session")]
    Closed,
}

fn held(lapsed: bool) -> &'static str {
    if lapsed {
        "control lapsed with another key: two people, one at the bedside, may give it to this one"
    } else {
        "control is held by another key: its holder hands it over, or it lapses first"
    }
}

/// What the bedside has the arms do by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Errand {
    Home,
    Withdraw,
}

impl Guard {
    pub(crate) fn order(&mut self, now: KitTick, order: &Order) -> Response {
        let followed = match order.said {
            Said::EStop { press } => self.press(press),
            Said::ClearEStop { challenge } => self.clear(now, challenge, order.person),
            Said::Arm { challenge } => self.arm(now, challenge, order.person),
            Said::Disarm => self.disarm(now, order),
            Said::Close => self.close(now, order),
            Said::WithdrawConsent => self.withdraw_consent(now, order.person),
            Said::Forbid { challenge, version, .. } => self.forbid(challenge, version, order.person),
            Said::Home { challenge } => self.errand(now, challenge, order.person, Errand::Home),
            Said::Withdraw { challenge } => self.errand(now, challenge, order.person, Errand::Withdraw),
            Said::LeaseRequest { challenge, .. } => self.lease_request(now, challenge, order),
            Said::LeaseConfirm { token, .. } => self.lease_confirm(now, token, order.author),
            Said::HandOver { token, to } => self.hand_over(now, token, order.author, to),
            Said::TakeOver { challenge, to } => self.take_over(now, challenge, order.person, to),
        };
        followed.unwrap_or_else(|why| Response::Refused { to: order.author, why })
    }

    fn press(&mut self, press: PressId) -> Result<Response, Refusal> {
        if self.estop.press(press) {
            self.stop();
            self.rituals.renew();
        }
        Ok(Response::Nothing)
    }

    fn clear(&mut self, now: KitTick, challenge: Challenge, person: Person) -> Result<Response, Refusal> {
        self.signs(challenge, person)?;
        if !self.is_stopped() {
            return Err(Refusal::NothingToClear);
        }
        if self.arms.iter().any(|arm| arm.is_hindered() || arm.is_silent(now, &self.limits)) {
            return Err(Refusal::CauseRemains);
        }
        self.rituals.clear.sign(person);
        if self.rituals.clear.are_enough() {
            self.rituals.renew();
            self.estop.clear();
            self.faulted = None;
            self.interrupt(now, Cause::Interruption);
        }
        Ok(Response::Nothing)
    }

    fn arm(&mut self, now: KitTick, challenge: Challenge, person: Person) -> Result<Response, Refusal> {
        self.signs(challenge, person)?;
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.consent_withdrawn {
            return Err(Refusal::ConsentWithdrawn);
        }
        if self.is_stopped() {
            return Err(Refusal::Latched);
        }
        self.rituals.arm.sign(person);
        if self.rituals.arm.are_enough() {
            self.rituals.renew();
            self.armed = true;
            self.interrupt(now, Cause::Interruption);
        }
        Ok(Response::Nothing)
    }

    fn disarm(&mut self, now: KitTick, order: &Order) -> Result<Response, Refusal> {
        if order.person.role != Role::Bedside && self.leases.holder() != Some(order.author) {
            return Err(Refusal::NotAtTheBedside);
        }
        self.armed = false;
        self.rituals.renew();
        self.interrupt(now, Cause::Interruption);
        Ok(Response::Nothing)
    }

    /// Disarmed for good. Withdrawing stays possible: the bedside may still take the arm out.
    fn close(&mut self, now: KitTick, order: &Order) -> Result<Response, Refusal> {
        let followed = self.disarm(now, order)?;
        self.closed = true;
        Ok(followed)
    }

    /// From now on everything that moves the tool draws it out. Never a dead stop: whoever holds control, or the bedside, takes it
    /// out when it is time.
    fn withdraw_consent(&mut self, now: KitTick, person: Person) -> Result<Response, Refusal> {
        if !matches!(person.role, Role::Bedside | Role::Hospital) {
            return Err(Refusal::NotInThePatientsName);
        }
        if !self.consent_withdrawn {
            self.consent_withdrawn = true;
            for arm in &mut self.arms {
                arm.errand = arm.errand.filter(|errand| *errand == Errand::Withdraw);
            }
            self.interrupt(now, Cause::Interruption);
        }
        Ok(Response::Nothing)
    }

    fn forbid(&mut self, challenge: Challenge, version: u64, person: Person) -> Result<Response, Refusal> {
        self.signs(challenge, person)?;
        if self.regions.is_some_and(|latched| version <= latched) {
            return Err(Refusal::OldRegions);
        }
        self.regions = Some(version);
        Ok(Response::Latched { version })
    }

    fn errand(
        &mut self,
        now: KitTick,
        challenge: Challenge,
        person: Person,
        errand: Errand,
    ) -> Result<Response, Refusal> {
        if person.role != Role::Bedside {
            return Err(Refusal::NotAtTheBedside);
        }
        self.signs(challenge, person)?;
        if self.is_stopped() {
            return Err(Refusal::Latched);
        }
        if errand == Errand::Home && self.consent_withdrawn {
            return Err(Refusal::ConsentWithdrawn);
        }
        if errand == Errand::Home && self.arms.iter().any(|arm| arm.engagements.is_running()) {
            return Err(Refusal::Engaged);
        }
        self.rituals.renew();
        self.interrupt(now, Cause::Interruption);
        // An arm that knows where it is stays there while another looks for its zero: it may be in the patient.
        let all_homed = self.arms.iter().all(Arm::is_homed);
        let goes = |arm: &&mut Arm| errand == Errand::Withdraw || all_homed || !arm.is_homed();
        self.arms.iter_mut().filter(goes).for_each(|arm| arm.errand = Some(errand));
        Ok(Response::Nothing)
    }

    fn lease_request(
        &mut self,
        now: KitTick,
        challenge: Challenge,
        order: &Order,
    ) -> Result<Response, Refusal> {
        if order.person.role != Role::Surgeon {
            return Err(Refusal::NotASurgeon);
        }
        self.signs(challenge, order.person)?;
        if !self.armed {
            return Err(Refusal::NotArmed);
        }
        let token = self.leases.request(now, order.author)?;
        self.rituals.renew();
        self.interrupt(now, Cause::Interruption);
        Ok(Response::StoreToken { token, to: order.author })
    }

    fn lease_confirm(&mut self, now: KitTick, token: LeaseToken, by: PublicKey) -> Result<Response, Refusal> {
        self.leases.confirm(now, token, by)?;
        (self.newest, self.released) = (Sequence(0), Sequence(0));
        self.record.restart();
        self.line.restart();
        for arm in &mut self.arms {
            (arm.newest, arm.held, arm.applied) = (Sequence(0), None, None);
            arm.engagements.restart(now);
        }
        Ok(Response::Leased { token })
    }

    fn hand_over(
        &mut self,
        now: KitTick,
        token: LeaseToken,
        by: PublicKey,
        to: PublicKey,
    ) -> Result<Response, Refusal> {
        self.leases.hand_over(token, by, to)?;
        self.interrupt(now, Cause::Interruption);
        Ok(Response::Nothing)
    }

    fn take_over(
        &mut self,
        now: KitTick,
        challenge: Challenge,
        person: Person,
        to: PublicKey,
    ) -> Result<Response, Refusal> {
        self.signs(challenge, person)?;
        self.leases.may_take_over(now)?;
        if self.rituals.sign_take_over(to, person).are_enough() {
            self.rituals.renew();
            self.leases.take_over(to);
        }
        Ok(Response::Nothing)
    }

    /// Whatever gives permission is signed by the team, under the challenge in force.
    fn signs(&self, challenge: Challenge, person: Person) -> Result<(), Refusal> {
        if !matches!(person.role, Role::Surgeon | Role::Bedside) {
            return Err(Refusal::NotATeamMember);
        }
        if challenge == self.rituals.challenge() { Ok(()) } else { Err(Refusal::OldChallenge) }
    }
}
