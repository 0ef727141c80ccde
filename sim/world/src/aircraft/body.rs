//! The airframe as a point mass over flat ground, in still air.
//!
//! Invariant (local): speed and its change stay within [`Performance`], and the body
//! is never below ground. Axes: north, east and up from home, metres; the ground is
//! level with home everywhere.

/// Standard gravity, m/s².
pub(super) const GRAVITY_M_S2: f64 = 9.806_65;
/// The longest step that is integrated at once, in seconds.
const STEP_S_MAX: f64 = 0.02;
/// Approach speed per metre of distance, 1/s: gentle enough that the acceleration limit never binds at the end.
const APPROACH_PER_S: f64 = 0.8;
/// Below this height a landing goes slowly (PX4's `MPC_LAND_ALT2` and `MPC_LAND_SPEED` are 5 m and 0.7 m/s).
const SLOW_LANDING_BELOW_M: f64 = 5.0;
const SLOW_LANDING_M_S: f64 = 0.7;

/// A vector from home: metres, or metres a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Vec3 {
    pub(super) north: f64,
    pub(super) east: f64,
    pub(super) up: f64,
}

impl Vec3 {
    pub(super) fn level_length(self) -> f64 {
        self.north.hypot(self.east)
    }

    pub(super) fn level_distance_m(self, other: Vec3) -> f64 {
        (other.north - self.north).hypot(other.east - self.east)
    }
}

/// What the airframe can do. Chosen here, for a heavy multicopter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Performance {
    pub cruise_m_s: f64,
    pub climb_m_s: f64,
    pub descend_m_s: f64,
    pub level_m_s2: f64,
    pub vertical_m_s2: f64,
    pub turn_deg_s: f64,
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            cruise_m_s: 15.0,
            climb_m_s: 4.0,
            descend_m_s: 2.5,
            level_m_s2: 3.0,
            vertical_m_s2: 2.0,
            turn_deg_s: 60.0,
        }
    }
}

/// What the airframe should do now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// Motors off; a body in the air falls.
    Off,
    /// Motors at idle on the ground.
    Idle,
    /// Fly to a point, at most this fast over ground.
    To { point: Vec3, speed_m_s: f64 },
    /// Come down over a point; without one, wherever it drifts.
    Down { over: Option<Vec3> },
}

/// Where the airframe is and how it moves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Body {
    pub(super) position: Vec3,
    pub(super) velocity: Vec3,
    /// The last step's acceleration, m/s²; the attitude follows from it.
    pub(super) acceleration: Vec3,
    /// Clockwise from north, 0 to 360.
    pub(super) heading_deg: f64,
}

impl Body {
    pub(super) fn on_ground(&self) -> bool {
        self.position.up <= 0.0
    }

    /// Moves on by `seconds`, in steps small enough for the motion to be smooth.
    pub(super) fn advance(&mut self, seconds: f64, goal: Goal, can: &Performance) {
        // No time, no step: below, speeds are divided by it.
        let steps = (seconds / STEP_S_MAX).ceil();
        for _ in 0..steps as u32 {
            self.advance_once(seconds / steps, goal, can);
        }
    }

    /// Roll and pitch in radians that give this acceleration at this heading (small-angle, thrust up).
    pub(super) fn roll_pitch_rad(&self) -> (f64, f64) {
        let (sin, cos) = self.heading_deg.to_radians().sin_cos();
        let ahead = self.acceleration.north * cos + self.acceleration.east * sin;
        let right = self.acceleration.east * cos - self.acceleration.north * sin;
        ((right / GRAVITY_M_S2).atan(), (-ahead / GRAVITY_M_S2).atan())
    }

    fn advance_once(&mut self, dt_s: f64, goal: Goal, can: &Performance) {
        self.acceleration = self.acceleration_toward(goal, dt_s, can);
        self.velocity.north += self.acceleration.north * dt_s;
        self.velocity.east += self.acceleration.east * dt_s;
        self.velocity.up += self.acceleration.up * dt_s;
        self.position.north += self.velocity.north * dt_s;
        self.position.east += self.velocity.east * dt_s;
        self.position.up += self.velocity.up * dt_s;
        self.turn(dt_s, goal, can);
        self.rest_on_ground();
    }

    fn acceleration_toward(&self, goal: Goal, dt_s: f64, can: &Performance) -> Vec3 {
        if goal == Goal::Off {
            let up = if self.on_ground() { 0.0 } else { -GRAVITY_M_S2 };
            return Vec3 { north: 0.0, east: 0.0, up };
        }
        let wanted = self.wanted_velocity(goal, can);
        let (north, east) = (wanted.north - self.velocity.north, wanted.east - self.velocity.east);
        let scale = shrink_to(north.hypot(east) / dt_s, can.level_m_s2) / dt_s;
        let up = (wanted.up - self.velocity.up) / dt_s;
        let up = up.clamp(-can.vertical_m_s2, can.vertical_m_s2);
        Vec3 { north: north * scale, east: east * scale, up }
    }

