//! Validators among themselves: the consensus crate's `Network` over farhand-link's connections.
//!
//! **Invariant (local):** a message comes from the validator whose key the connection's peer proved to hold; its proposals
//! carry no signature of their own, so this is what makes them its own. **Bounded:** each peer's queue, the queue to the
//! replica, a frame's size and a peer's messages a second; what is too much is dropped and counted, for consensus goes on
//! without any single message.

mod inbound;
mod outbound;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use borsh::BorshSerialize;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use farhand_link::{DeviceId, Endpoint};
use hotstuff_rs::{
    block_sync::messages::BlockSyncAdvertiseMessage,
    hotstuff::messages::HotStuffMessage,
    networking::{
        messages::{Message, ProgressMessage},
        network::Network,
    },
    types::{update_sets::ValidatorSetUpdates, validator_set::ValidatorSet},
};

use crate::{
    beats::{Beats, Thread},
    frames::PeerFrame,
    store::Store,
};
pub use inbound::{Inbound, Paces};
use outbound::Link;

/// How long the replica's poller waits for a message: it spins if this returns at once.
const RECEIVE_WAIT: Duration = Duration::from_millis(20);
/// The replica's sync server does nothing but spin between advertisements, so each of them takes this long.
const ADVERTISE_PACE: Duration = Duration::from_millis(250);
/// Messages that wait for the replica.
const INBOX_MESSAGES_MAX: usize = 4096;

/// What came of messages, for the status.
#[derive(Debug, Default)]
pub struct Counters {
    pub refused: AtomicU64,
    pub dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Carries frames to one peer.
pub trait Carrier: Debug + Send + Sync {
    /// Queues a frame, or drops it.
    fn send(&self, frame: Bytes);

    fn is_connected(&self) -> bool;
}

/// The network as the replica and the rest of the validator see it. Clones are the same network.
#[derive(Clone, Debug)]
pub struct PeerNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    me: VerifyingKey,
    /// Where votes are written down before they leave.
    store: Store,
    carriers: BTreeMap<DeviceId, Box<dyn Carrier>>,
    /// To those of the epoch before, who may not have heard of its end.
    former: BTreeMap<DeviceId, Box<dyn Carrier>>,
    to_replica: flume::Sender<(VerifyingKey, Message)>,
    inbox: flume::Receiver<(VerifyingKey, Message)>,
    beats: Beats,
    counters: Arc<Counters>,
    /// The view that each peer last said it was in.
    views: Mutex<BTreeMap<DeviceId, u64>>,
}

impl PeerNetwork {
    /// Starts looking for `peers`. Needs a tokio runtime.
    #[must_use]
    pub fn start(
        endpoint: &Endpoint,
        me: VerifyingKey,
        store: Store,
        [members, former]: &[Vec<(DeviceId, SocketAddr)>; 2],
        beats: Beats,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let link = |&(id, addr): &(DeviceId, SocketAddr)| {
            let link = Link::start(endpoint.clone(), id, addr, Arc::clone(&counters));
            (id, Box::new(link) as Box<dyn Carrier>)
        };
        let carriers = [members, former].map(|peers| peers.iter().map(link).collect());
        Self::among(me, store, carriers, beats, Arc::clone(&counters))
    }

    /// The same over carriers of the caller's.
    #[must_use]
    pub fn over(
        me: VerifyingKey,
        store: Store,
        carriers: BTreeMap<DeviceId, Box<dyn Carrier>>,
        beats: Beats,
        counters: Arc<Counters>,
    ) -> Self {
        Self::among(me, store, [carriers, BTreeMap::new()], beats, counters)
    }

    fn among(
        me: VerifyingKey,
        store: Store,
        [carriers, former]: [BTreeMap<DeviceId, Box<dyn Carrier>>; 2],
        beats: Beats,
        counters: Arc<Counters>,
    ) -> Self {
        let (to_replica, inbox) = flume::bounded(INBOX_MESSAGES_MAX);
        let views = Mutex::default();
        Self(Arc::new(Shared { me, store, carriers, former, to_replica, inbox, beats, counters, views }))
    }

