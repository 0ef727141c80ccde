//! The loop's own machine: one step a millisecond.

use arrayvec::ArrayVec;
use farhand_guard::{
    Actuator, Authentic, Guard, Input, Intent, Lag, Limits, Order, Proposal, Report, Response, Said,
    SetpointLimits,
};
use farhand_motion::{
    ArmLimits, ArmModel, Joints, LimitExceeded, Motion, REGIONS_MAX, Region, Setpoint, Target,
};
use farhand_wire::{
    ArmState, Command, FrameMark, KitTick, LeaseToken, Pose, PressId, Verdict, Watermark, arm_flags,
    state_flags,
};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use crate::{Measured, SELF_TEST_ITEMS_MAX, SelfTest, TestItem};

/// States go out once in so many ticks: 100 a second.
const STATE_TICKS: u64 = 10;
/// Presses told in a snapshot.
const PRESSES_MAX: usize = 16;

/// From the gate to the loop. Fixed in size, so that the queue between them never allocates.
#[derive(Debug)]
pub enum ToCore {
    Command(Authentic<Command>),
    /// One of the regions that an order after it puts in force.
    Region(Stage),
    Order(Authentic<Order>),
    Frame(FrameMark),
    Watermark(Watermark),
    TokenStored(LeaseToken),
    Closed,
    SelfTest,
}

/// A region on its way to being in force: first those of a version, one by one, then the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    pub version: u64,
    /// Of the version's own, from 0.
    pub number: usize,
    pub region: Region,
}

/// From the loop to the gate. Fixed in size too: a box would be an allocation in the loop.
#[derive(Debug)]
pub enum FromCore {
    Response(Response),
    Judged(Judged),
    Snapshot(Snapshot),
    SelfTest(SelfTest),
}

/// What became of one command, when, and under which token it came. None may be lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub tick: KitTick,
    pub token: LeaseToken,
    pub verdict: Verdict,
}

/// How things stand, a hundred times a second.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub tick: KitTick,
    pub report: Report,
    pub setpoint: Pose,
    pub measured: Pose,
    pub jaw_rad: f64,
    /// For whoever watches, see [`crate::Config::observer`].
    pub joints: SnapshotJoints,
    pub clamped: bool,
    pub presses: ArrayVec<PressId, PRESSES_MAX>,
}

/// Joint by joint; units as in [`ArmState`].
#[derive(Clone, Copy, Debug)]
pub struct SnapshotJoints {
    pub measured: [f64; 6],
    pub measured_jaw_rad: f64,
    pub setpoint: [f64; 6],
    pub setpoint_velocity: [f64; 6],
    pub setpoint_jaw_velocity_rad_s: f64,
}

/// What a self-test compares with.
#[derive(Debug)]
struct SelfTestLimits {
    arm: ArmLimits,
    arm_silence_ms_max: f64,
    limits_digest: [u8; 32],
    arm_digest: [u8; 32],
}

/// Guard and motion, joined. Makes exactly one permit a step.
#[derive(Debug)]
pub struct Core {
    guard: Guard,
    motion: Motion,
    staged: (u64, ArrayVec<Region, REGIONS_MAX>),
    measured: ArmState,
    heard: Option<KitTick>,
    /// Number of the newest setpoint permitted.
    permitted: u64,
    limits: SelfTestLimits,
    steps: u64,
}

impl Core {
    /// Over an arm that stands where it says it does. `highest_token` and `seed` as [`Guard::new`] takes them.
    pub fn new(
        limits: Limits,
        model: &ArmModel,
        measured: ArmState,
        highest_token: LeaseToken,
        seed: [u8; 32],
    ) -> Result<Self, LimitExceeded> {
        let motion = Motion::new(model, Joints(measured.joints), measured.jaw_rad)?;
        let start = proposal(motion.setpoint(), true);
        let tested = SelfTestLimits {
            arm: *model.limits(),
            arm_silence_ms_max: limits.arm_silence_ms_max,
            limits_digest: limits.digest(),
            arm_digest: model.digest(),
        };
        let guard = Guard::new(
            limits,
            setpoint_limits(model.limits()),
            &start,
            measured.setpoint,
            highest_token,
            seed,
        );
        let permitted = measured.setpoint;
        Ok(Self {
            guard,
            motion,
            staged: Default::default(),
            measured,
            heard: None,
            permitted,
            limits: tested,
            steps: 0,
        })
    }

