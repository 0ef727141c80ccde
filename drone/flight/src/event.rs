//! What a flight says while it goes on.

use farhand_mission::Place;

/// Where in the delivery the flight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Connecting,
    Checking,
    Uploading,
    Arming,
    TakingOff,
    Cruising,
    Landing,
    Releasing,
    Disarming,
    Delivered,
    /// Nothing is heard; the aircraft follows its own failsafe.
    LinkLost,
    /// The aircraft returns or lands elsewhere, and the companion follows.
    Diverting,
    Failed,
}

impl Phase {
    /// One lower-case word or two, for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connecting => "connecting",
            Phase::Checking => "checking",
            Phase::Uploading => "uploading",
            Phase::Arming => "arming",
            Phase::TakingOff => "taking off",
            Phase::Cruising => "cruising",
            Phase::Landing => "landing",
            Phase::Releasing => "releasing",
            Phase::Disarming => "disarming",
            Phase::Delivered => "delivered",
            Phase::LinkLost => "link lost",
            Phase::Diverting => "diverting",
            Phase::Failed => "failed",
        }
    }
}

/// One report of progress.
#[derive(Debug, Clone, PartialEq)]
pub struct FlightEvent {
    /// The companion's clock, microseconds.
    pub at_us: u64,
    pub phase: Phase,
    pub position: Option<Place>,
    /// Off the ground, as the aircraft says.
    pub in_air: bool,
    /// Metres above home.
    pub altitude_m: Option<f64>,
    pub battery_percent: Option<f64>,
    /// Seconds to touch-down by the aircraft's time; a simulation may run faster.
    pub eta_s: Option<f64>,
    /// 0 at take-off to 1 on the ground, by distance.
    pub done: f64,
    /// A sentence for people.
    pub detail: String,
}
