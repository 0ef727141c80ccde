//! The chains of epochs that have ended: whoever missed the end of one, or joined later, gets them from its peers.
//!
//! **Invariant (global):** nothing here rests on a peer's word. A header is taken under the hash that a header before it
//! names, back from the proven end; a batch under its root; state as the rules leave it, from the first block to the last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use farhand_ledger::{
    Batch, Cbor as _, Certificate, Hash, Header, LedgerId, Malformed, ProofError, Transaction,
    TransactionProof, TrustRoot, merkle,
};
use hotstuff_rs::block_tree::{pluggables::WriteBatch as _, variables};
use thiserror::Error;

use crate::{
    frames::{HEADERS_BYTES_MAX, PeerFrame},
    net::PeerNetwork,
    payload::{Payload, Payloads},
    proof,
    rules::{BadBatch, Draft, Rules},
    store::{Changes, Store},
};

/// A peer that was asked has this long before the next one is.
const ASK_NEXT: Duration = Duration::from_millis(300);
/// Blocks that are written together.
const WRITE_BLOCKS: u64 = 256;
const WRITE_BYTES: usize = 8 << 20;

/// Why a chain that ended could not be had.
#[derive(Debug, Error)]
pub enum BadHistory {
    #[error("the validator was told to stop")]
    Stopped,
    #[error("the proof of an epoch's end: {0}")]
    End(#[from] ProofError),
    #[error("block {height} of epoch {epoch} is another one here than a quorum committed")]
    Forked { epoch: u64, height: u64 },
    #[error("block {block} says height {seen}, the one after it asks for {expected}")]
    Height { block: Hash, seen: u64, expected: u64 },
    #[error("the batch of block {height} is of ledger {seen}")]
    OtherLedger { height: u64, seen: LedgerId },
    #[error("the batch of block {height}: {why}")]
    Batch { height: u64, why: BadBatch },
}

/// Why headers that a peer sent are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadHeaders {
    #[error("they are none")]
    Malformed,
    #[error("nobody asked for them")]
    NotAsked,
}

/// The header of `block` and those before it on its chain, as much as one answer may be.
#[must_use]
pub fn answer(store: &Store, block: Hash) -> Option<Bytes> {
    let (chain, first) = store.epochs().find_map(|store| {
        let chain = store.look();
        proof::header(&chain, block).map(|header| (chain, header))
    })?;
    let (mut headers, mut bytes, mut next) = (Vec::new(), 16, Some(first));
    while let Some(header) = next {
        bytes += header.to_bytes().len() + 8;
        if bytes > HEADERS_BYTES_MAX {
            break;
        }
        next = proof::header(&chain, header.justify.block);
        headers.push(header);
    }
    minicbor::to_vec(headers).ok().map(Bytes::from)
}

/// What peers answer to the one question that is open.
#[derive(Debug, Default)]
pub struct Answers {
    open: Mutex<Open>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    wanted: Option<Hash>,
    headers: Vec<Header>,
}

impl Answers {
    /// Awaits an answer about that block.
    #[must_use]
    pub fn to(block: Hash) -> Self {
        let open = Open { wanted: Some(block), headers: Vec::new() };
        Self { open: Mutex::new(open), came: Condvar::new() }
    }

    /// Takes headers, if they are those that are wanted.
    ///
    /// # Errors
    /// [`BadHeaders`] if they are none, or do not follow from each other.
    pub fn offer(&self, body: &[u8]) -> Result<(), BadHeaders> {
        if self.lock().wanted.is_none() {
            return Err(BadHeaders::NotAsked);
        }
        let headers: Vec<Header> = minicbor::decode(body).map_err(|_| BadHeaders::Malformed)?;
        if headers.is_empty() {
            return Err(BadHeaders::Malformed);
        }
        let mut open = self.lock();
        let mut wanted = open.wanted.filter(|_| open.headers.is_empty());
        for header in &headers {
            if wanted != Some(header.hash()) {
                return Err(BadHeaders::NotAsked);
            }
            wanted = Some(header.justify.block);
        }
        open.headers = headers;
        self.came.notify_all();
        Ok(())
    }

