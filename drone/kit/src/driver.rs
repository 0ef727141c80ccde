//! Runs gate and loop for real: the loop on a thread of its own, the gate beside the sockets, two queues between them.

use std::iter;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use arrayvec::ArrayVec;
use bytes::Bytes;
use farhand_ledger::TrustRoot;
use farhand_link::{
    BindError, Bond, BondError, CloseReason, DeviceId, DeviceIdError, DeviceKey, DeviceRole, Endpoint,
    KeyError, LinkConfig, Paths, Peers, PeersError, Protocol,
};
use farhand_motion::{LimitExceeded, Mounted};
use farhand_wire::{ARMS_MAX, ArmState, KitBootId, KitTick, LeaseToken, PublicKey, SessionId};
use rtrb::{Consumer, Producer, RingBuffer};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, trace, warn};

use crate::{
    ArmConfig, Cable, Cables, ClosedStore, Config, ConfigError, Core, FromCore, FromGate, Gate, Identity,
    JournalError, JournalFile, Pace, Past, Snapshot, StoreError, ToCore, TokenStore, before_all_others,
    keep_pace,
    metrics::{Metrics, Standing},
    observer::Observer,
};

const TO_CORE_MAX: usize = 256;
const FROM_CORE_MAX: usize = 1024;
/// Room in the loop's outbox that only verdicts take: one for each input that the loop may still have to judge. So none is
/// ever lost for want of room.
const JUDGED_MAX: usize = 512;
/// Messages that the edge box has not acknowledged. An edge box that takes none is cut off: it comes again, and gets all.
const RELIABLE_MAX: usize = 4096;
/// Segments that wait for the kit's own disk.
const JOURNAL_WAITING_MAX: usize = 256;
/// Inputs that the loop takes in one tick; what is left waits for the next.
const INPUTS_A_TICK_MAX: usize = 32;
/// How often the gate looks for what the loop says: states are 10 ms apart.
const LISTEN_MS: u64 = 2;
const ARM_WAIT: Duration = Duration::from_secs(5);
/// An arm that has been heard says where it stands a thousand times a second.
const ARM_STATE_WAIT: Duration = Duration::from_millis(500);

