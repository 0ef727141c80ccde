//! What all requests share.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::{mpsc, watch};

use crate::{Links, export::Taken, field::Desk, ledger::Ledger, switchboard::Event};

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) links: Mutex<Links>,
    pub(crate) evidence: RwLock<Evidence>,
    /// The kit's limits as text, for whoever draws them.
    pub(crate) limits: Option<Vec<u8>>,
    /// The genesis file.
    pub(crate) trust_root: Vec<u8>,
    /// What a browser may call this server (`Host`): any other name is another site's, made to point here.
    pub(crate) hosts: Vec<String>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) edge_online: watch::Receiver<bool>,
    /// Name of the sealed record's bundle.
    pub(crate) sealed: watch::Receiver<Option<String>>,
    /// The delivery that this server follows, if any.
    pub(crate) field: Option<Desk>,
    /// Signed endorsements go here, for the hospital's desk.
    pub(crate) claims: Option<PathBuf>,
    /// Sealed bundles lie here.
    pub(crate) bundles: Option<PathBuf>,
    /// Where exports are recorded.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// Exports that the ledger has: what may be downloaded, and by whom.
    pub(crate) taken: Mutex<BTreeSet<Taken>>,
}

/// What the ledger has proven of the session so far; browsers and edge box check it themselves.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) opening: Option<Vec<u8>>,
    /// The kit's custody, a proof each step.
    pub(crate) custody: Vec<Vec<u8>>,
}

impl App {
    // Each lock is held for one call that leaves what it guards whole, so a poisoned one is as good as new.

    pub(crate) fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, BTreeSet<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn evidence(&self) -> RwLockReadGuard<'_, Evidence> {
        self.evidence.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn evidence_mut(&self) -> RwLockWriteGuard<'_, Evidence> {
        self.evidence.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unix time; a clock before 1970 reads 0.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map(|()| bytes)
}
