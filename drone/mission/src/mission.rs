//! The one shape Farhand flies: up at home, along the waypoints, down at the delivery point.
//!
//! Invariants (local): a `Mission` is within [`MissionLimits`], and if it has a
//! geofence, every leg of it from home to the delivery point stays inside.

use thiserror::Error;

use crate::plan::{Plan, PlanItem};
use crate::{Geofence, Place, PlaceError};

/// `MAV_CMD_NAV_WAYPOINT`, `_NAV_LAND`, `_NAV_TAKEOFF`, `_DO_GRIPPER` and the frames, from MAVLink's common dialect.
mod mav {
    pub(super) const NAV_WAYPOINT: u16 = 16;
    pub(super) const NAV_LAND: u16 = 21;
    pub(super) const NAV_TAKEOFF: u16 = 22;
    pub(super) const FRAME_GLOBAL: u8 = 0;
    pub(super) const FRAME_GLOBAL_RELATIVE_ALT: u8 = 3;
    pub(super) const AUTOPILOT_PX4: i64 = 12;
    pub(super) const TYPE_QUADROTOR: i64 = 2;
}

const TRIAL_PLAN: &str = include_str!("../plans/trial.plan");

/// Where the aircraft starts and returns to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Home {
    pub place: Place,
    /// Metres above mean sea level.
    pub altitude_amsl_m: f64,
}

/// An altitude with the frame it is measured in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Altitude {
    AboveHome { m: f64 },
    AboveSea { m: f64 },
}

impl Altitude {
    /// Metres above home.
    pub fn above_home_m(self, home: Home) -> f64 {
        match self {
            Altitude::AboveHome { m } => m,
            Altitude::AboveSea { m } => m - home.altitude_amsl_m,
        }
    }
}

/// A point to fly through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waypoint {
    pub place: Place,
    pub altitude: Altitude,
    /// Seconds to wait there.
    pub hold_s: f64,
}

/// What a mission may ask for. Chosen here, for a heavy multicopter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MissionLimits {
    pub altitude_above_home_m_min: f64,
    pub altitude_above_home_m_max: f64,
    pub leg_m_max: f64,
    pub waypoints_max: usize,
    pub payload_kg_max: f64,
    pub speed_m_s_max: f64,
    pub hold_s_max: f64,
}

impl Default for MissionLimits {
    fn default() -> Self {
        Self {
            altitude_above_home_m_min: 2.0,
            altitude_above_home_m_max: 120.0, // the open category's ceiling in the EU and (400 ft) the US
            leg_m_max: 20_000.0,
            waypoints_max: 100,
            payload_kg_max: 40.0,
            speed_m_s_max: 30.0,
            hold_s_max: 600.0,
        }
    }
}

/// A delivery that may be flown.
#[derive(Debug, Clone, PartialEq)]
pub struct Mission {
    home: Home,
    takeoff: Altitude,
    waypoints: Vec<Waypoint>,
    delivery: Place,
    cruise_speed_m_s: f64,
    payload_mass_kg: f64,
    fence: Option<Geofence>,
}