/// Why the kit does not run.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the paired edge box: {0}")]
    Edge(#[from] DeviceIdError),
    #[error("the paired edge box: {0}")]
    Peers(#[from] PeersError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot open an arm's cable at {listen}: {source}")]
    Cable { listen: SocketAddr, source: std::io::Error },
    #[error("cannot open the observer's cable: {0}")]
    Observer(std::io::Error),
    #[error("no word from any arm within {} s: are they on, and have they the same cable keys?", ARM_WAIT.as_secs())]
    NoArm,
    #[error("the arm stands outside its own limits: {0}")]
    Limit(#[from] LimitExceeded),
    #[error("cannot read the trust root {path}: {why}")]
    Trust { path: String, why: String },
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A kit that runs. Stops when dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens for its edge box, first of all.
    pub address: SocketAddr,
    pub device: DeviceId,
    stop: Arc<AtomicBool>,
    core: Option<JoinHandle<()>>,
    metrics: Option<JoinHandle<()>>,
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
        for thread in self.core.take().into_iter().chain(self.metrics.take()) {
            thread.thread().unpark(); // the one that waits
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Starts a kit. Needs a tokio runtime.
pub fn run(config: &Config) -> Result<Running, RunError> {
    run_around(config, |turns| turns())
}

/// [`run`], with something around the loop's turns, on the loop's thread: for whoever counts what they cost. It calls what it is
/// given once.
pub fn run_around(
    config: &Config,
    around: impl FnOnce(&mut dyn FnMut()) + Send + 'static,
) -> Result<Running, RunError> {
    let arms = config.mounted();
    let key = DeviceKey::load_or_create(&config.key)?;
    let tokens = TokenStore::open(&config.data)?;
    let closed = ClosedStore::open(&config.data)?;
    let (journal, segments) = JournalFile::open(&config.data)?;
    let past = Past { closed: closed.closed().to_vec(), segments };
    let edge: DeviceId = config.edge.parse()?;
    let identity = identity(config, &key, edge, &arms, past)?;
    let (cables, measured) = connect_arms(config)?;
    let core = Core::new(config.limits.clone(), &arms, &measured, tokens.highest(), identity.seed)?;

    let (address, paths) = paths(config, &key, edge)?;
    let observer = config.observer.as_ref().map(Observer::open).transpose()?;

    let (to_core, core_inbox) = RingBuffer::new(TO_CORE_MAX);
    let (core_outbox, from_core) = RingBuffer::new(FROM_CORE_MAX);
    let (pace, stop) = (Arc::new(Pace::default()), Arc::new(AtomicBool::new(false)));
    let thread = CoreThread { core, cables, inbox: core_inbox, outbox: core_outbox, stop: stop.clone() };
    let zero = SystemTime::now();
    let core = thread.start(pace.clone(), around)?;
    let standing = Arc::new(Standing::default());
    let metrics = Metrics { zero, pace, standing: standing.clone() };
    let write = |path: &PathBuf| metrics.write_to(path.clone(), stop.clone());
    let metrics = config.metrics.as_ref().map(write).transpose().map_err(RunError::Thread)?;
    let gate = GateTask {
        gate: Gate::new(identity),
        store: Store::start(tokens, closed),
        journal: keep_journal(journal),
        to_core,
        from_core,
        standing,
        observer,
        unjudged: 0,
        edge: None,
    };
    let gate = tokio::spawn(gate.run(paths));
    info!(%address, kit = %key.id().short(), "kit is up");
    Ok(Running { address, device: key.id(), stop, core: Some(core), metrics, gate })
}

/// Every way in for the paired edge box, and the address of the first.
fn paths(config: &Config, key: &DeviceKey, edge: DeviceId) -> Result<(SocketAddr, Paths), RunError> {
    let peers = Peers::new();
    peers.allow(edge, DeviceRole::Edge)?;
    let bind =
        |addr: &SocketAddr| Endpoint::bind(*addr, key, peers.clone(), Protocol::KIT, LinkConfig::default());
    let first = bind(&config.listen)?;
    let address = first.local_addr().map_err(|source| BindError::Socket { addr: config.listen, source })?;
    let also = config.listen_also.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let endpoints = iter::once(first).chain(also).collect();
    Ok((address, Paths::accept(endpoints, edge, RELIABLE_MAX)?))
}

fn identity(
    config: &Config,
    key: &DeviceKey,
    edge: DeviceId,
    arms: &[Mounted],
    past: Past,
) -> Result<Identity, RunError> {
    let path = config.trust.display().to_string();
    let failed = |why: String| RunError::Trust { path: path.clone(), why };
    let bytes = std::fs::read(&config.trust).map_err(|error| failed(error.to_string()))?;
    let trust = TrustRoot::read(&bytes).map_err(|error| failed(error.to_string()))?;
    Ok(Identity {
        key: key.signing_key().clone(),
        boot: KitBootId(random()?),
        edge: PublicKey(*edge.as_bytes()),
        trust,
        limits_digest: config.limits.digest(),
        arm_digest: Mounted::digest_of(arms),
        arms: config.arms.iter().map(ArmConfig::notice).collect(),
        seed: random()?,
        past,
    })
}

fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RunError::Random)?;
    Ok(bytes)
}

/// Each arm's cable, and what each arm first said. One that says nothing keeps nobody from the other arms' switches.
fn connect_arms(config: &Config) -> Result<(Cables, Vec<Option<ArmState>>), RunError> {
    let mut cables = Cables(ArrayVec::new());
    for ArmConfig { cable: arm, .. } in &config.arms {
        let connected = Cable::connect(arm.listen, arm.address, &arm.read_key()?);
        cables.0.push(connected.map_err(|source| RunError::Cable { listen: arm.listen, source })?);
    }
    await_arms(&mut cables, ARM_WAIT);
    // Where each stands now, and not where it stood while another was awaited.
    cables.0.iter_mut().for_each(|cable| while cable.newest().is_some() {});
    let measured = await_arms(&mut cables, ARM_STATE_WAIT);
    for (ArmConfig { name, cable: arm, .. }, state) in config.arms.iter().zip(&measured) {
        if state.is_none() {
            warn!(name, address = %arm.address, "an arm says nothing: is it on, and has it the same cable key?");
        }
    }
    if measured.iter().all(Option::is_none) {
        return Err(RunError::NoArm);
    }
    Ok((cables, measured))
}

/// What each said last, as soon as all have said something.
fn await_arms(cables: &mut Cables, wait: Duration) -> Vec<Option<ArmState>> {
    let mut heard = vec![None; cables.0.len()];
    let until = Instant::now() + wait;
    while heard.iter().any(Option::is_none) && Instant::now() < until {
        for (number, state) in cables.newest() {
            heard[number] = Some(state);
        }
        thread::sleep(Duration::from_millis(1));
    }
    heard
}

/// The 1 kHz thread.
struct CoreThread {
    core: Core,
    cables: Cables,
    inbox: Consumer<ToCore>,
    outbox: Producer<FromCore>,
    stop: Arc<AtomicBool>,
}

impl CoreThread {
    /// The kit's clock is 0 when this is called.
    fn start(
        mut self,
        pace: Arc<Pace>,
        around: impl FnOnce(&mut dyn FnMut()) + Send + 'static,
    ) -> Result<JoinHandle<()>, RunError> {
        let began = Instant::now();
        thread::Builder::new()
            .name("kit-loop".into())
            .spawn(move || {
                before_all_others();
                around(&mut || keep_pace(&pace, || self.tick(began)));
            })
            .map_err(RunError::Thread)
    }

    fn tick(&mut self, began: Instant) -> bool {
        let now = KitTick(began.elapsed().as_micros() as u64);
        let arms = self.cables.newest();
        let inbox = iter::from_fn(|| self.inbox.pop().ok()).take(INPUTS_A_TICK_MAX);
        // A gate that does not listen loses states, never a verdict, and never the loop its time.
        self.core.step(now, arms, inbox, &mut self.cables, |said| {
            let room = if matches!(said, FromCore::Judged(_)) { 0 } else { JUDGED_MAX };
            if self.outbox.slots() > room {
                let _ = self.outbox.push(said);
            }
        });
        !self.stop.load(Relaxed)
    }
}

/// What must outlive this run.
enum Wanted {
    Token(LeaseToken),
    Closed(SessionId),
}

/// Writes where a slow disk holds nobody up.
struct Store {
    wanted: mpsc::Sender<Wanted>,
    stored: mpsc::Receiver<LeaseToken>,
}

impl Store {
    fn start(mut tokens: TokenStore, mut closed: ClosedStore) -> Self {
        let (wanted, mut requests) = mpsc::channel(4);
        let (done, stored) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            while let Some(wanted) = requests.blocking_recv() {
                match wanted {
                    Wanted::Token(token) => match tokens.raise(token) {
                        Ok(()) => drop(done.blocking_send(token)),
                        // Not stored is not granted; whoever asked may ask again.
                        Err(error) => warn!(%error, "no control is granted"),
                    },
                    Wanted::Closed(session) => {
                        if let Err(error) = closed.close(session) {
                            warn!(%error, "a restart would forget that the operation is over");
                        }
                    }
                }
            }
        });
        Self { wanted, stored }
    }
}

