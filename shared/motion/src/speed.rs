//! The tip-speed cap.
//!
//! Invariant: the speed that is capped is never below the tip's true speed, and it grows with every axis's speed. So
//! slowing an axis never speeds the tip up, and a cap never has to deny an axis the braking that its limits ask for.
//! (The true speed has no such property: two joints may cancel, and then stopping one of them speeds the tip up.)

use crate::joints::{AXES, Axes, Axis};
use crate::model::ArmModel;

/// Share of the cap that the tracker uses. The rest covers the levers' change over the ticks that are averaged: at the
/// chosen limits a shaft 30 mm deep lengthens by 2.5 mm in 10 ms while its own part of the speed is at most 36 mm/s.
const CAP_SHARE: f64 = 0.98;

/// Levers at one configuration, m.
pub(crate) struct Levers {
    yaw_m: f64,
    pitch_m: f64,
    wrist_m: f64,
    tip_m: f64,
    turn_m: f64,
}

impl Levers {
    pub(crate) fn at(model: &ArmModel, axes: &Axes) -> Self {
        let shaft_m = (axes[Axis::Insertion.index()] + model.wrist_at_zero_insertion_m()).abs();
        Self {
            yaw_m: shaft_m * axes[Axis::Pitch.index()].cos(),
            pitch_m: shaft_m,
            wrist_m: model.wrist_offset_m(),
            tip_m: model.link_from_tip.translation.vector.norm(),
            turn_m: model.turn_lever_m,
        }
    }

    /// At least the tip's speed, and the tool's turning speed times its lever, m/s.
    fn bound_m_s(&self, velocity: &Axes) -> f64 {
        let [yaw, pitch, insertion, roll, wrist_pitch, wrist_yaw, _] = *velocity;
        let (across, down) = (self.yaw_m * yaw, self.pitch_m * pitch);
        // Yaw, pitch and insertion move the wrist at right angles to one another.
        let shaft_m_s = (across * across + down * down + insertion * insertion).sqrt();
        let bend_rad_s = (yaw * yaw + pitch * pitch).sqrt() + roll.abs() + wrist_pitch.abs();
        let turn_rad_s = bend_rad_s + wrist_yaw.abs();
        let tip_m_s = shaft_m_s + self.wrist_m * bend_rad_s + self.tip_m * turn_rad_s;
        tip_m_s.max(self.turn_m * turn_rad_s)
    }

    /// `wanted`, slowed where the cap asks for it, and whether it was. Each axis stays between `previous` and `wanted`,
    /// or slows further by at most `step`; the jaw is left alone.
    pub(crate) fn restrain(&self, previous: &Axes, wanted: &Axes, step: &Axes, cap_m_s: f64) -> (Axes, bool) {
        let cap_m_s = cap_m_s * CAP_SHARE;
        let wanted_m_s = self.bound_m_s(wanted);
        if wanted_m_s <= cap_m_s {
            return (*wanted, false);
        }
        let calm: Axes = std::array::from_fn(|i| without_speeding_up(previous[i], wanted[i]));
        let calm_m_s = self.bound_m_s(&calm);
        let mut slowed = if calm_m_s <= cap_m_s {
            // The bound is convex, so this share of the way is under the cap.
            let share = (cap_m_s - calm_m_s) / (wanted_m_s - calm_m_s);
            std::array::from_fn(|i| calm[i] + share * (wanted[i] - calm[i]))
        } else {
            let share = cap_m_s / calm_m_s;
            std::array::from_fn(|i| slow_down(calm[i], share, previous[i].abs() - step[i]))
        };
        slowed[AXES - 1] = wanted[AXES - 1];
        (slowed, true)
    }
}

/// What `wanted` asks for in braking, and nothing of what it asks for in speeding up.
fn without_speeding_up(previous: f64, wanted: f64) -> f64 {
    if wanted.abs() <= previous.abs() {
        wanted
    } else if wanted * previous > 0.0 {
        previous
    } else {
        0.0
    }
}

fn slow_down(velocity: f64, share: f64, speed_min: f64) -> f64 {
    (velocity.abs() * share).max(speed_min).copysign(velocity)
}
