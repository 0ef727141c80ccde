//! P5, P7 and P13: how the tool moves, whoever moves it.

use farhand_wire::{Action, ArmSetpoint};

use super::{COMMAND_AGE_US_MAX, Checker, ROUNDING, TICK_S, geometry::distance, happened::Precondition};

/// Loop delay and jitter up to which the tool may be as fast as the arm; from there to the greatest age of a command, less.
const SPEED_FULL_MS: f64 = 100.0;
const SPEED_RECOVERY_TICKS: f64 = 2_000.0;
/// In so many ticks a tool that is too fast has slowed down, whatever it was doing.
const SLOWING_TICKS: usize = 100;
/// The kit looks at a message up to a tick after it came.
const SHARE_SLACK: f64 = 0.01;

impl Checker {
    /// The worse the line, the slower, and only slowly faster again.
    pub(super) fn speed_allowed(&mut self) {
        let age_ms_max = COMMAND_AGE_US_MAX as f64 / 1000.0;
        let share =
            |(delay_ms, jitter_ms)| (age_ms_max - delay_ms - jitter_ms) / (age_ms_max - SPEED_FULL_MS);
        let now = self.line.map_or(0.0, share).clamp(0.0, 1.0);
        let before = self.speeds.back().copied().unwrap_or(0.0);
        self.speeds.push_back(now.min(before + 1.0 / SPEED_RECOVERY_TICKS));
        if self.speeds.len() > SLOWING_TICKS {
            self.speeds.pop_front();
        }
    }

    pub(super) fn check_step(
        &mut self,
        now_us: u64,
        arm: usize,
        last: &ArmSetpoint,
        next: &ArmSetpoint,
        tip_mm: [f64; 3],
    ) {
        for joint in 0..6 {
            let velocity = (next.joints[joint] - last.joints[joint]) / TICK_S;
            self.check_joint(now_us, (arm, joint), next.joints[joint], velocity, next.action);
            self.arms[arm].velocity[joint] = velocity;
        }
        let limits = self.arms[arm].limits;
        let tip_mm_s = distance(self.arms[arm].tool_mm[0], tip_mm) / TICK_S;
        if tip_mm_s > limits.tip_speed_mm_s_max * (1.0 + 1e-3) {
            self.broken("P5", now_us, format!("tip at {tip_mm_s:.1} mm/s"));
        }
        if next.action == Action::Move && self.speeds.back().is_some_and(|&share| share < 1.0) {
            self.happened(Precondition::LimitedLine);
        }
        let fastest = limits.acceleration_rad_m_s2_max[0] * TICK_S * TICK_S;
        let step = [last, next].map(|setpoint| setpoint.joints[0]);
        if next.action == Action::Move && (step[1] - step[0]).abs() > 3.0 * fastest {
            self.happened(Precondition::Fast);
        }
        if next.action == Action::Withdraw && last.action != Action::Withdraw {
            self.happened(Precondition::Withdrawal);
        }
        let share = self.speeds.iter().copied().fold(0.0, f64::max) + SHARE_SLACK;
        if next.action == Action::Move && tip_mm_s > limits.tip_speed_mm_s_max * share {
            let words = format!("tip at {tip_mm_s:.1} mm/s, the line allows a share of {share:.2}");
            self.broken("P7", now_us, words);
        }
        let drawn_out = next.joints[2] <= last.joints[2] + ROUNDING
            && (0..6).all(|joint| joint == 2 || (next.joints[joint] - last.joints[joint]).abs() < ROUNDING);
        // What moved before comes to rest first.
        let drawing = &mut self.arms[arm].drawing;
        *drawing = next.action == Action::Withdraw && (*drawing || next.joints == last.joints || drawn_out);
        if *drawing && !drawn_out {
            self.broken("P13", now_us, "a withdrawal does more than draw the tool out".into());
        }
        if next.action == Action::Hold && next.joints != last.joints {
            self.broken("P2", now_us, "drifts while holding".into());
        }
        if next.action == Action::Move {
            self.arms[arm].stopping = false;
        }
    }

    pub(super) fn check_joint(
        &mut self,
        now_us: u64,
        (arm, joint): (usize, usize),
        position: f64,
        velocity: f64,
        action: Action,
    ) {
        let limits = self.arms[arm].limits;
        let (min, max) = (limits.position_rad_m_min[joint], limits.position_rad_m_max[joint]);
        if !(min - ROUNDING..=max + ROUNDING).contains(&position) {
            self.broken("P5", now_us, format!("joint {joint} at {position}, outside {min} to {max}"));
        }
        let fastest = limits.velocity_rad_m_s_max[joint];
        if velocity.abs() > fastest * (1.0 + ROUNDING) + ROUNDING {
            self.broken("P5", now_us, format!("joint {joint} at {velocity} a second, limit {fastest}"));
        }
        let brake = limits.stop_deceleration_rad_m_s2_max[joint];
        let change = (velocity - self.arms[arm].velocity[joint]).abs() / TICK_S;
        if change > brake * (1.0 + ROUNDING) + ROUNDING {
            self.broken("P5", now_us, format!("joint {joint} accelerates at {change}, limit {brake}"));
        }
        let allowed = (self.arms[arm].velocity[joint].abs() - brake * TICK_S).max(0.0);
        let stops = self.arms[arm].stopping && matches!(action, Action::Brake | Action::Hold);
        if stops && velocity.abs() > allowed + ROUNDING {
            let words = format!("joint {joint} still at {velocity} after the stop, {allowed} allowed");
            self.broken("P3", now_us, words);
        }
    }
}