    /// Takes what a peer says of its view.
    fn hear(&self, peer: DeviceId, view: u64) {
        self.0.views.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, view);
    }

    /// The view that each peer last said it was in.
    #[must_use]
    pub fn views(&self) -> Vec<u64> {
        self.0.views.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    /// How many other validators there are.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.0.carriers.len()
    }

    /// Sends a frame to one peer, if it is connected and its queue has room.
    pub fn tell(&self, peer: DeviceId, frame: Bytes) {
        if let Some(carrier) = self.0.carriers.get(&peer).or_else(|| self.0.former.get(&peer)) {
            carrier.send(frame);
        }
    }

    /// Whether that is another validator of this epoch.
    #[must_use]
    pub fn is_member(&self, peer: DeviceId) -> bool {
        self.0.carriers.contains_key(&peer)
    }

    /// Sends a frame to one of the connected peers, to each in its turn.
    pub fn tell_one(&self, turn: usize, frame: &Bytes) {
        let connected: Vec<_> = self.0.carriers.values().filter(|carrier| carrier.is_connected()).collect();
        if let Some(at) = turn.checked_rem(connected.len()) {
            connected[at].send(frame.clone());
        }
    }

    /// Sends a frame to all peers.
    pub fn tell_all(&self, frame: &Bytes) {
        self.0.carriers.values().for_each(|carrier| carrier.send(frame.clone()));
    }

    /// How many peers are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.0.carriers.values().filter(|carrier| carrier.is_connected()).count()
    }

    /// What came of messages so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Puts a message before the replica.
    fn deliver(&self, from: VerifyingKey, message: Message) {
        if self.0.to_replica.try_send((from, message)).is_err() {
            self.0.counters.drop_one();
        }
    }

    fn encode(message: &Message) -> Bytes {
        let body = message.try_to_vec().unwrap_or_default(); // into memory, which takes every byte
        PeerFrame::Consensus(body.into()).to_bytes()
    }

    fn pace_advertisement(&self) {
        self.0.beats.beat(Thread::SyncServer);
        if !self.0.beats.is_closing() {
            thread::sleep(ADVERTISE_PACE);
        }
    }
}

impl Network for PeerNetwork {
    /// The set is fixed for a ledger's epoch, and connections are to its members alone.
    fn init_validator_set(&mut self, _: ValidatorSet) {}

    fn update_validator_set(&mut self, _: ValidatorSetUpdates) {}

    fn broadcast(&mut self, message: Message) {
        match advertisement(&message) {
            Some(BlockSyncAdvertiseMessage::AdvertiseBlock(_)) => self.pace_advertisement(),
            Some(BlockSyncAdvertiseMessage::AdvertisePC(_)) => {}
            None => {
                self.0.beats.beat(Thread::Algorithm);
                self.deliver(self.0.me, message.clone());
            }
        }
        self.tell_all(&Self::encode(&message));
    }

    /// A vote leaves only when it is on the disk that this validator voted in its view, and once.
    fn send(&mut self, peer: VerifyingKey, message: Message) {
        if let Some(view) = voted_in(&message)
            && !self.0.store.claim_vote(view)
        {
            tracing::error!(view, "does not vote a second time");
            return;
        }
        if peer == self.0.me {
            self.deliver(peer, message);
        } else if let Ok(id) = DeviceId::try_from(peer.to_bytes()) {
            self.tell(id, Self::encode(&message));
        }
    }

    fn recv(&mut self) -> Option<(VerifyingKey, Message)> {
        self.0.beats.beat(Thread::Poller);
        self.0.inbox.recv_timeout(RECEIVE_WAIT).ok()
    }
}

fn advertisement(message: &Message) -> Option<&BlockSyncAdvertiseMessage> {
    match message {
        Message::ProgressMessage(ProgressMessage::BlockSyncAdvertiseMessage(advertise)) => Some(advertise),
        _ => None,
    }
}

