//! How a console meets the edge box: the console's side of `docs/signalling.md`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use farhand_ledger::{Cbor, OpeningEvidence, TrustRoot, VerifiedOpening, picture, verify_opening};
use farhand_link::{BondName, Word};
use farhand_wire::{Challenge, FRAME_RECORD_NAME, FrameRecord, PublicKey, Role, Said, Statement};
use futures_util::{SinkExt, StreamExt};
use rtc::{
    data_channel::RTCDataChannelInit,
    rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, rtp_sender::RtpCodecKind},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_tungstenite::tungstenite::Message;
use webrtc::{
    data_channel::{DataChannel, DataChannelEvent},
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{PeerConnection, RTCPeerConnectionState, RTCSessionDescription},
};

use super::{
    Bonded, Line, Peer, PeerError, PeerSender, PeerSettings, Picture, RoleLink, Shared, Track,
    assembly::{Assembly, RtpPacket},
    http::{self, Channel, SessionView, Site},
};
use crate::{
    meeting::check_vouched,
    rtc_setup::{self, Events, TrackBox},
    signal::{self, Signal},
    together::{Taken, Written},
};

/// How often the server is asked whether the session is open.
const LOOK: Duration = Duration::from_millis(100);
const CONTROL_WAITING_MAX: usize = 1024;
const STATEMENTS_WAITING_MAX: usize = 1024;
const FRAMES_WAITING_MAX: usize = 4096;
const PICTURES_WAITING_MAX: usize = 1024;
const SIGNALS_WAITING_MAX: usize = 64;

/// How long all of it may take together.
#[derive(Clone, Copy)]
struct Patience {
    until: Instant,
    ms: u64,
}

impl Patience {
    async fn wait<T>(self, what: &'static str, work: impl Future<Output = T>) -> Result<T, PeerError> {
        timeout_at(self.until, work).await.map_err(|_| PeerError::TooLate { what, waited_ms: self.ms })
    }
}

pub(super) async fn connect(link: &RoleLink, settings: PeerSettings) -> Result<Peer, PeerError> {
    let until = Instant::now() + Duration::from_millis(settings.wait_ms_max);
    let patience = Patience { until, ms: settings.wait_ms_max };
    let (site, opening, role, endorsement) = patience.wait("the session", enter(link, &settings)).await??;
    let call = Call { settings, patience, opening, role, endorsement };
    let channel = patience.wait("the signalling channel", site.signal()).await??;
    call.meet(channel).await
}

/// Claims the link, and waits until the session is open and the edge box there; what the server shows is checked.
async fn enter(
    link: &RoleLink,
    settings: &PeerSettings,
) -> Result<(Site, VerifiedOpening, Role, Vec<u8>), PeerError> {
    let session_key = PublicKey(settings.session_key.verifying_key().to_bytes());
    let name = hex::encode(link.link);
    let session = match settings.session {
        Some(session) => session,
        None => http::session_of(link.server, &name).await?,
    };
    let endorsement = Statement { session, said: Said::Endorse { session_key } }.sign(&link.key);
    let (site, claimed) = http::claim(link.server, &name, &endorsement).await?;
    let view = loop {
        let view = site.session().await?;
        if view.opening.is_some() && view.edge_online {
            break view;
        }
        sleep(LOOK).await;
    };
    let opening = opening(link, &view)?;
    if opening.session().to_string() != claimed.session {
        return Err(PeerError::OtherSession { seen: opening.session(), expected: claimed.session });
    }
    let key = PublicKey(link.key.verifying_key().to_bytes());
    let named = |role: Role| format!("{role:?}").eq_ignore_ascii_case(&view.role);
    let role = opening.member(key).map(|member| member.role).filter(|role| named(*role));
    let role = role.ok_or(PeerError::OtherRole { server: view.role.clone() })?;
    Ok((site, opening, role, endorsement))
}

fn opening(link: &RoleLink, view: &SessionView) -> Result<VerifiedOpening, PeerError> {
    let trust = TrustRoot::read(&http::bytes("the trust root", &view.trust_root)?)?;
    if trust.fingerprint() != link.trust {
        return Err(PeerError::OtherTrust);
    }
    let evidence = http::bytes("the opening", view.opening.as_deref().unwrap_or_default())?;
    Ok(verify_opening(&OpeningEvidence::read(&evidence)?, &trust)?)
}

