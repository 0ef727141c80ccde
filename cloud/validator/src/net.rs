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
    networking::{
        messages::{Message, ProgressMessage},
        network::Network,
    },
    types::{update_sets::ValidatorSetUpdates, validator_set::ValidatorSet},
};

use crate::{
    beats::{Beats, Thread},
    frames::PeerFrame,
};
pub use inbound::Inbound;
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

/// The network as the replica and the rest of the validator see it. Clones are the same network.
#[derive(Clone, Debug)]
pub struct PeerNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    me: VerifyingKey,
    links: BTreeMap<DeviceId, Link>,
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
        peers: &[(DeviceId, SocketAddr)],
        beats: Beats,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let (to_replica, inbox) = flume::bounded(INBOX_MESSAGES_MAX);
        let link = |&(id, addr): &(DeviceId, SocketAddr)| {
            (id, Link::start(endpoint.clone(), id, addr, Arc::clone(&counters)))
        };
        let links = peers.iter().map(link).collect();
        let views = Mutex::default();
        Self(Arc::new(Shared { me, links, to_replica, inbox, beats, counters, views }))
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
        self.0.links.len()
    }

    /// Sends a frame to one peer, if it is connected and its queue has room.
    pub fn tell(&self, peer: DeviceId, frame: Bytes) {
        if let Some(link) = self.0.links.get(&peer) {
            link.send(frame);
        }
    }

    /// Sends a frame to all peers.
    pub fn tell_all(&self, frame: &Bytes) {
        self.0.links.values().for_each(|link| link.send(frame.clone()));
    }

    /// How many peers are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.0.links.values().filter(|link| link.is_connected()).count()
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

    fn send(&mut self, peer: VerifyingKey, message: Message) {
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use borsh::BorshDeserialize;
    use ed25519_dalek::SigningKey;

    use super::*;

    fn alone() -> PeerNetwork {
        let (to_replica, inbox) = flume::bounded(2);
        PeerNetwork(Arc::new(Shared {
            me: SigningKey::from_bytes(&[1; 32]).verifying_key(),
            links: BTreeMap::new(),
            to_replica,
            inbox,
            beats: Beats::default(),
            counters: Arc::default(),
            views: Mutex::default(),
        }))
    }

    /// As the crate encodes it: progress message 0, advertisement 2, of a block 0; chain id, height, signature.
    fn advertisement_of_a_block() -> Message {
        Message::try_from_slice(&[&[0u8, 2, 0][..], &[0; 16], &[0; 64]].concat()).unwrap()
    }

    /// A proposal-free message for oneself: a vote of 0 in view 0.
    fn vote() -> Message {
        Message::try_from_slice(&[&[0u8, 0, 2][..], &[0; 16], &[0; 32], &[0], &[0; 64]].concat()).unwrap()
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
        (0..3).for_each(|_| network.broadcast(vote()));
        assert_eq!(network.counters().dropped.load(Ordering::Relaxed), 1);
        assert!(network.recv().is_some_and(|(from, _)| from == network.0.me));
    }
}
