//! How this side of a WebRTC connection is set up, for edge box and browserless console alike.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use rtc::{
    interceptor::{FlexFec03ReceiveBuilder, FlexFec03SendBuilder, Slot},
    peer_connection::configuration::{
        interceptor_registry::register_default_interceptors,
        media_engine::{MIME_TYPE_FLEX_FEC03, MIME_TYPE_H264, MediaEngine},
    },
    rtp_transceiver::rtp_sender::{
        RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
    },
};
use tokio::sync::{mpsc, watch};
use webrtc::{
    data_channel::DataChannel,
    media_stream::track_remote::TrackRemote,
    peer_connection::{
        PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
        RTCIceGatheringState, RTCPeerConnectionState, Registry, SettingEngineBuilder,
    },
};

mod carries;
mod key_frames;

pub(crate) use carries::Carries;
use key_frames::KeyFrameRequests;
pub(crate) use key_frames::is_key_frame_request;

/// How long the receiver holds pictures back (webrtc.org, `playout-delay`): none is asked for.
pub(crate) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// A payload type of the dynamic range (RFC 3551 §6); the offer's own wins.
const H264_PAYLOAD_TYPE: u8 = 102;
const REPAIR_PAYLOAD_TYPE: u8 = 49;
/// A packet that is lost among so many is there again without anybody's asking for it: a picture's share of 4 Mbit/s is
/// some fourteen packets.
const PACKETS_A_REPAIR: u32 = 8;
/// Nearer to the wire than where packets get their transport-wide number ([`Slot::TwccSender`]): a repair is of packets as they
/// are sent. At rtc's own place for it, before that, what it repairs is garbage.
const REPAIR_SLOT: usize = 1_500;
/// Unacknowledged bytes in one data channel: what does not fit is dropped or waits, per channel.
const CHANNEL_BYTES_MAX: usize = 1024 * 1024;
/// Unheard for this long, a connection is disconnected; after the second it has failed.
const ICE_DISCONNECTED: Duration = Duration::from_secs(3);
const ICE_FAILED: Duration = Duration::from_secs(5);
const ICE_KEEP_ALIVE: Duration = Duration::from_millis(500);

/// What a connection says of itself.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) gathered: watch::Receiver<bool>,
    pub(crate) state: watch::Receiver<RTCPeerConnectionState>,
    pub(crate) channels: mpsc::Receiver<ChannelBox>,
    pub(crate) tracks: mpsc::Receiver<TrackBox>,
}

/// A data channel that the other side made.
pub(crate) struct ChannelBox(pub(crate) Arc<dyn DataChannel>);

/// Media that the other side sends.
pub(crate) struct TrackBox(pub(crate) Arc<dyn TrackRemote>);

impl std::fmt::Debug for ChannelBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChannelBox")
    }
}

impl std::fmt::Debug for TrackBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrackBox")
    }
}

struct Handler {
    gathered: watch::Sender<bool>,
    state: watch::Sender<RTCPeerConnectionState>,
    channels: mpsc::Sender<ChannelBox>,
    tracks: mpsc::Sender<TrackBox>,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        // More than we have room for are none of ours.
        let _ = self.channels.try_send(ChannelBox(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.tracks.try_send(TrackBox(track)); // likewise
    }
}

/// A connection that speaks H.264 and data channels from `listen`, and only from there; port 0 takes a free one. What it carries is
/// told to `carries`.
pub(crate) async fn connection(
    listen: SocketAddr,
    carries: Arc<Carries>,
) -> Result<(Arc<dyn PeerConnection>, Events), webrtc::error::Error> {
    let (gathered_to, gathered) = watch::channel(false);
    let (state_to, state) = watch::channel(RTCPeerConnectionState::New);
    let (channels_to, channels) = mpsc::channel(8);
    let (tracks_to, tracks) = mpsc::channel(4);
    let handler =
        Handler { gathered: gathered_to, state: state_to, channels: channels_to, tracks: tracks_to };
    let mut media = media()?;
    let repaired = Registry::new()
        .with(
            Slot::from(REPAIR_SLOT),
            FlexFec03SendBuilder::new()
                .with_num_media_packets(PACKETS_A_REPAIR)
                .with_num_fec_packets(1)
                .build(),
        )
        .with(Slot::FecDecoder, FlexFec03ReceiveBuilder::new().build());
    let registry = carries.measured_in(register_default_interceptors(repaired, &mut media)?);
    let settings = SettingEngineBuilder::new()
        .with_include_loopback_candidate(listen.ip().is_loopback())
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEP_ALIVE))
        .build();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(media)
        .with_interceptor_registry(KeyFrameRequests::last_in(registry))
        .with_setting_engine(settings)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(vec![listen])
        .with_data_channel_send_buffer_limit(CHANNEL_BYTES_MAX)
        .build()
        .await?;
    Ok((Arc::new(connection), Events { gathered, state, channels, tracks }))
}

fn media() -> Result<MediaEngine, webrtc::error::Error> {
    let mut media = MediaEngine::default();
    let codec = RTCRtpCodecParameters { rtp_codec: h264(), payload_type: H264_PAYLOAD_TYPE };
    media.register_codec(codec, RtpCodecKind::Video)?;
    let repair = RTCRtpCodecParameters { rtp_codec: repair(), payload_type: REPAIR_PAYLOAD_TYPE };
    media.register_codec(repair, RtpCodecKind::Video)?;
    let extension = RTCRtpHeaderExtensionCapability { uri: PLAYOUT_DELAY.to_owned() };
    media.register_header_extension(extension, RtpCodecKind::Video, None)?;
    Ok(media)
}

/// Forward error correction as browsers have it (draft-ietf-payload-flexible-fec-scheme-03).
fn repair() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_FLEX_FEC03.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: "repair-window=10000000".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

/// Constrained baseline, as our encoders make it; level asymmetry lets it be of any size.
pub(crate) fn h264() -> RTCRtpCodec {
    let feedback = |parameter: &str| RTCPFeedback { typ: "ccm".into(), parameter: parameter.into() };
    RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned(),
        rtcp_feedback: vec![feedback("fir")],
    }
}
