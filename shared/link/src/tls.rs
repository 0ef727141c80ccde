//! TLS 1.3 by pinned keys.
//!
//! **Invariant (local):** a handshake succeeds only with a peer that holds the key of the one certificate it showed,
//! whose key is in the list of peers in a role the protocol takes, and over X25519MLKEM768.
//!
//! A verifier is made for one handshake and puts its typed refusal into a slot of that handshake, because TLS itself
//! carries no more than an alert's number.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use ed25519_dalek::ed25519::signature::Signer as _;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::TLS13,
};

use crate::{BindError, DeviceId, DeviceKey, DeviceRole, Peers, Protocol, Refusal, certificate};

static ED25519_ONLY: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ED25519],
    mapping: &[(SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519])],
};

/// What one endpoint brings to every handshake.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    provider: Arc<CryptoProvider>,
    shown: Arc<SingleCertAndKey>,
    peers: Peers,
    protocol: Protocol,
}

impl Identity {
    pub(crate) fn new(key: &DeviceKey, peers: Peers, protocol: Protocol) -> Result<Self, BindError> {
        let certificate = certificate::self_signed(key, SystemTime::now())?;
        let shown = CertifiedKey::new(vec![certificate], Arc::new(TlsKey(key.clone())));
        Ok(Self { provider: Arc::new(provider()), shown: Arc::new(shown.into()), peers, protocol })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn role(&self, id: &DeviceId) -> Option<DeviceRole> {
        self.peers.role(id)
    }

    /// To connect to `expected` and nobody else, once.
    pub(crate) fn client(&self, expected: DeviceId) -> Result<(ClientConfig, RefusalSlot), Error> {
        let verifier = self.verifier(Some(expected), self.protocol.accepting);
        let slot = verifier.slot.clone();
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous() // rustls' word for a verifier of one's own; this one asks for more, not less
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.shown.clone());
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        config.alpn_protocols = self.alpn();
        Ok((config, slot))
    }

    /// To accept one connection from any peer in the right role.
    pub(crate) fn server(&self) -> Result<(ServerConfig, RefusalSlot), Error> {
        let verifier = self.verifier(None, self.protocol.connecting);
        let slot = verifier.slot.clone();
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(self.shown.clone());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.alpn_protocols = self.alpn();
        Ok((config, slot))
    }

    fn alpn(&self) -> Vec<Vec<u8>> {
        vec![self.protocol.alpn.into()]
    }

    fn verifier(&self, expected: Option<DeviceId>, wanted: &'static [DeviceRole]) -> Verifier {
        Verifier { peers: self.peers.clone(), expected, wanted, slot: RefusalSlot::default() }
    }
}

/// One key exchange alone: both ends are this program, so there is nothing to fall back for, and nothing to fall
/// back to that a later quantum computer reads.
fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..aws_lc_rs::default_provider() }
}

/// The reason of one handshake's refusal. The first stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusalSlot(Arc<OnceLock<Refusal>>);

impl RefusalSlot {
    pub(crate) fn get(&self) -> Option<Refusal> {
        self.0.get().cloned()
    }

    fn put(&self, refusal: &Refusal) {
        let _ = self.0.set(refusal.clone()); // a later one changes nothing
    }
}

#[derive(Debug)]
struct Verifier {
    peers: Peers,
    expected: Option<DeviceId>,
    wanted: &'static [DeviceRole],
    slot: RefusalSlot,
}

impl Verifier {
    fn verify(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        self.judge(shown, others, now).map_err(|refusal| {
            self.slot.put(&refusal);
            alert_for(&refusal).into()
        })
    }

    fn judge(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        if !others.is_empty() {
            return Err(Refusal::ChainPresented { count: others.len() });
        }
        let id = certificate::check(shown, now)?;
        if let Some(expected) = self.expected.filter(|expected| *expected != id) {
            return Err(Refusal::UnexpectedDevice { id, expected });
        }
        let role = self.peers.role(&id).ok_or(Refusal::UnknownDevice { id })?;
        match self.wanted.contains(&role) {
            true => Ok(()),
            false => Err(Refusal::WrongRole { id, role, wanted: self.wanted }),
        }
    }

    fn verify_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &ED25519_ONLY)
            .inspect_err(|_| self.slot.put(&Refusal::BadHandshakeSignature))
    }
}

