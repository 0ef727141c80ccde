//! Batches beside consensus: where the batch is that a block's `data_hash` names.
//!
//! **Invariant (local):** a batch is only ever found under the root that its own bytes lead to. **Bounded:** of each peer
//! the newest [`RECENT_MAX`] batches are remembered until they are stored with their block.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use farhand_ledger::{Batch, Cbor, Hash, Malformed};
use farhand_link::DeviceId;

use crate::store::Store;

/// Batches remembered of each peer.
pub const RECENT_MAX: usize = 16;
/// While a batch is missing, peers are asked for it this often.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A batch with its encoding and root.
#[derive(Debug)]
pub struct Payload {
    pub root: Hash,
    pub batch: Batch,
    pub bytes: Vec<u8>,
}

impl Payload {
    #[must_use]
    pub fn new(batch: Batch) -> Self {
        Self { root: batch.root(), bytes: batch.to_bytes(), batch }
    }

    /// Whatever batch these bytes are.
    ///
    /// # Errors
    /// [`Malformed`] if they are none.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Malformed> {
        let batch = Batch::read(&bytes)?;
        Ok(Self { root: batch.root(), bytes, batch })
    }
}

/// The batches that this validator can put its hands on.
#[derive(Debug)]
pub struct Payloads {
    store: Store,
    recent: Mutex<HashMap<DeviceId, VecDeque<Arc<Payload>>>>,
    arrived: Condvar,
}

impl Payloads {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, recent: Mutex::default(), arrived: Condvar::new() }
    }

    /// Remembers a batch that `from` sent.
    pub fn offer(&self, from: DeviceId, payload: Arc<Payload>) {
        let mut recent = self.lock();
        let of_peer = recent.entry(from).or_default();
        if of_peer.iter().any(|known| known.root == payload.root) {
            return;
        }
        if of_peer.len() >= RECENT_MAX {
            of_peer.pop_front();
        }
        of_peer.push_back(payload);
        self.arrived.notify_all();
    }

    /// The batch with that root, if it is here.
    #[must_use]
    pub fn get(&self, root: Hash) -> Option<Arc<Payload>> {
        let recent = find(&self.lock(), root);
        recent.or_else(|| self.stored(root))
    }

    /// The batch with that root; if it is not here, `ask` is called now and again until it came or `limit` is over.
    pub fn find(&self, root: Hash, limit: Duration, mut ask: impl FnMut()) -> Option<Arc<Payload>> {
        if let Some(found) = self.get(root) {
            return Some(found);
        }
        let until = Instant::now() + limit;
        loop {
            ask();
            let wait = ASK_AGAIN.min(until.saturating_duration_since(Instant::now()));
            let missing = |recent: &mut HashMap<_, _>| find(recent, root).is_none();
            let (recent, _) = self
                .arrived
                .wait_timeout_while(self.lock(), wait, missing)
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = find(&recent, root) {
                return Some(found);
            }
            if Instant::now() >= until {
                return None;
            }
        }
    }

    fn stored(&self, root: Hash) -> Option<Arc<Payload>> {
        let payload = Payload::read(self.store.batch(&root.0)?).ok()?;
        Some(Arc::new(payload))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, VecDeque<Arc<Payload>>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(recent: &HashMap<DeviceId, VecDeque<Arc<Payload>>>, root: Hash) -> Option<Arc<Payload>> {
    recent.values().flatten().find(|payload| payload.root == root).cloned()
}
