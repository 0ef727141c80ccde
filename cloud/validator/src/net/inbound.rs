//! From the peers: what their frames are, and to whom they go.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use borsh::BorshDeserialize;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use farhand_ledger::{BATCH_BYTES_MAX, Hash};
use farhand_link::{CloseReason, Connection, DeviceId, Endpoint};
use farhand_submit::frames::{BadFrame, Parts};
use hotstuff_rs::networking::messages::Message;
use tokio::task::AbortHandle;

use super::PeerNetwork;
use crate::{
    epochs::Epochs,
    frames::PeerFrame,
    gate::Gate,
    history::{self, Answers},
    intake::Intake,
    payload::{Payload, Payloads},
    store::Store,
};

/// Frames that a peer may send in a second; an honest validator sends some dozens, and each transaction once.
const FRAMES_PER_S_MAX: u32 = 20_000;
/// Bytes of batches and headers that a peer is given in a second, however often it asks: four of the largest.
const ANSWER_BYTES_PER_S_MAX: usize = 4 * BATCH_BYTES_MAX;

/// What comes from the peers. Clones are one.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub network: PeerNetwork,
    pub gate: Arc<Gate>,
    pub store: Store,
    pub payloads: Arc<Payloads>,
    pub intake: Arc<Intake>,
    pub epochs: Arc<Epochs>,
    pub history: Arc<Answers>,
    pub paces: Paces,
}

impl Inbound {
    /// **Serves every peer that the endpoint lets in, until the endpoint is closed.** Of one peer the newest connection
    /// counts.
    pub async fn run(self, endpoint: Endpoint) {
        let mut readers: HashMap<DeviceId, AbortHandle> = HashMap::new();
        while let Some(connection) = endpoint.accept().await {
            let peer = connection.peer();
            tracing::info!(peer = %peer.short(), addr = %connection.peer_addr(), "a validator connected");
            let reader = tokio::spawn(self.clone().read(connection)).abort_handle();
            if let Some(old) = readers.insert(peer, reader) {
                old.abort();
            }
        }
        readers.values().for_each(AbortHandle::abort);
    }

    async fn read(self, connection: Connection) {
        let peer = connection.peer();
        let mut parts = Parts::default();
        while let Ok(Some(part)) = connection.recv_message().await {
            let taken = match parts.take(&part) {
                Ok(Some(frame)) => self.take(peer, &frame),
                Ok(None) => continue,
                Err(bad) => Err(bad),
            };
            if let Err(bad) = taken {
                return self.end(&connection, bad);
            }
        }
    }

    /// Takes a frame that `peer` sent.
    ///
    /// # Errors
    /// [`BadFrame`] if it is none; such a peer is not listened to any more.
    pub fn take(&self, peer: DeviceId, frame: &Bytes) -> Result<(), BadFrame> {
        let frame = PeerFrame::read(frame)?;
        if self.paces.of(peer, |pace| pace.allows_frame(Instant::now())) {
            self.handle(peer, frame);
        } else {
            self.network.counters().drop_one();
        }
        Ok(())
    }

    fn end(&self, connection: &Connection, bad: BadFrame) {
        self.network.counters().refuse();
        tracing::warn!(peer = %connection.peer().short(), %bad, "a validator broke the protocol");
        connection.close(CloseReason::Protocol);
    }

    fn handle(&self, peer: DeviceId, frame: PeerFrame) {
        match frame {
            PeerFrame::Entered { epoch, .. } if epoch != self.store.epoch() => self.tell_end(peer, epoch),
            _ if !self.network.is_member(peer) => self.network.counters().refuse(),
            PeerFrame::Consensus(body) => self.consensus(peer, &body),
            PeerFrame::Transaction(body) => self.transaction(&body),
            PeerFrame::Batch(body) => self.batch(peer, &body),
            PeerFrame::WantBatch(root) => self.want_batch(peer, root),
            PeerFrame::Entered { view, .. } => self.network.hear(peer, view),
            PeerFrame::Ended(proof) => self.ended(peer, &proof),
            PeerFrame::WantHeaders(block) => self.want_headers(peer, block),
            PeerFrame::Headers(body) => {
                if self.history.offer(&body).is_err() {
                    self.network.counters().refuse();
                }
            }
        }
    }