    /// One tick. **Call it once a millisecond, on a thread that nothing else can hold up**: takes in what came from the
    /// arm and through the gate, decides, moves, and hands the actuator its permit.
    pub fn step(
        &mut self,
        now: KitTick,
        arm: Option<ArmState>,
        inbox: impl Iterator<Item = ToCore>,
        actuator: &mut impl Actuator,
        mut out: impl FnMut(FromCore),
    ) {
        if let Some(state) = arm {
            self.measured = state;
            self.heard = Some(now);
            self.guard.take(now, Input::Arm(state));
        }
        for input in inbox {
            self.take(now, input, &mut out);
        }
        let setpoint = self.follow_intent(now);
        let permit = self.guard.permit(now, &proposal(&setpoint, self.motion.is_at_rest()));
        self.permitted = permit.setpoint().number;
        actuator.actuate(permit);
        if self.steps.is_multiple_of(STATE_TICKS) {
            out(FromCore::Snapshot(self.snapshot(now, &setpoint)));
        }
        self.steps += 1;
    }

    fn take(&mut self, now: KitTick, input: ToCore, out: &mut impl FnMut(FromCore)) {
        let input = match input {
            ToCore::Command(command) => return self.judge(now, command, out),
            ToCore::SelfTest => return out(FromCore::SelfTest(self.self_test(now))),
            ToCore::Region(staged) => return self.stage(staged),
            ToCore::Order(order) if !self.is_staged(order.said()) => return,
            ToCore::Order(order) => Input::Order(order),
            ToCore::Frame(mark) => Input::Frame(mark),
            ToCore::Watermark(mark) => Input::Watermark(mark),
            ToCore::TokenStored(token) => Input::TokenStored(token),
            ToCore::Closed => Input::Closed,
        };
        match self.guard.take(now, input) {
            Response::Nothing => {}
            Response::Latched { .. } => self.motion.forbid(&self.staged.1),
            response => out(FromCore::Response(response)),
        }
    }

    fn stage(&mut self, Stage { version, number, region }: Stage) {
        let (staged, regions) = &mut self.staged;
        if number == 0 {
            (*staged, _) = (version, regions.clear());
        }
        if *staged == version && regions.len() == number {
            let _ = regions.try_push(region); // more than there may be are refused at the gate
        }
    }

    /// An order to forbid regions counts if they all came; whoever gave it sees that it did not, and gives it again.
    fn is_staged(&mut self, said: &Said) -> bool {
        let Said::Forbid { version, regions, .. } = said else { return true };
        if *regions == 0 {
            self.staged.1.clear();
            return true;
        }
        self.staged.0 == *version && self.staged.1.len() == *regions
    }

    fn judge(&mut self, now: KitTick, command: Authentic<Command>, out: &mut impl FnMut(FromCore)) {
        let (token, lag) = (command.get().token, self.lag(command.get()));
        if let Response::Verdict(verdict) = self.guard.take(now, Input::Command(command, lag)) {
            out(FromCore::Judged(Judged { tick: now, token, verdict }));
        }
    }

    fn self_test(&self, now: KitTick) -> SelfTest {
        let SelfTestLimits { arm, arm_silence_ms_max, limits_digest, arm_digest } = &self.limits;
        let flag = |flag: u8| f64::from(u8::from(self.measured.flags & flag != 0));
        let silent_ms = self.heard.map_or(f64::INFINITY, |heard| now.ms_since(heard));
        let behind = self.permitted.abs_diff(self.measured.setpoint) as f64;
        let homed = if self.heard.is_some() { flag(arm_flags::HOMED) } else { f64::NAN };
        let mut measured: ArrayVec<_, SELF_TEST_ITEMS_MAX> = ArrayVec::new();
        measured.extend([
            Measured { item: TestItem::ArmSilence, value: silent_ms, min: 0.0, max: *arm_silence_ms_max },
            Measured { item: TestItem::ArmBehind, value: behind, min: 0.0, max: *arm_silence_ms_max },
            Measured { item: TestItem::ArmWatchdog, value: flag(arm_flags::WATCHDOG), min: 0.0, max: 0.0 },
            Measured { item: TestItem::ArmFault, value: flag(arm_flags::FAULT), min: 0.0, max: 0.0 },
            Measured { item: TestItem::ArmButton, value: flag(arm_flags::BUTTON), min: 0.0, max: 0.0 },
            Measured { item: TestItem::Homed, value: homed, min: 0.0, max: 1.0 },
        ]);
        measured.extend((0..6).map(|joint| Measured {
            item: TestItem::Joint(joint as u8),
            value: self.measured.joints[joint],
            min: arm.position_rad_m_min[joint],
            max: arm.position_rad_m_max[joint],
        }));
        let (min, max) = (arm.jaw_position_rad_min, arm.jaw_position_rad_max);
        measured.push(Measured { item: TestItem::Jaw, value: self.measured.jaw_rad, min, max });
        SelfTest { tick: now, measured, limits_digest: *limits_digest, arm_digest: *arm_digest }
    }

