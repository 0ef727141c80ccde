//! A state: the real guard, the facts beside it, and the world around both.

use farhand_wire::{
    Action, ArmState, Challenge, Command, EngagementId, FrameId, FrameMark, HoldNumber, KitTick, LeaseToken,
    Mode, Pose, PressId, Rejection, Sequence, SessionId, Verdict, Watermark, state_flags,
};

use super::{
    act::{Act, Echo, Hand, Mark, Pedal, Picture, Sign, Step, Token, Who, Word},
    facts::Facts,
    judge::{action, says_why},
    promises::{Broken, Promise},
};
use crate::{
    ArmStart, Authentic, Guard, Input, Intent, Limits, Order, Proposal, Response, Said, SetpointLimits,
    ritual::Person,
};

/// Ticks from the decision to stop until the arm stands.
const BRAKING_TICKS: u64 = 3;
/// A frame each so many ms.
const FRAME_MS: u64 = 10;

#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) guard: Guard,
    pub(super) facts: Facts,
    pub(super) now: KitTick,
    /// What each arm says, if its cable is whole.
    pub(super) says: Vec<Option<u8>>,
    pub(super) films: bool,
    pub(super) records: bool,
    /// Ticks since each arm was last told to move, up to those that it brakes for.
    pub(super) still: Vec<u64>,
    pub(super) broken: Broken,
    /// So many acts after the prologue.
    pub(super) acts: usize,
    /// The oldest tick that a release of the scene echoes.
    pub(super) echo_us_max: u64,
    frame: u64,
    lists: u64,
    /// Names each target, so that no two are the same.
    targets: u64,
    before: Challenge,
    pub(super) outcome: Outcome,
}

/// What the guard said in the last step, without the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outcome {
    /// A bit for each refusal of a command, by its number.
    pub(super) refusals: u64,
    /// A bit for each mode that was decided; the two in which the hand moves the tool are one.
    pub(super) modes: u8,
    /// A bit for each action that was permitted.
    pub(super) actions: u8,
    pub(super) applied: bool,
    pub(super) order_refused: bool,
}

impl Stage {
    /// A kit that has just started, and arms that stand and have not been heard.
    pub(super) fn new(limits: Limits, arms: usize, echo_us_max: u64) -> Self {
        let start = ArmStart { limits: arm_limits(), at: proposal(0.0, true), setpoint: 0 };
        let guard = Guard::new(limits.clone(), vec![start; arms], LeaseToken(7), [7; 32]);
        let now = KitTick(1_000_000);
        let challenge = guard.report(now, 0).unwrap().challenge;
        Self {
            facts: Facts::new(limits, arms, 7, challenge),
            guard,
            now,
            says: vec![None; arms],
            films: true,
            records: true,
            still: vec![BRAKING_TICKS; arms],
            broken: Broken::default(),
            acts: 0,
            echo_us_max,
            frame: 0,
            lists: 0,
            targets: 0,
            before: Challenge([0; 32]),
            outcome: Outcome::default(),
        }
    }

    /// One thing happens. False: it cannot happen now, or would change nothing.
    pub(super) fn step(&mut self, act: Act) -> bool {
        self.outcome = Outcome::default();
        match act {
            Act::Pass(ms) => (0..ms).for_each(|_| self.tick(None)),
            Act::Late(ticks) => {
                self.now = self.now.plus_ms(ticks);
                self.surroundings();
                self.tick(None);
            }
            Act::WrongProposal(arm) => {
                self.tick(Some(arm));
                (1..FRAME_MS).for_each(|_| self.tick(None));
            }
            Act::Send(hand) => self.send(hand),
            Act::Say(who, word) => self.say(who, word),
            Act::Stored { issued } => self.stored(issued),
            Act::Mark(mark) => self.mark(mark),
            Act::Lists => self.lists += 1,
            Act::FrameFromTheFuture => self.announce(self.frame + 1, self.now.plus_ms(60_000)),
            Act::ErrandDone(arm) if self.facts.arms[arm].errand.is_none() => return false,
            Act::ErrandDone(arm) => {
                self.guard.errand_done(arm);
                self.facts.arms[arm].errand = None;
            }
            // By its contract this comes before anybody could arm.
            Act::ClosedBefore if self.facts.armed || self.facts.closed => return false,
            Act::ClosedBefore => {
                self.guard.take(self.now, Input::Closed);
                self.facts.closed = true;
            }
            Act::ArmSays(arm, says) if says == self.says[arm] => return false,
            Act::Films(films) if films == self.films => return false,
            Act::Records(records) if records == self.records => return false,
            Act::ArmSays(arm, says) => self.says[arm] = says,
            Act::Films(films) => self.films = films,
            Act::Records(records) => self.records = records,
        }
        if matches!(act, Act::ArmSays(..) | Act::Films(_) | Act::Records(_)) {
            self.surroundings();
        }
        self.look();
        true
    }

