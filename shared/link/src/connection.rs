//! One authenticated connection: datagrams, messages, and its end.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use quinn::VarInt;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::{
    DatagramError, DeviceId, DeviceRole, LinkError, MessageError,
    frames::{self, Assembler},
    handshake::Streams,
};

/// Messages waiting behind the one being sent; a sender waits for room.
pub const MESSAGES_QUEUED_MAX: usize = 16;

/// A connection to one device. Clones are the same connection; it closes when the last is dropped.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    quic: quinn::Connection,
    peer: DeviceId,
    role: DeviceRole,
    outbox: mpsc::Sender<Outgoing>,
    inbox: Mutex<Inbox>,
}

struct Inbox {
    stream: quinn::RecvStream,
    assembler: Assembler,
}

enum Outgoing {
    Message(Bytes),
    Finish(oneshot::Sender<Result<(), MessageError>>),
}

impl Connection {
    pub(crate) fn new(quic: quinn::Connection, peer: DeviceId, role: DeviceRole, streams: Streams) -> Self {
        let (outbox, queue) = mpsc::channel(MESSAGES_QUEUED_MAX);
        let (to_peer, from_peer) = streams;
        tokio::spawn(write_messages(to_peer, queue));
        let inbox = Mutex::new(Inbox { stream: from_peer, assembler: Assembler::new() });
        Self(Arc::new(Shared { quic, peer, role, outbox, inbox }))
    }

    /// Who is at the other end, as its handshake proved.
    #[must_use]
    pub fn peer(&self) -> DeviceId {
        self.0.peer
    }

    /// What it was allowed as when it connected.
    #[must_use]
    pub fn peer_role(&self) -> DeviceRole {
        self.0.role
    }

    /// Where its packets come from now; a peer may move between networks.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.0.quic.remote_address()
    }

    /// Whether both are one connection, rather than two to the same peer.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Sends without waiting: at most once, in any order, dropped rather than late.
    ///
    /// # Errors
    /// [`DatagramError::TooLarge`] above [`Connection::datagram_bytes_max`], or the connection's end.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramError> {
        let max = self.datagram_bytes_max();
        if datagram.len() > max {
            return Err(DatagramError::TooLarge { bytes: datagram.len(), max });
        }
        self.0.quic.send_datagram(datagram).map_err(|error| match error {
            quinn::SendDatagramError::ConnectionLost(lost) => LinkError::from(lost).into(),
            other => LinkError::Transport(other.to_string()).into(),
        })
    }

    /// The largest datagram that goes through. The same for the connection's whole life.
    #[must_use]
    pub fn datagram_bytes_max(&self) -> usize {
        self.0.quic.max_datagram_size().unwrap_or(0)
    }

    /// The oldest datagram not yet taken. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The connection's end.
    pub async fn recv_datagram(&self) -> Result<Bytes, LinkError> {
        self.0.quic.read_datagram().await.map_err(LinkError::from)
    }

    /// Queues a message, waiting for room. They arrive whole, once and in order, as long as the connection lives. If
    /// the future is dropped, the message is not sent.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`] above [`MESSAGE_BYTES_MAX`](crate::MESSAGE_BYTES_MAX), or the connection's end.
    pub async fn send_message(&self, message: Bytes) -> Result<(), MessageError> {
        frames::header(message.len())?;
        self.queue(Outgoing::Message(message)).await
    }

    /// The next message, or `None` once the peer has finished. Nothing is lost if the future is dropped. A peer that
    /// breaks the framing is disconnected.
    ///
    /// # Errors
    /// [`MessageError::TooLarge`] or [`MessageError::Truncated`] as the peer sent it, or the connection's end.
    pub async fn recv_message(&self) -> Result<Option<Bytes>, MessageError> {
        let mut inbox = self.0.inbox.lock().await;
        let received = inbox.next().await;
        if matches!(received, Err(MessageError::TooLarge { .. } | MessageError::Truncated { .. })) {
            self.close(CloseReason::Protocol);
        }
        received
    }

    /// Ends this side's messages, and waits until the peer has all of them. Call before [`Connection::close`] where
    /// the last message matters: closing throws away what is still under way.
    ///
    /// # Errors
    /// The connection's end, or [`MessageError::Finished`] the second time.
    pub async fn finish_messages(&self) -> Result<(), MessageError> {
        let (done, wait) = oneshot::channel();
        self.queue(Outgoing::Finish(done)).await?;
        wait.await.unwrap_or_else(|_| Err(self.no_more_messages()))
    }

    /// Ends the connection at once, for all its clones. The peer is told why; the first reason counts.
    pub fn close(&self, reason: CloseReason) {
        self.0.quic.close(reason.code(), b"");
    }

    /// Why the connection is no more, or `None` while it is.
    #[must_use]
    pub fn end(&self) -> Option<LinkError> {
        self.0.quic.close_reason().map(LinkError::from)
    }

    /// Waits for the connection's end.
    pub async fn closed(&self) -> LinkError {
        self.0.quic.closed().await.into()
    }

    /// Smoothed round trip to the peer, as the transport measures it (RFC 9002 §5.3).
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.0.quic.rtt()
    }

    pub(crate) fn path_stats(&self) -> quinn::PathStats {
        self.0.quic.stats().path
    }

    async fn queue(&self, next: Outgoing) -> Result<(), MessageError> {
        if let Some(end) = self.end() {
            return Err(end.into());
        }
        self.0.outbox.send(next).await.map_err(|_| self.no_more_messages())
    }

    fn no_more_messages(&self) -> MessageError {
        self.end().map_or(MessageError::Finished, MessageError::Link)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { peer, role, .. } = &*self.0;
        write!(f, "Connection({role} {peer:?} at {})", self.peer_addr())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.quic.close(CloseReason::Done.code(), b"");
    }
}

