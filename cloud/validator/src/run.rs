//! Puts a validator together and runs it.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use farhand_link::{BindError, CloseReason, DeviceId, DeviceRole, Endpoint, Peers, PeersError, Protocol};
use farhand_submit::link_config;
use hotstuff_rs::{
    replica::{Configuration, Replica, ReplicaSpec},
    types::data_types::{BufferSize, ChainID, EpochLength},
};
use thiserror::Error;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinError, spawn_blocking},
};

use crate::{
    app::{self, LedgerApp, SyncPatience},
    beats::{Beats, Thread},
    beginning::Beginning,
    config::{ConfigError, ValidatorConfig},
    epochs::Epochs,
    fault::{Fault, FaultSignal},
    gate::Gate,
    history::{Answers, BadHistory, History},
    intake::Intake,
    mempool::Mempool,
    net::{Inbound, Paces, PeerNetwork},
    payload::Payloads,
    rules::Rules,
    serve::Desk,
    status::{self, Status},
    store::{Store, StoreError},
    watchdog::Watchdog,
};

/// Blocks that a replica asks for at a time when it catches up, and gives at most.
pub const SYNC_BLOCKS_MAX: u32 = 16;
/// The crate counts whole seconds: less would be none, and no view would ever end in a commit.
const VIEW_MAX: Duration = Duration::from_secs(1);
const _: () = assert!(VIEW_MAX.as_secs() >= 1);
/// Deadlines add up over an epoch, and the vote before a dead leader's turn goes to that leader: in epochs of five views
/// one dead validator cost up to five seconds between commits (measured 4 to 6), in epochs of one view two.
const EPOCH_VIEWS: u32 = 1;
const SYNC_ANSWER_WAIT: Duration = Duration::from_secs(1);
const SYNC_WITHOUT_PROGRESS: Duration = Duration::from_secs(3);
const SYNC_VIEWS_BEHIND: u64 = 2;
/// The crate's blacklist is the wrong way round: it forgives at its next step whoever still has time to serve, and never
/// whoever has none left (and nobody behind that one in its queue). So the time must never run out within a step, however
/// long this process is held up: nobody is shut out for ever, and a liar costs one sync at a time.
const SYNC_FORGIVE: Duration = Duration::from_secs(24 * 60 * 60);
/// The crate counts what it buffers but never what it took out again, so any bound would one day have it drop every
/// early message. The gate lets early messages through only if they are near or proven, which is the bound.
const EARLY_MESSAGES_BYTES: u64 = 1 << 50;

