//! What gets through.

use bytes::Bytes;
use farhand_link::{
    CloseReason, Connection, DatagramError, HandshakeError, LinkError, MESSAGE_BYTES_MAX, MessageError,
};

use crate::cast::{Rogue, Site, meet, soon};

/// Goal: what fits a datagram is a fixed number, and one byte more is refused with both figures.
#[tokio::test]
async fn a_datagram_over_the_limit_is_refused() {
    let (edge, kit) = Site::new().connected().await;
    let max = edge.datagram_bytes_max();
    assert!((1000..1200).contains(&max), "{max}");
    let refused = edge.send_datagram(vec![0; max + 1].into());
    assert_eq!(refused, Err(DatagramError::TooLarge { bytes: max + 1, max }));
    edge.send_datagram(vec![7; max].into()).unwrap();
    assert_eq!(soon(kit.recv_datagram()).await.unwrap(), vec![7; max]);
}

/// Goal: when nobody takes datagrams, the old ones are dropped and the newest are there.
#[tokio::test]
async fn datagrams_that_nobody_takes_make_room_for_newer_ones() {
    let (edge, kit) = Site::new().connected().await;
    const SENT: u32 = 1000;
    for number in 0..SENT {
        edge.send_datagram([number.to_le_bytes().as_slice(), &[0; 1000]].concat().into()).unwrap();
        if number % 8 == 7 {
            round_trip(&edge, &kit).await; // so that the sender's own bound drops none
        }
    }
    let mut held = vec![];
    while held.last() != Some(&(SENT - 1)) {
        let datagram = soon(kit.recv_datagram()).await.unwrap();
        held.push(u32::from_le_bytes(datagram[..4].try_into().unwrap()));
    }
    assert!(held[0] > SENT / 2 && held.len() < 100, "{} held, from {}", held.len(), held[0]);
    assert!(held.is_sorted());
}

async fn round_trip(near: &Connection, far: &Connection) {
    near.send_message(Bytes::from_static(b"?")).await.unwrap();
    soon(far.recv_message()).await.unwrap();
    far.send_message(Bytes::from_static(b"!")).await.unwrap();
    soon(near.recv_message()).await.unwrap();
}

/// Goal: messages of every size to the limit come whole, once and in order, both ways at once, and end cleanly.
#[tokio::test]
async fn messages_arrive_whole_and_in_order() {
    let (edge, kit) = Site::new().connected().await;
    let sizes = [0, 1, 3, 4, 5, 1199, 1200, 4096, MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX];
    let send = async |from: &Connection| {
        for (number, bytes) in sizes.into_iter().enumerate() {
            from.send_message(vec![number as u8; bytes].into()).await.unwrap();
        }
        from.finish_messages().await.unwrap();
    };
    let receive = async |at: &Connection| {
        for (number, bytes) in sizes.into_iter().enumerate() {
            assert_eq!(at.recv_message().await.unwrap().unwrap(), vec![number as u8; bytes]);
        }
        assert_eq!(at.recv_message().await, Ok(None));
    };
    soon(async { tokio::join!(send(&edge), send(&kit), receive(&edge), receive(&kit)) }).await;
    assert_eq!(edge.send_message(Bytes::new()).await, Err(MessageError::Finished));
}

/// Goal: a message over the limit never leaves, and the connection goes on.
#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_sender() {
    let (edge, kit) = Site::new().connected().await;
    let bytes = MESSAGE_BYTES_MAX + 1;
    let refused = edge.send_message(vec![0; bytes].into()).await;
    assert_eq!(refused, Err(MessageError::TooLarge { bytes, max: MESSAGE_BYTES_MAX }));
    round_trip(&edge, &kit).await;
}

/// Goal: a receiver that stops waiting in the middle of a message loses nothing of it.
#[tokio::test]
async fn a_receiver_may_stop_waiting_at_any_time() {
    let (edge, kit) = Site::new().connected().await;
    let sender = tokio::spawn(async move {
        for number in 0..40u8 {
            edge.send_message(vec![number; 50_000].into()).await.unwrap();
        }
        edge.finish_messages().await.unwrap();
        edge
    });
    let (mut next, mut given_up) = (0u8, 0);
    while next < 40 {
        tokio::select! {
            biased;
            message = kit.recv_message() => {
                assert_eq!(message.unwrap().unwrap(), vec![next; 50_000]);
                next += 1;
            }
            () = tokio::task::yield_now() => given_up += 1,
        }
    }
    assert!(given_up > 0, "the test must have interrupted something");
    soon(sender).await.unwrap();
}

/// Goal: a sender that nobody listens to waits, and this side's memory does not grow.
#[tokio::test]
async fn a_sender_waits_for_a_receiver_that_does_not_take() {
    let (edge, kit) = Site::new().connected().await;
    let mut sent = 0;
    let message = Bytes::from(vec![0; MESSAGE_BYTES_MAX]);
    while let Ok(answer) =
        tokio::time::timeout(std::time::Duration::from_millis(300), edge.send_message(message.clone())).await
    {
        answer.unwrap();
        sent += 1;
        assert!(sent < 100, "nothing holds the sender back");
    }
    for _ in 0..sent {
        assert_eq!(soon(kit.recv_message()).await.unwrap().unwrap().len(), MESSAGE_BYTES_MAX);
    }
}

