//! Runs gate and loop for real: the loop on a thread of its own, the gate beside the sockets, two queues between them.

use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farhand_ledger::TrustRoot;
use farhand_link::{
    BindError, CloseReason, Connection, DeviceId, DeviceIdError, DeviceKey, DeviceRole, Endpoint, KeyError,
    LinkConfig, Peers, PeersError, Protocol,
};
use farhand_motion::{ArmModel, LimitExceeded};
use farhand_wire::{ArmState, KitBootId, KitTick, LeaseToken};
use rtrb::{Consumer, Producer, RingBuffer};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::{
    Cable, Config, ConfigError, Core, FromCore, FromGate, Gate, Identity, Lateness, StoreError, ToCore,
    TokenStore, pace::pace,
};

const TO_CORE_MAX: usize = 256;
const FROM_CORE_MAX: usize = 1024;
/// Inputs that the loop takes in one tick; what is left waits for the next.
const INPUTS_A_TICK_MAX: usize = 32;
/// How often the gate looks for what the loop says: states are 10 ms apart.
const LISTEN_MS: u64 = 2;
const ARM_WAIT: Duration = Duration::from_secs(5);

/// Why the kit does not run.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the paired edge box: {0}")]
    Edge(#[from] DeviceIdError),
    #[error("the paired edge box: {0}")]
    Peers(#[from] PeersError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot open the arm's cable at {listen}: {source}")]
    Cable { listen: SocketAddr, source: std::io::Error },
    #[error("no word from the arm at {arm} within {} s: is it on, and has it the same cable key?", ARM_WAIT.as_secs())]
    NoArm { arm: SocketAddr },
    #[error("the arm stands outside its own limits: {0}")]
    Limit(#[from] LimitExceeded),
    #[error("cannot read the trust root {path}: {why}")]
    Trust { path: String, why: String },
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("cannot start the loop's thread: {0}")]
    Thread(std::io::Error),
}

/// A kit that runs. Stops when dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens for its edge box.
    pub address: SocketAddr,
    pub device: DeviceId,
    pub lateness: Arc<Lateness>,
    stop: Arc<AtomicBool>,
    core: Option<JoinHandle<()>>,
    gate: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Whether both of its machines still run.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.gate.is_finished() && self.core.as_ref().is_some_and(|core| !core.is_finished())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.gate.abort();
        if let Some(core) = self.core.take() {
            // A panic there was reported when it happened.
            let _ = core.join();
        }
    }
}

/// Starts a kit. Needs a tokio runtime.
pub fn run(config: &Config) -> Result<Running, RunError> {
    let model = ArmModel::psm_large_needle_driver();
    let key = DeviceKey::load_or_create(&config.key)?;
    let store = TokenStore::open(&config.data)?;
    let identity = identity(config, &key, &model)?;
    let mut cable = Cable::connect(config.arm.listen, config.arm.address, &config.arm.read_key()?)
        .map_err(|source| RunError::Cable { listen: config.arm.listen, source })?;
    let measured = await_arm(&mut cable).ok_or(RunError::NoArm { arm: config.arm.address })?;
    let core = Core::new(config.limits.clone(), &model, measured, store.highest(), identity.seed)?;

    let peers = Peers::new();
    peers.allow(config.edge.parse()?, DeviceRole::Edge)?;
    let endpoint = Endpoint::bind(config.listen, &key, peers, Protocol::KIT, LinkConfig::default())?;
    let address =
        endpoint.local_addr().map_err(|source| RunError::Cable { listen: config.listen, source })?;

    let (to_core, core_inbox) = RingBuffer::new(TO_CORE_MAX);
    let (core_outbox, from_core) = RingBuffer::new(FROM_CORE_MAX);
    let (lateness, stop) = (Arc::new(Lateness::default()), Arc::new(AtomicBool::new(false)));
    let thread = CoreThread { core, cable, inbox: core_inbox, outbox: core_outbox, stop: stop.clone() };
    let core = thread.start(lateness.clone())?;
    let gate =
        GateTask { gate: Gate::new(identity), store: Store::start(store), to_core, from_core, edge: None };
    let gate = tokio::spawn(gate.run(endpoint));
    info!(%address, kit = %key.id().short(), "kit is up");
    Ok(Running { address, device: key.id(), lateness, stop, core: Some(core), gate })
}

fn identity(config: &Config, key: &DeviceKey, model: &ArmModel) -> Result<Identity, RunError> {
    let path = config.trust.display().to_string();
    let failed = |why: String| RunError::Trust { path: path.clone(), why };
    let bytes = std::fs::read(&config.trust).map_err(|error| failed(error.to_string()))?;
    let trust = TrustRoot::read(&bytes).map_err(|error| failed(error.to_string()))?;
    Ok(Identity {
        key: key.signing_key().clone(),
        boot: KitBootId(random()?),
        trust,
        limits_digest: config.limits.digest(),
        arm_digest: model.digest(),
        seed: random()?,
    })
}

fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RunError::Random)?;
    Ok(bytes)
}

