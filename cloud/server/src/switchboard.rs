//! Runs [`Rooms`]: one task that owns it, and a bounded queue to each browser and to the edge box. Whoever does not keep
//! up with its queue is disconnected; nobody waits for anybody else.

use std::collections::BTreeMap;

use farhand_link::{CloseReason, Connection};
use tokio::sync::{mpsc, watch};

use crate::{DropEdge, DropPeer, EdgeNumber, Input, LinkId, Output, PeerId, Rooms};

/// Events waiting; whoever brings one waits for room.
pub(crate) const EVENTS_QUEUED_MAX: usize = 64;
/// Signals waiting for one browser.
pub(crate) const TO_PEER_QUEUED_MAX: usize = 32;
/// Messages waiting for the edge box.
pub(crate) const TO_EDGE_QUEUED_MAX: usize = 128;

/// What happened, with the queue of whoever came.
#[derive(Debug)]
pub(crate) enum Event {
    PeerCame { peer: PeerId, link: LinkId, to: mpsc::Sender<ToPeer> },
    EdgeCame { edge: EdgeNumber, connection: Connection, to: mpsc::Sender<String> },
    Input(Input),
}

/// What a browser's channel is to do.
#[derive(Debug)]
pub(crate) enum ToPeer {
    Text(String),
    Close(DropPeer),
}

#[derive(Debug)]
pub(crate) struct Switchboard {
    rooms: Rooms,
    peers: BTreeMap<PeerId, mpsc::Sender<ToPeer>>,
    edges: BTreeMap<EdgeNumber, (Connection, mpsc::Sender<String>)>,
    edge_online: watch::Sender<bool>,
    said: Said,
}

/// Where goes what the edge box says to the server itself.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) custody: mpsc::Sender<Vec<u8>>,
    pub(crate) sealed: watch::Sender<Option<String>>,
}

impl Switchboard {
    pub(crate) fn new(edge_online: watch::Sender<bool>, said: Said) -> Self {
        Self { rooms: Rooms::new(), peers: BTreeMap::new(), edges: BTreeMap::new(), edge_online, said }
    }

    /// **Takes events one after the other, and does what [`Rooms`] says, until nobody is left to bring any.**
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let input = self.seat(event);
            self.rooms.handle(input);
            while let Some(output) = self.rooms.poll() {
                self.obey(output);
            }
            self.edge_online.send_if_modified(|online| {
                std::mem::replace(online, self.rooms.edge_online()) != self.rooms.edge_online()
            });
        }
    }

    fn seat(&mut self, event: Event) -> Input {
        match event {
            Event::PeerCame { peer, link, to } => {
                self.peers.insert(peer, to);
                Input::PeerCame { peer, link }
            }
            Event::EdgeCame { edge, connection, to } => {
                self.edges.insert(edge, (connection, to));
                Input::EdgeCame { edge }
            }
            Event::Input(input) => {
                self.unseat(&input);
                input
            }
        }
    }

    fn unseat(&mut self, input: &Input) {
        match input {
            Input::PeerLeft { peer } => drop(self.peers.remove(peer)),
            Input::EdgeLeft { edge } => drop(self.edges.remove(edge)),
            _ => {}
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::ToPeer { peer, text } => self.tell_peer(peer, text),
            Output::ToEdge { edge, message } => self.tell_edge(edge, message),
            Output::DropPeer { peer, why } => {
                if let Some(to) = self.peers.remove(&peer) {
                    let _ = to.try_send(ToPeer::Close(why)); // full: it is closed without the reason
                }
            }
            Output::DropEdge { edge, why } => self.drop_edge(edge, why),
            Output::Custody { answer } => {
                let _ = self.said.custody.try_send(answer); // full, or nobody follows: it is asked for again
            }
            Output::Sealed { bundle } => {
                self.said.sealed.send_replace(Some(bundle));
            }
        }
    }

    /// A browser whose queue is full loses its channel; its task then says that it left.
    fn tell_peer(&mut self, peer: PeerId, text: String) {
        let Some(to) = self.peers.get(&peer) else { return };
        if to.try_send(ToPeer::Text(text)).is_err() {
            tracing::warn!(%peer, queued = TO_PEER_QUEUED_MAX, "a browser does not keep up");
            self.peers.remove(&peer);
        }
    }

    /// An edge box whose queue is full loses its connection; its task then says that it left.
    fn tell_edge(&mut self, edge: EdgeNumber, message: String) {
        let Some((connection, to)) = self.edges.get(&edge) else { return };
        if to.try_send(message).is_err() {
            tracing::warn!(queued = TO_EDGE_QUEUED_MAX, "the edge box does not keep up");
            connection.close(CloseReason::Busy);
        }
    }

    fn drop_edge(&mut self, edge: EdgeNumber, why: DropEdge) {
        let Some((connection, _)) = self.edges.remove(&edge) else { return };
        tracing::warn!(?why, "disconnects the edge box");
        connection.close(match why {
            DropEdge::Replaced => CloseReason::Replaced,
            DropEdge::Malformed => CloseReason::Protocol,
        });
    }
}