/// What the peer is told: its alert only, and no more than it may know.
fn alert_for(refusal: &Refusal) -> CertificateError {
    match refusal {
        Refusal::Expired { .. } => CertificateError::Expired,
        Refusal::NotYetValid { .. } => CertificateError::NotValidYet,
        Refusal::Tampered => CertificateError::BadSignature,
        Refusal::ChainPresented { .. } | Refusal::NotEd25519 | Refusal::BadCertificate { .. } => {
            CertificateError::BadEncoding
        }
        _ => CertificateError::ApplicationVerificationFailure,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ED25519_ONLY.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ED25519_ONLY.supported_schemes()
    }
}

/// The device's key where rustls needs to sign; the secret stays where it is.
#[derive(Clone)]
struct TlsKey(DeviceKey);

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.signing_key().sign(message).to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion,
        quic::{ClientConnection, KeyChange, ServerConnection, Version},
    };

    use super::*;

    const PROTOCOL: Protocol = Protocol::KIT;

    struct Pair {
        edge: Identity,
        kit: Identity,
        kit_id: DeviceId,
    }

    fn pair() -> Pair {
        let (edge, kit) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
        let peers = Peers::new();
        peers.allow(edge.id(), DeviceRole::Edge).unwrap();
        peers.allow(kit.id(), DeviceRole::Kit).unwrap();
        let identity = |key| Identity::new(key, peers.clone(), PROTOCOL).unwrap();
        Pair { edge: identity(&edge), kit: identity(&kit), kit_id: kit.id() }
    }

    /// Both ends of one TLS handshake, run to its end in memory.
    fn handshake(
        client: Arc<ClientConfig>,
        server: Arc<ServerConfig>,
    ) -> (ClientConnection, ServerConnection) {
        let name = ServerName::try_from("device.invalid").unwrap();
        let mut client = ClientConnection::new(client, Version::V1, name, vec![]).unwrap();
        let mut server = ServerConnection::new(server, Version::V1, vec![]).unwrap();
        for _ in 0..4 {
            for bytes in flights(|out| client.write_hs(out)) {
                server.read_hs(&bytes).unwrap();
            }
            for bytes in flights(|out| server.write_hs(out)) {
                client.read_hs(&bytes).unwrap();
            }
        }
        (client, server)
    }

    /// Everything one end has to say now, cut where the keys change.
    fn flights(mut write: impl FnMut(&mut Vec<u8>) -> Option<KeyChange>) -> Vec<Vec<u8>> {
        let mut flights = vec![];
        loop {
            let mut out = vec![];
            let change = write(&mut out);
            let more = change.is_some() || !out.is_empty();
            flights.push(out);
            if !more {
                return flights;
            }
        }
    }

    /// Goal: what two devices agree on is TLS 1.3, our protocol, and a key that a quantum computer does not find.
    #[test]
    fn two_devices_agree_on_a_post_quantum_key() {
        let Pair { edge, kit, kit_id } = pair();
        let (client, _) = edge.client(kit_id).unwrap();
        let (server, _) = kit.server().unwrap();
        let (client, server) = handshake(Arc::new(client), Arc::new(server));
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(server.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(server.alpn_protocol(), Some(PROTOCOL.alpn.as_bytes()));
        assert_ne!(server.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_CCM_SHA256);
    }

    /// Goal: a client that keeps tickets and wants early data gets neither from our server: each handshake is whole.
    #[test]
    fn a_server_gives_nothing_to_resume_with() {
        let Pair { edge, kit, kit_id } = pair();
        let (mut eager, _) = edge.client(kit_id).unwrap();
        eager.resumption = Resumption::in_memory_sessions(8);
        eager.enable_early_data = true;
        let eager = Arc::new(eager);
        for _ in 0..2 {
            let (server, _) = kit.server().unwrap();
            let (client, server) = handshake(eager.clone(), Arc::new(server));
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
            assert!(!client.is_early_data_accepted() && client.zero_rtt_keys().is_none());
            assert!(server.zero_rtt_keys().is_none());
        }
    }

    /// Goal: our client takes no ticket even from a server that hands them out and allows early data.
    #[test]
    fn a_client_never_resumes() {
        let Pair { edge, kit, kit_id } = pair();
        let (mut generous, _) = kit.server().unwrap();
        generous.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
        generous.send_tls13_tickets = 2;
        generous.max_early_data_size = u32::MAX;
        let generous = Arc::new(generous);
        let client = Arc::new(edge.client(kit_id).unwrap().0);
        for _ in 0..2 {
            let (client, server) = handshake(client.clone(), generous.clone());
            assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
            assert!(client.zero_rtt_keys().is_none() && server.zero_rtt_keys().is_none());
        }
    }
}