    /// Where in the time between two frames.
    pub(super) fn phase_us(&self) -> u64 {
        self.now.0 % (FRAME_MS * 1000)
    }

    /// Lists are durable that no mark has told of.
    pub(super) fn waiting_lists(&self) -> bool {
        self.facts.lists.is_some_and(|told| self.lists > told)
    }

    // ---- time

    /// The guard decides, motion proposes, the guard permits; a millisecond later the surroundings are heard again. Motion may
    /// propose something wrong for one arm.
    fn tick(&mut self, wrong: Option<usize>) {
        let now = self.now;
        let intents = self.guard.decide(now);
        self.facts.tick(now);
        for (arm, intent) in intents.iter().enumerate() {
            let mode = self.guard.arms[arm].mode;
            let broken = self.facts.judge(now, arm, mode, intent);
            self.broken.merge(broken);
            self.outcome.modes |= 1 << mode.max(Mode::Limited) as u8;
            let still = &mut self.still[arm];
            *still = if *intent == Intent::Stop { (*still + 1).min(BRAKING_TICKS) } else { 0 };
        }
        for (arm, intent) in intents.into_iter().enumerate() {
            self.permit(arm, intent, wrong != Some(arm));
        }
        self.now = now.plus_ms(1);
        self.surroundings();
    }

    fn permit(&mut self, arm: usize, intent: Intent, proper: bool) {
        let at_rest = self.still[arm] == BRAKING_TICKS;
        let proposed = proposal(if proper { 0.0 } else { 0.5 }, at_rest);
        let permit = self.guard.permit(self.now, arm, &proposed).unwrap();
        let done = permit.setpoint().action;
        if proper {
            self.broken.add_if(done != action(&intent, at_rest), Promise::Permits);
        } else {
            self.facts.fault = true;
            self.facts.stop();
            self.still[arm] = 0;
            self.broken.add_if(done != Action::Brake, Promise::Permits);
        }
        self.broken.add_if(permit.setpoint().joints != [0.0; 6], Promise::Permits);
        self.broken.add_if(permit.tick() != self.now || permit.arm() != arm, Promise::Permits);
        self.outcome.actions |= 1 << done as u8;
        let shown = self.guard.arms[arm].engagements.hold().0;
        let broken = self.facts.arms[arm].moved(&intent, proper && at_rest, shown);
        self.broken.merge(broken);
    }

    /// The arms, the camera and the recorder say what they say in each millisecond.
    fn surroundings(&mut self) {
        for arm in 0..self.says.len() {
            let Some(flags) = self.says[arm] else { continue };
            let state = ArmState { setpoint: 0, flags, joints: [0.0; 6], jaw_rad: 0.0 };
            self.guard.take(self.now, Input::Arm(arm, state));
            self.facts.arm_says(self.now, arm, flags);
        }
        if self.films && self.now.0.is_multiple_of(FRAME_MS * 1000) {
            self.frame += 1;
            self.announce(self.frame, self.now);
        }
        if self.records {
            self.lists += 1;
            self.mark(Mark::All);
        }
    }

    fn announce(&mut self, frame: u64, captured: KitTick) {
        let mark = FrameMark { frame: FrameId(frame), kit_tick_at_capture: captured };
        self.guard.take(self.now, Input::Frame(mark));
        self.facts.announced(self.now, frame, captured);
    }

    fn mark(&mut self, mark: Mark) {
        let token = self.facts.control.map_or(0, |control| control.token);
        let newest = self.facts.newest;
        let (token, newest) = match mark {
            Mark::All => (token, newest),
            Mark::AllButTheNewest => (token, newest.saturating_sub(1)),
            Mark::Everything => (token, u64::MAX),
            Mark::OfAnotherToken => (token + 1, newest),
        };
        let said = Watermark { token: LeaseToken(token), newest: Sequence(newest), segments: self.lists };
        self.guard.take(self.now, Input::Watermark(said));
        self.facts.durable(token, newest, self.lists);
    }

