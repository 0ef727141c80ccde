//! What the aircraft says unasked: streams, each at its rate, and what they contain.

use mavlink::MessageData;
use mavlink::dialects::common::*;

use super::body::Vec3;
use super::mode::Mode;
use super::safety::Failure;
use super::{Aircraft, Truth};

/// The fastest and the slowest a stream may be asked for.
const INTERVAL_US_MIN: u64 = 10_000;
const INTERVAL_US_MAX: u64 = 3_600 * SECOND_US;
const SECOND_US: u64 = 1_000_000;

/// The streams and their default rates, close to PX4's "normal" and "onboard" profiles.
const DEFAULTS: [(u32, u64); 12] = [
    (HEARTBEAT_DATA::ID, SECOND_US),
    (SYS_STATUS_DATA::ID, SECOND_US / 2),
    (GPS_RAW_INT_DATA::ID, SECOND_US / 2),
    (ATTITUDE_DATA::ID, SECOND_US / 10),
    (LOCAL_POSITION_NED_DATA::ID, SECOND_US / 5),
    (GLOBAL_POSITION_INT_DATA::ID, SECOND_US / 10),
    (MISSION_CURRENT_DATA::ID, SECOND_US / 5),
    (VFR_HUD_DATA::ID, SECOND_US / 4),
    (BATTERY_STATUS_DATA::ID, SECOND_US),
    (HOME_POSITION_DATA::ID, SECOND_US),
    (EXTENDED_SYS_STATE_DATA::ID, SECOND_US / 5),
    (MISSION_ITEM_REACHED_DATA::ID, 0), // sent when it happens
];

/// When each stream is next due.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    table: Vec<Stream>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    id: u32,
    /// 0 is off.
    interval_us: u64,
    due_us: u64,
}

impl Streams {
    pub(super) fn new() -> Self {
        let table = DEFAULTS.map(|(id, interval_us)| Stream { id, interval_us, due_us: 0 });
        Self { table: table.to_vec() }
    }

    /// The streams that are due, each at most once however late the call.
    pub(super) fn due(&mut self, now_us: u64) -> Vec<u32> {
        let due = |stream: &&mut Stream| stream.interval_us > 0 && now_us >= stream.due_us;
        let later = |stream: &mut Stream| {
            stream.due_us = (stream.due_us + stream.interval_us).max(now_us);
            stream.id
        };
        self.table.iter_mut().filter(due).map(later).collect()
    }

    /// SET_MESSAGE_INTERVAL: microseconds, -1 for off, 0 for the default.
    pub(super) fn set_interval(&mut self, id: u32, interval_us: f64) -> MavResult {
        let default_us = DEFAULTS.iter().find(|(each, _)| *each == id).map(|(_, us)| *us);
        let (Some(stream), Some(default_us)) =
            (self.table.iter_mut().find(|stream| stream.id == id), default_us)
        else {
            return MavResult::MAV_RESULT_UNSUPPORTED;
        };
        stream.interval_us = match interval_us {
            us if us.is_nan() => return MavResult::MAV_RESULT_DENIED,
            us if us < 0.0 => 0,
            0.0 => default_us,
            us => (us as u64).clamp(INTERVAL_US_MIN, INTERVAL_US_MAX),
        };
        MavResult::MAV_RESULT_ACCEPTED
    }
}

impl Aircraft {
    pub(super) fn stream(&mut self, now_us: u64) {
        for id in self.streams.due(now_us) {
            let message = self.message(now_us, id);
            self.outbox.extend(message);
        }
    }

    /// REQUEST_MESSAGE: any stream, and the version.
    pub(super) fn send_requested(&mut self, now_us: u64, id: u32) -> MavResult {
        let Some(message) = self.message(now_us, id) else { return MavResult::MAV_RESULT_UNSUPPORTED };
        self.outbox.push(message);
        MavResult::MAV_RESULT_ACCEPTED
    }

    pub(super) fn say(&mut self, severity: MavSeverity, text: &str) {
        // At most 50 characters reach the ground; all texts here are shorter.
        self.outbox.push(MavMessage::STATUSTEXT(STATUSTEXT_DATA {
            severity,
            text: text.into(),
            ..Default::default()
        }));
    }

    pub(super) fn say_reached(&mut self, item: usize) {
        let seq = item as u16; // at most the store's limit
        self.outbox.push(MavMessage::MISSION_ITEM_REACHED(MISSION_ITEM_REACHED_DATA { seq }));
        let current = self.mission_current();
        self.outbox.push(current);
    }

    fn message(&self, now_us: u64, id: u32) -> Option<MavMessage> {
        let blind = self.failures.has(Failure::Gps);
        Some(match id {
            HEARTBEAT_DATA::ID => self.heartbeat(),
            SYS_STATUS_DATA::ID => self.sys_status(),
            GPS_RAW_INT_DATA::ID => self.gps_raw(),
            ATTITUDE_DATA::ID => self.attitude(),
            LOCAL_POSITION_NED_DATA::ID if !blind => self.local_position(),
            GLOBAL_POSITION_INT_DATA::ID if !blind => self.global_position(),
            MISSION_CURRENT_DATA::ID => self.mission_current(),
            VFR_HUD_DATA::ID => self.vfr_hud(),
            BATTERY_STATUS_DATA::ID => self.battery_status(),
            HOME_POSITION_DATA::ID => self.home_position(now_us),
            EXTENDED_SYS_STATE_DATA::ID => self.extended_sys_state(),
            AUTOPILOT_VERSION_DATA::ID => autopilot_version(),
            _ => return None,
        })
    }

