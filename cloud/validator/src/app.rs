//! The application on the ledger, as the consensus crate calls it: makes blocks, and says whether others' are good.
//!
//! **Invariant (local):** a block is called valid only if its batch is here, follows the rules from first to last, and
//! is staged to be written with the block, before the vote.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use farhand_ledger::{
    Authored, BATCH_BYTES_MAX, BadTransaction, Batch, BatchHeader, Hash, LedgerId, Transaction, Utc, merkle,
};
use farhand_link::DeviceId;
use hotstuff_rs::{
    app::{App, ProduceBlockRequest, ProduceBlockResponse, ValidateBlockRequest, ValidateBlockResponse},
    block_tree::accessors::app::AppBlockTreeView,
    types::{
        block::Block,
        data_types::{CryptoHash, Data},
        update_sets::AppStateUpdates,
    },
};
use thiserror::Error;

use crate::{
    beats::{AlgorithmWatch, Beats, Thread},
    frames::PeerFrame,
    mempool::{Mempool, Verdict, Waiting},
    net::PeerNetwork,
    payload::{Payload, Payloads},
    rules::{BadBatch, ChainState, Draft, Here, Inadmissible, Place, Rules, keys},
    store::Store,
};

/// How long a leader waits for work, how long a vote waits for a batch, and how far clocks may be apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A leader without work waits this long before it proposes an empty block, and so do all who follow it: what an
    /// idle ledger costs.
    pub idle_wait: Duration,
    /// The same while a block with transactions awaits its commit, for which three more blocks are needed.
    pub commit_wait: Duration,
    /// Meanwhile a leader that has work gathers more for this long: a session writes some ten transactions a second, and
    /// blocks of one each would cost the processor more than they save time.
    pub gather: Duration,
    /// A batch that is missing when its block is proposed is waited for this long; the view lasts a second.
    pub batch_wait: Duration,
    /// The same when a block is fetched that others committed long ago.
    pub sync_batch_wait: Duration,
    /// How far a batch's time may be from this validator's, besides what both clocks may be off by.
    pub apart_us_max: u64,
    /// How far this validator's clock may be off.
    pub uncertainty_us: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            idle_wait: Duration::from_millis(400),
            commit_wait: Duration::from_millis(30),
            gather: Duration::from_millis(10),
            batch_wait: Duration::from_millis(300),
            sync_batch_wait: Duration::from_secs(2),
            apart_us_max: 3_000_000,
            uncertainty_us: 100_000,
        }
    }
}

/// A batch that says its maker's clock may be off by more is worth nothing as a time.
const UNCERTAINTY_US_MAX: u64 = 10_000_000;
/// Transactions of one block: what can be checked well within a view.
const BLOCK_TRANSACTIONS_MAX: usize = 2000;
/// Leaves room for the batch's own bytes.
const BLOCK_BYTES_MAX: usize = BATCH_BYTES_MAX - 64 * 1024;
/// Blocks that a peer has are committed as they come, sixteen at a time.
const SYNC_WITHOUT_COMMIT_MAX: Duration = Duration::from_secs(5);
/// A block is committed by the third after it.
const COMMITTING_BLOCKS: usize = 3;
/// Blocks that can await their commit; more are looked at in no case.
const AWAITING_BLOCKS_MAX: usize = 64;

