//! Two paths between a console and the edge box, each through a relay that can lose everything: either may die, and whoever
//! is above notices nothing.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use farhand_agent::{
    Forwarded,
    peer::{Peer, PeerSettings},
};
use farhand_ledger::What;
use farhand_link::Bond;
use farhand_wire::{Challenge, Kind, Said, Statement};
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};

use crate::{
    relay::{command, lease, said, still},
    stage::{Stage, soon},
};

const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// What does not come within this is sent again: nothing is reliable here but what says so.
const AGAIN: Duration = Duration::from_millis(100);

/// Of pictures' packets, one in so many is lost where a relay thins.
const LOST_EVERY: u32 = 20;
/// Of the payload types in the console's offer, the pictures'.
const PICTURES: u8 = 102;

/// As a router that forwards a port, until it is cut.
pub(crate) struct Relay {
    port: u16,
    how: Arc<How>,
}

/// What becomes of what comes.
#[derive(Default)]
struct How {
    /// All is lost.
    cut: AtomicBool,
    /// Some of the pictures' packets are lost, and all that a console says of it (RTCP): nobody can be asked for them again.
    thins: AtomicBool,
    came: AtomicU32,
    lost: AtomicU32,
}

impl How {
    fn passes(&self, packet: &[u8], to_console: bool) -> bool {
        let thinned = self.thins.load(Relaxed) && self.thinned(packet, to_console);
        !self.cut.load(Relaxed) && !thinned
    }

    /// RTP and RTCP share a port (RFC 5761), and begin as nothing else does here (RFC 7983).
    fn thinned(&self, packet: &[u8], to_console: bool) -> bool {
        let [first, second, ..] = *packet else { return false };
        let media = (128..192).contains(&first);
        if !to_console {
            return media && (192..224).contains(&second);
        }
        let nth = || self.came.fetch_add(1, Relaxed) % LOST_EVERY == LOST_EVERY / 2;
        let loses = media && second & 0x7f == PICTURES && nth();
        self.lost.fetch_add(u32::from(loses), Relaxed);
        loses
    }
}

impl Relay {
    pub(crate) async fn start() -> Self {
        // Free in both places a moment ago.
        let port = UdpSocket::bind((EDGE, 0)).await.unwrap().local_addr().unwrap().port();
        let near = Arc::new(UdpSocket::bind((RELAY, port)).await.unwrap());
        let how = Arc::<How>::default();
        tokio::spawn(forward(near, SocketAddr::new(EDGE, port), how.clone()));
        Self { port, how }
    }

    pub(crate) fn forwarded(&self) -> Forwarded {
        Forwarded { address: RELAY, ports: (self.port, self.port) }
    }

    fn cut(&self, cut: bool) {
        self.how.cut.store(cut, Relaxed);
    }

    pub(crate) fn thin(&self) {
        self.how.thins.store(true, Relaxed);
    }

    /// Pictures' packets that were lost.
    pub(crate) fn lost(&self) -> u32 {
        self.how.lost.load(Relaxed)
    }
}

/// Each client has a socket of its own towards the edge box, so that answers find back.
async fn forward(near: Arc<UdpSocket>, to: SocketAddr, how: Arc<How>) {
    let mut flows: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = near.recv_from(&mut buffer).await {
        let far = match flows.get(&from) {
            Some(far) => far.clone(),
            None => {
                let far = Arc::new(UdpSocket::bind((EDGE, 0)).await.unwrap());
                far.connect(to).await.unwrap();
                tokio::spawn(back(far.clone(), near.clone(), from, how.clone()));
                flows.insert(from, far.clone());
                far
            }
        };
        if how.passes(&buffer[..length], false) {
            let _ = far.send(&buffer[..length]).await; // nobody there yet
        }
    }
}

async fn back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, to: SocketAddr, how: Arc<How>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(length) = far.recv(&mut buffer).await else { continue };
        if how.passes(&buffer[..length], true) {
            let _ = near.send_to(&buffer[..length], to).await; // likewise
        }
    }
}

struct Play {
    relays: [Relay; 2],
    stage: Stage,
    link: Bond,
    surgeon: Peer,
    /// What came to the kit: commands, and orders of the surgeon.
    commands: mpsc::UnboundedReceiver<Bytes>,
    orders: mpsc::UnboundedReceiver<Challenge>,
}

