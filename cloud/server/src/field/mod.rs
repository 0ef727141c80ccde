//! The field team's page: a kit's way from its seal to its pairing, each step signed and on the ledger.
//!
//! **The signed custody transactions are the orders.** The page signs *loaded* and *unsealed* itself; the aircraft flies only
//! on the ledger's proof of *loaded*, and the kit signs *self-tested* and *paired* only on the proof of all that goes
//! before. So this server can delay a delivery and tell it wrongly, but can neither make nor skip a step of it.
//!
//! [`Delivery`] knows how far the kit is and what is due (pure); `driver` does what is due, again and again until it is
//! done: that is what makes it survive a restart of any part. `calls` are the page's.

mod aircraft;
pub(crate) mod calls;
mod delivery;
mod driver;
mod keep;

pub use delivery::{Call, Delivery, FlightNews, NotNext};
pub use driver::FieldError;
pub(crate) use driver::{Around, Desk, start};
pub use keep::KeepError;