    fn heartbeat(&self) -> MavMessage {
        let system_status = match (self.failsafe, self.armed) {
            (Some(_), _) => MavState::MAV_STATE_CRITICAL,
            (None, true) => MavState::MAV_STATE_ACTIVE,
            (None, false) => MavState::MAV_STATE_STANDBY,
        };
        MavMessage::HEARTBEAT(HEARTBEAT_DATA {
            custom_mode: self.mode.custom_mode(),
            mavtype: MavType::MAV_TYPE_QUADROTOR,
            autopilot: MavAutopilot::MAV_AUTOPILOT_PX4,
            base_mode: self.mode.base_mode(self.armed),
            system_status,
            mavlink_version: 3,
        })
    }

    fn sys_status(&self) -> MavMessage {
        let present = MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_GYRO
            | MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_ACCEL
            | MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_MAG
            | MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
            | MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_GPS
            | MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_BATTERY
            | MavSysStatusSensor::MAV_SYS_STATUS_AHRS
            | MavSysStatusSensor::MAV_SYS_STATUS_PREARM_CHECK;
        let mut health = present;
        health.set(MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_GPS, !self.failures.has(Failure::Gps));
        health.set(
            MavSysStatusSensor::MAV_SYS_STATUS_PREARM_CHECK,
            self.armed || self.arming_refusal().is_none(),
        );
        MavMessage::SYS_STATUS(SYS_STATUS_DATA {
            onboard_control_sensors_present: present,
            onboard_control_sensors_enabled: present,
            onboard_control_sensors_health: health,
            load: 250, // a quarter of the processor, in tenths of a per cent
            voltage_battery: (self.battery.volts() * 1_000.0) as u16,
            current_battery: (self.battery.amps() * 100.0) as i16,
            battery_remaining: self.battery_percent(),
            ..Default::default()
        })
    }

    fn gps_raw(&self) -> MavMessage {
        let (lat, lon) = self.ground.e7(self.body.position);
        let velocity = self.body.velocity;
        let blind = self.failures.has(Failure::Gps);
        MavMessage::GPS_RAW_INT(GPS_RAW_INT_DATA {
            time_usec: self.world_us,
            fix_type: if blind { GpsFixType::GPS_FIX_TYPE_NO_GPS } else { GpsFixType::GPS_FIX_TYPE_3D_FIX },
            lat: if blind { 0 } else { lat },
            lon: if blind { 0 } else { lon },
            alt: if blind { 0 } else { self.altitude_amsl_mm() },
            eph: 80,
            epv: 120,
            vel: (velocity.level_length() * 100.0) as u16,
            cog: (velocity.east.atan2(velocity.north).to_degrees().rem_euclid(360.0) * 100.0) as u16,
            satellites_visible: if blind { 0 } else { 14 },
            ..Default::default()
        })
    }

    fn attitude(&self) -> MavMessage {
        let (roll_rad, pitch_rad) = self.body.roll_pitch_rad();
        let yaw_deg = (self.body.heading_deg + 180.0).rem_euclid(360.0) - 180.0;
        MavMessage::ATTITUDE(ATTITUDE_DATA {
            time_boot_ms: self.boot_ms(),
            roll: roll_rad as f32,
            pitch: pitch_rad as f32,
            yaw: yaw_deg.to_radians() as f32,
            ..Default::default()
        })
    }

    fn local_position(&self) -> MavMessage {
        let (position, velocity) = (self.body.position, self.body.velocity);
        MavMessage::LOCAL_POSITION_NED(LOCAL_POSITION_NED_DATA {
            time_boot_ms: self.boot_ms(),
            x: position.north as f32,
            y: position.east as f32,
            z: -position.up as f32,
            vx: velocity.north as f32,
            vy: velocity.east as f32,
            vz: -velocity.up as f32,
        })
    }

    fn global_position(&self) -> MavMessage {
        let (lat, lon) = self.ground.e7(self.body.position);
        let velocity = self.body.velocity;
        MavMessage::GLOBAL_POSITION_INT(GLOBAL_POSITION_INT_DATA {
            time_boot_ms: self.boot_ms(),
            lat,
            lon,
            alt: self.altitude_amsl_mm(),
            relative_alt: (self.body.position.up * 1_000.0) as i32,
            vx: (velocity.north * 100.0) as i16,
            vy: (velocity.east * 100.0) as i16,
            vz: (-velocity.up * 100.0) as i16,
            hdg: (self.body.heading_deg * 100.0) as u16,
        })
    }

