//! Starts and stops the edge box.

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use farhand_ledger::{BadTrust, Hash, Software, TrustRoot};
use farhand_link::{
    BindError, CloseReason, DeviceId, DeviceIdError, DeviceKey, DeviceRole, Endpoint, KeepConnected,
    KeyError, LinkConfig, PathGauge, PathQuality, Paths, Peers, PeersError, Protocol, Route, SearchLimits,
};
use farhand_record::{LedgerAccess, RecordConfig, RecordHealth};
use farhand_video::{Settings, Source, Tap};
use farhand_wire::PublicKey;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    Config, ConfigError, ConsolePath, Far, LedgerConfig, PathConfig,
    clock::Clock,
    cloud::{self, Cloud, SIGNAL_PROTOCOL},
    desk::{Desk, STATEMENTS_QUEUED_MAX},
    film::Film,
    kit,
    left_over::seal_left_over,
    meeting::Meetings,
    reach::Reach,
    record::{Archive, Folder, OpenRecord},
    relay::{Counters, Input},
    sight,
};

/// How often consoles hear what is durable, and the kit even if nothing changed.
const WATERMARK: Duration = Duration::from_millis(100);
/// Between two that go to the kit; what is lost of its 100 ms of lead.
const WATERMARK_PAUSE: Duration = Duration::from_millis(5);
/// After the kit has closed the operation: for segments that are still on their way, made every 100 ms.
const LAST_WORDS: Duration = Duration::from_millis(600);
/// A record that could not be sealed is opened and sealed again after this.
const SEAL_AGAIN: Duration = Duration::from_secs(5);

