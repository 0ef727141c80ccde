//! A ledger's client: for the edge box, the cloud server and whoever else has something to put there.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use farhand_ledger::{Cbor as _, Hash, ProofError, TransactionProof, TrustRoot};
use farhand_link::{
    BindError, Connection, DeviceId, DeviceKey, DeviceRole, Endpoint, HandshakeError, LinkConfig,
    MessageError, Peers, PeersError, Protocol,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    frames::{Answer, Ask, Parts, send},
    link_config,
};

/// Answers that need no commit come within this, or the validator is gone.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const QUESTIONS_QUEUED_MAX: usize = 64;

/// That a transaction waits for a block. It is *not* on the ledger yet: only a proof says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How other transactions refer to it, and what to ask a proof for.
    pub hash: Hash,
}

/// Why a client got no answer, or not the one it wanted.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("no validator could be reached: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Peers(#[from] PeersError),
    #[error("the validator did not take the transaction: {0}")]
    Refused(String),
    #[error("not committed within {waited_ms} ms: {why}")]
    NotYet { waited_ms: u64, why: String },
    #[error("the validator {validator} gave a proof that does not hold: {why}")]
    BadProof { validator: DeviceId, why: ProofError },
    #[error("the validator {validator} keeps another ledger, or its epochs do not follow from each other")]
    OtherLedger { validator: DeviceId },
    #[error("the validator {validator} gave an answer that is none")]
    BadAnswer { validator: DeviceId },
    #[error(
        "the connection to the validator was lost; connect again, and submit again what has no proof yet"
    )]
    Lost,
    #[error("the validator gave no answer within {waited_ms} ms")]
    NoAnswer { waited_ms: u64 },
}

/// A connection to one validator. Clones share it. Every proof it returns was checked against the trust root.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    /// What the caller knew, or what the validator proved to follow from that.
    trust: Arc<TrustRoot>,
}

#[derive(Debug)]
struct Shared {
    validator: DeviceId,
    next: AtomicU64,
    questions: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    tasks: [AbortHandle; 2],
    connection: Connection,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[derive(Debug, Default)]
struct Waiting {
    once: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    heights: Mutex<HashMap<u64, watch::Sender<Option<u64>>>>,
}

impl Client {
    /// Connects to the first of `validators` that answers; they are tried in turn. Learns from it which epochs followed those
    /// of `trust`, each proven under the one before.
    ///
    /// # Errors
    /// [`ClientError`] if none answers or lets this key in.
    pub async fn connect(
        key: &DeviceKey,
        trust: TrustRoot,
        validators: &[(DeviceId, SocketAddr)],
    ) -> Result<Self, ClientError> {
        let peers = Peers::new();
        for (id, _) in validators {
            peers.allow(*id, DeviceRole::Validator)?;
        }
        let mut why = "no validators were named".to_owned();
        for &(id, addr) in validators {
            match dial(key, peers.clone(), addr, id).await? {
                Ok(connection) => match Self::over(connection, trust.clone()).learn().await {
                    Ok(client) => return Ok(client),
                    Err(error) => why = format!("{addr}: {error}"),
                },
                Err(error) => why = format!("{addr}: {error}"),
            }
        }
        Err(ClientError::Unreachable(why))
    }

    fn over(connection: Connection, trust: TrustRoot) -> Self {
        let waiting = Arc::new(Waiting::default());
        let (questions, queue) = mpsc::channel(QUESTIONS_QUEUED_MAX);
        let writer = tokio::spawn(write(connection.clone(), queue)).abort_handle();
        let reader = tokio::spawn(read(connection.clone(), Arc::clone(&waiting))).abort_handle();
        let validator = connection.peer();
        let tasks = [writer, reader];
        let next = AtomicU64::new(0);
        let shared = Shared { validator, next, questions, waiting, tasks, connection };
        Self { shared: Arc::new(shared), trust: Arc::new(trust) }
    }

    async fn learn(mut self) -> Result<Self, ClientError> {
        let Answer::Trust(bytes) = self.ask(&Ask::Trust, ANSWER_WAIT).await? else {
            return Err(self.bad_answer());
        };
        match TrustRoot::read(&bytes) {
            Ok(theirs) if self.trust.leads_to(&theirs) => self.trust = Arc::new(theirs),
            Ok(theirs) if theirs.leads_to(&self.trust) => {} // it has not heard yet
            _ => return Err(ClientError::OtherLedger { validator: self.validator() }),
        }
        Ok(self)
    }

    /// The ledger's epochs, as far as they are known here.
    #[must_use]
    pub fn trust(&self) -> &TrustRoot {
        &self.trust
    }

    /// The validator that this client is connected to.
    #[must_use]
    pub fn validator(&self) -> DeviceId {
        self.shared.validator
    }

    /// Whether the connection still stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.connection.end().is_none()
    }

