//! What the aircraft has said of itself.

use farhand_mission::Place;
use mavlink::Message;
use mavlink::dialects::common::*;

use super::{COMPONENT_ID, Peer, Received, SYSTEM_ID};
use crate::FlightMode;

/// The sensors without which no delivery begins.
const NEEDED: [(MavSysStatusSensor, &str); 5] = [
    (MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_GYRO, "gyroscope"),
    (MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_ACCEL, "accelerometer"),
    (MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_3D_MAG, "compass"),
    (MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_GPS, "satellite position"),
    (MavSysStatusSensor::MAV_SYS_STATUS_SENSOR_BATTERY, "battery"),
];
/// MAVLink's own word for "unknown" in `battery_remaining`.
const BATTERY_UNKNOWN: i8 = -1;

#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) aircraft: Option<Peer>,
    autopilot: Option<MavAutopilot>,
    custom_mode: u32,
    pub(super) armed: bool,
    pub(super) heard_us: u64,
    position: Option<Place>,
    pub(super) altitude_m: Option<f64>,
    pub(super) battery_percent: Option<f64>,
    sensors: Option<(MavSysStatusSensor, MavSysStatusSensor)>,
    landed: Option<MavLandedState>,
    pub(super) mission_seq: u16,
    /// 0 where the autopilot does not say.
    pub(super) mission_total: u16,
    last_text: Option<String>,
}

impl Seen {
    /// Takes a message in; false for one that is not the aircraft's or not for us.
    pub(super) fn take(&mut self, now_us: u64, received: &Received) -> bool {
        if let MavMessage::HEARTBEAT(heartbeat) = &received.message {
            self.meet(received.from, heartbeat.autopilot);
        }
        if self.aircraft != Some(received.from) || !is_for_us(&received.message) {
            return false;
        }
        self.heard_us = now_us;
        self.note(&received.message);
        true
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.position
    }

    /// In the air as far as known; unknown counts as on the ground.
    pub(super) fn in_air(&self) -> bool {
        use MavLandedState::*;
        matches!(
            self.landed,
            Some(MAV_LANDED_STATE_IN_AIR | MAV_LANDED_STATE_TAKEOFF | MAV_LANDED_STATE_LANDING)
        )
    }

    pub(super) fn on_ground(&self) -> bool {
        self.landed == Some(MavLandedState::MAV_LANDED_STATE_ON_GROUND)
    }

    pub(super) fn is_landing(&self) -> bool {
        self.landed == Some(MavLandedState::MAV_LANDED_STATE_LANDING)
    }

    /// The first needed thing that is not there or not healthy.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let Some((enabled, health)) = self.sensors else { return Some("its health report") };
        let bad = NEEDED.iter().find(|(sensor, _)| enabled.contains(*sensor) && !health.contains(*sensor));
        match bad {
            Some((_, name)) => Some(name),
            None if self.position.is_none() => Some("its position"),
            None if self.landed.is_none() => Some("whether it stands on the ground"),
            None if self.battery_percent.is_none() => Some("its battery"),
            None => None,
        }
    }

    /// What the aircraft last said in words.
    pub(super) fn reason(&self) -> String {
        self.last_text.clone().unwrap_or_else(|| "no reason was given".into())
    }

    /// PX4 (`px4_custom_mode.h`) and ArduPilot's Copter (`Copter/mode.h`) number their modes differently.
    pub(super) fn mode(&self) -> FlightMode {
        match self.autopilot {
            Some(MavAutopilot::MAV_AUTOPILOT_PX4) => px4_mode(self.custom_mode),
            Some(MavAutopilot::MAV_AUTOPILOT_ARDUPILOTMEGA) => copter_mode(self.custom_mode),
            _ => FlightMode::Other,
        }
    }

    /// The first autopilot that beats is the aircraft; later ones are not.
    fn meet(&mut self, from: Peer, autopilot: MavAutopilot) {
        let has_autopilot = autopilot != MavAutopilot::MAV_AUTOPILOT_INVALID;
        if self.aircraft.is_none() && has_autopilot {
            (self.aircraft, self.autopilot) = (Some(from), Some(autopilot));
        }
    }

    fn note(&mut self, message: &MavMessage) {
        match message {
            MavMessage::HEARTBEAT(beat) => {
                self.custom_mode = beat.custom_mode;
                self.armed = beat.base_mode.contains(MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED);
            }
            MavMessage::GLOBAL_POSITION_INT(position) => {
                self.position = Place::from_e7(position.lat, position.lon).ok().or(self.position);
                self.altitude_m = Some(f64::from(position.relative_alt) * 1e-3);
            }
            MavMessage::SYS_STATUS(status) => self.note_status(status),
            MavMessage::EXTENDED_SYS_STATE(state) => self.landed = Some(state.landed_state),
            MavMessage::MISSION_CURRENT(current) => {
                (self.mission_seq, self.mission_total) = (current.seq, current.total);
            }
            MavMessage::STATUSTEXT(text) if is_serious(text.severity) => {
                self.last_text = text.text.to_str().ok().map(str::to_owned);
            }
            _ => {}
        }
    }

    fn note_status(&mut self, status: &SYS_STATUS_DATA) {
        let (enabled, health) =
            (status.onboard_control_sensors_enabled, status.onboard_control_sensors_health);
        self.sensors = Some((enabled, health));
        if status.battery_remaining != BATTERY_UNKNOWN {
            self.battery_percent = Some(f64::from(status.battery_remaining));
        }
    }
}

fn is_for_us(message: &MavMessage) -> bool {
    let system = message.target_system_id().unwrap_or(0);
    let component = message.target_component_id().unwrap_or(0);
    (system == 0 || system == SYSTEM_ID) && (component == 0 || component == COMPONENT_ID)
}

fn is_serious(severity: MavSeverity) -> bool {
    severity as u32 <= MavSeverity::MAV_SEVERITY_WARNING as u32
}

fn px4_mode(custom_mode: u32) -> FlightMode {
    match (custom_mode >> 16 & 0xff, custom_mode >> 24) {
        (4, 2) => FlightMode::Takeoff,
        (4, 3) => FlightMode::Hold,
        (4, 4) => FlightMode::Mission,
        (4, 5) => FlightMode::Return,
        (4, 6) => FlightMode::Land,
        _ => FlightMode::Other,
    }
}

fn copter_mode(custom_mode: u32) -> FlightMode {
    match custom_mode {
        3 => FlightMode::Mission,     // AUTO
        5 | 17 => FlightMode::Hold,   // LOITER, BRAKE
        6 | 21 => FlightMode::Return, // RTL, SMART_RTL
        9 => FlightMode::Land,
        _ => FlightMode::Other,
    }
}
