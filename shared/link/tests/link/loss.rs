//! What happens when a peer dies. It is a process of its own and dies by SIGKILL: no goodbye, no clean-up.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use bytes::Bytes;
use farhand_link::{
    CloseReason, Connection, DeviceKey, DeviceRole, Endpoint, HandshakeError, KeepConnected, KeepState,
    LinkConfig, LinkError, MessageError, Peers, Protocol, SearchLimits,
};

use crate::cast::{Site, loopback, soon};

const KIT_KEY: &str = "FARHAND_LINK_TEST_KIT_KEY";
const KIT_PORT: &str = "FARHAND_LINK_TEST_KIT_PORT";
const EDGE_ID: &str = "FARHAND_LINK_TEST_EDGE_ID";
const LISTENING: &str = "listening on ";

/// Not a test: the kit's process of the tests below, which echoes datagrams until it is killed.
#[tokio::test]
#[ignore = "the other process of the tests here"]
async fn the_kit_process() {
    let Ok(key) = std::env::var(KIT_KEY) else { return };
    let peers = Peers::new();
    peers.allow(std::env::var(EDGE_ID).unwrap().parse().unwrap(), DeviceRole::Edge).unwrap();
    let key = DeviceKey::load_or_create(Path::new(&key)).unwrap();
    let addr = loopback(std::env::var(KIT_PORT).unwrap().parse().unwrap());
    let kit = Endpoint::bind(addr, &key, peers, Protocol::KIT, LinkConfig::default()).unwrap();
    println!("\n{LISTENING}{}", kit.local_addr().unwrap().port());
    while let Some(edge) = kit.accept().await {
        tokio::spawn(echo(edge));
    }
}

async fn echo(edge: Connection) {
    while let Ok(datagram) = edge.recv_datagram().await {
        let _ = edge.send_datagram(datagram);
    }
}

/// A kit that can be killed and started again where it was.
struct KitProcess {
    child: Child,
    addr: SocketAddr,
}

impl KitProcess {
    fn start(key: &Path, edge: &DeviceKey, port: u16) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "loss::the_kit_process", "--ignored", "--nocapture"])
            .env(KIT_KEY, key)
            .env(KIT_PORT, port.to_string())
            .env(EDGE_ID, edge.id().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| line.unwrap().strip_prefix(LISTENING)?.parse().ok()).unwrap();
        Self { child, addr: loopback(port) }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for KitProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Bedside {
    edge_key: DeviceKey,
    kit_key: DeviceKey,
    kit_key_file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bedside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kit_key_file = folder.path().join("kit.key");
        let kit_key = DeviceKey::load_or_create(&kit_key_file).unwrap();
        Self { edge_key: DeviceKey::generate().unwrap(), kit_key, kit_key_file, _folder: folder }
    }

    fn start_kit(&self, port: u16) -> KitProcess {
        KitProcess::start(&self.kit_key_file, &self.edge_key, port)
    }

    fn edge(&self) -> Endpoint {
        let peers = Peers::new();
        peers.allow(self.kit_key.id(), DeviceRole::Kit).unwrap();
        let config = LinkConfig::default();
        Endpoint::bind_connecting(loopback(0), &self.edge_key, peers, Protocol::KIT, config).unwrap()
    }

    fn keep(&self, addr: SocketAddr) -> KeepConnected {
        KeepConnected::start(self.edge(), addr, self.kit_key.id(), SearchLimits::default())
    }
}

async fn works(edge: &Connection) {
    edge.send_datagram(Bytes::from_static(b"there?")).unwrap();
    assert_eq!(soon(edge.recv_datagram()).await.unwrap(), "there?");
}

/// Goal: a peer that is killed is noticed by itself, and everything that waits for it ends with the reason.
#[tokio::test]
async fn a_killed_peer_is_noticed() {
    let bedside = Bedside::new();
    let mut kit = bedside.start_kit(0);
    let edge = soon(bedside.edge().connect(kit.addr, bedside.kit_key.id())).await.unwrap();
    works(&edge).await;
    kit.kill();
    let killed = Instant::now();
    assert_eq!(soon(edge.recv_datagram()).await, Err(LinkError::TimedOut));
    eprintln!("noticed {:?} after the kill", killed.elapsed());
    assert_eq!(soon(edge.recv_message()).await, Err(MessageError::Link(LinkError::TimedOut)));
    assert_eq!(edge.send_message(Bytes::new()).await, Err(MessageError::Link(LinkError::TimedOut)));
}