    fn lag(&self, command: &Command) -> Lag {
        let lag = self.motion.lag(&self.motion.clamp(&target(&command.target, command.jaw_rad)));
        Lag { mm: lag.mm, deg: lag.deg }
    }

    fn follow_intent(&mut self, now: KitTick) -> Setpoint {
        match self.guard.decide(now) {
            Intent::Stop => self.motion.stop(),
            // The arm says itself whether it has found its zero: one setpoint may be lost on the cable.
            Intent::Home => self.errand(Motion::home, Motion::is_home, arm_flags::HOMED),
            Intent::Withdraw { jaw_rad } => {
                self.errand(|motion| motion.withdraw(jaw_rad), Motion::is_withdrawn, 0)
            }
            Intent::Follow { target: wanted, jaw_rad, tip_speed_mm_s_max } => {
                let wanted = self.motion.clamp(&target(&wanted, jaw_rad));
                self.motion.follow(&wanted, tip_speed_mm_s_max)
            }
        }
    }

    /// Until motion is done with it and the arm shows these flags.
    fn errand(
        &mut self,
        go: impl Fn(&mut Motion) -> Setpoint,
        done: fn(&Motion) -> bool,
        shown: u8,
    ) -> Setpoint {
        let setpoint = go(&mut self.motion);
        if done(&self.motion) && self.measured.flags & shown == shown {
            self.guard.errand_done();
        }
        setpoint
    }

    fn snapshot(&self, now: KitTick, setpoint: &Setpoint) -> Snapshot {
        let measured = self.motion.model().forward(&Joints(self.measured.joints));
        let mut report = self.guard.report(now);
        if setpoint.clamps.any() {
            report.flags |= state_flags::CLAMPED;
        }
        Snapshot {
            tick: now,
            report,
            setpoint: pose(&setpoint.base_from_tip),
            measured: pose(&measured),
            jaw_rad: setpoint.jaw_rad,
            joints: SnapshotJoints {
                measured: self.measured.joints,
                measured_jaw_rad: self.measured.jaw_rad,
                setpoint: setpoint.joints.0,
                setpoint_velocity: setpoint.joint_velocity,
                setpoint_jaw_velocity_rad_s: setpoint.jaw_velocity_rad_s,
            },
            clamped: setpoint.clamps.any(),
            presses: newest(self.guard.presses()),
        }
    }
}

fn newest(presses: impl Iterator<Item = PressId>) -> ArrayVec<PressId, PRESSES_MAX> {
    presses.fold(ArrayVec::new(), |mut kept, press| {
        if kept.is_full() {
            kept.remove(0);
        }
        kept.push(press);
        kept
    })
}

fn proposal(setpoint: &Setpoint, at_rest: bool) -> Proposal {
    let tip_m = setpoint.base_from_tip.translation;
    Proposal {
        joints: setpoint.joints.0,
        jaw_rad: setpoint.jaw_rad,
        tip_mm: [tip_m.x * 1e3, tip_m.y * 1e3, tip_m.z * 1e3],
        at_rest,
    }
}

fn setpoint_limits(limits: &ArmLimits) -> SetpointLimits {
    SetpointLimits {
        position_min: limits.position_rad_m_min,
        position_max: limits.position_rad_m_max,
        velocity_max: limits.velocity_rad_m_s_max,
        acceleration_max: limits.acceleration_rad_m_s2_max,
        stop_deceleration_max: limits.stop_deceleration_rad_m_s2_max,
        jaw_rad_min: limits.jaw_position_rad_min,
        jaw_rad_max: limits.jaw_position_rad_max,
        jaw_velocity_rad_s_max: limits.jaw_velocity_rad_s_max,
        tip_speed_mm_s_max: limits.tip_speed_mm_s_max,
    }
}

fn target(target: &Pose, jaw_rad: f64) -> Target {
    let [x, y, z] = target.position_m;
    let [w, i, j, k] = target.orientation_wxyz;
    let rotation = UnitQuaternion::from_quaternion(Quaternion::new(w, i, j, k));
    Target { base_from_tip: Isometry3::from_parts(Translation3::new(x, y, z), rotation), jaw_rad }
}

fn pose(base_from_tip: &Isometry3<f64>) -> Pose {
    let (t, q) = (base_from_tip.translation, base_from_tip.rotation);
    Pose { position_m: [t.x, t.y, t.z], orientation_wxyz: [q.w, q.i, q.j, q.k] }
}
