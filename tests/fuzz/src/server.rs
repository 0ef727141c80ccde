//! The cloud's server: what browsers and the edge box say to it, and what comes over the mesh.

use farhand_server::{
    EdgeNumber, Grant, Input, LinkId, Links, Output, PeerId, Rooms, SIGNAL_BYTES_MAX, Token,
    field::{Call, Delivery, FlightNews},
};
use farhand_wire::Role;

use crate::stage::{SESSION, evidence, pieces, public, trust};

/// Browsers and an edge box in their rooms: whatever any of them says, the outputs are bounded.
pub(crate) fn rooms(bytes: &[u8]) {
    let mut rooms = Rooms::new();
    let (link, edge) = (LinkId([1; 16]), EdgeNumber(1));
    rooms.handle(Input::EdgeCame { edge });
    rooms.handle(Input::PeerCame { peer: PeerId([0; 16]), link });
    for (who, content) in pieces(bytes) {
        let peer = PeerId([who >> 4; 16]);
        let text = || String::from_utf8_lossy(content).into_owned();
        rooms.handle(match who % 8 {
            0 => Input::PeerCame { peer, link },
            1 => Input::PeerLeft { peer },
            2 => Input::EdgeCame { edge },
            3 => Input::EdgeLeft { edge },
            4 | 5 => Input::PeerSaid { peer, text: text() },
            _ => Input::EdgeSaid { edge, message: content.to_vec() },
        });
        let outputs: Vec<Output> = std::iter::from_fn(|| rooms.poll()).collect();
        assert!(outputs.len() < 200, "{} outputs", outputs.len());
        let json =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok_and(|it| it.is_object());
        assert!(outputs.iter().all(|output| match output {
            Output::ToPeer { text, .. } => json(text) && text.len() <= SIGNAL_BYTES_MAX,
            Output::ToEdge { message, .. } => json(message),
            _ => true,
        }));
    }
    names(bytes);
}

/// A link's name, its cookie, and the statement that claims it: nobody here has the link's key.
fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(LinkId::read(&text).is_none_or(|id| id.to_string() == text));
    assert!(Token::read(&text).is_none_or(|token| token.to_text() == text));
    let (mut links, id) = (Links::new(SESSION), LinkId([1; 16]));
    let grant = Grant { key: public(9), role: Role::Surgeon, pseudonym: "one".to_owned(), expires_ms: 1000 };
    links.issue(id, grant, 0).expect("the first link has room");
    assert!(links.claim(id, bytes, &Token([2; 32]), 1).is_err(), "claimed without the link's key");
}

/// News of a flight, and a step that a page signs: nobody here has the page's key.
pub(crate) fn field(bytes: &[u8]) {
    let mut delivery = Delivery::new(trust().clone(), public(5), public(4));
    for proof in &evidence().custody[..2] {
        let _ = delivery.take(proof.clone());
    }
    for call in [Call::Dispatch, Call::BringUp, Call::Pair] {
        assert!(delivery.check_signed(call, bytes, public(9)).is_err(), "signed without the page's key");
    }
    if let Ok(news) = serde_json::from_slice::<FlightNews>(bytes) {
        delivery.heard(news);
        assert!(delivery.view(farhand_ledger::Utc::default()).is_object());
    }
}
