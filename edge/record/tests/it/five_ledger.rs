//! A ledger that five keys in one hand keep, and that takes what a real one takes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use farhand_ledger::{
    Checkpoint, Event, Hash, Transaction, TransactionProof, TrustRoot, Utc, five_keys::FiveKeys,
};
use farhand_record::{Ledger, LedgerError};
use farhand_wire::SessionId;

use crate::theatre::utc_now;

/// Refuses checkpoints that do not continue the newest one, and whatever comes after the seal, as the validators' rules do.
pub struct FiveLedger {
    chain: Mutex<Chain>,
    reachable: AtomicBool,
    /// How often something was asked of it.
    pub asked: AtomicU64,
}

struct Chain {
    keys: FiveKeys,
    proofs: BTreeMap<Hash, TransactionProof>,
    newest: BTreeMap<SessionId, Checkpoint>,
    sealed: Vec<SessionId>,
}

impl FiveLedger {
    pub fn new(keys: FiveKeys) -> Self {
        let chain = Chain { keys, proofs: BTreeMap::new(), newest: BTreeMap::new(), sealed: Vec::new() };
        Self { chain: Mutex::new(chain), reachable: AtomicBool::new(true), asked: AtomicU64::new(0) }
    }

    pub fn trust(&self) -> TrustRoot {
        self.chain.lock().unwrap().keys.trust().clone()
    }

    /// One of the five leaves, and another comes.
    pub fn end_epoch(&self) {
        let mut chain = self.chain.lock().unwrap();
        let at = Utc { us: 1, uncertainty_us: 1 };
        chain.keys.next_epoch(at, 1, |old, _| old.to_vec()).unwrap();
        assert_eq!(chain.keys.trust().newest().number(), 1);
    }

    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.store(reachable, Ordering::SeqCst);
    }

    pub fn newest(&self, session: SessionId) -> Option<Checkpoint> {
        self.chain.lock().unwrap().newest.get(&session).copied()
    }
}

impl fmt::Debug for FiveLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FiveLedger")
    }
}

#[async_trait]
impl Ledger for FiveLedger {
    async fn commit(&self, signed: &[u8], _wait: Duration) -> Result<TransactionProof, LedgerError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.reachable.load(Ordering::SeqCst) {
            return Err(LedgerError::Other("no validator could be reached".to_owned()));
        }
        self.chain.lock().unwrap().commit(signed).map_err(LedgerError::Other)
    }
}

impl Chain {
    fn commit(&mut self, signed: &[u8]) -> Result<TransactionProof, String> {
        if let Some(proof) = self.proofs.get(&Hash::of(signed)) {
            return Ok(proof.clone());
        }
        let authored = Transaction::open(signed).unwrap();
        match authored.transaction.event {
            Event::Checkpoint(checkpoint) => {
                self.expect_open(checkpoint.session)?;
                let newest = self.newest.get(&checkpoint.session);
                checkpoint.follows(newest).map_err(|error| error.to_string())?;
                self.newest.insert(checkpoint.session, checkpoint);
            }
            Event::Sealed(sealing) => {
                self.expect_open(sealing.session)?;
                let newest = self.newest.get(&sealing.session);
                let last = newest.map(|newest| (newest.tree_size, newest.root));
                assert_eq!(last, Some((sealing.tree_size, sealing.root)), "what is sealed was checkpointed");
                self.sealed.push(sealing.session);
            }
            other => panic!("the record has no business with {}", other.name()),
        }
        let proof = self.keys.commit(utc_now(), vec![signed.to_vec()]).unwrap().remove(0);
        self.proofs.insert(authored.hash, proof.clone());
        Ok(proof)
    }

    fn expect_open(&self, session: SessionId) -> Result<(), String> {
        if self.sealed.contains(&session) { Err(format!("session {session} is sealed")) } else { Ok(()) }
    }
}
