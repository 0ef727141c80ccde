//! The 1 kHz tracker: from a target to joint setpoints.
//!
//! Invariants, each held at every tick whatever is called in whatever order:
//! - joints and jaw are within their ranges;
//! - while following, homing or withdrawing, every axis keeps its velocity, acceleration and jerk limits, and the tip
//!   its speed cap (see [`Motion::follow`] for a cap that falls);
//! - while following or homing, the tool stays out of forbidden regions, and while following the tip stays in the
//!   workspace (`fence`); what it is behind already it may leave;
//! - while stopping, every axis's speed falls by its stop deceleration each tick until it is zero, and a stop once begun
//!   is finished before anything else begins.
//!
//! How: the hand's tremor is taken out of what it asks for (`tremor`), each axis runs to its goal by the fastest law that can still stop there (`track`), the tip-speed cap slows what
//! would speed up (`speed`), fences take away what would cross them (`fence`), and a moving average bounds the jerk (`smooth`). A stop leaves all four aside and brakes
//! from the setpoint itself; it ends short of where the tracker would have, for it brakes at least as hard.

use nalgebra::{Isometry3, Point3};

use crate::TICK_S;
use crate::fence::{Bounds, Fence, State};
use crate::joints::{AXES, Axes, Axis, JOINTS, Joints};
use crate::limits::LimitExceeded;
use crate::model::ArmModel;
use crate::region::Region;
use crate::smooth::Smoother;
use crate::speed::Levers;
use crate::target::{Clamped, Clamps, Lag, Target};
use crate::track::{advance, approach_velocity, braked};
use crate::tremor::Tremor;

/// What the arm is told for one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setpoint {
    pub joints: Joints,
    /// Change since the last setpoint, by the tick's length: rad/s, at insertion m/s.
    pub joint_velocity: [f64; JOINTS],
    pub jaw_rad: f64,
    pub jaw_velocity_rad_s: f64,
    pub base_from_tip: Isometry3<f64>,
    /// Distance of the tip from the last setpoint's, by the tick's length.
    pub tip_speed_mm_s: f64,
    /// What was taken from the target or from the motion towards it.
    pub clamps: Clamps,
    /// Made by a stop that had not ended before: bound by the stop limits, not by acceleration and jerk. Whatever else
    /// was asked for waits.
    pub braking: bool,
}

/// The arm's motion from tick to tick. Allocates nothing after [`Motion::new`].
#[derive(Clone, Debug)]
pub struct Motion {
    model: ArmModel,
    limits: AxisTables,
    activity: Activity,
    /// The tracker's own position and velocity, ahead of the setpoint by the smoothing.
    position: Axes,
    velocity: Axes,
    tremor: Tremor,
    smoother: Smoother,
    fence: Fence,
    still_ticks: usize,
    withdraw_goal: Axes,
    output: Axes,
    setpoint: Setpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Stop,
    Follow,
    Home,
    Withdraw,
}

/// The limits with the jaw as a seventh axis.
#[derive(Clone, Debug)]
struct AxisTables {
    position_min: Axes,
    position_max: Axes,
    velocity: Axes,
    acceleration: Axes,
    acceleration_step: Axes,
    stop_deceleration: Axes,
}

/// How fast one tick may be.
struct Pace {
    velocity: Axes,
    tip_speed_mm_s: f64,
}

impl Motion {
    /// At rest at these joints, which must be within the arm's limits.
    pub fn new(model: &ArmModel, joints: Joints, jaw_rad: f64) -> Result<Self, LimitExceeded> {
        model.limits.check_joints(&joints)?;
        model.limits.check_jaw(jaw_rad)?;
        let output = joints.with_jaw(jaw_rad);
        Ok(Self {
            limits: AxisTables::new(model),
            activity: Activity::Stop,
            position: output,
            velocity: [0.0; AXES],
            tremor: Tremor::new(model.tremor, &output),
            smoother: Smoother::new(model.smoothing_ticks, &output),
            fence: Fence::new(model),
            still_ticks: model.smoothing_ticks,
            withdraw_goal: output,
            output,
            setpoint: Setpoint {
                joints,
                joint_velocity: [0.0; JOINTS],
                jaw_rad,
                jaw_velocity_rad_s: 0.0,
                base_from_tip: model.forward(&joints),
                tip_speed_mm_s: 0.0,
                clamps: Clamps::default(),
                braking: false,
            },
            model: model.clone(),
        })
    }