/// Everything that a meeting needs.
struct Call {
    settings: PeerSettings,
    patience: Patience,
    opening: VerifiedOpening,
    role: Role,
    endorsement: Vec<u8>,
}

/// A nonce of ours, fresh for each path: an older answer does not serve. And the edge box's.
struct Greeted {
    ours: Challenge,
    edges: Challenge,
    /// How many paths there are.
    paths: u8,
}

/// What the console makes before its offer.
struct Ends {
    path: u8,
    connection: Arc<dyn PeerConnection>,
    events: Events,
    control: Arc<dyn DataChannel>,
    statements: Arc<dyn DataChannel>,
    /// A surgeon's.
    frames: Option<Arc<dyn DataChannel>>,
}

impl Call {
    async fn meet(self, mut channel: Channel) -> Result<Peer, PeerError> {
        let mut bond = BondName { run: [0; 16], number: 1 };
        getrandom::fill(&mut bond.run).map_err(PeerError::Random)?;
        let (first, paths) = self.path(&mut channel, bond, 0).await?;
        let mut ends = vec![first];
        if self.settings.paths.min(paths) > 1 {
            ends.push(self.path(&mut channel, bond, 1).await?.0);
        }
        Ok(self.sit_down(ends, channel))
    }

    /// Meets the edge box on one path, and says whose it is.
    async fn path(&self, channel: &mut Channel, bond: BondName, path: u8) -> Result<(Ends, u8), PeerError> {
        let patience = self.patience;
        let greeted = patience.wait("the edge box's hello", self.greet(channel, path)).await??;
        let mut ends = patience.wait("an offer", self.ends(path)).await??;
        let answered = self.offer(&mut ends, channel, &greeted);
        patience.wait("the edge box's answer", answered).await??;
        for end in [&ends.control, &ends.statements].into_iter().chain(&ends.frames) {
            patience.wait("a data channel", opened(end)).await?;
        }
        let hello = Word::Hello { bond, path, begins: path == 0 };
        patience.wait("the edge box's welcome", welcomed(&ends.statements, &hello)).await??;
        Ok((ends, greeted.paths))
    }

    /// Says hello until the edge box answers.
    async fn greet(&self, channel: &mut Channel, path: u8) -> Result<Greeted, PeerError> {
        let mut ours = Challenge::default();
        getrandom::fill(&mut ours.0).map_err(PeerError::Random)?;
        let (nonce, endorsement) = (signal::encode(&ours.0), Some(signal::encode(&self.endorsement)));
        let hello = Signal::Hello { path, nonce, endorsement, paths: None };
        say(channel, &hello).await?;
        loop {
            match hear(channel).await? {
                Signal::Hello { nonce, paths, .. } => {
                    let edges = Challenge(signal::decode_32("nonce", &nonce)?);
                    return Ok(Greeted { ours, edges, paths: paths.unwrap_or(1) });
                }
                Signal::EdgeOnline => say(channel, &hello).await?,
                Signal::Error { code, message, .. } => return Err(PeerError::TurnedAway { code, message }),
                _ => {}
            }
        }
    }

