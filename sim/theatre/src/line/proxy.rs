//! The driver of a line: UDP in, UDP out. What becomes of each packet is [`Way`]'s to say.
//!
//! One thread judges and sends, and has all there is; a thread for each socket does nothing but receive. Every client gets a
//! socket of its own towards the far end, as behind a router, so that answers find their way back.
//!
//! **Bounded (local):** [`FLOWS_MAX`] clients, [`UNDER_WAY_BYTES_MAX`] under way, [`INBOX_MAX`] packets that wait to be judged;
//! what is more is lost and counted.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use farhand_world::{Impairment, UnderWay, Way};

use super::config::{Between, Dials};

const FLOWS_MAX: usize = 256;
/// A stall of ten seconds at 6 Mbit/s, twice.
const UNDER_WAY_BYTES_MAX: usize = 16 << 20;
const INBOX_MAX: usize = 8_192;
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Something for the thread that judges.
pub(crate) enum Come {
    /// To the numbered place.
    FromClient {
        place: usize,
        client: SocketAddr,
        bytes: Vec<u8>,
    },
    FromFarEnd {
        flow: usize,
        bytes: Vec<u8>,
    },
    /// The dials stand like this now.
    Turned(Dials),
    End,
}

/// The line, with both its ends.
pub(crate) struct Proxy {
    places: Vec<Place>,
    flows: Vec<Flow>,
    by_client: HashMap<(usize, SocketAddr), usize>,
    to_edge: Way,
    to_console: Way,
    /// What both did before anybody turned a dial.
    usual: [Impairment; 2],
    under_way: UnderWay<Packet>,
    under_way_bytes: usize,
    /// When the first packet came: the line's time begins with it.
    began: Option<Instant>,
    inbox: Receiver<Come>,
    to_inbox: SyncSender<Come>,
}

/// Where clients send to.
struct Place {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

struct Flow {
    place: usize,
    client: SocketAddr,
    /// Connected to the far end.
    socket: Arc<UdpSocket>,
}

struct Packet {
    flow: usize,
    to_edge: bool,
    bytes: Vec<u8>,
}

impl Proxy {
    pub(crate) fn bind(between: &[Between], [to_edge, to_console]: [Way; 2]) -> anyhow::Result<Self> {
        let (to_inbox, inbox) = sync_channel(INBOX_MAX);
        let place = |one: &Between| -> anyhow::Result<Place> {
            let socket = UdpSocket::bind(one.listen)
                .with_context(|| format!("the line can't listen on {}", one.listen))?;
            Ok(Place { socket: Arc::new(socket), to: one.to })
        };
        Ok(Self {
            places: between.iter().map(place).collect::<anyhow::Result<_>>()?,
            flows: Vec::new(),
            by_client: HashMap::new(),
            usual: [to_edge.impairment, to_console.impairment],
            to_edge,
            to_console,
            under_way: UnderWay::default(),
            under_way_bytes: 0,
            began: None,
            inbox,
            to_inbox,
        })
    }

    /// Where clients send to, in the order of the configuration.
    pub(crate) fn listens(&self) -> io::Result<Vec<SocketAddr>> {
        self.places.iter().map(|place| place.socket.local_addr()).collect()
    }

    /// Tells the line to stall, to flow, or to end.
    pub(crate) fn teller(&self) -> SyncSender<Come> {
        self.to_inbox.clone()
    }

    /// **Carries packets until told to end.**
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        for (number, place) in self.places.iter().enumerate() {
            let (socket, inbox) = (place.socket.clone(), self.to_inbox.clone());
            listen(socket, inbox, move |client, bytes| Come::FromClient { place: number, client, bytes })?;
        }
        loop {
            match self.wait() {
                Some(Come::End) => return Ok(()),
                Some(come) => self.handle(come)?,
                None => {}
            }
            self.deliver();
        }
    }

    fn handle(&mut self, come: Come) -> anyhow::Result<()> {
        match come {
            Come::FromClient { place, client, bytes } => {
                if let Some(flow) = self.flow(place, client)? {
                    self.send(Packet { flow, to_edge: true, bytes });
                }
            }
            Come::FromFarEnd { flow, bytes } => self.send(Packet { flow, to_edge: false, bytes }),
            Come::Turned(dials) => {
                let [to_edge, to_console] = self.usual.map(|usual| dials.on(usual));
                (self.to_edge.impairment, self.to_console.impairment) = (to_edge, to_console);
            }
            Come::End => {}
        }
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.began.map_or(0, |began| began.elapsed().as_micros() as u64)
    }

    /// Until something comes in, or something is due to come out.
    fn wait(&self) -> Option<Come> {
        match self.under_way.next_us() {
            None => self.inbox.recv().ok(),
            Some(at_us) => {
                let wait = Duration::from_micros(at_us.saturating_sub(self.now_us()));
                self.inbox.recv_timeout(wait).ok()
            }
        }
    }

