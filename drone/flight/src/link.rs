//! The UDP link to an autopilot.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use mavlink::dialects::common::MavMessage;
use thiserror::Error;

use crate::{FlightError, Frames, Received};

const DATAGRAM_BYTES_MAX: usize = 2_048;
const DATAGRAMS_PER_RECEIVE_MAX: usize = 64;

/// Where the aircraft is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAddress {
    /// Wait here for the aircraft to call: `udp:` or `udpin:`.
    Listen(SocketAddr),
    /// Call the aircraft there: `udpout:`.
    Call(SocketAddr),
}

/// Why a text is not a link address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{seen}` is not a link address; write udp:127.0.0.1:14540 to wait for the aircraft, or udpout:192.0.2.7:14580 to call it"
)]
pub struct LinkAddressError {
    pub seen: String,
}

impl FromStr for LinkAddress {
    type Err = LinkAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || LinkAddressError { seen: text.to_owned() };
        let (scheme, address) = text.split_once(':').ok_or_else(wrong)?;
        let address = address.parse().map_err(|_| wrong())?;
        match scheme {
            "udp" | "udpin" => Ok(LinkAddress::Listen(address)),
            "udpout" => Ok(LinkAddress::Call(address)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkAddress::Listen(address) => write!(f, "udp:{address}"),
            LinkAddress::Call(address) => write!(f, "udpout:{address}"),
        }
    }
}

/// An open link. The first who says something valid is the aircraft; others are not heard.
#[derive(Debug)]
pub struct UdpLink {
    address: LinkAddress,
    socket: UdpSocket,
    frames: Frames,
    remote: Option<SocketAddr>,
}

impl UdpLink {
    /// Opens the socket; with a key the link is signed both ways.
    pub fn open(address: LinkAddress, key: Option<[u8; 32]>) -> Result<Self, FlightError> {
        let (local, remote) = match address {
            LinkAddress::Listen(local) => (local, None),
            LinkAddress::Call(remote) => (any_port(remote), Some(remote)),
        };
        let wrong =
            |error: io::Error| FlightError::Link { address: address.to_string(), reason: open_words(&error) };
        let socket = UdpSocket::bind(local).map_err(wrong)?;
        Ok(Self { address, socket, frames: Frames::new(key), remote })
    }

    /// Where this end can be written to.
    pub fn local_address(&self) -> Result<SocketAddr, FlightError> {
        self.socket.local_addr().map_err(|error| self.wrong(&error))
    }

    /// Sends one message; without an aircraft yet there is nobody to send to, and that is no error.
    pub(crate) fn send(&mut self, message: &MavMessage) -> Result<(), FlightError> {
        let datagram = self.frames.encode(message);
        let Some(remote) = self.remote else { return Ok(()) };
        match self.socket.send_to(&datagram, remote) {
            // Refused means that nobody listens there now: the same as a lost datagram.
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(self.wrong(&error)),
            _ => Ok(()),
        }
    }

    /// Waits at most `patience` for a datagram, then takes what else is there.
    pub(crate) fn receive(&mut self, patience: Duration) -> Result<Vec<Received>, FlightError> {
        let mut inbox = Vec::new();
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let patience = patience.max(Duration::from_millis(1)); // zero would mean for ever
        self.socket.set_read_timeout(Some(patience)).map_err(|error| self.wrong(&error))?;
        for number in 0..DATAGRAMS_PER_RECEIVE_MAX {
            self.socket.set_nonblocking(number > 0).map_err(|error| self.wrong(&error))?;
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => inbox.extend(self.take(from, &buffer[..length])),
                Err(error) if is_nothing(error.kind()) => break,
                Err(error) => return Err(self.wrong(&error)),
            }
        }
        self.socket.set_nonblocking(false).map_err(|error| self.wrong(&error))?;
        Ok(inbox)
    }

    fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Received> {
        if self.remote.is_some_and(|remote| remote != from) {
            return Vec::new();
        }
        let messages = self.frames.decode(datagram);
        if !messages.is_empty() {
            self.remote = Some(from);
        }
        messages
    }

    fn wrong(&self, error: &io::Error) -> FlightError {
        FlightError::Link { address: self.address.to_string(), reason: error.to_string() }
    }
}

fn any_port(remote: SocketAddr) -> SocketAddr {
    match (remote.ip().is_loopback(), remote.is_ipv4()) {
        (true, true) => ([127, 0, 0, 1], 0).into(),
        (false, true) => ([0, 0, 0, 0], 0).into(),
        (true, false) => ([0, 0, 0, 0, 0, 0, 0, 1], 0).into(),
        (false, false) => ([0; 8], 0).into(),
    }
}

fn is_nothing(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(kind, WouldBlock | TimedOut | Interrupted | ConnectionRefused)
}

fn open_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; is another companion or ground station on it?".into()
        }
        _ => error.to_string(),
    }
}
