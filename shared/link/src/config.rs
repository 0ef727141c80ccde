//! How a connection behaves on the wire: tuned for control traffic, which is small, steady and worth nothing late.

use std::{any::Any, sync::Arc, time::Duration};

use hmac::{Hmac, Mac};
use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, Side, TransportConfig, VarInt,
    congestion::{Controller, ControllerFactory, CubicConfig},
    crypto::{CryptoError, HmacKey},
};
use sha2::Sha256;
use std::time::Instant;

use crate::{BindError, DeviceKey, MESSAGE_BYTES_MAX};

/// Every path of the Internet carries this (RFC 9000 §14), so what fits one path of several fits them all.
const MTU_BYTES: u16 = 1200;
/// How long a peer may keep an acknowledgement back; short, so that a lost message is soon sent again.
const ACK_DELAY_MS_MAX: u64 = 5;
const STREAM_WINDOW_BYTES: u32 = 4 * MESSAGE_BYTES_MAX as u32;
const ID_KEY_BYTES: usize = 8;
const RESET_KEY_BYTES: usize = 32;

/// What may be chosen about an endpoint. The defaults are for commands between machines a continent apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// A quiet connection is heard from this often. 10 to 10 000.
    pub keep_alive_ms: u64,
    /// A peer unheard for this long is gone. The lower of both ends' counts. Twice the keep-alive to 60 000.
    pub idle_timeout_ms: u64,
    /// No handshake takes longer. 100 to 30 000.
    pub handshake_ms_max: u64,
    /// Datagrams waiting to be sent; when full the oldest are dropped. 1200 to 1 MiB.
    pub datagram_send_bytes_max: usize,
    /// Datagrams waiting to be taken; when full the oldest are dropped. 1200 to 1 MiB.
    pub datagram_receive_bytes_max: usize,
    /// Bytes that may always be in flight, whatever was lost. Loss on a radio link is no congestion, and a command held
    /// back for a window is a command too late. The default is 100 kB/s of commands at 600 ms round trip. 2400 to 1 MiB.
    pub flight_bytes_min: u64,
    /// Connections, established or not. 1 to 4096.
    pub connections_max: usize,
    /// Incoming handshakes in progress. From half of it on, a peer must first prove its address. 2 to 1024.
    pub handshakes_max: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            keep_alive_ms: 100,
            idle_timeout_ms: 1000,
            handshake_ms_max: 3000,
            datagram_send_bytes_max: 16 * 1024,
            datagram_receive_bytes_max: 64 * 1024,
            flight_bytes_min: 64 * 1024,
            connections_max: 64,
            handshakes_max: 32,
        }
    }
}

impl LinkConfig {
    pub(crate) fn check(&self) -> Result<(), BindError> {
        let mib = 1024 * 1024;
        within("keep_alive_ms", self.keep_alive_ms, 10, 10_000)?;
        within("idle_timeout_ms", self.idle_timeout_ms, 2 * self.keep_alive_ms, 60_000)?;
        within("handshake_ms_max", self.handshake_ms_max, 100, 30_000)?;
        within("datagram_send_bytes_max", self.datagram_send_bytes_max as u64, 1200, mib)?;
        within("datagram_receive_bytes_max", self.datagram_receive_bytes_max as u64, 1200, mib)?;
        within("flight_bytes_min", self.flight_bytes_min, 2400, mib)?;
        within("connections_max", self.connections_max as u64, 1, 4096)?;
        within("handshakes_max", self.handshakes_max as u64, 2, 1024)
    }

    pub(crate) fn handshake_max(&self) -> Duration {
        Duration::from_millis(self.handshake_ms_max)
    }

