//! A session's record: opened, handed to whoever records, sealed.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use farhand_bundle::WriteError;
use farhand_ledger::{BadLog, Binding, Cbor, Malformed, Manifest, Software, TrustRoot};
use farhand_link::{DeviceId, DeviceKey};
use farhand_submit::Validators;
use farhand_wire::{EdgeTick, FrameId, PublicKey, SessionId, Watermark};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    anchor::{Anchor, Signed, Signer},
    clock::{ClockTools, ClockWatch},
    health::RecordHealth,
    ledger::Ledger,
    machine::{Context, Machine},
    queue::{Queue, QueueLimits},
    recorded::Recorded,
    recover::{Lengths, recover_log, recover_pictures},
    seal::Seal,
    store::{FileStore, Paths, Store, lock, open},
    writer::{Pending, Writer, Written},
};

/// What a record is made of.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// Of all sessions; each has a folder of its own in it, and its bundle beside that.
    pub folder: PathBuf,
    /// The edge box's device key, which the opening names: it signs checkpoints and the seal.
    pub session_key: SigningKey,
    /// What the ledger's proofs are checked against. It goes into the bundle's manifest.
    pub trust: TrustRoot,
    /// Without, the session is recorded, and can be sealed once there is one.
    pub ledger: Option<LedgerAccess>,
    /// What runs here, for the manifest.
    pub software: Vec<Software>,
}

/// Whom to hand checkpoints to.
#[derive(Clone, Debug)]
pub struct LedgerAccess {
    /// The edge box's device key, as the validators know it.
    pub key: DeviceKey,
    /// They are tried in turn.
    pub validators: Vec<(DeviceId, SocketAddr)>,
}

/// What is rarely other than the default.
pub struct RecordOptions {
    pub limits: QueueLimits,
    /// From one sync of the disk to the next, at least: 2 ms.
    pub group: Duration,
    /// How far this machine's clock may be off UTC, as it says in clock leaves and checkpoints: 100 ms, what a clock
    /// kept by NTP over the internet is well within.
    pub clock_uncertainty: Duration,
    /// Who is asked how far it is off. Their word goes before what is set here.
    pub clock: ClockTools,
    /// Puts something between the record and its files: a disk that fails, in a test.
    pub store: WrapStore,
    /// A ledger other than the validators of [`RecordConfig::ledger`].
    pub ledger: Option<Arc<dyn Ledger>>,
    /// What bound the people's session keys to people, for the manifest.
    pub binding: Binding,
    /// How long the seal waits for the ledger: 2 minutes.
    pub seal_wait: Duration,
}

/// Makes the store that a record writes to from its real files.
pub type WrapStore = Box<dyn FnOnce(FileStore) -> Box<dyn Store> + Send>;

/// Why a record can't be opened, or sealed.
#[derive(Debug, Error)]
pub enum RecordError {
    #[error("the record's files: {0}")]
    Io(#[from] io::Error),
    #[error("the record's log: {0}")]
    Log(#[from] BadLog),
    #[error("the record's leaf {leaf} is whole, but this version can't read it: {error}")]
    Unreadable { leaf: u64, error: Malformed },
    #[error("the session {session} is being recorded already, by this process or another one")]
    InUse { session: SessionId },
    #[error("no random numbers for the leaves' salts: {0}")]
    Random(getrandom::Error),
    #[error("a thread of the record ended by itself; what was acknowledged is on disk")]
    ThreadGone,
    #[error("the last of the record did not become durable: {0}")]
    NotDurable(io::Error),
    #[error("nothing was recorded: there is no session to be sealed")]
    Empty,
    #[error("the record is closed and complete on disk, but without a ledger it can't be sealed")]
    NoLedger,
    #[error(
        "the record is closed and complete on disk, but within {waited_s} s it did not get onto the ledger: {why}"
    )]
    NotAnchored { waited_s: u64, why: String },
    #[error("what was to be put on the ledger: {0}")]
    Transaction(Malformed),
    #[error("the manifest: {0}")]
    Manifest(Malformed),
    #[error("the bundle: {0}")]
    Bundle(#[from] WriteError),
}

/// A session that is complete, sealed on the ledger, and in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBundle {
    pub path: PathBuf,
    pub bytes: u64,
    pub leaves: u64,
    pub commands: u64,
    pub frames: u64,
}

