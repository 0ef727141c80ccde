//! The ledger, as the record needs it.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use farhand_ledger::{TransactionProof, TrustRoot};
use farhand_submit::{ClientError, Validators};
use thiserror::Error;

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

#[async_trait]
impl Ledger for Validators {
    async fn commit(&self, signed: &[u8], wait: Duration) -> Result<TransactionProof, LedgerError> {
        Ok(Self::commit(self, signed, wait).await?)
    }

    fn trust(&self) -> Option<TrustRoot> {
        Some(Self::trust(self))
    }
}
