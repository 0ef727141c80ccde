//! The validator's one durable store: the replica's block tree and the batches that its blocks name.
//!
//! **Invariant (local):** a write is atomic and on the disk before it returns (`Durability::Immediate`), or it never
//! returns: [`FaultSignal::stop_here`]. The replica votes after a write, so what it voted for is never lost.
//!
//! **Invariant (local):** the replica's safety state (its lock, the views it entered and voted in) is initialized once
//! in the life of a data folder, in the same write that says so. `Replica::initialize` on a store with history would
//! forget the lock, therefore it is called from [`Store::open`] alone.
//!
//! **Invariant (local):** the lock and the newest view voted in never go back, whatever the crate would write.

mod kv;
mod tables;

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hotstuff_rs::{
    block_tree::{
        pluggables::{KVGet as _, KVGetError, KVStore as _, WriteBatch as _},
        variables,
    },
    replica::Replica,
    types::{
        data_types::Power,
        update_sets::AppStateUpdates,
        validator_set::{ValidatorSet, ValidatorSetState, VerifyingKey},
    },
};
use redb::{Database, DatabaseError, StorageBackend};
use thiserror::Error;
use tokio::sync::watch;

use crate::fault::{Fault, FaultSignal};
pub use kv::{Changes, Snapshot};

const FILE_NAME: &str = "ledger.redb";
const CACHE_BYTES: usize = 32 << 20;

/// What a folder belongs to: an epoch of a ledger and one of its validators.
#[derive(Clone, Debug)]
pub struct Origin {
    /// A digest of the ledger's genesis.
    pub genesis: [u8; 32],
    /// Which of its epochs.
    pub epoch: u64,
    /// This validator's key.
    pub me: VerifyingKey,
    /// All the epoch's validators, each of power 1.
    pub validators: Vec<VerifyingKey>,
}

/// Why a data folder could not be opened.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the data folder {} is in use by another validator; stop that one, or give this one its own `data_dir`", dir.display())]
    Locked { dir: PathBuf },
    #[error(
        "the data folder {} belongs to another ledger (genesis {}…, this one is {}…); give this validator a `data_dir` \
         of its own, or the genesis file that the folder was made with", dir.display(), short(found), short(wanted)
    )]
    OtherGenesis { dir: PathBuf, found: Vec<u8>, wanted: Vec<u8> },
    #[error(
        "the data folder {} belongs to the validator {}…, this one is {}…; two validators must never share a folder or a \
         key", dir.display(), short(found), short(wanted)
    )]
    OtherValidator { dir: PathBuf, found: Vec<u8>, wanted: Vec<u8> },
    #[error("the folder {} is of another epoch than {wanted}; no two epochs may share one", dir.display())]
    OtherEpoch { dir: PathBuf, wanted: u64 },
    #[error("the data folder {} has a layout that this version does not read; use the version that made it", dir.display())]
    OtherFormat { dir: PathBuf },
    #[error("could not open the store in {}: {detail}", dir.display())]
    Unusable { dir: PathBuf, detail: String },
}

fn short(bytes: &[u8]) -> String {
    bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// How far the replica is, as far as that is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The height of the newest committed block; `None` before the first.
    pub height: Option<u64>,
    /// Committed blocks seen since the store was opened.
    pub commits: u64,
}

/// The store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    epoch: u64,
    /// The store of the epoch before, whose state lies under this one's.
    earlier: Option<Store>,
    database: Database,
    /// The replica's single variables (lock, validator set, views), read many times a view: a copy of what is on disk.
    variables: RwLock<BTreeMap<u8, Vec<u8>>>,
    sets: Mutex<kv::Sets>,
    /// What the next write takes along.
    staged: Mutex<Staged>,
    progress: watch::Sender<Progress>,
    /// The newest view entered.
    view: AtomicU64,
    fault: FaultSignal,
}

#[derive(Debug, Default)]
struct Staged {
    batches: BTreeMap<[u8; 32], Vec<u8>>,
    origin: Option<Origin>,
}

impl Store {
    /// Opens the store in `dir`, made and initialized if it is not there yet.
    ///
    /// # Errors
    /// [`StoreError`] if the folder is in use, belongs to another ledger or validator, or can't be read or written.
    pub fn open(dir: &Path, origin: &Origin, fault: FaultSignal) -> Result<Self, StoreError> {
        Self::open_after(None, dir, origin, fault)
    }