/// Goal: a peer that was killed, noticed as gone, and comes back later is found again without anybody's doing.
#[tokio::test]
async fn a_peer_that_comes_back_later_is_found_again() {
    let bedside = Bedside::new();
    let mut kit = bedside.start_kit(0);
    let keep = bedside.keep(kit.addr);
    let first = soon(keep.connection()).await;
    works(&first).await;
    kit.kill();
    assert_eq!(soon(first.closed()).await, LinkError::TimedOut);
    let mut state = keep.state();
    soon(state.wait_for(|state| matches!(state, KeepState::Searching { .. }))).await.unwrap();

    let kit = bedside.start_kit(kit.addr.port());
    let back = Instant::now();
    let second = soon(keep.connection()).await;
    eprintln!("found {:?} after it was back", back.elapsed());
    assert!(!second.is_same(&first));
    works(&second).await;
    drop(kit);
}

/// Goal: a peer that restarts faster than anybody notices says so itself, instead of leaving its peer to wait.
#[tokio::test]
async fn a_peer_that_restarts_at_once_says_so() {
    let bedside = Bedside::new();
    let mut kit = bedside.start_kit(0);
    let keep = bedside.keep(kit.addr);
    let first = soon(keep.connection()).await;
    works(&first).await;
    kit.kill();
    let kit = bedside.start_kit(kit.addr.port());
    let back = Instant::now();
    assert_eq!(soon(first.closed()).await, LinkError::PeerRestarted);
    let mut state = keep.state();
    let other = |state: &KeepState| matches!(state, KeepState::Connected(now) if !now.is_same(&first));
    soon(state.wait_for(other)).await.unwrap();
    eprintln!("found {:?} after it was back", back.elapsed());
    works(&soon(keep.connection()).await).await;
    drop(kit);
}

/// Goal: the search goes on beside a peer that refuses, says why, and succeeds as soon as it is let in; and however
/// many attempts overlapped, the peer sees one connection.
#[tokio::test]
async fn a_search_ends_in_exactly_one_connection() {
    let site = Site::new();
    let kit = site.kit();
    site.peers.forbid(&site.edge_key.id());
    let limits = SearchLimits::default();
    let keep = KeepConnected::start(site.edge(), kit.local_addr().unwrap(), site.kit_key.id(), limits);
    let mut state = keep.state();
    let refused = |state: &KeepState| {
        matches!(state, KeepState::Searching { last: Some(HandshakeError::RefusedByPeer(_)) })
    };
    soon(state.wait_for(refused)).await.unwrap();
    site.peers.allow(site.edge_key.id(), DeviceRole::Edge).unwrap();
    let (edge, at_kit) = soon(async { tokio::join!(keep.connection(), kit.accept()) }).await;
    let at_kit = at_kit.unwrap();
    for _ in 0..20 {
        edge.send_message(Bytes::from_static(b"?")).await.unwrap();
        tokio::select! {
            message = soon(at_kit.recv_message()) => assert_eq!(message.unwrap().unwrap(), "?"),
            second = kit.accept() => panic!("a second connection: {second:?}"),
        }
    }
    drop(keep);
    edge.close(CloseReason::Done);
    assert_eq!(soon(at_kit.closed()).await, LinkError::ClosedByPeer(CloseReason::Done));
}

/// Goal: an endpoint that closes tells all its peers, and gives out nothing more.
#[tokio::test]
async fn closing_an_endpoint_tells_every_peer() {
    let site = Site::new();
    let (kit, edge) = (site.kit(), site.edge());
    let (near, _far) = crate::cast::meet(&edge, &kit, site.kit_key.id()).await;
    soon(kit.close(CloseReason::ShuttingDown)).await;
    assert_eq!(soon(near.closed()).await, LinkError::ClosedByPeer(CloseReason::ShuttingDown));
    assert!(soon(kit.accept()).await.is_none());
    let refused = edge.connect(kit.local_addr().unwrap(), site.kit_key.id());
    assert!(soon(refused).await.is_err());
}
