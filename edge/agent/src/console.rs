//! One WebRTC connection of a console, from its offer to its end. A console may have one on each path.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use farhand_link::Word;
use farhand_wire::Role;
use rtc::{
    media_stream::MediaStreamTrack,
    peer_connection::configuration::media_engine::MIME_TYPE_H264,
    rtp::{Packet, header::Header},
    rtp_transceiver::rtp_sender::{
        RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
    },
    statistics::StatsSelector,
};
use thiserror::Error;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use webrtc::{
    data_channel::{DataChannel, DataChannelEvent},
    media_stream::track_local::{TrackLocal, TrackLocalEvent, static_rtp::TrackLocalStaticRTP},
    peer_connection::{PeerConnection, RTCPeerConnectionState, RTCSessionDescription},
    rtp_transceiver::RtpSender,
};

use crate::{
    desk::{self, CONTROL_QUEUED_MAX, Desk, PICTURES_QUEUED_MAX, Picture, Seat},
    meeting::Guest,
    reach::{NoPort, Reach},
    relay::{Channel, Input},
    rtc_setup::{self, Carries, ChannelBox, Events, PLAYOUT_DELAY},
    together::{Hello, Written},
};

/// Candidates of one address are there at once.
const GATHERED: Duration = Duration::from_secs(5);
/// From the answer to a connection that said whose it is.
const CONNECTED: Duration = Duration::from_secs(15);
/// A connection that is over may not answer any more.
const STATS: Duration = Duration::from_millis(100);
/// For the word that a connection is not known here, before it ends.
const APART: Duration = Duration::from_millis(200);
/// No minimum and no maximum (12 bits each, in 10 ms): show each picture when it is there.
const NO_PLAYOUT_DELAY: [u8; 3] = [0; 3];

/// Why there is no answer to an offer.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("WebRTC: {0}")]
    Rtc(#[from] webrtc::error::Error),
    #[error("no candidates within {} s", GATHERED.as_secs())]
    Gathering,
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("there are as many connections as there may be")]
    TooMany,
    #[error(transparent)]
    Port(#[from] NoPort),
}

/// Answers an offer that was vouched for; the connection then lives in a task of its own, until it fails or the console
/// is dismissed.
pub(crate) async fn answer(
    desk: Arc<Desk>,
    reach: Reach,
    path: u8,
    guest: Guest,
    sdp: String,
    vouched: Bytes,
) -> Result<String, NoAnswer> {
    let room = desk.room().ok_or(NoAnswer::TooMany)?;
    let reach = reach.of(guest.role);
    let carries = Arc::<Carries>::default();
    let (connection, mut events) = rtc_setup::connection(reach.listen()?, carries.clone()).await?;
    let wants_pictures = guest.role == Role::Surgeon && sdp.contains("m=video");
    let screen = if wants_pictures { Some(Screen::new(&connection).await?) } else { None };
    connection.set_remote_description(RTCSessionDescription::offer(reach.offered(sdp))?).await?;
    let description = connection.create_answer(None).await?;
    connection.set_local_description(description).await?;
    let gathered = timeout(GATHERED, events.gathered.wait_for(|gathered| *gathered)).await;
    gathered.map_err(|_| NoAnswer::Gathering)?.map_err(|_| NoAnswer::Gathering)?;
    let answer = connection.local_description().await.ok_or(NoAnswer::Gathering)?.sdp;
    let answer = reach.answered(answer);

    let line = Line {
        desk,
        guest,
        vouched,
        path,
        connection,
        carries,
        screen,
        tasks: JoinSet::new(),
        beside: JoinSet::new(),
        _room: room,
    };
    tokio::spawn(line.serve(events));
    Ok(answer)
}