/// Why a validator did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "could not listen for {whom} at {addr}: {source}. Is another validator running, or is `{setting}` taken?"
    )]
    Listen { whom: &'static str, setting: &'static str, addr: SocketAddr, source: Box<BindError> },
    #[error(transparent)]
    Peers(#[from] PeersError),
    #[error("the key {key} is listed as a client and is a validator; a client needs a key of its own")]
    ClientIsValidator { key: DeviceId },
    #[error("a thread ended: {0}")]
    Thread(#[from] JoinError),
    #[error("what the ledger was before this epoch could not be had: {0}")]
    History(#[from] BadHistory),
}

/// A validator that runs. Dropped, it ends in the background; [`Handle::stop`] waits for that.
pub struct Handle {
    me: DeviceId,
    peer_addr: SocketAddr,
    client_addr: SocketAddr,
    fault: FaultSignal,
    status: watch::Receiver<Status>,
    beats: Beats,
    store: Store,
    endpoints: [Endpoint; 2],
    tasks: Vec<AbortHandle>,
    replica: Option<Replica<Store>>,
}

/// Runs a validator in this process until its handle is dropped. Needs a tokio runtime; the replica has threads of its
/// own beside it.
///
/// # Errors
/// [`StartError`], with what to do about it.
pub async fn run_validator(config: ValidatorConfig) -> Result<Handle, StartError> {
    config.check()?;
    let fault = FaultSignal::default();
    let store = open_store(&config, fault.clone()).await?;
    let peers = config.members_and_former();
    let endpoints = listen(&config, &peers)?;
    Parts::new(config, store, fault, &endpoints[0], &peers).start(endpoints).await
}

impl Handle {
    /// This validator's key.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.me
    }

    /// Where clients connect to.
    #[must_use]
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Where other validators connect to.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    /// What the validator says about itself, anew each second.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The fault that ended it, if one did. It does nothing any more then; stop it and start another.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.raised()
    }

    /// Waits for a fault.
    pub async fn faulted(&self) -> Fault {
        self.fault.wait().await
    }

    /// The durable height; `None` before the first commit.
    #[must_use]
    pub fn height(&self) -> Option<u64> {
        self.store.progress().borrow().height
    }

    /// The store, to look at.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends the validator, and waits until its threads are gone and its folder is free.
    pub async fn stop(mut self) {
        self.quiet();
        for endpoint in &self.endpoints {
            endpoint.close(CloseReason::ShuttingDown).await;
        }
        let (replica, fault) = (self.replica.take(), self.fault.clone());
        let _ = spawn_blocking(move || end(replica, &fault)).await; // a panic there was caught already
    }

    fn quiet(&self) {
        self.beats.close();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.quiet();
        if let Some(replica) = self.replica.take() {
            let fault = self.fault.clone();
            std::thread::spawn(move || end(Some(replica), &fault));
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "validator {} at {}, height {:?}", self.me.short(), self.peer_addr, self.height())
    }
}

/// Joins the replica's threads, which panic at their joining if one of them is dead. After a fault of the store they
/// are parked for ever and can't be joined.
fn end(replica: Option<Replica<Store>>, fault: &FaultSignal) {
    if matches!(fault.raised(), Some(Fault::Store { .. } | Fault::ThreadSilent { .. })) {
        std::mem::forget(replica);
    } else if catch_unwind(AssertUnwindSafe(|| drop(replica))).is_err() {
        tracing::warn!("a thread of the replica had ended before");
    }
}

async fn open_store(config: &ValidatorConfig, fault: FaultSignal) -> Result<Store, StartError> {
    let config = config.clone();
    Ok(spawn_blocking(move || config.open_store(&fault)).await??)
}

/// Endpoints for validators and for clients.
fn listen(
    config: &ValidatorConfig,
    peers: &[Vec<(DeviceId, SocketAddr)>; 2],
) -> Result<[Endpoint; 2], StartError> {
    let validators = Peers::new();
    for (id, _) in peers.iter().flatten() {
        validators.allow(*id, DeviceRole::Validator)?;
    }
    let clients = Peers::new();
    for (id, role) in &config.clients {
        if validators.role(id).is_some() || *id == config.key.id() {
            return Err(StartError::ClientIsValidator { key: *id });
        }
        clients.allow(*id, *role)?;
    }
    clients.allow(config.key.id(), DeviceRole::Validator)?; // its own organisation ends an epoch through it
    let bind = |whom, setting, addr, peers, protocol| {
        Endpoint::bind(addr, &config.key, peers, protocol, link_config())
            .map_err(|source| StartError::Listen { whom, setting, addr, source: Box::new(source) })
    };
    Ok([
        bind("validators", "peer_listen", config.peer_listen, validators, Protocol::VALIDATOR)?,
        bind("clients", "client_listen", config.client_listen, clients, Protocol::LEDGER)?,
    ])
}

/// What a validator is made of.
pub(crate) struct Parts {
    config: ValidatorConfig,
    store: Store,
    fault: FaultSignal,
    beats: Beats,
    network: PeerNetwork,
    mempool: Arc<Mempool>,
    payloads: Arc<Payloads>,
    intake: Arc<Intake>,
    rules: Rules,
    epochs: Arc<Epochs>,
    answers: Arc<Answers>,
    pub(crate) clock: fn() -> u64,
}

