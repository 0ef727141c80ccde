//! A simulated multicopter that answers over MAVLink 2 as PX4 does.
//!
//! [`Aircraft`] is a pure machine: `step(now, inbox) -> outbox`, no clock, no
//! randomness, no socket. [`fly_over_udp`] runs it on a thread, on loopback only.
//!
//! What it is: a point mass over flat ground in still air, a battery, PX4's modes,
//! mission protocol, geofence, gripper and failsafes, well enough that MAVSDK and
//! MAVProxy fly it. What it is not: a model of rotors, wind, sensors or terrain.
//!
//! **Two times.** The link runs in `now`: heartbeats, streams, time-outs, link loss.
//! The world runs `speedup` times as fast: motion and battery. So a delivery can be
//! flown faster than real time while whoever flies it sees an ordinary link.

// Older ground stations still speak what the dialect marks as superseded.
#![allow(deprecated)]

mod body;
mod commands;
mod driver;
mod energy;
mod fence;
mod flight;
mod frames;
mod gripper;
mod ground;
mod mode;
mod params;
mod safety;
mod telemetry;
#[cfg(test)]
mod tests;
mod transfer;

use mavlink::Message;
use mavlink::dialects::common::{MavMessage, TIMESYNC_DATA};
use thiserror::Error;

pub use body::Performance;
pub use driver::{AircraftHandle, DriverError, UdpConfig, fly_over_udp};
pub use energy::Energy;
pub use mode::Mode;
pub use safety::Failure;

use body::{Body, Vec3};
use energy::Battery;
use flight::Progress;
use gripper::Gripper;
use ground::Ground;
use params::Params;
use safety::{Failures, Response};
use telemetry::Streams;
use transfer::Store;

/// The aircraft's MAVLink address: system 1, component 1 (`MAV_COMP_ID_AUTOPILOT1`).
pub const SYSTEM_ID: u8 = 1;
pub const COMPONENT_ID: u8 = 1;

/// The most world time one step may take in, so that a stalled caller never makes it leap.
const WORLD_S_PER_STEP_MAX: f64 = 5.0;
/// On the ground the motors stop by themselves (PX4's `COM_DISARM_LAND` and `COM_DISARM_PRFLT`).
const DISARM_AFTER_LANDING_US: u64 = 2_000_000;
const DISARM_BEFORE_TAKEOFF_US: u64 = 10_000_000;

/// Where the aircraft stands and what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AircraftConfig {
    pub home_lat_deg: f64,
    pub home_lon_deg: f64,
    pub home_altitude_amsl_m: f64,
    /// How many world seconds pass in one second of the link: 1 to 200.
    pub speedup: f64,
    /// Without the load.
    pub mass_kg: f64,
    pub payload_kg: f64,
    pub performance: Performance,
    pub energy: Energy,
    /// Seconds of the link without any heartbeat before the aircraft returns by itself.
    pub link_loss_s: u16,
}

impl Default for AircraftConfig {
    /// At PX4's customary simulation home, Zürich.
    fn default() -> Self {
        Self {
            home_lat_deg: 47.397_742,
            home_lon_deg: 8.545_594,
            home_altitude_amsl_m: 488.0,
            speedup: 1.0,
            mass_kg: 25.0,
            payload_kg: 18.0,
            performance: Performance::default(),
            energy: Energy::default(),
            link_loss_s: 10,
        }
    }
}

/// Why a configuration is not an aircraft.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("{what} is {seen}, but must be {min} to {max}")]
pub struct ConfigError {
    pub what: &'static str,
    pub seen: f64,
    pub min: f64,
    pub max: f64,
}

/// Someone on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    pub system: u8,
    pub component: u8,
}

/// A message with its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub from: Peer,
    pub message: MavMessage,
}

/// What is so, whatever the link says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    pub lat_deg: f64,
    pub lon_deg: f64,
    /// Metres above home.
    pub altitude_m: f64,
    pub speed_m_s: f64,
    pub armed: bool,
    pub on_ground: bool,
    /// The gripper is open: the load is off.
    pub released: bool,
    /// The load was released in the air.
    pub dropped: bool,
    pub mode: Mode,
    /// 1 full, 0 empty.
    pub battery: f64,
    /// World time since the start, microseconds.
    pub world_us: u64,
}