    /// Hands a signed transaction in. Submitting the same bytes again is harmless.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it is bad in itself or there is no room.
    pub async fn submit(&self, transaction: &[u8]) -> Result<Receipt, ClientError> {
        match self.ask(&Ask::Submit(Bytes::copy_from_slice(transaction)), ANSWER_WAIT).await? {
            Answer::Taken(hash) if hash == Hash::of(transaction) => Ok(Receipt { hash }),
            Answer::Refused(why) => Err(ClientError::Refused(why)),
            _ => Err(self.bad_answer()),
        }
    }

    /// The proof that a transaction is committed, as soon as it is, within `wait`.
    ///
    /// # Errors
    /// [`ClientError::NotYet`], with what the validator knows about why.
    pub async fn proof(&self, hash: Hash, wait: Duration) -> Result<TransactionProof, ClientError> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        match self.ask(&Ask::Proof { hash, wait_ms }, wait + ANSWER_WAIT).await? {
            Answer::Proof(bytes) => self.checked(hash, &bytes),
            Answer::NotYet(why) => Err(ClientError::NotYet { waited_ms: wait_ms.into(), why }),
            _ => Err(self.bad_answer()),
        }
    }

    /// Hands a signed transaction in and waits until it is proven to be committed.
    ///
    /// # Errors
    /// As [`Client::submit`] and [`Client::proof`].
    pub async fn commit(&self, transaction: &[u8], wait: Duration) -> Result<TransactionProof, ClientError> {
        let receipt = self.submit(transaction).await?;
        self.proof(receipt.hash, wait).await
    }

    /// The height of the newest committed block at this validator; `None` before the first.
    ///
    /// # Errors
    /// [`ClientError`] if the validator is gone.
    pub async fn height(&self) -> Result<Option<u64>, ClientError> {
        match self.ask(&Ask::Height, ANSWER_WAIT).await? {
            Answer::Height(height) => Ok(height),
            _ => Err(self.bad_answer()),
        }
    }

    /// The height, and each change of it, until the connection ends.
    ///
    /// # Errors
    /// [`ClientError::Lost`] if the validator is gone.
    pub async fn watch(&self) -> Result<watch::Receiver<Option<u64>>, ClientError> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (publish, heights) = watch::channel(None);
        lock(&self.shared.waiting.heights).insert(number, publish);
        self.shared.questions.send(Ask::Watch.to_bytes(number)).await.map_err(|_| ClientError::Lost)?;
        Ok(heights)
    }

    fn checked(&self, hash: Hash, bytes: &[u8]) -> Result<TransactionProof, ClientError> {
        let bad = |why: ProofError| ClientError::BadProof { validator: self.shared.validator, why };
        let proof = TransactionProof::read(bytes).map_err(|error| bad(error.into()))?;
        let proven = proof.check(&self.trust).map_err(bad)?;
        if proven.hash == hash { Ok(proof) } else { Err(self.bad_answer()) }
    }

    async fn ask(&self, ask: &Ask, wait: Duration) -> Result<Answer, ClientError> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.shared.waiting.once).insert(number, answer);
        let asked = self.shared.questions.send(ask.to_bytes(number)).await;
        let got = match asked {
            Ok(()) => timeout(wait, answered).await,
            Err(_) => Ok(answered.await), // the reader ended, too, and dropped what waits
        };
        lock(&self.shared.waiting.once).remove(&number);
        let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        got.map_err(|_| ClientError::NoAnswer { waited_ms })?.map_err(|_| ClientError::Lost)
    }

    fn bad_answer(&self) -> ClientError {
        ClientError::BadAnswer { validator: self.shared.validator }
    }
}

async fn dial(
    key: &DeviceKey,
    peers: Peers,
    addr: SocketAddr,
    id: DeviceId,
) -> Result<Result<Connection, HandshakeError>, BindError> {
    let here = SocketAddr::new(if addr.is_ipv6() { [0u16; 8].into() } else { [0u8; 4].into() }, 0);
    let config: LinkConfig = link_config();
    let endpoint = Endpoint::bind_connecting(here, key, peers, Protocol::LEDGER, config)?;
    Ok(endpoint.connect(addr, id).await)
}

async fn write(connection: Connection, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        if send(&connection, &frame).await.is_err() {
            return;
        }
    }
}

async fn read(connection: Connection, waiting: Arc<Waiting>) {
    let mut parts = Parts::default();
    while let Ok(Some(part)) = connection.recv_message().await {
        match parts.take(&part).map(|frame| frame.map(|frame| Answer::read(&frame)).transpose()) {
            Ok(Ok(Some((number, answer)))) => waiting.hand_over(number, answer),
            Ok(Ok(None)) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    connection.close(farhand_link::CloseReason::Done);
    lock(&waiting.once).clear();
    lock(&waiting.heights).clear();
}

impl Waiting {
    fn hand_over(&self, number: u64, answer: Answer) {
        if let Some(publish) = lock(&self.heights).get(&number) {
            if let Answer::Height(height) = answer {
                publish.send_replace(height);
            }
        } else if let Some(waiting) = lock(&self.once).remove(&number) {
            let _ = waiting.send(answer); // whoever asked may have given up
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<MessageError> for ClientError {
    fn from(_: MessageError) -> Self {
        Self::Lost
    }
}