impl Parts {
    fn new(
        config: ValidatorConfig,
        store: Store,
        fault: FaultSignal,
        endpoint: &Endpoint,
        peers: &[Vec<(DeviceId, SocketAddr)>; 2],
    ) -> Self {
        let beats = Beats::default();
        let me = config.key.signing_key().verifying_key();
        let network = PeerNetwork::start(endpoint, me, store.clone(), peers, beats.clone());
        Self::over(config, store, fault, network, beats)
    }

    pub(crate) fn over(
        config: ValidatorConfig,
        store: Store,
        fault: FaultSignal,
        network: PeerNetwork,
        beats: Beats,
    ) -> Self {
        let mempool = Arc::new(Mempool::new(config.mempool));
        let payloads = Arc::new(Payloads::new(store.clone()));
        let ledger = config.trust.ledger();
        let intake = Arc::new(Intake { ledger, store: store.clone(), mempool: Arc::clone(&mempool) });
        let rules = Rules::of(&config.trust, config.trust.newest());
        let (trust, data_dir) = (config.trust.clone(), config.data_dir.clone());
        let epochs = Arc::new(Epochs::new(trust, data_dir, fault.clone()));
        let (answers, clock) = (Arc::default(), app::now_us as fn() -> u64);
        Self {
            config,
            store,
            fault,
            beats,
            network,
            mempool,
            payloads,
            intake,
            rules,
            epochs,
            answers,
            clock,
        }
    }

    async fn start(mut self, endpoints: [Endpoint; 2]) -> Result<Handle, StartError> {
        let [peers, clients] = &endpoints;
        let inbound = tokio::spawn(self.inbound().run(peers.clone())).abort_handle();
        self.complete_history().await?;
        let beginning = Beginning::default();
        beginning.agree(&self.network, &mut self.store).await;
        let replica = self.replica();
        let (publish, status) = watch::channel(Status::default());
        let tasks = vec![
            inbound,
            tokio::spawn(beginning.clone().tell(self.network.clone(), self.store.clone())).abort_handle(),
            tokio::spawn(self.desk().run(clients.clone())).abort_handle(),
            tokio::spawn(self.end_of_epoch()).abort_handle(),
            tokio::spawn(self.watchdog(&beginning).run(self.reporter(&beginning, publish))).abort_handle(),
        ];
        Ok(Handle {
            me: self.config.key.id(),
            peer_addr: peers.local_addr().unwrap_or(self.config.peer_listen),
            client_addr: clients.local_addr().unwrap_or(self.config.client_listen),
            fault: self.fault,
            status,
            beats: self.beats,
            store: self.store,
            endpoints,
            tasks,
            replica: Some(replica),
        })
    }

    async fn complete_history(&self) -> Result<(), StartError> {
        let running = Arc::new(());
        let history = History {
            trust: self.config.trust.clone(),
            network: self.network.clone(),
            payloads: Arc::clone(&self.payloads),
            answers: Arc::clone(&self.answers),
            running: Arc::downgrade(&running),
        };
        let store = self.store.clone();
        Ok(spawn_blocking(move || history.complete(&store)).await??)
    }

    fn end_of_epoch(&self) -> impl Future<Output = ()> + Send + use<> {
        let (epochs, store, payloads) =
            (Arc::clone(&self.epochs), self.store.clone(), Arc::clone(&self.payloads));
        let network = self.network.clone();
        async move { epochs.run(&store, &payloads, &network).await }
    }

    pub(crate) fn replica(&self) -> Replica<Store> {
        Thread::ALL.into_iter().for_each(|thread| self.beats.beat(thread));
        ReplicaSpec::builder()
            .app(self.app())
            .network(self.network.clone())
            .kv_store(self.store.clone())
            .configuration(self.replica_configuration())
            .build()
            .start()
    }