    fn mission_current(&self) -> MavMessage {
        let total = self.store.mission().len();
        let current = self.progress.current.min(total.saturating_sub(1));
        let mission_state = match (total, self.progress.current >= total, self.progress.started) {
            (0, _, _) => MissionState::MISSION_STATE_NO_MISSION,
            (_, true, _) => MissionState::MISSION_STATE_COMPLETE,
            (_, _, false) => MissionState::MISSION_STATE_NOT_STARTED,
            _ if self.mode == Mode::Mission => MissionState::MISSION_STATE_ACTIVE,
            _ => MissionState::MISSION_STATE_PAUSED,
        };
        MavMessage::MISSION_CURRENT(MISSION_CURRENT_DATA {
            seq: current as u16, // at most the store's limit
            total: total as u16,
            mission_state,
            mission_mode: if self.mode == Mode::Mission { 1 } else { 2 },
            ..Default::default()
        })
    }

    fn vfr_hud(&self) -> MavMessage {
        let speed_m_s = self.body.velocity.level_length() as f32;
        MavMessage::VFR_HUD(VFR_HUD_DATA {
            airspeed: speed_m_s,
            groundspeed: speed_m_s,
            alt: self.altitude_amsl_mm() as f32 / 1_000.0,
            climb: self.body.velocity.up as f32,
            heading: self.body.heading_deg as i16,
            throttle: if self.armed { 50 } else { 0 },
        })
    }

    fn battery_status(&self) -> MavMessage {
        let mut voltages = [u16::MAX; 10]; // not known by cell
        voltages[0] = (self.battery.volts() * 1_000.0) as u16;
        MavMessage::BATTERY_STATUS(BATTERY_STATUS_DATA {
            current_consumed: -1,
            energy_consumed: (self.battery.used_wh() * 36.0) as i32, // hectojoules
            temperature: i16::MAX,
            voltages,
            current_battery: (self.battery.amps() * 100.0) as i16,
            battery_function: MavBatteryFunction::MAV_BATTERY_FUNCTION_ALL,
            mavtype: MavBatteryType::MAV_BATTERY_TYPE_LIPO,
            battery_remaining: self.battery_percent(),
            charge_state: MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_OK,
            ..Default::default()
        })
    }

    fn home_position(&self, now_us: u64) -> MavMessage {
        let (latitude, longitude) = self.ground.e7(Vec3::default());
        MavMessage::HOME_POSITION(HOME_POSITION_DATA {
            latitude,
            longitude,
            altitude: (self.config.home_altitude_amsl_m * 1_000.0) as i32,
            q: [1.0, 0.0, 0.0, 0.0],
            time_usec: now_us,
            ..Default::default()
        })
    }

    fn extended_sys_state(&self) -> MavMessage {
        let landed_state = if self.body.on_ground() {
            MavLandedState::MAV_LANDED_STATE_ON_GROUND
        } else if self.is_landing() {
            MavLandedState::MAV_LANDED_STATE_LANDING
        } else if self.is_taking_off() {
            MavLandedState::MAV_LANDED_STATE_TAKEOFF
        } else {
            MavLandedState::MAV_LANDED_STATE_IN_AIR
        };
        MavMessage::EXTENDED_SYS_STATE(EXTENDED_SYS_STATE_DATA {
            vtol_state: MavVtolState::MAV_VTOL_STATE_UNDEFINED,
            landed_state,
        })
    }

    /// What is so, for tests and for the one who places the kit on the ground.
    pub fn truth(&self) -> Truth {
        let (lat_deg, lon_deg) = self.ground.degrees(self.body.position);
        Truth {
            lat_deg,
            lon_deg,
            altitude_m: self.body.position.up,
            speed_m_s: self.body.velocity.level_length(),
            armed: self.armed,
            on_ground: self.body.on_ground(),
            released: self.gripper.is_open(),
            dropped: self.dropped,
            mode: self.mode,
            battery: self.battery.remaining(),
            world_us: self.world_us,
        }
    }

    fn altitude_amsl_mm(&self) -> i32 {
        ((self.config.home_altitude_amsl_m + self.body.position.up) * 1_000.0) as i32
    }

    fn battery_percent(&self) -> i8 {
        (self.battery.remaining() * 100.0).round() as i8
    }

    fn boot_ms(&self) -> u32 {
        (self.world_us / 1_000) as u32 // wraps after 49 days, as the field is meant to
    }
}

fn autopilot_version() -> MavMessage {
    use MavProtocolCapability as Can;
    MavMessage::AUTOPILOT_VERSION(AUTOPILOT_VERSION_DATA {
        capabilities: Can::MAV_PROTOCOL_CAPABILITY_MISSION_INT
            | Can::MAV_PROTOCOL_CAPABILITY_COMMAND_INT
            | Can::MAV_PROTOCOL_CAPABILITY_MAVLINK2
            | Can::MAV_PROTOCOL_CAPABILITY_MISSION_FENCE
            | Can::MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE,
        uid: 1234,
        flight_sw_version: 0x010f_04ff, // 1.15.4, a release, whose manner of answering this is
        ..Default::default()
    })
}
