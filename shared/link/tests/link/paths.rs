//! Several paths to one device, each through a line that can be cut.

use std::time::Duration;

use bytes::Bytes;
use farhand_link::{
    Bond, BondError, CloseReason, DeviceKey, DeviceRole, Endpoint, LinkConfig, LinkError, PATHS_MAX,
    PATHS_MESSAGE_BYTES_MAX, PathGauge, Paths, Peers, Protocol, Route, SearchLimits, trial::Line,
};

use crate::cast::{Site, loopback, soon};

const MESSAGES_MAX: usize = 4096;

/// An edge box and a kit with a line between them for each path.
struct Two {
    site: Site,
    kits: Vec<Endpoint>,
    lines: Vec<Line>,
    edge: Paths,
    kit: Paths,
}

impl Two {
    async fn with(delays_ms: &[u64]) -> Self {
        let site = Site::new();
        let (mut kits, mut lines) = (Vec::new(), Vec::new());
        for delay_ms in delays_ms {
            let kit = site.kit();
            let delay = Duration::from_millis(*delay_ms);
            lines.push(Line::to(kit.local_addr().unwrap(), delay).await.unwrap());
            kits.push(kit);
        }
        let edge = edge(&site, &lines);
        let kit = Paths::accept(kits.clone(), site.edge_key.id(), MESSAGES_MAX).unwrap();
        Self { site, kits, lines, edge, kit }
    }

    /// Both ends of the bond, once all its paths stand.
    async fn together(&mut self) -> (Bond, Bond) {
        let bonds = soon(async { (self.edge.bond().await, self.kit.bond().await) }).await;
        stand(&bonds.0, self.lines.len()).await;
        stand(&bonds.1, self.lines.len()).await;
        bonds
    }
}

fn edge(site: &Site, lines: &[Line]) -> Paths {
    let route = |line: &Line| Route { endpoint: connecting(&site.edge_key, site), addr: line.addr() };
    let routes = lines.iter().map(route).collect();
    Paths::connect(routes, site.kit_key.id(), MESSAGES_MAX, SearchLimits::default()).unwrap()
}

fn connecting(key: &DeviceKey, site: &Site) -> Endpoint {
    let peers = Peers::new();
    peers.allow(site.kit_key.id(), DeviceRole::Kit).unwrap();
    Endpoint::bind_connecting(loopback(0), key, peers, Protocol::KIT, LinkConfig::default()).unwrap()
}

