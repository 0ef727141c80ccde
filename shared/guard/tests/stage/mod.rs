//! A guard, its verifier and everybody's keys, for the tests of its rules.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "helpers of several test binaries; a stage that cannot be set is a failed test"
)]

use ed25519_dalek::SigningKey;
use farhand_guard::{
    ArmStart, Guard, Input, Intent, Lag, Limits, Proposal, Report, Response, SetpointLimits, Verifier,
};
use farhand_ledger::{
    Hash, Member, Utc,
    five_keys::{FiveKeys, Plan},
    verify_opening,
};
use farhand_wire::*;

pub const SESSION: SessionId = SessionId([1; 16]);
pub const BOOT: KitBootId = KitBootId([2; 16]);
pub const CONSOLE: [u8; 32] = [3; 32];

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// A guard, its verifier, and everybody's keys. `now` is in ms.
pub struct Stage {
    pub guard: Guard,
    pub verifier: Verifier,
    pub now: u64,
    pub sequence: u64,
    pub engagement: u64,
    pub arms: usize,
    pub proposal: Proposal,
    pub at_rest: bool,
    /// The edge box records every command at once, and says so.
    pub recording: bool,
    /// The surgeon's lists that are durable; one more each 100 ms while `listing`.
    pub lists: u64,
    pub listing: bool,
    /// What the arm says each tick.
    pub flags: u8,
}

pub const SURGEON: u8 = 11;
pub const SECOND_SURGEON: u8 = 12;
pub const BEDSIDE: u8 = 13;
pub const AUDITOR: u8 = 14;
pub const HOSPITAL: u8 = 15;

impl Stage {
    pub fn new() -> Self {
        Self::of_arms(1)
    }