    // ---- the hand

    fn send(&mut self, hand: Hand) {
        let command = self.command(hand);
        let (taken, forbidden) = self.facts.hears(self.now, &command, hand.pedal, hand.lag);
        let response = self.guard.take(self.now, Input::Command(Authentic::new(command), hand.lag));
        let Response::Verdict(Verdict { sequence, rejection }) = response else {
            return self.broken.add(Promise::Reasons);
        };
        self.broken.add_if(sequence != command.sequence, Promise::Reasons);
        let shown = self.guard.newest.0;
        self.broken.add_if(shown != self.facts.newest, Promise::Newer);
        match rejection {
            Some(why) => self.refused(&why, hand.pedal, taken, forbidden),
            None if hand.pedal == Pedal::Down => {
                self.broken.merge(forbidden);
                self.facts.applies(self.now, &command);
                self.outcome.applied = true;
            }
            None => self.broken.add_if(!taken, Promise::Newer),
        }
    }

    fn refused(&mut self, why: &Rejection, pedal: Pedal, taken: bool, forbidden: Broken) {
        self.broken.add_if(!says_why(why), Promise::Reasons);
        let needless = if pedal == Pedal::Down { forbidden.is_empty() } else { taken };
        self.broken.add_if(needless, Promise::Useful);
        self.outcome.refusals |= 1 << why.parts().0;
    }

    fn command(&mut self, hand: Hand) -> Command {
        // Of an arm that is not there, as of the first.
        let shown =
            self.guard.report(self.now, usize::from(hand.arm)).or(self.guard.report(self.now, 0)).unwrap();
        self.targets += 1;
        let number = |newest: u64, step| match step {
            Step::Before => newest.saturating_sub(1),
            Step::Same => newest,
            Step::Next => newest + 1,
            Step::Far => newest + 5,
        };
        Command {
            session: SessionId([1; 16]),
            token: LeaseToken(self.token(hand.token)),
            sequence: Sequence(number(self.facts.newest, hand.sequence)),
            kit_tick_echo: match hand.echo {
                Echo::Ago(us) => KitTick(self.now.0 - us),
                Echo::Ahead(us) => KitTick(self.now.0 + us),
            },
            arm: hand.arm,
            dead_man: matches!(hand.pedal, Pedal::Down | Pedal::Clutch),
            clutch: matches!(hand.pedal, Pedal::Clutch | Pedal::UpWithClutch),
            engagement: EngagementId(number(shown.engagement.0, hand.engagement)),
            hold: HoldNumber(shown.hold.0 - u64::from(!hand.hold)),
            target: Pose { position_m: [self.targets as f64, 0.0, 0.0], ..Pose::default() },
            jaw_rad: 0.0,
            frame_seen: FrameId(match hand.picture {
                Picture::Newest => self.frame,
                Picture::None => 0,
                Picture::Unannounced => self.frame + 1,
            }),
            frame_age_us: None,
        }
    }

    fn token(&self, token: Token) -> u64 {
        let mine = self.facts.control.map_or(0, |control| control.token);
        match token {
            Token::Mine => mine,
            Token::Before => mine.saturating_sub(1),
            Token::Unissued => self.facts.issued + 1,
            Token::Zero => 0,
        }
    }

    // ---- people

    fn say(&mut self, who: Who, word: Word) {
        let order = Order { author: who.key(), person: person(who), said: self.said(word) };
        let issued = self.facts.issued;
        let expected = self.facts.orders(self.now, who, word);
        let response = self.guard.take(self.now, Input::Order(Authentic::new(order)));
        let refused = matches!(response, Response::Refused { .. });
        match expected {
            Ok(()) => self.broken.add_if(refused, Promise::Useful),
            Err(promise) => self.broken.add_if(!refused, promise),
        }
        let rises = match response {
            Response::StoreToken { token, to } => token.0 > issued && to == who.key(),
            Response::Leased { token } => Some(token.0) == self.facts.token(),
            Response::Latched { version } => Some(version) == self.facts.regions,
            _ => true,
        };
        self.broken.add_if(!rises, Promise::Tokens);
        self.outcome.order_refused = refused;
    }

