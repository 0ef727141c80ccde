//! One session in virtual time: the real kit between simulated people, lines and arm, a millisecond a step.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Identity, Kit, KitInput, KitOutput};
use farhand_ledger::{
    Cbor, Hash, Member, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_motion::ArmModel;
use farhand_wire::{
    ArmState, EdgeTick, FrameId, FrameMark, FrameRecord, Kind, KitBootId, KitState, KitTick, LeaseToken,
    Mode, Role, Said, SessionId, state_flags,
};
use fastrand::Rng;
use thiserror::Error;

use crate::{
    Arm, Checker, Console, Impairment, Keys, Line, Person, Task, Violation, people::public, surgeon::Sent,
};

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
    pub unauthentic: u64,
    pub tasks_done: u64,
    pub stops: u64,
    pub restarts: u64,
    pub moves: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
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
        let sealed = permit.setpoint().seal(&farhand_wire::MacKey::new(&CABLE_KEY));
        self.arm.receive(self.now_us, &sealed);
    }
}

/// A fault that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Lossy,
    Slow,
    Partition,
    Camera,
    PedalStuck,
    EStop,
    Restart,
    ArmButton,
    CloggedEdge,
    Forger,
    Disarmed,
}

impl Fault {
    const ALL: [Fault; 11] = [
        Fault::Lossy,
        Fault::Slow,
        Fault::Partition,
        Fault::Camera,
        Fault::PedalStuck,
        Fault::EStop,
        Fault::Restart,
        Fault::ArmButton,
        Fault::CloggedEdge,
        Fault::Forger,
        Fault::Disarmed,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::Lossy => "lossy line",
            Fault::Slow => "slow line",
            Fault::Partition => "partition",
            Fault::Camera => "camera stalls",
            Fault::PedalStuck => "dead-man stuck",
            Fault::EStop => "e-stop",
            Fault::Restart => "kit restarts",
            Fault::ArmButton => "arm's button",
            Fault::CloggedEdge => "edge stalls",
            Fault::Forger => "forger and replayer",
            Fault::Disarmed => "disarmed at the bedside",
        }
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
    boot: u8,
    kit: Kit,
    evidence: Vec<u8>,
    trust: TrustRoot,
    kit_key: SigningKey,
    stored_token: LeaseToken,
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
    fault: Option<(Fault, u64)>,
    next_fault_us: u64,
    overheard: Vec<Vec<u8>>,
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
        joints[0] += 0.1;
        joints[2] -= 0.02;
        let arm = Arm::new(model.clone(), &CABLE_KEY, joints);
        let home_mm = model.forward(&model.home().joints).translation.vector * 1e3;
        let task = Task::near([home_mm.x, home_mm.y, home_mm.z], &mut rng);
        let kit = kit(&kit_key, 1, &trust, &model, arm.state(), LeaseToken(0))?;
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
            rng,
            now_us: TICK_US,
            kit_began_us: 0,
            boot: 1,
            kit,
            evidence,
            trust,
            kit_key,
            stored_token: LeaseToken(0),
            token_due: None,
            model,
            arm,
            task,
            task_since_us: 0,
            lines,
            newest_kit_tick: KitTick(0),
            frame: 0,
            fault: None,
            overheard: Vec::new(),
            checker,
            outcome,
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
        if self.has(Fault::CloggedEdge) {
            return;
        }
        for delivery in self.lines.console_to_edge.receive(self.now_us) {
            self.overhear(&delivery.bytes);
            self.relay(delivery.bytes, delivery.intact);
        }
        for delivery in self.lines.kit_to_edge.receive(self.now_us) {
            self.kit_said(delivery.bytes);
        }
        if self.now_us.is_multiple_of(FRAME_US) && !self.has(Fault::Camera) {
            self.film();
        }
    }

    fn relay(&mut self, bytes: Vec<u8>, intact: bool) {
        if Kind::of(&bytes) == Ok(Kind::Signed) {
            self.lines.edge_to_kit.send_reliably(self.now_us, bytes);
        } else {
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
            _ => self.lines.edge_to_console.send_reliably(self.now_us, bytes),
        }
    }

    fn count(&mut self, state: &KitState) {
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
        let kit_now = KitTick(self.now_us - self.kit_began_us);
        let mut inbox = vec![KitInput::Arm(self.arm.state())];
        if let Some((_, token)) = self.token_due.take_if(|(due_us, _)| *due_us <= self.now_us) {
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
            match out {
                KitOutput::Datagram(bytes) => self.lines.kit_to_edge.send(self.now_us, &bytes),
                KitOutput::Reliable(bytes) => self.lines.kit_to_edge.send_reliably(self.now_us, bytes),
                KitOutput::StoreToken(token) => self.token_due = Some((self.now_us + 3_000, token)),
            }
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

    fn restart_kit(&mut self) -> Result<(), CannotBegin> {
        self.finish_kit();
        self.boot += 1;
        self.outcome.restarts += 1;
        self.kit =
            kit(&self.kit_key, self.boot, &self.trust, &self.model, self.arm.state(), self.stored_token)?;
        self.kit_began_us = self.now_us - TICK_US;
        (self.newest_kit_tick, self.token_due) = (KitTick(0), None);
        self.lines.kit_to_edge.cut();
        self.lines.edge_to_kit.cut();
        self.checker.kit_restarted();
        self.greet_kit();
        Ok(())
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

    // ---- faults

    fn has(&self, fault: Fault) -> bool {
        self.fault.is_some_and(|(now, _)| now == fault)
    }

    fn faults(&mut self) -> Result<(), CannotBegin> {
        if !self.options.faults {
            return Ok(());
        }
        if let Some((fault, until_us)) = self.fault {
            if self.now_us >= until_us {
                self.end_fault();
            } else if fault == Fault::Forger && self.now_us.is_multiple_of(20_000) {
                self.forge();
            }
        } else if self.now_us >= self.next_fault_us {
            let fault = Fault::ALL[self.rng.usize(0..Fault::ALL.len())];
            self.begin_fault(fault)?;
        }
        Ok(())
    }

    fn begin_fault(&mut self, fault: Fault) -> Result<(), CannotBegin> {
        *self.outcome.faults.entry(fault.name()).or_default() += 1;
        self.fault = Some((fault, self.now_us + self.rng.u64(100_000..4_000_000)));
        let (delay_ms, jitter_ms) = (100.0 + 400.0 * self.rng.f64(), 150.0 * self.rng.f64());
        let partition = self.rng.bool();
        for line in [&mut self.lines.console_to_edge, &mut self.lines.edge_to_console] {
            match fault {
                Fault::Lossy => {
                    line.impairment.loss = 0.3;
                    line.impairment.duplication = 0.2;
                    line.impairment.corruption = 0.1;
                    line.impairment.jitter_ms = 40.0;
                }
                Fault::Slow => (line.impairment.delay_ms, line.impairment.jitter_ms) = (delay_ms, jitter_ms),
                Fault::Partition => line.impairment.partition = true,
                _ => {}
            }
        }
        match fault {
            Fault::Partition if partition => self.lines.edge_to_kit.impairment.partition = true,
            Fault::PedalStuck => self.console.stuck = true,
            Fault::EStop => {
                self.outcome.stops += 1;
                self.bedside.press();
                let press = self.bedside.repeat_press(None);
                press.into_iter().for_each(|bytes| self.lines.edge_to_kit.send_reliably(self.now_us, bytes));
            }
            Fault::ArmButton => self.arm.button = true,
            Fault::Disarmed => {
                let disarm = self.bedside.say(Said::Disarm {});
                self.lines.edge_to_kit.send_reliably(self.now_us, disarm);
            }
            Fault::Restart => self.restart_kit()?,
            _ => {}
        }
        Ok(())
    }

    fn end_fault(&mut self) {
        let wide = Impairment { delay_ms: 20.0, jitter_ms: 4.0, ..Impairment::default() };
        self.lines.console_to_edge.impairment = wide;
        self.lines.edge_to_console.impairment = wide;
        self.lines.edge_to_kit.impairment.partition = false;
        self.console.stuck = false;
        self.arm.button = false;
        self.fault = None;
        self.next_fault_us = self.now_us + self.rng.u64(2_000_000..9_000_000);
    }

    /// Whoever sits on the line keeps what passes.
    fn overhear(&mut self, bytes: &[u8]) {
        if self.overheard.len() < 64 {
            self.overheard.push(bytes.to_vec());
        } else {
            let at = self.rng.usize(0..64);
            self.overheard[at] = bytes.to_vec();
        }
    }

    /// And plays it back, as it was or with a bit turned.
    fn forge(&mut self) {
        if self.overheard.is_empty() {
            return;
        }
        let mut bytes = self.overheard[self.rng.usize(0..self.overheard.len())].clone();
        let forged = self.rng.bool();
        if forged {
            let at = self.rng.usize(0..bytes.len());
            bytes[at] ^= 1 << self.rng.u8(0..8);
        }
        self.lines.edge_to_kit.pass_on(self.now_us, &bytes, !forged);
    }
}

fn kit(
    key: &SigningKey,
    boot: u8,
    trust: &TrustRoot,
    model: &ArmModel,
    measured: ArmState,
    highest: LeaseToken,
) -> Result<Kit, farhand_motion::LimitExceeded> {
    let limits = Limits::default();
    let identity = Identity {
        key: key.clone(),
        boot: KitBootId([boot; 16]),
        trust: trust.clone(),
        limits_digest: limits.digest(),
        arm_digest: model.digest(),
        seed: [boot ^ 0x55; 32],
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

/// Sessions one after the other, each with a seed of its own, until all have run.
pub fn soak(
    sessions: u64,
    seed: u64,
    seconds: u64,
    mut done: impl FnMut(&Outcome),
) -> Result<Outcome, CannotBegin> {
    let mut sum = Outcome { seed, ..Outcome::default() };
    for number in 0..sessions {
        // Every fourth line is good all the way: there the work must get done.
        let options = Options {
            seed: seed.wrapping_mul(1_000_003).wrapping_add(number),
            seconds,
            faults: number % 4 != 0,
        };
        let outcome = Session::new(options)?.run()?;
        done(&outcome);
        sum.add(outcome);
    }
    Ok(sum)
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        self.ticks += other.ticks;
        self.commands += other.commands;
        self.applied += other.applied;
        self.unauthentic += other.unauthentic;
        self.tasks_done += other.tasks_done;
        self.stops += other.stops;
        self.restarts += other.restarts;
        self.moves += other.moves;
        other.refused.into_iter().for_each(|(name, count)| *self.refused.entry(name).or_default() += count);
        other.faults.into_iter().for_each(|(name, count)| *self.faults.entry(name).or_default() += count);
        self.violations.extend(other.violations);
    }
}