    /// A client's flow; none for one more than there may be.
    fn flow(&mut self, place: usize, client: SocketAddr) -> anyhow::Result<Option<usize>> {
        if let Some(flow) = self.by_client.get(&(place, client)) {
            return Ok(Some(*flow));
        }
        let flow = self.flows.len();
        if flow == FLOWS_MAX {
            tracing::warn!(%client, max = FLOWS_MAX, "a client too many on the line");
            return Ok(None);
        }
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no socket towards the far end")?;
        socket.connect(self.places[place].to)?;
        let socket = Arc::new(socket);
        listen(socket.clone(), self.to_inbox.clone(), move |_, bytes| Come::FromFarEnd { flow, bytes })?;
        self.flows.push(Flow { place, client, socket });
        self.by_client.insert((place, client), flow);
        Ok(Some(flow))
    }

    fn send(&mut self, packet: Packet) {
        self.began.get_or_insert_with(Instant::now);
        let now_us = self.now_us();
        let way = if packet.to_edge { &mut self.to_edge } else { &mut self.to_console };
        for fate in way.pass(now_us, packet.bytes.len()) {
            if self.under_way_bytes + packet.bytes.len() > UNDER_WAY_BYTES_MAX {
                return tracing::warn!(max = UNDER_WAY_BYTES_MAX, "too much is under way; a packet is lost");
            }
            let mut bytes = packet.bytes.clone();
            if let Some(first) = bytes.first_mut().filter(|_| fate.damaged) {
                *first ^= 1;
            }
            self.under_way_bytes += bytes.len();
            self.under_way.put(fate.at_us, Packet { bytes, ..packet });
        }
    }

    fn deliver(&mut self) {
        while let Some(packet) = self.under_way.take(self.now_us()) {
            self.under_way_bytes -= packet.bytes.len();
            let flow = &self.flows[packet.flow];
            let sent = if packet.to_edge {
                flow.socket.send(&packet.bytes)
            } else {
                self.places[flow.place].socket.send_to(&packet.bytes, flow.client)
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "a packet finds nobody"); // its end is gone, as on any line
            }
        }
    }
}

/// A thread that hands over what comes, until nobody takes it. What finds the inbox full is lost, as in a socket's buffer.
fn listen(
    socket: Arc<UdpSocket>,
    inbox: SyncSender<Come>,
    come: impl Fn(SocketAddr, Vec<u8>) -> Come + Send + 'static,
) -> io::Result<()> {
    let run = move || {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // An error is a port that nobody listens on yet (ICMP): the next may find somebody.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let _ = inbox.try_send(come(from, buffer[..length].to_vec()));
        }
    };
    thread::Builder::new().name("line".into()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every packet, and the line before it.
    fn set(line: Impairment) -> Proxy {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                server.send_to(&buffer[..length], from).unwrap();
            }
        });
        let between = [Between { listen: "127.0.0.1:0".parse().unwrap(), to }];
        Proxy::bind(&between, [Way::new(1, line), Way::new(2, line)]).unwrap()
    }

    fn client(line: SocketAddr) -> UdpSocket {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(line).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    fn answer(client: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        let length = client.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    /// Goal: two clients of one place each get their own answers back, no sooner than the line's two ways allow.
    #[test]
    fn every_client_gets_its_own_answers_after_the_lines_delay() {
        let proxy = set(Impairment { delay_ms: 30.0, ..Impairment::default() });
        let (line, teller) = (proxy.listens().unwrap()[0], proxy.teller());
        let running = thread::spawn(move || proxy.run());
        let (one, other) = (client(line), client(line));
        let sent = Instant::now();
        one.send(b"one").unwrap();
        other.send(b"other").unwrap();
        assert_eq!((answer(&other), answer(&one)), (b"other".to_vec(), b"one".to_vec()));
        assert!(sent.elapsed() >= Duration::from_millis(60), "{:?}", sent.elapsed());
        teller.send(Come::End).unwrap();
        running.join().unwrap().unwrap();
    }

    /// Goal: what is sent during a stall is gone, and what is sent after it is not; a crowd is not served without bound.
    #[test]
    fn a_stall_ends_when_it_is_told_to_and_a_crowd_is_turned_away() {
        let mut proxy = set(Impairment { delay_ms: 1e6, ..Impairment::default() });
        let from = |port: u16| Come::FromClient {
            place: 0,
            client: SocketAddr::from(([127, 0, 0, 1], port)),
            bytes: vec![7; 100],
        };
        let mut under_way = |come| {
            proxy.handle(come).unwrap();
            (proxy.under_way.len(), proxy.flows.len())
        };
        assert_eq!(under_way(from(1)), (1, 1));
        let turned = |stalled| Come::Turned(Dials { stalled, ..Dials::default() });
        assert_eq!(under_way(turned(true)), (1, 1));
        assert_eq!(under_way(from(1)), (1, 1));
        under_way(turned(false));
        assert_eq!(under_way(from(2)), (2, 2));
        let crowd: Vec<_> = (3..=300).map(|port| under_way(from(port))).collect();
        assert_eq!(crowd.last(), Some(&(FLOWS_MAX, FLOWS_MAX)));
    }
}
