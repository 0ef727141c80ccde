//! The kit's state for the ROS world: [CRTK](https://github.com/collaborative-robotics/crtk_msgs)'s names, ROS 2's encoding
//! (CDR), under the keys that `rmw_zenoh` uses, so that ROS nodes see the arm as one of theirs.
//!
//! The [`Service`] takes in what the kit tells its observer ([`farhand_wire::Observation`]) and publishes it. It has no way
//! to the kit: the cable between them is one-way. Commands are another matter: [`Commands`] hears them where the router lets
//! them through, which is in the simulator alone, and whoever acts on them is a surgeon like any other.
//!
//! All but [`Service`], [`Commands`] and [`Config`] is pure: messages ([`messages`]), their bytes ([`cdr`]), keys ([`graph`]),
//! what is said when ([`Narrator`]), and what a command means ([`Command`]). `docs/crtk.md` has topics, units and rates.

pub mod cdr;
mod command;
mod config;
pub mod graph;
pub mod messages;
mod narrator;
mod service;

pub use command::{BadCommand, Command, StateCommand};
pub use config::{ArmEntry, Config, ConfigError, MeshEntry, ObserveEntry};
pub use narrator::{FRAME, JOINT_NAMES, Narrator};
pub use service::{Commands, Service, ServiceError};
