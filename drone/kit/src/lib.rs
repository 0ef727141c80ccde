//! The kit: the robot's agent at the bedside.
//!
//! Two pure machines and their drivers. The [`Gate`] stands on the receiving thread: it checks who says what, agrees on
//! keys, and lets through only what is authentic. The [`Core`] is the 1 kHz loop: guard, motion, permit. [`Kit`] is both
//! in one `step(now, inbox) -> outbox`, as it runs in virtual time; [`run`] drives the same two on two threads, with
//! queues between them that neither can block.
//!
//! **The loop is a plain thread: no tokio, no allocation, no lock that another thread can hold, no logging.**

mod cable;
mod config;
mod core;
mod driver;
mod gate;
mod kit;
mod pace;
mod store;

pub use crate::core::{Core, FromCore, Snapshot, ToCore};
pub use cable::Cable;
pub use config::{ArmCable, Config, ConfigError};
pub use driver::{RunError, Running, run};
pub use gate::{FromGate, Gate, GateError, Identity};
pub use kit::{Kit, KitInput, KitOutput};
pub use pace::{Lateness, TICK};
pub use store::{StoreError, TokenStore};
