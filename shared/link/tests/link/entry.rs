//! Who gets in.

use bytes::Bytes;
use farhand_link::{
    BindError, CloseReason, DeviceRole, Endpoint, HandshakeError, LinkConfig, LinkError, PeerReason, Peers,
    Protocol, Refusal,
};
use quinn::ConnectionError;
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    sign::CertifiedKey,
};

use crate::cast::{Rogue, Site, certificate, key, loopback, meet, private_key, soon, turned_away};

/// Goal: the right pair gets through, and each end knows exactly whom it has.
#[tokio::test]
async fn two_devices_that_know_each_other_connect() {
    let site = Site::new();
    let (edge, kit) = site.connected().await;
    assert_eq!((edge.peer(), edge.peer_role()), (site.kit_key.id(), DeviceRole::Kit));
    assert_eq!((kit.peer(), kit.peer_role()), (site.edge_key.id(), DeviceRole::Edge));
    edge.send_datagram(Bytes::from_static(b"command")).unwrap();
    assert_eq!(soon(kit.recv_datagram()).await.unwrap(), "command");
    assert!(!edge.rtt().is_zero());
}

/// Goal: a key that the kit does not have is refused at the kit, and the stranger is told so before it has anything.
#[tokio::test]
async fn an_unknown_key_is_refused() {
    let site = Site::new();
    let kit = site.kit();
    let (stranger_key, stranger) = site.stranger(DeviceRole::Edge);
    let attempt = stranger.connect(kit.local_addr().unwrap(), site.kit_key.id());
    let (near, far) = turned_away(attempt, &kit).await;
    assert_eq!(near, HandshakeError::RefusedByPeer(PeerReason::NotAllowed));
    assert_eq!(far, Refusal::UnknownDevice { id: stranger_key.id() }.into());
}

/// Goal: whoever sits at the kit's address with another key is refused by the edge, and hears no command.
#[tokio::test]
async fn an_impostor_at_the_kits_address_is_refused() {
    let site = Site::new();
    let (impostor_key, impostor) = site.stranger(DeviceRole::Kit);
    let edge = site.edge();
    let attempt = edge.connect(impostor.local_addr().unwrap(), site.kit_key.id());
    let (near, far) = turned_away(attempt, &impostor).await;
    let refusal = Refusal::UnexpectedDevice { id: impostor_key.id(), expected: site.kit_key.id() };
    assert_eq!(near, refusal.into());
    assert_eq!(far, HandshakeError::RefusedByPeer(PeerReason::NotAllowed));
}

/// Goal: a known key opens only the doors of its own role, at either end.
#[tokio::test]
async fn a_known_key_in_the_wrong_role_is_refused() {
    let site = Site::new();
    let (kit, cloud_key) = (site.kit(), key());
    site.peers.allow(cloud_key.id(), DeviceRole::Cloud).unwrap();
    let cloud = site.bind(&cloud_key, Protocol::KIT);
    let attempt = cloud.connect(kit.local_addr().unwrap(), site.kit_key.id());
    let (near, far) = turned_away(attempt, &kit).await;
    let wrong = |wanted| Refusal::WrongRole { id: cloud_key.id(), role: DeviceRole::Cloud, wanted };
    assert_eq!(near, HandshakeError::RefusedByPeer(PeerReason::NotAllowed));
    assert_eq!(far, wrong(&[DeviceRole::Edge]).into());

    let edge = site.edge();
    let attempt = edge.connect(cloud.local_addr().unwrap(), cloud_key.id());
    let (near, far) = turned_away(attempt, &cloud).await;
    assert_eq!(near, wrong(&[DeviceRole::Kit]).into());
    assert_eq!(far, HandshakeError::RefusedByPeer(PeerReason::NotAllowed));
}

/// Goal: two versions of a protocol do not talk past each other.
#[tokio::test]
async fn another_protocol_is_refused() {
    let site = Site::new();
    let newer = Protocol { alpn: "farhand-kit/3", ..Protocol::KIT };
    let (kit, edge) = (site.kit(), site.bind(&site.edge_key, newer));
    let attempt = edge.connect(kit.local_addr().unwrap(), site.kit_key.id());
    let (near, far) = turned_away(attempt, &kit).await;
    assert_eq!(near, HandshakeError::RefusedByPeer(PeerReason::OtherProtocol));
    assert_eq!(far, Refusal::OtherProtocol { ours: Protocol::KIT.alpn }.into());
}

