//! A device's UDP socket: connects to peers, and accepts them.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

use quinn::{
    Incoming, Side,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
    rustls::pki_types::CertificateDer,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use crate::{
    BindError, CloseReason, Connection, DeviceId, DeviceKey, HandshakeError, LinkConfig, Peers, Protocol,
    Refusal, certificate, config, handshake,
    tls::{Identity, RefusalSlot},
};

const ACCEPTED_QUEUED_MAX: usize = 16;
const REFUSED_QUEUED_MAX: usize = 64;
/// TLS wants a name to connect to. Peers are known by their keys, so this one means nothing and is not sent.
const NO_NAME: &str = "device.invalid";

/// One UDP socket that speaks one protocol, both ways. Clones are the same endpoint; when the last is dropped it
/// accepts no more, and the connections that stand live on.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: quinn::Endpoint,
    home: Arc<Home>,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    refused: Mutex<mpsc::Receiver<Refused>>,
    accepting: Option<AbortHandle>,
}

/// What every handshake of this endpoint needs.
#[derive(Debug)]
struct Home {
    identity: Identity,
    config: LinkConfig,
    refusals_missed: AtomicU64,
}

/// A peer that wanted in and did not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where its packets came from.
    pub addr: SocketAddr,
    pub why: HandshakeError,
}

impl Endpoint {
    /// Binds `addr` to accept `protocol` from `peers`, and to connect to them. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] if the port is taken or `config` is out of range.
    pub fn bind(
        addr: SocketAddr,
        key: &DeviceKey,
        peers: Peers,
        protocol: Protocol,
        config: LinkConfig,
    ) -> Result<Self, BindError> {
        Self::open(addr, key, peers, protocol, config, true)
    }

    /// Binds `addr` to connect only: nobody can connect to it.
    ///
    /// # Errors
    /// As of [`Endpoint::bind`].
    pub fn bind_connecting(
        addr: SocketAddr,
        key: &DeviceKey,
        peers: Peers,
        protocol: Protocol,
        config: LinkConfig,
    ) -> Result<Self, BindError> {
        Self::open(addr, key, peers, protocol, config, false)
    }

    fn open(
        addr: SocketAddr,
        key: &DeviceKey,
        peers: Peers,
        protocol: Protocol,
        config: LinkConfig,
        accepts: bool,
    ) -> Result<Self, BindError> {
        config.check()?;
        let home = Home {
            identity: Identity::new(key, peers, protocol)?,
            config,
            refusals_missed: AtomicU64::new(0),
        };
        let server = if accepts { Some(home.server_config()?.0) } else { None };
        let socket =
            open_socket(addr, key, protocol, server).map_err(|source| BindError::Socket { addr, source })?;
        let home = Arc::new(home);
        let (to_accepted, accepted) = mpsc::channel(ACCEPTED_QUEUED_MAX);
        let (to_refused, refused) = mpsc::channel(REFUSED_QUEUED_MAX);
        let gate = Gate { home: home.clone(), accepted: to_accepted, refused: to_refused };
        let accepting = accepts.then(|| tokio::spawn(gate.run(socket.clone())).abort_handle());
        Ok(Self(Arc::new(Shared {
            socket,
            home,
            accepted: accepted.into(),
            refused: refused.into(),
            accepting,
        })))
    }