    /// Pictures come over the first path alone.
    async fn ends(&self, path: u8) -> Result<Ends, PeerError> {
        let (connection, events) =
            rtc_setup::connection(SocketAddr::new(self.settings.ice_address, 0), Arc::default()).await?;
        let unreliable =
            RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..RTCDataChannelInit::default() };
        let unordered = RTCDataChannelInit { ordered: false, ..RTCDataChannelInit::default() };
        let control = connection.create_data_channel("control", Some(unreliable)).await?;
        let statements = connection.create_data_channel("statements", None).await?;
        let mut frames = None;
        if self.role == Role::Surgeon && path == 0 {
            frames = Some(connection.create_data_channel("frames", Some(unordered)).await?);
            let receives = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..RTCRtpTransceiverInit::default()
            };
            connection.add_transceiver_from_kind(RtpCodecKind::Video, Some(receives)).await?;
        }
        Ok(Ends { path, connection, events, control, statements, frames })
    }

    async fn offer(
        &self,
        ends: &mut Ends,
        channel: &mut Channel,
        greeted: &Greeted,
    ) -> Result<(), PeerError> {
        let offer = ends.connection.create_offer(None).await?;
        ends.connection.set_local_description(offer).await?;
        let _ = ends.events.gathered.wait_for(|gathered| *gathered).await; // the connection has the sending end
        let sdp = ends.connection.local_description().await.ok_or(PeerError::ChannelClosed)?.sdp;
        let said = Said::Fingerprint { dtls_sha256: signal::fingerprint(&sdp)?, nonce: greeted.edges };
        let vouched = Statement { session: self.opening.session(), said }.sign(&self.settings.session_key);
        say(channel, &Signal::Offer { path: ends.path, sdp, fingerprint: signal::encode(&vouched) }).await?;
        let sdp = self.answer(channel, greeted.ours).await?;
        Ok(ends.connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?)
    }

    /// The edge box's SDP, once it is known to be the edge box's.
    async fn answer(&self, channel: &mut Channel, ours: Challenge) -> Result<String, PeerError> {
        loop {
            match hear(channel).await? {
                Signal::Answer { sdp, fingerprint, .. } => {
                    let vouched = signal::decode("fingerprint", &fingerprint)?;
                    let (session, edge) = (self.opening.session(), self.opening.edge());
                    check_vouched(&vouched, session, edge, ours, &sdp)?;
                    return Ok(sdp);
                }
                Signal::Error { code, message, .. } => return Err(PeerError::TurnedAway { code, message }),
                _ => {}
            }
        }
    }

    fn sit_down(self, paths: Vec<Ends>, channel: Channel) -> Peer {
        let mut tasks = JoinSet::new();
        let (to_control, control) = mpsc::channel(CONTROL_WAITING_MAX);
        let (to_statements, statements) = mpsc::channel(STATEMENTS_WAITING_MAX);
        let (to_frames, frames) = mpsc::channel(FRAMES_WAITING_MAX);
        let (to_pictures, pictures) = mpsc::channel(PICTURES_WAITING_MAX);
        let (to_signals, signals) = mpsc::channel(SIGNALS_WAITING_MAX);
        let (to_track, track) = watch::channel(None);
        let both = Arc::new(Bonded::new(paths.len()));
        let mut lines = Vec::new();
        for ends in paths {
            let path = usize::from(ends.path);
            tasks.spawn(take_control(ends.control.clone(), to_control.clone()));
            tasks.spawn(take_statements(ends.statements.clone(), both.clone(), to_statements.clone()));
            tasks.spawn(write_statements(ends.statements, both.clone(), path));
            if let Some(channel) = ends.frames {
                tasks.spawn(take_frames(channel, to_frames.clone()));
            }
            let watched = watch_over(ends.events, to_pictures.clone(), to_track.clone(), both.clone(), path);
            tasks.spawn(watched);
            lines.push(Line { connection: ends.connection, control: ends.control });
        }
        tasks.spawn(take_signals(channel, to_signals));
        let sender = PeerSender(Arc::new(Shared {
            session_key: self.settings.session_key,
            session: self.opening.session(),
            lines,
            statements: both,
            track,
        }));
        let (role, opening) = (self.role, self.opening);
        Peer { control, statements, frames, pictures, signals, role, opening, sender, tasks }
    }
}

async fn say(channel: &mut Channel, signal: &Signal) -> Result<(), PeerError> {
    channel.send(Message::text(signal.to_text())).await.map_err(|_| PeerError::ChannelClosed)
}

async fn hear(channel: &mut Channel) -> Result<Signal, PeerError> {
    loop {
        match channel.next().await {
            Some(Ok(Message::Text(text))) => return Ok(Signal::read(text.as_str())?),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(PeerError::ChannelClosed),
            Some(Ok(_)) => {}
        }
    }
}

async fn opened(channel: &Arc<dyn DataChannel>) {
    while let Some(event) = channel.poll().await {
        if matches!(event, DataChannelEvent::OnOpen) {
            return;
        }
    }
    std::future::pending().await // it closed: whoever waits loses patience
}

async fn next_message(channel: &Arc<dyn DataChannel>) -> Option<Bytes> {
    while let Some(event) = channel.poll().await {
        if let DataChannelEvent::OnMessage(message) = event {
            return Some(message.data.freeze());
        }
    }
    None
}