    fn replica_configuration(&self) -> Configuration {
        Configuration::builder()
            .me(self.config.key.signing_key().clone())
            .chain_id(ChainID::new(self.config.trust.chain()))
            .block_sync_request_limit(SYNC_BLOCKS_MAX)
            .block_sync_server_advertise_time(Duration::ZERO) // the network paces it
            .block_sync_response_timeout(SYNC_ANSWER_WAIT)
            .block_sync_blacklist_expiry_time(SYNC_FORGIVE)
            .block_sync_trigger_min_view_difference(SYNC_VIEWS_BEHIND)
            .block_sync_trigger_timeout(SYNC_WITHOUT_PROGRESS)
            .progress_msg_buffer_capacity(BufferSize::new(EARLY_MESSAGES_BYTES))
            .epoch_length(EpochLength::new(EPOCH_VIEWS))
            .max_view_time(VIEW_MAX)
            .log_events(false)
            .build()
    }

    fn app(&self) -> LedgerApp {
        LedgerApp {
            me: self.config.key.id(),
            rules: self.rules.clone(),
            pace: self.config.pace,
            store: self.store.clone(),
            mempool: Arc::clone(&self.mempool),
            payloads: Arc::clone(&self.payloads),
            network: self.network.clone(),
            beats: self.beats.clone(),
            clock: self.clock,
            patience: SyncPatience::default(),
            watch: self.beats.watch_algorithm(),
        }
    }

    pub(crate) fn inbound(&self) -> Inbound {
        Inbound {
            network: self.network.clone(),
            gate: Arc::new(Gate::new(self.config.trust.newest().clone(), SYNC_BLOCKS_MAX)),
            store: self.store.clone(),
            payloads: Arc::clone(&self.payloads),
            intake: Arc::clone(&self.intake),
            epochs: Arc::clone(&self.epochs),
            history: Arc::clone(&self.answers),
            paces: Paces::default(),
        }
    }

    fn desk(&self) -> Desk {
        Desk {
            store: self.store.clone(),
            payloads: Arc::clone(&self.payloads),
            mempool: Arc::clone(&self.mempool),
            intake: Arc::clone(&self.intake),
            network: self.network.clone(),
            rules: Arc::new(self.rules.clone()),
            trust: self.config.trust.to_bytes().into(),
        }
    }

    fn watchdog(&self, beginning: &Beginning) -> Watchdog {
        Watchdog {
            limits: self.config.watch,
            beats: self.beats.clone(),
            store: self.store.clone(),
            network: self.network.clone(),
            fault: self.fault.clone(),
            beginning: beginning.clone(),
            quorum_peers: usize::try_from(self.config.trust.quorum()).unwrap_or(usize::MAX) - 1,
        }
    }

    /// Writes the status down, for people and for `farhand-validator status`.
    fn reporter(
        &self,
        beginning: &Beginning,
        publish: watch::Sender<Status>,
    ) -> impl FnMut(u64, Option<String>) + Send + use<> {
        let beginning = beginning.clone();
        let (store, network, mempool) = (self.store.clone(), self.network.clone(), Arc::clone(&self.mempool));
        let (dir, peers): (PathBuf, usize) = (self.config.data_dir.clone(), self.network.peers());
        move |since_commit_ms, problem| {
            let status = Status {
                healthy: problem.is_none(),
                problem: problem.unwrap_or_default(),
                epoch: store.epoch(),
                height: store.progress().borrow().height,
                view: beginning.view(&store),
                peers_connected: network.connected(),
                peers,
                transactions_waiting: mempool.len(),
                since_commit_ms,
                messages_refused: network.counters().refused.load(Ordering::Relaxed),
                messages_dropped: network.counters().dropped.load(Ordering::Relaxed),
                at_utc_ms: status::utc_ms(),
                process: std::process::id(),
            };
            if let Err(error) = status::write(&dir, &status) {
                tracing::warn!(%error, "could not write the status file");
            }
            publish.send_replace(status);
        }
    }
}
