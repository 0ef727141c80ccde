//! One session in virtual time: the real kit between simulated people, lines and arm, a millisecond a step.

mod faults;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Identity, Kit, KitInput, KitOutput, Past};
use farhand_ledger::{
    Cbor, Hash, KitSegment, Member, Segment, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_motion::ArmModel;
use farhand_wire::{
    ArmState, EdgeTick, FrameId, FrameMark, FrameRecord, Kind, KitBootId, KitState, KitTick, LeaseToken,
    Mode, Role, Said, SessionId, Signed, Statement, arm_flags, state_flags,
};
use fastrand::Rng;
use thiserror::Error;

use crate::{
    Arm, Checker, Console, Impairment, Keys, Line, Logbook, Person, Recorder, Task, Violation,
    people::public, surgeon::Sent,
};
use faults::{Ending, Fault};

const TICK_US: u64 = 1_000;
const FRAME_US: u64 = 33_000;
const CABLE_KEY: [u8; 32] = [7; 32];
const SESSION: SessionId = SessionId([5; 16]);
/// While nothing is wrong, tasks are done in this time; after it a new object appears.
const TASK_US_MAX: u64 = 20_000_000;

/// How a session goes.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub seconds: u64,
    /// Faults at random, or a good line all the way.
    pub faults: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub seed: u64,
    pub ticks: u64,
    pub commands: u64,
    pub applied: u64,
    pub refused: BTreeMap<&'static str, u64>,
    /// States of the kit that gave this for the tool's standing still, or being slower.
    pub reasons: BTreeMap<&'static str, u64>,
    pub unauthentic: u64,
    pub tasks_done: u64,
    pub stops: u64,
    pub restarts: u64,
    pub moves: u64,
    /// Segments of the kit's log that the edge box has, and verdicts in them.
    pub segments: u64,
    pub verdicts: u64,
    /// Segments that came again, after a reconnect.
    pub resent: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often there was something to keep a promise against.
    pub preconditions: BTreeMap<&'static str, u64>,
    pub violations: Vec<Violation>,
}

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

/// The arm's cable in virtual time: takes the permit, and shows it to the checker.
struct VirtualCable<'a> {
    now_us: u64,
    arm: &'a mut Arm,
    checker: &'a mut Checker,
    kit_now_us: u64,
}

impl Actuator for VirtualCable<'_> {
    fn actuate(&mut self, permit: Permit) {
        self.checker.permitted(self.kit_now_us, permit.setpoint());
        if permit.setpoint().number % CABLE_LOSES_3_OF < 3 {
            return;
        }
        let sealed = permit.setpoint().seal(&farhand_wire::MacKey::new(&CABLE_KEY));
        self.arm.receive(self.now_us, &sealed);
    }
}

/// The lines between console, edge box and kit; the wide area is console to edge.
struct Lines {
    console_to_edge: Line,
    edge_to_console: Line,
    edge_to_kit: Line,
    kit_to_edge: Line,
}