async fn take_control(channel: Arc<dyn DataChannel>, to: mpsc::Sender<Bytes>) {
    while let Some(message) = next_message(&channel).await {
        let _ = to.try_send(message); // nobody takes it in time
    }
}

async fn welcomed(statements: &Arc<dyn DataChannel>, hello: &Word) -> Result<(), PeerError> {
    statements.send(BytesMut::from(&hello.to_bytes()[..])).await?;
    let first = next_message(statements).await.ok_or(PeerError::ChannelClosed)?;
    if Word::read(&first) == Some(Word::Welcome) { Ok(()) } else { Err(PeerError::NotWelcome) }
}

/// Until the edge box breaks the rule, or nobody takes them any more.
async fn take_statements(channel: Arc<dyn DataChannel>, both: Arc<Bonded>, to: mpsc::Sender<Bytes>) {
    while let Some(word) = next_message(&channel).await {
        // Room first: a statement that is acknowledged has been taken.
        let Ok(room) = to.reserve().await else { return };
        let broken = take_statement(&both, &word, room);
        both.changed.send_replace(());
        if broken {
            return tracing::warn!("the edge box breaks the rule of numbers");
        }
    }
}

/// Under one lock, so that two paths hand over in the order of the numbers.
fn take_statement(both: &Bonded, word: &Bytes, room: mpsc::Permit<'_, Bytes>) -> bool {
    let mut statements = both.lock();
    match statements.take(word) {
        Taken::Message(message) => room.send(message),
        Taken::Nothing => {}
        Taken::Broken => return true,
    }
    false
}

async fn write_statements(channel: Arc<dyn DataChannel>, both: Arc<Bonded>, path: usize) {
    let (mut written, mut changed) = (Written::default(), both.changed.subscribe());
    loop {
        changed.mark_unchanged();
        while let Some(word) = both.next(&mut written) {
            if channel.send(BytesMut::from(&word[..])).await.is_err() {
                return both.ended(path);
            }
        }
        if changed.changed().await.is_err() {
            return; // never: the sending end is in `both`
        }
    }
}

async fn take_frames(channel: Arc<dyn DataChannel>, to: mpsc::Sender<FrameRecord>) {
    while let Some(message) = next_message(&channel).await {
        match FrameRecord::read(&message) {
            Ok(record) if to.send(record).await.is_err() => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "no frame record"),
        }
    }
}

/// Until the connection is no more.
async fn watch_over(
    mut events: Events,
    pictures: mpsc::Sender<Picture>,
    track: watch::Sender<Option<Track>>,
    both: Arc<Bonded>,
    path: usize,
) {
    let mut takers = JoinSet::new();
    loop {
        tokio::select! {
            Some(TrackBox(came)) = events.tracks.recv() => {
                let ssrc = came.ssrcs().await.first().copied().unwrap_or_default();
                track.send_replace(Some(Track { track: came.clone(), ssrc }));
                takers.spawn(take_pictures(came, pictures.clone()));
            }
            changed = events.state.changed() => {
                let state = *events.state.borrow_and_update();
                let over = matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed);
                if over || changed.is_err() {
                    return both.ended(path);
                }
            }
        }
    }
}

async fn take_pictures(track: Arc<dyn TrackRemote>, to: mpsc::Sender<Picture>) {
    let mut assembly = Assembly::default();
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        assembly.take(RtpPacket {
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payload,
        });
        while let Some(unit) = assembly.poll() {
            let received = Instant::now();
            let (data, record) = farhand_video::split_user_data(&unit.data, FRAME_RECORD_NAME);
            let hashes = picture::hashes(&data);
            let record = record.and_then(|record| FrameRecord::read(&record).ok());
            let picture =
                Picture { rtp_timestamp: unit.timestamp, unit: data.into(), record, hashes, received };
            let _ = to.try_send(picture); // nobody takes it in time
        }
    }
    tracing::debug!(lost = assembly.lost(), "no more pictures");
}

async fn take_signals(mut channel: Channel, to: mpsc::Sender<String>) {
    while let Some(Ok(message)) = channel.next().await {
        if let Message::Text(text) = message {
            let _ = to.try_send(text.as_str().to_owned()); // nobody takes it in time
        }
    }
}
