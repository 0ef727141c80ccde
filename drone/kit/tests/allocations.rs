//! P10: nothing that the loop does takes memory from the heap once it has begun.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set is a failed test")]

use allocation_counter::measure;
use arrayvec::ArrayVec;
use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit, Report, Response, Verifier};
use farhand_kit::{Core, FromCore, ToCore};
use farhand_ledger::{
    Hash, Member, Utc,
    five_keys::{FiveKeys, Plan},
    verify_opening,
};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{
    Action, ArmState, Challenge, Command, FrameId, FrameMark, KitBootId, KitTick, LeaseToken,
    LeaseTranscript, MacKey, Mode, Pose, PressId, PublicKey, Role, Said, Sequence, SessionId, Statement,
    Watermark, arm_flags,
};

const SESSION: SessionId = SessionId([1; 16]);
const BOOT: KitBootId = KitBootId([2; 16]);
const CONSOLE: [u8; 32] = [3; 32];
const EDGE: u8 = 2;
const FIELD: u8 = 3;
const KIT: u8 = 4;
const SURGEON: u8 = 11;
const BEDSIDE: u8 = 12;

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

/// Arms that do as they are told: two that work and the endoscope's.
struct Obedient([ArmState; 3], Action);

impl Actuator for Obedient {
    fn actuate(&mut self, permit: Permit) {
        let setpoint = *permit.setpoint();
        let arm = &mut self.0[permit.arm()];
        (arm.setpoint, arm.joints, arm.jaw_rad) = (setpoint.number, setpoint.joints, setpoint.jaw_rad);
        if permit.arm() == 0 {
            self.1 = setpoint.action;
        }
    }
}

struct Stage {
    core: Core,
    verifier: Verifier,
    arm: Obedient,
    now: KitTick,
    sequence: u64,
    report: Report,
    pose: Pose,
    /// States of the other arms.
    others: u64,
    /// Of the loop's steps so far.
    allocated: u64,
    actions: ArrayVec<Action, 16>,
}

impl Stage {
    fn new() -> Self {
        let limits = Limits::default();
        let (psm, ecm) = (ArmModel::psm_large_needle_driver(), ArmModel::ecm_straight_endoscope());
        let arms = [psm.clone(), psm, ecm].map(Mounted::from);
        let mut keys = FiveKeys::new([5; 32]);
        let member = |number, role| Member { key: public(number), role, pseudonym: format!("p{number}") };
        let plan = Plan {
            session: SESSION,
            roster: vec![member(SURGEON, Role::Surgeon), member(BEDSIDE, Role::Bedside)],
            edge: public(EDGE),
            kit: &key(KIT),
            field: &key(FIELD),
            limits_digest: Hash(limits.digest()),
            arm_digest: Hash(Mounted::digest_of(&arms)),
            at: Utc { us: 1_760_000_000_000_000, uncertainty_us: 1_000 },
        };
        let opening = verify_opening(&keys.open(plan).unwrap(), keys.trust()).unwrap();
        let mut verifier = Verifier::new(&opening, BOOT);
        verifier.adopt(MacKey::new(&CONSOLE));
        let states = arms.each_ref().map(|arm| {
            let home = arm.model.home();
            ArmState { setpoint: 0, flags: arm_flags::HOMED, joints: home.joints.0, jaw_rad: home.jaw_rad }
        });
        let mut core = Core::new(limits, &arms, &states.map(Some), LeaseToken(0), [7; 32]).unwrap();
        let mut arm = Obedient(states, Action::Hold);
        let (now, mut newest) = (KitTick(1_000), None);
        let said = states.into_iter().enumerate();
        core.step(now, said, std::iter::empty(), &mut arm, |said| newest = Some(said));
        let Some(FromCore::Snapshot(snapshot)) = newest else { panic!("the first step tells a state") };
        Self {
            core,
            verifier,
            arm,
            now,
            sequence: 0,
            report: snapshot.report,
            pose: snapshot.arm.setpoint,
            others: 0,
            allocated: 0,
            actions: ArrayVec::new(),
        }
    }

    /// One millisecond of the loop, with what came; what the guard answered.
    fn step(&mut self, inputs: impl IntoIterator<Item = ToCore>) -> Option<Response> {
        let mut inbox: ArrayVec<ToCore, 8> = inputs.into_iter().collect();
        let mut said: ArrayVec<FromCore, 16> = ArrayVec::new();
        self.now = self.now.plus_ms(1);
        let (arm, core, now) = (&mut self.arm, &mut self.core, self.now);
        let states = arm.0.into_iter().enumerate();
        let used = measure(|| core.step(now, states, inbox.drain(..), arm, |one| said.push(one)));
        self.allocated += used.count_total;
        if !self.actions.contains(&self.arm.1) {
            self.actions.push(self.arm.1);
        }
        let mut answer = None;
        for one in said {
            match one {
                FromCore::Snapshot(snapshot) if snapshot.of.number == 0 => {
                    (self.report, self.pose) = (snapshot.report, snapshot.arm.setpoint)
                }
                FromCore::Snapshot(_) => self.others += 1,
                FromCore::Response(response) => answer = Some(response),
                FromCore::Judged(_) | FromCore::SelfTest(_) => {}
            }
        }
        answer
    }

