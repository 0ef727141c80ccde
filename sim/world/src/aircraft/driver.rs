//! Runs the aircraft on a thread, on loopback UDP, until its handle is dropped.
//!
//! It calls out to the remotes it is given, as PX4's simulator does to ports 14540
//! (companions) and 14550 (ground stations), and also answers whoever writes to it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::frames::Frames;
use super::{Aircraft, AircraftConfig, ConfigError, Failure, Received, Truth};

/// How long one wait for a datagram is: the machine steps at least this often.
const TICK: Duration = Duration::from_millis(4);
const DATAGRAM_BYTES_MAX: usize = 2_048;
const DATAGRAMS_PER_STEP_MAX: usize = 64;
const REMOTES_MAX: usize = 8;

/// How the aircraft is reached.
#[derive(Debug, Clone, Default)]
pub struct UdpConfig {
    /// Whom to call, such as 127.0.0.1:14540. Loopback only, at most eight.
    pub remotes: Vec<SocketAddr>,
    /// MAVLink 2 signing: with a key, everything is signed and nothing else is taken.
    pub signing_key: Option<[u8; 32]>,
}

/// Why the aircraft could not be put on the link.
#[derive(Debug, Error)]
pub enum DriverError {
    #[error("the aircraft's configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("the simulated aircraft stays on loopback; {seen} is not")]
    NotLoopback { seen: SocketAddr },
    #[error("{seen} remotes were given; at most {max} are called")]
    TooManyRemotes { seen: usize, max: usize },
    #[error("could not open a loopback socket: {0}")]
    Socket(#[from] io::Error),
}

/// A flying aircraft; dropping it stops the thread.
#[derive(Debug)]
pub struct AircraftHandle {
    address: SocketAddr,
    truth: Arc<Mutex<Truth>>,
    orders: Option<Sender<(Failure, bool)>>,
    thread: Option<JoinHandle<()>>,
}

impl AircraftHandle {
    /// The loopback address the aircraft sends from and listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is so, as of the last step.
    pub fn truth(&self) -> Truth {
        *self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks or mends something.
    pub fn inject(&self, failure: Failure, on: bool) {
        if let Some(orders) = &self.orders {
            let _ = orders.send((failure, on)); // a thread that ended has nothing left to break
        }
    }
}

impl Drop for AircraftHandle {
    fn drop(&mut self) {
        self.orders = None; // the thread ends when nobody can order it any more
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts an aircraft on the link and flies it on a thread of its own.
pub fn fly_over_udp(config: AircraftConfig, udp: &UdpConfig) -> Result<AircraftHandle, DriverError> {
    let aircraft = Aircraft::new(config)?;
    check_remotes(&udp.remotes)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(TICK))?;
    let address = socket.local_addr()?;
    let truth = Arc::new(Mutex::new(aircraft.truth()));
    let (orders, ordered) = channel();
    let driver = Driver {
        aircraft,
        socket,
        frames: Frames::new(udp.signing_key, 1),
        remotes: udp.remotes.clone(),
        truth: Arc::clone(&truth),
        ordered,
    };
    let thread = std::thread::Builder::new().name("aircraft".into()).spawn(|| driver.run())?;
    Ok(AircraftHandle { address, truth, orders: Some(orders), thread: Some(thread) })
}

struct Driver {
    aircraft: Aircraft,
    socket: UdpSocket,
    frames: Frames,
    remotes: Vec<SocketAddr>,
    truth: Arc<Mutex<Truth>>,
    ordered: Receiver<(Failure, bool)>,
}

impl Driver {
    /// **Steps the machine at least every 4 ms until the handle is gone.**
    fn run(mut self) {
        let start = Instant::now();
        while self.take_orders() {
            let inbox = self.receive();
            let now_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            for message in self.aircraft.step(now_us, &inbox) {
                let datagram = self.frames.encode(&message);
                self.send(&datagram);
            }
            *self.truth.lock().unwrap_or_else(PoisonError::into_inner) = self.aircraft.truth();
        }
    }

    /// False when nobody holds the handle any more.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.ordered.try_recv() {
                Ok((failure, on)) => self.aircraft.inject(failure, on),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Waits for one datagram, at most a tick, and takes what else is there.
    fn receive(&mut self) -> Vec<Received> {
        let mut inbox = Vec::new();
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for number in 0..DATAGRAMS_PER_STEP_MAX {
            let _ = self.socket.set_nonblocking(number > 0);
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { break };
            let messages = self.frames.decode(&buffer[..length]);
            if !messages.is_empty() {
                self.remember(from);
            }
            inbox.extend(messages);
        }
        let _ = self.socket.set_nonblocking(false);
        inbox
    }

    /// Whoever has said something valid is answered from now on.
    fn remember(&mut self, from: SocketAddr) {
        let known = self.remotes.contains(&from);
        if !known && from.ip().is_loopback() && self.remotes.len() < REMOTES_MAX {
            self.remotes.push(from);
        }
    }

    /// A remote that is not there yet is not an error: the next datagram may find it.
    fn send(&self, datagram: &[u8]) {
        for remote in &self.remotes {
            if let Err(error) = self.socket.send_to(datagram, remote) {
                tracing::trace!(%remote, %error, "aircraft could not send");
            }
        }
    }
}

fn check_remotes(remotes: &[SocketAddr]) -> Result<(), DriverError> {
    if remotes.len() > REMOTES_MAX {
        return Err(DriverError::TooManyRemotes { seen: remotes.len(), max: REMOTES_MAX });
    }
    let loopback_v4 = |remote: &&SocketAddr| !matches!(remote.ip(), IpAddr::V4(ip) if ip.is_loopback());
    match remotes.iter().find(loopback_v4) {
        Some(seen) => Err(DriverError::NotLoopback { seen: *seen }),
        None => Ok(()),
    }
}