impl Play {
    async fn begin() -> Self {
        let relays = [Relay::start().await, Relay::start().await];
        let forwarded = [relays[0].forwarded(), relays[1].forwarded()];
        let stage = Stage::set_behind(Some(forwarded), still()).await.opened().await;
        let link = stage.kit.accept().await;
        let settings = PeerSettings { paths: 2, ..Stage::settings() };
        let mut surgeon = Peer::connect(&stage.link("operate"), settings).await.unwrap();
        lease(&stage, &link, &mut surgeon).await;
        let (to_commands, commands) = mpsc::unbounded_channel();
        let (to_orders, orders) = mpsc::unbounded_channel();
        tokio::spawn(hear(link.clone(), to_commands, to_orders));
        Self { relays, stage, link, surgeon, commands, orders }
    }

    /// Sends a command until it comes.
    async fn commands(&mut self, number: u64) {
        let search = async {
            loop {
                let _ = self.surgeon.sender().send_control(&command(number)).await; // a path may be full
                if let Ok(came) = timeout(AGAIN, self.commands.recv()).await {
                    return came.unwrap();
                }
            }
        };
        assert_eq!(soon("a command", search).await, command(number));
    }

    async fn orders(&mut self, number: u8) {
        let said = Said::Withdraw { challenge: Challenge([number; 32]) };
        self.surgeon.sender().say(said).await.unwrap();
        assert_eq!(soon("an order", self.orders.recv()).await, Some(Challenge([number; 32])));
    }

    /// The kit says something that the surgeon hears.
    async fn answers(&mut self) {
        self.stage.kit.state();
        let notice = self.stage.kit.notice(None, true, false);
        self.link.send_message(notice.clone()).unwrap();
        assert_eq!(soon("a notice", said(&mut self.surgeon)).await, Some(notice));
    }
}

async fn hear(link: Bond, commands: mpsc::UnboundedSender<Bytes>, orders: mpsc::UnboundedSender<Challenge>) {
    loop {
        let message = tokio::select! {
            Some(datagram) = link.recv_datagram() => datagram,
            Some(message) = link.recv_message() => message,
            else => return,
        };
        match Kind::of(&message) {
            Ok(Kind::Command) => drop(commands.send(message)),
            Ok(Kind::Signed) => {
                if let Said::Withdraw { challenge } = Statement::open(&message).unwrap().1.said {
                    let _ = orders.send(challenge); // the test is over
                }
            }
            _ => {}
        }
    }
}

fn console_goes(what: &What) -> bool {
    matches!(what, What::Switch { what, on: false, .. } if what == "console")
}

/// Goal: each path is cut in turn and put back, and through all of it every command comes once, every order and every notice
/// comes once and in order, and the console is never gone. With both cut it is; what paths there were is on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_path_may_die_and_nobody_above_notices() {
    let mut play = Play::begin().await;
    let mut number = 0;
    for cut in [None, Some(0), None, Some(1), None, Some(0), Some(1)] {
        (0..2).for_each(|path| play.relays[path].cut(cut == Some(path)));
        for _ in 0..3 {
            number += 1;
            play.commands(u64::from(number)).await;
            play.orders(number).await;
            play.answers().await;
        }
    }
    let last = command(u64::from(number));
    let is_last = |what: &What| matches!(what, What::Command { frame } if *frame == last);
    play.stage.on_record("the last command", is_last).await;
    let seen = |wanted: &dyn Fn(&What) -> bool| {
        play.stage.entries().iter().filter(|entry| wanted(&entry.what)).count()
    };
    assert_eq!(seen(&console_goes), 0);
    let commands = seen(&|what| matches!(what, What::Command { .. }));
    assert_eq!(commands, usize::from(number), "each is on record once, however often and wherever it came");
    assert!(play.stage.edge.counters().copies > 0);
    let joined = |what: &What| matches!(what, What::Switch { what, on: true, reason } if what == "console-path" && reason.starts_with("path 1 of Surgeon"));
    assert_eq!(seen(&joined), 1);
    play.relays.iter().for_each(|relay| relay.cut(true));
    soon("the console's end", play.surgeon.connected().wait_for(|connected| !connected)).await.unwrap();
    play.stage.on_record("the console's end", console_goes).await;
    let left = |what: &What| matches!(what, What::Switch { what, on: false, reason } if what == "console-path" && reason.contains("commands first"));
    play.stage.on_record("how the first path to go was", left).await;
}
