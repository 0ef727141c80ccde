//! A validator of Farhand's ledger: a HotStuff replica whose blocks commit to batches of signed transactions.
//!
//! From the outside in: [`run_validator`] runs one from a [`ValidatorConfig`], `farhand-submit` hands it
//! transactions and gets proofs, [`make_local_ledger`] makes a whole ledger on one machine.
//!
//! Inside, around `hotstuff_rs` as it is published: [`store`] is its durable store, [`net`] its network, [`app`] its
//! application. [`gate`] spares it what it would trust too much, [`rules`] say what may be written, [`payload`] carries
//! batches beside its blocks (which stay empty), [`watchdog`] sees what it does not tell: stalled heights, dead threads.
//! [`epochs`] hands the ledger over to its next keepers, [`history`] gets the chains of those before.
//! `docs/evidence-format.md` has the bytes that a verifier needs.
//! `docs/hotstuff.md` lists what the crate does that needs care, what is done about it, and the test of each.

pub mod app;
pub mod beats;
mod beginning;
pub mod config;
pub mod epochs;
pub mod fault;
pub mod frames;
pub mod gate;
pub mod history;
pub mod init;
pub mod intake;
pub mod join;
pub mod mempool;
pub mod net;
pub mod payload;
pub mod proof;
pub mod rules;
pub mod run;
mod serve;
pub mod status;
pub mod store;
pub mod supervise;
#[cfg(test)]
mod twins;
pub mod watchdog;

pub use config::{ClientRole, ConfigError, ConfigFile, ValidatorConfig};
pub use fault::{Fault, FaultSignal};
pub use init::{InitError, LocalLedger, LocalPlan, make_local_ledger};
pub use run::{Handle, StartError, run_validator};
pub use status::Status;
