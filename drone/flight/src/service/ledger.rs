//! Where custody goes: the ledger, over whatever way there is.

use std::time::Duration;

use async_trait::async_trait;
use farhand_ledger::TransactionProof;
use farhand_submit::Validators;

/// With all validators up a commit takes a fifth of a second; with some down, until they are back. Then the next one is asked.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

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

#[async_trait]
impl Ledger for Validators {
    async fn commit(&self, transaction: &[u8]) -> Result<TransactionProof, String> {
        Self::commit(self, transaction, COMMIT_WAIT).await.map_err(|error| error.to_string())
    }
}
