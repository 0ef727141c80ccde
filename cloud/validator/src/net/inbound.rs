//! From the peers: what their frames are, and to whom they go.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use borsh::BorshDeserialize;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use farhand_ledger::Hash;
use farhand_link::{CloseReason, Connection, DeviceId, Endpoint};
use farhand_submit::frames::{BadFrame, Parts};
use hotstuff_rs::networking::messages::Message;
use tokio::task::AbortHandle;

use super::PeerNetwork;
use crate::{
    frames::PeerFrame,
    gate::Gate,
    intake::Intake,
    payload::{Payload, Payloads},
    store::Store,
};

/// Frames that a peer may send in a second; an honest validator sends some dozens, and each transaction once.
const FRAMES_PER_S_MAX: u32 = 20_000;

/// Takes connections in and reads them.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub network: PeerNetwork,
    pub gate: Arc<Gate>,
    pub store: Store,
    pub payloads: Arc<Payloads>,
    pub intake: Arc<Intake>,
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
        let mut pace = Pace::default();
        while let Ok(Some(part)) = connection.recv_message().await {
            let frame = match parts.take(&part) {
                Ok(Some(frame)) => PeerFrame::read(&frame),
                Ok(None) => continue,
                Err(bad) => Err(bad),
            };
            match frame {
                Ok(frame) if pace.allows(Instant::now()) => self.handle(peer, frame),
                Ok(_) => self.network.counters().drop_one(),
                Err(bad) => return self.end(&connection, bad),
            }
        }
    }

    fn end(&self, connection: &Connection, bad: BadFrame) {
        self.network.counters().refuse();
        tracing::warn!(peer = %connection.peer().short(), %bad, "a validator broke the protocol");
        connection.close(CloseReason::Protocol);
    }

    fn handle(&self, peer: DeviceId, frame: PeerFrame) {
        match frame {
            PeerFrame::Consensus(body) => self.consensus(peer, &body),
            PeerFrame::Transaction(body) => self.transaction(&body),
            PeerFrame::Batch(body) => self.batch(peer, &body),
            PeerFrame::WantBatch(root) => self.want_batch(peer, root),
            PeerFrame::Entered(view) => self.network.hear(peer, view),
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
        if let Some(payload) = self.payloads.get(root) {
            self.network.tell(peer, PeerFrame::Batch(payload.bytes.clone().into()).to_bytes());
        }
    }
}

/// How much one peer said in the second that runs.
#[derive(Debug, Default)]
struct Pace {
    second: Option<Instant>,
    frames: u32,
}

impl Pace {
    fn allows(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|began| now.duration_since(began) >= Duration::from_secs(1)) {
            *self = Self { second: Some(now), frames: 0 };
        }
        self.frames += 1;
        self.frames <= FRAMES_PER_S_MAX
    }
}
