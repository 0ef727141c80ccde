//! Transactions that wait for a block.
//!
//! **Invariant (local):** a transaction is here at most once, at most [`MempoolLimits::transactions_max`] of them and
//! [`MempoolLimits::bytes_max`] bytes in all, and none longer than [`MempoolLimits::age_max`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use farhand_ledger::{Authored, Hash};
use thiserror::Error;

/// How much may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub struct MempoolLimits {
    pub transactions_max: usize,
    pub bytes_max: usize,
    /// A transaction that found no block for so long is forgotten; its client submits it again.
    pub age_max: Duration,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self { transactions_max: 20_000, bytes_max: 32 << 20, age_max: Duration::from_secs(60) }
    }
}

/// A transaction with its encoding.
#[derive(Debug)]
pub struct Waiting {
    /// Its signature was checked.
    pub authored: Authored,
    pub bytes: Vec<u8>,
    since: Instant,
}

/// Why a transaction was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    #[error("it waits already")]
    Known,
    #[error("{waiting} transactions of {bytes} bytes wait already; try again when they are committed")]
    Full { waiting: usize, bytes: usize },
}

/// What a block's maker thinks of a waiting transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Into this block.
    Take,
    /// Not now: it waits for another, or is in a block that is not committed yet.
    Leave,
    /// Never: it is committed.
    Forget,
    /// This block is full.
    Enough,
}

/// The mempool of one validator, shared by its threads.
#[derive(Debug)]
pub struct Mempool {
    limits: MempoolLimits,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    by_hash: HashMap<Hash, Arc<Waiting>>,
    order: VecDeque<Arc<Waiting>>,
    bytes: usize,
    arrivals: u64,
}

impl Mempool {
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self { limits, queue: Mutex::default(), arrived: Condvar::new() }
    }

    /// Takes a transaction in, at `now`.
    ///
    /// # Errors
    /// [`NotTaken`] if it is here already or there is no room.
    pub fn insert(&self, authored: Authored, bytes: Vec<u8>, now: Instant) -> Result<(), NotTaken> {
        let hash = authored.hash;
        let mut queue = self.lock();
        if queue.by_hash.contains_key(&hash) {
            return Err(NotTaken::Known);
        }
        let full = queue.order.len() >= self.limits.transactions_max
            || queue.bytes + bytes.len() > self.limits.bytes_max;
        if full {
            return Err(NotTaken::Full { waiting: queue.order.len(), bytes: queue.bytes });
        }
        queue.bytes += bytes.len();
        queue.arrivals += 1;
        let waiting = Arc::new(Waiting { authored, bytes, since: now });
        queue.by_hash.insert(hash, Arc::clone(&waiting));
        queue.order.push_back(waiting);
        self.arrived.notify_all();
        Ok(())
    }

    /// Goes through what waits, oldest first, and returns what `judge` would take.
    pub fn select(&self, now: Instant, mut judge: impl FnMut(&Waiting) -> Verdict) -> Vec<Arc<Waiting>> {
        let waiting: Vec<Arc<Waiting>> = self.lock().order.iter().cloned().collect();
        let mut taken = Vec::new();
        let mut forgotten = Vec::new();
        for one in waiting {
            match judge(&one) {
                Verdict::Take => taken.push(one),
                Verdict::Enough => break,
                Verdict::Forget => forgotten.push(one.authored.hash),
                Verdict::Leave if now.duration_since(one.since) > self.limits.age_max => {
                    forgotten.push(one.authored.hash)
                }
                Verdict::Leave => {}
            }
        }
        self.remove(&forgotten);
        taken
    }

    /// Forgets transactions, such as those just committed.
    pub fn remove(&self, hashes: &[Hash]) {
        let mut queue = self.lock();
        let before = queue.by_hash.len();
        for hash in hashes {
            queue.by_hash.remove(hash);
        }
        if queue.by_hash.len() < before {
            let Queue { by_hash, order, .. } = &mut *queue;
            order.retain(|waiting| by_hash.contains_key(&waiting.authored.hash));
            queue.bytes = queue.order.iter().map(|waiting| waiting.bytes.len()).sum();
        }
    }

    /// A waiting transaction.
    #[must_use]
    pub fn get(&self, hash: &Hash) -> Option<Arc<Waiting>> {
        self.lock().by_hash.get(hash).cloned()
    }

    /// Transactions that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many transactions ever arrived: what [`Mempool::wait_for_more`] compares with.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.lock().arrivals
    }

    /// Waits until more than `arrivals` transactions arrived or `limit` is over; whether more arrived.
    pub fn wait_for_more(&self, arrivals: u64, limit: Duration) -> bool {
        let wait = self.arrived.wait_timeout_while(self.lock(), limit, |queue| queue.arrivals <= arrivals);
        let (queue, _) = wait.unwrap_or_else(PoisonError::into_inner);
        queue.arrivals > arrivals
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use farhand_ledger::{Event, Grant, LedgerId, Transaction, Utc};
    use farhand_wire::{PublicKey, Role};

    use super::*;

    fn some(number: u64) -> (Authored, Vec<u8>) {
        let grant = Grant {
            key: PublicKey([1; 32]),
            role: Role::Field,
            pseudonym: "one".to_owned(),
            until_utc_ms: number,
        };
        let transaction =
            Transaction { ledger: LedgerId([1; 16]), at: Utc::default(), event: Event::Grant(grant) };
        let bytes = transaction.sign(&SigningKey::from_bytes(&[1; 32])).unwrap();
        (Transaction::open(&bytes).unwrap(), bytes)
    }

    fn insert(mempool: &Mempool, number: u64, now: Instant) -> Result<(), NotTaken> {
        let (authored, bytes) = some(number);
        mempool.insert(authored, bytes, now)
    }

    /// Goal: the same transaction waits once, and no more than the limit wait at all.
    #[test]
    fn it_holds_each_once_and_no_more_than_its_limit() {
        let mempool = Mempool::new(MempoolLimits { transactions_max: 2, ..MempoolLimits::default() });
        let now = Instant::now();
        assert_eq!(insert(&mempool, 1, now), Ok(()));
        assert_eq!(insert(&mempool, 1, now), Err(NotTaken::Known));
        assert_eq!(insert(&mempool, 2, now), Ok(()));
        assert!(matches!(insert(&mempool, 3, now), Err(NotTaken::Full { waiting: 2, .. })));
        mempool.remove(&[some(1).0.hash]);
        assert_eq!(insert(&mempool, 3, now), Ok(()));
        assert!(!mempool.wait_for_more(3, Duration::ZERO) && mempool.wait_for_more(2, Duration::ZERO));
    }

    /// Goal: they are taken in order of arrival; what is committed is forgotten, and what never gets its turn in the end.
    #[test]
    fn it_is_gone_through_in_order_and_forgets_what_is_done_or_too_old() {
        let mempool = Mempool::new(MempoolLimits::default());
        let now = Instant::now();
        (1..=4).for_each(|number| insert(&mempool, number, now).unwrap());
        let verdicts = [Verdict::Leave, Verdict::Forget, Verdict::Take, Verdict::Enough];
        let mut judge = verdicts.into_iter();
        let taken = mempool.select(now, |_| judge.next().unwrap());
        assert_eq!(taken.iter().map(|one| one.authored.hash).collect::<Vec<_>>(), [some(3).0.hash]);
        assert_eq!(mempool.len(), 3);
        let later = now + MempoolLimits::default().age_max + Duration::from_millis(1);
        assert!(mempool.select(later, |_| Verdict::Leave).is_empty() && mempool.is_empty());
    }
}
