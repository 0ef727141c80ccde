//! Starts and stops the server.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use farhand_ledger::{BadTrust, Cbor, Malformed, OpeningEvidence, TransactionProof, TrustRoot};
use farhand_link::{
    BindError, CloseReason, DeviceId, DeviceIdError, DeviceKey, DeviceRole, Endpoint, KeyError, Peers,
    PeersError,
};
use farhand_wire::{PublicKey, SessionId};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use crate::{
    Config, Grant, Input, IssueError, LinkEntry, LinkId, Links, OPENING_BYTES_MAX, SIGNAL_PROTOCOL,
    app::{App, Evidence, now_ms},
    edge_link,
    field::{self, Around, FieldError},
    ledger::Ledger,
    site::site,
    switchboard::{EVENTS_QUEUED_MAX, Event, Said, Switchboard},
};

/// How often the opening's file is looked for.
const OPENING_LOOK: Duration = Duration::from_millis(500);
/// Requests under way get this long when the server stops.
const STOP: Duration = Duration::from_secs(3);

/// Why the server could not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(
        "{addr} can be reached from other machines, and this server speaks plain HTTP. Set `listen` to a loopback \
         address such as 127.0.0.1:7000"
    )]
    NotLoopback { addr: SocketAddr },
    #[error(
        "TCP {addr} is used by another program. Stop that one, or set `listen` to another port (0 takes a free one)"
    )]
    PortInUse { addr: SocketAddr },
    #[error("could not listen on TCP {addr}: {source}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("the edge box's link: {0}")]
    EdgeLink(#[from] BindError),
    #[error("the edge box's key: {0}")]
    Edge(#[from] DeviceIdError),
    #[error(transparent)]
    Peers(#[from] PeersError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("could not read the kit's limits {}: {source}", path.display())]
    Limits { path: PathBuf, source: io::Error },
    #[error("could not read the trust root {}: {source}", path.display())]
    TrustFile { path: PathBuf, source: io::Error },
    #[error("the trust root {} is none: {source}", path.display())]
    Trust { path: PathBuf, source: BadTrust },
    #[error("the delivery: {0}")]
    Field(#[from] FieldError),
    #[error("link {link}: {source}")]
    Link { link: LinkId, source: IssueError },
}

/// Why an opening is not passed on.
#[derive(Debug, Error)]
pub enum OpeningError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("opening evidence of {bytes} bytes; {max} fit one message to the edge box")]
    TooLarge { bytes: usize, max: usize },
    #[error("the server has stopped")]
    Stopped,
}

/// The server, running. Dropped, it stops at once; [`Running::stop`] tells browsers and edge box.
#[derive(Debug)]
pub struct Running {
    http_addr: SocketAddr,
    edge_addr: SocketAddr,
    id: DeviceId,
    app: Arc<App>,
    endpoint: Endpoint,
    stopping: watch::Sender<bool>,
    http: JoinHandle<io::Result<()>>,
    tasks: Vec<AbortHandle>,
}

/// **Binds both addresses and serves until [`Running::stop`].** Needs a tokio runtime.
///
/// # Errors
/// [`StartError`], which says what to change.
pub async fn run(config: Config) -> Result<Running, StartError> {
    let listener = listen(config.listen).await?;
    let http_addr = bound(&listener, config.listen)?;
    let key = DeviceKey::load_or_create(&config.device_key)?;
    let endpoint = edge_endpoint(&config, &key)?;
    let edge_addr =
        endpoint.local_addr().map_err(|source| BindError::Socket { addr: config.edge_listen, source })?;

    let (events, queue) = mpsc::channel(EVENTS_QUEUED_MAX);
    let (online, edge_online) = watch::channel(false);
    let (answered, answers) = mpsc::channel(EVENTS_QUEUED_MAX);
    let (sealing, sealed) = watch::channel(None);
    let trust = trust_root(&config.trust_root)?;
    let (proven, custody) = watch::channel(Vec::new());
    let ledger =
        config.field.as_ref().map(|field| Ledger::new(key.clone(), trust.clone(), &field.validators));
    let ledger = ledger.transpose().map_err(FieldError::from)?.map(Arc::new);
    let field = match (&config.field, &ledger) {
        (Some(field), Some(ledger)) => Some(field::start(Around {
            ledger: ledger.clone(),
            key: key.clone(),
            trust: trust.clone(),
            config: field.clone(),
            edge: PublicKey(config.edge),
            events: events.clone(),
            answers,
            proven,
        })?),
        _ => None,
    };
    let (field, delivery) = field.unzip();
    let app = Arc::new(App {
        links: Mutex::new(links(&config)?),
        evidence: RwLock::new(Evidence::default()),
        trust_root: trust.to_bytes(),
        limits: config.limits.as_deref().map(limits).transpose()?,
        hosts: hosts(http_addr),
        events: events.clone(),
        edge_online,
        sealed,
        field,
        claims: config.claims,
        bundles: config.bundles,
        ledger,
        taken: Mutex::default(),
    });

    let said = Said { custody: answered, sealed: sealing };
    let switchboard = tokio::spawn(Switchboard::new(online, said).run(queue));
    let edges = tokio::spawn(edge_link::accept_edges(endpoint.clone(), events));
    let mut tasks = vec![switchboard.abort_handle(), edges.abort_handle()];
    if let Some(delivery) = delivery {
        tasks.push(tokio::spawn(delivery).abort_handle());
        tasks.push(tokio::spawn(show_custody(app.clone(), custody)).abort_handle());
    }
    if let Some(path) = config.opening {
        tasks.push(tokio::spawn(look_for_opening(app.clone(), path)).abort_handle());
    }
    let (stopping, stop) = watch::channel(false);
    let http = tokio::spawn(serve_http(listener, app.clone(), config.console, stop));
    Ok(Running { http_addr, edge_addr, id: key.id(), app, endpoint, stopping, http, tasks })
}

impl Running {
    /// Where browsers find it, with the port that the system chose for port 0.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the edge box finds it (UDP).
    #[must_use]
    pub fn edge_addr(&self) -> SocketAddr {
        self.edge_addr
    }

    /// This server's device key, which the edge box must allow as [`DeviceRole::Cloud`].
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// Whether the edge box is connected, and every change of that.
    #[must_use]
    pub fn edge_online(&self) -> watch::Receiver<bool> {
        self.app.edge_online.clone()
    }

    /// Lets one more link be claimed.
    ///
    /// # Errors
    /// [`IssueError`]: no room, the name is taken, or the grant is none.
    pub fn issue(&self, id: LinkId, grant: Grant) -> Result<(), IssueError> {
        self.app.links().issue(id, grant, now_ms())
    }

    /// Gives the session's opening to browsers and edge box. They verify it; here it is only read.
    ///
    /// # Errors
    /// [`OpeningError::TooLarge`] above [`OPENING_BYTES_MAX`], or the server has stopped.
    pub async fn set_opening(&self, evidence: &OpeningEvidence) -> Result<(), OpeningError> {
        self.app.open(evidence).await
    }

    /// Gives browsers the kit's custody so far, before the session is open. An opening brings its own.
    pub fn set_custody(&self, custody: &[TransactionProof]) {
        self.app.evidence_mut().custody = custody.iter().map(Cbor::to_bytes).collect();
    }

    /// Ends all connections, telling the other side, and waits for that.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        self.tasks.drain(..).for_each(|task| task.abort());
        self.endpoint.close(CloseReason::ShuttingDown).await;
        if tokio::time::timeout(STOP, &mut self.http).await.is_err() {
            tracing::warn!(waited_s = STOP.as_secs(), "requests were still under way");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.http.abort();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl App {
    async fn open(&self, evidence: &OpeningEvidence) -> Result<(), OpeningError> {
        let bytes = evidence.to_bytes();
        if bytes.len() > OPENING_BYTES_MAX {
            return Err(OpeningError::TooLarge { bytes: bytes.len(), max: OPENING_BYTES_MAX });
        }
        *self.evidence_mut() = Evidence {
            opening: Some(bytes.clone()),
            custody: evidence.custody.iter().map(Cbor::to_bytes).collect(),
        };
        let opened = Event::Input(Input::Opened { evidence: bytes });
        self.events.send(opened).await.map_err(|_| OpeningError::Stopped)
    }
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    if !addr.ip().is_loopback() {
        return Err(StartError::NotLoopback { addr });
    }
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { addr },
        _ => StartError::Listen { addr, source },
    })
}

fn bound(listener: &TcpListener, addr: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { addr, source })
}