/// Takes what passes. Clones share one queue; whoever holds one never waits.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: Arc<Queue>,
    watermark: watch::Receiver<Watermark>,
    health: watch::Receiver<RecordHealth>,
}

/// A session's record, while it is written. Dropping it stops the writing; the record can be opened again.
#[derive(Debug)]
pub struct Record {
    queue: Arc<Queue>,
    next_frame: FrameId,
    writer: Option<JoinHandle<Written>>,
    anchor: Option<Anchor>,
    seal: Arc<Seal>,
    ledger: Option<Arc<dyn Ledger>>,
    seal_wait: Duration,
    health: watch::Receiver<RecordHealth>,
    /// Held as long as the record is: keeps others out.
    lock: File,
}

impl Recorder {
    /// Takes one thing and returns at once. `at` is when the edge box had it, on its own clock; in the log, times that fall
    /// are raised to the newest before.
    pub fn record(&self, at: EdgeTick, passed: Recorded<'_>) {
        if !self.queue.push(at, passed.into()) {
            tracing::debug!(?at, "something came after the record was closed");
        }
    }

    /// What is durable, and every change of it. Token 0 before the first command is; what the record lost while it was
    /// behind counts once its loss is durably declared.
    #[must_use]
    pub fn watermark(&self) -> watch::Receiver<Watermark> {
        self.watermark.clone()
    }

    /// How the record is, and every change of it.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<RecordHealth> {
        self.health.clone()
    }
}

impl Record {
    /// Begins a session's record, or goes on with what is on disk of it.
    ///
    /// # Errors
    /// [`RecordError`] if the files can't be used, are those of another session, lack what was signed, or are in use.
    pub fn open(config: RecordConfig, session: SessionId) -> Result<(Recorder, Record), RecordError> {
        Self::open_with(config, session, RecordOptions::default())
    }

    /// The same, with other limits, or over a disk that a test provides.
    ///
    /// # Errors
    /// As [`Record::open`].
    pub fn open_with(
        config: RecordConfig,
        session: SessionId,
        options: RecordOptions,
    ) -> Result<(Recorder, Record), RecordError> {
        let paths = Paths::new(&config.folder, session)?;
        let (log, pictures) = (open(&paths.log())?, open(&paths.pictures())?);
        if !lock(&log)? {
            return Err(RecordError::InUse { session });
        }
        let manifest = manifest(&config, session, options.binding)?;
        let uncertainty_us = u64::try_from(options.clock_uncertainty.as_micros()).unwrap_or(u64::MAX);
        let clock = Arc::new(ClockWatch::start(options.clock, uncertainty_us));
        let (key, of) = (config.session_key.clone(), config.trust.ledger());
        let signer = Signer { key, ledger: of, clock: Arc::clone(&clock) };
        let signed = Signed::open(&paths)?;
        let (machine, durable) = recover(&config, session, (&log, &pictures), &signed)?;
        let (health, healths) = watch::channel(RecordHealth {
            leaves: machine.size(),
            anchored: signed.anchored,
            ..RecordHealth::default()
        });
        let health = Arc::new(health);
        let ledger = options.ledger.clone().or_else(|| validators(&config));
        let anchor =
            ledger.clone().map(|ledger| Anchor::start(signed, signer.clone(), ledger, Arc::clone(&health)));
        let anchor = anchor.transpose()?;
        let (watermark, watermarks) = watch::channel(machine.watermark());
        let queue = Arc::new(Queue::new(options.limits));
        let next_frame = machine.next_frame();
        let writer = Writer {
            queue: Arc::clone(&queue),
            machine,
            durable,
            group: options.group,
            clock,
            store: (options.store)(FileStore::new(log.try_clone()?, pictures)),
            anchors: anchor.as_ref().map(Anchor::orders),
            watermark,
            health,
            pending: Pending::default(),
            newest: None,
        };
        let writer = thread::Builder::new().name("record".to_owned()).spawn(|| writer.run())?;
        let recorder = Recorder { queue: Arc::clone(&queue), watermark: watermarks, health: healths.clone() };
        let seal = Seal { paths, session, signer, manifest };
        let (writer, seal_wait) = (Some(writer), options.seal_wait);
        let record = Record {
            queue,
            next_frame,
            writer,
            anchor,
            seal: Arc::new(seal),
            ledger,
            seal_wait,
            health: healths,
            lock: log,
        };
        Ok((recorder, record))
    }