    /// The connecting end opens the one stream there is.
    pub(crate) fn transport(&self, side: Side) -> Arc<TransportConfig> {
        let idle_ms = u32::try_from(self.idle_timeout_ms).unwrap_or(u32::MAX);
        let streams_from_peer = u32::from(side == Side::Server);
        let mut acknowledge = AckFrequencyConfig::default();
        acknowledge.max_ack_delay(Some(Duration::from_millis(ACK_DELAY_MS_MAX)));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(streams_from_peer.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
            .keep_alive_interval(Some(Duration::from_millis(self.keep_alive_ms)))
            .stream_receive_window(STREAM_WINDOW_BYTES.into())
            .receive_window(STREAM_WINDOW_BYTES.into())
            .send_window(STREAM_WINDOW_BYTES.into())
            .initial_mtu(MTU_BYTES)
            .mtu_discovery_config(None)
            .ack_frequency_config(Some(acknowledge))
            .datagram_receive_buffer_size(Some(self.datagram_receive_bytes_max))
            .datagram_send_buffer_size(self.datagram_send_bytes_max)
            .congestion_controller_factory(Arc::new(FlooredFactory { floor_bytes: self.flight_bytes_min }));
        Arc::new(transport)
    }
}

fn within(name: &'static str, value: u64, min: u64, max: u64) -> Result<(), BindError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(BindError::Config { name, value, min, max }) }
}

/// The same connection-id and reset keys at each start on the same port, so that a device that was killed and is back
/// tells its old peers at their next packet (stateless reset, RFC 9000 §10.3) instead of leaving them to time out. A
/// key per protocol and port, so that one endpoint can't be asked for the resets of another (§21.11).
pub(crate) fn endpoint_config(key: &DeviceKey, alpn: &str, port: u16) -> EndpointConfig {
    let port = port.to_le_bytes();
    let mut reset = [0; RESET_KEY_BYTES];
    let mut ids = [0; ID_KEY_BYTES];
    key.derive(&[b"stateless reset\0", &port, alpn.as_bytes()], &mut reset);
    key.derive(&[b"connection ids\0", &port, alpn.as_bytes()], &mut ids);
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset)));
    config.cid_generator(move || Box::new(quinn_ids(ids)));
    config
}

fn quinn_ids(key: [u8; ID_KEY_BYTES]) -> quinn_proto::HashedConnectionIdGenerator {
    quinn_proto::HashedConnectionIdGenerator::from_key(u64::from_le_bytes(key))
}

struct ResetKey([u8; RESET_KEY_BYTES]);

impl ResetKey {
    fn over(&self, data: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length").chain_update(data)
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.over(data).finalize().into_bytes());
    }

    fn signature_len(&self) -> usize {
        RESET_KEY_BYTES
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.over(data).verify_slice(signature).map_err(|_| CryptoError)
    }
}

#[derive(Debug)]
struct FlooredFactory {
    floor_bytes: u64,
}

impl ControllerFactory for FlooredFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::new(CubicConfig::default()).build(now, current_mtu);
        Box::new(Floored { inner, floor_bytes: self.floor_bytes })
    }
}

/// CUBIC (RFC 9438) that never holds back what a control link needs at least.
struct Floored {
    inner: Box<dyn Controller>,
    floor_bytes: u64,
}

impl Controller for Floored {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &quinn_proto::RttEstimator,
    ) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window().max(self.floor_bytes)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), floor_bytes: self.floor_bytes })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window().max(self.floor_bytes)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a radio link that loses everything for a while does not throttle the commands that follow.
    #[test]
    fn loss_never_takes_the_window_below_its_floor() {
        let factory = Arc::new(FlooredFactory { floor_bytes: 65_536 });
        let start = Instant::now();
        let mut controller = factory.build(start, MTU_BYTES);
        for loss in 1..50 {
            let now = start + Duration::from_millis(100 * loss);
            controller.on_congestion_event(now, now, true, 100_000);
            assert!(controller.window() >= 65_536);
            assert!(controller.clone_box().window() >= 65_536);
        }
    }

    /// Goal: a value outside its range is refused by name, with the range.
    #[test]
    fn a_value_outside_its_range_is_named() {
        assert!(LinkConfig::default().check().is_ok());
        let deaf = LinkConfig { keep_alive_ms: 600, ..LinkConfig::default() };
        let refused = deaf.check().unwrap_err();
        assert!(matches!(refused, BindError::Config { name: "idle_timeout_ms", value: 1000, min: 1200, .. }));
    }
}
