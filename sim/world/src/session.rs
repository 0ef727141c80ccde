//! One session in virtual time: the real kit between simulated people, lines and arm, a millisecond a step.

mod beginning;
mod edge;
mod people;
mod practice;
mod troubles;

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Kit, KitInput, KitOutput, Past};
use farhand_ledger::{Cbor, KitSegment, Outcome as Verdict, TrustRoot};
use farhand_motion::Mounted;
use farhand_wire::{
    FrameId, Kind, KitNotice, KitState, KitTick, LeaseToken, Mode, Rejection, Role, Said, SessionId, Signed,
    Statement, arm_flags,
};
use fastrand::Rng;
use thiserror::Error;

use crate::{
    Arm, Checker, Console, Delivery, Fault, Impairment, Keys, Line, Logbook, Outcome, Person, Recorder,
    Sight, Story, Task, Trouble, Trunk, Violation, people::public, rig,
};
use beginning::Own;
use people::Seat;
use practice::Practice;
use troubles::Ongoing;

const TICK_US: u64 = 1_000;
const CABLE_KEY: [u8; 32] = [7; 32];
const SESSION: SessionId = SessionId([5; 16]);
/// While nothing is wrong, tasks are done in this time; after it a new object appears.
const TASK_US_MAX: u64 = 20_000_000;
/// A session whose promise was broken goes on for so long, so that it can be seen.
const AFTERWARDS_US: u64 = 500_000;
/// The wide area between consoles and edge box in good days, and the bedside's own cables.
const WIDE: Impairment = Impairment { delay_ms: 20.0, jitter_ms: 4.0, ..Impairment::NONE };
const NEAR: Impairment = Impairment { delay_ms: 0.3, ..Impairment::NONE };

/// A session could not begin: the software under test refused its own beginning.
#[derive(Debug, Error)]
pub enum CannotBegin {
    #[error("no opening: {0}")]
    Opening(#[from] farhand_ledger::Malformed),
    #[error("the arm stands outside its limits: {0}")]
    Arm(#[from] farhand_motion::LimitExceeded),
}

/// Of so many setpoints the arm's cable loses three: less than its watchdog notices.
const CABLE_LOSES_3_OF: u64 = 7;

/// The arms' cables in virtual time: take each permit, and show it to the checker.
struct VirtualCables<'a> {
    now_us: u64,
    arms: &'a mut [Arm],
    checker: &'a mut Checker,
    kit_now_us: u64,
}

impl Actuator for VirtualCables<'_> {
    fn actuate(&mut self, permit: Permit) {
        self.checker.permitted(self.kit_now_us, permit.arm(), permit.setpoint());
        if permit.setpoint().number % CABLE_LOSES_3_OF < 3 {
            return;
        }
        let sealed = permit.setpoint().seal(&farhand_wire::MacKey::new(&CABLE_KEY));
        self.arms[permit.arm()].receive(self.now_us, &sealed);
    }
}

/// What a session is held under, beside its story.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub limits: Limits,
    /// Surgeons go by the picture, with a ghost or without; else their hands know where the tool is.
    pub ghost: Option<bool>,
}

/// What there is to see of a session in one millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub now_us: u64,
    /// Of the first arm, in the kit's frame.
    pub tip_mm: [f64; 3],
    pub jaw_rad: f64,
    /// What the surgeon reaches for, in the same frame.
    pub object_mm: [f64; 3],
    /// What the kit last said of itself: to the holder of control, and to everybody.
    pub state: Option<&'a KitState>,
    pub notice: Option<&'a KitNotice>,
    /// All of the story that has begun.
    pub begun: &'a [Trouble],
    pub violations: &'a [Violation],
}