    fn said(&self, word: Word) -> Said {
        let sign = |sign| match sign {
            Sign::Now => self.facts.challenge,
            Sign::Before => self.before,
        };
        match word {
            Word::Press(press) => Said::EStop { press: PressId([press; 16]) },
            Word::Clear(by) => Said::ClearEStop { challenge: sign(by) },
            Word::Arm(by) => Said::Arm { challenge: sign(by) },
            Word::Disarm => Said::Disarm,
            Word::Close => Said::Close,
            Word::WithdrawConsent => Said::WithdrawConsent,
            Word::Forbid(by, version) => Said::Forbid { challenge: sign(by), version, regions: 1 },
            Word::Home(by) => Said::Home { challenge: sign(by) },
            Word::Out(by) => Said::Withdraw { challenge: sign(by) },
            Word::Ask(by) => Said::LeaseRequest { challenge: sign(by), x25519: Who::First.key() },
            Word::Confirm(Token::Mine) => {
                Said::LeaseConfirm { token: LeaseToken(self.facts.issued), transcript: [0; 32] }
            }
            Word::Confirm(_) => {
                Said::LeaseConfirm { token: LeaseToken(self.facts.issued - 1), transcript: [0; 32] }
            }
            Word::HandOver(to) => {
                let token = self.facts.control.map_or(0, |control| control.token);
                Said::HandOver { token: LeaseToken(token), to: to.key() }
            }
            Word::GiveTo(by, to) => Said::TakeOver { challenge: sign(by), to: to.key() },
        }
    }

    fn stored(&mut self, issued: bool) {
        let token = LeaseToken(self.facts.issued + u64::from(!issued));
        let waits = self.facts.asked.as_mut().filter(|_| issued);
        let expected = waits.map(|asked| {
            asked.stored = true;
            Response::Grant { token, to: asked.who.key() }
        });
        let response = self.guard.take(self.now, Input::TokenStored(token));
        self.broken.add_if(response != expected.unwrap_or(Response::Nothing), Promise::Tokens);
    }

    // ---- what everybody sees

    /// What is on display must be what the facts say.
    fn look(&mut self) {
        let shown = self.guard.report(self.now, 0).unwrap();
        let facts = &mut self.facts;
        if shown.challenge != facts.challenge {
            self.before = std::mem::replace(&mut facts.challenge, shown.challenge);
            facts.forget_signatures();
        }
        let armed = shown.kit.flags & state_flags::ARMED != 0;
        let over = facts.closed || facts.consent_withdrawn;
        self.broken.add_if(armed && !facts.armed, if over { Promise::Ended } else { Promise::Armed });
        self.broken.add_if(!armed && facts.armed, Promise::Useful);
        let latched = shown.kit.flags & state_flags::E_STOP != 0;
        self.broken.add_if(latched != (facts.latched != 0), Promise::Latched);
        let seen = self.guard.presses().fold(0, |seen, press| seen | 1 << press.0[0]);
        self.broken.add_if(seen != facts.latched | facts.cleared, Promise::Latched);
        self.broken.add_if(shown.closed != facts.closed || shown.ended != over, Promise::Ended);
        self.broken.add_if(shown.regions != facts.regions, Promise::Regions);
        let holder = facts.control.map(|control| control.who.key());
        self.broken.add_if(shown.holder != holder, Promise::Control);
        self.broken.add_if(shown.token.0 != facts.token().unwrap_or(0), Promise::Tokens);
        self.broken.add_if(shown.speed_limit_mm_s > arm_limits().tip_speed_mm_s_max, Promise::Permits);
    }
}

fn person(who: Who) -> Person {
    Person { number: who as u8, role: who.role() }
}

fn proposal(joint: f64, at_rest: bool) -> Proposal {
    Proposal { joints: [joint; 6], jaw_rad: 0.0, tip_mm: [0.0; 3], at_rest }
}

fn arm_limits() -> SetpointLimits {
    SetpointLimits {
        position_min: [-1.0; 6],
        position_max: [1.0; 6],
        velocity_max: [1.0; 6],
        acceleration_max: [10.0; 6],
        stop_deceleration_max: [20.0; 6],
        jaw_rad_min: -0.5,
        jaw_rad_max: 1.0,
        jaw_velocity_rad_s_max: 2.0,
        tip_speed_mm_s_max: 200.0,
    }
}
