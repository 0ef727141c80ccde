//! A client of the ledger that connects again when it must.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey};
use farhand_submit::{Client, ClientError};
use tokio::sync::Mutex;

use crate::config::ValidatorEntry;

/// A refusal is asked about again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// A commit takes a fifth of a second; with validators down it may take until they are back.
const COMMIT: Duration = Duration::from_secs(20);
/// A refusal is final after this.
const REFUSED: Duration = Duration::from_secs(10);

/// What became of a transaction that was handed to the ledger.
pub(crate) type Outcome = Result<TransactionProof, ClientError>;

#[derive(Debug)]
pub(crate) struct Ledger {
    key: DeviceKey,
    trust: TrustRoot,
    validators: Vec<(DeviceId, SocketAddr)>,
    client: Mutex<Option<Client>>,
}

impl Ledger {
    pub(crate) fn new(
        key: DeviceKey,
        trust: TrustRoot,
        validators: &[ValidatorEntry],
    ) -> Result<Self, DeviceIdError> {
        let validators = validators.iter().map(|entry| Ok((DeviceId::try_from(entry.key)?, entry.addr)));
        let validators = validators.collect::<Result<_, DeviceIdError>>()?;
        Ok(Self { key, trust, validators, client: Mutex::new(None) })
    }

    /// A role that was granted a moment ago may not have reached this validator yet, so a refusal is asked about again.
    pub(crate) async fn commit(&self, signed: &[u8]) -> Outcome {
        let until = Instant::now() + REFUSED;
        loop {
            match self.client().await?.commit(signed, COMMIT).await {
                Err(ClientError::Refused(_)) if Instant::now() < until => tokio::time::sleep(AGAIN).await,
                outcome => return outcome,
            }
        }
    }

    async fn client(&self) -> Result<Client, ClientError> {
        let mut client = self.client.lock().await;
        match &*client {
            Some(client) if client.is_connected() => Ok(client.clone()),
            _ => {
                let connected = Client::connect(&self.key, self.trust.clone(), &self.validators).await?;
                Ok(client.insert(connected).clone())
            }
        }
    }
}
