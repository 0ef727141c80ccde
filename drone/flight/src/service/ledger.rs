//! Where custody goes: the ledger, over whatever way there is.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_link::{DeviceId, DeviceKey};
use farhand_submit::{Client, ClientError};
use tokio::sync::Mutex;

/// With all validators up a commit takes a fifth of a second; with some down, until they are back.
const COMMIT_WAIT: Duration = Duration::from_secs(20);

/// Takes signed transactions.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Hands a transaction in and brings back the proof, checked, that it is committed. Called again with the same bytes
    /// after a failure, which must do no harm.
    ///
    /// # Errors
    /// A sentence that says why there is no proof yet.
    async fn commit(&self, transaction: &[u8]) -> Result<TransactionProof, String>;
}

/// The ledger's validators, over [`farhand_submit`]. Connects when there is something to hand in, and again when it must.
#[derive(Debug)]
pub struct Validators {
    key: DeviceKey,
    trust: TrustRoot,
    addresses: Vec<(DeviceId, SocketAddr)>,
    client: Mutex<Option<Client>>,
}

impl Validators {
    /// `key` must be among the clients that the validators let in, as an aircraft.
    #[must_use]
    pub fn new(key: DeviceKey, trust: TrustRoot, addresses: Vec<(DeviceId, SocketAddr)>) -> Self {
        Self { key, trust, addresses, client: Mutex::new(None) }
    }

    async fn client(&self) -> Result<Client, ClientError> {
        let mut client = self.client.lock().await;
        match &*client {
            Some(client) if client.is_connected() => Ok(client.clone()),
            _ => {
                let connected = Client::connect(&self.key, self.trust.clone(), &self.addresses).await?;
                Ok(client.insert(connected).clone())
            }
        }
    }
}

#[async_trait]
impl Ledger for Validators {
    async fn commit(&self, transaction: &[u8]) -> Result<TransactionProof, String> {
        let client = self.client().await.map_err(|error| error.to_string())?;
        client.commit(transaction, COMMIT_WAIT).await.map_err(|error| error.to_string())
    }
}
