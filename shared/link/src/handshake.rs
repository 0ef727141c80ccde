//! From a QUIC handshake to a [`Connection`](crate::Connection).
//!
//! The connecting end finishes TLS before the accepting end has seen its certificate, so TLS alone would report
//! success to a device that is about to be refused. Therefore both greet: the connecting end with an empty message
//! that claims the connection, the accepting end, once it has let the peer in, with an empty message back. Only then
//! has either a connection. An attempt that is overtaken by a faster one never claims, and so is never seen above.

use quinn::{ConnectionError, TransportErrorCode};

use crate::{
    CloseReason, HandshakeError, LinkError, PeerReason, Protocol, Refusal, frames::HEADER_BYTES,
    tls::RefusalSlot,
};

const GREETING: [u8; HEADER_BYTES] = [0; HEADER_BYTES];
const CRYPTO_ERRORS: std::ops::Range<u64> = 0x100..0x200; // RFC 9001 §4.8: 0x100 + the TLS alert

/// Alerts of RFC 8446 §6.2.
mod alert {
    pub(super) const HANDSHAKE_FAILURE: u8 = 40;
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(super) const ACCESS_DENIED: u8 = 49;
    pub(super) const DECRYPT_ERROR: u8 = 51;
    pub(super) const CERTIFICATE_REQUIRED: u8 = 116;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

pub(crate) type Streams = (quinn::SendStream, quinn::RecvStream);

pub(crate) async fn claim(connection: &quinn::Connection) -> Result<Streams, HandshakeError> {
    let (mut to_peer, mut from_peer) = connection.open_bi().await.map_err(without_slot)?;
    greet(&mut to_peer).await?;
    hear_greeting(&mut from_peer).await?;
    Ok((to_peer, from_peer))
}

pub(crate) async fn let_in(connection: &quinn::Connection) -> Result<Streams, HandshakeError> {
    let (mut to_peer, mut from_peer) = connection.accept_bi().await.map_err(without_slot)?;
    hear_greeting(&mut from_peer).await?;
    greet(&mut to_peer).await?;
    Ok((to_peer, from_peer))
}

async fn greet(to_peer: &mut quinn::SendStream) -> Result<(), HandshakeError> {
    to_peer.write_all(&GREETING).await.map_err(|error| match error {
        quinn::WriteError::ConnectionLost(lost) => without_slot(lost),
        other => HandshakeError::BadHello(other.to_string()),
    })
}

async fn hear_greeting(from_peer: &mut quinn::RecvStream) -> Result<(), HandshakeError> {
    let mut heard = GREETING;
    match from_peer.read_exact(&mut heard).await {
        Ok(()) if heard == GREETING => Ok(()),
        Ok(()) => Err(HandshakeError::BadHello(format!("a greeting of {} bytes", u32::from_le_bytes(heard)))),
        Err(quinn::ReadExactError::ReadError(quinn::ReadError::ConnectionLost(lost))) => {
            Err(without_slot(lost))
        }
        Err(other) => Err(HandshakeError::BadHello(other.to_string())),
    }
}

/// What a failure of TLS means, with this side's own reason where this side refused.
pub(crate) fn failure(
    error: ConnectionError,
    slot: &RefusalSlot,
    protocol: Protocol,
    limit_ms: u64,
) -> HandshakeError {
    match &error {
        ConnectionError::TimedOut => HandshakeError::NoAnswer { limit_ms },
        ConnectionError::TransportError(local) => match (slot.get(), tls_alert(local.code)) {
            (Some(refusal), _) => refusal.into(),
            (None, Some(alert)) => refused_by_tls(alert, &local.reason, protocol).into(),
            (None, None) => without_slot(error),
        },
        _ => without_slot(error),
    }
}

fn without_slot(error: ConnectionError) -> HandshakeError {
    match LinkError::from(error) {
        LinkError::RefusedByPeer(reason) => HandshakeError::RefusedByPeer(reason),
        other => HandshakeError::Lost(other),
    }
}

fn tls_alert(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    CRYPTO_ERRORS.contains(&code).then_some((code & 0xff) as u8)
}

/// What TLS itself found wrong, without asking the verifier.
fn refused_by_tls(alert: u8, detail: &str, protocol: Protocol) -> Refusal {
    match alert {
        alert::CERTIFICATE_REQUIRED => Refusal::NoCertificate,
        alert::NO_APPLICATION_PROTOCOL => Refusal::OtherProtocol { ours: protocol.alpn },
        alert => Refusal::Tls { alert, detail: detail.to_owned() },
    }
}

fn told_by_peer(alert: u8) -> PeerReason {
    match alert {
        alert::ACCESS_DENIED => PeerReason::NotAllowed,
        alert::CERTIFICATE_REQUIRED => PeerReason::CertificateRequired,
        alert::CERTIFICATE_EXPIRED => PeerReason::CertificateNotValidNow,
        alert::DECRYPT_ERROR => PeerReason::BadSignature,
        alert::BAD_CERTIFICATE => PeerReason::BadCertificate,
        alert::NO_APPLICATION_PROTOCOL => PeerReason::OtherProtocol,
        alert::HANDSHAKE_FAILURE => PeerReason::NothingInCommon,
        other => PeerReason::Alert(other),
    }
}

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::LocallyClosed => Self::ClosedHere,
            ConnectionError::Reset => Self::PeerRestarted,
            ConnectionError::ApplicationClosed(closed) => {
                Self::ClosedByPeer(CloseReason::from_code(closed.error_code.into_inner()))
            }
            ConnectionError::ConnectionClosed(ref closed) => match tls_alert(closed.error_code) {
                Some(alert) => Self::RefusedByPeer(told_by_peer(alert)),
                None if closed.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                    Self::ClosedByPeer(CloseReason::Busy)
                }
                None => Self::Transport(error.to_string()),
            },
            other => Self::Transport(other.to_string()),
        }
    }
}
