//! The guard: who may move the tool, with what, and how fresh.
//!
//! **Nothing moves the arm without a [`Permit`], and only this crate makes one.** The guard runs in the kit and nowhere
//! else decides. It is a pure state machine: time is an argument, it allocates nothing after start, and where several
//! reasons apply the most severe wins.
//!
//! A kit has several arms. Whatever gives or takes permission is the kit's; each rule about motion is asked of the arm that moves.
//!
//! Once a tick the kit calls, in this order: [`Guard::take`] for everything that came in, [`Guard::decide`] for what the
//! tools shall do, and [`Guard::permit`] for each arm with the setpoint that motion proposes.
//!
//! Invariants, each local to this crate:
//! 1. A command is applied only if every rule of P1 holds; else it is refused with the value seen and the limit.
//! 2. Of all commands for an arm under one lease token, only ever newer ones are taken in, and none from before a release.
//! 3. At most one lease token is honoured, and tokens only rise.
//! 4. A stop latches; what clears it never resumes motion by itself.
//! 5. Motion is never ahead of its record by more than the limit, and a record that catches up moves nothing.

#![forbid(unsafe_code)]

mod arm;
mod deadlines;
mod engagement;
mod estop;
#[cfg(test)]
mod explore;
mod frames;
mod guard;
mod lease;
mod limits;
mod line;
mod orders;
mod permit;
mod record;
mod report;
mod ritual;
mod verify;

pub use arm::ArmStart;
pub use guard::{Guard, Input, Intent, Lag, Response};
pub use limits::{LimitOutOfRange, Limits};
pub use orders::Refusal;
pub use permit::{Actuator, Permit, Proposal, SetpointLimits, TICK_MS};
pub use report::{Report, Standing};
pub use verify::{Authentic, NotAuthorised, Order, Said, Verifier};
