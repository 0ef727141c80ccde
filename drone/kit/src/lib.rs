//! The kit: the robot's agent at the bedside.
//!
//! Two pure machines and their drivers. The [`Gate`] stands on the receiving thread: it checks who says what, agrees on
//! keys, and lets through only what is authentic. The [`Core`] is the 1 kHz loop: guard, motion, permit. [`Kit`] is both
//! in one `step(now, inbox) -> outbox`, as it runs in virtual time; [`run`] drives the same two on two threads, with
//! queues between them that neither can block.
//!
//! **The loop is a plain thread: no tokio, no allocation, no lock that another thread can hold, no logging.**

mod arm;
mod cable;
mod config;
mod core;
mod custody;
mod driver;
mod gate;
mod journal;
mod journal_file;
mod kit;
mod metrics;
mod observer;
mod pace;
mod self_test;
mod store;

pub use crate::core::{Core, FromCore, Judged, Snapshot, Stage, ToCore};
pub use arm::{ArmSnapshot, SnapshotJoints};
pub use cable::{Cable, Cables};
pub use config::{ArmCable, ArmConfig, Config, ConfigError, Mount, ObserverCable};
pub use custody::NotSigned;
pub use driver::{RunError, Running, run, run_around};
pub use gate::{FromGate, Gate, GateError, Identity, Past};
pub use journal_file::{JournalError, JournalFile};
pub use kit::{Kit, KitInput, KitOutput};
pub use pace::{Histogram, Pace, TICK, before_all_others, keep_pace, lock_memory};
pub use self_test::{Measured, SELF_TEST_ITEMS_MAX, SelfTest, TestItem};
pub use store::{ClosedStore, StoreError, TokenStore};
