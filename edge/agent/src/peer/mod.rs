//! A console without a browser: claims a role link, checks the session's opening and the edge box's answer as the browser
//! must, and speaks the same channels. For `farhand rehearse`, tests and benchmarks.
//!
//! ```no_run
//! use farhand_agent::peer::{Peer, PeerSettings, RoleLink};
//! use farhand_wire::{PressId, Said};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let link: RoleLink = "http://127.0.0.1:7000/operate/LINK#SEED.TRUST".parse()?;
//! let mut peer = Peer::connect(&link, PeerSettings::new("127.0.0.1".parse()?)?).await?;
//! let picture = peer.pictures.recv().await; // and `frames`, `control`, `statements`
//! peer.sender().say(Said::EStop { press: PressId([1; 16]) }).await?;
//! # Ok(()) }
//! ```

mod assembly;
mod connect;
mod http;
mod role_link;

pub use role_link::{BadRoleLink, RoleLink};

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use ed25519_dalek::SigningKey;
use farhand_ledger::{BadTrust, ProofError, VerifiedOpening, picture::PictureHashes};
use farhand_wire::{FrameRecord, PublicKey, Role, Said, SessionId, Statement};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use webrtc::{
    data_channel::DataChannel, media_stream::track_remote::TrackRemote, peer_connection::PeerConnection,
};

use crate::{
    BadSdp, BadSignal,
    meeting::Refusal,
    together::{Statements, Written},
};

/// How a [`Peer`] meets the edge box.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// Signs all that this console says; the role link's key endorses it.
    pub session_key: SigningKey,
    /// Local address that ICE binds to; only loopback in a local trial.
    pub ice_address: IpAddr,
    /// If it is known beforehand; otherwise the server is asked, and the opening must say the same.
    pub session: Option<SessionId>,
    /// Paths that are made, if the edge box has so many: 1 or 2. One that is lost stays lost.
    pub paths: u8,
    /// The opening and the edge box must be there within this time, ms.
    pub wait_ms_max: u64,
}

impl PeerSettings {
    /// A fresh session key, 20 s of patience.
    ///
    /// # Errors
    /// [`PeerError::Random`] if the system has no random numbers.
    pub fn new(ice_address: IpAddr) -> Result<Self, PeerError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(PeerError::Random)?;
        let session_key = SigningKey::from_bytes(&seed);
        Ok(Self { session_key, ice_address, session: None, paths: 1, wait_ms_max: 20_000 })
    }
}

/// A console that has met the edge box. Dropped, its connections end.
#[derive(Debug)]
pub struct Peer {
    /// From `control`: `KitState`, `ClockPong`, `Watermark`, whole messages; over two paths, what came over each. Those that nobody takes in time are dropped,
    /// newest first.
    pub control: mpsc::Receiver<Bytes>,
    /// From `statements`: signed statements (notices, grants, refusals) and how the camera stands, whole. Who takes none stops the channel.
    pub statements: mpsc::Receiver<Bytes>,
    /// From `frames`; nothing for the bedside. Who takes none stops the channel.
    pub frames: mpsc::Receiver<FrameRecord>,
    /// Access units as they were received; nothing for the bedside. Those that nobody takes in time are dropped, newest
    /// first.
    pub pictures: mpsc::Receiver<Picture>,
    /// What the cloud says after the meeting, JSON texts. Those that nobody takes in time are dropped, newest first.
    pub signals: mpsc::Receiver<String>,
    role: Role,
    opening: VerifiedOpening,
    sender: PeerSender,
    tasks: JoinSet<()>,
}

/// One access unit, put together from RTP (RFC 6184).
#[derive(Clone, Debug)]
pub struct Picture {
    /// 90 kHz; the [`FrameRecord`] with the same one tells its number.
    pub rtp_timestamp: u32,
    /// Annex B, four-byte start codes; without its record.
    pub unit: Bytes,
    /// As it came in the picture's own access unit.
    pub record: Option<FrameRecord>,
    /// Reckoned over `unit`.
    pub hashes: PictureHashes,
    /// When its last packet was there.
    pub received: Instant,
}

/// Sends, from any task. Clones are the same console.
#[derive(Clone)]
pub struct PeerSender(Arc<Shared>);

struct Shared {
    session_key: SigningKey,
    session: SessionId,
    /// One for each path.
    lines: Vec<Line>,
    statements: Arc<Bonded>,
    /// Once there is one.
    track: watch::Receiver<Option<Track>>,
}

/// One path.
struct Line {
    connection: Arc<dyn PeerConnection>,
    control: Arc<dyn DataChannel>,
}

/// The reliable channel's two directions, over every path.
struct Bonded {
    statements: Mutex<Statements>,
    /// When there may be something to write, or room for more.
    changed: watch::Sender<()>,
    /// Which paths stand.
    standing: Mutex<Vec<bool>>,
    connected: watch::Sender<bool>,
}