    /// The number of the next frame: 1 in a new session. After a restart frames go on far behind those that may have been
    /// shown, and what lies between is declared missing.
    #[must_use]
    pub fn next_frame(&self) -> FrameId {
        self.next_frame
    }

    /// Ends the session: the closing leaf, the last checkpoint, the seal on the ledger, and the bundle beside the record's
    /// folder. What fails can be done again: open the record once more, and seal it.
    ///
    /// # Errors
    /// [`RecordError`], with what is missing. The record on disk stays as it is.
    pub async fn seal(mut self, reason: &str) -> Result<SealedBundle, RecordError> {
        let reason = reason.to_owned();
        let (mut record, written) = blocking(move || {
            let written = self.stop(Some(&reason));
            (self, written)
        })
        .await?;
        let Written { mut machine, failed } = written?;
        failed.map_or(Ok(()), |error| Err(RecordError::NotDurable(error)))?;
        if !machine.is_closed() {
            return Err(RecordError::Empty);
        }
        let anchor = record.anchor.take().ok_or(RecordError::NoLedger)?;
        if let Some(checkpoint) = machine.last_checkpoint() {
            anchor.orders().put(checkpoint);
        }
        let epochs = record.ledger.as_ref().and_then(|ledger| ledger.trust());
        let transaction = record.seal.transaction(&machine, epochs)?;
        let anchored = anchor.finish(transaction, record.seal_wait).await?;
        let (signed, proof) = anchored.ok_or_else(|| record.not_anchored())?;
        let seal = Arc::clone(&record.seal);
        blocking(move || seal.bundle(&machine, &signed, &proof)).await?
    }

    fn not_anchored(&self) -> RecordError {
        let why = self.health.borrow().ledger.clone();
        let why = why.unwrap_or_else(|| "validators gave no answer yet".to_owned());
        RecordError::NotAnchored { waited_s: self.seal_wait.as_secs(), why }
    }

    fn stop(&mut self, reason: Option<&str>) -> Result<Written, RecordError> {
        self.queue.close(reason.map(str::to_owned));
        let writer = self.writer.take().ok_or(RecordError::ThreadGone)?;
        writer.join().map_err(|_| RecordError::ThreadGone)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.writer.is_some()
            && let Err(error) = self.stop(None)
        {
            tracing::error!(%error, "the record did not end well");
        }
        // By name: a child process that is just being started may hold a copy of the file for a moment.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the record's lock is not given back yet");
        }
    }
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            limits: QueueLimits::default(),
            group: Duration::from_millis(2),
            clock_uncertainty: Duration::from_millis(100),
            clock: ClockTools::default(),
            store: Box::new(|files| Box::new(files)),
            ledger: None,
            binding: Binding::Link,
            seal_wait: Duration::from_secs(120),
        }
    }
}

impl std::fmt::Debug for RecordOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordOptions").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn context(config: &RecordConfig, session: SessionId) -> Result<Context, RecordError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(RecordError::Random)?;
    let edge = PublicKey(config.session_key.verifying_key().to_bytes());
    Ok(Context { session, edge, trust: config.trust.clone(), seed })
}

/// What is on disk of the session, with its torn ends cut.
fn recover(
    config: &RecordConfig,
    session: SessionId,
    (log, pictures): (&File, &File),
    signed: &Signed,
) -> Result<(Machine, Lengths), RecordError> {
    let mut machine = Machine::new(context(config, session)?);
    let (log, torn) = recover_log(log, session, &mut machine, signed.newest.as_ref())?;
    let pictures = recover_pictures(pictures, machine.newest_frame().0)?;
    let torn = torn.map_or(String::new(), |torn| format!("; what was being written was torn: {torn}"));
    machine.resume(&format!("the edge box's program started again{torn}"), signed.newest.as_ref());
    Ok((machine, Lengths { log, pictures }))
}

fn validators(config: &RecordConfig) -> Option<Arc<dyn Ledger>> {
    let access = config.ledger.clone()?;
    Some(Arc::new(Validators::new(access.key, config.trust.clone(), access.validators)))
}

fn manifest(config: &RecordConfig, session: SessionId, binding: Binding) -> Result<Manifest, RecordError> {
    let manifest = Manifest::new(session, config.trust.to_bytes(), binding, config.software.clone());
    manifest.check().map_err(RecordError::Manifest)?;
    Ok(manifest)
}

/// Work that waits for disks, off the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RecordError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RecordError::ThreadGone)
}
