//! One console's WebRTC connection, from its offer to its end.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use farhand_wire::Role;
use rtc::{
    media_stream::MediaStreamTrack,
    rtp::{Packet, header::Header},
    rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind},
};
use thiserror::Error;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use webrtc::{
    data_channel::{DataChannel, DataChannelEvent},
    media_stream::track_local::{TrackLocal, TrackLocalEvent, static_rtp::TrackLocalStaticRTP},
    peer_connection::{PeerConnection, RTCPeerConnectionState, RTCSessionDescription},
    rtp_transceiver::RtpSender,
};

use crate::{
    desk::{CONTROL_QUEUED_MAX, Desk, PICTURES_QUEUED_MAX, Picture, STATEMENTS_QUEUED_MAX},
    meeting::Guest,
    reach::{NoPort, Reach},
    relay::{Channel, ConsoleId, Input},
    rtc_setup::{self, ChannelBox, Events, PLAYOUT_DELAY},
};

/// Candidates of one address are there at once.
const GATHERED: Duration = Duration::from_secs(5);
/// From the answer to a connection that stands.
const CONNECTED: Duration = Duration::from_secs(15);
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
    #[error(transparent)]
    Port(#[from] NoPort),
}

/// Answers an offer that was vouched for; the connection then lives in a task of its own, until it fails or the console
/// is dismissed.
pub(crate) async fn answer(
    desk: Arc<Desk>,
    reach: Reach,
    guest: Guest,
    sdp: String,
    vouched: Bytes,
) -> Result<String, NoAnswer> {
    let reach = reach.of(guest.role);
    let (connection, mut events) = rtc_setup::connection(reach.listen()?).await?;
    let wants_pictures = guest.role == Role::Surgeon && sdp.contains("m=video");
    let screen = if wants_pictures { Some(Screen::new(&connection).await?) } else { None };
    connection.set_remote_description(RTCSessionDescription::offer(reach.offered(sdp))?).await?;
    let description = connection.create_answer(None).await?;
    connection.set_local_description(description).await?;
    let gathered = timeout(GATHERED, events.gathered.wait_for(|gathered| *gathered)).await;
    gathered.map_err(|_| NoAnswer::Gathering)?.map_err(|_| NoAnswer::Gathering)?;
    let answer = connection.local_description().await.ok_or(NoAnswer::Gathering)?.sdp;
    let answer = reach.answered(answer);

    let (console, dismissed) = desk.new_console();
    desk.handle(Input::ConsoleCame { console, guest, vouched });
    tokio::spawn(Line { desk, console, connection, screen, tasks: JoinSet::new() }.serve(events, dismissed));
    Ok(answer)
}

/// A console that is connected, or about to be.
struct Line {
    desk: Arc<Desk>,
    console: ConsoleId,
    connection: Arc<dyn PeerConnection>,
    screen: Option<Screen>,
    tasks: JoinSet<()>,
}

impl Line {
    /// **Serves one console until its connection ends, whoever ends it.**
    async fn serve(mut self, mut events: Events, dismissed: Arc<Notify>) {
        let why = self.converse(&mut events, &dismissed).await;
        tracing::info!(console = self.console.0, why, "a console is gone");
        self.desk.console_left(self.console);
        self.tasks.abort_all();
        let _ = self.connection.close().await; // closed is what is wanted
    }

    async fn converse(&mut self, events: &mut Events, dismissed: &Notify) -> &'static str {
        let deadline = Instant::now() + CONNECTED;
        let (mut connected, mut frames) = (false, None);
        loop {
            tokio::select! {
                () = dismissed.notified() => return "it was asked to leave",
                Some(ChannelBox(channel)) = events.channels.recv() => {
                    if let Ok(label) = channel.label().await {
                        match label.as_str() {
                            "control" => self.control(channel),
                            "statements" => self.statements(channel),
                            "frames" => frames = Some(channel),
                            _ => drop(channel.close().await),
                        }
                    }
                }
                changed = events.state.changed() => {
                    let state = *events.state.borrow_and_update();
                    match state {
                        RTCPeerConnectionState::Connected => connected = true,
                        RTCPeerConnectionState::Failed => return "unheard for too long",
                        RTCPeerConnectionState::Closed => return "closed",
                        _ if changed.is_err() => return "closed",
                        _ => {}
                    }
                }
                () = sleep_until(deadline), if !connected => return "it did not connect in time",
            }
            if connected && let Some(screen) = self.screen.take_if(|_| frames.is_some()) {
                self.show(screen, frames.take());
            }
        }
    }

    fn control(&mut self, channel: Arc<dyn DataChannel>) {
        let (to, queue) = mpsc::channel(CONTROL_QUEUED_MAX);
        self.desk.connect(self.console, |port| port.control = Some(to));
        self.tasks.spawn(send_unreliably(channel.clone(), queue));
        self.tasks.spawn(listen(self.desk.clone(), self.console, Channel::Control, channel));
    }

    fn statements(&mut self, channel: Arc<dyn DataChannel>) {
        let (to, queue) = mpsc::channel(STATEMENTS_QUEUED_MAX);
        self.desk.connect(self.console, |port| port.statements = Some(to));
        self.tasks.spawn(send_reliably(channel.clone(), queue));
        self.tasks.spawn(listen(self.desk.clone(), self.console, Channel::Statements, channel));
        self.desk.handle(Input::ConsoleListens { console: self.console });
    }

    fn show(&mut self, screen: Screen, frames: Option<Arc<dyn DataChannel>>) {
        let Some(frames) = frames else { return };
        let (to, queue) = mpsc::channel(PICTURES_QUEUED_MAX);
        self.desk.connect(self.console, |port| port.pictures = Some(to));
        self.tasks.spawn(hear_requests(self.desk.clone(), screen.track.clone()));
        self.tasks.spawn(drain(frames.clone()));
        self.tasks.spawn(screen.show(self.desk.clone(), frames, queue));
        self.desk.signs.watched.send_replace(true);
        self.desk.signs.key_frame_wanted.notify_one();
    }
}

/// **Hands over what comes, in the task that received it, until the channel closes.**
async fn listen(desk: Arc<Desk>, console: ConsoleId, channel: Channel, from: Arc<dyn DataChannel>) {
    while let Some(event) = from.poll().await {
        if let DataChannelEvent::OnMessage(message) = event {
            desk.handle(Input::FromConsole { console, channel, message: message.data.freeze() });
        }
    }
}

/// **Takes a channel's events where nobody listens.** They are queued, also those of what we send ourselves, and a queue that
/// is full stops the whole connection.
async fn drain(channel: Arc<dyn DataChannel>) {
    while channel.poll().await.is_some() {}
}

async fn send_unreliably(channel: Arc<dyn DataChannel>, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(message) = queue.recv().await {
        // What does not fit now would be late.
        let _ = channel.try_send(BytesMut::from(message)).await;
    }
}

async fn send_reliably(channel: Arc<dyn DataChannel>, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(message) = queue.recv().await {
        if channel.send(BytesMut::from(message)).await.is_err() {
            return;
        }
    }
}

/// PLI and FIR (RFC 4585, 5104).
async fn hear_requests(desk: Arc<Desk>, track: Arc<TrackLocalStaticRTP>) {
    while let Some(TrackLocalEvent::OnRtcpPacket(packets)) = track.poll().await {
        if packets.iter().any(|packet| rtc_setup::is_key_frame_request(packet.as_ref())) {
            desk.signs.key_frame_wanted.notify_one();
        }
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
        let payload_type = parameters.codecs.first()?.payload_type;
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