    pub fn of_arms(arms: usize) -> Self {
        let roster = [(SURGEON, Role::Surgeon), (SECOND_SURGEON, Role::Surgeon), (BEDSIDE, Role::Bedside)];
        let member = |(seed, role)| Member { key: public(&key(seed)), role, pseudonym: format!("p{seed}") };
        let mut keys = FiveKeys::new([9; 32]);
        let evidence = keys
            .open(Plan {
                session: SESSION,
                roster: roster
                    .into_iter()
                    .chain([(AUDITOR, Role::Auditor), (HOSPITAL, Role::Hospital)])
                    .map(member)
                    .collect(),
                edge: public(&key(21)),
                kit: &key(22),
                field: &key(23),
                limits_digest: Hash([0; 32]),
                arm_digest: Hash([0; 32]),
                at: Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 },
            })
            .unwrap();
        let mut verifier = Verifier::new(&verify_opening(&evidence, keys.trust()).unwrap(), BOOT);
        verifier.adopt(MacKey::new(&CONSOLE));
        let proposal = Proposal { joints: [0.0; 6], jaw_rad: 0.0, tip_mm: [0.0; 3], at_rest: true };
        let arm = ArmStart { limits: limits(), at: proposal, setpoint: 0 };
        let guard = Guard::new(Limits::default(), vec![arm; arms], LeaseToken(0), [7; 32]);
        Self {
            guard,
            verifier,
            now: 1,
            sequence: 0,
            engagement: 0,
            arms,
            proposal,
            at_rest: true,
            recording: true,
            lists: 0,
            listing: true,
            flags: arm_flags::HOMED,
        }
    }

    /// Homed, armed by two, leased to the surgeon, whose line nobody knows yet.
    pub fn leased() -> Self {
        Self::new().lease_it()
    }

    pub fn lease_it(mut self) -> Self {
        let stage = &mut self;
        stage.arm_says(arm_flags::HOMED);
        stage.arm_by_two();
        stage.lease(SURGEON);
        self
    }

    /// On a line that has been good for two seconds, released: ready for an engagement.
    pub fn ready() -> Self {
        Self::leased().wait_for_the_line()
    }

    pub fn wait_for_the_line(mut self) -> Self {
        for _ in 0..2_000 {
            self.send(|command| command.dead_man = false);
            self.tick();
        }
        self
    }

    pub fn engaged() -> Self {
        let mut stage = Self::ready();
        stage.engagement += 1;
        assert_eq!(stage.send(|_| ()), None);
        assert!(matches!(stage.tick(), Intent::Follow { .. }));
        stage
    }

    pub fn tick_now(&self) -> KitTick {
        KitTick(self.now * 1_000)
    }

    pub fn arm_says(&mut self, flags: u8) {
        for arm in 0..self.arms {
            self.one_says(arm, flags);
        }
    }

    pub fn one_says(&mut self, arm: usize, flags: u8) {
        let state = ArmState { setpoint: 0, flags, joints: [0.0; 6], jaw_rad: 0.0 };
        self.guard.take(self.tick_now(), Input::Arm(arm, state));
    }

    /// One millisecond, with an arm that is there, a camera that films and an edge box that records.
    pub fn tick(&mut self) -> Intent {
        self.tick_all()[0]
    }

    pub fn tick_all(&mut self) -> Vec<Intent> {
        self.now += 1;
        self.arm_says(self.flags);
        self.film();
        self.lists += u64::from(self.listing && self.now.is_multiple_of(100));
        if self.recording {
            self.mark(self.sequence);
        }
        let intents = self.guard.decide(self.tick_now());
        self.proposal.at_rest = self.at_rest;
        for arm in 0..self.arms {
            let _ = self.guard.permit(self.tick_now(), arm, &self.proposal);
        }
        intents.to_vec()
    }

    /// A frame every 10 ms.
    pub fn frame(&self) -> FrameId {
        FrameId(self.now / 10 + 1)
    }

    pub fn film(&mut self) {
        let captured = KitTick(self.now / 10 * 10_000);
        let mark = FrameMark { frame: self.frame(), kit_tick_at_capture: captured };
        self.guard.take(self.tick_now(), Input::Frame(mark));
    }

    /// The edge box says that everything up to this command is durable.
    pub fn mark(&mut self, newest: u64) {
        let token = self.report().token;
        let mark = Watermark { token, newest: Sequence(newest), segments: self.lists };
        self.guard.take(self.tick_now(), Input::Watermark(mark));
    }

    /// One millisecond of a surgeon who sends and an edge box that does as `mark` says.
    pub fn reach(&mut self, mut mark: impl FnMut(&mut Stage)) -> Intent {
        self.send(|_| ());
        mark(self);
        self.tick()
    }

    pub fn reach_for(&mut self, ms: u64, mark: impl Fn(&mut Stage)) {
        for _ in 0..ms {
            self.reach(&mark);
        }
    }

    pub fn wait(&mut self, ms: u64) {
        for _ in 0..ms {
            self.tick();
        }
    }

    pub fn report(&self) -> Report {
        self.guard.report(self.tick_now(), 0).unwrap()
    }

    pub fn mode(&self) -> Mode {
        self.report().arm.mode
    }

    pub fn say(&mut self, by: u8, said: Said) -> Response {
        let bytes = Statement { session: SESSION, said }.sign(&key(by));
        let order = self.verifier.statement(&bytes).unwrap().unwrap();
        self.guard.take(self.tick_now(), Input::Order(order))
    }

    pub fn challenge(&self) -> Challenge {
        self.report().challenge
    }

    pub fn arm_by_two(&mut self) {
        let challenge = self.challenge();
        self.say(BEDSIDE, Said::Arm { challenge });
        self.say(SURGEON, Said::Arm { challenge });
    }

    pub fn clear_by_two(&mut self) {
        let challenge = self.challenge();
        self.say(BEDSIDE, Said::ClearEStop { challenge });
        self.say(SURGEON, Said::ClearEStop { challenge });
    }

    pub fn request(&mut self, by: u8) -> Response {
        let challenge = self.challenge();
        self.say(by, Said::LeaseRequest { challenge, x25519: PublicKey([8; 32]) })
    }

    pub fn lease(&mut self, by: u8) -> LeaseToken {
        let Response::StoreToken { token, to } = self.request(by) else { unreachable!("no token for {by}") };
        assert_eq!(
            self.guard.take(self.tick_now(), Input::TokenStored(token)),
            Response::Grant { token, to }
        );
        assert_eq!(self.confirm(by, token), Response::Leased { token });
        (self.sequence, self.engagement) = (0, 0);
        token
    }

    pub fn confirm(&mut self, by: u8, token: LeaseToken) -> Response {
        let transcript = LeaseTranscript {
            session: SESSION,
            token,
            boot: BOOT,
            holder: public(&key(by)),
            kit: public(&key(22)),
            holder_x25519: PublicKey([8; 32]),
            kit_x25519: PublicKey([9; 32]),
        };
        self.say(by, Said::LeaseConfirm { transcript })
    }

    /// The next command, changed as wanted; why it was refused.
    pub fn send(&mut self, change: impl FnOnce(&mut Command)) -> Option<Rejection> {
        self.send_with_lag(Lag::default(), change)
    }

    pub fn send_with_lag(&mut self, lag: Lag, change: impl FnOnce(&mut Command)) -> Option<Rejection> {
        self.sequence += 1;
        let report = self.report();
        self.film();
        let mut command = Command {
            session: SESSION,
            token: report.token,
            sequence: Sequence(self.sequence),
            kit_tick_echo: self.tick_now(),
            arm: 0,
            dead_man: true,
            clutch: false,
            engagement: EngagementId(self.engagement),
            hold: report.hold,
            target: Pose::default(),
            jaw_rad: 0.0,
            frame_seen: self.frame(),
            frame_age_us: None,
        };
        change(&mut command);
        let sealed = command.seal(&MacKey::new(&CONSOLE));
        let command = self.verifier.command(&sealed).unwrap();
        match self.guard.take(self.tick_now(), Input::Command(command, lag)) {
            Response::Verdict(verdict) => verdict.rejection,
            other => unreachable!("{other:?}"),
        }
    }
}

pub fn limits() -> SetpointLimits {
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