    pub fn model(&self) -> &ArmModel {
        &self.model
    }

    /// The last setpoint given out.
    pub fn setpoint(&self) -> &Setpoint {
        &self.setpoint
    }

    /// Puts a target into the workspace and the joints' ranges, and says what that took. A wrist beyond its range keeps
    /// the tip's place and gives up its direction; an arm without a wrist takes of the direction what its roll can give.
    /// Does not move anything.
    pub fn clamp(&self, target: &Target) -> Clamped {
        self.model.clamp(target, &self.setpoint.joints, self.setpoint.jaw_rad)
    }

    /// How far the present setpoint's tip is from the target, or from where that leaves the forbidden regions.
    pub fn lag(&self, target: &Clamped) -> Lag {
        let mut wanted = *target.base_from_tip();
        let asked: Point3<f64> = wanted.translation.vector.into();
        let outside = self.fence.outside(asked);
        wanted.translation.vector = outside.coords;
        if !self.model.has_wrist() && outside != asked {
            // There the direction comes with the place.
            let joints = self.model.inverse_unlimited(&wanted, &self.setpoint.joints);
            wanted = joints.map_or(wanted, |joints| self.model.forward(&joints));
        }
        Lag::between(&self.setpoint.base_from_tip, &wanted)
    }

    /// From now on the tool keeps out of these regions, and of no others; those beyond [`crate::REGIONS_MAX`] are left
    /// out. Where it is too late for that, it stops as fast as it can, and then may only come out.
    pub fn forbid(&mut self, regions: &[Region]) {
        let state = State { position: &self.position, velocity: &self.velocity };
        let step = &self.limits.acceleration_step;
        let in_time = self.fence.latch(&self.model, regions, state, step);
        if !in_time && !self.is_at_rest() {
            self.activity = Activity::Stop;
        }
    }

    /// One tick towards the target, with the tip no faster than the cap (nor than the arm's own).
    ///
    /// A cap that falls is met within [`ArmModel::smoothing_ticks`], if it falls by no more than the joints can brake;
    /// a faster fall is met by braking at the acceleration limits. A cap of zero brings the arm to rest; NaN is zero.
    pub fn follow(&mut self, target: &Clamped, tip_speed_mm_s_max: f64) -> Setpoint {
        if !self.begin(Activity::Follow) {
            return self.brake();
        }
        let arm_mm_s_max = self.model.limits.tip_speed_mm_s_max;
        let tip_speed_mm_s = tip_speed_mm_s_max.max(0.0).min(arm_mm_s_max);
        let mut velocity = self.limits.velocity;
        // The jaw has no tip speed of its own: it slows by the same share as the hand.
        velocity[Axis::Jaw.index()] *= tip_speed_mm_s / arm_mm_s_max;
        let goal =
            self.tremor.without(&target.joints().with_jaw(target.jaw_rad()), self.setpoint.tip_speed_mm_s);
        let goal = self.limits.clamp(|i| goal[i]);
        self.track(&goal, &Pace { velocity, tip_speed_mm_s }, *target.clamps())
    }

    /// One tick of the fastest stop that the stop limits allow; then stands still.
    pub fn stop(&mut self) -> Setpoint {
        self.brake()
    }

    /// One tick of the slow way home.
    pub fn home(&mut self) -> Setpoint {
        if !self.begin(Activity::Home) {
            return self.brake();
        }
        let home = self.model.home;
        let velocity = self.limits.velocity.map(|max| max * home.velocity_fraction_max);
        let goal = home.joints.with_jaw(home.jaw_rad);
        self.track(&goal, &Pace { velocity, tip_speed_mm_s: home.tip_speed_mm_s_max }, Clamps::default())
    }

