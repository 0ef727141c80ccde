//! The ledger, as pages' transactions need it.

use std::time::Duration;

use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey};
use farhand_submit::{ClientError, Validators};

use crate::config::ValidatorEntry;

/// A commit takes a fifth of a second; with validators down it may take until they are back. A person waits for it, and is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a transaction that was handed to the ledger.
pub(crate) type Outcome = Result<TransactionProof, ClientError>;

#[derive(Debug)]
pub(crate) struct Ledger(Validators);

impl Ledger {
    pub(crate) fn new(
        key: DeviceKey,
        trust: TrustRoot,
        validators: &[ValidatorEntry],
    ) -> Result<Self, DeviceIdError> {
        let addresses = validators.iter().map(|entry| Ok((DeviceId::try_from(entry.key)?, entry.addr)));
        let addresses = addresses.collect::<Result<_, DeviceIdError>>()?;
        Ok(Self(Validators::new(key, trust, addresses)))
    }

    pub(crate) async fn commit(&self, signed: &[u8]) -> Outcome {
        self.0.commit_patiently(signed, PATIENCE).await
    }
}