fn edge_endpoint(config: &Config, key: &DeviceKey) -> Result<Endpoint, StartError> {
    let peers = Peers::new();
    peers.allow(DeviceId::try_from(config.edge)?, DeviceRole::Edge)?;
    Ok(Endpoint::bind(config.edge_listen, key, peers, SIGNAL_PROTOCOL, edge_link::link_config())?)
}

fn links(config: &Config) -> Result<Links, StartError> {
    let mut links = Links::new(SessionId(config.session));
    for entry in &config.links {
        let link = LinkId(entry.link);
        links.issue(link, entry.into(), now_ms()).map_err(|source| StartError::Link { link, source })?;
    }
    Ok(links)
}

impl From<&LinkEntry> for Grant {
    fn from(entry: &LinkEntry) -> Self {
        Self {
            key: PublicKey(entry.key),
            role: entry.role.into(),
            pseudonym: entry.pseudonym.clone(),
            expires_ms: entry.expires_s.saturating_mul(1000),
        }
    }
}

fn trust_root(path: &Path) -> Result<TrustRoot, StartError> {
    let bytes = fs::read(path).map_err(|source| StartError::TrustFile { path: path.to_owned(), source })?;
    TrustRoot::read(&bytes).map_err(|source| StartError::Trust { path: path.to_owned(), source })
}

fn limits(path: &Path) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|source| StartError::Limits { path: path.to_owned(), source })
}

fn hosts(addr: SocketAddr) -> Vec<String> {
    vec![addr.to_string(), format!("localhost:{}", addr.port())]
}

/// Browsers see custody grow; an opening brings its own.
async fn show_custody(app: Arc<App>, mut proven: watch::Receiver<Vec<TransactionProof>>) {
    loop {
        let custody = proven.borrow_and_update().iter().map(Cbor::to_bytes).collect();
        {
            let mut evidence = app.evidence_mut();
            if evidence.opening.is_none() {
                evidence.custody = custody;
            }
        }
        if proven.changed().await.is_err() {
            return; // the delivery is no longer followed
        }
    }
}

/// The file is written by another program at a moment of its own, and may be half there.
async fn look_for_opening(app: Arc<App>, path: PathBuf) {
    loop {
        if let Ok(bytes) = tokio::fs::read(&path).await {
            let opened = match OpeningEvidence::read(&bytes) {
                Ok(evidence) => app.open(&evidence).await,
                Err(malformed) => Err(malformed.into()),
            };
            match opened {
                Ok(()) => return tracing::info!(path = %path.display(), "the session is open"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "no opening yet"),
            }
        }
        tokio::time::sleep(OPENING_LOOK).await;
    }
}

async fn serve_http(
    listener: TcpListener,
    app: Arc<App>,
    console: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let told = async move {
        let _ = stop.wait_for(|stop| *stop).await; // an error says that the server was dropped
    };
    axum::serve(listener, site(app, &console)).with_graceful_shutdown(told).await
}