/// Writes segments where a slow disk holds nobody up.
fn keep_journal(mut journal: JournalFile) -> mpsc::Sender<Vec<u8>> {
    let (segments, mut waiting) = mpsc::channel::<Vec<u8>>(JOURNAL_WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        while let Some(segment) = waiting.blocking_recv() {
            if let Err(error) = journal.append(&segment) {
                warn!(%error, "a segment is on the edge box's disk alone");
            }
        }
    });
    segments
}

/// The gate beside its sockets.
struct GateTask {
    gate: Gate,
    store: Store,
    journal: mpsc::Sender<Vec<u8>>,
    to_core: Producer<ToCore>,
    from_core: Consumer<FromCore>,
    standing: Arc<Standing>,
    observer: Option<Observer>,
    /// Commands that the loop has, or its verdicts on them, which are on their way back.
    unjudged: usize,
    edge: Option<Bond>,
}

impl GateTask {
    async fn run(mut self, mut paths: Paths) {
        let mut listen = interval(Duration::from_millis(LISTEN_MS));
        listen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let edge = self.edge.clone();
            tokio::select! {
                bond = paths.bond() => self.meet(bond),
                Some(received) = from_edge(edge.as_ref()) => self.received(received),
                Some(token) = self.store.stored.recv() => self.token_stored(token),
                _ = listen.tick() => self.listen().await,
            }
        }
    }

    /// The paired edge box is there, or back after every path was gone. A path that comes or goes beside another is not
    /// seen here.
    fn meet(&mut self, bond: Bond) {
        info!(edge = %bond.peer().short(), "edge box connected");
        self.edge = Some(bond);
        self.gate.edge_connected();
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
        let mut newest: [Option<Snapshot>; ARMS_MAX] = Default::default();
        while let Ok(said) = self.from_core.pop() {
            self.unjudged -= usize::from(matches!(said, FromCore::Judged(_)));
            if let FromCore::Snapshot(snapshot) = &said {
                self.standing.note(&snapshot.report);
                if self.observer.is_some() {
                    newest[usize::from(snapshot.of.number)] = Some(snapshot.clone());
                }
            }
            let mut passed = Vec::new();
            self.gate.from_core(said, |out| passed.push(out));
            self.deliver(passed);
        }
        // After a pause there may be several of an arm: the last one counts.
        if let Some(observer) = &self.observer {
            newest.iter().flatten().for_each(|snapshot| observer.tell(snapshot));
        }
    }

    fn deliver(&mut self, passed: Vec<FromGate>) {
        for out in passed {
            match out {
                FromGate::Core(input) => self.pass(input),
                FromGate::Store(token) => drop(self.store.wanted.try_send(Wanted::Token(token))),
                FromGate::StoreClosed(session) => {
                    drop(self.store.wanted.try_send(Wanted::Closed(session)));
                }
                FromGate::Segment(bytes) => {
                    if self.journal.try_send(bytes).is_err() {
                        warn!(
                            max = JOURNAL_WAITING_MAX,
                            "the disk is slow: a segment is on the edge box's disk alone"
                        );
                    }
                }
                FromGate::Datagram(bytes) => {
                    if let Some(edge) = &self.edge {
                        // Newest counts: one that does not get through is followed by the next.
                        let _ = edge.send_datagram(&bytes);
                    }
                }
                FromGate::Reliable(bytes) => self.send_reliably(bytes),
            }
        }
    }

    /// To the loop, as long as it has room for the verdict too.
    fn pass(&mut self, input: ToCore) {
        let command = matches!(input, ToCore::Command(_));
        if let ToCore::Command(command) = &input {
            let command = command.get();
            trace!(token = command.token.0, sequence = command.sequence.0, "a command came");
        }
        if command && self.unjudged >= JUDGED_MAX {
            return warn!(max = JUDGED_MAX, "the loop has too many commands to judge: one went no further");
        }
        match self.to_core.push(input) {
            Ok(()) => self.unjudged += usize::from(command),
            Err(_) => warn!(max = TO_CORE_MAX, "the loop's inbox is full"),
        }
    }

    fn send_reliably(&mut self, bytes: Vec<u8>) {
        let Some(edge) = &self.edge else { return };
        match edge.send_message(bytes.into()) {
            Ok(()) | Err(BondError::Over) => {} // the next edge box gets all
            Err(error) => {
                warn!(%error, "the edge box is cut off");
                edge.close(CloseReason::Busy);
                self.edge = None;
            }
        }
    }
}

/// The next thing the edge box sends; `Some(None)` once it is gone, `None` while there is none.
async fn from_edge(edge: Option<&Bond>) -> Option<Option<Bytes>> {
    let Some(edge) = edge else { return std::future::pending().await };
    let received = tokio::select! {
        datagram = edge.recv_datagram() => datagram,
        message = edge.recv_message() => message,
    };
    Some(received)
}