/// Why a plan is not a delivery that may be flown.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MissionError {
    #[error("the plan has no items")]
    Empty,
    #[error("item {item}: command {command} has no place in a delivery (takeoff 22, waypoints 16, land 21)")]
    Command { item: usize, command: u16 },
    #[error("item {item}: a delivery starts with a take-off (command 22), not with command {command}")]
    NoTakeoff { item: usize, command: u16 },
    #[error("the plan ends without landing at a delivery point (command 21)")]
    NoDelivery,
    #[error("item {item}: altitude frame {frame} is not supported; use 3 (above home) or 0 (above the sea)")]
    Frame { item: usize, frame: u8 },
    #[error("item {item}: {error}")]
    Place { item: usize, error: PlaceError },
    #[error("item {item}: {what} is {seen}, but must be {min} to {max}")]
    Limit { item: usize, what: &'static str, seen: f64, min: f64, max: f64 },
    #[error("{what} is {seen}, but must be {min} to {max}")]
    Parameter { what: &'static str, seen: f64, min: f64, max: f64 },
    #[error("the plan does not say the payload's mass (farhand.payloadMassKg)")]
    NoPayloadMass,
    #[error("item {item}: the leg to it leaves the geofence")]
    LeavesFence { item: usize },
}

impl Mission {
    /// Reads a delivery out of a plan: take-off, waypoints, landing, within the default limits.
    pub fn from_plan(plan: &Plan) -> Result<Self, MissionError> {
        Self::from_plan_within(plan, &MissionLimits::default())
    }

    /// Like [`Self::from_plan`], within limits of your own.
    pub fn from_plan_within(plan: &Plan, limits: &MissionLimits) -> Result<Self, MissionError> {
        let (first, rest) = plan.items.split_first().ok_or(MissionError::Empty)?;
        if first.command != mav::NAV_TAKEOFF {
            return Err(MissionError::NoTakeoff { item: 1, command: first.command });
        }
        let (last, between) = rest.split_last().ok_or(MissionError::NoDelivery)?;
        let waypoints = between
            .iter()
            .enumerate()
            .map(|(index, item)| waypoint(index + 2, item))
            .collect::<Result<Vec<_>, _>>()?;
        let mission = Self {
            home: plan.home,
            takeoff: altitude(1, first)?,
            waypoints,
            delivery: delivery(plan.items.len(), last)?,
            cruise_speed_m_s: plan.cruise_speed_m_s,
            payload_mass_kg: plan.payload_mass_kg.ok_or(MissionError::NoPayloadMass)?,
            fence: plan.fence.clone(),
        };
        mission.check(limits)?;
        Ok(mission)
    }

    /// The fixed delivery of a local trial: 1.9 km over four legs.
    pub fn trial() -> Self {
        Plan::from_json(TRIAL_PLAN)
            .map_err(|_| ())
            .and_then(|plan| Self::from_plan(&plan).map_err(|_| ()))
            .expect("the trial plan is part of this crate; a test reads it")
    }

    /// The mission as a plan; `from_plan` of it gives an equal mission.
    pub fn to_plan(&self) -> Plan {
        Plan {
            home: self.home,
            cruise_speed_m_s: self.cruise_speed_m_s,
            hover_speed_m_s: self.cruise_speed_m_s,
            firmware_type: mav::AUTOPILOT_PX4,
            vehicle_type: mav::TYPE_QUADROTOR,
            items: self.items(),
            fence: self.fence.clone(),
            payload_mass_kg: Some(self.payload_mass_kg),
        }
    }

    /// The items as an autopilot takes them: take-off, waypoints, landing.
    pub fn items(&self) -> Vec<PlanItem> {
        let up = item(mav::NAV_TAKEOFF, 0.0, self.home.place, self.takeoff);
        let along = self.waypoints.iter().map(|wp| item(mav::NAV_WAYPOINT, wp.hold_s, wp.place, wp.altitude));
        let down = item(mav::NAV_LAND, 0.0, self.delivery, Altitude::AboveHome { m: 0.0 });
        std::iter::once(up).chain(along).chain(std::iter::once(down)).collect()
    }

    /// How far it is over ground, in metres.
    pub fn route_m(&self) -> f64 {
        self.legs().map(|(_, from, to)| from.distance_m(to)).sum()
    }

    /// How far it still is over ground, in metres, from `place` on the way to item `next` (counted from 0).
    pub fn remaining_m(&self, place: Place, next: usize) -> f64 {
        let stops: Vec<Place> = self.stops().collect();
        let ahead = &stops[next.min(stops.len() - 1)..];
        let first_m = place.distance_m(ahead[0]); // never empty: the line above keeps the last stop
        first_m + ahead.windows(2).map(|leg| leg[0].distance_m(leg[1])).sum::<f64>()
    }

    pub fn home(&self) -> Home {
        self.home
    }

    pub fn takeoff(&self) -> Altitude {
        self.takeoff
    }

    pub fn waypoints(&self) -> &[Waypoint] {
        &self.waypoints
    }

    /// Where the kit is put down.
    pub fn delivery(&self) -> Place {
        self.delivery
    }

    pub fn cruise_speed_m_s(&self) -> f64 {
        self.cruise_speed_m_s
    }

    pub fn payload_mass_kg(&self) -> f64 {
        self.payload_mass_kg
    }

    pub fn fence(&self) -> Option<&Geofence> {
        self.fence.as_ref()
    }

    fn stops(&self) -> impl Iterator<Item = Place> {
        let along = self.waypoints.iter().map(|waypoint| waypoint.place);
        std::iter::once(self.home.place).chain(along).chain(std::iter::once(self.delivery))
    }

    /// (number of the item flown to, from, to)
    fn legs(&self) -> impl Iterator<Item = (usize, Place, Place)> {
        self.stops().zip(self.stops().skip(1)).enumerate().map(|(index, (from, to))| (index + 2, from, to))
    }

    fn check(&self, limits: &MissionLimits) -> Result<(), MissionError> {
        within("cruise speed in m/s", self.cruise_speed_m_s, 1.0, limits.speed_m_s_max)?;
        within("payload mass in kg", self.payload_mass_kg, 0.0, limits.payload_kg_max)?;
        within("number of waypoints", self.waypoints.len() as f64, 0.0, limits.waypoints_max as f64)?;
        self.check_altitudes(limits)?;
        self.check_legs(limits)
    }

    fn check_altitudes(&self, limits: &MissionLimits) -> Result<(), MissionError> {
        let altitudes = std::iter::once(self.takeoff).chain(self.waypoints.iter().map(|wp| wp.altitude));
        for (index, altitude) in altitudes.enumerate() {
            let (min, max) = (limits.altitude_above_home_m_min, limits.altitude_above_home_m_max);
            item_within(index + 1, "altitude above home in m", altitude.above_home_m(self.home), min, max)?;
        }
        for (index, waypoint) in self.waypoints.iter().enumerate() {
            item_within(index + 2, "hold in s", waypoint.hold_s, 0.0, limits.hold_s_max)?;
        }
        Ok(())
    }

    fn check_legs(&self, limits: &MissionLimits) -> Result<(), MissionError> {
        for (item, from, to) in self.legs() {
            item_within(item, "length of the leg in m", from.distance_m(to), 0.0, limits.leg_m_max)?;
            if self.fence.as_ref().is_some_and(|fence| !fence.contains_leg(from, to)) {
                return Err(MissionError::LeavesFence { item });
            }
        }
        Ok(())
    }
}

fn waypoint(number: usize, item: &PlanItem) -> Result<Waypoint, MissionError> {
    if item.command != mav::NAV_WAYPOINT {
        return Err(MissionError::Command { item: number, command: item.command });
    }
    let hold_s = if item.params[0].is_nan() { 0.0 } else { item.params[0] };
    Ok(Waypoint { place: place(number, item)?, altitude: altitude(number, item)?, hold_s })
}

fn delivery(number: usize, item: &PlanItem) -> Result<Place, MissionError> {
    if item.command != mav::NAV_LAND {
        return Err(MissionError::NoDelivery);
    }
    place(number, item)
}

fn place(number: usize, item: &PlanItem) -> Result<Place, MissionError> {
    Place::new(item.params[4], item.params[5]).map_err(|error| MissionError::Place { item: number, error })
}

fn altitude(number: usize, item: &PlanItem) -> Result<Altitude, MissionError> {
    let m = item.params[6];
    match item.frame {
        mav::FRAME_GLOBAL => Ok(Altitude::AboveSea { m }),
        mav::FRAME_GLOBAL_RELATIVE_ALT => Ok(Altitude::AboveHome { m }),
        frame => Err(MissionError::Frame { item: number, frame }),
    }
}

fn item(command: u16, first_param: f64, place: Place, altitude: Altitude) -> PlanItem {
    let (frame, m) = match altitude {
        Altitude::AboveSea { m } => (mav::FRAME_GLOBAL, m),
        Altitude::AboveHome { m } => (mav::FRAME_GLOBAL_RELATIVE_ALT, m),
    };
    let params = [first_param, 0.0, 0.0, f64::NAN, place.lat_deg(), place.lon_deg(), m];
    PlanItem { command, frame, params, auto_continue: true }
}

// `contains` is false for NaN, so a number that is none is refused too.
fn within(what: &'static str, seen: f64, min: f64, max: f64) -> Result<(), MissionError> {
    if (min..=max).contains(&seen) {
        return Ok(());
    }
    Err(MissionError::Parameter { what, seen, min, max })
}

fn item_within(item: usize, what: &'static str, seen: f64, min: f64, max: f64) -> Result<(), MissionError> {
    if (min..=max).contains(&seen) {
        return Ok(());
    }
    Err(MissionError::Limit { item, what, seen, min, max })
}
