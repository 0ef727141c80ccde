//! The ledger's client: hands signed transactions to a validator and brings back proofs that they are committed.
//! [`Client`] is one validator's, [`Validators`] goes on with the next when one does not do what it should.
//!
//! **Every proof that they return was checked against the trust root**: a validator can withhold, never invent.
//! [`frames`] has what goes over the connection, for both of its ends.

mod client;
pub mod frames;
mod validators;

pub use client::{Client, ClientError, Receipt};
use farhand_link::LinkConfig;
pub use validators::Validators;

/// Quieter than the defaults, which are for commands: an idle ledger costs next to nothing.
#[must_use]
pub fn link_config() -> LinkConfig {
    LinkConfig { keep_alive_ms: 1000, idle_timeout_ms: 4000, ..LinkConfig::default() }
}
