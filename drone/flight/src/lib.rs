//! The companion on board: flies a delivery over MAVLink 2 and says what happens.
//!
//! [`Companion`] is a pure machine, `step(now, inbox) -> outbox`: it waits for the
//! aircraft and its health, uploads geofence and mission, arms, starts, follows,
//! opens the gripper once it stands at the delivery point, and disarms. Every wait
//! and every repeat is bounded, and each failure has a type that says what was seen.
//!
//! **The aircraft's own failsafes stay in charge.** The companion never overrides a
//! return or landing that the aircraft or a pilot has begun; it follows and reports it.
//!
//! [`fly`] runs the machine over UDP on the calling thread. Any PX4 or ArduPilot will
//! do; the simulated aircraft is in `sim/world`.
//!
//! [`serve`] is the companion in service: it waits on the site's mesh for an order, which is a plan and the ledger's proof
//! that a sealed kit was loaded, flies it, and signs *airborne* and *landed* into the kit's custody.

mod companion;
mod drive;
mod error;
mod event;
mod frames;
mod limits;
mod link;
mod service;

pub use companion::{Companion, Outbox, Peer, Received};
pub use drive::fly;
pub use error::{Delivered, FlightError, FlightMode};
pub use event::{FlightEvent, Phase};
pub use frames::Frames;
pub use limits::FlightLimits;
pub use link::{LinkAddress, LinkAddressError, UdpLink};
pub use service::{
    Accepted, Clock, Flown, Input, Journal, JournalError, LastFlight, Ledger, News, OrderRefusal, OrderRules,
    Output, PROOFS_MAX, Routes, Running, ServeConfig, ServeConfigError, ServeError, Service, SystemClock,
    serve, serve_with,
};
