//! Who talks to the edge box, and what goes where. Pure: no socket, no task.
//!
//! **Invariants (local):** a signal goes to the one it is for, once, as its sender wrote it; the server only looks whether
//! it is one JSON object, so that nobody can write an envelope. The edge box is told of every peer that it could have
//! heard of and that left. There is one edge connection, the newest; what an older one says is dropped. There are at
//! most [`PEERS_MAX`] peers, at most [`PEERS_PER_LINK_MAX`] by one link.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use farhand_link::MESSAGE_BYTES_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::LinkId;

/// No more browsers signal at once.
pub const PEERS_MAX: usize = 64;
/// No more of them by one link: a few tabs.
pub const PEERS_PER_LINK_MAX: usize = 4;
/// `{"peer":"","signal":}` and a peer's 32 digits, rounded up.
const ENVELOPE_BYTES: usize = 64;
/// No signal is longer: with its envelope it fits one message to the edge box.
pub const SIGNAL_BYTES_MAX: usize = MESSAGE_BYTES_MAX - ENVELOPE_BYTES;
/// No opening is longer: in base64, with its envelope, it fits one message to the edge box.
pub const OPENING_BYTES_MAX: usize = (MESSAGE_BYTES_MAX - ENVELOPE_BYTES) / 4 * 3;

const EDGE_OFFLINE: &str = r#"{"type":"edge-offline"}"#;
const EDGE_ONLINE: &str = r#"{"type":"edge-online"}"#;

/// One signalling channel of one browser. A new one for each: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 16]);

/// One connection of the edge box, numbered by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeNumber(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    PeerCame {
        peer: PeerId,
        link: LinkId,
    },
    PeerSaid {
        peer: PeerId,
        text: String,
    },
    PeerLeft {
        peer: PeerId,
    },
    EdgeCame {
        edge: EdgeNumber,
    },
    EdgeSaid {
        edge: EdgeNumber,
        message: Vec<u8>,
    },
    EdgeLeft {
        edge: EdgeNumber,
    },
    /// A question to the kit about its custody, at most [`OPENING_BYTES_MAX`] bytes. Lost while the edge box is away.
    CustodyAsked {
        request: Vec<u8>,
    },
    /// The session's opening evidence is there, at most [`OPENING_BYTES_MAX`] bytes.
    Opened {
        evidence: Vec<u8>,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    ToPeer {
        peer: PeerId,
        text: String,
    },
    ToEdge {
        edge: EdgeNumber,
        message: String,
    },
    DropPeer {
        peer: PeerId,
        why: DropPeer,
    },
    DropEdge {
        edge: EdgeNumber,
        why: DropEdge,
    },
    /// The kit's answer about its custody, for the field desk.
    Custody {
        answer: Vec<u8>,
    },
    /// The record is sealed, and its bundle has this name.
    Sealed {
        bundle: String,
    },
}

/// Why a browser's channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropPeer {
    /// As many as there may be, in all or by this link.
    Full,
    /// Not one JSON object.
    NotASignal,
    /// Longer than [`SIGNAL_BYTES_MAX`].
    TooLong,
}

/// Why the edge box's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropEdge {
    /// A newer one took its place.
    Replaced,
    /// Not a message of this protocol.
    Malformed,
}

/// Edge box and peers of one session.
#[derive(Debug, Default)]
pub struct Rooms {
    edge: Option<EdgeNumber>,
    peers: BTreeMap<PeerId, LinkId>,
    /// The message with the opening, ready to be sent.
    opening: Option<String>,
    outputs: VecDeque<Output>,
}

/// A signal for a peer, or the kit's answer, or that the record is sealed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromEdge<'a> {
    peer: Option<&'a str>,
    #[serde(borrow)]
    signal: Option<&'a RawValue>,
    custody_answer: Option<&'a str>,
    sealed: Option<SealedBundle>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedBundle {
    bundle: String,
}