async fn stand(bond: &Bond, paths: usize) {
    soon(async {
        while bond.paths() != paths {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn number(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

fn read(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap())
}

/// Goal: what is sent over every path comes once, both ways; and each path says how often it was first.
#[tokio::test]
async fn a_datagram_over_two_paths_comes_once() {
    let mut two = Two::with(&[0, 20]).await;
    let (edge, kit) = two.together().await;
    for sent in 0..100 {
        edge.send_datagram(&number(sent)).unwrap();
        assert_eq!(read(&soon(kit.recv_datagram()).await.unwrap()), sent);
        kit.send_datagram(&number(sent)).unwrap();
        assert_eq!(read(&soon(edge.recv_datagram()).await.unwrap()), sent);
    }
    for gauge in [two.edge.gauge(), two.kit.gauge()] {
        soon(both_heard(&gauge, 100)).await;
        let paths = gauge.read();
        assert_eq!(paths.iter().map(|path| path.first).sum::<u64>(), 100, "{paths:?}");
        assert!(paths[0].first > paths[1].first, "the one without delay: {paths:?}");
        assert!(paths[1].rtt_ms >= 40.0 && paths[1].peer.is_some(), "{paths:?}");
    }
    let nothing_more = tokio::time::timeout(Duration::from_millis(100), kit.recv_datagram()).await;
    assert!(nothing_more.is_err(), "{nothing_more:?}");
}

async fn both_heard(gauge: &PathGauge, datagrams: u64) {
    while gauge.read().iter().any(|path| path.heard < datagrams) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Goal: one path after the other is cut and mended, and no message is lost, comes twice or out of order, either way; and
/// the bond is the same all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_die_in_turn_and_every_message_comes_once_in_order() {
    const ROUNDS: u32 = 4;
    const MESSAGES: u32 = 200;
    let mut two = Two::with(&[0, 3]).await;
    let (edge, kit) = two.together().await;
    for round in 0..ROUNDS {
        let line = &two.lines[round as usize % 2];
        line.cut();
        for sent in round * MESSAGES..(round + 1) * MESSAGES {
            edge.send_message(number(sent)).unwrap();
            kit.send_message(number(sent)).unwrap();
        }
        for expected in round * MESSAGES..(round + 1) * MESSAGES {
            assert_eq!(read(&soon(kit.recv_message()).await.unwrap()), expected);
            assert_eq!(read(&soon(edge.recv_message()).await.unwrap()), expected);
        }
        stand(&edge, 1).await;
        stand(&kit, 1).await;
        line.mend();
        stand(&edge, 2).await;
        stand(&kit, 2).await;
    }
    assert!(!edge.is_over() && !kit.is_over());
}

/// Goal: with its last path a bond is over at both ends, and both are together anew once a line is mended.
#[tokio::test]
async fn without_a_path_the_bond_is_over_and_another_begins() {
    let mut two = Two::with(&[0, 0]).await;
    let (edge, kit) = two.together().await;
    two.lines.iter().for_each(Line::cut);
    soon(async { tokio::join!(edge.over(), kit.over()) }).await;
    assert_eq!(edge.send_message(number(1)), Err(BondError::Over));
    assert_eq!(edge.send_datagram(b"x"), Err(BondError::Over));
    assert_eq!((kit.recv_message().await, kit.recv_datagram().await), (None, None));
    two.lines[1].mend();
    let (edge, kit) = soon(async { (two.edge.bond().await, two.kit.bond().await) }).await;
    edge.send_message(number(7)).unwrap();
    assert_eq!(read(&soon(kit.recv_message()).await.unwrap()), 7);
}

/// Goal: an edge box that was killed and is back is a new one for the kit at once, though no path of the old has ended
/// there.
#[tokio::test]
async fn a_device_that_was_started_anew_is_noticed_beside_its_old_paths() {
    let mut two = Two::with(&[0, 0]).await;
    let (old_edge, old_kit) = two.together().await;
    two.lines.iter().for_each(Line::cut); // the old one is silent, as if killed
    let mut lines = Vec::new();
    for kit in &two.kits {
        lines.push(Line::to(kit.local_addr().unwrap(), Duration::ZERO).await.unwrap());
    }
    let mut new = edge(&two.site, &lines);
    let (edge, kit) = soon(async { (new.bond().await, two.kit.bond().await) }).await;
    assert!(old_kit.is_over(), "its old paths go with it");
    edge.send_message(number(1)).unwrap();
    assert_eq!(read(&soon(kit.recv_message()).await.unwrap()), 1);
    soon(old_edge.over()).await;
}

/// Goal: a kit that was started anew knows no bond of its earlier run: the edge box notices, and begins another.
#[tokio::test]
async fn a_peer_that_forgot_the_bond_gets_a_new_one() {
    let mut two = Two::with(&[0, 0]).await;
    let (edge, kit) = two.together().await;
    edge.send_message(number(1)).unwrap();
    assert_eq!(read(&soon(kit.recv_message()).await.unwrap()), 1);
    // The next run listens at the same sockets; of the end of the run before, the edge box hears on one path only.
    two.lines[0].cut();
    let kits = std::mem::take(&mut two.kits);
    two.kit = Paths::accept(kits, two.site.edge_key.id(), MESSAGES_MAX).unwrap();
    let (edge_again, kit_again) = soon(async { (two.edge.bond().await, two.kit.bond().await) }).await;
    assert!(edge.is_over());
    edge_again.send_message(number(2)).unwrap();
    assert_eq!(read(&soon(kit_again.recv_message()).await.unwrap()), 2, "numbers begin anew");
}

/// Goal: limits hold: paths, bytes, and messages that nobody acknowledges.
#[tokio::test]
async fn what_is_too_much_is_refused() {
    let mut two = Two::with(&[0]).await;
    let (edge, kit) = two.together().await;
    let max = PATHS_MESSAGE_BYTES_MAX;
    assert_eq!(edge.send_message(vec![0; max + 1].into()), Err(BondError::TooLarge { bytes: max + 1, max }));
    edge.send_message(vec![7; max].into()).unwrap();
    assert_eq!(soon(kit.recv_message()).await.unwrap().len(), max);
    assert!(matches!(edge.send_datagram(&[0; 2000]), Err(BondError::TooLarge { bytes: 2000, .. })));
    two.lines[0].cut();
    let full = (0..=MESSAGES_MAX as u32 + 1).find_map(|sent| edge.send_message(number(sent)).err());
    assert_eq!(full, Some(BondError::Full { max: MESSAGES_MAX }));
    let endpoint = connecting(&two.site.edge_key, &two.site);
    let routes = vec![Route { endpoint, addr: two.lines[0].addr() }; PATHS_MAX + 1];
    let refused = Paths::connect(routes, two.site.kit_key.id(), 1, SearchLimits::default());
    assert!(refused.unwrap_err().to_string().starts_with("paths is 5"));
}

/// Goal: a connection that does not say to which bond it belongs, or says nonsense, gets nothing and ends.
#[tokio::test]
async fn a_path_that_does_not_say_hello_is_none() {
    let mut two = Two::with(&[0]).await;
    let (edge, kit) = two.together().await;
    let endpoint = connecting(&two.site.edge_key, &two.site);
    let addr = two.kits[0].local_addr().unwrap();
    let (unknown_bond, out_of_range) = (hello(9, 0, false), hello(9, PATHS_MAX as u8, true));
    for nonsense in [Bytes::from_static(b"hello"), unknown_bond, out_of_range] {
        let connection = soon(endpoint.connect(addr, two.site.kit_key.id())).await.unwrap();
        connection.send_message(nonsense).await.unwrap();
        connection.send_datagram(Bytes::from_static(b"12345678 let me in")).unwrap();
        soon(connection.closed()).await;
    }
    edge.send_datagram(b"still here").unwrap();
    assert_eq!(soon(kit.recv_datagram()).await.unwrap(), "still here");
    assert!(!edge.is_over() && kit.paths() == 1);
}

fn hello(run: u8, path: u8, begins: bool) -> Bytes {
    [&[0][..], &[run; 16], &[1, 0, 0, 0, 0, 0, 0, 0], &[path, u8::from(begins)]].concat().into()
}

/// Goal: a path that comes again takes the place of itself alone; a device that was started anew takes the place of all.
#[tokio::test]
async fn a_path_that_comes_again_replaces_only_itself() {
    let site = Site::new();
    let kit = site.kit();
    let mut paths = Paths::accept(vec![kit.clone()], site.edge_key.id(), MESSAGES_MAX).unwrap();
    let endpoint = connecting(&site.edge_key, &site);
    let join = async |run, path, begins| {
        let addr = kit.local_addr().unwrap();
        let connection = soon(endpoint.connect(addr, site.kit_key.id())).await.unwrap();
        connection.send_message(hello(run, path, begins)).await.unwrap();
        assert_eq!(soon(connection.recv_message()).await.unwrap().unwrap(), [1].as_slice());
        connection
    };
    let replaced = LinkError::ClosedByPeer(CloseReason::Replaced);
    let (first, second) = (join(5, 0, true).await, join(5, 1, false).await);
    let bond = soon(paths.bond()).await;
    let again = join(5, 0, false).await;
    assert_eq!(soon(first.closed()).await, replaced);
    assert_eq!((second.end(), again.end(), bond.paths(), bond.is_over()), (None, None, 2, false));
    let restarted = join(6, 0, true).await;
    assert_eq!((soon(second.closed()).await, soon(again.closed()).await), (replaced.clone(), replaced));
    let bond_after = soon(paths.bond()).await;
    assert_eq!((bond.is_over(), bond_after.paths(), restarted.end()), (true, 1, None));
}
