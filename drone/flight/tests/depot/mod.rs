//! Where a kit is sealed and loaded, and a ledger that keeps what it is told, as five validators in one hand.

#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use farhand_flight::{Ledger, OrderRules, Routes};
use farhand_ledger::{
    Cbor as _, Custody, CustodyStep, Event, Hash, Transaction, TransactionProof, TrustRoot, Utc,
    five_keys::FiveKeys,
};
use farhand_mission::Mission;
use farhand_wire::PublicKey;
use serde_json::{Value, json};

pub(crate) const AT: Utc = Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 };

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// A ledger with a rule: a kit's custody continues where it ended, by somebody of the field's.
#[derive(Debug)]
pub(crate) struct Depot {
    ledger: Mutex<State>,
    pub(crate) trust: TrustRoot,
    pub(crate) field: SigningKey,
    pub(crate) kit: PublicKey,
    down: AtomicBool,
}

#[derive(Debug)]
struct State {
    keys: FiveKeys,
    field: Vec<PublicKey>,
    tails: HashMap<PublicKey, (u64, Hash, CustodyStep)>,
    proofs: HashMap<Hash, TransactionProof>,
    steps: Vec<CustodyStep>,
}

impl Depot {
    pub(crate) fn new(seed: u8) -> Self {
        let keys = FiveKeys::new([seed; 32]);
        let field = SigningKey::from_bytes(&[0x11; 32]);
        let trust = keys.trust().clone();
        let state = State {
            keys,
            field: vec![public(&field)],
            tails: HashMap::new(),
            proofs: HashMap::new(),
            steps: Vec::new(),
        };
        let kit = public(&SigningKey::from_bytes(&[0x22; 32]));
        Self { ledger: Mutex::new(state), trust, field, kit, down: AtomicBool::new(false) }
    }

    /// Grants a key the field's role.
    pub(crate) fn grant(&self, key: PublicKey) {
        self.ledger.lock().unwrap().field.push(key);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// All custody steps on the ledger, in their order.
    pub(crate) fn steps(&self) -> Vec<CustodyStep> {
        self.ledger.lock().unwrap().steps.clone()
    }

    pub(crate) fn rules(&self) -> OrderRules {
        let routes = Routes::Only(vec![Mission::trial()]);
        OrderRules { trust: self.trust.clone(), kits: vec![self.kit], routes }
    }

    /// The field team's next step for a kit, committed.
    pub(crate) fn step_of(&self, kit: PublicKey, step: CustodyStep) -> TransactionProof {
        let tail = self.ledger.lock().unwrap().tails.get(&kit).copied();
        let (sequence, previous) = tail.map_or((1, Hash::ZERO), |(sequence, hash, _)| (sequence + 1, hash));
        self.put(kit, sequence, step, previous)
    }

    /// A step as it is said, whether it continues anything or not.
    pub(crate) fn put(
        &self,
        kit: PublicKey,
        sequence: u64,
        step: CustodyStep,
        previous: Hash,
    ) -> TransactionProof {
        let custody = Custody { kit, sequence, step, previous };
        let transaction = Transaction { ledger: self.trust.ledger(), at: AT, event: Event::Custody(custody) };
        self.ledger.lock().unwrap().commit(&transaction.sign(&self.field).unwrap())
    }

    /// Sealed and loaded, proven.
    pub(crate) fn load(&self) -> [TransactionProof; 2] {
        [CustodyStep::Sealed, CustodyStep::Loaded].map(|step| self.step_of(self.kit, step))
    }

    /// Takes a signed transaction in, if it may be.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<TransactionProof, String> {
        if self.down.load(Ordering::SeqCst) {
            return Err("no validator could be reached".into());
        }
        let mut state = self.ledger.lock().unwrap();
        if let Some(proof) = state.proofs.get(&Hash::of(bytes)) {
            return Ok(proof.clone());
        }
        state.check(bytes)?;
        Ok(state.commit(bytes))
    }
}

impl State {
    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let authored = Transaction::open(bytes).map_err(|error| error.to_string())?;
        let Event::Custody(custody) = authored.transaction.event else { return Err("not custody".into()) };
        if !self.field.contains(&authored.author) {
            return Err(format!("{} has no grant", authored.author));
        }
        let (sequence, hash, step) = self.tails.get(&custody.kit).copied().ok_or("no chain")?;
        let follows = custody.sequence == sequence + 1 && custody.previous == hash;
        if follows && custody.step.may_follow(step) { Ok(()) } else { Err("does not follow".into()) }
    }

    fn commit(&mut self, bytes: &[u8]) -> TransactionProof {
        let proof = self.keys.commit(AT, vec![bytes.to_vec()]).unwrap().remove(0);
        let Event::Custody(custody) = Transaction::open(bytes).unwrap().transaction.event else {
            unreachable!("custody only")
        };
        self.tails.insert(custody.kit, (custody.sequence, Hash::of(bytes), custody.step));
        self.proofs.insert(Hash::of(bytes), proof.clone());
        self.steps.push(custody.step);
        proof
    }
}

#[async_trait]
impl Ledger for Depot {
    async fn commit(&self, transaction: &[u8]) -> Result<TransactionProof, String> {
        self.take(transaction)
    }
}

pub(crate) fn plan() -> Value {
    serde_json::from_str(&Mission::trial().to_plan().to_json()).unwrap()
}

pub(crate) fn order_of(plan: &Value, custody: &[TransactionProof]) -> Vec<u8> {
    let proofs: Vec<String> = custody.iter().map(|proof| STANDARD.encode(proof.to_bytes())).collect();
    json!({ "plan": plan, "custody": proofs }).to_string().into_bytes()
}

/// The trial's delivery, on these proofs.
pub(crate) fn order(custody: &[TransactionProof]) -> Vec<u8> {
    order_of(&plan(), custody)
}

/// The proof in an event.
pub(crate) fn proof_in(news: &Value) -> Option<TransactionProof> {
    let text = news["custody"]["proof"].as_str()?;
    Some(TransactionProof::read(&STANDARD.decode(text).unwrap()).unwrap())
}