/// Goal: a device that may no longer connect is refused from the next handshake on, and one that newly may, is not.
#[tokio::test]
async fn a_change_of_the_list_holds_from_the_next_handshake() {
    let site = Site::new();
    let (kit, edge) = (site.kit(), site.edge());
    site.peers.forbid(&site.edge_key.id());
    let attempt = edge.connect(kit.local_addr().unwrap(), site.kit_key.id());
    let (_, far) = turned_away(attempt, &kit).await;
    assert_eq!(far, Refusal::UnknownDevice { id: site.edge_key.id() }.into());
    site.peers.allow(site.edge_key.id(), DeviceRole::Edge).unwrap();
    meet(&edge, &kit, site.kit_key.id()).await;
}

/// What a kit says of a rogue, and the alert that the rogue gets. The rogue sends a command as soon as it can, and
/// nothing of it must be delivered.
async fn judged(rogue: Rogue, site: &Site) -> (HandshakeError, u64) {
    let kit = site.kit();
    let (addr, client) = (kit.local_addr().unwrap(), rogue.endpoint());
    let sent = async {
        let connection = match client.connect(addr, "device.invalid").unwrap().await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        let _ = connection.send_datagram(Bytes::from_static(b"command"));
        if let Ok((mut stream, _)) = connection.open_bi().await {
            let _ = stream.write_all(&[0; 4]).await;
        }
        connection.closed().await
    };
    let (told, refused) = tokio::select! {
        both = soon(async { tokio::join!(sent, kit.refused()) }) => both,
        let_in = kit.accept() => panic!("let in {let_in:?}"),
    };
    let ConnectionError::ConnectionClosed(told) = told else { panic!("not told: {told:?}") };
    (refused.unwrap().why, u64::from(told.error_code) - 0x100)
}

/// Goal: nobody gets in without a certificate.
#[tokio::test]
async fn no_certificate_is_refused() {
    let site = Site::new();
    let rogue = Rogue { certificate: None, ..Rogue::with_key_of(&site.edge_key) };
    assert_eq!(judged(rogue, &site).await, (Refusal::NoCertificate.into(), 116));
}

/// Goal: a certificate of the right key is worth nothing outside its time.
#[tokio::test]
async fn a_certificate_outside_its_time_is_refused() {
    let site = Site::new();
    let expired = Rogue {
        certificate: Some(certificate(&site.edge_key, -20, -1)),
        ..Rogue::with_key_of(&site.edge_key)
    };
    let (why, alert) = judged(expired, &site).await;
    assert!(
        matches!(why, HandshakeError::Refused(Refusal::Expired { not_after_s, now_s }) if not_after_s < now_s)
    );
    assert_eq!(alert, 45);
    let early =
        Rogue { certificate: Some(certificate(&site.edge_key, 1, 20)), ..Rogue::with_key_of(&site.edge_key) };
    let (why, alert) = judged(early, &site).await;
    assert!(matches!(why, HandshakeError::Refused(Refusal::NotYetValid { .. })), "{why}");
    assert_eq!(alert, 45);
}

/// Goal: a certificate that was altered after it was signed is refused, though its key is right.
#[tokio::test]
async fn a_tampered_certificate_is_refused() {
    let site = Site::new();
    let mut altered = certificate(&site.edge_key, 0, 10).to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let rogue = Rogue { certificate: Some(altered.into()), ..Rogue::with_key_of(&site.edge_key) };
    assert_eq!(judged(rogue, &site).await, (Refusal::Tampered.into(), 51));
}

/// Goal: to show the edge's certificate is not to be the edge: the handshake must be signed with its key.
#[tokio::test]
async fn a_stolen_certificate_without_its_key_is_refused() {
    let site = Site::new();
    let (kit, thief) = (site.kit(), Rogue::with_key_of(&key()));
    let own_key = thief.provider.key_provider.load_private_key(private_key(&thief.key)).unwrap();
    let stolen = CertifiedKey::new(vec![certificate(&site.edge_key, 0, 10)], own_key);
    let (client, addr) = (thief.endpoint_showing(stolen), kit.local_addr().unwrap());
    let attempt = async {
        match client.connect(addr, "device.invalid").unwrap().await {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        }
    };
    let (told, refused) = soon(async { tokio::join!(attempt, kit.refused()) }).await;
    assert_eq!(refused.unwrap().why, Refusal::BadHandshakeSignature.into());
    assert!(matches!(told, ConnectionError::ConnectionClosed(_)), "{told:?}");
}

/// Goal: a peer that offers only a key exchange that a quantum computer breaks is refused, at either end.
#[tokio::test]
async fn a_classical_key_exchange_alone_is_refused() {
    let site = Site::new();
    let classical =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
    let rogue = Rogue { provider: classical.clone(), ..Rogue::with_key_of(&site.edge_key) };
    let (why, alert) = judged(rogue, &site).await;
    assert!(matches!(why, HandshakeError::Refused(Refusal::Tls { alert: 40, .. })), "{why}");
    assert_eq!(alert, 40);

    let server = Rogue { provider: classical, ..Rogue::with_key_of(&site.kit_key) }.server();
    let accepting = async { server.accept().await.unwrap().await.err() };
    let (edge, addr) = (site.edge(), server.local_addr().unwrap());
    let (near, far) = soon(async { tokio::join!(edge.connect(addr, site.kit_key.id()), accepting) }).await;
    assert_eq!(near.unwrap_err(), HandshakeError::RefusedByPeer(PeerReason::NothingInCommon));
    assert!(far.is_some());
}

