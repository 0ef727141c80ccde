//! What pilots may order: COMMAND_LONG and COMMAND_INT, answered as PX4 does.

use mavlink::MessageData;
use mavlink::dialects::common::*;

use super::gripper::Grip;
use super::mode::Mode;
use super::safety::Failure;
use super::{Aircraft, Peer, params};

/// The magic number that disarms in the air (PX4: `COMPONENT_ARM_DISARM`, parameter 2).
const FORCE: f64 = 21_196.0;
const HOLD_TO_CLIMB_M: f64 = 0.5;

/// A command without the accident of which message brought it.
#[derive(Debug, Clone, Copy)]
struct Order {
    from: Peer,
    kind: MavCmd,
    /// Parameters 1 to 7; latitude and longitude (5, 6) in degrees.
    p: [f64; 7],
}

impl Aircraft {
    pub(super) fn command_long(&mut self, now_us: u64, from: Peer, c: &COMMAND_LONG_DATA) {
        let p = [c.param1, c.param2, c.param3, c.param4, c.param5, c.param6, c.param7].map(f64::from);
        self.obey(now_us, Order { from, kind: c.command, p });
    }

    pub(super) fn command_int(&mut self, now_us: u64, from: Peer, c: &COMMAND_INT_DATA) {
        let [p1, p2, p3, p4, p7] = [c.param1, c.param2, c.param3, c.param4, c.z].map(f64::from);
        let p = [p1, p2, p3, p4, f64::from(c.x) * 1e-7, f64::from(c.y) * 1e-7, p7];
        self.obey(now_us, Order { from, kind: c.command, p });
    }

    /// SET_MODE, the older way; it has no acknowledgement.
    pub(super) fn set_mode(&mut self, set: &SET_MODE_DATA) {
        if let Some(mode) = Mode::from_custom_mode(set.custom_mode) {
            self.choose(mode);
        }
    }

    /// Says how the gripper's last order ended.
    pub(super) fn tell_gripper(&mut self, reached: bool) {
        let Some(to) = self.gripper_asked.take() else { return };
        let result = if reached { MavResult::MAV_RESULT_ACCEPTED } else { MavResult::MAV_RESULT_FAILED };
        self.ack(to, MavCmd::MAV_CMD_DO_GRIPPER, result);
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
        self.failsafe = None;
        if self.mode != Mode::Position {
            self.enter(Mode::Hold);
        }
    }

    fn obey(&mut self, now_us: u64, order: Order) {
        use MavCmd::*;
        if order.kind == MAV_CMD_DO_GRIPPER {
            return self.order_gripper(&order);
        }
        let result = match order.kind {
            MAV_CMD_COMPONENT_ARM_DISARM => self.arm_or_disarm(now_us, &order),
            MAV_CMD_NAV_TAKEOFF => self.order_take_off(&order),
            MAV_CMD_NAV_LAND => self.choose(Mode::Land),
            MAV_CMD_NAV_RETURN_TO_LAUNCH => self.choose(Mode::Return),
            MAV_CMD_DO_SET_MODE => self.order_mode(&order),
            MAV_CMD_MISSION_START => self.start_mission(now_us, &order),
            MAV_CMD_DO_SET_MISSION_CURRENT => self.set_current(order.p[0]),
            MAV_CMD_DO_REPOSITION => self.reposition(&order),
            MAV_CMD_DO_CHANGE_SPEED => self.order_speed(order.p[1]),
            MAV_CMD_INJECT_FAILURE => self.order_failure(&order),
            MAV_CMD_SET_MESSAGE_INTERVAL => self.streams.set_interval(order.p[0] as u32, order.p[1]),
            MAV_CMD_REQUEST_MESSAGE => self.send_requested(now_us, order.p[0] as u32),
            MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES => self.send_requested(now_us, AUTOPILOT_VERSION_DATA::ID),
            _ => MavResult::MAV_RESULT_UNSUPPORTED,
        };
        self.ack(order.from, order.kind, result);
    }

    fn arm_or_disarm(&mut self, now_us: u64, order: &Order) -> MavResult {
        if order.p[0] >= 0.5 {
            return self.arm(now_us);
        }
        if !self.body.on_ground() && order.p[1] != FORCE {
            self.say(MavSeverity::MAV_SEVERITY_CRITICAL, "Disarming denied: not landed");
            return MavResult::MAV_RESULT_TEMPORARILY_REJECTED;
        }
        self.disarm();
        MavResult::MAV_RESULT_ACCEPTED
    }

    fn arm(&mut self, now_us: u64) -> MavResult {
        if self.armed {
            return MavResult::MAV_RESULT_ACCEPTED;
        }
        if let Some(reason) = self.arming_refusal() {
            self.say(MavSeverity::MAV_SEVERITY_CRITICAL, reason);
            return MavResult::MAV_RESULT_TEMPORARILY_REJECTED;
        }
        self.armed = true;
        self.armed_us = now_us;
        MavResult::MAV_RESULT_ACCEPTED
    }

    fn order_take_off(&mut self, order: &Order) -> MavResult {
        if !self.armed {
            self.say(MavSeverity::MAV_SEVERITY_CRITICAL, "Takeoff denied: not armed");
            return MavResult::MAV_RESULT_TEMPORARILY_REJECTED;
        }
        // PX4 takes the seventh parameter as an altitude above the sea; without one its own parameter counts.
        let above_home_m = order.p[6] - self.config.home_altitude_amsl_m;
        let usable = above_home_m.is_finite() && above_home_m > HOLD_TO_CLIMB_M;
        self.takeoff_up_m =
            if usable { above_home_m } else { self.params.number(params::TAKEOFF_ALTITUDE_M) };
        self.choose(Mode::Takeoff)
    }

