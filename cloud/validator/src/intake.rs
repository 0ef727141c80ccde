//! Where signed transactions come in, from clients and from other validators.

use std::{sync::Arc, time::Instant};

use farhand_ledger::{BadTransaction, Hash, LedgerId, Transaction};
use thiserror::Error;

use crate::{
    mempool::{Mempool, NotTaken},
    rules::{ChainState as _, Place, keys},
    store::Store,
};

/// Why a transaction was not taken in.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error(transparent)]
    Bad(#[from] BadTransaction),
    #[error("it is for ledger {seen}, this is {expected}")]
    OtherLedger { seen: LedgerId, expected: LedgerId },
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

/// What became of a transaction that is good in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// New here: it waits for a block now, and the other validators should hear of it.
    New(Hash),
    /// It waits already, or is committed.
    Known(Hash),
}

/// Checks signatures and fills the mempool.
#[derive(Debug)]
pub struct Intake {
    pub ledger: LedgerId,
    pub store: Store,
    pub mempool: Arc<Mempool>,
}

impl Intake {
    /// Takes a signed transaction in. Whether its author may say so is found out when it goes into a block.
    ///
    /// # Errors
    /// [`Refusal`] if its signature is bad, it is for another ledger, or there is no room.
    pub fn take(&self, bytes: &[u8]) -> Result<Taken, Refusal> {
        let hash = Hash::of(bytes);
        if self.mempool.get(&hash).is_some() || self.place(&hash).is_some() {
            return Ok(Taken::Known(hash));
        }
        let authored = Transaction::open(bytes)?;
        let seen = authored.transaction.ledger;
        if seen != self.ledger {
            return Err(Refusal::OtherLedger { seen, expected: self.ledger });
        }
        match self.mempool.insert(authored, bytes.to_vec(), Instant::now()) {
            Ok(()) => Ok(Taken::New(hash)),
            Err(NotTaken::Known) => Ok(Taken::Known(hash)),
            Err(full) => Err(full.into()),
        }
    }

    /// Where a committed transaction stands.
    #[must_use]
    pub fn place(&self, hash: &Hash) -> Option<Place> {
        minicbor::decode(&self.store.get(&keys::transaction(hash))?).ok()
    }
}
