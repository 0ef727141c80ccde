//! One axis on its way to a goal.
//!
//! Invariant: after every tick the axis can still stop at its goal, or, when the goal has just moved nearer, within the
//! goals it has had. The speeds here are exact for motion in ticks, not samples of a continuous law, which is why an
//! axis neither overshoots nor creeps.

use crate::TICK_S;

/// Positions this near to the goal are the goal: well above rounding, and a hundred-millionth of a rad/s² when taken up.
const ARRIVED: f64 = 1e-14;

/// The greatest velocity for the coming tick from which the axis can still brake to rest on its goal.
///
/// In units of one tick, braking from v with v lowered by `step` a tick covers (n+1)v - step n(n+1)/2, n = floor(v/step);
/// this is its inverse.
pub(crate) fn approach_velocity(error: f64, acceleration: f64) -> f64 {
    let step = acceleration * TICK_S;
    let distance = error.abs() / TICK_S;
    let ticks = (((1.0 + 8.0 * distance / step).sqrt() - 1.0) * 0.5).floor();
    let speed = distance / (ticks + 1.0) + step * ticks * 0.5;
    speed.copysign(error)
}

/// Where a tick at this velocity leads; the goal itself when it is that near.
pub(crate) fn advance(position: f64, velocity: f64, goal: f64) -> f64 {
    let next = position + velocity * TICK_S;
    if (next - goal).abs() <= ARRIVED { goal } else { next }
}

/// The velocity one tick of braking later.
pub(crate) fn braked(velocity: f64, deceleration: f64) -> f64 {
    let step = deceleration * TICK_S;
    let left = velocity.abs() - step;
    // What rounding leaves over must not cost a tick of its own.
    if left <= step * 1e-9 { 0.0 } else { left.copysign(velocity) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: from any distance, the axis arrives exactly, never passes the goal, and never exceeds its acceleration.
    #[test]
    fn an_axis_arrives_exactly_and_never_passes_its_goal() {
        for (goal, acceleration) in [(1.0, 20.0), (1e-6, 20.0), (-0.37, 4.0), (3e-5, 60.0), (0.2, 0.7)] {
            let (mut position, mut velocity) = (0.0_f64, 0.0_f64);
            let mut ticks = 0;
            while position != goal || velocity != 0.0 {
                let step = acceleration * TICK_S;
                let wanted = approach_velocity(goal - position, acceleration);
                let next = wanted.clamp(velocity - step, velocity + step);
                assert!(
                    (next - wanted).abs() < 1e-9 || next.abs() <= wanted.abs(),
                    "could not brake in time"
                );
                velocity = next;
                position = advance(position, velocity, goal);
                assert!((goal - position) * goal >= 0.0, "passed {goal} at {position}");
                ticks += 1;
                assert!(ticks < 10_000, "{goal} not reached, at {position}");
            }
        }
    }

    /// Goal: a stop takes exactly as many ticks as its deceleration asks for.
    #[test]
    fn braking_takes_the_least_whole_number_of_ticks() {
        for (velocity, ticks) in [(0.04, 1), (0.0401, 2), (-0.08, 2), (0.1, 3), (0.0, 0)] {
            let mut left = velocity;
            for _ in 0..ticks {
                assert_ne!(left, 0.0);
                left = braked(left, 40.0);
            }
            assert_eq!(left, 0.0, "from {velocity}");
        }
    }
}
