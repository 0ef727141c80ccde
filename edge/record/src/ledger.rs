//! The ledger, as the record needs it.

use std::{
    fmt,
    sync::{
        PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_submit::{Client, ClientError};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::record::LedgerAccess;

/// Where checkpoints and the seal are committed. Called for several transactions at once.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// Hands a signed transaction in, which may be done again, and returns a proof that it is committed, checked
    /// against the trust root, within `wait`.
    async fn commit(&self, signed: &[u8], wait: Duration) -> Result<TransactionProof, LedgerError>;

    /// The ledger's epochs, as far as they were learnt from it.
    fn trust(&self) -> Option<TrustRoot> {
        None
    }
}

/// Why there is no proof yet.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Other(String),
}

/// The validators of a ledger, of which one is used at a time.
#[derive(Debug)]
pub(crate) struct Validators {
    access: LedgerAccess,
    /// With the epochs that a validator told of.
    trust: std::sync::Mutex<TrustRoot>,
    /// Which of them is tried first, counted on.
    first: AtomicUsize,
    client: Mutex<Option<Client>>,
}

impl Validators {
    pub(crate) fn new(access: LedgerAccess, trust: TrustRoot) -> Self {
        Self { access, trust: trust.into(), first: AtomicUsize::new(0), client: Mutex::new(None) }
    }

    async fn client(&self) -> Result<Client, ClientError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| client.is_connected()) {
            return Ok(client.clone());
        }
        let mut validators = self.access.validators.clone();
        let first = self.first.load(Ordering::Relaxed) % validators.len().max(1);
        validators.rotate_left(first);
        let known = self.known().clone();
        let new = Client::connect(&self.access.key, known, &validators).await?;
        *self.known() = new.trust().clone();
        Ok(client.insert(new).clone())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, TrustRoot> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That one did not do what it should: the next one is tried.
    async fn leave(&self, left: &Client) {
        let mut client = self.client.lock().await;
        if client.as_ref().is_some_and(|client| client.validator() == left.validator()) {
            self.first.fetch_add(1, Ordering::Relaxed);
            *client = None;
        }
    }
}

#[async_trait]
impl Ledger for Validators {
    async fn commit(&self, signed: &[u8], wait: Duration) -> Result<TransactionProof, LedgerError> {
        let client = self.client().await?;
        match client.commit(signed, wait).await {
            Ok(proof) => Ok(proof),
            Err(error) => {
                self.leave(&client).await;
                Err(error.into())
            }
        }
    }

    fn trust(&self) -> Option<TrustRoot> {
        Some(self.known().clone())
    }
}