/// Why a block is not voted for.
#[derive(Debug, Error)]
enum Invalid {
    #[error("it has height {seen}, its parent asks for {expected}")]
    Height { seen: u64, expected: u64 },
    #[error("its height {seen} is committed already (to {committed})")]
    Committed { seen: u64, committed: u64 },
    #[error("its parent is not known")]
    NoParent,
    #[error("block 0 has no batch, so it does not name the ledger")]
    Nameless,
    #[error("its batch {root} could not be had within {limit_ms} ms")]
    BatchMissing { root: Hash, limit_ms: u128 },
    #[error("its batch is of ledger {seen}")]
    OtherLedger { seen: LedgerId },
    #[error("its batch says {seen_us} µs, here it is {here_us}; {max_us} apart are allowed")]
    Clock { seen_us: u64, here_us: u64, max_us: u64 },
    #[error("its batch may be off by {seen_us} µs, at most {max_us} are allowed")]
    Uncertain { seen_us: u64, max_us: u64 },
    #[error("its batch says {seen_us} µs, an earlier one {newest_us}")]
    BackInTime { seen_us: u64, newest_us: u64 },
    #[error(transparent)]
    Batch(#[from] BadBatch),
}

/// The application of one validator.
#[derive(Debug)]
pub struct LedgerApp {
    pub me: DeviceId,
    pub rules: Rules,
    pub pace: Pace,
    pub store: Store,
    pub mempool: Arc<Mempool>,
    pub payloads: Arc<Payloads>,
    pub network: PeerNetwork,
    pub beats: Beats,
    /// This machine's clock: [`now_us`].
    pub clock: fn() -> u64,
    pub patience: SyncPatience,
    /// Dropped with the thread that owns this.
    pub watch: AlgorithmWatch,
}

/// How long this validator listens to one that it catches up from. The crate goes on for as long as blocks come that it
/// does not have, and takes no part in anything else meanwhile; one liar could make such blocks for ever.
#[derive(Debug)]
pub struct SyncPatience {
    committed: Option<u64>,
    since: Instant,
}

impl Default for SyncPatience {
    fn default() -> Self {
        Self { committed: None, since: Instant::now() }
    }
}

impl SyncPatience {
    /// Whether too long nothing was committed. The next sync then has its own time.
    fn is_over(&mut self, committed: Option<u64>, now: Instant) -> bool {
        let is_over = committed == self.committed && now.duration_since(self.since) > SYNC_WITHOUT_COMMIT_MAX;
        if is_over || committed != self.committed {
            *self = Self { committed, since: now };
        }
        is_over
    }
}

impl App<Store> for LedgerApp {
    fn produce_block(&mut self, request: ProduceBlockRequest<Store>) -> ProduceBlockResponse {
        self.beats.beat(Thread::Algorithm);
        let root = match self.next_batch(&request) {
            Some(payload) => self.publish(payload),
            None => merkle::empty_root(),
        };
        ProduceBlockResponse {
            data_hash: CryptoHash::new(root.0),
            data: Data::new(Vec::new()),
            app_state_updates: None,
            validator_set_updates: None,
        }
    }

    fn validate_block(&mut self, request: ValidateBlockRequest<Store>) -> ValidateBlockResponse {
        self.answer(&request, Some((self.clock)()))
    }

    /// A block that others committed: its time was compared with clocks when that was to be done.
    fn validate_block_for_sync(&mut self, request: ValidateBlockRequest<Store>) -> ValidateBlockResponse {
        if self.patience.is_over(self.store.progress().borrow().height, Instant::now()) {
            tracing::warn!("ends a sync that commits nothing");
            return ValidateBlockResponse::Invalid;
        }
        self.answer(&request, None)
    }
}

impl LedgerApp {
    /// What the next block commits to; `None` if there was nothing to write for as long as a leader waits.
    fn next_batch(&self, request: &ProduceBlockRequest<Store>) -> Option<Payload> {
        let chain = self.chain(request.block_tree());
        let parent = request.parent_block();
        let height = match parent {
            Some(parent) => request.block_tree().block_height(&parent).ok()??.int() + 1,
            None => 0,
        };
        let busy = self.work_awaits_commit(&chain, parent);
        let (gather, wait) = if busy {
            (self.pace.gather, self.pace.commit_wait)
        } else {
            (Duration::ZERO, self.pace.idle_wait)
        };
        let until = Instant::now() + wait;
        thread::sleep(gather);
        loop {
            let arrivals = self.mempool.arrivals();
            let at = self.time_for_batch(&chain);
            let transactions = self.select(&chain, height, at);
            if !transactions.is_empty() || height == 0 {
                return Batch::new(self.rules.ledger(), at, transactions).ok().map(Payload::new);
            }
            let left = until.saturating_duration_since(Instant::now());
            if !self.mempool.wait_for_more(arrivals, left) {
                return None;
            }
        }
    }

    /// Whether a block with transactions is among those that are not committed yet, here or elsewhere: a leader may have
    /// committed the third block before its own already, and the others learn of that from what it proposes.
    fn work_awaits_commit(&self, chain: &Chain<'_, '_>, parent: Option<CryptoHash>) -> bool {
        let committed = self.store.progress().borrow().height;
        let mut next = parent;
        for before in 1..=AWAITING_BLOCKS_MAX {
            let Some((height, data_hash, parent)) = next.and_then(|block| chain.block(block)) else {
                return false;
            };
            if before > COMMITTING_BLOCKS && committed >= Some(height) {
                return false;
            }
            if data_hash != merkle::empty_root() {
                return true;
            }
            next = parent;
        }
        false
    }

    /// Never before the newest batch: a leader whose clock is behind says how much it may be off instead.
    fn time_for_batch(&self, chain: &Chain<'_, '_>) -> Utc {
        let here_us = (self.clock)();
        let us = here_us.max(newest_batch_us(chain));
        Utc { us, uncertainty_us: self.pace.uncertainty_us + (us - here_us) }
    }