/// Everything in one session.
pub struct Session {
    options: Options,
    rng: Rng,
    now_us: u64,
    kit_began_us: u64,
    /// What the kit's clock has run ahead.
    kit_extra_us: u64,
    /// The kit's loop does nothing until then.
    stalled_until_us: u64,
    regions: u64,
    next_regions_us: u64,
    boot: u8,
    kit: Kit,
    evidence: Vec<u8>,
    trust: TrustRoot,
    kit_key: SigningKey,
    stored_token: LeaseToken,
    closed: Vec<SessionId>,
    token_due: Option<(u64, LeaseToken)>,
    model: ArmModel,
    arm: Arm,
    task: Task,
    task_since_us: u64,
    console: Console,
    bedside: Person,
    lines: Lines,
    newest_kit_tick: KitTick,
    frame: u64,
    ending: Ending,
    fault: Option<(Fault, u64)>,
    next_fault_us: u64,
    overheard: Vec<Vec<u8>>,
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
            .field("options", &self.options)
            .field("now_us", &self.now_us)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Everything in its place, before the first millisecond.
    pub fn new(options: Options) -> Result<Self, CannotBegin> {
        let mut rng = Rng::with_seed(options.seed);
        let model = ArmModel::psm_large_needle_driver();
        let kit_key = SigningKey::from_bytes(&[21; 32]);
        let (surgeon, bedside) = (Keys::from_seed(31), Keys::from_seed(32));
        let people = [(surgeon.member(), Role::Surgeon), (bedside.member(), Role::Bedside)];
        let (trust, evidence) = opening(&kit_key, &people, &model)?;

        let mut joints = model.home().joints.0;
        // Every third arm stands where homing would take it: a single setpoint homes it, and that one may be lost.
        if !options.seed.is_multiple_of(3) {
            joints[0] += 0.1;
            joints[2] -= 0.02;
        }
        let arm = Arm::new(model.clone(), &CABLE_KEY, joints);
        let home_mm = model.forward(&model.home().joints).translation.vector * 1e3;
        let task = Task::near([home_mm.x, home_mm.y, home_mm.z], &mut rng);
        let kit = kit(&kit_key, 1, &trust, &model, arm.state(), LeaseToken(0), Past::default())?;
        let surgeon = Person::new(surgeon, Role::Surgeon, SESSION);
        let wide = Impairment { delay_ms: 20.0, jitter_ms: 4.0, ..Impairment::default() };
        let near = Impairment { delay_ms: 0.3, ..Impairment::default() };
        let mut line = |impairment| Line::new(rng.u64(..), impairment);
        let lines = Lines {
            console_to_edge: line(wide),
            edge_to_console: line(wide),
            edge_to_kit: line(near),
            kit_to_edge: line(near),
        };
        let checker = Checker::new(model.clone(), people);
        let outcome = Outcome { seed: options.seed, ..Outcome::default() };
        Ok(Self {
            next_fault_us: 15_000_000 + rng.u64(0..5_000_000),
            console: Console::new(surgeon, SESSION, public(&kit_key), 1),
            bedside: Person::new(bedside, Role::Bedside, SESSION),
            options,
            now_us: TICK_US,
            kit_began_us: 0,
            kit_extra_us: 0,
            stalled_until_us: 0,
            regions: 0,
            next_regions_us: 8_000_000 + rng.u64(0..5_000_000),
            boot: 1,
            kit,
            evidence,
            trust,
            kit_key,
            stored_token: LeaseToken(0),
            closed: Vec::new(),
            token_due: None,
            model,
            arm,
            task,
            task_since_us: 0,
            lines,
            newest_kit_tick: KitTick(0),
            frame: 0,
            ending: Ending::ALL[rng.usize(0..Ending::ALL.len())],
            fault: None,
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
        })
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Result<Outcome, CannotBegin> {
        self.greet_kit();
        while self.now_us < self.options.seconds * 1_000_000 {
            self.step()?;
        }
        self.finish_kit();
        self.outcome.ticks = self.now_us / TICK_US;
        self.outcome.moves = self.checker.moves;
        self.outcome.preconditions = self.checker.preconditions();
        (self.outcome.segments, self.outcome.verdicts) = (self.logbook.segments, self.logbook.verdicts);
        self.outcome.resent = self.logbook.again;
        self.outcome.violations = self.checker.violations().to_vec();
        Ok(self.outcome)
    }

    fn step(&mut self) -> Result<(), CannotBegin> {
        self.faults()?;
        self.people();
        self.edge();
        self.kit_step();
        self.arm.step(self.now_us);
        self.task_step();
        self.now_us += TICK_US;
        Ok(())
    }

    // ---- people

    fn people(&mut self) {
        let mut sent = Vec::new();
        // The browser's DTLS lets nothing through that was damaged.
        for delivery in self.lines.edge_to_console.receive(self.now_us).into_iter().filter(|it| it.intact) {
            self.console.receive(&delivery.bytes, &mut sent);
        }
        self.console.look_at(self.task.target_mm, self.task.is_grasped());
        self.console.step(self.now_us, &mut sent);
        if self.rng.u32(0..4_000) == 0 {
            self.console.let_go(self.now_us);
        }
        for message in sent {
            match message {
                Sent::Reliable(bytes) => self.lines.console_to_edge.send_reliably(self.now_us, bytes),
                Sent::Unreliable(bytes) => {
                    self.outcome.commands += 1;
                    self.lines.console_to_edge.send(self.now_us, &bytes);
                }
            }
        }
        self.bedside_step();
    }

    /// The bedside's page stands beside the edge box: no wide area in between.
    fn bedside_step(&mut self) {
        if !self.now_us.is_multiple_of(50_000) {
            return;
        }
        let Some(notice) = self.console.notice().cloned() else { return };
        let (has, challenge) = (|flag| notice.flags & flag != 0, notice.challenge);
        let mut said = Vec::from_iter(self.bedside.repeat_press(Some(&notice)));
        if notice.mode == Mode::Stopped as u8 {
            said.extend(self.bedside.sign(self.now_us, "clear", challenge, Said::ClearEStop { challenge }));
        } else if !has(state_flags::HOMED) && notice.operating_state != 1 {
            said.extend(self.bedside.sign(self.now_us, "home", challenge, Said::Home { challenge }));
        } else if has(state_flags::HOMED) && !has(state_flags::ARMED) && !self.has(Fault::Disarmed) {
            said.extend(self.bedside.sign(self.now_us, "arm", challenge, Said::Arm { challenge }));
        }
        for bytes in said {
            self.lines.edge_to_kit.send_reliably(self.now_us, bytes);
        }
    }

    // ---- edge box

    fn edge(&mut self) {
        if self.has(Fault::CloggedEdge) || self.has(Fault::EdgeRestart) {
            return;
        }
        for delivery in self.lines.console_to_edge.receive(self.now_us) {
            self.overhear(&delivery.bytes);
            self.relay(delivery.bytes, delivery.intact);
        }
        for delivery in self.lines.kit_to_edge.receive(self.now_us) {
            self.kit_said(delivery.bytes);
        }
        if let Some(mark) = self.recorder.step(self.now_us) {
            self.lines.edge_to_kit.send(self.now_us, &mark.to_bytes());
        }
        if self.now_us.is_multiple_of(FRAME_US) && !self.has(Fault::Camera) {
            self.film();
        }
    }

    fn relay(&mut self, bytes: Vec<u8>, intact: bool) {
        if Kind::of(&bytes) == Ok(Kind::SurgeonSegment) {
            self.recorder.listed(self.now_us);
        } else if Kind::of(&bytes) == Ok(Kind::Signed) {
            self.lines.edge_to_kit.send_reliably(self.now_us, bytes);
        } else {
            // A console's DTLS lets nothing through that was damaged: the kit must not mind, the recorder never sees it.
            if intact {
                self.recorder.relayed(self.now_us, &bytes);
            }
            self.lines.edge_to_kit.pass_on(self.now_us, &bytes, intact);
        }
    }

    fn kit_said(&mut self, bytes: Vec<u8>) {
        match Kind::of(&bytes) {
            Ok(Kind::KitState) => {
                if let Ok(state) = KitState::read(&bytes) {
                    self.newest_kit_tick = self.newest_kit_tick.max(state.tick);
                    self.count(&state);
                }
                self.lines.edge_to_console.send(self.now_us, &bytes);
            }
            Ok(Kind::KitSegment) => {
                if let Err(words) = self.logbook.take(&bytes) {
                    self.checker.log_broken(self.now_us, words);
                }
            }
            _ => self.lines.edge_to_console.send_reliably(self.now_us, bytes),
        }
    }

    fn count(&mut self, state: &KitState) {
        if let Some(reason) = state.reason {
            *self.outcome.reasons.entry(reason.name()).or_default() += 1;
        }
        for verdict in &state.verdicts {
            match verdict.rejection {
                None => self.outcome.applied += 1,
                Some(rejection) => *self.outcome.refused.entry(rejection.name()).or_default() += 1,
            }
        }
    }

    fn film(&mut self) {
        self.frame += 1;
        let frame = FrameId(self.frame);
        let mark = FrameMark { frame, kit_tick_at_capture: self.newest_kit_tick };
        self.lines.edge_to_kit.send(self.now_us, &mark.to_bytes());
        let record = FrameRecord {
            frame,
            rtp_timestamp: (self.now_us * 9 / 100) as u32,
            captured: EdgeTick(self.now_us),
            key_frame: false,
            au_hash: [0; 32],
            picture_hash: [0; 32],
        };
        self.lines.edge_to_console.send(self.now_us, &record.to_bytes());
    }

    // ---- kit

    fn kit_step(&mut self) {
        if self.has(Fault::LoopStalls) && self.rng.u8(..) < 5 {
            self.stalled_until_us = self.now_us + self.rng.u64(1..12) * TICK_US;
        }
        if self.now_us < self.stalled_until_us {
            return;
        }
        let kit_now = KitTick(self.now_us - self.kit_began_us + self.kit_extra_us);
        let arm = self.arm.state();
        self.checker.arm_is_homed(arm.flags & arm_flags::HOMED != 0);
        let mut inbox = vec![KitInput::Arm(arm)];
        if std::mem::take(&mut self.edge_came) {
            inbox.push(KitInput::EdgeConnected);
        }
        let due = self.token_due.take_if(|(due_us, _)| *due_us <= self.now_us);
        if let Some((_, token)) = due.filter(|_| !self.has(Fault::StoreFails)) {
            self.stored_token = token;
            inbox.push(KitInput::TokenStored(token));
        }
        for delivery in self.lines.edge_to_kit.receive(self.now_us) {
            self.checker.delivered(kit_now.0, &delivery.bytes, delivery.intact);
            inbox.push(KitInput::Message(delivery.bytes));
        }
        let mut outbox = Vec::new();
        let mut cable = VirtualCable {
            now_us: self.now_us,
            arm: &mut self.arm,
            checker: &mut self.checker,
            kit_now_us: kit_now.0,
        };
        self.kit.step(kit_now, inbox, &mut cable, |out| outbox.push(out));
        for out in outbox {
            self.compare_log(&out);
            self.note_regions(kit_now, &out);
            match out {
                KitOutput::Datagram(bytes) => self.lines.kit_to_edge.send(self.now_us, &bytes),
                KitOutput::Reliable(bytes) => self.lines.kit_to_edge.send_reliably(self.now_us, bytes),
                KitOutput::StoreToken(token) => self.token_due = Some((self.now_us + 3_000, token)),
                KitOutput::StoreClosed(session) => self.closed.push(session),
            }
        }
    }

    /// As it leaves the kit, its log has every verdict that its states count.
    fn compare_log(&mut self, out: &KitOutput) {
        match out {
            KitOutput::Datagram(bytes) => {
                if let Ok(state) = KitState::read(bytes) {
                    self.counted = (state.tick, state.applied + state.rejected);
                }
            }
            KitOutput::Reliable(bytes) => {
                let Ok(signed) = Kind::KitSegment.content(bytes) else { return };
                let Ok((_, segment)) = KitSegment::open(signed) else { return };
                let again = segment.to <= self.logged_to;
                if again {
                    return;
                }
                self.logged_to = segment.to;
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
        self.lines.edge_to_kit.send_reliably(self.now_us, message);
        let endorsement = self.bedside.endorse();
        self.lines.edge_to_kit.send_reliably(self.now_us, endorsement);
    }

    fn finish_kit(&mut self) {
        self.outcome.unauthentic += self.kit.unauthentic();
    }

    // ---- task

    fn task_step(&mut self) {
        self.task.touch(self.arm.tip_mm(), self.arm.jaw_rad());
        self.arm.grasping = self.task.is_grasped();
        let late = self.now_us > self.task_since_us + TASK_US_MAX;
        if late || self.task.is_grasped() && !self.console.is_engaged() {
            self.outcome.tasks_done += u64::from(self.task.is_grasped());
            let home = self.model.forward(&self.model.home().joints).translation.vector * 1e3;
            self.task = Task::near([home.x, home.y, home.z], &mut self.rng);
            self.task_since_us = self.now_us;
        }
    }
}

fn kit(
    key: &SigningKey,
    boot: u8,
    trust: &TrustRoot,
    model: &ArmModel,
    measured: ArmState,
    highest: LeaseToken,
    past: Past,
) -> Result<Kit, farhand_motion::LimitExceeded> {
    let limits = Limits::default();
    let identity = Identity {
        key: key.clone(),
        boot: KitBootId([boot; 16]),
        edge: public(&SigningKey::from_bytes(&[22; 32])),
        trust: trust.clone(),
        limits_digest: limits.digest(),
        arm_digest: model.digest(),
        seed: [boot ^ 0x55; 32],
        past,
    };
    Kit::new(identity, limits, model, measured, highest)
}

fn opening(
    kit: &SigningKey,
    people: &[(farhand_wire::PublicKey, Role)],
    model: &ArmModel,
) -> Result<(TrustRoot, Vec<u8>), farhand_ledger::Malformed> {
    let mut keys = FiveKeys::new([11; 32]);
    let member = |(number, (key, role)): (usize, &(farhand_wire::PublicKey, Role))| Member {
        key: *key,
        role: *role,
        pseudonym: format!("person-{number}"),
    };
    let evidence = keys.open(Plan {
        session: SESSION,
        roster: people.iter().enumerate().map(member).collect(),
        edge: public(&SigningKey::from_bytes(&[22; 32])),
        kit,
        field: &SigningKey::from_bytes(&[23; 32]),
        limits_digest: Hash(Limits::default().digest()),
        arm_digest: Hash(model.digest()),
        at: Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 },
    })?;
    Ok((keys.trust().clone(), evidence.to_bytes()))
}

impl Options {
    /// The session of that number in a soak. Every fourth line is good all the way: there the work must get done.
    #[must_use]
    pub fn of_soak(seed: u64, number: u64, seconds: u64) -> Self {
        Self {
            seed: seed.wrapping_mul(1_000_003).wrapping_add(number),
            seconds,
            faults: !number.is_multiple_of(4),
        }
    }
}

impl Outcome {
    /// Counts both together.
    pub fn add(&mut self, other: Outcome) {
        self.ticks += other.ticks;
        self.commands += other.commands;
        self.applied += other.applied;
        self.unauthentic += other.unauthentic;
        self.tasks_done += other.tasks_done;
        self.stops += other.stops;
        self.restarts += other.restarts;
        self.moves += other.moves;
        self.segments += other.segments;
        self.verdicts += other.verdicts;
        self.resent += other.resent;
        for (sum, counts) in [
            (&mut self.refused, other.refused),
            (&mut self.reasons, other.reasons),
            (&mut self.faults, other.faults),
            (&mut self.preconditions, other.preconditions),
        ] {
            counts.into_iter().for_each(|(name, count)| *sum.entry(name).or_default() += count);
        }
        self.violations.extend(other.violations);
    }
}