    fn steps(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step([]);
        }
    }

    fn say(&mut self, by: u8, said: Said) -> Option<Response> {
        let bytes = Statement { session: SESSION, said }.sign(&key(by));
        let order = self.verifier.statement(&bytes).unwrap().unwrap();
        let answer = self.step([ToCore::Order(order)]);
        self.steps(10);
        answer
    }

    fn both(&mut self, said: fn(Challenge) -> Said) {
        let challenge = self.report.challenge;
        for by in [BEDSIDE, SURGEON] {
            self.say(by, said(challenge));
        }
    }

    fn lease(&mut self) {
        let (challenge, x25519) = (self.report.challenge, PublicKey([8; 32]));
        let asked = self.say(SURGEON, Said::LeaseRequest { challenge, x25519 });
        let Some(Response::StoreToken { token, .. }) = asked else { panic!("{asked:?}") };
        let granted = self.step([ToCore::TokenStored(token)]);
        assert!(matches!(granted, Some(Response::Grant { .. })), "{granted:?}");
        let transcript = LeaseTranscript {
            session: SESSION,
            token,
            boot: BOOT,
            holder: public(SURGEON),
            kit: public(KIT),
            holder_x25519: PublicKey([8; 32]),
            kit_x25519: PublicKey([9; 32]),
        };
        let leased = self.say(SURGEON, Said::LeaseConfirm { transcript });
        assert_eq!(leased, Some(Response::Leased { token }));
    }

    /// So many milliseconds of a surgeon, a camera and an edge box that records.
    fn operate(&mut self, ms: u64, change: impl Fn(u64, &mut Command)) {
        let start = self.pose;
        for at in 0..ms {
            let frame = FrameId(self.now.0 / 10_000);
            let film = FrameMark { frame, kit_tick_at_capture: self.now };
            let mark = Watermark {
                token: self.report.token,
                newest: Sequence(self.sequence),
                segments: self.now.0 / 100_000,
            };
            self.sequence += 1;
            let mut target = start;
            target.position_m[0] += 0.004 * (at as f64 / 400.0).sin();
            let mut command = Command {
                session: SESSION,
                token: self.report.token,
                sequence: Sequence(self.sequence),
                kit_tick_echo: self.now,
                arm: 0,
                dead_man: true,
                clutch: false,
                engagement: farhand_wire::EngagementId(1),
                hold: self.report.hold,
                target,
                jaw_rad: 0.1,
                frame_seen: frame,
                frame_age_us: None,
            };
            change(at, &mut command);
            let command = self.verifier.command(&command.seal(&MacKey::new(&CONSOLE))).unwrap();
            self.step([ToCore::Frame(film), ToCore::Watermark(mark), ToCore::Command(command)]);
        }
    }
}

/// Goal: through a whole operation, with its refusals, its stop and its way out, the loop never asks for memory; and the counter
/// does count.
#[test]
fn the_loop_allocates_nothing() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
    let mut stage = Stage::new();
    stage.steps(100);
    stage.step([ToCore::SelfTest]);
    stage.both(|challenge| Said::Arm { challenge });
    stage.lease();
    stage.operate(2_500, |_, command| command.dead_man = false);
    stage.operate(5_000, |_, _| ());
    assert_eq!(stage.report.arm.mode, Mode::Free);
    assert!(stage.report.applied > 4_000, "{:?}", stage.report);

    let applied = stage.report.applied;
    stage.operate(200, |at, command| match at % 3 {
        0 => command.kit_tick_echo = KitTick(1),
        1 => command.frame_seen = FrameId(u64::MAX),
        _ => command.target.position_m[2] += 1.0,
    });
    assert!(stage.report.rejected > 180 && stage.report.applied < applied + 10, "{:?}", stage.report);
    stage.say(SURGEON, Said::EStop { press: PressId([9; 16]) });
    stage.steps(500);
    assert_eq!(stage.report.arm.mode, Mode::Stopped);
    stage.both(|challenge| Said::ClearEStop { challenge });
    let challenge = stage.report.challenge;
    stage.say(BEDSIDE, Said::Home { challenge });
    stage.steps(3_000);
    let challenge = stage.report.challenge;
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    stage.steps(3_000);
    stage.say(BEDSIDE, Said::Disarm {});
    stage.step([ToCore::Closed]);
    stage.steps(100);
    for action in [Action::Hold, Action::Move, Action::Brake, Action::Home, Action::Withdraw] {
        assert!(stage.actions.contains(&action), "no {action:?} among {:?}", stage.actions);
    }
    assert!(stage.others > 1_000, "{}", stage.others);
    assert_eq!(stage.allocated, 0);
}