    /// One tick of slow withdrawal: the shaft comes out, and nothing else moves but the jaw, if asked for. A wrist that is bent
    /// stays bent, for straightening it would move the tool in the tissue.
    pub fn withdraw(&mut self, jaw_rad: Option<f64>) -> Setpoint {
        if !self.begin(Activity::Withdraw) {
            return self.brake();
        }
        if let Some(jaw_rad) = jaw_rad.filter(|jaw_rad| jaw_rad.is_finite()) {
            let limits = &self.model.limits;
            let kept = jaw_rad.clamp(limits.jaw_position_rad_min, limits.jaw_position_rad_max);
            self.withdraw_goal[Axis::Jaw.index()] = kept;
        }
        let mut velocity = self.limits.velocity;
        velocity[Axis::Insertion.index()] = self.model.withdraw.insertion_speed_m_s_max;
        let pace = Pace { velocity, tip_speed_mm_s: self.model.limits.tip_speed_mm_s_max };
        self.track(&self.withdraw_goal.clone(), &pace, Clamps::default())
    }

    /// The arm stands elsewhere than the last setpoint would have it, within its limits: what follows begins there, at rest.
    pub fn stand(&mut self, joints: Joints, jaw_rad: f64) -> Result<(), LimitExceeded> {
        self.model.limits.check_joints(&joints)?;
        self.model.limits.check_jaw(jaw_rad)?;
        self.activity = Activity::Stop;
        self.output = joints.with_jaw(jaw_rad);
        self.settle();
        self.emit(self.output, [0.0; AXES], Clamps::default());
        Ok(())
    }

    /// **For rehearsals.** What this remembers of one axis is suddenly off by so much, rad or m, as
    /// when memory fails: it will propose what it must not.
    pub fn upset(&mut self, axis: Axis, by: f64) {
        self.output[axis.index()] += by;
        self.position[axis.index()] += by;
        self.smoother.settle(&self.position);
    }

    /// No axis moves, and none has for so many ticks that none will by itself.
    pub fn is_at_rest(&self) -> bool {
        self.still_ticks >= self.model.smoothing_ticks
    }

    /// At rest at the home position, to the last bit.
    pub fn is_home(&self) -> bool {
        let home = &self.model.home;
        self.is_at_rest() && self.output == home.joints.with_jaw(home.jaw_rad)
    }

    /// At rest, with the shaft drawn out as far as a withdrawal goes.
    pub fn is_withdrawn(&self) -> bool {
        self.is_at_rest() && self.setpoint.joints.insertion_m() <= self.model.withdraw.insertion_m
    }

    /// Whether this activity may move the arm now. A change of activity starts from rest, where the tracker and the
    /// setpoint stand at the same place.
    fn begin(&mut self, activity: Activity) -> bool {
        if self.activity == activity {
            return true;
        }
        if !self.is_at_rest() {
            return false;
        }
        self.activity = activity;
        self.tremor.settle(&self.output);
        let state = State { position: &self.position, velocity: &self.velocity };
        self.fence.settle(&self.model, state, &self.limits.acceleration_step);
        self.withdraw_goal = self.output;
        let insertion = &mut self.withdraw_goal[Axis::Insertion.index()];
        *insertion = insertion.min(self.model.withdraw.insertion_m);
        true
    }

    /// The tracker stands where the setpoint stands.
    fn settle(&mut self) {
        self.position = self.output;
        self.velocity = [0.0; AXES];
        self.tremor.settle(&self.output);
        self.smoother.settle(&self.output);
        self.still_ticks = self.model.smoothing_ticks;
    }

    fn track(&mut self, goal: &Axes, pace: &Pace, clamps: Clamps) -> Setpoint {
        let levers = Levers::at(&self.model, &self.position);
        let wanted = self.wanted_velocity(goal, pace);
        let step = &self.limits.acceleration_step;
        let (velocity, tip_speed) =
            levers.restrain(&self.velocity, &wanted, step, pace.tip_speed_mm_s * 1e-3);
        let (velocity, fence) = self.fenced(velocity);
        let before = self.position;
        self.velocity = velocity;
        self.position = self.limits.clamp(|i| advance(before[i], velocity[i], goal[i]));
        let moved = self.position != before || velocity != [0.0; AXES];
        self.still_ticks = if moved { 0 } else { self.still_ticks.saturating_add(1) };
        let mean = self.smoother.push(&self.position);
        let output = self.limits.clamp(|i| mean[i]);
        let output_velocity = std::array::from_fn(|i| (output[i] - self.output[i]) / TICK_S);
        self.emit(output, output_velocity, Clamps { tip_speed, fence, ..clamps })
    }

