//! Authenticated QUIC sessions between Farhand's devices.
//!
//! **Invariant (local):** a [`Connection`] exists only after both ends have proved, in one TLS 1.3 handshake with both
//! certificates, that they hold the Ed25519 keys that the other has in its [`Peers`], in the roles that the
//! [`Protocol`] asks for. There is no certificate authority, no older TLS, no 0-RTT, no resumption and no key exchange
//! other than X25519MLKEM768. What a refused peer sent reaches nobody.
//!
//! **Bounded (local):** nothing is allocated on a peer's word. Datagrams are dropped, oldest first, when nobody takes
//! them; messages are at most [`MESSAGE_BYTES_MAX`] and push back on their sender; handshakes in progress, waiting
//! connections and connections in all have a limit each.
//!
//! From the outside in: [`Paths`] makes one [`Bond`] of several connections to a peer, [`KeepConnected`] keeps looking for one peer, an [`Endpoint`] connects and accepts, a
//! [`Connection`] carries datagrams and messages. `keep::Search` and `frames::Assembler` are the pure machines behind
//! them.
mod certificate;
mod config;
mod connection;
mod endpoint;
mod error;
mod frames;
mod handshake;
mod identity;
mod keep;
mod keep_connected;
mod key_file;
mod paths;
mod peers;
mod tls;
#[doc(hidden)]
pub mod trial;

pub use config::LinkConfig;
pub use connection::{CloseReason, Connection, MESSAGES_QUEUED_MAX};
pub use endpoint::{Endpoint, Refused};
pub use error::{
    BindError, BondError, DatagramError, DeviceIdError, HandshakeError, KeyError, LinkError, MessageError,
    PeerReason, PeersError, Refusal,
};
pub use frames::MESSAGE_BYTES_MAX;
pub use identity::{DeviceId, DeviceKey};
pub use keep::SearchLimits;
pub use keep_connected::{KeepConnected, KeepState};
pub use paths::{
    Arrived, Bond, BondName, FirstHeard, Inbox, NeverSent, Outbox, PATHS_MAX, PATHS_MESSAGE_BYTES_MAX,
    PathGauge, PathQuality, Paths, Route, Word, Written,
};
pub use peers::{DeviceRole, PEERS_MAX, Peers, Protocol};

/// What reads a peer's bytes, for the fuzzer.
#[doc(hidden)]
pub mod fuzzing {
    use std::time::Duration;

    use bytes::Bytes;
    use rustls::pki_types::{CertificateDer, UnixTime};

    use crate::{DeviceId, MessageError, Refusal, certificate, frames::Assembler};

    /// The messages in a stream that comes in pieces of at most `piece_bytes_max`, and how it ends.
    pub fn messages(mut stream: &[u8], piece_bytes_max: usize) -> (Vec<Bytes>, Result<(), MessageError>) {
        let (mut assembler, mut messages) = (Assembler::new(), Vec::new());
        while !stream.is_empty() {
            let bytes = assembler.wants().min(piece_bytes_max).min(stream.len());
            let (piece, rest) = stream.split_at(bytes);
            stream = rest;
            match assembler.take(Bytes::copy_from_slice(piece)) {
                Ok(message) => messages.extend(message),
                Err(error) => return (messages, Err(error)),
            }
        }
        (messages, assembler.end())
    }

    /// Whose certificate this is at that time, in seconds of Unix time.
    pub fn certificate(der: &[u8], now_s: u64) -> Result<DeviceId, Refusal> {
        certificate::check(&CertificateDer::from(der), UnixTime::since_unix_epoch(Duration::from_secs(now_s)))
    }

    /// A device's own certificate, as it shows it.
    #[must_use]
    pub fn certificate_of(key: &crate::DeviceKey, now_s: u64) -> Vec<u8> {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(now_s);
        certificate::self_signed(key, now).map(|made| made.to_vec()).unwrap_or_default()
    }
}