fn await_arm(cable: &mut Cable) -> Option<ArmState> {
    let until = Instant::now() + ARM_WAIT;
    while Instant::now() < until {
        if let Some(state) = cable.newest() {
            return Some(state);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

/// The 1 kHz thread.
struct CoreThread {
    core: Core,
    cable: Cable,
    inbox: Consumer<ToCore>,
    outbox: Producer<FromCore>,
    stop: Arc<AtomicBool>,
}

impl CoreThread {
    fn start(mut self, lateness: Arc<Lateness>) -> Result<JoinHandle<()>, RunError> {
        let began = Instant::now();
        thread::Builder::new()
            .name("kit-loop".into())
            .spawn(move || pace(&lateness, || self.tick(began)))
            .map_err(RunError::Thread)
    }

    fn tick(&mut self, began: Instant) -> bool {
        let now = KitTick(began.elapsed().as_micros() as u64);
        let arm = self.cable.newest();
        let inbox = iter::from_fn(|| self.inbox.pop().ok()).take(INPUTS_A_TICK_MAX);
        // A gate that does not listen loses states, never the loop its time.
        self.core.step(now, arm, inbox, &mut self.cable, |said| drop(self.outbox.push(said)));
        !self.stop.load(Relaxed)
    }
}

/// Writes tokens where a slow disk holds nobody up.
struct Store {
    wanted: mpsc::Sender<LeaseToken>,
    stored: mpsc::Receiver<LeaseToken>,
}

impl Store {
    fn start(mut store: TokenStore) -> Self {
        let (wanted, mut requests) = mpsc::channel(4);
        let (done, stored) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            while let Some(token) = requests.blocking_recv() {
                match store.raise(token) {
                    Ok(()) => drop(done.blocking_send(token)),
                    // Not stored is not granted; whoever asked may ask again.
                    Err(error) => warn!(%error, "no control is granted"),
                }
            }
        });
        Self { wanted, stored }
    }
}

/// The gate beside its sockets.
struct GateTask {
    gate: Gate,
    store: Store,
    to_core: Producer<ToCore>,
    from_core: Consumer<FromCore>,
    edge: Option<Connection>,
}

impl GateTask {
    async fn run(mut self, endpoint: Endpoint) {
        let mut listen = interval(Duration::from_millis(LISTEN_MS));
        listen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let edge = self.edge.clone();
            tokio::select! {
                accepted = endpoint.accept() => match accepted {
                    Some(connection) => self.meet(connection),
                    None => return,
                },
                Some(received) = from_edge(edge.as_ref()) => self.received(received),
                Some(token) = self.store.stored.recv() => self.token_stored(token),
                _ = listen.tick() => self.listen().await,
            }
        }
    }

    /// The paired edge box is back, or comes over a better path: the newest connection counts.
    fn meet(&mut self, connection: Connection) {
        info!(edge = %connection.peer().short(), "edge box connected");
        if let Some(old) = self.edge.replace(connection) {
            old.close(CloseReason::Replaced);
        }
    }

    fn received(&mut self, received: Option<Bytes>) {
        match received {
            None => {
                warn!("edge box is gone");
                self.edge = None;
            }
            Some(bytes) => {
                let mut passed = Vec::new();
                if let Err(error) = self.gate.take(&bytes, |out| passed.push(out)) {
                    warn!(%error, "a message went no further");
                }
                self.deliver(passed);
            }
        }
    }

    fn token_stored(&mut self, token: LeaseToken) {
        let mut passed = Vec::new();
        self.gate.token_stored(token, |out| passed.push(out));
        self.deliver(passed);
    }

    async fn listen(&mut self) {
        while let Ok(said) = self.from_core.pop() {
            let mut passed = Vec::new();
            self.gate.from_core(said, |out| passed.push(out));
            self.deliver(passed);
        }
    }

    fn deliver(&mut self, passed: Vec<FromGate>) {
        for out in passed {
            match out {
                FromGate::Core(input) => {
                    if self.to_core.push(input).is_err() {
                        warn!(max = TO_CORE_MAX, "the loop's inbox is full");
                    }
                }
                FromGate::Store(token) => drop(self.store.wanted.try_send(token)),
                FromGate::Datagram(bytes) => {
                    if let Some(edge) = &self.edge {
                        // Newest counts: one that does not get through is followed by the next.
                        let _ = edge.send_datagram(bytes.into());
                    }
                }
                FromGate::Reliable(bytes) => self.send_reliably(bytes),
            }
        }
    }

    /// In order: the connection queues what is sent, in the order in which the futures are first polled.
    fn send_reliably(&self, bytes: Vec<u8>) {
        if let Some(edge) = self.edge.clone() {
            tokio::spawn(async move {
                if let Err(error) = edge.send_message(bytes.into()).await {
                    warn!(%error, "a message did not reach the edge box");
                }
            });
        }
    }
}

/// The next thing the edge box sends; `Some(None)` once it is gone, `None` while there is none.
async fn from_edge(edge: Option<&Connection>) -> Option<Option<Bytes>> {
    let Some(edge) = edge else { return std::future::pending().await };
    let received = tokio::select! {
        datagram = edge.recv_datagram() => datagram.ok(),
        message = edge.recv_message() => message.ok().flatten(),
    };
    Some(received)
}
