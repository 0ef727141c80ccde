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
/// A peer that was asked for a missing batch has this long before the next one is asked: four within the time that a
/// vote waits.
const ASK_NEXT: Duration = Duration::from_millis(75);

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

    /// The batch with that root; if it is not here, `ask` is called with 0, 1, 2 and so on until it came or `limit`
    /// is over.
    pub fn find(&self, root: Hash, limit: Duration, mut ask: impl FnMut(usize)) -> Option<Arc<Payload>> {
        if let Some(found) = self.get(root) {
            return Some(found);
        }
        let until = Instant::now() + limit;
        for turn in 0.. {
            ask(turn);
            let wait = ASK_NEXT.min(until.saturating_duration_since(Instant::now()));
            let missing = |recent: &mut HashMap<_, _>| find(recent, root).is_none();
            let (recent, _) = self
                .arrived
                .wait_timeout_while(self.lock(), wait, missing)
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = find(&recent, root) {
                return Some(found);
            }
            if Instant::now() >= until {
                break;
            }
        }
        None
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use farhand_ledger::{LedgerId, Utc};
    use farhand_link::DeviceKey;

    use super::*;
    use crate::{fault::FaultSignal, store::Origin};

    fn payload(us: u64) -> Arc<Payload> {
        let at = Utc { us, uncertainty_us: 1 };
        Arc::new(Payload::new(Batch::new(LedgerId([1; 16]), at, Vec::new()).unwrap()))
    }

    fn payloads() -> (tempfile::TempDir, Payloads) {
        let dir = tempfile::tempdir().unwrap();
        let me = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let origin = Origin { genesis: [1; 32], epoch: 0, me, validators: vec![me] };
        let store = Store::open(dir.path(), &origin, FaultSignal::default()).unwrap();
        (dir, Payloads::new(store))
    }

    fn peer() -> DeviceId {
        DeviceKey::generate().unwrap().id()
    }

    /// Goal: a batch that is not here is asked for, and found once a peer sent it; without an answer the wait ends.
    #[test]
    fn a_missing_batch_is_asked_for_within_a_bound() {
        let (_dir, payloads) = payloads();
        let wanted = payload(1);
        let mut asked = 0;
        let found = payloads.find(wanted.root, Duration::from_secs(60), |_| {
            asked += 1;
            payloads.offer(peer(), Arc::clone(&wanted));
        });
        assert_eq!((found.map(|found| found.root), asked), (Some(wanted.root), 1));
        let mut turns = Vec::new();
        let missing = payloads.find(payload(2).root, 2 * ASK_NEXT, |turn| turns.push(turn));
        assert!(missing.is_none() && turns.starts_with(&[0, 1]), "another one is asked next: {turns:?}");
    }

    /// Goal: a peer that sends batches without end pushes out its own, and nobody else's.
    #[test]
    fn a_peer_pushes_out_only_its_own_batches() {
        let (_dir, payloads) = payloads();
        let (honest, flood) = (peer(), peer());
        payloads.offer(honest, payload(0));
        (1..=RECENT_MAX as u64 + 1).for_each(|us| payloads.offer(flood, payload(us)));
        assert!(payloads.get(payload(0).root).is_some());
        assert!(payloads.get(payload(1).root).is_none());
        assert!(payloads.get(payload(2).root).is_some());
    }

    /// Goal: bytes that are no batch, or not its one encoding, are refused.
    #[test]
    fn bytes_that_are_no_batch_are_refused() {
        let good = payload(1).bytes.clone();
        assert_eq!(Payload::read(good.clone()).unwrap().root, payload(1).root);
        assert!(Payload::read([good, vec![0]].concat()).is_err());
        assert!(Payload::read(Vec::new()).is_err());
    }
}
