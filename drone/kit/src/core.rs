//! The loop's own machine: one step a millisecond.

use arrayvec::ArrayVec;
use farhand_guard::{
    Actuator, Authentic, Guard, Input, Intent, Lag, Limits, Order, Proposal, Report, Response, SetpointLimits,
};
use farhand_motion::{ArmLimits, ArmModel, Joints, LimitExceeded, Motion, Setpoint, Target};
use farhand_wire::{
    ArmState, Command, FrameMark, KitTick, LeaseToken, Pose, PressId, VERDICTS_MAX, Verdict, state_flags,
};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

/// States go out once in so many ticks: 100 a second.
const STATE_TICKS: u64 = 10;
/// Presses told in a snapshot.
const PRESSES_MAX: usize = 16;

/// From the gate to the loop. Fixed in size, so that the queue between them never allocates.
#[derive(Debug)]
pub enum ToCore {
    Command(Authentic<Command>),
    Order(Authentic<Order>),
    Frame(FrameMark),
    TokenStored(LeaseToken),
}

/// From the loop to the gate.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation in the loop")]
pub enum FromCore {
    Response(Response),
    Snapshot(Snapshot),
}

/// How things stand, a hundred times a second.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub tick: KitTick,
    pub report: Report,
    pub setpoint: Pose,
    pub measured: Pose,
    pub jaw_rad: f64,
    pub clamped: bool,
    pub verdicts: ArrayVec<Verdict, VERDICTS_MAX>,
    pub presses: ArrayVec<PressId, PRESSES_MAX>,
}

/// Guard and motion, joined. Makes exactly one permit a step.
#[derive(Debug)]
pub struct Core {
    guard: Guard,
    motion: Motion,
    measured: ArmState,
    measured_pose: Pose,
    verdicts: ArrayVec<Verdict, VERDICTS_MAX>,
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
        let guard = Guard::new(
            limits,
            setpoint_limits(model.limits()),
            &start,
            measured.setpoint,
            highest_token,
            seed,
        );
        let measured_pose = pose(&motion.setpoint().base_from_tip);
        Ok(Self { guard, motion, measured, measured_pose, verdicts: ArrayVec::new(), steps: 0 })
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
            self.guard.take(now, Input::Arm(state));
        }
        for input in inbox {
            self.take(now, input, &mut out);
        }
        let setpoint = self.follow_intent(now);
        let permit = self.guard.permit(now, &proposal(&setpoint, self.motion.is_at_rest()));
        actuator.actuate(permit);
        if self.steps.is_multiple_of(STATE_TICKS) {
            out(FromCore::Snapshot(self.snapshot(now, &setpoint)));
        }
        self.steps += 1;
    }

    fn take(&mut self, now: KitTick, input: ToCore, out: &mut impl FnMut(FromCore)) {
        let input = match input {
            ToCore::Command(command) => {
                let lag = self.lag(command.get());
                Input::Command(command, lag)
            }
            ToCore::Order(order) => Input::Order(order),
            ToCore::Frame(mark) => Input::Frame(mark),
            ToCore::TokenStored(token) => Input::TokenStored(token),
        };
        match self.guard.take(now, input) {
            Response::Nothing => {}
            Response::Verdict(verdict) => self.note(verdict, out),
            response => out(FromCore::Response(response)),
        }
    }

    /// Verdicts travel with the next state; when more come than fit, they go out at once.
    fn note(&mut self, verdict: Verdict, out: &mut impl FnMut(FromCore)) {
        if let Err(full) = self.verdicts.try_push(verdict) {
            out(FromCore::Response(Response::Verdict(full.element())));
        }
    }

    fn lag(&self, command: &Command) -> Lag {
        let lag = self.motion.lag(&self.motion.clamp(&target(&command.target, command.jaw_rad)));
        Lag { mm: lag.mm, deg: lag.deg }
    }

    fn follow_intent(&mut self, now: KitTick) -> Setpoint {
        match self.guard.decide(now) {
            Intent::Stop => self.motion.stop(),
            Intent::Home => self.errand(Motion::home, Motion::is_home),
            Intent::Withdraw => self.errand(Motion::withdraw, Motion::is_withdrawn),
            Intent::Follow { target: wanted, jaw_rad, tip_speed_mm_s_max } => {
                let wanted = self.motion.clamp(&target(&wanted, jaw_rad));
                self.motion.follow(&wanted, tip_speed_mm_s_max)
            }
        }
    }

    fn errand(&mut self, go: fn(&mut Motion) -> Setpoint, done: fn(&Motion) -> bool) -> Setpoint {
        let setpoint = go(&mut self.motion);
        if done(&self.motion) {
            self.guard.errand_done();
        }
        setpoint
    }

    fn snapshot(&mut self, now: KitTick, setpoint: &Setpoint) -> Snapshot {
        let measured = self.motion.model().forward(&Joints(self.measured.joints));
        self.measured_pose = pose(&measured);
        let mut report = self.guard.report(now);
        if setpoint.clamps.any() {
            report.flags |= state_flags::CLAMPED;
        }
        Snapshot {
            tick: now,
            report,
            setpoint: pose(&setpoint.base_from_tip),
            measured: self.measured_pose,
            jaw_rad: setpoint.jaw_rad,
            clamped: setpoint.clamps.any(),
            verdicts: std::mem::take(&mut self.verdicts),
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