    /// Asks for a block's header and those before it, until they come or `running` is gone.
    fn fetch(
        &self,
        block: Hash,
        network: &PeerNetwork,
        running: &Weak<()>,
    ) -> Result<Vec<Header>, BadHistory> {
        *self.lock() = Open { wanted: Some(block), headers: Vec::new() };
        let want = PeerFrame::WantHeaders(block).to_bytes();
        for turn in 0.. {
            if running.strong_count() == 0 {
                break;
            }
            network.tell_one(turn, &want);
            let missing = |open: &mut Open| open.headers.is_empty();
            let (mut open, _) = self
                .came
                .wait_timeout_while(self.lock(), ASK_NEXT, missing)
                .unwrap_or_else(PoisonError::into_inner);
            if !open.headers.is_empty() {
                return Ok(std::mem::take(&mut *open).headers);
            }
        }
        Err(BadHistory::Stopped)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes the chains of epochs that ended.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) trust: TrustRoot,
    pub(crate) network: PeerNetwork,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) answers: Arc<Answers>,
    /// Nobody waits for this any more once it is gone.
    pub(crate) running: Weak<()>,
}

impl History {
    /// **Gets whatever `newest` and the stores under it lack of the epochs before.** What was had before a crash is kept.
    pub(crate) fn complete(&self, newest: &Store) -> Result<(), BadHistory> {
        let mut stores: Vec<&Store> = newest.epochs().skip(1).collect();
        stores.reverse();
        for (store, epoch) in stores.into_iter().zip(self.trust.epochs()) {
            let Some(end) = self.trust.end_proof(epoch.number()) else { break };
            let end = TransactionProof::read(end).map_err(ProofError::from)?;
            let Some(ending) = end.commit.headers.first() else { break };
            let last = ending.height;
            let committed = store.progress().borrow().height;
            if committed >= Some(last) {
                continue;
            }
            let first = committed.map_or(0, |height| height + 1);
            tracing::info!(epoch = epoch.number(), first, last, "gets blocks of an epoch that ended");
            self.fetch_back(store, &end, ending.clone(), committed)?;
            self.replay(store, &Rules::of(&self.trust, epoch), first, last)?;
        }
        Ok(())
    }

    /// Headers, from the proven end back to what is committed here.
    fn fetch_back(
        &self,
        store: &Store,
        end: &TransactionProof,
        mut oldest: Header,
        committed: Option<u64>,
    ) -> Result<(), BadHistory> {
        let mut changes = Changes::new();
        end.commit.headers.iter().for_each(|header| put(&mut changes, header));
        changes.set(&variables::HIGHEST_PC, &end.commit.certificate.to_bytes());
        place(&mut changes, &oldest);
        let first = committed.map_or(0, |height| height + 1);
        let mut pending = 1;
        while oldest.height > first {
            let block = oldest.justify.block;
            let headers = match proof::header(&store.look(), block) {
                Some(known) => vec![known],
                None => self.answers.fetch(block, &self.network, &self.running)?,
            };
            for header in
                headers.into_iter().take(usize::try_from(oldest.height - first).unwrap_or(usize::MAX))
            {
                if header.height + 1 != oldest.height {
                    let (block, seen, expected) = (header.hash(), header.height, oldest.height - 1);
                    return Err(BadHistory::Height { block, seen, expected });
                }
                put(&mut changes, &header);
                place(&mut changes, &header);
                pending += 1;
                oldest = header;
            }
            if pending >= WRITE_BLOCKS {
                store.import(&std::mem::take(&mut changes), BTreeMap::new());
                pending = 0;
            }
        }
        store.import(&changes, BTreeMap::new());
        let below = committed.and_then(|height| proof::header_at(&store.look(), height));
        let joins = match below {
            Some(below) => oldest.justify.block == below.hash(),
            None => oldest.height == 0 && oldest.justify == Certificate::genesis(),
        };
        if joins { Ok(()) } else { Err(BadHistory::Forked { epoch: store.epoch(), height: oldest.height }) }
    }

    /// State and batches, block by block, as every validator made them.
    fn replay(&self, store: &Store, rules: &Rules, first: u64, last: u64) -> Result<(), BadHistory> {
        let mut height = first;
        while height <= last {
            let (mut draft, mut batches, mut bytes) = (Draft::over(store), BTreeMap::new(), 0);
            let (until, mut newest) = ((height + WRITE_BLOCKS).min(last + 1), Hash::ZERO);
            let chain = store.look();
            while height < until && bytes < WRITE_BYTES {
                let forked = BadHistory::Forked { epoch: store.epoch(), height };
                let header = proof::header_at(&chain, height).ok_or(forked)?;
                newest = header.hash();
                if header.data_hash != merkle::empty_root() {
                    let payload = self.batch(header.data_hash)?;
                    self.write(rules, &mut draft, height, &payload.batch)?;
                    bytes += payload.bytes.len();
                    batches.insert(payload.root.0, payload.bytes.clone());
                }
                height += 1;
            }
            let mut changes = Changes::new();
            for (key, value) in draft.into_changes() {
                changes.set(&variables::concat(&variables::COMMITTED_APP_STATE, &key), &value);
            }
            changes.set(&variables::HIGHEST_COMMITTED_BLOCK, &newest.0);
            store.import(&changes, batches);
            tracing::info!(
                epoch = store.epoch(),
                height = height - 1,
                last,
                "has blocks of an epoch that ended"
            );
        }
        Ok(())
    }