impl Rooms {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// **Takes one thing that happened; then [`Rooms::poll`] until it has no more.**
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::PeerCame { peer, link } => self.peer_came(peer, link),
            Input::PeerSaid { peer, text } => self.peer_said(peer, &text),
            Input::PeerLeft { peer } => self.peer_left(peer),
            Input::EdgeCame { edge } => self.edge_came(edge),
            Input::EdgeSaid { edge, message } => self.edge_said(edge, &message),
            Input::EdgeLeft { edge } => self.edge_left(edge),
            Input::CustodyAsked { request } => self.custody_asked(&request),
            Input::Opened { evidence } => self.opened(&evidence),
        }
    }

    /// What to do next: at most two things a peer, and two more, after each input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the edge box is connected.
    #[must_use]
    pub fn edge_online(&self) -> bool {
        self.edge.is_some()
    }

    fn peer_came(&mut self, peer: PeerId, link: LinkId) {
        let by_link = self.peers.values().filter(|&&other| other == link).count();
        if self.peers.len() >= PEERS_MAX || by_link >= PEERS_PER_LINK_MAX {
            self.outputs.push_back(Output::DropPeer { peer, why: DropPeer::Full });
            return;
        }
        self.peers.insert(peer, link);
        if self.edge.is_none() {
            self.tell_peer(peer, EDGE_OFFLINE);
        }
    }

    fn peer_said(&mut self, peer: PeerId, text: &str) {
        if !self.peers.contains_key(&peer) {
            return; // dropped a moment ago
        }
        if text.len() > SIGNAL_BYTES_MAX {
            return self.drop_peer(peer, DropPeer::TooLong);
        }
        let Some(signal) = object(text) else {
            return self.drop_peer(peer, DropPeer::NotASignal);
        };
        match self.edge {
            Some(edge) => self.tell_edge(edge, format!(r#"{{"peer":"{peer}","signal":{signal}}}"#)),
            None => self.tell_peer(peer, EDGE_OFFLINE),
        }
    }

    fn peer_left(&mut self, peer: PeerId) {
        if self.peers.remove(&peer).is_some() {
            self.tell_gone(peer);
        }
    }

    fn drop_peer(&mut self, peer: PeerId, why: DropPeer) {
        self.outputs.push_back(Output::DropPeer { peer, why });
        self.peer_left(peer);
    }

    fn edge_came(&mut self, edge: EdgeNumber) {
        if let Some(old) = self.edge.replace(edge) {
            self.outputs.push_back(Output::DropEdge { edge: old, why: DropEdge::Replaced });
            self.tell_all_peers(EDGE_OFFLINE); // what they had agreed with the old one is void
        }
        if let Some(opening) = self.opening.clone() {
            self.tell_edge(edge, opening);
        }
        self.tell_all_peers(EDGE_ONLINE);
    }

    fn edge_said(&mut self, edge: EdgeNumber, message: &[u8]) {
        if self.edge != Some(edge) {
            return; // an older connection
        }
        match said(message) {
            Some(Said::Signal(peer, signal)) if self.peers.contains_key(&peer) => {
                self.tell_peer(peer, signal)
            }
            Some(Said::Signal(peer, _)) => self.tell_gone(peer),
            Some(Said::Custody(answer)) => self.outputs.push_back(Output::Custody { answer }),
            Some(Said::Sealed(bundle)) => self.outputs.push_back(Output::Sealed { bundle }),
            None => {
                self.outputs.push_back(Output::DropEdge { edge, why: DropEdge::Malformed });
                self.edge_left(edge);
            }
        }
    }

    fn custody_asked(&mut self, request: &[u8]) {
        if let Some(edge) = self.edge {
            self.tell_edge(edge, format!(r#"{{"custody_ask":"{}"}}"#, URL_SAFE_NO_PAD.encode(request)));
        }
    }

    fn edge_left(&mut self, edge: EdgeNumber) {
        if self.edge == Some(edge) {
            self.edge = None;
            self.tell_all_peers(EDGE_OFFLINE);
        }
    }

    fn opened(&mut self, evidence: &[u8]) {
        let message = format!(r#"{{"opening":"{}"}}"#, URL_SAFE_NO_PAD.encode(evidence));
        self.opening = Some(message.clone());
        if let Some(edge) = self.edge {
            self.tell_edge(edge, message);
        }
    }

    fn tell_gone(&mut self, peer: PeerId) {
        if let Some(edge) = self.edge {
            self.tell_edge(edge, format!(r#"{{"gone":"{peer}"}}"#));
        }
    }

    fn tell_all_peers(&mut self, text: &str) {
        let all = self.peers.keys().map(|&peer| Output::ToPeer { peer, text: text.to_owned() });
        self.outputs.extend(all);
    }

    fn tell_peer(&mut self, peer: PeerId, text: &str) {
        self.outputs.push_back(Output::ToPeer { peer, text: text.to_owned() });
    }

    fn tell_edge(&mut self, edge: EdgeNumber, message: String) {
        self.outputs.push_back(Output::ToEdge { edge, message });
    }
}

/// The text, if it is one JSON object and nothing else.
fn object(text: &str) -> Option<&str> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    value.get().starts_with('{').then_some(value.get())
}

/// What the edge box said, read once.
enum Said<'a> {
    Signal(PeerId, &'a str),
    Custody(Vec<u8>),
    Sealed(String),
}

fn said(message: &[u8]) -> Option<Said<'_>> {
    match serde_json::from_slice(message).ok()? {
        FromEdge { peer: Some(peer), signal: Some(signal), custody_answer: None, sealed: None } => {
            Some(Said::Signal(PeerId::read(peer)?, object(signal.get())?))
        }
        FromEdge { peer: None, signal: None, custody_answer: Some(answer), sealed: None } => {
            URL_SAFE_NO_PAD.decode(answer).ok().map(Said::Custody)
        }
        FromEdge { peer: None, signal: None, custody_answer: None, sealed: Some(sealed) } => {
            Some(Said::Sealed(sealed.bundle))
        }
        _ => None,
    }
}

impl PeerId {
    fn read(text: &str) -> Option<Self> {
        LinkId::read(text).map(|LinkId(bytes)| Self(bytes)) // the same spelling
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: EdgeNumber = EdgeNumber(1);

    fn peer(number: u8) -> PeerId {
        PeerId([number; 16])
    }

    fn did(rooms: &mut Rooms, input: Input) -> Vec<Output> {
        rooms.handle(input);
        std::iter::from_fn(|| rooms.poll()).collect()
    }

    fn came(number: u8) -> Input {
        Input::PeerCame { peer: peer(number), link: LinkId([number; 16]) }
    }

    fn says(number: u8, text: &str) -> Input {
        Input::PeerSaid { peer: peer(number), text: text.to_owned() }
    }

    fn text(number: u8, text: &str) -> Output {
        Output::ToPeer { peer: peer(number), text: text.to_owned() }
    }

    fn edge_says(message: String) -> Input {
        Input::EdgeSaid { edge: EDGE, message: message.into_bytes() }
    }

    /// Goal: what is in a signal reaches the other side letter by letter, spaces and unknown fields too.
    #[test]
    fn signals_pass_unread_both_ways() {
        let mut rooms = Rooms::new();
        did(&mut rooms, Input::EdgeCame { edge: EDGE });
        assert_eq!(did(&mut rooms, came(1)), []);
        let signal = r#"{ "b":1e2, "a":"\u00e9" }"#;
        let enveloped = format!(r#"{{"peer":"{}","signal":{signal}}}"#, peer(1));
        let there = did(&mut rooms, says(1, signal));
        assert_eq!(there, [Output::ToEdge { edge: EDGE, message: enveloped.clone() }]);
        assert_eq!(did(&mut rooms, edge_says(enveloped)), [text(1, signal)]);
    }

    /// Goal: a browser always knows whether the edge box is there.
    #[test]
    fn peers_hear_when_the_edge_goes_and_comes() {
        let mut rooms = Rooms::new();
        assert_eq!(did(&mut rooms, came(1)), [text(1, EDGE_OFFLINE)]);
        assert_eq!(did(&mut rooms, says(1, "{}")), [text(1, EDGE_OFFLINE)]);
        assert_eq!(did(&mut rooms, Input::EdgeCame { edge: EDGE }), [text(1, EDGE_ONLINE)]);
        assert_eq!(did(&mut rooms, Input::EdgeLeft { edge: EDGE }), [text(1, EDGE_OFFLINE)]);
        assert!(!rooms.edge_online());
    }

    /// Goal: a browser can't write into the envelope, to speak as another.
    #[test]
    fn what_is_not_one_json_object_ends_the_channel() {
        for forged in [r#"{}},{"peer":"x""#, "[1]", "7", "", r#"{"a":1} {"b":2}"#, "{"] {
            let mut rooms = Rooms::new();
            did(&mut rooms, Input::EdgeCame { edge: EDGE });
            did(&mut rooms, came(1));
            let outputs = did(&mut rooms, says(1, forged));
            let dropped = Output::DropPeer { peer: peer(1), why: DropPeer::NotASignal };
            let gone = Output::ToEdge { edge: EDGE, message: format!(r#"{{"gone":"{}"}}"#, peer(1)) };
            assert_eq!(outputs, [dropped, gone], "{forged}");
        }
    }

    /// Goal: the longest signal fits the edge box's message, and one byte more is refused.
    #[test]
    fn the_longest_signal_fits_a_message() {
        let mut rooms = Rooms::new();
        did(&mut rooms, Input::EdgeCame { edge: EDGE });
        did(&mut rooms, came(1));
        let longest = format!(r#"{{"a":"{}"}}"#, "x".repeat(SIGNAL_BYTES_MAX - 8));
        let outputs = did(&mut rooms, says(1, &longest));
        assert!(
            matches!(&outputs[..], [Output::ToEdge { message, .. }] if message.len() <= MESSAGE_BYTES_MAX)
        );
        let outputs = did(&mut rooms, says(1, &format!("{longest} ")));
        assert_eq!(outputs[0], Output::DropPeer { peer: peer(1), why: DropPeer::TooLong });
    }

    /// Goal: the newest edge connection counts, peers start anew with it, and the older one is heard no more.
    #[test]
    fn a_newer_edge_connection_takes_the_place() {
        let mut rooms = Rooms::new();
        did(&mut rooms, Input::EdgeCame { edge: EDGE });
        did(&mut rooms, came(1));
        let dropped = Output::DropEdge { edge: EDGE, why: DropEdge::Replaced };
        let outputs = did(&mut rooms, Input::EdgeCame { edge: EdgeNumber(2) });
        assert_eq!(outputs, [dropped, text(1, EDGE_OFFLINE), text(1, EDGE_ONLINE)]);
        assert_eq!(did(&mut rooms, edge_says(format!(r#"{{"peer":"{}","signal":{{}}}}"#, peer(1)))), []);
        assert_eq!(did(&mut rooms, Input::EdgeLeft { edge: EDGE }), []);
        assert!(rooms.edge_online());
    }

    /// Goal: the edge box has the opening whether it or the opening comes first.
    #[test]
    fn the_edge_gets_the_opening_at_once_or_when_it_is_there() {
        let opening = || Output::ToEdge { edge: EDGE, message: r#"{"opening":"_-8"}"#.to_owned() };
        let opened = || Input::Opened { evidence: vec![0xff, 0xef] };
        let (mut before, mut after) = (Rooms::new(), Rooms::new());
        assert_eq!(did(&mut before, opened()), []);
        assert_eq!(did(&mut before, Input::EdgeCame { edge: EDGE }), [opening()]);
        assert_eq!(did(&mut after, Input::EdgeCame { edge: EDGE }), []);
        assert_eq!(did(&mut after, opened()), [opening()]);
    }

    /// Goal: an edge box that does not speak the protocol is disconnected, and peers hear it.
    #[test]
    fn a_malformed_message_ends_the_edge_connection() {
        let mut rooms = Rooms::new();
        did(&mut rooms, Input::EdgeCame { edge: EDGE });
        did(&mut rooms, came(1));
        let dropped = Output::DropEdge { edge: EDGE, why: DropEdge::Malformed };
        assert_eq!(did(&mut rooms, edge_says("[]".into())), [dropped, text(1, EDGE_OFFLINE)]);
    }

    /// Goal: the server is bounded, in all and by link, and a place is free again after somebody leaves.
    #[test]
    fn there_are_only_so_many_peers() {
        let mut rooms = Rooms::new();
        let tab = |number| Input::PeerCame { peer: peer(number), link: LinkId([0; 16]) };
        for number in 0..PEERS_PER_LINK_MAX as u8 {
            assert_eq!(did(&mut rooms, tab(number)), [text(number, EDGE_OFFLINE)]);
        }
        let full = |number| vec![Output::DropPeer { peer: peer(number), why: DropPeer::Full }];
        assert_eq!(did(&mut rooms, tab(100)), full(100));
        for number in PEERS_PER_LINK_MAX as u8..PEERS_MAX as u8 {
            assert_eq!(did(&mut rooms, came(number)), [text(number, EDGE_OFFLINE)]);
        }
        assert_eq!(did(&mut rooms, came(101)), full(101));
        did(&mut rooms, Input::PeerLeft { peer: peer(0) });
        assert_eq!(did(&mut rooms, came(101)), [text(101, EDGE_OFFLINE)]);
    }
}
