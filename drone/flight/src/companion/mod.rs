//! The companion as a pure machine.
//!
//! Invariants (local):
//! 1. Every stage has a time limit and every order a number of tries: `step` ends, whatever arrives.
//! 2. The kit is released only on the ground, within `delivery_m_max` of the delivery point.
//! 3. What counts is the state the aircraft reports; an acknowledgement alone ends no stage but the
//!    gripper's, because a late repeat of an older one looks the same.

mod order;
mod seen;
mod stages;
mod upload;

use farhand_mission::{Condition, Failsafe, Ladder, Mission, Place};
use mavlink::dialects::common::*;

use crate::{Delivered, FlightError, FlightEvent, FlightLimits, FlightMode, Phase};
use order::Order;
use seen::Seen;
use upload::Upload;

/// The companion's MAVLink address: on board, so the aircraft's system, as its onboard computer.
pub(crate) const SYSTEM_ID: u8 = 1;
pub(crate) const COMPONENT_ID: u8 = 191; // MAV_COMP_ID_ONBOARD_COMPUTER

const HEARTBEAT_US: u64 = 1_000_000;
/// How fast the landing is taken to be in estimates, and what take-off and turns add.
const LANDING_M_S: f64 = 1.5;
const OVERHEAD_S: f64 = 20.0;

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

/// What one step asks for.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To the aircraft.
    pub messages: Vec<MavMessage>,
    /// To whoever follows the flight.
    pub events: Vec<FlightEvent>,
    /// Set once, when the flight is over.
    pub end: Option<Result<Delivered, FlightError>>,
}

/// Where in the delivery the machine is.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Connect,
    Check,
    UploadFence,
    UploadMission,
    Arm,
    Start,
    Fly,
    Release,
    Disarm,
    Divert(Why),
    Ended,
}

/// Why the aircraft does not fly the mission any more.
#[derive(Debug, Clone, PartialEq)]
enum Why {
    TookOver { mode: FlightMode },
    CalledOff { condition: Condition, failsafe: Failsafe },
    TooLong { phase: Phase, max_ms: u64 },
}

/// What a stage asks for.
enum Next {
    Stay,
    Go(Stage),
    Done(Delivered),
}

/// Flies one delivery.
#[derive(Debug, Clone)]
pub struct Companion {
    mission: Mission,
    limits: FlightLimits,
    seen: Seen,
    stage: Stage,
    stage_us: u64,
    order: Option<Order>,
    upload: Option<Upload>,
    arm_tries: u32,
    takeoff_us: u64,
    airborne: bool,
    ladder: Ladder,
    link_lost: bool,
    heartbeat_due_us: u64,
    streams_due_us: u64,
    event_due_us: u64,
    told: Option<Phase>,
}

impl Companion {
    pub fn new(mission: Mission, limits: FlightLimits) -> Self {
        Self {
            mission,
            limits,
            seen: Seen::default(),
            stage: Stage::Connect,
            stage_us: 0,
            order: None,
            upload: None,
            arm_tries: 0,
            takeoff_us: 0,
            airborne: false,
            ladder: Ladder::new(),
            link_lost: false,
            heartbeat_due_us: 0,
            streams_due_us: 0,
            event_due_us: 0,
            told: None,
        }
    }

    /// Takes in what arrived and says what to send. Call it often, at least every 50 ms;
    /// `now_us` starts near 0 and never runs back. After the end it does nothing.
    pub fn step(&mut self, now_us: u64, inbox: &[Received]) -> Outbox {
        let mut out = Outbox::default();
        if self.stage == Stage::Ended {
            return out;
        }
        if self.told.is_none() {
            self.report(now_us, &mut out);
        }
        self.listen(now_us, inbox, &mut out);
        self.beat(now_us, &mut out);
        match self.decide(now_us, &mut out) {
            Ok(Next::Stay) => {}
            Ok(Next::Go(stage)) => self.enter(now_us, stage),
            Ok(Next::Done(delivered)) => self.end(now_us, Ok(delivered), &mut out),
            Err(error) => self.end(now_us, Err(error), &mut out),
        }
        self.report(now_us, &mut out);
        out
    }

    /// Which part of the delivery it is in.
    pub fn phase(&self) -> Phase {
        match &self.stage {
            _ if self.link_lost => Phase::LinkLost,
            Stage::Connect => Phase::Connecting,
            Stage::Check => Phase::Checking,
            Stage::UploadFence | Stage::UploadMission => Phase::Uploading,
            Stage::Arm | Stage::Start => Phase::Arming,
            Stage::Fly => self.flying_phase(),
            Stage::Release => Phase::Releasing,
            Stage::Disarm => Phase::Disarming,
            Stage::Divert(_) => Phase::Diverting,
            Stage::Ended => self.told.unwrap_or(Phase::Failed),
        }
    }

    fn listen(&mut self, now_us: u64, inbox: &[Received], out: &mut Outbox) {
        for received in inbox {
            if !self.seen.take(now_us, received) {
                continue; // another component's, or not for us
            }
            let answer = self.upload.as_mut().and_then(|upload| upload.hear(now_us, &received.message));
            out.messages.extend(answer);
            if let (Some(order), MavMessage::COMMAND_ACK(ack)) = (&mut self.order, &received.message) {
                order.hear(now_us, ack);
            }
        }
    }

