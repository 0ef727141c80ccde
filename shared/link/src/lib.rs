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
//! From the outside in: [`KeepConnected`] keeps looking for one peer, an [`Endpoint`] connects and accepts, a
//! [`Connection`] carries datagrams and messages. `keep::Search` and `frames::Assembler` are the pure machines behind
//! them. A connection is cheap to clone, and so is the [`bytes::Bytes`] it sends: what is to arrive by whichever path is
//! faster is sent over several connections, and the receiver takes the first.

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
mod peers;
mod tls;

pub use config::LinkConfig;
pub use connection::{CloseReason, Connection, MESSAGES_QUEUED_MAX};
pub use endpoint::{Endpoint, Refused};
pub use error::{
    BindError, DatagramError, DeviceIdError, HandshakeError, KeyError, LinkError, MessageError, PeerReason,
    PeersError, Refusal,
};
pub use frames::MESSAGE_BYTES_MAX;
pub use identity::{DeviceId, DeviceKey};
pub use keep::SearchLimits;
pub use keep_connected::{KeepConnected, KeepState};
pub use peers::{DeviceRole, PEERS_MAX, Peers, Protocol};
