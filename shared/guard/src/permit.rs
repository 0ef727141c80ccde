//! The permit: what the arm may do in this one tick.

use farhand_wire::{Action, ArmSetpoint, KitTick};
use thiserror::Error;

/// Length of a tick.
pub const TICK_MS: f64 = 1.0;
const TICK_S: f64 = TICK_MS / 1000.0;
/// Room for rounding: limits are held to a part in a million.
const TOLERANCE: f64 = 1e-6;

/// Permission for one setpoint in one tick. Only [`Guard::permit`](crate::Guard::permit) makes one; it can be neither
/// copied nor kept, because the one thing to do with it consumes it.
#[derive(Debug)]
#[must_use = "an arm that gets no permit brakes by itself"]
pub struct Permit {
    tick: KitTick,
    arm: usize,
    setpoint: ArmSetpoint,
}

impl Permit {
    pub(crate) fn new(tick: KitTick, arm: usize, setpoint: ArmSetpoint) -> Self {
        Self { tick, arm, setpoint }
    }

    /// The tick it is good for.
    #[must_use]
    pub fn tick(&self) -> KitTick {
        self.tick
    }

    /// The arm that it is for, counted from 0.
    #[must_use]
    pub fn arm(&self) -> usize {
        self.arm
    }

    /// What is permitted.
    #[must_use]
    pub fn setpoint(&self) -> &ArmSetpoint {
        &self.setpoint
    }
}

/// Whoever moves the tools. There is one way to move them.
pub trait Actuator {
    /// Has the permit's arm follow its setpoint, without blocking.
    fn actuate(&mut self, permit: Permit);
}

/// What motion would like in this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    pub joints: [f64; 6],
    pub jaw_rad: f64,
    /// Tip in the arm's base frame.
    pub tip_mm: [f64; 3],
    pub at_rest: bool,
}

/// The arm's own limits, against which every setpoint is checked a second time. Joints: rad, insertion in m.
#[derive(Clone, Debug, PartialEq)]
pub struct SetpointLimits {
    pub position_min: [f64; 6],
    pub position_max: [f64; 6],
    pub velocity_max: [f64; 6],
    pub acceleration_max: [f64; 6],
    pub stop_deceleration_max: [f64; 6],
    pub jaw_rad_min: f64,
    pub jaw_rad_max: f64,
    pub jaw_velocity_rad_s_max: f64,
    pub tip_speed_mm_s_max: f64,
}

/// Which limit a setpoint would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub(crate) enum Broken {
    #[error("joint {joint} at {value}, allowed {min} to {max}")]
    Position { joint: usize, value: f64, min: f64, max: f64 },
    #[error("joint {joint} at {value} a second, limit {max}")]
    Velocity { joint: usize, value: f64, max: f64 },
    #[error("joint {joint} accelerates at {value}, limit {max}")]
    Acceleration { joint: usize, value: f64, max: f64 },
    #[error("tip at {value} mm/s, limit {max}")]
    TipSpeed { value: f64, max: f64 },
}

impl Broken {
    pub(crate) fn value_and_limit(&self) -> (f64, f64) {
        match *self {
            Self::Position { value, min, max, .. } => (value, if value < min { min } else { max }),
            Self::Velocity { value, max, .. }
            | Self::Acceleration { value, max, .. }
            | Self::TipSpeed { value, max } => (value, max),
        }
    }
}

/// The setpoint last permitted, and how fast it was going.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct LastSetpoint {
    joints: [f64; 6],
    velocity: [f64; 6],
    jaw_rad: f64,
    /// Not known after a stop of the guard's own, which knows of joints alone.
    tip_mm: Option<[f64; 3]>,
}

impl LastSetpoint {
    pub(crate) fn at(proposal: &Proposal) -> Self {
        Self {
            joints: proposal.joints,
            velocity: [0.0; 6],
            jaw_rad: proposal.jaw_rad,
            tip_mm: Some(proposal.tip_mm),
        }
    }

