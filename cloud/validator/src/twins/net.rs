//! A network in memory. A policy says what becomes of each frame; a witness sees each as it was sent.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use borsh::BorshDeserialize as _;
use bytes::Bytes;
use farhand_link::DeviceId;
use hotstuff_rs::{
    hotstuff::messages::HotStuffMessage,
    networking::messages::{Message, ProgressMessage},
};

use super::witness::Witness;
use crate::{
    frames::PeerFrame,
    net::{Carrier, Inbound},
};

/// A frame that a node sends to another.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) frame: Bytes,
}

/// A frame that reaches a node. Where it comes from is proven by the connection, so only the liar's can be anything.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) after: Duration,
    pub(super) post: Post,
}

pub(super) type Policy = Box<dyn FnMut(&Post) -> Vec<Delivery> + Send>;

impl Post {
    /// Delivers it at once.
    pub(super) fn at_once(&self) -> Delivery {
        Delivery { after: Duration::ZERO, post: self.clone() }
    }

    /// Another frame on the same way.
    pub(super) fn instead(&self, frame: &PeerFrame) -> Delivery {
        Delivery { after: Duration::ZERO, post: Self { frame: frame.to_bytes(), ..self.clone() } }
    }

    pub(super) fn kind(&self) -> PeerFrame {
        PeerFrame::read(&self.frame).unwrap()
    }

    pub(super) fn message(&self) -> Option<Message> {
        match self.kind() {
            PeerFrame::Consensus(body) => Some(Message::try_from_slice(&body).unwrap()),
            _ => None,
        }
    }

    pub(super) fn hotstuff(&self) -> Option<HotStuffMessage> {
        match self.message()? {
            Message::ProgressMessage(ProgressMessage::HotStuffMessage(message)) => Some(message),
            _ => None,
        }
    }
}

/// All is delivered.
pub(super) fn honest() -> Policy {
    Box::new(|post| vec![post.at_once()])
}

/// A node that frames can be delivered to.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) id: DeviceId,
    pub(super) inbound: Inbound,
}

/// The network; clones are one.
#[derive(Clone)]
pub(super) struct Net(Arc<Shared>);

struct Shared {
    posts: flume::Sender<Posted>,
    receivers: Mutex<BTreeMap<usize, Receiver>>,
    policy: Mutex<Policy>,
    witness: Mutex<Witness>,
    closing: AtomicBool,
}

struct Posted {
    from: usize,
    to: DeviceId,
    frame: Bytes,
}

impl Net {
    pub(super) fn start(witness: Witness) -> (Self, JoinHandle<()>) {
        let (posts, posted) = flume::unbounded();
        let net = Self(Arc::new(Shared {
            posts,
            receivers: Mutex::default(),
            policy: Mutex::new(honest()),
            witness: Mutex::new(witness),
            closing: AtomicBool::new(false),
        }));
        let running = net.clone();
        (net, thread::spawn(move || running.run(&posted)))
    }

    pub(super) fn carrier(&self, from: usize, to: DeviceId) -> Box<dyn Carrier> {
        Box::new(Wire { from, to, net: self.clone() })
    }

    pub(super) fn connect(&self, node: usize, receiver: Receiver) {
        self.0.receivers.lock().unwrap().insert(node, receiver);
    }

    pub(super) fn disconnect(&self, node: usize) {
        self.0.receivers.lock().unwrap().remove(&node);
    }

    pub(super) fn obey(&self, policy: Policy) {
        *self.0.policy.lock().unwrap() = policy;
    }

    pub(super) fn witness<T>(&self, ask: impl FnOnce(&mut Witness) -> T) -> T {
        ask(&mut self.0.witness.lock().unwrap())
    }

    pub(super) fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
        self.0.receivers.lock().unwrap().clear();
    }

    fn run(&self, posted: &flume::Receiver<Posted>) {
        let mut under_way: BTreeMap<(Instant, u64), Post> = BTreeMap::new();
        let mut number = 0;
        while !self.0.closing.load(Ordering::Relaxed) {
            let next = under_way.first_key_value().map(|((due, _), _)| *due);
            let wait =
                next.map_or(Duration::from_millis(20), |due| due.saturating_duration_since(Instant::now()));
            if let Ok(posted) = posted.recv_timeout(wait) {
                for Delivery { after, post } in self.judge(&posted) {
                    under_way.insert((Instant::now() + after, number), post);
                    number += 1;
                }
            }
            while let Some(due) = under_way.first_entry().filter(|first| first.key().0 <= Instant::now()) {
                self.deliver(&due.remove());
            }
        }
    }

    /// Whoever has the key gets it; twins have the same.
    fn judge(&self, posted: &Posted) -> Vec<Delivery> {
        let receivers = self.0.receivers.lock().unwrap().clone();
        let to = receivers.iter().filter(|(_, receiver)| receiver.id == posted.to).map(|(node, _)| *node);
        let mut deliveries = Vec::new();
        for to in to {
            let post = Post { from: posted.from, to, frame: posted.frame.clone() };
            self.0.witness.lock().unwrap().saw(&post);
            deliveries.extend((self.0.policy.lock().unwrap())(&post));
        }
        deliveries
    }

    fn deliver(&self, post: &Post) {
        let receivers = self.0.receivers.lock().unwrap().clone();
        if let (Some(from), Some(to)) = (receivers.get(&post.from), receivers.get(&post.to)) {
            let _ = to.inbound.take(from.id, &post.frame); // a liar's connection that was closed is opened again
        }
    }
}

/// One way between two nodes.
struct Wire {
    from: usize,
    to: DeviceId,
    net: Net,
}

impl Carrier for Wire {
    fn send(&self, frame: Bytes) {
        let _ = self.net.0.posts.send(Posted { from: self.from, to: self.to, frame }); // nobody listens at the end
    }

    fn is_connected(&self) -> bool {
        true
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from node {} to {}", self.from, self.to.short())
    }
}