impl Bonded {
    fn new(paths: usize) -> Self {
        Self {
            statements: Mutex::default(),
            changed: watch::Sender::new(()),
            standing: vec![true; paths].into(),
            connected: watch::Sender::new(true),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Statements> {
        locked(&self.statements)
    }

    fn next(&self, written: &mut Written) -> Option<Bytes> {
        self.lock().next(written)
    }

    /// A path is gone; the console is with its last.
    fn ended(&self, path: usize) {
        let mut standing = locked(&self.standing);
        standing.iter_mut().skip(path).take(1).for_each(|stands| *stands = false);
        if !standing.contains(&true) {
            self.connected.send_replace(false);
        }
    }

    /// Queues a statement, as soon as there is room.
    async fn say(&self, message: Bytes) -> Result<(), PeerError> {
        let (mut changed, mut connected) = (self.changed.subscribe(), self.connected.subscribe());
        loop {
            changed.mark_unchanged();
            if !*connected.borrow_and_update() {
                return Err(PeerError::ChannelClosed);
            }
            if self.lock().say(message.clone()) {
                self.changed.send_replace(());
                return Ok(());
            }
            tokio::select! {
                _ = changed.changed() => {}
                _ = connected.changed() => {}
            }
        }
    }
}

/// What a panicking task left is whole: every change is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pictures' track, and its number in RTP.
#[derive(Clone)]
struct Track {
    track: Arc<dyn TrackRemote>,
    ssrc: u32,
}

impl fmt::Debug for PeerSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerSender({})", self.public_key())
    }
}

/// Why a console did not meet the edge box, or can't speak to it any more.
#[derive(Debug, Error)]
pub enum PeerError {
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("the server can't be reached: {0}")]
    Server(#[from] std::io::Error),
    #[error("the server: {what}")]
    Http { what: String },
    #[error("the server refuses ({code}): {message}")]
    Refused { code: String, message: String },
    #[error("the server's trust root is not the link's")]
    OtherTrust,
    #[error("the trust root: {0}")]
    Trust(#[from] BadTrust),
    #[error("the session's opening: {0}")]
    Opening(#[from] farhand_ledger::Malformed),
    #[error("the session's opening does not hold: {0}")]
    Proof(#[from] ProofError),
    #[error("the opening is for session {seen}, the link for {expected}")]
    OtherSession { seen: SessionId, expected: String },
    #[error("the roster does not have this link's key as what the server says, {server}")]
    OtherRole { server: String },
    #[error("{what} was not there within {waited_ms} ms")]
    TooLate { what: &'static str, waited_ms: u64 },
    #[error("the edge box refuses ({code}): {message}")]
    TurnedAway { code: String, message: String },
    #[error("the edge box's answer: {0}")]
    Answer(#[from] Refusal),
    #[error(transparent)]
    Signal(#[from] BadSignal),
    #[error(transparent)]
    Sdp(#[from] BadSdp),
    #[error("WebRTC: {0}")]
    Rtc(#[from] webrtc::error::Error),
    #[error("the signalling channel is closed")]
    ChannelClosed,
    #[error("the edge box did not welcome this console")]
    NotWelcome,
    #[error("no pictures are coming")]
    NoPictures,
}

impl Peer {
    /// **Claims `link`, waits for the session's opening and the edge box, checks both, and connects.** All channels are open
    /// when it returns.
    ///
    /// # Errors
    /// [`PeerError`]: the server's refusal, an opening or answer that does not hold, or nobody there in time.
    pub async fn connect(link: &RoleLink, settings: PeerSettings) -> Result<Self, PeerError> {
        connect::connect(link, settings).await
    }

    /// By the server's word; the roster of [`Peer::opening`] says the same, or there is no `Peer`.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The session, as the ledger proves it.
    #[must_use]
    pub fn opening(&self) -> &VerifiedOpening {
        &self.opening
    }

    /// For tasks that speak while this one listens.
    #[must_use]
    pub fn sender(&self) -> PeerSender {
        self.sender.clone()
    }

    /// Whether a path stands, and when that changes.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.sender.0.statements.connected.subscribe()
    }

    /// Ends the connection and waits until it is closed.
    pub async fn close(mut self) {
        for line in &self.sender.0.lines {
            let _ = line.connection.close().await; // closed is what is wanted
        }
        self.tasks.shutdown().await;
    }
}

impl PeerSender {
    /// This console's session key, private half included.
    #[must_use]
    pub fn session_key(&self) -> &SigningKey {
        &self.0.session_key
    }

    /// Its public half: who holds control, who signed.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.session_key.verifying_key().to_bytes())
    }

    /// Sends one whole message on `control`, over every path: unreliable, unordered (commands, clock pings, e-stops).
    ///
    /// # Errors
    /// [`PeerError::Rtc`] if the channel is closed or full, on all of them.
    pub async fn send_control(&self, message: &[u8]) -> Result<(), PeerError> {
        let mut sent = Err(PeerError::ChannelClosed);
        for line in &self.0.lines {
            match line.control.try_send(BytesMut::from(message)).await {
                Ok(()) => sent = Ok(()),
                Err(error) if sent.is_err() => sent = Err(error.into()),
                Err(_) => {}
            }
        }
        sent
    }

    /// Sends one whole message on `statements`: reliable, in order (signed statements, wrapped segments and reports).
    ///
    /// # Errors
    /// [`PeerError::ChannelClosed`].
    pub async fn send_statement(&self, message: &[u8]) -> Result<(), PeerError> {
        self.0.statements.say(Bytes::copy_from_slice(message)).await
    }

    /// Signs `said` for this session under the session key and sends it on `statements`.
    ///
    /// # Errors
    /// As of [`PeerSender::send_statement`].
    pub async fn say(&self, said: Said) -> Result<(), PeerError> {
        let statement = Statement { session: self.0.session, said }.sign(&self.0.session_key);
        self.send_statement(&statement).await
    }

    /// Asks for a key frame (PLI, RFC 4585 §6.3.1), as a receiver does that lost its way.
    ///
    /// # Errors
    /// [`PeerError::NoPictures`] before the first picture.
    pub async fn request_key_frame(&self) -> Result<(), PeerError> {
        let track = self.0.track.borrow().clone().ok_or(PeerError::NoPictures)?;
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc: track.ssrc };
        Ok(track.track.write_rtcp(vec![Box::new(request)]).await?)
    }
}