/// Goal: a client that has been let in once and asks for tickets and 0-RTT can send nothing before its next handshake.
#[tokio::test]
async fn early_data_is_impossible() {
    let site = Site::new();
    let kit = site.kit();
    let (addr, eager) = (kit.local_addr().unwrap(), Rogue::with_key_of(&site.edge_key).endpoint());
    for _ in 0..2 {
        let connecting = eager.connect(addr, "device.invalid").unwrap();
        let connecting = connecting.into_0rtt().err().expect("0-RTT must not be possible");
        let connection = soon(connecting).await.unwrap();
        let (mut to_kit, mut from_kit) = soon(connection.open_bi()).await.unwrap();
        to_kit.write_all(&[0; 4]).await.unwrap();
        soon(from_kit.read_exact(&mut [0; 4])).await.unwrap(); // all that the kit had to give has come by now
        drop(soon(kit.accept()).await.unwrap());
        connection.close(0u32.into(), b"");
    }
}

/// Goal: a port that is taken is an error that names it.
#[tokio::test]
async fn a_port_in_use_is_named() {
    let site = Site::new();
    let kit = site.kit();
    let taken = kit.local_addr().unwrap();
    let config = LinkConfig::default();
    let error = Endpoint::bind(taken, &site.edge_key, Peers::new(), Protocol::KIT, config).unwrap_err();
    assert!(matches!(error, BindError::Socket { addr, .. } if addr == taken));
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

/// Goal: an endpoint that only connects is not there for anybody else.
#[tokio::test]
async fn an_endpoint_that_only_connects_lets_nobody_in() {
    let site = Site::new();
    let config = LinkConfig { handshake_ms_max: 300, ..LinkConfig::default() };
    let quiet = Endpoint::bind_connecting(
        loopback(0),
        &site.kit_key,
        site.peers.clone(),
        Protocol::KIT,
        config.clone(),
    )
    .unwrap();
    let edge =
        Endpoint::bind(loopback(0), &site.edge_key, site.peers.clone(), Protocol::KIT, config).unwrap();
    let nobody = soon(edge.connect(quiet.local_addr().unwrap(), site.kit_key.id())).await.unwrap_err();
    assert!(
        matches!(
            nobody,
            HandshakeError::NoAnswer { limit_ms: 300 } | HandshakeError::Lost(LinkError::ClosedByPeer(_))
        ),
        "{nobody}"
    );
    assert!(soon(quiet.accept()).await.is_none());
}

/// Goal: beyond its limit of connections a device says that it is busy, and lets in again once one has ended.
#[tokio::test]
async fn a_device_with_all_its_connections_taken_says_so() {
    let site = Site::new();
    let config = LinkConfig { connections_max: 1, ..LinkConfig::default() };
    let kit = Endpoint::bind(loopback(0), &site.kit_key, site.peers.clone(), Protocol::KIT, config).unwrap();
    let edge = site.edge();
    let (first, _at_kit) = meet(&edge, &kit, site.kit_key.id()).await;
    let addr = kit.local_addr().unwrap();
    let busy = soon(edge.connect(addr, site.kit_key.id())).await.unwrap_err();
    assert_eq!(busy, HandshakeError::Lost(LinkError::ClosedByPeer(CloseReason::Busy)));
    first.close(CloseReason::Done);
    while soon(edge.connect(addr, site.kit_key.id())).await.is_err() {} // until the kit's transport has forgotten it
}

/// Goal: somebody who opens handshakes and leaves them unfinished does not shut out a device that completes its own.
#[tokio::test]
async fn a_handshake_left_hanging_shuts_nobody_out() {
    let site = Site::new();
    let config = LinkConfig { handshakes_max: 2, handshake_ms_max: 30_000, ..LinkConfig::default() };
    let kit = Endpoint::bind(loopback(0), &site.kit_key, site.peers.clone(), Protocol::KIT, config).unwrap();
    let idler = Rogue::with_key_of(&site.edge_key).endpoint();
    let hanging = idler.connect(kit.local_addr().unwrap(), "device.invalid").unwrap();
    let _never_greets = soon(hanging).await.unwrap();
    meet(&site.edge(), &kit, site.kit_key.id()).await; // by way of a retry, which proves the edge's address
}