    /// The address bound, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// What the system says of the socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket.local_addr()
    }

    /// Connects to `expected` at `addr`. A connection is there only once the peer, too, has let this device in.
    ///
    /// # Errors
    /// [`HandshakeError`]: who refused whom and why, or no answer within `handshake_ms_max`.
    pub async fn connect(&self, addr: SocketAddr, expected: DeviceId) -> Result<Connection, HandshakeError> {
        self.0.home.in_time(async { self.dial(addr, expected).await?.claim().await }).await
    }

    /// The next device let in. `None` after [`Endpoint::close`]. One device may have several connections: which
    /// counts is for the layer above to say. Nothing is lost if the future is dropped.
    pub async fn accept(&self) -> Option<Connection> {
        self.0.accepted.lock().await.recv().await
    }

    /// The next peer that was refused. `None` after [`Endpoint::close`]. Peers that only went away are not listed.
    pub async fn refused(&self) -> Option<Refused> {
        self.0.refused.lock().await.recv().await
    }

    /// Refusals that nobody had taken when more came, in all.
    #[must_use]
    pub fn refusals_missed(&self) -> u64 {
        self.0.home.refusals_missed.load(Ordering::Relaxed)
    }

    /// Closes every connection and accepts no more, and waits until the peers have been told.
    pub async fn close(&self, reason: CloseReason) {
        reason.close_all(&self.0.socket);
        let told = self.0.socket.wait_idle();
        let _ = timeout(self.0.home.config.handshake_max(), told).await; // a peer that is gone can't be told
    }

    /// The QUIC handshake, up to where the peer's identity is proved; nothing is claimed yet.
    pub(crate) async fn dial(&self, addr: SocketAddr, expected: DeviceId) -> Result<Dialled, HandshakeError> {
        let (connecting, slot) = self.begin(addr, expected)?;
        let home = self.0.home.clone();
        let quic = connecting.await.map_err(|error| home.failure(error, &slot))?;
        Ok(Dialled { quic, home })
    }

    fn begin(
        &self,
        addr: SocketAddr,
        expected: DeviceId,
    ) -> Result<(quinn::Connecting, RefusalSlot), HandshakeError> {
        let refuse = |detail: String| HandshakeError::Address { addr, detail };
        let (config, slot) =
            self.0.home.client_config(expected).map_err(|error| refuse(error.to_string()))?;
        let connecting =
            self.0.socket.connect_with(config, addr, NO_NAME).map_err(|error| refuse(error.to_string()))?;
        Ok((connecting, slot))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

/// Connected as far as QUIC goes. Dropped, it is closed and the peer's upper layer never hears of it.
pub(crate) struct Dialled {
    quic: quinn::Connection,
    home: Arc<Home>,
}

impl Dialled {
    pub(crate) async fn claim(self) -> Result<Connection, HandshakeError> {
        let streams = handshake::claim(&self.quic).await?;
        self.home.admit(self.quic, streams)
    }
}

impl Home {
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, HandshakeError>>,
    ) -> Result<T, HandshakeError> {
        let limit_ms = self.config.handshake_ms_max;
        timeout(self.config.handshake_max(), work).await.unwrap_or(Err(HandshakeError::NoAnswer { limit_ms }))
    }

    fn client_config(&self, expected: DeviceId) -> Result<(quinn::ClientConfig, RefusalSlot), rustls::Error> {
        let (tls, slot) = self.identity.client(expected)?;
        let crypto = QuicClientConfig::try_from(tls).map_err(no_initial_suite)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.config.transport(Side::Client));
        config.token_store(Arc::new(quinn::NoneTokenStore));
        Ok((config, slot))
    }

    fn server_config(&self) -> Result<(quinn::ServerConfig, RefusalSlot), rustls::Error> {
        let (tls, slot) = self.identity.server()?;
        let crypto = QuicServerConfig::try_from(tls).map_err(no_initial_suite)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(self.config.transport(Side::Server));
        config.validation_token.sent(0); // an address is proved anew each time, and nothing links two connections
        Ok((config, slot))
    }

    fn failure(&self, error: quinn::ConnectionError, slot: &RefusalSlot) -> HandshakeError {
        handshake::failure(error, slot, self.identity.protocol(), self.config.handshake_ms_max)
    }

    /// The peer was checked in the handshake; it may have been forbidden since.
    fn admit(
        &self,
        quic: quinn::Connection,
        streams: handshake::Streams,
    ) -> Result<Connection, HandshakeError> {
        let id = identity_of(&quic)?;
        match self.identity.role(&id) {
            Some(role) => Ok(Connection::new(quic, id, role, streams)),
            None => {
                CloseReason::Forbidden.close(&quic);
                Err(Refusal::UnknownDevice { id }.into())
            }
        }
    }

    async fn let_in(&self, incoming: Incoming) -> Result<Connection, HandshakeError> {
        let (config, slot) =
            self.server_config().map_err(|error| HandshakeError::BadHello(error.to_string()))?;
        let connecting =
            incoming.accept_with(Arc::new(config)).map_err(|error| self.failure(error, &slot))?;
        let quic = connecting.await.map_err(|error| self.failure(error, &slot))?;
        let streams = handshake::let_in(&quic).await?;
        self.admit(quic, streams)
    }
}

fn identity_of(quic: &quinn::Connection) -> Result<DeviceId, Refusal> {
    let shown = quic.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    certificate::owner_of(shown.as_deref().and_then(|chain| chain.first()).ok_or(Refusal::NoCertificate)?)
}

fn no_initial_suite(_: quinn::crypto::rustls::NoInitialCipherSuite) -> rustls::Error {
    rustls::Error::General("TLS_AES_128_GCM_SHA256, which QUIC begins with, is missing".into())
}

fn open_socket(
    addr: SocketAddr,
    key: &DeviceKey,
    protocol: Protocol,
    server: Option<quinn::ServerConfig>,
) -> io::Result<quinn::Endpoint> {
    let socket = UdpSocket::bind(addr)?;
    let config = config::endpoint_config(key, protocol.alpn, socket.local_addr()?.port());
    quinn::Endpoint::new(config, server, socket, Arc::new(quinn::TokioRuntime))
}

/// Lets peers in, each in a task of its own, so that a slow one holds up nobody.
struct Gate {
    home: Arc<Home>,
    accepted: mpsc::Sender<Connection>,
    refused: mpsc::Sender<Refused>,
}

impl Gate {
    /// **Every incoming packet of an unknown peer ends here: at most `handshakes_max` are served at a time, and from
    /// half of that on only peers that proved to own their address.**
    async fn run(self, socket: quinn::Endpoint) {
        let gate = Arc::new(self);
        let mut handshakes = JoinSet::new();
        while let Some(incoming) = socket.accept().await {
            while handshakes.try_join_next().is_some() {}
            let config = &gate.home.config;
            let crowded = handshakes.len() >= config.handshakes_max / 2;
            if handshakes.len() >= config.handshakes_max
                || socket.open_connections() >= config.connections_max
            {
                incoming.refuse();
            } else if crowded && !incoming.remote_address_validated() {
                let _ = incoming.retry(); // fails only for an address that is validated
            } else {
                handshakes.spawn(gate.clone().serve(incoming));
            }
        }
    }

    async fn serve(self: Arc<Self>, incoming: Incoming) {
        let addr = incoming.remote_address();
        match self.home.in_time(self.home.let_in(incoming)).await {
            Ok(connection) => self.hand_over(connection).await,
            Err(HandshakeError::Lost(why)) => {
                tracing::debug!(%addr, %why, "a peer left before it was connected")
            }
            Err(why) => self.report(Refused { addr, why }),
        }
    }

    async fn hand_over(&self, connection: Connection) {
        let limit = self.home.config.handshake_max();
        if let Err(mpsc::error::SendTimeoutError::Timeout(connection)) =
            self.accepted.send_timeout(connection, limit).await
        {
            connection.close(CloseReason::Busy);
        }
    }

    fn report(&self, refused: Refused) {
        if self.refused.try_send(refused).is_err() {
            self.home.refusals_missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