/// Everything in one session.
pub struct Session {
    terms: Terms,
    story: Story,
    rng: Rng,
    now_us: u64,
    kit_began_us: u64,
    /// What the kit's clock has run ahead.
    kit_extra_us: u64,
    /// The kit's loop does nothing until then.
    stalled_until_us: u64,
    boot: u8,
    kit: Kit,
    evidence: Vec<u8>,
    trust: TrustRoot,
    kit_key: SigningKey,
    stored_token: LeaseToken,
    closed: Vec<SessionId>,
    token_due: Option<(u64, LeaseToken)>,
    rig: Vec<Mounted>,
    arms: Vec<Arm>,
    task: Task,
    task_since_us: u64,
    practice: Option<Practice>,
    grasped_us: Option<u64>,
    /// Two surgeons at their consoles, and which of them is to operate.
    seats: [Seat; 2],
    operating: usize,
    bedside: Person,
    /// What the bedside's page shows: it stands beside the edge box.
    notice: Option<KitNotice>,
    /// Since when the one who is to operate cannot have control.
    out_of_reach_us: Option<u64>,
    edge_to_kit: Trunk,
    kit_to_edge: Trunk,
    newest_kit_tick: KitTick,
    frame: u64,
    /// Where the tool is in the newest pictures.
    pictures: VecDeque<(FrameId, [f64; 3])>,
    /// The kit's newest word of its first arm to the holder of control, as it left.
    state: Option<KitState>,
    /// How much of the story has begun, and what of it goes on.
    told: usize,
    ongoing: Vec<Ongoing>,
    calm_from_us: u64,
    regions: u64,
    overheard: Vec<Delivery>,
    recorder: Recorder,
    logbook: Logbook,
    /// The edge box has connected anew, and the kit does not know yet.
    edge_came: bool,
    /// Verdicts that left this run of the kit in segments, and those that it counted when its last state left.
    logged: u64,
    logged_to: KitTick,
    counted: (KitTick, u64),
    checker: Checker,
    outcome: Outcome,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("story", &self.story)
            .field("now_us", &self.now_us)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Everything in its place, before the first millisecond, under the usual terms.
    pub fn new(story: Story) -> Result<Self, CannotBegin> {
        Self::under(Terms::default(), story)
    }

    /// The same under these.
    pub fn under(terms: Terms, story: Story) -> Result<Self, CannotBegin> {
        let mut rng = Rng::with_seed(story.seed);
        let rig = rig::arms(story.arms);
        let kit_key = SigningKey::from_bytes(&[21; 32]);
        let surgeons = [31, 33].map(|seed| (seed, Keys::from_seed(seed)));
        let bedside = Keys::from_seed(32);
        let [first, second] = surgeons.each_ref().map(|(_, keys)| (keys.member(), Role::Surgeon));
        let people = [first, second, (bedside.member(), Role::Bedside)];
        let (trust, evidence) = beginning::opening(&kit_key, &people, &terms.limits, &rig)?;

        let arms: Vec<Arm> = rig.iter().map(|arm| standing(arm, story.seed)).collect();
        let model = &rig[0].model;
        let home_mm = model.forward(&model.home().joints).translation.vector * 1e3;
        let task = Task::near([home_mm.x, home_mm.y, home_mm.z], &mut rng);
        let practice = story.exercise.map(|exercise| Practice::new(exercise, story.seed, model));
        let own = Own { key: &kit_key, trust: &trust, limits: &terms.limits, rig: &rig };
        let measured: Vec<_> = arms.iter().map(|arm| Some(arm.state())).collect();
        let kit = beginning::kit(own, 1, &measured, LeaseToken(0), Past::default())?;
        let kit_public = public(&kit_key);
        let seats = surgeons.map(|(seed, keys)| {
            let person = Person::new(keys, Role::Surgeon, SESSION);
            let mut console = Console::new(person, SESSION, kit_public, seed);
            console.sight = terms.ghost.map(|ghost| Sight::new(ghost, story.seed));
            let mut seat = Seat::new(console, &mut rng, story.series.as_ref());
            story.ways.iter().for_each(|ways| seat.lay(ways));
            seat
        });
        let [edge_to_kit, kit_to_edge] =
            [(); 2].map(|()| Trunk::new(rng.u64(..), [(); 2].map(|()| Line::new(rng.u64(..), NEAR))));
        let checker = Checker::new(&rig, people);
        let outcome = Outcome { seed: story.seed, ..Outcome::default() };
        let mut session = Self {
            terms,
            story,
            now_us: TICK_US,
            kit_began_us: 0,
            kit_extra_us: 0,
            stalled_until_us: 0,
            boot: 1,
            kit,
            evidence,
            trust,
            kit_key,
            stored_token: LeaseToken(0),
            closed: Vec::new(),
            token_due: None,
            rig,
            arms,
            task,
            task_since_us: 0,
            practice,
            grasped_us: None,
            seats,
            operating: 0,
            bedside: Person::new(bedside, Role::Bedside, SESSION),
            notice: None,
            out_of_reach_us: None,
            edge_to_kit,
            kit_to_edge,
            newest_kit_tick: KitTick(0),
            frame: 0,
            pictures: VecDeque::new(),
            state: None,
            told: 0,
            ongoing: Vec::new(),
            calm_from_us: 0,
            regions: 0,
            overheard: Vec::new(),
            recorder: Recorder::new(rng.u64(..)),
            logbook: Logbook::new(SESSION),
            edge_came: true,
            logged: 0,
            logged_to: KitTick(0),
            counted: (KitTick(0), 0),
            checker,
            outcome,
            rng,
        };
        session.arrange();
        Ok(session)
    }

    /// Plays it to its end.
    pub fn play(self) -> Result<Outcome, CannotBegin> {
        self.show(|_| ())
    }