/// Why the edge box does not run.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("could not read the trust root {}: {source}", path.display())]
    TrustFile { path: PathBuf, source: io::Error },
    #[error("the trust root {} is none: {source}", path.display())]
    Trust { path: PathBuf, source: BadTrust },
    #[error("the {what}'s device: {source}")]
    Device { what: &'static str, source: DeviceIdError },
    #[error(transparent)]
    Peers(#[from] PeersError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// How the session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Open,
    /// The kit has closed the operation; the record is being sealed.
    Sealing,
    Sealed {
        bundle: PathBuf,
    },
}

/// The edge box, running. Dropped, it stops at once; what was recorded stays on disk.
#[derive(Debug)]
pub struct Running {
    device: DeviceId,
    addresses: [SocketAddr; 2],
    desk: Arc<Desk>,
    ending: watch::Receiver<Ending>,
    video_ended: watch::Receiver<bool>,
    endpoints: Vec<Endpoint>,
    kit_paths: PathGauge,
    tasks: Vec<AbortHandle>,
}

impl Running {
    /// This edge box's device key, which kit, cloud and opening name.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Where packets to the cloud leave from (UDP).
    #[must_use]
    pub fn cloud_socket(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// How each path to the kit is.
    #[must_use]
    pub fn kit_paths(&self) -> Vec<PathQuality> {
        self.kit_paths.read()
    }

    /// Where packets to the kit leave from (UDP), on the first path.
    #[must_use]
    pub fn kit_socket(&self) -> SocketAddr {
        self.addresses[1]
    }

    #[must_use]
    pub fn cloud_online(&self) -> watch::Receiver<bool> {
        self.desk.signs.cloud_online.subscribe()
    }

    #[must_use]
    pub fn kit_online(&self) -> watch::Receiver<bool> {
        self.desk.signs.kit_online.subscribe()
    }

    /// Whether the session is open: its opening verified, its record there.
    #[must_use]
    pub fn session_open(&self) -> watch::Receiver<bool> {
        self.desk.signs.open.subscribe()
    }

    /// Whether the kit says, signed, that it is armed.
    #[must_use]
    pub fn armed(&self) -> watch::Receiver<bool> {
        self.desk.signs.armed.subscribe()
    }

    /// Whether a recording has come to its end, or broken before it.
    #[must_use]
    pub fn video_ended(&self) -> watch::Receiver<bool> {
        self.video_ended.clone()
    }

    /// How the session ends, with its bundle.
    #[must_use]
    pub fn ending(&self) -> watch::Receiver<Ending> {
        self.ending.clone()
    }

    /// How the record is; all zero before the session is open.
    #[must_use]
    pub fn record_health(&self) -> watch::Receiver<RecordHealth> {
        self.desk.signs.record.subscribe()
    }

    /// Messages that changed nothing, and why.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.desk.counters()
    }

    /// Ends all connections, telling cloud and kit, and waits for that.
    pub async fn stop(mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
        for endpoint in &self.endpoints {
            endpoint.close(CloseReason::ShuttingDown).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// **Connects to cloud and kit and serves until [`Running::stop`].** Needs a tokio runtime.
///
/// # Errors
/// [`RunError`], which says what to change.
pub async fn run(config: Config) -> Result<Running, RunError> {
    let key = DeviceKey::load_or_create(&config.device_key)?;
    let ledger = config.ledger.as_ref().map(|ledger| access(ledger, &key)).transpose()?;
    let record = RecordConfig {
        folder: config.record.clone(),
        session_key: key.signing_key().clone(),
        trust: trust(&config)?,
        ledger,
        software: software(&config).await,
    };
    run_with(config, Arc::new(Folder(record))).await
}

fn access(ledger: &LedgerConfig, key: &DeviceKey) -> Result<LedgerAccess, RunError> {
    let one = |far: &Far| {
        let device = DeviceId::try_from(far.device)
            .map_err(|source| RunError::Device { what: "validator", source })?;
        Ok((device, far.address))
    };
    let validators = ledger.validators.iter().map(one).collect::<Result<_, RunError>>()?;
    Ok(LedgerAccess { key: key.clone(), validators })
}

/// What runs here: this program, as it is on disk, and whatever the configuration names besides.
async fn software(config: &Config) -> Vec<Software> {
    let others =
        config.software.iter().map(|one| Software { name: one.name.clone(), digest: Hash(one.sha256) });
    let program = tokio::task::spawn_blocking(|| std::env::current_exe().and_then(fs::read)).await;
    let program = program.ok().and_then(Result::ok).map(|bytes| Software {
        name: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).into(),
        digest: Hash::of(&bytes),
    });
    program.into_iter().chain(others).collect()
}

/// [`run`], with records in `archive`.
///
/// # Errors
/// [`RunError`], which says what to change.
pub async fn run_with(config: Config, archive: Arc<dyn Archive>) -> Result<Running, RunError> {
    let source = config.check()?;
    let key = DeviceKey::load_or_create(&config.device_key)?;
    let trust = trust(&config)?;
    let clock = Clock::start();
    let (desk, custody) = Desk::new(clock, config.video.camera(source.is_stereo())?);
    let (to_cloud, cloud_link) = cloud_link(&config, &key)?;
    let (to_kit, kit_paths) = kit_paths(&config, &key)?;
    let gauge = kit_paths.gauge();
    let (opened, records) = mpsc::channel(1);
    let (ending_to, ending) = watch::channel(Ending::Open);
    let (over_to, over) = watch::channel(false);
    let (ended_to, video_ended) = watch::channel(false);

    let reach = |path: ConsolePath| Reach { local: path.address, forwarded: path.forwarded };
    let reach: Vec<Reach> = config.all_console_paths().map(reach).collect();
    let cloud = Cloud {
        desk: desk.clone(),
        meetings: Meetings::new(key.signing_key().clone(), reach.len() as u8), // at most CONSOLE_PATHS_MAX
        reach,
        trust,
        archive: archive.clone(),
        edge: PublicKey(*key.id().as_bytes()),
        kit: PublicKey(config.kit.device),
        open: None,
        opened,
        ending: ending.clone(),
    };
    let film = film(&config, source, desk.clone(), ended_to);
    let tasks = vec![
        tokio::spawn(cloud.serve(cloud_link, custody)).abort_handle(),
        tokio::spawn(kit::serve(kit_paths, desk.clone())).abort_handle(),
        tokio::spawn(kit::tell_paths(gauge.clone(), desk.clone())).abort_handle(),
        tokio::spawn(tell_durable(desk.clone())).abort_handle(),
        tokio::spawn(seal_left_over(archive.clone(), desk.signs.open.subscribe())).abort_handle(),
        tokio::spawn(seal(desk.clone(), archive, records, ending_to, over_to)).abort_handle(),
        tokio::spawn(film.run(over)).abort_handle(),
    ];
    let addresses = [bound(&to_cloud, &config)?, bound(&to_kit[0], &config)?];
    tracing::info!(device = %key.id().short(), zero_us = clock.zero_us(), "the edge box is up");
    Ok(Running {
        device: key.id(),
        addresses,
        desk,
        ending,
        video_ended,
        endpoints: std::iter::once(to_cloud).chain(to_kit).collect(),
        kit_paths: gauge,
        tasks,
    })
}

fn film(config: &Config, source: Source, desk: Arc<Desk>, ended: watch::Sender<bool>) -> Film {
    let tap = config.vision.as_ref().map(|_| Tap::default());
    if let Some((vision, tap)) = config.vision.as_ref().zip(tap.as_ref()) {
        sight::start(vision.clone(), &desk, tap.clone(), source.is_stereo());
    }
    let settings = Settings { epoch: desk.clock.epoch, tap, ..config.video.settings() };
    let mut film = Film::new(desk, source, settings, config.video.on_arming, ended);
    film.test_delay = config.video.test_delay;
    film
}

fn trust(config: &Config) -> Result<TrustRoot, RunError> {
    let path = &config.trust_root;
    let bytes = fs::read(path).map_err(|source| RunError::TrustFile { path: path.clone(), source })?;
    TrustRoot::read(&bytes).map_err(|source| RunError::Trust { path: path.clone(), source })
}

/// One peer, one socket, looked for until it is there.
fn cloud_link(config: &Config, key: &DeviceKey) -> Result<(Endpoint, KeepConnected), RunError> {
    let (device, peers) = peer(&config.cloud, DeviceRole::Cloud, "cloud")?;
    let endpoint = Endpoint::bind_connecting(config.bind, key, peers, SIGNAL_PROTOCOL, cloud::link_config())?;
    let keep = KeepConnected::start(endpoint.clone(), config.cloud.address, device, SearchLimits::default());
    Ok((endpoint, keep))
}

/// One peer, a socket for each path, the first of them first.
fn kit_paths(config: &Config, key: &DeviceKey) -> Result<(Vec<Endpoint>, Paths), RunError> {
    let (device, peers) = peer(&config.kit, DeviceRole::Kit, "kit")?;
    let first = PathConfig { bind: config.bind, address: config.kit.address };
    let route = |path: &PathConfig| {
        let peers = peers.clone();
        let endpoint =
            Endpoint::bind_connecting(path.bind, key, peers, Protocol::KIT, LinkConfig::default())?;
        Ok(Route { endpoint, addr: path.address })
    };
    let paths = std::iter::once(&first).chain(&config.kit_paths);
    let routes = paths.map(route).collect::<Result<Vec<_>, BindError>>()?;
    let endpoints = routes.iter().map(|route| route.endpoint.clone()).collect();
    Ok((endpoints, Paths::connect(routes, device, STATEMENTS_QUEUED_MAX, SearchLimits::default())?))
}

fn peer(far: &Far, role: DeviceRole, what: &'static str) -> Result<(DeviceId, Peers), RunError> {
    let device = DeviceId::try_from(far.device).map_err(|source| RunError::Device { what, source })?;
    let peers = Peers::new();
    peers.allow(device, role)?;
    Ok((device, peers))
}

fn bound(endpoint: &Endpoint, config: &Config) -> Result<SocketAddr, RunError> {
    let addr = config.bind;
    endpoint.local_addr().map_err(|source| RunError::Bind(BindError::Socket { addr, source }))
}

/// **Says what is durable, as soon as it is and every 100 ms, without end.**
async fn tell_durable(desk: Arc<Desk>) {
    let _ = desk.signs.open.subscribe().wait_for(|open| *open).await; // the desk has the sending end
    let Some(mut durable) = desk.durable() else { return };
    let mut ticks = interval(WATERMARK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let to_everybody = tokio::select! {
            _ = ticks.tick() => true,
            Ok(()) = durable.changed() => false,
        };
        let watermark = *durable.borrow_and_update();
        desk.handle(Input::Durable { watermark, to_everybody });
        sleep(WATERMARK_PAUSE).await;
    }
}

/// Until the record is no more.
async fn tell_health(mut health: watch::Receiver<RecordHealth>, desk: Arc<Desk>) {
    while health.changed().await.is_ok() {
        desk.signs.record.send_replace(health.borrow_and_update().clone());
    }
}

/// **Seals the record once the kit has closed the operation, however often it takes.**
async fn seal(
    desk: Arc<Desk>,
    archive: Arc<dyn Archive>,
    mut records: mpsc::Receiver<Box<dyn OpenRecord>>,
    ending: watch::Sender<Ending>,
    over: watch::Sender<bool>,
) {
    let Some(mut record) = records.recv().await else { return };
    tokio::spawn(tell_health(record.health(), desk.clone()));
    let mut closed = desk.signs.closed.subscribe();
    if closed.wait_for(|closed| *closed).await.is_err() {
        return;
    }
    ending.send_replace(Ending::Sealing);
    sleep(LAST_WORDS).await;
    over.send_replace(true);
    desk.seal();
    let session = record.session();
    loop {
        match record.seal("closed").await {
            Ok(bundle) => {
                tracing::info!(bundle = %bundle.display(), "the record is sealed");
                ending.send_replace(Ending::Sealed { bundle });
                return;
            }
            Err(error) => tracing::error!(%error, again_s = SEAL_AGAIN.as_secs(), "the record is not sealed"),
        }
        record = loop {
            sleep(SEAL_AGAIN).await;
            match archive.open(session).await {
                Ok(record) => break record,
                Err(error) => tracing::error!(%error, "the record can't be opened to be sealed"),
            }
        };
    }
}