    fn select(&self, chain: &Chain<'_, '_>, height: u64, at: Utc) -> Vec<Vec<u8>> {
        if self.mempool.is_empty() {
            return Vec::new();
        }
        let mut draft = Draft::over(chain);
        let (epoch, committed) = (self.store.epoch(), self.store.progress().borrow().height);
        let (mut index, mut bytes) = (0, 0);
        let taken = self.mempool.select(Instant::now(), |waiting: &Waiting| {
            if index >= BLOCK_TRANSACTIONS_MAX || bytes + waiting.bytes.len() > BLOCK_BYTES_MAX {
                return Verdict::Enough;
            }
            let here = Here { place: Place { epoch, height, index: index as u64 }, at };
            match self.rules.apply(&mut draft, here, &waiting.authored) {
                Ok(()) => {
                    index += 1;
                    bytes += waiting.bytes.len();
                    Verdict::Take
                }
                Err(Inadmissible::Repeated { place })
                    if place.epoch < epoch || committed >= Some(place.height) =>
                {
                    Verdict::Forget
                }
                Err(Inadmissible::Repeated { .. }) => Verdict::Leave, // its block may yet be replaced
                Err(why) => {
                    tracing::debug!(hash = %waiting.authored.hash, %why, "a transaction has to wait");
                    Verdict::Leave
                }
            }
        });
        taken.iter().map(|waiting| waiting.bytes.clone()).collect()
    }

    /// Sends the batch ahead of the block that names it, over the same ordered connections.
    fn publish(&self, payload: Payload) -> Hash {
        let root = payload.root;
        self.network.tell_all(&PeerFrame::Batch(payload.bytes.clone().into()).to_bytes());
        self.payloads.offer(self.me, Arc::new(payload));
        root
    }

    fn chain<'a, 'b>(&'a self, tree: &'a AppBlockTreeView<'b, Store>) -> Chain<'a, 'b> {
        Chain { tree, earlier: self.store.earlier() }
    }

    fn answer(&self, request: &ValidateBlockRequest<Store>, here_us: Option<u64>) -> ValidateBlockResponse {
        self.beats.beat(Thread::Algorithm);
        let block = request.proposed_block();
        match self.check(block, &self.chain(request.block_tree()), here_us) {
            Ok(app_state_updates) => {
                ValidateBlockResponse::Valid { app_state_updates, validator_set_updates: None }
            }
            Err(why) => {
                tracing::warn!(height = block.height.int(), %why, "does not vote for a block");
                ValidateBlockResponse::Invalid
            }
        }
    }

    fn check(
        &self,
        block: &Block,
        chain: &Chain<'_, '_>,
        here_us: Option<u64>,
    ) -> Result<Option<AppStateUpdates>, Invalid> {
        self.check_height(block, chain)?;
        let root = Hash(block.data_hash.bytes());
        if root == merkle::empty_root() {
            return if block.height.int() == 0 { Err(Invalid::Nameless) } else { Ok(None) };
        }
        let limit = if here_us.is_some() { self.pace.batch_wait } else { self.pace.sync_batch_wait };
        let want = PeerFrame::WantBatch(root).to_bytes();
        let first = usize::from(root.0[0]); // so that not all ask the same peer first
        let payload = self.payloads.find(root, limit, |turn| self.network.tell_one(first + turn, &want));
        let payload = payload.ok_or(Invalid::BatchMissing { root, limit_ms: limit.as_millis() })?;
        let header = payload.batch.header();
        check_header(self.rules.ledger(), self.pace, header, newest_batch_us(chain), here_us)?;
        let updates = self.write_down(&payload.batch, block.height.int(), chain)?;
        self.store.stage_batch(root.0, payload.bytes.clone());
        Ok(Some(updates))
    }

    /// The consensus crate believes a block's height.
    fn check_height(&self, block: &Block, chain: &Chain<'_, '_>) -> Result<(), Invalid> {
        let seen = block.height.int();
        let expected = if block.justify.is_genesis_pc() {
            0
        } else {
            chain.tree.block_height(&block.justify.block).ok().flatten().ok_or(Invalid::NoParent)?.int() + 1
        };
        if seen != expected {
            return Err(Invalid::Height { seen, expected });
        }
        match self.store.progress().borrow().height {
            Some(committed) if seen <= committed => Err(Invalid::Committed { seen, committed }),
            _ => Ok(()),
        }
    }

    fn write_down(
        &self,
        batch: &Batch,
        height: u64,
        chain: &Chain<'_, '_>,
    ) -> Result<AppStateUpdates, Invalid> {
        let mut draft = Draft::over(chain);
        self.rules.write(&mut draft, height, batch, |bytes| self.open(bytes))?;
        let mut updates = AppStateUpdates::new();
        draft.into_changes().for_each(|(key, value)| updates.insert(key, value));
        Ok(updates)
    }