    fn wanted_velocity(&self, goal: Goal, can: &Performance) -> Vec3 {
        match goal {
            Goal::Off | Goal::Idle => Vec3::default(),
            Goal::To { point, speed_m_s } => {
                let speed_m_s = speed_m_s.min(can.cruise_m_s);
                Vec3 { up: self.vertical_m_s(point.up, can), ..self.level_m_s(point, speed_m_s, can) }
            }
            Goal::Down { over } => {
                let level = over.map_or_else(Vec3::default, |point| self.level_m_s(point, 5.0, can));
                let slow = self.position.up < SLOW_LANDING_BELOW_M;
                Vec3 { up: if slow { -SLOW_LANDING_M_S } else { -can.descend_m_s }, ..level }
            }
        }
    }

    fn level_m_s(&self, point: Vec3, speed_m_s: f64, can: &Performance) -> Vec3 {
        let distance_m = self.position.level_distance_m(point);
        let speed_m_s = braking_m_s(distance_m, can.level_m_s2).min(speed_m_s);
        let per_metre = if distance_m > 1e-6 { speed_m_s / distance_m } else { 0.0 };
        Vec3 {
            north: (point.north - self.position.north) * per_metre,
            east: (point.east - self.position.east) * per_metre,
            up: 0.0,
        }
    }

    fn vertical_m_s(&self, up_m: f64, can: &Performance) -> f64 {
        let climb_m = up_m - self.position.up;
        let speed_m_s = braking_m_s(climb_m.abs(), can.vertical_m_s2);
        (speed_m_s * climb_m.signum()).clamp(-can.descend_m_s, can.climb_m_s)
    }

    /// The nose follows the track once it moves; near a target it stays.
    fn turn(&mut self, dt_s: f64, goal: Goal, can: &Performance) {
        if !matches!(goal, Goal::To { .. }) || self.velocity.level_length() < 1.0 {
            return;
        }
        let track_deg = self.velocity.east.atan2(self.velocity.north).to_degrees();
        let off_deg = (track_deg - self.heading_deg + 540.0).rem_euclid(360.0) - 180.0;
        let most_deg = can.turn_deg_s * dt_s;
        self.heading_deg = (self.heading_deg + off_deg.clamp(-most_deg, most_deg)).rem_euclid(360.0);
    }

    fn rest_on_ground(&mut self) {
        if self.position.up > 0.0 || self.velocity.up > 0.0 {
            return;
        }
        self.position.up = 0.0;
        self.velocity = Vec3::default();
    }
}

/// The speed from which the body can still stop within `distance_m`, slower close by.
fn braking_m_s(distance_m: f64, brake_m_s2: f64) -> f64 {
    (2.0 * 0.7 * brake_m_s2 * distance_m).sqrt().min(APPROACH_PER_S * distance_m)
}

fn shrink_to(seen: f64, most: f64) -> f64 {
    if seen > most { most / seen } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: it gets there, without overshoot worth the name, within its limits all the way.
        #[test]
        fn it_gets_there_within_its_limits(
            north in -800.0..800.0_f64, east in -800.0..800.0_f64, up in 5.0..100.0_f64,
        ) {
            let can = Performance::default();
            let point = Vec3 { north, east, up };
            let mut body = Body::default();
            for _ in 0..8_000 {
                let before = body.velocity;
                body.advance(0.02, Goal::To { point, speed_m_s: 15.0 }, &can);
                let change = (body.velocity.north - before.north).hypot(body.velocity.east - before.east);
                prop_assert!(change <= can.level_m_s2 * 0.02 + 1e-9);
                prop_assert!(body.velocity.level_length() <= can.cruise_m_s + 1e-6);
                prop_assert!(body.position.up >= 0.0 && body.position.up < up + 0.5);
            }
            prop_assert!(body.position.level_distance_m(point) < 0.1, "{:?}", body.position);
            prop_assert!((body.position.up - up).abs() < 0.1);
        }
    }

    /// Goal: a landing ends on the ground, at rest, over the point.
    #[test]
    fn a_landing_ends_at_rest_over_the_point() {
        let over = Vec3 { north: 3.0, east: -2.0, up: 0.0 };
        let mut body = Body { position: Vec3 { north: 0.0, east: 0.0, up: 30.0 }, ..Body::default() };
        body.advance(60.0, Goal::Down { over: Some(over) }, &Performance::default());
        assert!(body.on_ground() && body.velocity == Vec3::default());
        assert!(body.position.level_distance_m(over) < 0.05);
    }
}