/// A connection that stands, or is about to.
struct Line {
    desk: Arc<Desk>,
    guest: Guest,
    /// The guest's word for this connection's certificate.
    vouched: Bytes,
    /// As it was answered.
    path: u8,
    connection: Arc<dyn PeerConnection>,
    carries: Arc<Carries>,
    screen: Option<Screen>,
    /// Each says why it ended, and the connection ends with it.
    tasks: JoinSet<&'static str>,
    /// Pictures: without them the connection goes on.
    beside: JoinSet<()>,
    _room: OwnedSemaphorePermit,
}

/// The channels that a console makes.
struct Channels {
    control: Arc<dyn DataChannel>,
    statements: Arc<dyn DataChannel>,
    /// Where there is a screen.
    frames: Option<Arc<dyn DataChannel>>,
}

impl Line {
    /// **Serves one connection until it ends, whoever ends it.**
    async fn serve(mut self, mut events: Events) {
        let (seat, why) = self.converse(&mut events).await;
        let rtt_ms = self.rtt_ms().await;
        tracing::info!(
            path = self.path,
            console = seat.map(|seat| seat.console.0),
            why,
            rtt_ms,
            "a console's path is gone"
        );
        if let Some(seat) = seat {
            self.desk.leave(seat, rtt_ms);
        }
        self.tasks.abort_all();
        self.beside.abort_all();
        let _ = self.connection.close().await; // closed is what is wanted
    }

    async fn converse(&mut self, events: &mut Events) -> (Option<Seat>, &'static str) {
        let Events { state, channels: coming, .. } = events;
        let wants_frames = self.screen.is_some();
        let met = tokio::select! {
            met = timeout(CONNECTED, meet(coming, wants_frames)) => met,
            why = ended(state) => return (None, why),
        };
        let (channels, hello) = match met {
            Ok(Some(met)) => met,
            Ok(None) => return (None, "it did not say hello"),
            Err(_) => return (None, "it did not connect in time"),
        };
        let Some((seat, dismissed)) = self.sit(channels, hello).await else {
            return (None, "its bond is not known here");
        };
        let why = loop {
            tokio::select! {
                () = dismissed.notified() => break "it was asked to leave",
                why = ended(state) => break why,
                Some(ended) = self.tasks.join_next() => break ended.unwrap_or("a task of it broke"),
                Some(ChannelBox(channel)) = coming.recv() => drop(channel.close().await), // none of ours
            }
        };
        (Some(seat), why)
    }

    /// Takes its place, and begins to serve the channels.
    async fn sit(&mut self, channels: Channels, hello: Hello) -> Option<(Seat, Arc<Notify>)> {
        let (control, queue) = mpsc::channel(CONTROL_QUEUED_MAX);
        let (pictures, screen_queue) = mpsc::channel(PICTURES_QUEUED_MAX);
        let line = desk::Line {
            control,
            pictures: self.screen.is_some().then_some(pictures),
            carries: self.carries.clone(),
            to_write: Arc::new(watch::Sender::new(())),
            dismissed: Arc::default(),
        };
        let (to_write, dismissed) = (line.to_write.subscribe(), line.dismissed.clone());
        let (guest, vouched) = (self.guest.clone(), self.vouched.clone());
        let seat = (hello.path == self.path).then(|| self.desk.sit(guest, vouched, hello, line)).flatten();
        let Some(seat) = seat else {
            let _ = channels.statements.send(BytesMut::from(&Word::Apart.to_bytes()[..])).await; // it ends anyway
            sleep(APART).await;
            return None;
        };
        let (desk, statements) = (&self.desk, channels.statements);
        self.tasks.spawn(send_unreliably(channels.control.clone(), queue));
        self.tasks.spawn(listen(desk.clone(), seat, channels.control));
        self.tasks.spawn(take_words(desk.clone(), seat, statements.clone()));
        self.tasks.spawn(write_words(desk.clone(), seat, statements, to_write));
        if let Some((screen, frames)) = self.screen.take().zip(channels.frames) {
            self.beside.spawn(hear_requests(desk.clone(), screen.track.clone()));
            self.beside.spawn(hear_again(desk.clone(), self.carries.clone()));
            self.beside.spawn(drain(frames.clone()));
            self.beside.spawn(screen.show(desk.clone(), frames, screen_queue));
            self.desk.signs.watched.send_replace(true);
            self.desk.signs.key_frame_wanted.notify_one();
        }
        Some((seat, dismissed))
    }

