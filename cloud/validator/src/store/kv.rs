//! The store as the replica sees it: a map from keys to values, changed by atomic writes.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{PoisonError, atomic::Ordering},
};

use borsh::BorshDeserialize as _;
use hotstuff_rs::{
    block_tree::{
        pluggables::{KVGet, KVGetError, KVStore, WriteBatch},
        variables,
    },
    hotstuff::types::PhaseCertificate,
    types::validator_set::ValidatorSet,
};

use super::{Store, tables};
use crate::{
    fault::{Fault, FaultSignal},
    rules::ChainState,
};

/// Changes to be written together; of two to one key the later counts.
#[derive(Debug, Default)]
pub struct Changes(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Changes {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn change_validators(&self) -> bool {
        [variables::COMMITTED_VALIDATOR_SET, variables::PREVIOUS_VALIDATOR_SET]
            .iter()
            .any(|key| self.0.contains_key(&key[..]))
    }

    /// The heights that these changes commit a block at.
    fn committed_heights(&self) -> impl Iterator<Item = u64> {
        let first = variables::BLOCK_AT_HEIGHT.to_vec();
        let height = |key: &Vec<u8>| key[1..].try_into().map(u64::from_le_bytes).ok();
        let is_height = |key: &&Vec<u8>| key[0] == variables::BLOCK_AT_HEIGHT[0];
        self.0.range(first..).map(|(key, _)| key).take_while(is_height).filter_map(height)
    }
}

impl WriteBatch for Changes {
    fn new() -> Self {
        Self::default()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.0.insert(key.to_vec(), Some(value.to_vec()));
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.insert(key.to_vec(), None);
    }
}

/// A consistent view of the store at one moment.
#[derive(Debug)]
pub struct Snapshot {
    table: tables::Consensus,
    fault: FaultSignal,
}

impl KVGet for Snapshot {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        tables::read(&self.table, key).unwrap_or_else(|error| {
            self.fault.stop_here(Fault::Store { action: "read", detail: error.to_string() })
        })
    }
}

impl KVGet for Store {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match key {
            [name] => self.0.variables.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned(),
            _ => self.snapshot().get(key),
        }
    }

    /// Asked for at every message, and a third of the replica's time if each key is decompressed each time.
    fn committed_validator_set(&self) -> Result<ValidatorSet, KVGetError> {
        self.validator_set(|sets| &mut sets.committed, || self.snapshot().committed_validator_set())
    }

    fn previous_validator_set(&self) -> Result<ValidatorSet, KVGetError> {
        self.validator_set(|sets| &mut sets.previous, || self.snapshot().previous_validator_set())
    }
}

/// The validator sets that were read before, until one of them is written.
#[derive(Default)]
pub(super) struct Sets {
    committed: Option<ValidatorSet>,
    previous: Option<ValidatorSet>,
}

impl fmt::Debug for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |set: &Option<ValidatorSet>| set.as_ref().map(ValidatorSet::len);
        write!(f, "Sets({:?}, {:?})", known(&self.committed), known(&self.previous))
    }
}

impl KVStore for Store {
    type WriteBatch = Changes;
    type Snapshot<'a> = Snapshot;

    fn write(&mut self, mut changes: Changes) {
        self.leave_out_needless(&mut changes);
        let mut staged = self.0.staged.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.is_empty() {
            return;
        }
        let written = tables::write(&self.0.database, &changes, &staged);
        if written.is_ok() {
            drop(mem::take(&mut *staged));
        }
        drop(staged); // nobody waits for a thread that is parked for ever
        self.or_stop("write", written);
        self.publish(&changes);
    }

    /// The ledger is never cleared: this store's owner would have to forget what it voted for.
    fn clear(&mut self) {
        self.0.fault.raise(Fault::Store { action: "clear", detail: "a ledger is never cleared".to_owned() });
    }

    fn snapshot(&self) -> Snapshot {
        let table = self.or_stop("read", tables::consensus(&self.0.database));
        Snapshot { table, fault: self.0.fault.clone() }
    }
}

