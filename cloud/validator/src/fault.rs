//! Faults that a validator can't continue after.
//!
//! **Invariant (local):** whoever finds such a fault raises it here once and does not go on: a store that could not write
//! must not let its caller believe that it did. What then happens (the process ends, a supervisor starts another) is
//! the owner's choice: the first fault is what [`FaultSignal::raised`] answers from then on.

use std::{sync::Arc, thread};

use thiserror::Error;
use tokio::sync::watch;

/// Exit code of a validator whose disk failed (sysexits' `EX_IOERR`).
pub const EXIT_DISK: u8 = 74;
/// Exit code of a validator with a fault that a restart mends (`EX_TEMPFAIL`).
pub const EXIT_UNWELL: u8 = 75;

/// Exit code of a validator whose epoch ended: started again, it goes on in the next one.
pub const EXIT_EPOCH_ENDED: u8 = 76;
/// Exit code of a validator that the newest epoch has no place for (`EX_NOPERM`).
pub const EXIT_RETIRED: u8 = 77;

/// Why a validator had to stop. `Display` says what was wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error(
        "the ledger's store could not {action}: {detail}. Nothing after this was voted for. Look at the disk (space, \
         errors, permissions) and start the validator again"
    )]
    Store { action: &'static str, detail: String },
    #[error(
        "the {thread} thread of the replica ended; start the validator again, it goes on where its store is"
    )]
    ThreadEnded { thread: &'static str },
    #[error(
        "the {thread} thread of the replica gave no sign of life for {silent_ms} ms (limit {limit_ms}); start the \
         validator again, it goes on where its store is"
    )]
    ThreadSilent { thread: &'static str, silent_ms: u64, limit_ms: u64 },
    #[error(
        "no block was committed for {stalled_ms} ms (limit {limit_ms}) while {peers} other validators, enough for a \
         quorum, were connected; start the validator again, it goes on where its store is"
    )]
    Stalled { stalled_ms: u64, limit_ms: u64, peers: usize },
    #[error(
        "this replica stood in view {view} for {stood_ms} ms (limit {limit_ms}) while others stood in view {others}, and nothing \
         leads from one to the other; start the validator again, it begins where they are"
    )]
    Behind { view: u64, others: u64, stood_ms: u64, limit_ms: u64 },
    #[error("epoch {epoch} of the ledger ended; start the validator again, it goes on in the next one")]
    EpochEnded { epoch: u64 },
}

impl Fault {
    /// The exit code of a process that ends because of it, so that a supervisor can tell a bad disk from what a restart
    /// mends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store { .. } => EXIT_DISK,
            Self::ThreadEnded { .. }
            | Self::ThreadSilent { .. }
            | Self::Stalled { .. }
            | Self::Behind { .. } => EXIT_UNWELL,
            Self::EpochEnded { .. } => EXIT_EPOCH_ENDED,
        }
    }
}

/// Where faults are raised and awaited. Clones are one signal.
#[derive(Clone, Debug)]
pub struct FaultSignal(Arc<watch::Sender<Option<Fault>>>);

impl Default for FaultSignal {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl FaultSignal {
    /// Raises `fault`; the first one stays.
    pub fn raise(&self, fault: Fault) {
        self.0.send_if_modified(|first| {
            if first.is_some() {
                return false;
            }
            match &fault {
                Fault::EpochEnded { .. } => tracing::info!(%fault, "the validator stops"),
                fault => tracing::error!(%fault, "the validator stops"),
            }
            *first = Some(fault);
            true
        });
    }

    /// Raises `fault` and keeps this thread from going on, for ever: its caller could only continue wrongly.
    pub(crate) fn stop_here(&self, fault: Fault) -> ! {
        self.raise(fault);
        loop {
            thread::park();
        }
    }

    /// The first fault, if there was one.
    #[must_use]
    pub fn raised(&self) -> Option<Fault> {
        self.0.borrow().clone()
    }

    /// Waits for the first fault.
    pub async fn wait(&self) -> Fault {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(fault) = receiver.borrow_and_update().clone() {
                return fault;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