    /// As ICE measured it last (RFC 7675's checks).
    async fn rtt_ms(&self) -> Option<f64> {
        let report = self.connection.get_stats(std::time::Instant::now(), StatsSelector::None);
        let report = timeout(STATS, report).await.ok()?;
        let rtt_s = report.candidate_pairs().find(|pair| pair.nominated)?.current_round_trip_time;
        (rtt_s > 0.0).then_some(rtt_s * 1e3)
    }
}

/// Waits until the connection is no more.
async fn ended(state: &mut watch::Receiver<RTCPeerConnectionState>) -> &'static str {
    let over = |state: &RTCPeerConnectionState| {
        matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
    };
    match state.wait_for(over).await.as_deref() {
        Ok(RTCPeerConnectionState::Failed) => "unheard for too long",
        _ => "closed",
    }
}

/// All channels that the console makes, and its first word. `None`: it said something else.
async fn meet(coming: &mut mpsc::Receiver<ChannelBox>, wants_frames: bool) -> Option<(Channels, Hello)> {
    let (mut control, mut statements, mut frames) = (None, None, None);
    while control.is_none() || statements.is_none() || (wants_frames && frames.is_none()) {
        let ChannelBox(channel) = coming.recv().await?;
        match channel.label().await.as_deref() {
            Ok("control") => control = Some(channel),
            Ok("statements") => statements = Some(channel),
            Ok("frames") => frames = Some(channel),
            _ => drop(channel.close().await),
        }
    }
    let channels = Channels { control: control?, statements: statements?, frames };
    let first = next_message(&channels.statements).await?;
    Some((channels, Hello::read(&first)?))
}

async fn next_message(channel: &Arc<dyn DataChannel>) -> Option<Bytes> {
    while let Some(event) = channel.poll().await {
        if let DataChannelEvent::OnMessage(message) = event {
            return Some(message.data.freeze());
        }
    }
    None
}

/// **Hands over what comes on `control`, in the task that received it, until the channel closes.**
async fn listen(desk: Arc<Desk>, seat: Seat, from: Arc<dyn DataChannel>) -> &'static str {
    let Seat { console, path, .. } = seat;
    while let Some(message) = next_message(&from).await {
        desk.handle(Input::FromConsole { console, path, channel: Channel::Control, message });
    }
    "its channel closed"
}

/// **The same on `statements`.**
async fn take_words(desk: Arc<Desk>, seat: Seat, from: Arc<dyn DataChannel>) -> &'static str {
    while let Some(word) = next_message(&from).await {
        if !desk.take_word(seat, &word) {
            return "it broke the rule of numbers";
        }
    }
    "its channel closed"
}

/// **Says what was taken, and sends what the console does not have, until the channel closes.**
async fn write_words(
    desk: Arc<Desk>,
    seat: Seat,
    to: Arc<dyn DataChannel>,
    mut to_write: watch::Receiver<()>,
) -> &'static str {
    let mut written = Written::default();
    loop {
        to_write.mark_unchanged();
        while let Some(word) = desk.next_word(seat.console, &mut written) {
            if to.send(BytesMut::from(&word[..])).await.is_err() {
                return "its channel closed";
            }
        }
        if to_write.changed().await.is_err() {
            return "it left";
        }
    }
}

/// **Takes a channel's events where nobody listens.** They are queued, also those of what we send ourselves, and a queue that
/// is full stops the whole connection.
async fn drain(channel: Arc<dyn DataChannel>) {
    while channel.poll().await.is_some() {}
}

