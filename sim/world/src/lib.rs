//! The simulated world: everything a session meets outside the software, seeded and in virtual time.
//!
//! [`Session`] joins the simulated arm, lines, people and edge box to the real kit, one millisecond a step, and asks an
//! independent [`Checker`] after every one of them. The arm and the aircraft also run live, as processes of their own.

pub mod aircraft;
mod arm;
mod checker;
pub mod exercise;
pub mod live;
mod network;
mod outcome;
mod people;
mod recorder;
pub mod rig;
mod session;
mod sight;
mod story;
mod surgeon;
mod task;
mod trunk;

pub use arm::{Arm, WATCHDOG_US};
pub use checker::{Checker, Violation};
pub use network::{
    BadSeries, Burst, Delivery, Fate, HeldBack, Impairment, Line, Outages, Profile, Rate, Series, UnderWay,
    UnknownProfile, Way,
};
pub use outcome::Outcome;
pub use people::{Keys, Person};
pub use recorder::{Logbook, RecordFault, Recorder};
pub use session::{CannotBegin, Moment, Session, Terms};
pub use sight::Sight;
pub use story::{Fault, Story, Trouble};
pub use surgeon::{Console, Lead, Sent};
pub use task::{GRASP_MM, Task};
pub use trunk::Trunk;
