//! The devices of these tests: well-behaved ones, and rogues that can do what a well-behaved one never would.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use farhand_link::{
    Connection, DeviceId, DeviceKey, DeviceRole, Endpoint, HandshakeError, LinkConfig, Peers, Protocol,
    Refused,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    ConfigBuilder, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        Resumption, WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use tokio::time::timeout;

/// Long enough that only a hang reaches it: no test is decided by time.
const HANG: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(HANG, work).await.expect("something hangs")
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub(crate) fn key() -> DeviceKey {
    DeviceKey::generate().unwrap()
}

/// An edge box and a kit that know each other.
pub(crate) struct Site {
    pub(crate) edge_key: DeviceKey,
    pub(crate) kit_key: DeviceKey,
    pub(crate) peers: Peers,
}

impl Site {
    pub(crate) fn new() -> Self {
        let (edge_key, kit_key, peers) = (key(), key(), Peers::new());
        peers.allow(edge_key.id(), DeviceRole::Edge).unwrap();
        peers.allow(kit_key.id(), DeviceRole::Kit).unwrap();
        Self { edge_key, kit_key, peers }
    }

    pub(crate) fn kit(&self) -> Endpoint {
        self.bind(&self.kit_key, Protocol::KIT)
    }

    pub(crate) fn edge(&self) -> Endpoint {
        self.bind(&self.edge_key, Protocol::KIT)
    }

    pub(crate) fn bind(&self, key: &DeviceKey, protocol: Protocol) -> Endpoint {
        Endpoint::bind(loopback(0), key, self.peers.clone(), protocol, LinkConfig::default()).unwrap()
    }

    /// A device with a key that the site does not know, but that knows the site.
    pub(crate) fn stranger(&self, as_role: DeviceRole) -> (DeviceKey, Endpoint) {
        let stranger = key();
        let peers = Peers::new();
        peers.allow(self.kit_key.id(), DeviceRole::Kit).unwrap();
        peers.allow(self.edge_key.id(), DeviceRole::Edge).unwrap();
        peers.allow(stranger.id(), as_role).unwrap();
        let endpoint =
            Endpoint::bind(loopback(0), &stranger, peers, Protocol::KIT, LinkConfig::default()).unwrap();
        (stranger, endpoint)
    }

    /// Both ends of one connection: the edge's, the kit's. The endpoints live as long.
    pub(crate) async fn connected(&self) -> (Connection, Connection) {
        let (kit, edge) = (self.kit(), self.edge());
        meet(&edge, &kit, self.kit_key.id()).await
    }
}

pub(crate) async fn meet(from: &Endpoint, to: &Endpoint, id: DeviceId) -> (Connection, Connection) {
    let addr = to.local_addr().unwrap();
    let (near, far) = soon(async { tokio::join!(from.connect(addr, id), to.accept()) }).await;
    (near.unwrap(), far.unwrap())
}

/// What both say of a connection that must not come about, and that nothing was let in.
pub(crate) async fn turned_away(
    attempt: impl Future<Output = Result<Connection, HandshakeError>>,
    to: &Endpoint,
) -> (HandshakeError, HandshakeError) {
    let met = async { tokio::join!(attempt, to.refused()) };
    tokio::select! {
        (near, far) = soon(met) => {
            let Refused { why, .. } = far.unwrap();
            (near.expect_err("the connecting end must not have a connection"), why)
        }
        let_in = to.accept() => panic!("let in {let_in:?}"),
    }
}

/// A client that says whatever its test needs.
pub(crate) struct Rogue {
    pub(crate) key: DeviceKey,
    pub(crate) certificate: Option<CertificateDer<'static>>,
    pub(crate) alpn: &'static str,
    pub(crate) provider: CryptoProvider,
}

impl Rogue {
    /// At first, like the device itself.
    pub(crate) fn with_key_of(key: &DeviceKey) -> Self {
        Self {
            key: key.clone(),
            certificate: Some(certificate(key, 0, 10)),
            alpn: Protocol::KIT.alpn,
            provider: aws_lc_rs::default_provider(),
        }
    }

    pub(crate) fn endpoint(&self) -> quinn::Endpoint {
        let mut endpoint = quinn::Endpoint::client(loopback(0)).unwrap();
        endpoint.set_default_client_config(self.client_config());
        endpoint
    }

    /// As [`Rogue::endpoint`], with a certificate and a key that need not belong together.
    pub(crate) fn endpoint_showing(&self, shown: CertifiedKey) -> quinn::Endpoint {
        let resolver = Arc::new(SingleCertAndKey::from(shown));
        let mut endpoint = quinn::Endpoint::client(loopback(0)).unwrap();
        endpoint.set_default_client_config(self.quic(self.builder().with_client_cert_resolver(resolver)));
        endpoint
    }

    fn builder(&self) -> ConfigBuilder<rustls::ClientConfig, WantsClientCert> {
        rustls::ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible))
    }

    fn client_config(&self) -> quinn::ClientConfig {
        self.quic(match &self.certificate {
            Some(shown) => {
                self.builder().with_client_auth_cert(vec![shown.clone()], private_key(&self.key)).unwrap()
            }
            None => self.builder().with_no_client_auth(),
        })
    }

    fn quic(&self, mut tls: rustls::ClientConfig) -> quinn::ClientConfig {
        tls.alpn_protocols = vec![self.alpn.into()];
        tls.resumption = Resumption::in_memory_sessions(8);
        tls.enable_early_data = true;
        quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
    }

    /// A server that shows this rogue's certificate, takes anybody, and gives out tickets for early data.
    pub(crate) fn server(&self) -> quinn::Endpoint {
        let shown = self.certificate.clone().unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(Gullible))
            .with_single_cert(vec![shown], private_key(&self.key))
            .unwrap();
        tls.alpn_protocols = vec![self.alpn.into()];
        tls.max_early_data_size = u32::MAX;
        let crypto = QuicServerConfig::try_from(tls).unwrap();
        quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), loopback(0)).unwrap()
    }
}

/// A certificate of `key` that is valid from `from_days` to `to_days` from now.
pub(crate) fn certificate(key: &DeviceKey, from_days: i64, to_days: i64) -> CertificateDer<'static> {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = in_days(from_days).into();
    params.not_after = in_days(to_days).into();
    let pair = rcgen::KeyPair::try_from(&private_key(key)).unwrap();
    params.self_signed(&pair).unwrap().der().clone()
}

fn in_days(days: i64) -> SystemTime {
    let span = Duration::from_secs(days.unsigned_abs() * 24 * 3600);
    if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
}

/// PKCS #8 version 1 of an Ed25519 seed (RFC 8410 §7).
pub(crate) fn private_key(key: &DeviceKey) -> PrivateKeyDer<'static> {
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = [&PREFIX[..], key.signing_key().as_bytes()].concat();
    PrivateKeyDer::try_from(der).unwrap()
}

/// Believes every certificate, as no device does.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Gullible {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