async fn send_unreliably(channel: Arc<dyn DataChannel>, mut queue: mpsc::Receiver<Bytes>) -> &'static str {
    while let Some(message) = queue.recv().await {
        // What does not fit now would be late.
        let _ = channel.try_send(BytesMut::from(message)).await;
    }
    "it left"
}

/// PLI and FIR (RFC 4585, 5104).
async fn hear_requests(desk: Arc<Desk>, track: Arc<TrackLocalStaticRTP>) {
    while let Some(TrackLocalEvent::OnRtcpPacket(packets)) = track.poll().await {
        if packets.iter().any(|packet| rtc_setup::is_key_frame_request(packet.as_ref())) {
            desk.signs.key_frame_wanted.notify_one();
        }
    }
}

/// **After a silence the receiver lacks too much to ask for it piece by piece: it gets a key frame.**
async fn hear_again(desk: Arc<Desk>, carries: Arc<Carries>) {
    loop {
        carries.back.notified().await;
        desk.signs.key_frame_wanted.notify_one();
    }
}

/// Where a surgeon's pictures go.
struct Screen {
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    ssrc: u32,
    sequence: u16,
}

impl Screen {
    async fn new(connection: &Arc<dyn PeerConnection>) -> Result<Self, NoAnswer> {
        let ssrc = getrandom::u32().map_err(NoAnswer::Random)?;
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec: rtc_setup::h264(),
            ..Default::default()
        };
        let track = MediaStreamTrack::new(
            "farhand".into(),
            "endoscope".into(),
            "endoscope".into(),
            RtpCodecKind::Video,
            vec![encoding],
        );
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        let sender = connection.add_track(track.clone() as Arc<dyn TrackLocal>).await?;
        Ok(Self { track, sender, ssrc, sequence: (ssrc >> 16) as u16 })
    }

    /// **Sends pictures, from a key frame on and without a hole, until the connection ends.**
    async fn show(
        mut self,
        desk: Arc<Desk>,
        frames: Arc<dyn DataChannel>,
        mut queue: mpsc::Receiver<Arc<Picture>>,
    ) {
        let Some(header) = self.header().await else { return };
        let mut last = None;
        while let Some(picture) = queue.recv().await {
            let follows = last.is_some_and(|last| picture.frame == last + 1);
            if !follows && !picture.key_frame {
                last = None;
                desk.signs.key_frame_wanted.notify_one();
                continue;
            }
            last = Some(picture.frame);
            let record = frames.send(BytesMut::from(&picture.record[..])).await;
            if record.is_err() || !self.send(&header, &picture).await {
                return;
            }
        }
    }

    /// What all packets have. An extension that was not negotiated must not be sent: it would be dropped without a word.
    async fn header(&self) -> Option<Header> {
        let parameters = self.sender.get_parameters().await.ok()?.rtp_parameters;
        let is_h264 =
            |codec: &&RTCRtpCodecParameters| codec.rtp_codec.mime_type.eq_ignore_ascii_case(MIME_TYPE_H264);
        let payload_type = parameters.codecs.iter().find(is_h264)?.payload_type;
        let mut header = Header { version: 2, payload_type, ssrc: self.ssrc, ..Header::default() };
        let delay = parameters.header_extensions.iter().find(|extension| extension.uri == PLAYOUT_DELAY);
        if let Some(extension) = delay {
            let content = Bytes::from_static(&NO_PLAYOUT_DELAY);
            header.set_extension(extension.id as u8, content).ok()?;
        }
        Some(header)
    }

    async fn send(&mut self, header: &Header, picture: &Picture) -> bool {
        let last = picture.payloads.len().saturating_sub(1);
        for (at, payload) in picture.payloads.iter().enumerate() {
            let mut header = header.clone();
            header.marker = at == last;
            header.sequence_number = self.sequence;
            header.timestamp = picture.rtp_timestamp;
            self.sequence = self.sequence.wrapping_add(1);
            if self.track.write_rtp(Packet { header, payload: payload.clone() }).await.is_err() {
                return false;
            }
        }
        true
    }
}
