//! How long the companion waits for each thing, and how often it repeats.

/// Every bound of a flight. Chosen here; the repeat times follow the MAVLink guide's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlightLimits {
    /// Until the first heartbeat of an autopilot.
    pub connect_ms_max: u64,
    /// Until position, sensors and battery are good.
    pub ready_ms_max: u64,
    /// For one upload, fence or mission.
    pub upload_ms_max: u64,
    pub arm_ms_max: u64,
    pub start_ms_max: u64,
    /// For the gripper and for disarming, each.
    pub ground_ms_max: u64,
    /// For following a return or a landing that is not ours.
    pub divert_ms_max: u64,
    /// The flight may take this many times its estimate, plus [`Self::flight_extra_ms`].
    pub flight_factor_max: f64,
    pub flight_extra_ms: u64,
    /// How often an unanswered message is sent again, and how often at most.
    pub repeat_ms: u64,
    pub tries_max: u32,
    /// How often arming is tried when the aircraft says "not now".
    pub arm_tries_max: u32,
    /// Silence of the aircraft before the link counts as lost, and before the companion gives up.
    pub link_lost_ms: u64,
    pub link_give_up_ms: u64,
    /// Below this the flight is not begun; below the second it is called off.
    pub battery_start_percent_min: f64,
    pub battery_return_percent: f64,
    /// How far the aircraft may stand from the plan's home, and land from the delivery point.
    pub home_m_max: f64,
    pub delivery_m_max: f64,
    /// How often an event is sent while nothing changes.
    pub event_every_ms: u64,
}

impl Default for FlightLimits {
    fn default() -> Self {
        Self {
            connect_ms_max: 30_000,
            ready_ms_max: 60_000,
            upload_ms_max: 30_000,
            arm_ms_max: 30_000,
            start_ms_max: 20_000,
            ground_ms_max: 20_000,
            divert_ms_max: 900_000,
            flight_factor_max: 3.0,
            flight_extra_ms: 120_000,
            repeat_ms: 500,
            tries_max: 15,
            arm_tries_max: 5,
            link_lost_ms: 3_000,
            link_give_up_ms: 60_000,
            battery_start_percent_min: 40.0,
            battery_return_percent: 15.0,
            home_m_max: 50.0,
            delivery_m_max: 5.0,
            event_every_ms: 500,
        }
    }
}

impl FlightLimits {
    /// For a flight that others follow: an event at least twice a second, whatever is lost or late.
    #[must_use]
    pub fn in_service() -> Self {
        Self { event_every_ms: 400, ..Self::default() }
    }
}