    fn consensus(&self, peer: DeviceId, body: &Bytes) {
        let (Ok(message), Ok(from)) =
            (Message::try_from_slice(body), VerifyingKey::from_bytes(peer.as_bytes()))
        else {
            return self.network.counters().refuse();
        };
        match self.gate.admit(message, self.store.view()) {
            Ok(told) => told.into_iter().for_each(|message| self.network.deliver(from, message)),
            Err(refused) => {
                self.network.counters().refuse();
                tracing::debug!(peer = %peer.short(), %refused, "refused a message of the replica");
            }
        }
    }

    fn transaction(&self, body: &Bytes) {
        if let Err(why) = self.intake.take(body) {
            tracing::debug!(%why, "a transaction of a peer was not taken");
        }
    }

    fn batch(&self, peer: DeviceId, body: &Bytes) {
        match Payload::read(body.to_vec()) {
            Ok(payload) => self.payloads.offer(peer, Arc::new(payload)),
            Err(_) => self.network.counters().refuse(),
        }
    }

    fn want_batch(&self, peer: DeviceId, root: Hash) {
        let Some(payload) = self.payloads.get(root) else { return };
        self.answer(peer, PeerFrame::Batch(payload.bytes.clone().into()).to_bytes());
    }
}

impl Inbound {
    /// Whoever is in an epoch that ended is told so.
    fn tell_end(&self, peer: DeviceId, epoch: u64) {
        if let Some(proof) = self.epochs.end_of(epoch) {
            self.answer(peer, PeerFrame::Ended(proof).to_bytes());
        }
    }

    fn ended(&self, peer: DeviceId, proof: &Bytes) {
        if let Err(why) = self.epochs.conclude(proof) {
            self.network.counters().refuse();
            tracing::warn!(peer = %peer.short(), %why, "a validator said that the epoch had ended");
        }
    }

    fn want_headers(&self, peer: DeviceId, block: Hash) {
        if let Some(body) = history::answer(&self.store, block) {
            self.answer(peer, PeerFrame::Headers(body).to_bytes());
        }
    }

    fn answer(&self, peer: DeviceId, frame: Bytes) {
        if self.paces.of(peer, |pace| pace.allows_answer(frame.len(), Instant::now())) {
            self.network.tell(peer, frame);
        } else {
            self.network.counters().drop_one();
        }
    }
}

/// How much each peer said and was given in the second that runs, whichever connection it came over.
#[derive(Clone, Debug, Default)]
pub struct Paces(Arc<Mutex<HashMap<DeviceId, Pace>>>);

impl Paces {
    fn of(&self, peer: DeviceId, ask: impl FnOnce(&mut Pace) -> bool) -> bool {
        ask(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default())
    }
}

#[derive(Debug, Default)]
struct Pace {
    second: Option<Instant>,
    frames: u32,
    answer_bytes: usize,
}

impl Pace {
    fn allows_frame(&mut self, now: Instant) -> bool {
        self.begin_second(now);
        self.frames += 1;
        self.frames <= FRAMES_PER_S_MAX
    }

    fn allows_answer(&mut self, bytes: usize, now: Instant) -> bool {
        self.begin_second(now);
        let allowed = self.answer_bytes + bytes <= ANSWER_BYTES_PER_S_MAX;
        if allowed {
            self.answer_bytes += bytes;
        }
        allowed
    }

    fn begin_second(&mut self, now: Instant) {
        if self.second.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            *self = Self { second: Some(now), ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: short questions get no more than so many bytes of answers in a second, and as many in the next.
    #[test]
    fn a_peer_is_given_so_many_bytes_a_second() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let given =
            |pace: &mut Pace, now| (0..100).filter(|_| pace.allows_answer(BATCH_BYTES_MAX, now)).count();
        assert_eq!(given(&mut pace, now), 4);
        assert!(!pace.allows_answer(1, now));
        assert_eq!(given(&mut pace, now + Duration::from_secs(1)), 4);
    }

    /// Goal: a peer that talks without end is heard so many times in a second.
    #[test]
    fn a_peer_is_heard_so_often_in_a_second() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let heard = (0..2 * FRAMES_PER_S_MAX).filter(|_| pace.allows_frame(now)).count();
        assert_eq!(heard, FRAMES_PER_S_MAX as usize);
        assert!(pace.allows_frame(now + Duration::from_secs(1)));
    }
}