    fn write(
        &self,
        rules: &Rules,
        draft: &mut Draft<'_>,
        height: u64,
        batch: &Batch,
    ) -> Result<(), BadHistory> {
        let seen = batch.header().ledger;
        if seen != rules.ledger() {
            return Err(BadHistory::OtherLedger { height, seen });
        }
        let written = rules.write(draft, height, batch, Transaction::open);
        written.map_err(|why| BadHistory::Batch { height, why })
    }

    fn batch(&self, root: Hash) -> Result<Arc<Payload>, BadHistory> {
        let want = PeerFrame::WantBatch(root).to_bytes();
        while self.running.strong_count() > 0 {
            let ask = |turn| self.network.tell_one(turn, &want);
            if let Some(payload) = self.payloads.find(root, ASK_NEXT, ask) {
                return Ok(payload);
            }
        }
        Err(BadHistory::Stopped)
    }
}

/// A block, as the consensus crate keeps it.
fn put(changes: &mut Changes, header: &Header) {
    let block = variables::concat(&variables::BLOCKS, &header.hash().0);
    let mut set = |field: [u8; 1], value: &[u8]| changes.set(&variables::concat(&block, &field), value);
    set(variables::BLOCK_HEIGHT, &header.height.to_le_bytes());
    set(variables::BLOCK_JUSTIFY, &header.justify.to_bytes());
    set(variables::BLOCK_DATA_HASH, &header.data_hash.0);
    set(variables::BLOCK_DATA_LEN, &0u32.to_le_bytes());
}

fn place(changes: &mut Changes, header: &Header) {
    let key = variables::concat(&variables::BLOCK_AT_HEIGHT, &header.height.to_le_bytes());
    changes.set(&key, &header.hash().0);
}

impl From<Malformed> for BadHistory {
    fn from(malformed: Malformed) -> Self {
        Self::End(malformed.into())
    }
}

#[cfg(test)]
mod tests {
    use farhand_ledger::{Event, Grant, Utc, five_keys::FiveKeys};
    use farhand_wire::{PublicKey, Role};

    use super::*;

    /// Headers that follow from each other, newest first.
    fn headers() -> Vec<Header> {
        let mut keys = FiveKeys::new([3; 32]);
        let (at, key) = (Utc { us: 1, uncertainty_us: 1 }, PublicKey([1; 32]));
        let grant = Grant { key, role: Role::Field, pseudonym: "one".to_owned(), until_utc_ms: 1 };
        let signed = keys.sign(keys.hospital(), at, Event::Grant(grant)).unwrap();
        let proof = keys.commit(at, vec![signed]).unwrap().remove(0);
        proof.commit.headers.into_iter().rev().collect()
    }

    fn body(headers: &[Header]) -> Vec<u8> {
        minicbor::to_vec(headers).unwrap()
    }

    /// Goal: headers count only if the first is the one that was asked for and each is the parent that the one before names;
    /// what nobody asked for, or what was answered already, changes nothing.
    #[test]
    fn headers_are_taken_under_the_hash_that_names_them() {
        let headers = headers();
        let first = headers[0].hash();
        assert_eq!(Answers::default().offer(&body(&headers)), Err(BadHeaders::NotAsked));
        assert_eq!(Answers::to(first).offer(&body(&headers[1..])), Err(BadHeaders::NotAsked));
        let gap = [headers[0].clone(), headers[2].clone()];
        assert_eq!(Answers::to(first).offer(&body(&gap)), Err(BadHeaders::NotAsked));
        let mut other = headers.clone();
        other[1].height += 1;
        assert_eq!(Answers::to(first).offer(&body(&other)), Err(BadHeaders::NotAsked));
        assert_eq!(Answers::to(first).offer(&[0xff]), Err(BadHeaders::Malformed));
        assert_eq!(Answers::to(first).offer(&body(&[])), Err(BadHeaders::Malformed));
        let answers = Answers::to(first);
        answers.offer(&body(&headers)).unwrap();
        assert_eq!(answers.offer(&body(&headers)), Err(BadHeaders::NotAsked));
        assert_eq!(answers.lock().headers, headers);
    }
}