/// The aircraft.
#[derive(Debug, Clone)]
pub struct Aircraft {
    config: AircraftConfig,
    ground: Ground,
    params: Params,
    store: Store,
    streams: Streams,
    outbox: Vec<MavMessage>,

    stepped_us: Option<u64>,
    world_us: u64,
    body: Body,
    battery: Battery,
    gripper: Gripper,
    gripper_asked: Option<Peer>,
    dropped: bool,

    mode: Mode,
    armed: bool,
    armed_us: u64,
    has_flown: bool,
    landed_us: u64,
    progress: Progress,
    speed_m_s: f64,
    takeoff_up_m: f64,
    hold_at: Option<Vec3>,
    land_at: Option<Vec3>,
    return_up_m: Option<f64>,

    failures: Failures,
    failsafe: Option<Response>,
    battery_warned: bool,
    heard_us: Option<u64>,
}

impl Aircraft {
    /// An aircraft on the ground at home, disarmed, with a full battery.
    pub fn new(config: AircraftConfig) -> Result<Self, ConfigError> {
        check(&config)?;
        Ok(Self {
            config,
            ground: Ground::new(config.home_lat_deg, config.home_lon_deg),
            params: Params::new(config.link_loss_s),
            store: Store::default(),
            streams: Streams::new(),
            outbox: Vec::new(),
            stepped_us: None,
            world_us: 0,
            body: Body::default(),
            battery: Battery::new(config.energy),
            gripper: Gripper::default(),
            gripper_asked: None,
            dropped: false,
            mode: Mode::Hold,
            armed: false,
            armed_us: 0,
            has_flown: false,
            landed_us: 0,
            progress: Progress::default(),
            speed_m_s: config.performance.cruise_m_s,
            takeoff_up_m: 0.0,
            hold_at: None,
            land_at: None,
            return_up_m: None,
            failures: Failures::default(),
            failsafe: None,
            battery_warned: false,
            heard_us: None,
        })
    }

    /// Takes in what arrived, moves the world on, and says what there is to say.
    ///
    /// `now_us` is the link's time and never runs back; a step that comes late moves
    /// the world by at most five seconds.
    pub fn step(&mut self, now_us: u64, inbox: &[Received]) -> Vec<MavMessage> {
        let deaf = self.failures.has(Failure::Telemetry);
        for received in inbox.iter().filter(|_| !deaf) {
            self.receive(now_us, received);
        }
        self.move_on(now_us);
        self.watch(now_us);
        self.disarm_on_ground(now_us);
        let asked_again = self.store.poll(now_us);
        self.outbox.extend(asked_again);
        self.stream(now_us);
        let outbox = std::mem::take(&mut self.outbox);
        if deaf { Vec::new() } else { outbox }
    }

    /// Breaks or mends something.
    pub fn inject(&mut self, failure: Failure, on: bool) {
        self.failures.set(failure, on);
        if failure == Failure::Battery && on {
            self.battery.set_remaining(0.04);
        }
    }

    fn receive(&mut self, now_us: u64, received: &Received) {
        if !is_for_us(&received.message) {
            return;
        }
        let from = received.from;
        match &received.message {
            MavMessage::HEARTBEAT(_) => self.heard_us = Some(now_us),
            MavMessage::COMMAND_LONG(command) => self.command_long(now_us, from, command),
            MavMessage::COMMAND_INT(command) => self.command_int(now_us, from, command),
            MavMessage::SET_MODE(set) => self.set_mode(set),
            MavMessage::PARAM_REQUEST_LIST(_) => self.outbox.extend(self.params.all()),
            MavMessage::PARAM_REQUEST_READ(ask) => {
                let name = ask.param_id.to_str().unwrap_or_default();
                self.outbox.extend(self.params.one(name, ask.param_index));
            }
            MavMessage::PARAM_SET(set) => {
                let name = set.param_id.to_str().unwrap_or_default();
                self.outbox.extend(self.params.set(name, set.param_value, set.param_type));
            }
            MavMessage::TIMESYNC(sync) if sync.tc1 == 0 => self.answer_timesync(now_us, from, sync),
            message => self.transfer(now_us, from, message),
        }
    }