    /// The same for an epoch that followed another, whose store is `earlier`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_after(
        earlier: Option<Self>,
        dir: &Path,
        origin: &Origin,
        fault: FaultSignal,
    ) -> Result<Self, StoreError> {
        let unusable = |detail: String| StoreError::Unusable { dir: dir.to_owned(), detail };
        fs::create_dir_all(dir).map_err(|error| unusable(error.to_string()))?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(dir.join(FILE_NAME));
        let database = database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { dir: dir.to_owned() },
            other => unusable(other.to_string()),
        })?;
        Self::over(database, earlier, dir, origin, fault)
    }

    /// The same over a backend of the caller's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        backend: impl StorageBackend,
        origin: &Origin,
        fault: FaultSignal,
    ) -> Result<Self, StoreError> {
        let dir = Path::new("(a backend)");
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(|error| StoreError::Unusable { dir: dir.to_owned(), detail: error.to_string() })?;
        Self::over(database, None, dir, origin, fault)
    }

    fn over(
        database: Database,
        earlier: Option<Self>,
        dir: &Path,
        origin: &Origin,
        fault: FaultSignal,
    ) -> Result<Self, StoreError> {
        let found = tables::read_origin(&database)
            .map_err(|error| StoreError::Unusable { dir: dir.to_owned(), detail: error.to_string() })?;
        let is_new = found.is_none();
        if let Some(found) = found {
            found.check(dir, origin)?;
        }
        let store = Self(Arc::new(Inner {
            epoch: origin.epoch,
            earlier,
            database,
            variables: RwLock::default(),
            sets: Mutex::default(),
            staged: Mutex::default(),
            progress: watch::Sender::new(Progress::default()),
            view: AtomicU64::new(0),
            fault,
        }));
        if is_new {
            store.initialize(origin);
        }
        store.load();
        Ok(store)
    }

    fn initialize(&self, origin: &Origin) {
        let mut set = ValidatorSet::new();
        for key in &origin.validators {
            set.put(key, Power::new(1));
        }
        self.stage(|staged| staged.origin = Some(origin.clone()));
        let state = ValidatorSetState::new(set.clone(), set, None, true);
        Replica::initialize(self.clone(), AppStateUpdates::new(), state);
    }

    fn load(&self) {
        let variables = self.or_stop("read", tables::read_variables(&self.0.database));
        self.0.view.store(kv::view_entered(&variables).unwrap_or(0), Ordering::Release);
        *self.0.variables.write().unwrap_or_else(PoisonError::into_inner) = variables;
        let height = self.or_stop("read", tables::read_height(&self.0.database));
        self.0.progress.send_replace(Progress { height, commits: 0 });
    }

    fn stage(&self, change: impl FnOnce(&mut Staged)) {
        change(&mut self.0.staged.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Has the next write take a batch along, so that a vote for it (which the replica sends only after a write) can't
    /// come before it is on the disk.
    pub fn stage_batch(&self, root: [u8; 32], bytes: Vec<u8>) {
        self.stage(|staged| drop(staged.batches.insert(root, bytes)));
    }

    /// The bytes of a batch of this epoch or an earlier one, durable or about to be.
    #[must_use]
    pub fn batch(&self, root: &[u8; 32]) -> Option<Vec<u8>> {
        let staged = self.0.staged.lock().unwrap_or_else(PoisonError::into_inner).batches.get(root).cloned();
        staged
            .or_else(|| self.or_stop("read a batch", tables::read_batch(&self.0.database, root)))
            .or_else(|| self.earlier()?.batch(root))
    }

    /// The epoch whose chain this is.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The store of the epoch before, if there was one.
    #[must_use]
    pub fn earlier(&self) -> Option<&Self> {
        self.0.earlier.as_ref()
    }

    /// This store and those of the epochs before, newest first.
    pub fn epochs(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |store| store.earlier())
    }

    /// Writes part of a chain that ended, which no replica runs on.
    pub(crate) fn import(&self, changes: &Changes, batches: BTreeMap<[u8; 32], Vec<u8>>) {
        let staged = Staged { batches, origin: None };
        self.or_stop("write", tables::write(&self.0.database, changes, &staged));
        self.load();
    }

    /// The block tree as it is on the disk now.
    #[must_use]
    pub fn look(&self) -> Snapshot {
        self.snapshot()
    }

    /// How far the replica is; changes after each commit is durable.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// The view in which a replica over this store begins.
    #[must_use]
    pub fn next_view(&self) -> u64 {
        let chain = self.look();
        let known = |error: KVGetError| format!("{error:?}");
        let entered = self.or_stop("read", chain.highest_view_entered().map_err(known));
        let proven = self.or_stop("read", chain.highest_pc().map_err(known)).view;
        let timed_out = self.or_stop("read", chain.highest_tc().map_err(known)).map(|tc| tc.view);
        match entered.max(proven).max(timed_out.unwrap_or(proven)).int() {
            0 => 0,
            newest => newest + 1,
        }
    }

    /// Has a replica begin in that view, which is later than it would have.
    pub fn begin_in(&mut self, view: u64) {
        let mut changes = Changes::new();
        changes.set(&variables::HIGHEST_VIEW_ENTERED, &view.saturating_sub(1).to_le_bytes());
        self.write(changes);
    }

    /// The newest view that the replica entered.
    #[must_use]
    pub fn view(&self) -> u64 {
        self.0.view.load(Ordering::Acquire)
    }

    fn or_stop<T, E: Display>(&self, action: &'static str, result: Result<T, E>) -> T {
        result.unwrap_or_else(|error| {
            self.0.fault.stop_here(Fault::Store { action, detail: error.to_string() })
        })
    }
}

#[cfg(test)]
pub(crate) mod disks;
#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