fn voted_in(message: &Message) -> Option<u64> {
    match message {
        Message::ProgressMessage(ProgressMessage::HotStuffMessage(HotStuffMessage::PhaseVote(vote))) => {
            Some(vote.view.int())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use borsh::BorshDeserialize;
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{
        fault::{Fault, FaultSignal},
        store::{Origin, disks::FullDisk},
    };

    fn key(number: u8) -> VerifyingKey {
        SigningKey::from_bytes(&[number; 32]).verifying_key()
    }

    /// A peer that keeps what it was sent.
    #[derive(Debug)]
    struct Kept(mpsc::Sender<Bytes>);

    impl Carrier for Kept {
        fn send(&self, frame: Bytes) {
            let _ = self.0.send(frame); // not every test reads it
        }

        fn is_connected(&self) -> bool {
            true
        }
    }

    /// The network of the first of five, and what each of the others is sent.
    fn first_of_five(disk: FullDisk, fault: FaultSignal) -> (PeerNetwork, Vec<mpsc::Receiver<Bytes>>) {
        let origin =
            Origin { genesis: [1; 32], epoch: 0, me: key(1), validators: (1..=5).map(key).collect() };
        let store = Store::open_on(disk, &origin, fault).unwrap();
        let (mut carriers, mut sent) = (BTreeMap::<_, Box<dyn Carrier>>::new(), Vec::new());
        for number in 2..=5 {
            let (keep, kept) = mpsc::channel();
            carriers.insert(key(number).to_bytes().try_into().unwrap(), Box::new(Kept(keep)));
            sent.push(kept);
        }
        (PeerNetwork::over(key(1), store, carriers, Beats::default(), Arc::default()), sent)
    }

    fn alone() -> PeerNetwork {
        first_of_five(FullDisk::default(), FaultSignal::default()).0
    }

    /// As the crate encodes it: progress message 0, advertisement 2, of a block 0; chain id, height, signature.
    fn advertisement_of_a_block() -> Message {
        Message::try_from_slice(&[&[0u8, 2, 0][..], &[0; 16], &[0; 64]].concat()).unwrap()
    }

    /// A vote for a block: progress message 0, of consensus 0, vote 2; chain id, view, block, phase, signature.
    fn vote(view: u64, block: u8) -> Message {
        let bytes = [&[0u8, 0, 2][..], &[0; 8], &view.to_le_bytes(), &[block; 32], &[0], &[0; 64]].concat();
        Message::try_from_slice(&bytes).unwrap()
    }

    /// Goal: the replica's poller and its sync server spin unless their transport makes them wait.
    #[test]
    fn the_replica_s_threads_are_paced_by_their_transport() {
        let mut network = alone();
        let began = Instant::now();
        assert!(network.recv().is_none());
        assert!(began.elapsed() >= RECEIVE_WAIT);
        let began = Instant::now();
        network.broadcast(advertisement_of_a_block());
        assert!(began.elapsed() >= ADVERTISE_PACE);
        network.0.beats.close();
        network.broadcast(advertisement_of_a_block()); // returns at once, so that a replica can be ended
    }

    /// Goal: what a validator says to all reaches itself, and a full queue drops instead of growing.
    #[test]
    fn a_validator_hears_itself_and_its_queue_is_bounded() {
        let mut network = alone();
        (0..=INBOX_MESSAGES_MAX).for_each(|_| network.broadcast(vote(0, 0)));
        assert_eq!(network.counters().dropped.load(Ordering::Relaxed), 1);
        assert!(network.recv().is_some_and(|(from, _)| from == network.0.me));
    }

    /// Goal: the crate sends a vote before it writes it down, so it is written down here first: a vote whose record the
    /// disk does not take never leaves, to nobody.
    #[tokio::test]
    async fn a_vote_leaves_only_once_it_is_on_the_disk() {
        let (disk, fault) = (FullDisk::default(), FaultSignal::default());
        let full = disk.full();
        let (mut network, sent) = first_of_five(disk, fault.clone());
        network.send(key(2), vote(3, 1));
        assert_eq!(sent[0].try_iter().count(), 1);
        full.store(true, Ordering::SeqCst);
        for to in [key(1), key(2)] {
            let mut network = network.clone();
            thread::spawn(move || network.send(to, vote(4, 1)));
        }
        assert!(sent[0].recv_timeout(Duration::from_millis(200)).is_err());
        assert!(matches!(fault.wait().await, Fault::Store { action: "write", .. }));
        assert!(network.recv().is_none());
    }

    /// Goal: nobody gets two votes of one view, nor one of a view before: not for another block, not after a restart.
    #[test]
    fn a_validator_votes_once_in_a_view() {
        let (mut network, sent) = first_of_five(FullDisk::default(), FaultSignal::default());
        for (view, block) in [(3, 1), (3, 2), (3, 1), (2, 1), (4, 2)] {
            network.send(key(2), vote(view, block));
        }
        assert_eq!(sent[0].try_iter().count(), 2);
    }

    /// Goal: a question is put to one peer at a time, and in the end to each.
    #[test]
    fn a_question_goes_to_one_peer_at_a_time() {
        let (network, sent) = first_of_five(FullDisk::default(), FaultSignal::default());
        for turn in 7..11 {
            network.tell_one(turn, &Bytes::from_static(b"?"));
            assert_eq!(sent.iter().filter(|sent| sent.try_recv().is_ok()).count(), 1);
        }
        (0..8).for_each(|turn| network.tell_one(turn, &Bytes::from_static(b"?")));
        assert!(sent.iter().all(|sent| sent.try_iter().count() == 2));
    }
}