    fn answer_timesync(&mut self, now_us: u64, from: Peer, sync: &TIMESYNC_DATA) {
        self.outbox.push(MavMessage::TIMESYNC(TIMESYNC_DATA {
            tc1: i64::try_from(now_us.saturating_mul(1_000)).unwrap_or(i64::MAX),
            ts1: sync.ts1,
            target_system: from.system,
            target_component: from.component,
        }));
    }

    fn transfer(&mut self, now_us: u64, from: Peer, message: &MavMessage) {
        let answer = self.store.handle(now_us, from, message);
        self.outbox.extend(answer.messages);
        if answer.mission_replaced {
            self.progress = Progress::default();
        }
    }

    fn move_on(&mut self, now_us: u64) {
        let since_us = now_us.saturating_sub(self.stepped_us.replace(now_us).unwrap_or(now_us));
        let world_s = (since_us as f64 * 1e-6 * self.config.speedup).min(WORLD_S_PER_STEP_MAX);
        self.world_us += (world_s * 1e6) as u64;
        let goal = self.goal(world_s);
        self.body.advance(world_s, goal, &self.config.performance);
        self.battery.drain(world_s, self.mass_kg(), !self.body.on_ground());
        self.move_gripper(now_us);
    }

    fn move_gripper(&mut self, now_us: u64) {
        let Some(reached) = self.gripper.poll(now_us, self.failures.has(Failure::Gripper)) else { return };
        self.dropped |= reached && self.gripper.is_open() && !self.body.on_ground();
        self.tell_gripper(reached);
    }

    fn disarm_on_ground(&mut self, now_us: u64) {
        if !self.armed {
            self.has_flown = false;
            return;
        }
        if !self.body.on_ground() {
            (self.has_flown, self.landed_us) = (true, now_us);
            return;
        }
        let (since_us, most_us) = if self.has_flown {
            (self.landed_us, DISARM_AFTER_LANDING_US)
        } else {
            (self.armed_us, DISARM_BEFORE_TAKEOFF_US)
        };
        if now_us.saturating_sub(since_us) > most_us {
            self.disarm();
        }
    }

    fn mass_kg(&self) -> f64 {
        let load_kg = if self.gripper.is_open() { 0.0 } else { self.config.payload_kg };
        self.config.mass_kg + load_kg
    }
}

/// Addressed to this aircraft, or to everyone.
fn is_for_us(message: &MavMessage) -> bool {
    let system = message.target_system_id().unwrap_or(0);
    let component = message.target_component_id().unwrap_or(0);
    (system == 0 || system == SYSTEM_ID) && (component == 0 || component == COMPONENT_ID)
}

fn check(config: &AircraftConfig) -> Result<(), ConfigError> {
    let can = &config.performance;
    let ranges = [
        ("home latitude in degrees", config.home_lat_deg, -89.0, 89.0),
        ("home longitude in degrees", config.home_lon_deg, -180.0, 180.0),
        ("home altitude in m", config.home_altitude_amsl_m, -500.0, 6_000.0),
        ("speedup", config.speedup, 1.0, 200.0),
        ("mass in kg", config.mass_kg, 0.1, 1_000.0),
        ("payload in kg", config.payload_kg, 0.0, 1_000.0),
        ("cruise speed in m/s", can.cruise_m_s, 0.5, 50.0),
        ("climb in m/s", can.climb_m_s, 0.2, 20.0),
        ("descent in m/s", can.descend_m_s, 0.2, 20.0),
        ("level acceleration in m/s²", can.level_m_s2, 0.2, 20.0),
        ("vertical acceleration in m/s²", can.vertical_m_s2, 0.2, 20.0),
        ("turn rate in °/s", can.turn_deg_s, 1.0, 720.0),
        ("battery in Wh", config.energy.capacity_wh, 1.0, 100_000.0),
        ("rotor area in m²", config.energy.rotor_area_m2, 0.01, 1_000.0),
        ("efficiency", config.energy.efficiency, 0.05, 1.0),
        ("link loss in s", f64::from(config.link_loss_s), 1.0, 300.0),
    ];
    for (what, seen, min, max) in ranges {
        if !(min..=max).contains(&seen) {
            return Err(ConfigError { what, seen, min, max });
        }
    }
    Ok(())
}
