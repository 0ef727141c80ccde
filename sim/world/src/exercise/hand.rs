//! A scripted surgeon's hand for exercises: goes where it is told to go next, and no farther ahead of the tool than is seemly.

use farhand_wire::{Pose, state_flags};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use super::Hand;
use crate::{Console, Lead};

/// As fast as it goes, how it gathers speed, and how it turns: at this distance from an axis, as fast as it goes.
const HAND_M_S: f64 = 0.025;
const GATHERS_M_S2: f64 = 0.15;
const TURN_LEVER_M: f64 = 0.025;
const JAW_RAD_S: f64 = 2.0;
/// How far it gets ahead of the tool.
const LEAD_M_MAX: f64 = 0.005;
/// An engagement that came to nothing is given up after so long.
const PATIENCE_US: u64 = 1_200_000;
const TICK_S: f64 = 1e-3;

/// The hand, and where it has the tool's target.
#[derive(Clone, Debug, Default)]
pub struct ScriptedHand {
    /// While it is on the tool.
    on: Option<Hand>,
    speed_m_s: f64,
    /// Since when the kit does not follow.
    lost_us: Option<u64>,
}

impl ScriptedHand {
    /// One millisecond of the hand's way to `next`, at this console.
    pub fn lead(&mut self, now_us: u64, console: &mut Console, next: &Hand) {
        let Some(state) = console.state() else { return };
        let tool = Hand::of_tip(&isometry(&state.setpoint), state.jaw_rad);
        let follows = state.flags & state_flags::ENGAGED != 0;
        if console.is_engaged() && !follows {
            let since_us = *self.lost_us.get_or_insert(now_us);
            if now_us > since_us + PATIENCE_US {
                (self.on, self.lost_us) = (None, None);
                return console.follow(None);
            }
        } else {
            self.lost_us = None;
        }
        let mut hand = self.on.filter(|_| console.is_engaged()).unwrap_or(tool);
        if console.is_engaged() && follows {
            self.go(&mut hand, &tool, next);
        } else {
            self.speed_m_s = 0.0;
        }
        self.on = Some(hand);
        console.follow(Some(Lead { target: pose(&hand.base_from_tip()), jaw_rad: Some(hand.jaw_rad) }));
    }

    fn go(&mut self, hand: &mut Hand, tool: &Hand, next: &Hand) {
        let (from, to) = (hand.base_from_end, next.base_from_end);
        let away_m = (to.translation.vector - from.translation.vector).norm();
        let way_m = away_m.max(from.rotation.angle_to(&to.rotation) * TURN_LEVER_M);
        let ahead_m = (from.translation.vector - tool.base_from_end.translation.vector).norm();
        let wanted_m_s = if ahead_m > LEAD_M_MAX { 0.0 } else { (2.0 * GATHERS_M_S2 * way_m).sqrt() };
        let gathered_m_s = self.speed_m_s + GATHERS_M_S2 * TICK_S;
        self.speed_m_s = wanted_m_s.min(gathered_m_s).min(HAND_M_S);
        if way_m > 1e-9 {
            let share = (self.speed_m_s * TICK_S / way_m).min(1.0);
            let at = from.translation.vector.lerp(&to.translation.vector, share);
            let turn = from.rotation.slerp(&to.rotation, share);
            hand.base_from_end = Isometry3::from_parts(at.into(), turn);
        }
        hand.jaw_rad += (next.jaw_rad - hand.jaw_rad).clamp(-JAW_RAD_S * TICK_S, JAW_RAD_S * TICK_S);
    }
}

fn isometry(pose: &Pose) -> Isometry3<f64> {
    let [w, x, y, z] = pose.orientation_wxyz;
    let turn = UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z));
    Isometry3::from_parts(Translation3::from(pose.position_m), turn)
}

fn pose(isometry: &Isometry3<f64>) -> Pose {
    let turn = isometry.rotation.quaternion();
    Pose {
        position_m: isometry.translation.vector.into(),
        orientation_wxyz: [turn.w, turn.i, turn.j, turn.k],
    }
}