    fn beat(&mut self, now_us: u64, out: &mut Outbox) {
        if now_us < self.heartbeat_due_us {
            return;
        }
        self.heartbeat_due_us = now_us + HEARTBEAT_US;
        out.messages.push(MavMessage::HEARTBEAT(HEARTBEAT_DATA {
            custom_mode: 0,
            mavtype: MavType::MAV_TYPE_ONBOARD_CONTROLLER,
            autopilot: MavAutopilot::MAV_AUTOPILOT_INVALID,
            base_mode: MavModeFlag::empty(),
            system_status: MavState::MAV_STATE_ACTIVE,
            mavlink_version: 3,
        }));
    }

    fn enter(&mut self, now_us: u64, stage: Stage) {
        if stage == Stage::Fly {
            self.takeoff_us = now_us;
        }
        // A diversion keeps the order that began it.
        if !matches!(stage, Stage::Divert(_)) {
            self.order = None;
        }
        (self.stage, self.stage_us, self.upload) = (stage, now_us, None);
    }

    fn end(&mut self, now_us: u64, end: Result<Delivered, FlightError>, out: &mut Outbox) {
        let (phase, detail) = match &end {
            Ok(delivered) => (Phase::Delivered, format!("{:.1} m from the delivery point", delivered.off_m)),
            Err(error) => (Phase::Failed, error.to_string()),
        };
        self.tell(now_us, phase, detail, out);
        self.stage = Stage::Ended;
        out.end = Some(end);
    }

    /// Says where things stand when that changes, and every now and then while it does not.
    fn report(&mut self, now_us: u64, out: &mut Outbox) {
        let phase = self.phase();
        if self.stage == Stage::Ended || (self.told == Some(phase) && now_us < self.event_due_us) {
            return;
        }
        let detail = self.detail(phase);
        self.tell(now_us, phase, detail, out);
    }

    fn tell(&mut self, now_us: u64, phase: Phase, detail: String, out: &mut Outbox) {
        self.told = Some(phase);
        self.event_due_us = now_us + self.limits.event_every_ms * 1_000;
        out.events.push(FlightEvent {
            at_us: now_us,
            phase,
            position: self.seen.place(),
            in_air: self.seen.in_air(),
            altitude_m: self.seen.altitude_m,
            battery_percent: self.seen.battery_percent,
            eta_s: self.eta_s(),
            done: self.done(phase),
            detail,
        });
    }

    fn detail(&self, phase: Phase) -> String {
        let place = self.mission.delivery();
        match phase {
            Phase::Connecting => "listening for the aircraft".into(),
            Phase::Checking => {
                self.missing().map_or("ready".into(), |missing| format!("waiting for: {missing}"))
            }
            Phase::Uploading => "handing over geofence and mission".into(),
            Phase::Arming => "arming and starting the mission".into(),
            Phase::TakingOff => "climbing".into(),
            Phase::Cruising if self.seen.mode() == FlightMode::Hold => "held in the air by a pilot".into(),
            Phase::Cruising => format!("{:.0} m to go", self.remaining_m().unwrap_or_default()),
            Phase::Landing => format!("coming down at {:.6}, {:.6}", place.lat_deg(), place.lon_deg()),
            Phase::Releasing => "opening the gripper".into(),
            Phase::Disarming => "stopping the motors".into(),
            Phase::LinkLost => "nothing is heard; the aircraft follows its own failsafe".into(),
            Phase::Diverting => format!("the aircraft is in {:?}: {}", self.seen.mode(), self.seen.reason()),
            Phase::Delivered | Phase::Failed => String::new(),
        }
    }

    fn flying_phase(&self) -> Phase {
        let last = self.mission.items().len() - 1; // take-off and landing at least
        match self.seen.mission_seq {
            0 => Phase::TakingOff,
            seq if usize::from(seq) >= last && self.seen.is_landing() => Phase::Landing,
            _ => Phase::Cruising,
        }
    }

    /// Metres over ground to the delivery point; unknown without a position.
    fn remaining_m(&self) -> Option<f64> {
        let next = usize::from(self.seen.mission_seq);
        self.seen.place().map(|place| self.mission.remaining_m(place, next))
    }

    fn eta_s(&self) -> Option<f64> {
        if self.stage != Stage::Fly {
            return None;
        }
        let down_s = self.seen.altitude_m.unwrap_or_default() / LANDING_M_S;
        Some(self.remaining_m()? / self.mission.cruise_speed_m_s() + down_s)
    }

    fn done(&self, phase: Phase) -> f64 {
        match (&self.stage, phase) {
            (_, Phase::Delivered) | (Stage::Release | Stage::Disarm, _) => 1.0,
            (Stage::Fly, _) => {
                let route_m = self.mission.route_m().max(1.0);
                (1.0 - self.remaining_m().unwrap_or(route_m) / route_m).clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    fn fly_limit_ms(&self) -> u64 {
        let holds_s: f64 = self.mission.waypoints().iter().map(|waypoint| waypoint.hold_s).sum();
        let estimate_s = self.mission.route_m() / self.mission.cruise_speed_m_s() + holds_s + OVERHEAD_S;
        (estimate_s * self.limits.flight_factor_max * 1e3) as u64 + self.limits.flight_extra_ms
    }

    fn off_delivery_m(&self) -> Option<(Place, f64)> {
        self.seen.place().map(|place| (place, place.distance_m(self.mission.delivery())))
    }
}