    fn order_mode(&mut self, order: &Order) -> MavResult {
        let custom = MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED.bits();
        if order.p[0] as u8 & custom == 0 {
            return MavResult::MAV_RESULT_UNSUPPORTED;
        }
        match Mode::from_numbers(order.p[1] as u32, order.p[2] as u32) {
            Some(Mode::Takeoff) => {
                self.takeoff_up_m = self.params.number(params::TAKEOFF_ALTITUDE_M);
                self.choose(Mode::Takeoff)
            }
            Some(mode) => self.choose(mode),
            None => MavResult::MAV_RESULT_DENIED,
        }
    }

    /// A pilot's choice of mode also ends a failsafe; if its cause is still there, it comes back.
    fn choose(&mut self, mode: Mode) -> MavResult {
        if mode == Mode::Mission && self.store.mission().is_empty() {
            self.say(MavSeverity::MAV_SEVERITY_CRITICAL, "Mission mode denied: no mission");
            return MavResult::MAV_RESULT_TEMPORARILY_REJECTED;
        }
        if mode == Mode::Mission && self.progress.current >= self.store.mission().len() {
            self.progress = Default::default();
        }
        self.failsafe = None;
        self.enter(mode);
        MavResult::MAV_RESULT_ACCEPTED
    }

    fn start_mission(&mut self, now_us: u64, order: &Order) -> MavResult {
        if self.store.mission().is_empty() {
            return self.choose(Mode::Mission);
        }
        let flying = self.mode == Mode::Mission && self.progress.started;
        if flying {
            return MavResult::MAV_RESULT_ACCEPTED; // a repeat of the same order
        }
        let armed = self.arm(now_us);
        if armed != MavResult::MAV_RESULT_ACCEPTED {
            return armed;
        }
        self.set_current(order.p[0]);
        self.choose(Mode::Mission)
    }

    fn set_current(&mut self, seq: f64) -> MavResult {
        let seq = seq as usize; // negative and NaN become 0
        if seq >= self.store.mission().len() {
            return MavResult::MAV_RESULT_DENIED;
        }
        self.progress = super::flight::Progress { current: seq, ..Default::default() };
        MavResult::MAV_RESULT_ACCEPTED
    }

    fn reposition(&mut self, order: &Order) -> MavResult {
        let [lat_deg, lon_deg, amsl_m] = [order.p[4], order.p[5], order.p[6]];
        let sane = lat_deg.abs() <= 90.0 && lon_deg.abs() <= 180.0 && amsl_m.is_finite();
        if !sane || !self.armed || self.body.on_ground() {
            return MavResult::MAV_RESULT_DENIED;
        }
        let up = (amsl_m - self.config.home_altitude_amsl_m).max(0.0);
        let result = self.choose(Mode::Hold);
        self.hold_at = Some(self.ground.point(lat_deg, lon_deg, up));
        result
    }

    fn order_speed(&mut self, speed_m_s: f64) -> MavResult {
        if speed_m_s.is_nan() || speed_m_s <= 0.0 {
            return MavResult::MAV_RESULT_DENIED;
        }
        self.set_speed(speed_m_s);
        MavResult::MAV_RESULT_ACCEPTED
    }

    /// Answered when the jaws have moved, not before: MAVSDK takes "in progress" for a failure.
    fn order_gripper(&mut self, order: &Order) {
        let result = match self.gripper.order(order.p[1] as u32) {
            Grip::Done => MavResult::MAV_RESULT_ACCEPTED,
            Grip::Unknown => MavResult::MAV_RESULT_DENIED,
            Grip::Moving => {
                self.gripper_asked = Some(order.from);
                return;
            }
        };
        self.ack(order.from, order.kind, result);
    }

    fn order_failure(&mut self, order: &Order) -> MavResult {
        let failure = match order.p[0] as u32 {
            4 => Failure::Gps,         // FAILURE_UNIT_SENSOR_GPS
            2 => Failure::PrearmCheck, // FAILURE_UNIT_SENSOR_MAG
            100 => Failure::Battery,   // FAILURE_UNIT_SYSTEM_BATTERY
            102 => Failure::Gripper,   // FAILURE_UNIT_SYSTEM_SERVO
            105 => Failure::Telemetry, // FAILURE_UNIT_SYSTEM_MAVLINK_SIGNAL
            _ => return MavResult::MAV_RESULT_UNSUPPORTED,
        };
        match order.p[1] as u32 {
            0 => self.inject(failure, false), // FAILURE_TYPE_OK
            1 => self.inject(failure, true),  // FAILURE_TYPE_OFF
            _ => return MavResult::MAV_RESULT_UNSUPPORTED,
        }
        MavResult::MAV_RESULT_ACCEPTED
    }

    fn ack(&mut self, to: Peer, command: MavCmd, result: MavResult) {
        self.outbox.push(MavMessage::COMMAND_ACK(COMMAND_ACK_DATA {
            command,
            result,
            progress: 0,
            result_param2: 0,
            target_system: to.system,
            target_component: to.component,
        }));
    }
}
