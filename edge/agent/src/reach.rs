//! Where a console is told to find this edge box, and what of its own candidates counts.
//!
//! At a site behind a router, the box's address means nothing outside. A port range that the router forwards does: consoles
//! are told the forwarded address, and their checks tell us where they are. So their own candidates are left out of the
//! offer: most are addresses of another building's network. Whoever is at the bedside is on the site's network, where a
//! router's outer address often leads nowhere: the bedside is told the box's own.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use farhand_wire::Role;
use thiserror::Error;

use crate::Forwarded;

/// Where consoles reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Of the network card.
    pub(crate) local: IpAddr,
    /// For all but the bedside, if there is one.
    pub(crate) forwarded: Option<Forwarded>,
}

/// Every forwarded port is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "every port from {first} to {last} on {local} is in use: forward more, and say so in forwarded.ports"
)]
pub(crate) struct NoPort {
    local: IpAddr,
    first: u16,
    last: u16,
}

impl Reach {
    /// As somebody in that role has it.
    pub(crate) fn of(self, role: Role) -> Self {
        let forwarded = self.forwarded.filter(|_| role != Role::Bedside);
        Self { forwarded, ..self }
    }

    /// Where to listen: on a forwarded port that is free, or on any.
    pub(crate) fn listen(self) -> Result<SocketAddr, NoPort> {
        let Some(Forwarded { ports: (first, last), .. }) = self.forwarded else {
            return Ok(SocketAddr::new(self.local, 0));
        };
        let free = |port: &u16| UdpSocket::bind((self.local, *port)).is_ok();
        let port = (first..=last).find(free).ok_or(NoPort { local: self.local, first, last })?;
        Ok(SocketAddr::new(self.local, port))
    }

    /// The console's offer, as it counts here.
    pub(crate) fn offered(self, sdp: String) -> String {
        if self.forwarded.is_none() {
            return sdp;
        }
        sdp.split_inclusive('\n').filter(|line| !is_candidate(line)).collect()
    }

    /// Our answer, as the console must have it.
    pub(crate) fn answered(self, sdp: String) -> String {
        let Some(Forwarded { address, .. }) = self.forwarded else { return sdp };
        let told = |line: &str| if is_candidate(line) { self.told(line, address) } else { line.to_owned() };
        sdp.split_inclusive('\n').map(told).collect()
    }

    /// `candidate:foundation component transport priority ADDRESS port typ …` (RFC 8839, section 5.1).
    fn told(self, line: &str, address: IpAddr) -> String {
        let (local, address) = (self.local.to_string(), address.to_string());
        let fields = line.split(' ').enumerate();
        let fields =
            fields.map(|(at, field)| if at == 4 && field == local { address.as_str() } else { field });
        fields.collect::<Vec<_>>().join(" ")
    }
}

fn is_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SDP: &str = "v=0\r\nc=IN IP4 127.0.0.1\r\n\
        a=candidate:167090039 1 udp 2130706431 127.0.0.1 50001 typ host\r\n\
        a=candidate:1 1 udp 2130706431 10.0.0.3 50001 typ host\r\na=end-of-candidates\r\n";

    fn forwarded(first: u16, last: u16) -> Reach {
        let address = "203.0.113.7".parse().unwrap();
        Reach { local: LOCAL, forwarded: Some(Forwarded { address, ports: (first, last) }) }
    }

    /// Goal: behind a router the answer names the forwarded address in place of the card's, nothing else is changed, and the
    /// console's own addresses do not count.
    #[test]
    fn a_forwarded_address_takes_the_cards_place() {
        let reach = forwarded(50_000, 50_003);
        let told = SDP.replace("2130706431 127.0.0.1 50001", "2130706431 203.0.113.7 50001");
        assert_eq!(reach.answered(SDP.into()), told);
        assert_eq!(reach.offered(SDP.into()), "v=0\r\nc=IN IP4 127.0.0.1\r\na=end-of-candidates\r\n");
    }

    /// Goal: the bedside, and every site without a router in front, is told the box's own address.
    #[test]
    fn at_the_bedside_nothing_is_forwarded() {
        let reach = forwarded(50_000, 50_003);
        assert_eq!(reach.of(Role::Surgeon), reach);
        let near = reach.of(Role::Bedside);
        assert_eq!((near.answered(SDP.into()), near.offered(SDP.into())), (SDP.into(), SDP.into()));
        assert_eq!(near.listen(), Ok(SocketAddr::new(LOCAL, 0)));
    }

    /// Goal: a port that is taken is passed over; none left is said.
    #[test]
    fn a_free_port_is_found_among_those_forwarded() {
        let taken = UdpSocket::bind((LOCAL, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = forwarded(port, port).listen().unwrap_err();
        assert!(error.to_string().contains(&format!("from {port} to {port}")), "{error}");
        drop(taken);
        assert_eq!(forwarded(port, port).listen(), Ok(SocketAddr::new(LOCAL, port)));
    }
}