    /// Whether the arm can go from here to `next` in one tick.
    pub(crate) fn check(
        &self,
        next: &Proposal,
        limits: &SetpointLimits,
        tip_mm_s_max: f64,
    ) -> Result<(), Broken> {
        for joint in 0..6 {
            self.check_joint(joint, next.joints[joint], limits)?;
        }
        self.check_jaw(next.jaw_rad, limits)?;
        let value = self.tip_speed_mm_s(next);
        holds(value, tip_mm_s_max, Broken::TipSpeed { value, max: tip_mm_s_max })
    }

    fn check_joint(&self, joint: usize, value: f64, limits: &SetpointLimits) -> Result<(), Broken> {
        let (min, max) = (limits.position_min[joint], limits.position_max[joint]);
        if !(min - TOLERANCE..=max + TOLERANCE).contains(&value) {
            return Err(Broken::Position { joint, value, min, max });
        }
        let velocity = (value - self.joints[joint]) / TICK_S;
        let max = limits.velocity_max[joint];
        holds(velocity.abs(), max, Broken::Velocity { joint, value: velocity, max })?;
        let slowing = velocity.abs() < self.velocity[joint].abs() && velocity * self.velocity[joint] >= 0.0;
        let max = if slowing { limits.stop_deceleration_max[joint] } else { limits.acceleration_max[joint] };
        let acceleration = (velocity - self.velocity[joint]) / TICK_S;
        holds(acceleration.abs(), max, Broken::Acceleration { joint, value: acceleration, max })
    }

    fn check_jaw(&self, jaw_rad: f64, limits: &SetpointLimits) -> Result<(), Broken> {
        let (min, max) = (limits.jaw_rad_min, limits.jaw_rad_max);
        if !(min - TOLERANCE..=max + TOLERANCE).contains(&jaw_rad) {
            return Err(Broken::Position { joint: 6, value: jaw_rad, min, max });
        }
        let value = (jaw_rad - self.jaw_rad).abs() / TICK_S;
        let max = limits.jaw_velocity_rad_s_max;
        holds(value, max, Broken::Velocity { joint: 6, value, max })
    }

    pub(crate) fn tip_speed_mm_s(&self, next: &Proposal) -> f64 {
        self.tip_mm.map_or(0.0, |tip_mm| distance(tip_mm, next.tip_mm) / TICK_S)
    }

    /// Goes to `next`, which was checked.
    pub(crate) fn advance(&mut self, next: &Proposal) {
        for joint in 0..6 {
            self.velocity[joint] = (next.joints[joint] - self.joints[joint]) / TICK_S;
        }
        (self.joints, self.jaw_rad, self.tip_mm) = (next.joints, next.jaw_rad, Some(next.tip_mm));
    }

    /// The guard's own stop, for when motion proposed what it must not: each joint slows as fast as it may.
    pub(crate) fn brake(&mut self, limits: &SetpointLimits) {
        self.tip_mm = None;
        for joint in 0..6 {
            let speed = self.velocity[joint].abs() - limits.stop_deceleration_max[joint] * TICK_S;
            self.velocity[joint] = speed.max(0.0).copysign(self.velocity[joint]);
            self.joints[joint] = (self.joints[joint] + self.velocity[joint] * TICK_S)
                .clamp(limits.position_min[joint], limits.position_max[joint]);
        }
    }

    pub(crate) fn setpoint(&self, number: u64, action: Action) -> ArmSetpoint {
        ArmSetpoint { number, action, joints: self.joints, jaw_rad: self.jaw_rad }
    }
}

/// Not-a-number holds nothing.
fn holds(value: f64, max: f64, broken: Broken) -> Result<(), Broken> {
    if value <= max + TOLERANCE * (1.0 + max) { Ok(()) } else { Err(broken) }
}

fn distance(from: [f64; 3], to: [f64; 3]) -> f64 {
    from.iter().zip(to).map(|(from, to)| (to - from).powi(2)).sum::<f64>().sqrt()
}
