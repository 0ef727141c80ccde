//! Everything that can go wrong, with the value seen and the limit.

use std::{io, net::SocketAddr, path::PathBuf};

use thiserror::Error;

use crate::{CloseReason, DeviceId, DeviceRole};

/// Why 32 bytes, or a text, are not a device's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceIdError {
    #[error("a device id is 64 hexadecimal digits, not {chars} characters")]
    Length { chars: usize },
    #[error("a device id is hexadecimal, and {found:?} at {at} is not")]
    Digit { found: char, at: usize },
    #[error("these 32 bytes are not an Ed25519 public key that anybody could hold alone")]
    NotAKey,
}

/// Why a device's key could not be had from its file.
#[derive(Debug, Error)]
pub enum KeyError {
    #[error("could not {what} the device key {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "others may read the device key {} (mode {mode:04o}, wanted 0600): it may be known to them. Make a new \
         key; or, if you know that nobody has read it, run: chmod 600 {}",
        path.display(), path.display()
    )]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("the device key {} is not a plain file; give the path of the key file itself", path.display())]
    NotAFile { path: PathBuf },
    #[error("the device key {} has {bytes} bytes, more than the {max} a key can have; is it the right file?", path.display())]
    TooLarge { path: PathBuf, bytes: u64, max: u64 },
    #[error(
        "{} is not an Ed25519 private key in PKCS #8 PEM ({detail}); restore it from its backup, or move it away to \
         get a new identity, which then has to be paired anew",
        path.display()
    )]
    Unreadable { path: PathBuf, detail: String },
    #[error("no randomness for a new device key: {0}")]
    Random(getrandom::Error),
}

/// Why a device could not be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeersError {
    #[error("the list of allowed devices is full ({max}); remove one first")]
    Full { max: usize },
}

/// Why an endpoint could not start.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("could not bind UDP {addr}: {source}. Is another program using it?")]
    Socket { addr: SocketAddr, source: io::Error },
    #[error("could not make this device's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS does not take this configuration: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{name} is {value}, and must be within {min} to {max}")]
    Config { name: &'static str, value: u64, min: u64, max: u64 },
    #[error("no randomness for this run's name: {0}")]
    Random(getrandom::Error),
}

/// Why *this* side refused a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("{id} is not among the devices allowed here")]
    UnknownDevice { id: DeviceId },
    #[error("{id} is allowed here as {role}, but this protocol takes {wanted:?}")]
    WrongRole { id: DeviceId, role: DeviceRole, wanted: &'static [DeviceRole] },
    #[error("{id} answered where {expected} was expected")]
    UnexpectedDevice { id: DeviceId, expected: DeviceId },
    #[error("it showed no certificate")]
    NoCertificate,
    #[error("its certificate brings {count} more; a device's own stands alone")]
    ChainPresented { count: usize },
    #[error("its certificate's key is not an Ed25519 key")]
    NotEd25519,
    #[error("its certificate can't be used: {detail}")]
    BadCertificate { detail: String },
    #[error("its certificate is not signed by the key in it: altered, or made by another")]
    Tampered,
    #[error("its certificate ended at {not_after_s} s and now is {now_s} s (Unix time); is a clock wrong?")]
    Expired { not_after_s: u64, now_s: u64 },
    #[error("its certificate begins at {not_before_s} s and now is {now_s} s (Unix time); is a clock wrong?")]
    NotYetValid { not_before_s: u64, now_s: u64 },
    #[error("it does not hold the key of the certificate it showed")]
    BadHandshakeSignature,
    #[error("it does not speak {ours}")]
    OtherProtocol { ours: &'static str },
    #[error("TLS alert {alert}: {detail}")]
    Tls { alert: u8, detail: String },
}

/// Why the *peer* refused this side, as far as its TLS alert (RFC 8446 §6.2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerReason {
    #[error("it does not allow this device, or not in this role")]
    NotAllowed,
    #[error("it wants a certificate")]
    CertificateRequired,
    #[error("this device's certificate is not valid at its time; is a clock wrong?")]
    CertificateNotValidNow,
    #[error("a signature of this device does not hold")]
    BadSignature,
    #[error("it can't use this device's certificate")]
    BadCertificate,
    #[error("it speaks another protocol, or another version of it")]
    OtherProtocol,
    #[error("no key exchange, cipher or version in common")]
    NothingInCommon,
    #[error("TLS alert {0}")]
    Alert(u8),
}

/// Why no connection came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    #[error("refused the peer: {0}")]
    Refused(#[from] Refusal),
    #[error("the peer refused this device: {0}")]
    RefusedByPeer(PeerReason),
    #[error("no answer within {limit_ms} ms")]
    NoAnswer { limit_ms: u64 },
    #[error("the peer did not begin as agreed: {0}")]
    BadHello(String),
    #[error("the peer went away before it was done: {0}")]
    Lost(LinkError),
    #[error("can't connect to {addr}: {detail}")]
    Address { addr: SocketAddr, detail: String },
}

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    #[error("nothing heard from the peer within the idle timeout")]
    TimedOut,
    #[error("the peer closed it: {0}")]
    ClosedByPeer(CloseReason),
    #[error("this side closed it")]
    ClosedHere,
    #[error("the peer was started anew and no longer knows it")]
    PeerRestarted,
    #[error("the peer refused this device: {0}")]
    RefusedByPeer(PeerReason),
    #[error("transport: {0}")]
    Transport(String),
}

/// Why a datagram was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DatagramError {
    #[error("a datagram of {bytes} bytes; this connection carries {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why a message was not sent, or none can be received any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    #[error("a message of {bytes} bytes; the limit is {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the peer ended its messages within one: {bytes} of {wanted} bytes")]
    Truncated { bytes: usize, wanted: usize },
    #[error("this side has finished its messages")]
    Finished,
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why something was not sent over any path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BondError {
    #[error("{bytes} bytes at once; the limit is {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the peer has acknowledged none of {max} messages that wait for it")]
    Full { max: usize },
    #[error("no path to the peer stands")]
    Over,
}