    /// A transaction that waits here was checked when it came.
    fn open(&self, bytes: &[u8]) -> Result<Authored, BadTransaction> {
        match self.mempool.get(&Hash::of(bytes)) {
            Some(waiting) => Ok(waiting.authored.clone()),
            None => Transaction::open(bytes),
        }
    }
}

/// The chain up to a block, committed or not, as the consensus crate shows it, and the chains of the epochs before.
struct Chain<'a, 'b> {
    tree: &'a AppBlockTreeView<'b, Store>,
    earlier: Option<&'a Store>,
}

impl Chain<'_, '_> {
    /// Height, batch and parent of a block.
    fn block(&self, block: CryptoHash) -> Option<(u64, Hash, Option<CryptoHash>)> {
        let height = self.tree.block_height(&block).ok()??.int();
        let data_hash = Hash(self.tree.block_data_hash(&block).ok()??.bytes());
        let justify = self.tree.block_justify(&block).ok()?;
        Some((height, data_hash, (!justify.is_genesis_pc()).then_some(justify.block)))
    }
}

impl ChainState for Chain<'_, '_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.tree.app_state(key).or_else(|| ChainState::get(self.earlier?, key))
    }
}

/// Ledger and time of a batch; its time is compared with the clock here if that is given.
fn check_header(
    ledger: LedgerId,
    pace: Pace,
    header: &BatchHeader,
    newest_us: u64,
    here_us: Option<u64>,
) -> Result<(), Invalid> {
    if header.ledger != ledger {
        return Err(Invalid::OtherLedger { seen: header.ledger });
    }
    let (seen_us, off_us) = (header.at.us, header.at.uncertainty_us);
    if off_us > UNCERTAINTY_US_MAX {
        return Err(Invalid::Uncertain { seen_us: off_us, max_us: UNCERTAINTY_US_MAX });
    }
    if seen_us < newest_us {
        return Err(Invalid::BackInTime { seen_us, newest_us });
    }
    let max_us = pace.apart_us_max + off_us + pace.uncertainty_us;
    match here_us {
        Some(here_us) if here_us.abs_diff(seen_us) > max_us => {
            Err(Invalid::Clock { seen_us, here_us, max_us })
        }
        _ => Ok(()),
    }
}

fn newest_batch_us(chain: &Chain<'_, '_>) -> u64 {
    let bytes = chain.get(&keys::newest_batch_us()).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// This machine's clock, µs since 1970.
#[must_use]
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId([1; 16]);
    const NOW_US: u64 = 1_800_000_000_000_000;

    fn check(us: u64, uncertainty_us: u64, here_us: Option<u64>) -> Result<(), Invalid> {
        let header = BatchHeader { ledger: LEDGER, at: Utc { us, uncertainty_us }, transactions: 0 };
        check_header(LEDGER, Pace::default(), &header, NOW_US - 1_000_000, here_us)
    }

    /// Goal: a batch's time is believed only if it is near this validator's clock, never before an earlier batch's, and
    /// not vaguer than is useful; a block that others committed long ago is not compared with the clock of today.
    #[test]
    fn a_batch_is_believed_only_at_its_time() {
        check(NOW_US, 100_000, Some(NOW_US)).unwrap();
        check(NOW_US, 100_000, Some(NOW_US + 3_200_000)).unwrap();
        assert!(matches!(check(NOW_US, 100_000, Some(NOW_US + 3_200_001)), Err(Invalid::Clock { .. })));
        assert!(matches!(check(NOW_US + 9_000_000, 100_000, Some(NOW_US)), Err(Invalid::Clock { .. })));
        check(NOW_US, 100_000, None).unwrap();
        assert!(matches!(check(NOW_US - 1_000_001, 100_000, Some(NOW_US)), Err(Invalid::BackInTime { .. })));
        assert!(matches!(check(NOW_US, 10_000_001, Some(NOW_US)), Err(Invalid::Uncertain { .. })));
    }

    /// Goal: whoever feeds a validator blocks that commit nothing holds it only so long, and the next one is listened to.
    #[test]
    fn a_sync_that_commits_nothing_ends() {
        let mut patience = SyncPatience::default();
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        assert!(!patience.is_over(Some(7), after(0)));
        assert!(!patience.is_over(Some(7), after(5000)));
        assert!(!patience.is_over(Some(23), after(5001)), "it commits");
        assert!(!patience.is_over(Some(23), after(10_000)));
        assert!(patience.is_over(Some(23), after(10_002)));
        assert!(!patience.is_over(Some(23), after(10_003)), "the next one has its own time");
    }

    /// Goal: a batch made for another ledger is worth nothing on this one.
    #[test]
    fn a_batch_of_another_ledger_is_refused() {
        let at = Utc { us: NOW_US, uncertainty_us: 1 };
        let header = BatchHeader { ledger: LedgerId([2; 16]), at, transactions: 0 };
        let answer = check_header(LEDGER, Pace::default(), &header, 0, Some(NOW_US));
        assert!(matches!(answer, Err(Invalid::OtherLedger { .. })));
    }
}
