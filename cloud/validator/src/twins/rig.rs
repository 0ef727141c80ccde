//! Five validators, their real parts over real stores, on a network in memory. Four are honest; the fifth may be anything.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use farhand_ledger::{Event, Grant, Hash, LedgerId, Transaction, TrustRoot, Utc, Validator, merkle};
use farhand_link::{DeviceId, DeviceKey};
use farhand_wire::{PublicKey, Role};
use hotstuff_rs::{block_tree::pluggables::KVGet as _, replica::Replica, types::data_types::BlockHeight};

use super::{
    net::{Net, Policy, Receiver, honest},
    witness::Witness,
};
use crate::{
    ValidatorConfig,
    app::{Pace, now_us},
    beats::Beats,
    fault::{Fault, FaultSignal},
    frames::PeerFrame,
    intake::Intake,
    mempool::MempoolLimits,
    net::PeerNetwork,
    run::Parts,
    store::{Store, disks::Image},
    watchdog::WatchLimits,
};

pub(super) const HONEST: [usize; 4] = [0, 1, 2, 3];
pub(super) const ALL: [usize; 5] = [0, 1, 2, 3, 4];
/// The node that may lie, and the member whose key it has.
pub(super) const LIAR: usize = 4;
/// Another node with the liar's key.
pub(super) const TWIN: usize = 5;
/// A commit takes a fraction of a second, and some seconds while the turn of one who is of no use passes.
const COMMIT_WAIT: Duration = Duration::from_secs(40);

pub(super) struct Rig {
    pub(super) net: Net,
    postman: Option<JoinHandle<()>>,
    members: Vec<DeviceKey>,
    pub(super) trust: TrustRoot,
    nodes: BTreeMap<usize, Node>,
    /// The newest view that each honest node was locked on.
    locks: Mutex<BTreeMap<usize, u64>>,
    granted: u64,
}

pub(super) struct Node {
    pub(super) store: Store,
    pub(super) disk: Image,
    intake: Arc<Intake>,
    network: PeerNetwork,
    fault: FaultSignal,
    beats: Beats,
    replica: Option<Replica<Store>>,
}

impl Rig {
    /// All five begin.
    pub(super) fn begin() -> Self {
        let mut rig = Self::make();
        ALL.into_iter().for_each(|node| rig.start(node, Image::default(), now_us));
        rig
    }

    /// Nobody runs yet.
    pub(super) fn make() -> Self {
        let mut members: Vec<_> = ALL.iter().map(|_| DeviceKey::generate().unwrap()).collect();
        members.sort_by_key(|key| *key.id().as_bytes()); // so that member n leads in view n
        let validator = |key: &DeviceKey| Validator { key: PublicKey(*key.id().as_bytes()), power: 1 };
        let validators = members.iter().map(validator).collect();
        let hospitals = vec![PublicKey(hospital().verifying_key().to_bytes())];
        let trust = TrustRoot::new(LedgerId([7; 16]), 7, validators, hospitals).unwrap();
        let (net, postman) = Net::start(Witness::new(trust.clone(), HONEST.len()));
        Self {
            net,
            postman: Some(postman),
            members,
            trust,
            nodes: BTreeMap::new(),
            locks: Mutex::default(),
            granted: 0,
        }
    }

    /// Starts a node over a disk, with a clock.
    pub(super) fn start(&mut self, at: usize, disk: Image, clock: fn() -> u64) {
        let config = self.config(at);
        let (fault, beats) = (FaultSignal::default(), Beats::default());
        let store =
            Store::open_on(disk.clone(), &config.origin(config.trust.newest()), fault.clone()).unwrap();
        let me = config.key.signing_key().verifying_key();
        let carriers = config.peers.iter().map(|(id, _)| (*id, self.net.carrier(at, *id))).collect();
        let network = PeerNetwork::over(me, store.clone(), carriers, beats.clone(), Arc::default());
        let mut parts = Parts::over(config, store.clone(), fault.clone(), network.clone(), beats.clone());
        parts.clock = clock;
        let inbound = parts.inbound();
        let intake = Arc::clone(&inbound.intake);
        self.net.connect(at, Receiver { id: self.id(at), inbound });
        let replica = Some(parts.replica());
        self.nodes.insert(at, Node { store, disk, intake, network, fault, beats, replica });
    }

    pub(super) fn stop(&mut self, at: usize) {
        self.net.disconnect(at);
        self.nodes.remove(&at).unwrap().end();
    }

    fn config(&self, at: usize) -> ValidatorConfig {
        let nowhere = ([127, 0, 0, 1], 0).into();
        let peers = self.members.iter().map(|key| (key.id(), nowhere)).filter(|(id, _)| *id != self.id(at));
        ValidatorConfig {
            data_dir: PathBuf::new(),
            trust: self.trust.clone(),
            key: self.member(at).clone(),
            peer_listen: nowhere,
            client_listen: nowhere,
            peers: peers.collect(),
            clients: Vec::new(),
            pace: Pace { idle_wait: Duration::from_millis(80), ..Pace::default() },
            mempool: MempoolLimits::default(),
            watch: WatchLimits::default(),
        }
    }

    /// The key of a node; twins have one.
    pub(super) fn member(&self, at: usize) -> &DeviceKey {
        &self.members[at.min(LIAR)]
    }

    fn id(&self, at: usize) -> DeviceId {
        self.member(at).id()
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[&at]
    }

    /// A transaction that is always in order.
    pub(super) fn grant(&mut self) -> Vec<u8> {
        self.granted += 1;
        grant_by(&hospital(), self.trust.ledger(), self.granted)
    }