/// The committed state of the application, as it is on the disk; under it that of the epochs before.
impl ChainState for Store {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let committed = KVGet::get(self, &[&variables::COMMITTED_APP_STATE[..], key].concat());
        committed.or_else(|| ChainState::get(self.earlier()?, key))
    }
}

impl Store {
    fn validator_set(
        &self,
        which: impl Fn(&mut Sets) -> &mut Option<ValidatorSet>,
        read: impl FnOnce() -> Result<ValidatorSet, KVGetError>,
    ) -> Result<ValidatorSet, KVGetError> {
        let mut sets = self.0.sets.lock().unwrap_or_else(PoisonError::into_inner);
        match which(&mut sets) {
            Some(set) => Ok(set.clone()),
            unknown => Ok(unknown.insert(read()?).clone()),
        }
    }

    /// Leaves out what is written already, and a lock older than the one that is held. The crate locks on what the newest
    /// message leads to, even if an old certificate came with it; whoever sends old ones again would take the lock back
    /// step by step, until a block could be voted for beside one that is committed elsewhere.
    fn leave_out_needless(&self, changes: &mut Changes) {
        let known = self.0.variables.read().unwrap_or_else(PoisonError::into_inner);
        changes.0.retain(|key, value| {
            let (&[name], Some(value)) = (key.as_slice(), value) else { return true };
            let held = known.get(&name);
            let is_lock = name == variables::LOCKED_PC[0];
            held != Some(value) && !(is_lock && held.is_some_and(|held| is_older(value, held)))
        });
    }

    /// Writes down that this validator votes in `view`; false if it voted in that view or a later one before. To be called
    /// before a vote leaves: the crate writes it down only afterwards, and a crash in between would allow a second vote in
    /// the view in which a replica begins.
    #[must_use]
    pub fn claim_vote(&self, view: u64) -> bool {
        if self.voted_in().is_some_and(|newest| view <= newest) {
            return false;
        }
        let mut changes = Changes::new();
        changes.set(&variables::HIGHEST_VIEW_PHASE_VOTED, &view.to_le_bytes());
        self.clone().write(changes);
        true
    }

    fn voted_in(&self) -> Option<u64> {
        let copy = self.0.variables.read().unwrap_or_else(PoisonError::into_inner);
        view_under(&copy, variables::HIGHEST_VIEW_PHASE_VOTED)
    }

    /// Tells the rest of the process of a write that is on the disk.
    fn publish(&self, changes: &Changes) {
        let mut copy = self.0.variables.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes.iter() {
            match (key, value) {
                ([name], Some(value)) => drop(copy.insert(*name, value.to_vec())),
                ([name], None) => drop(copy.remove(name)),
                _ => {}
            }
        }
        self.0.view.store(view_entered(&copy).unwrap_or(0), Ordering::Release);
        drop(copy);
        if changes.change_validators() {
            *self.0.sets.lock().unwrap_or_else(PoisonError::into_inner) = Sets::default();
        }
        let committed = changes.committed_heights().count() as u64;
        if let Some(height) = changes.committed_heights().max() {
            self.0.progress.send_modify(|progress| {
                progress.height = Some(height);
                progress.commits += committed;
            });
        }
    }
}

pub(super) fn view_entered(copy: &BTreeMap<u8, Vec<u8>>) -> Option<u64> {
    view_under(copy, variables::HIGHEST_VIEW_ENTERED)
}

fn view_under(copy: &BTreeMap<u8, Vec<u8>>, [name]: [u8; 1]) -> Option<u64> {
    Some(u64::from_le_bytes(copy.get(&name)?.as_slice().try_into().ok()?))
}

fn is_older(lock: &[u8], held: &[u8]) -> bool {
    let view = |bytes| PhaseCertificate::try_from_slice(bytes).ok().map(|certificate| certificate.view);
    view(lock) < view(held)
}
