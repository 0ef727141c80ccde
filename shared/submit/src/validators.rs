//! All validators of a ledger, for whoever has something to put there and no reason to prefer one.

use std::{
    net::SocketAddr,
    sync::{
        MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_link::{DeviceId, DeviceKey};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::{Client, ClientError};

/// A commit takes a fifth of a second, and some seconds while a dead leader's turn passes.
const TRY: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);
/// A role that was granted a moment ago may not have reached every validator yet: then a refusal is final.
const REFUSED: Duration = Duration::from_secs(10);

/// The validators of a ledger, of which one is used at a time: one that does not do what it should is left for the next.
#[derive(Debug)]
pub struct Validators {
    key: DeviceKey,
    addresses: Vec<(DeviceId, SocketAddr)>,
    /// With the epochs that a validator told of.
    trust: std::sync::Mutex<TrustRoot>,
    /// Which of them is tried first, counted on.
    first: AtomicUsize,
    client: Mutex<Option<Client>>,
}

impl Validators {
    /// `key` must be among the clients that the validators let in.
    #[must_use]
    pub fn new(key: DeviceKey, trust: TrustRoot, addresses: Vec<(DeviceId, SocketAddr)>) -> Self {
        let (first, client) = (AtomicUsize::new(0), Mutex::new(None));
        Self { key, addresses, trust: trust.into(), first, client }
    }

    /// The ledger's epochs, as far as they were learnt from it.
    #[must_use]
    pub fn trust(&self) -> TrustRoot {
        self.known().clone()
    }

    /// Hands a signed transaction to one validator and waits until it is proven to be committed. After a failure, the same bytes
    /// may be handed in again: the next validator is asked.
    ///
    /// # Errors
    /// As [`Client::connect`] and [`Client::commit`].
    pub async fn commit(&self, signed: &[u8], wait: Duration) -> Result<TransactionProof, ClientError> {
        let client = self.client().await?;
        let proof = client.commit(signed, wait).await;
        if proof.is_err() {
            self.leave(&client).await;
        }
        proof
    }

    /// **Asks one validator after the other until it is proven, or `patience` is over.** What validators keep refusing is given
    /// up sooner.
    ///
    /// # Errors
    /// The last validator's [`ClientError`].
    pub async fn commit_patiently(
        &self,
        signed: &[u8],
        patience: Duration,
    ) -> Result<TransactionProof, ClientError> {
        let began = Instant::now();
        loop {
            let left = patience.saturating_sub(began.elapsed());
            let error = match self.commit(signed, TRY.min(left)).await {
                Ok(proof) => return Ok(proof),
                Err(error) => error,
            };
            let patience = match error {
                ClientError::Refused(_) => REFUSED.min(patience),
                ClientError::Bind(_) | ClientError::Peers(_) => Duration::ZERO,
                _ => patience,
            };
            if began.elapsed() >= patience {
                return Err(error);
            }
            tracing::warn!(%error, "the ledger's next validator is asked");
            sleep(AGAIN).await;
        }
    }

    async fn client(&self) -> Result<Client, ClientError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| client.is_connected()) {
            return Ok(client.clone());
        }
        let mut addresses = self.addresses.clone();
        let first = self.first.load(Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(first);
        let known = self.trust();
        let new = Client::connect(&self.key, known, &addresses).await?;
        *self.known() = new.trust().clone();
        Ok(client.insert(new).clone())
    }

    /// That one did not do what it should: the next one is tried.
    async fn leave(&self, left: &Client) {
        let mut client = self.client.lock().await;
        if client.as_ref().is_some_and(|client| client.validator() == left.validator()) {
            self.first.fetch_add(1, Ordering::Relaxed);
            *client = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, TrustRoot> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