    /// Homing may cross the workspace's edge. A withdrawal has no fence at all: it draws the tool along its own shaft, where
    /// there is nothing but the shaft.
    fn fenced(&mut self, wanted: Axes) -> (Axes, bool) {
        if self.activity == Activity::Withdraw {
            return (wanted, false);
        }
        let limits = &self.limits;
        let bounds = Bounds {
            velocity: &limits.velocity,
            acceleration_step: &limits.acceleration_step,
            acceleration: &limits.acceleration,
            position_min: &limits.position_min,
            position_max: &limits.position_max,
        };
        let state = State { position: &self.position, velocity: &self.velocity };
        self.fence.restrain(&self.model, state, &wanted, &bounds, self.activity == Activity::Follow)
    }

    /// The fastest velocities from which every axis can still stop at its goal, within pace and acceleration.
    fn wanted_velocity(&self, goal: &Axes, pace: &Pace) -> Axes {
        let limits = &self.limits;
        std::array::from_fn(|i| {
            let fastest = approach_velocity(goal[i] - self.position[i], limits.acceleration[i]);
            let paced = fastest.clamp(-pace.velocity[i], pace.velocity[i]);
            let step = limits.acceleration_step[i];
            paced.clamp(self.velocity[i] - step, self.velocity[i] + step)
        })
    }

    fn brake(&mut self) -> Setpoint {
        self.activity = Activity::Stop;
        let now = Joints(self.setpoint.joint_velocity).with_jaw(self.setpoint.jaw_velocity_rad_s);
        let velocity: Axes = std::array::from_fn(|i| braked(now[i], self.limits.stop_deceleration[i]));
        let output = self.limits.clamp(|i| self.output[i] + velocity[i] * TICK_S);
        let setpoint = self.emit(output, velocity, Clamps::default());
        if velocity == [0.0; AXES] {
            self.settle();
        } else {
            self.still_ticks = 0;
        }
        setpoint
    }

    fn emit(&mut self, output: Axes, velocity: Axes, clamps: Clamps) -> Setpoint {
        let (joints, jaw_rad) = Joints::split(&output);
        let (Joints(joint_velocity), jaw_velocity_rad_s) = Joints::split(&velocity);
        let last_tip = self.setpoint.base_from_tip;
        let moved = joints != self.setpoint.joints;
        let base_from_tip = if moved { self.model.forward(&joints) } else { last_tip };
        let travelled_m = (base_from_tip.translation.vector - last_tip.translation.vector).norm();
        self.output = output;
        self.setpoint = Setpoint {
            joints,
            joint_velocity,
            jaw_rad,
            jaw_velocity_rad_s,
            base_from_tip,
            tip_speed_mm_s: travelled_m / TICK_S * 1e3,
            clamps,
            braking: self.activity == Activity::Stop && !self.is_at_rest(),
        };
        self.setpoint
    }
}

impl AxisTables {
    fn new(model: &ArmModel) -> Self {
        let limits = &model.limits;
        Self {
            position_min: limits.position_min(),
            position_max: limits.position_max(),
            velocity: limits.velocity_max(),
            acceleration: limits.acceleration_max(),
            acceleration_step: limits.acceleration_max().map(|max| max * TICK_S),
            stop_deceleration: limits.stop_deceleration_max(),
        }
    }

    /// Within the ranges. The tracker stops short of them by its own law; this takes rounding away.
    fn clamp(&self, position: impl Fn(usize) -> f64) -> Axes {
        std::array::from_fn(|i| position(i).clamp(self.position_min[i], self.position_max[i]))
    }
}