    /// A client submits it to one node, which tells the others.
    pub(super) fn submit(&self, at: usize, transaction: &[u8]) -> Hash {
        self.submit_quietly(at, transaction);
        self.node(at).network.tell_all(&PeerFrame::Transaction(transaction.to_vec().into()).to_bytes());
        Hash::of(transaction)
    }

    /// The same, and the node tells nobody.
    pub(super) fn submit_quietly(&self, at: usize, transaction: &[u8]) -> Hash {
        self.node(at).intake.take(transaction).unwrap();
        Hash::of(transaction)
    }

    /// Submits a transaction to a node and waits until all of `by` have committed it.
    pub(super) fn commit(&mut self, at: usize, by: &[usize]) {
        let transaction = self.grant();
        let hash = self.submit(at, &transaction);
        self.wait_for(hash, by);
    }

    pub(super) fn wait_for(&self, hash: Hash, by: &[usize]) {
        let until = Instant::now() + COMMIT_WAIT;
        let lacks = |at: &&usize| self.node(**at).intake.place(&hash).is_none();
        while let Some(at) = by.iter().find(lacks) {
            self.watch();
            assert!(Instant::now() < until, "node {at} did not commit it; {}", self.describe());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn knows(&self, at: usize, hash: Hash) -> bool {
        self.node(at).intake.place(&hash).is_some()
    }

    /// Lets time pass, with an eye on what must hold at every moment.
    pub(super) fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.watch();
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn watch(&self) {
        let wrong = self.net.witness(|witness| witness.wrong().to_vec());
        assert!(wrong.is_empty(), "{wrong:?}");
        for (at, node) in HONEST.iter().filter_map(|at| Some((*at, self.nodes.get(at)?))) {
            let locked = node.store.look().locked_pc().unwrap().view.int();
            let before = self.locks.lock().unwrap().insert(at, locked);
            assert!(before <= Some(locked), "the lock of node {at} went back from {before:?} to {locked}");
        }
    }

    /// What must hold whoever lied.
    pub(super) fn assert_safe(&self) {
        self.watch();
        let honest: Vec<&Node> = HONEST.iter().filter_map(|at| self.nodes.get(at)).collect();
        for (at, node) in HONEST.iter().zip(&honest) {
            assert_eq!(node.fault.raised(), None, "node {at}");
            assert!(!node.beats.algorithm_ended(), "the algorithm of node {at} ended");
        }
        let newest = honest.iter().filter_map(|node| node.height()).max().unwrap();
        for height in 0..=newest {
            let blocks: Vec<_> = honest.iter().filter_map(|node| node.block(height)).collect();
            assert!(
                blocks.windows(2).all(|pair| pair[0] == pair[1]),
                "they disagree at height {height}: {blocks:?}"
            );
        }
        for (at, node) in HONEST.iter().zip(&honest) {
            for height in 0..=node.height().unwrap() {
                assert!(node.holds_batch(height), "node {at} lacks the batch of height {height}");
            }
        }
    }

    /// All lying ends; within bounds all of `by` commit again, and agree.
    pub(super) fn assert_heals(&mut self, by: &[usize]) {
        self.net.obey(honest());
        self.commit(0, by);
        self.commit(3, by);
        self.assert_safe();
    }

    pub(super) fn obey(&self, policy: Policy) {
        self.net.obey(policy);
    }

    fn describe(&self) -> String {
        let node = |(at, node): (&usize, &Node)| {
            let (height, view) = (node.height(), node.store.view());
            format!("node {at}: height {height:?}, view {view}, fault {:?}", node.fault.raised())
        };
        self.nodes.iter().map(node).collect::<Vec<_>>().join("; ")
    }
}

impl Node {
    pub(super) fn height(&self) -> Option<u64> {
        self.store.progress().borrow().height
    }

    fn block(&self, height: u64) -> Option<(u64, Hash)> {
        let block = self.store.look().block_at_height(BlockHeight::new(height)).unwrap()?;
        Some((height, Hash(block.bytes())))
    }

    /// The root of the batch that the block at that height names.
    pub(super) fn batch_root(&self, height: u64) -> Hash {
        let chain = self.store.look();
        let block = chain.block_at_height(BlockHeight::new(height)).unwrap().unwrap();
        Hash(chain.block_data_hash(&block).unwrap().unwrap().bytes())
    }

    fn holds_batch(&self, height: u64) -> bool {
        let root = self.batch_root(height);
        root == merkle::empty_root() || self.store.batch(&root.0).is_some()
    }

    fn end(mut self) {
        self.beats.close();
        match self.fault.raised() {
            Some(Fault::Store { .. }) => std::mem::forget(self.replica.take()), // parked for ever
            _ => drop(self.replica.take()),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        thread::scope(|scope| nodes.into_values().for_each(|node| drop(scope.spawn(|| node.end()))));
        self.net.close();
        let _ = self.postman.take().map(JoinHandle::join); // whatever it met, the test has failed already
    }
}

fn hospital() -> SigningKey {
    SigningKey::from_bytes(&[77; 32])
}

/// A grant to nobody in particular; only a hospital's is admissible.
pub(super) fn grant_by(author: &SigningKey, ledger: LedgerId, number: u64) -> Vec<u8> {
    let key =
        PublicKey(SigningKey::from_bytes(&Hash::of(&number.to_le_bytes()).0).verifying_key().to_bytes());
    let grant = Grant { key, role: Role::Field, pseudonym: "somebody".to_owned(), until_utc_ms: u64::MAX };
    let at = Utc { us: now_us(), uncertainty_us: 1000 };
    Transaction { ledger, at, event: Event::Grant(grant) }.sign(author).unwrap()
}
