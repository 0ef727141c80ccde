//! How a flight ends: delivered, or one typed reason why not.

use farhand_mission::{Condition, Failsafe, Place};
use mavlink::dialects::common::{MavMissionResult, MavResult};
use thiserror::Error;

use crate::Phase;

/// The kit stands at the delivery point, released, the motors off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivered {
    pub place: Place,
    /// From the delivery point.
    pub off_m: f64,
    /// From take-off to the disarmed state, by the companion's clock.
    pub flight_ms: u64,
    pub battery_percent: Option<f64>,
}

/// The aircraft's mode, as far as the companion tells modes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlightMode {
    Mission,
    Takeoff,
    Hold,
    Return,
    Land,
    Other,
}

/// Why there was no delivery. Each says what was seen and, where there is one, the limit.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FlightError {
    #[error("no autopilot was heard for {waited_ms} ms; is the aircraft on, and the address right?")]
    NoAircraft { waited_ms: u64 },
    #[error("the aircraft is already armed or in the air; a delivery starts on the ground, disarmed")]
    NotOnGround,
    #[error("the aircraft was not ready after {waited_ms} ms: {missing}")]
    NotReady { waited_ms: u64, missing: String },
    #[error("the aircraft stands {seen_m:.0} m from the plan's home; at most {max_m:.0} m are allowed")]
    FarFromHome { seen_m: f64, max_m: f64 },
    #[error("the aircraft refused the {what}: {result:?}")]
    UploadRefused { what: &'static str, result: MavMissionResult },
    #[error("the aircraft did not answer: {what}, asked {tries} times in {waited_ms} ms")]
    NoAnswer { what: &'static str, tries: u32, waited_ms: u64 },
    #[error("the aircraft refused to arm {tries} times ({result:?}): {reason}")]
    ArmRejected { result: MavResult, tries: u32, reason: String },
    #[error("the aircraft refused to {what} ({result:?}): {reason}")]
    Refused { what: &'static str, result: MavResult, reason: String },
    #[error(
        "nothing was heard from the aircraft for {silent_ms} ms while {}; it follows its own failsafe, last seen {}",
        phase.name(), place_words(.last_seen)
    )]
    LinkLost { phase: Phase, silent_ms: u64, last_seen: Option<Place> },
    #[error("the aircraft went its own way ({mode:?}: {reason}) and is down {}", place_words(.down_at))]
    TookOver { mode: FlightMode, reason: String, down_at: Option<Place> },
    #[error("the delivery was called off ({condition:?} asks for {failsafe:?}); the aircraft is down {}", place_words(.down_at))]
    CalledOff { condition: Condition, failsafe: Failsafe, down_at: Option<Place> },
    #[error("it took more than {max_ms} ms to finish {}", phase.name())]
    TookTooLong { phase: Phase, max_ms: u64 },
    #[error(
        "the aircraft landed {off_m:.1} m from the delivery point; at most {max_m:.1} m are allowed; the kit was not released"
    )]
    LandedElsewhere { off_m: f64, max_m: f64 },
    #[error("the link {address}: {reason}")]
    Link { address: String, reason: String },
}

fn place_words(place: &Option<Place>) -> String {
    match place {
        Some(place) => format!("at {:.6}, {:.6}", place.lat_deg(), place.lon_deg()),
        None => "at an unknown place".into(),
    }
}
