//! A delivery as a plan: where to fly, where not to, what wins when things go
//! wrong, and who held the kit on the way.
//!
//! Pure: no clock, no randomness, no I/O. A `.plan` arrives as text, times as
//! arguments. Signing and storing happen elsewhere; here it is only decided
//! what is well-formed and what may follow what.
//!
//! - [`Plan`]: QGroundControl's `.plan` file, read strictly and written back.
//! - [`Mission`]: the one shape Farhand flies: up, along the waypoints, down at
//!   the delivery point.
//! - [`Geofence`]: the area the aircraft may not leave.
//! - [`Ladder`]: the most severe failsafe wins.
//! - [`Custody`]: sealed, loaded, airborne, landed, unsealed, self-tested, paired.

mod custody;
mod failsafe;
mod geofence;
mod mission;
mod place;
mod plan;

pub use custody::{
    Breach, CUSTODY_STEPS_MAX, Custody, CustodyRefusal, CustodyStage, CustodyStep, KitKey, PersonKey,
};
pub use failsafe::{Condition, Failsafe, Ladder};
pub use geofence::{FENCE_VERTICES_MAX, FenceError, Geofence};
pub use mission::{Altitude, Home, Mission, MissionError, MissionLimits, Waypoint};
pub use place::{Place, PlaceError};
pub use plan::{PLAN_BYTES_MAX, PLAN_ITEMS_MAX, Plan, PlanError, PlanItem, Problem};