impl Inbox {
    async fn next(&mut self) -> Result<Option<Bytes>, MessageError> {
        loop {
            let wants = self.assembler.wants();
            match self.stream.read_chunk(wants, true).await {
                Ok(None) => return self.assembler.end().map(|()| None),
                Ok(Some(chunk)) => {
                    if let Some(message) = self.assembler.take(chunk.bytes)? {
                        return Ok(Some(message));
                    }
                }
                Err(quinn::ReadError::ConnectionLost(lost)) => return Err(LinkError::from(lost).into()),
                Err(other) => return Err(LinkError::Transport(other.to_string()).into()),
            }
        }
    }
}

/// Owns the stream, so that a sender whose future is dropped can't leave half a message in it. Ends with the
/// connection, whose error the next sender meets.
async fn write_messages(mut stream: quinn::SendStream, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(next) = queue.recv().await {
        match next {
            Outgoing::Message(message) => {
                if write_one(&mut stream, message).await.is_err() {
                    return;
                }
            }
            Outgoing::Finish(done) => {
                queue.close();
                let _ = done.send(finish(&mut stream).await); // whoever asked may have left
                return;
            }
        }
    }
}

async fn write_one(stream: &mut quinn::SendStream, message: Bytes) -> Result<(), MessageError> {
    let header = Bytes::copy_from_slice(&frames::header(message.len())?);
    let lost = |error: quinn::WriteError| MessageError::Link(LinkError::Transport(error.to_string()));
    stream.write_all_chunks(&mut [header, message]).await.map_err(lost)
}

async fn finish(stream: &mut quinn::SendStream) -> Result<(), MessageError> {
    stream.finish().map_err(|_| MessageError::Finished)?;
    match stream.stopped().await {
        Ok(None) => Ok(()),
        Ok(Some(code)) => {
            Err(LinkError::Transport(format!("the peer takes no more messages ({code})")).into())
        }
        Err(quinn::StoppedError::ConnectionLost(lost)) => Err(LinkError::from(lost).into()),
        Err(other) => Err(LinkError::Transport(other.to_string()).into()),
    }
}

/// Why a connection is closed on purpose; the peer receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing more to say.
    Done,
    /// A newer connection from the same device takes its place.
    Replaced,
    /// The peer broke the protocol.
    Protocol,
    /// As many connections as this device takes.
    Busy,
    /// This program ends.
    ShuttingDown,
    /// The peer is not allowed any more.
    Forbidden,
    /// What this was a path of is over, or unknown there.
    Over,
    /// A reason of a newer version, or of the protocol above.
    Other(u32),
}

impl CloseReason {
    fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Done => 0,
            Self::Replaced => 1,
            Self::Protocol => 2,
            Self::Busy => 3,
            Self::ShuttingDown => 4,
            Self::Forbidden => 5,
            Self::Over => 6,
            Self::Other(code) => code,
        })
    }

    pub(crate) fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Replaced,
            2 => Self::Protocol,
            3 => Self::Busy,
            4 => Self::ShuttingDown,
            5 => Self::Forbidden,
            6 => Self::Over,
            other => Self::Other(u32::try_from(other).unwrap_or(u32::MAX)),
        }
    }

    pub(crate) fn close(self, quic: &quinn::Connection) {
        quic.close(self.code(), b"");
    }

    pub(crate) fn close_all(self, socket: &quinn::Endpoint) {
        socket.close(self.code(), b"");
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("nothing more to say"),
            Self::Replaced => f.write_str("replaced by a newer connection"),
            Self::Protocol => f.write_str("this side broke the protocol"),
            Self::Busy => f.write_str("it has as many connections as it takes"),
            Self::ShuttingDown => f.write_str("it is shutting down"),
            Self::Forbidden => f.write_str("this device is not allowed any more"),
            Self::Over => f.write_str("what this was a path of is over"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}