/// A peer with the edge's key that writes raw bytes where messages belong.
async fn raw_stream(site: &Site) -> (quinn::Connection, quinn::SendStream, quinn::RecvStream, Connection) {
    let kit = site.kit();
    let rogue = Rogue::with_key_of(&site.edge_key).endpoint();
    let quic = soon(rogue.connect(kit.local_addr().unwrap(), "device.invalid").unwrap()).await.unwrap();
    let (mut to_kit, from_kit) = quic.open_bi().await.unwrap();
    to_kit.write_all(&[0; 4]).await.unwrap();
    let connection = soon(kit.accept()).await.unwrap();
    (quic, to_kit, from_kit, connection)
}

/// Goal: an announced length over the limit ends the connection before a byte of the message is waited for.
#[tokio::test]
async fn an_oversized_message_ends_the_connection() {
    let (quic, mut to_kit, _from_kit, kit) = raw_stream(&Site::new()).await;
    to_kit.write_all(&(MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes()).await.unwrap();
    let refused = soon(kit.recv_message()).await;
    assert_eq!(refused, Err(MessageError::TooLarge { bytes: MESSAGE_BYTES_MAX + 1, max: MESSAGE_BYTES_MAX }));
    assert_eq!(kit.end(), Some(LinkError::ClosedHere));
    let told = soon(quic.closed()).await;
    assert!(matches!(told, quinn::ConnectionError::ApplicationClosed(why) if why.error_code == 2u32.into()));
}

/// Goal: a message that ends too soon is not delivered, and is named.
#[tokio::test]
async fn a_truncated_message_is_not_delivered() {
    let (_quic, mut to_kit, _from_kit, kit) = raw_stream(&Site::new()).await;
    to_kit.write_all(&[10, 0, 0, 0, 1, 2, 3]).await.unwrap();
    to_kit.finish().unwrap();
    let refused = soon(kit.recv_message()).await;
    assert_eq!(refused, Err(MessageError::Truncated { bytes: 3, wanted: 10 }));
    assert_eq!(kit.end(), Some(LinkError::ClosedHere));
}

/// Goal: a peer can't open more streams than the one it has.
#[tokio::test]
async fn a_second_stream_is_never_granted() {
    let (quic, _to_kit, _from_kit, _kit) = raw_stream(&Site::new()).await;
    let brief = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(brief, quic.open_bi()).await.is_err());
    assert!(tokio::time::timeout(brief, quic.open_uni()).await.is_err());
}

/// Goal: a peer that does not greet as agreed is refused.
#[tokio::test]
async fn a_wrong_greeting_is_refused() {
    let site = Site::new();
    let kit = site.kit();
    let rogue = Rogue::with_key_of(&site.edge_key).endpoint();
    let quic = soon(rogue.connect(kit.local_addr().unwrap(), "device.invalid").unwrap()).await.unwrap();
    let (mut to_kit, _from_kit) = quic.open_bi().await.unwrap();
    to_kit.write_all(&[9, 0, 0, 0]).await.unwrap();
    assert!(matches!(soon(kit.refused()).await.unwrap().why, HandshakeError::BadHello(_)));
}

/// Goal: the reason for closing reaches the other end, and everything there ends with it.
#[tokio::test]
async fn closing_tells_the_peer_why() {
    let site = Site::new();
    let (edge, kit) = site.connected().await;
    edge.close(CloseReason::Replaced);
    let why = LinkError::ClosedByPeer(CloseReason::Replaced);
    assert_eq!(soon(kit.closed()).await, why);
    assert_eq!(soon(kit.recv_datagram()).await, Err(why.clone()));
    assert_eq!(soon(kit.recv_message()).await, Err(MessageError::Link(why.clone())));
    assert_eq!(soon(kit.send_message(Bytes::new())).await, Err(MessageError::Link(why.clone())));
    assert_eq!(kit.send_datagram(Bytes::new()), Err(DatagramError::Link(why)));
    assert_eq!(edge.end(), Some(LinkError::ClosedHere));
}

/// Goal: one device may connect twice; both connections work, and the layer above can tell them apart.
#[tokio::test]
async fn one_device_may_have_two_connections() {
    let site = Site::new();
    let (kit, edge) = (site.kit(), site.edge());
    let (edge_first, kit_first) = meet(&edge, &kit, site.kit_key.id()).await;
    let (edge_second, kit_second) = meet(&edge, &kit, site.kit_key.id()).await;
    assert!(kit_first.is_same(&kit_first.clone()) && !kit_first.is_same(&kit_second));
    assert_eq!(kit_first.peer(), kit_second.peer());
    round_trip(&edge_first, &kit_first).await;
    round_trip(&edge_second, &kit_second).await;
}