    /// The same, and somebody watches every millisecond.
    pub fn show(mut self, mut watch: impl FnMut(&Session)) -> Result<Outcome, CannotBegin> {
        self.greet_kit();
        let practised =
            |session: &Self| session.practice.as_ref().is_some_and(|it| it.is_over(session.now_us));
        while self.now_us < self.end_us() && !practised(&self) {
            self.step()?;
            watch(&self);
        }
        self.finish_kit();
        self.outcome.ticks = self.now_us / TICK_US;
        self.outcome.moves = self.checker.moves;
        self.outcome.exercise = self.practice.as_ref().map(Practice::report);
        self.outcome.preconditions = self.checker.preconditions();
        (self.outcome.segments, self.outcome.verdicts) = (self.logbook.segments, self.logbook.verdicts);
        self.outcome.resent = self.logbook.again;
        self.outcome.violations = self.checker.violations().to_vec();
        Ok(self.outcome)
    }

    /// A broken promise is the end.
    fn end_us(&self) -> u64 {
        let whole_us = self.story.seconds * 1_000_000;
        self.outcome.broken_us.map_or(whole_us, |at_us| whole_us.min(at_us + AFTERWARDS_US))
    }

    /// What there is to see now.
    #[must_use]
    pub fn moment(&self) -> Moment<'_> {
        Moment {
            now_us: self.now_us,
            tip_mm: self.arms[0].tip_mm(),
            jaw_rad: self.arms[0].jaw_rad(),
            object_mm: self.practice.as_ref().map_or(self.task.target_mm, Practice::goal_mm),
            state: self.state.as_ref(),
            notice: self.notice.as_ref(),
            begun: &self.story.troubles[..self.told],
            violations: self.checker.violations(),
        }
    }

    fn step(&mut self) -> Result<(), CannotBegin> {
        self.go_wrong()?;
        self.people();
        self.edge();
        self.kit_step();
        self.arms.iter_mut().for_each(|arm| arm.step(self.now_us));
        if !self.practise() {
            self.task_step();
        }
        // The checker holds to the usual limits: under others it is not asked.
        let asked = self.terms.limits == Limits::default();
        if asked && self.outcome.broken_us.is_none() && !self.checker.violations().is_empty() {
            self.outcome.broken_us = Some(self.now_us);
        }
        self.now_us += TICK_US;
        Ok(())
    }

    // ---- kit

    fn kit_step(&mut self) {
        if self.is_stalled() {
            return;
        }
        let kit_now = self.kit_now();
        let mut inbox = Vec::new();
        for (number, arm) in self.arms.iter().enumerate() {
            let state = arm.state();
            if self.is_unheard(number) {
                continue;
            }
            self.checker.arm_is_homed(number, state.flags & arm_flags::HOMED != 0);
            inbox.push(KitInput::Arm(number, state));
        }
        if std::mem::take(&mut self.edge_came) {
            inbox.push(KitInput::EdgeConnected);
        }
        let due = self.token_due.take_if(|(due_us, _)| *due_us <= self.now_us);
        if let Some((_, token)) = due.filter(|_| !self.has(Fault::StoreFails)) {
            self.stored_token = token;
            inbox.push(KitInput::TokenStored(token));
        }
        for delivery in self.edge_to_kit.receive(self.now_us) {
            self.checker.delivered(kit_now.0, &delivery.bytes, delivery.intact);
            inbox.push(KitInput::Message(delivery.bytes));
        }
        let mut outbox = Vec::new();
        let mut cables = VirtualCables {
            now_us: self.now_us,
            arms: &mut self.arms,
            checker: &mut self.checker,
            kit_now_us: kit_now.0,
        };
        self.kit.step(kit_now, inbox, &mut cables, |out| outbox.push(out));
        for out in outbox {
            self.compare_log(&out);
            self.note_regions(kit_now, &out);
            match out {
                KitOutput::Datagram(bytes) => self.kit_to_edge.send(self.now_us, &bytes),
                KitOutput::Reliable(bytes) => self.kit_to_edge.send_reliably(self.now_us, &bytes),
                KitOutput::StoreToken(token) => self.token_due = Some((self.now_us + 3_000, token)),
                KitOutput::StoreClosed(session) => self.closed.push(session),
            }
        }
    }

    fn is_unheard(&self, arm: usize) -> bool {
        self.ongoing.iter().any(|it| it.is(Fault::CableDead) && it.arm == arm)
    }

    fn kit_now(&self) -> KitTick {
        KitTick(self.now_us - self.kit_began_us + self.kit_extra_us)
    }

    /// As it leaves the kit, its log has every verdict that its states count.
    fn compare_log(&mut self, out: &KitOutput) {
        match out {
            KitOutput::Datagram(bytes) => {
                let Ok(state) = KitState::read(bytes) else { return };
                self.counted = (state.tick, state.applied + state.rejected);
                let fault = matches!(state.reason, Some(Rejection::ImpossibleSetpoint { .. }));
                if fault && state.mode == Mode::Stopped {
                    self.checker.found_fault(state.tick.0);
                }
                for verdict in &state.verdicts {
                    self.checker.verdict(state.token, verdict.sequence.0, verdict.rejection.is_some());
                }
                if state.arm.number == 0 {
                    self.state = Some(state);
                }
            }
            KitOutput::Reliable(bytes) => {
                // It was signed a moment ago.
                let Ok(signed) = Kind::KitSegment.content(bytes).and_then(Signed::read) else { return };
                let Ok(segment) = KitSegment::read(&signed.body) else { return };
                let again = segment.to <= self.logged_to;
                if again {
                    return;
                }
                self.logged_to = segment.to;
                for verdict in &segment.verdicts {
                    let refused = verdict.outcome != Verdict::TakenIn;
                    self.checker.verdict(segment.token, verdict.sequence.0, refused);
                }
                self.logged += segment.verdicts.len() as u64;
                let (tick, counted) = self.counted;
                if segment.to.0 == tick.0 + 1 && counted != self.logged {
                    let words = format!("{counted} verdicts given, {} on the kit's log", self.logged);
                    self.checker.log_broken(self.now_us, words);
                }
            }
            KitOutput::StoreToken(_) | KitOutput::StoreClosed(_) => {}
        }
    }

    /// The checker learns from the kit's own word which regions are in force.
    fn note_regions(&mut self, kit_now: KitTick, out: &KitOutput) {
        let KitOutput::Reliable(bytes) = out else { return };
        let Ok(signed) = Signed::read(bytes) else { return };
        if let Ok(Statement { said: Said::Notice { notice }, .. }) = minicbor::decode(&signed.body) {
            self.checker.regions_in_force(kit_now.0, notice.regions);
        }
    }

    /// The edge box shows a kit that has just started the session's opening; people endorse their keys.
    fn greet_kit(&mut self) {
        let message = Kind::Opening.wrap(&self.evidence);
        self.edge_to_kit.send_reliably(self.now_us, &message);
        let endorsement = self.bedside.endorse();
        self.edge_to_kit.send_reliably(self.now_us, &endorsement);
    }

    fn restart_kit(&mut self) -> Result<(), CannotBegin> {
        self.finish_kit();
        self.boot += 1;
        let past = Past { closed: self.closed.clone(), segments: Vec::new() };
        let (trust, limits, rig) = (&self.trust, &self.terms.limits, &self.rig);
        let own = Own { key: &self.kit_key, trust, limits, rig };
        let measured = |(number, arm): (usize, &Arm)| (!self.is_unheard(number)).then(|| arm.state());
        let measured: Vec<_> = self.arms.iter().enumerate().map(measured).collect();
        self.kit = beginning::kit(own, self.boot, &measured, self.stored_token, past)?;
        (self.kit_began_us, self.kit_extra_us) = (self.now_us - TICK_US, 0);
        (self.newest_kit_tick, self.token_due) = (KitTick(0), None);
        self.kit_to_edge.cut();
        self.edge_to_kit.cut();
        self.checker.kit_restarted();
        (self.logged, self.logged_to, self.counted) = (0, KitTick(0), (KitTick(0), 0));
        self.edge_came = true;
        self.greet_kit();
        Ok(())
    }

    fn finish_kit(&mut self) {
        self.outcome.unauthentic += self.kit.unauthentic();
    }

    // ---- task

    fn task_step(&mut self) {
        let arm = &mut self.arms[0];
        self.task.touch(arm.tip_mm(), arm.jaw_rad());
        arm.grasping = self.task.is_grasped();
        if self.task.is_grasped() {
            self.grasped_us.get_or_insert(self.now_us);
        }
        let late = self.now_us > self.task_since_us + TASK_US_MAX;
        if late || self.task.is_grasped() && !self.seats[self.operating].console.is_engaged() {
            self.outcome.tasks_done += u64::from(self.task.is_grasped());
            let model = &self.rig[0].model;
            let home = model.forward(&model.home().joints).translation.vector * 1e3;
            self.task = Task::near([home.x, home.y, home.z], &mut self.rng);
            let took_us = self.grasped_us.take().map(|at_us| at_us - self.task_since_us);
            self.outcome.tasks_us.push(took_us);
            self.task_since_us = self.now_us;
        }
    }
}

/// Every third arm stands where homing would take it: a single setpoint homes it, and that one may be lost.
fn standing(arm: &Mounted, seed: u64) -> Arm {
    let mut joints = arm.model.home().joints.0;
    if !seed.is_multiple_of(3) {
        joints[0] += 0.1;
        joints[2] -= 0.02;
    }
    Arm::new(arm.model.clone(), &CABLE_KEY, joints)
}
