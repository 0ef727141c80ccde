//! One browser's signalling channel: a WebSocket (RFC 6455) and its place at the switchboard.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    DropPeer, Input, LinkId, PeerId,
    switchboard::{Event, TO_PEER_QUEUED_MAX, ToPeer},
};

/// A quiet browser is asked this often whether it is there.
const PING: Duration = Duration::from_secs(10);
/// A browser that left this many pings unanswered is gone.
const PINGS_UNANSWERED_MAX: u32 = 2;
/// A browser that takes nothing for this long is gone.
const SEND: Duration = Duration::from_secs(5);

/// Why a channel ends, as the browser is told (RFC 6455 §7.4.1).
type End = Option<(u16, &'static str)>;

/// **Serves one channel to its end, whoever ends it, and then says that the peer left.**
pub(crate) async fn serve(mut socket: WebSocket, peer: PeerId, link: LinkId, events: mpsc::Sender<Event>) {
    let (to, outbox) = mpsc::channel(TO_PEER_QUEUED_MAX);
    if events.send(Event::PeerCame { peer, link, to }).await.is_err() {
        return; // the server ends
    }
    let end = exchange(&mut socket, peer, outbox, &events).await;
    let _ = events.send(Event::Input(Input::PeerLeft { peer })).await; // fails only when the server ends
    if let Some((code, reason)) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = timeout(SEND, socket.send(Message::Close(Some(frame)))).await; // it may be gone
    }
}

async fn exchange(
    socket: &mut WebSocket,
    peer: PeerId,
    mut outbox: mpsc::Receiver<ToPeer>,
    events: &mpsc::Sender<Event>,
) -> End {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        let next = tokio::select! {
            received = socket.recv() => {
                unanswered = 0;
                match heard(received) {
                    Ok(None) => continue,
                    Ok(Some(text)) => {
                        let _ = events.send(Event::Input(Input::PeerSaid { peer, text })).await;
                        continue;
                    }
                    Err(end) => return end,
                }
            }
            next = outbox.recv() => match to_send(next) {
                Ok(message) => message,
                Err(end) => return end,
            },
            _ = pings.tick() => {
                unanswered += 1;
                if unanswered > PINGS_UNANSWERED_MAX {
                    return None;
                }
                Message::Ping(bytes::Bytes::new())
            }
        };
        if !matches!(timeout(SEND, socket.send(next)).await, Ok(Ok(()))) {
            return None;
        }
    }
}

/// The text in a frame, or why the channel ends. Pings are answered below us.
fn heard(received: Option<Result<Message, axum::Error>>) -> Result<Option<String>, End> {
    match received {
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Err(Some((close_code::UNSUPPORTED, "signals are JSON text"))),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err(None),
        Some(Err(error)) => {
            tracing::debug!(%error, "a browser's channel broke");
            Err(Some((close_code::SIZE, "a frame is too long, or not a frame")))
        }
    }
}

fn to_send(next: Option<ToPeer>) -> Result<Message, End> {
    match next {
        Some(ToPeer::Text(text)) => Ok(Message::text(text)),
        Some(ToPeer::Close(DropPeer::Full)) => Err(Some((close_code::AGAIN, "too many channels are open"))),
        Some(ToPeer::Close(DropPeer::NotASignal)) => {
            Err(Some((close_code::INVALID, "a signal is one JSON object")))
        }
        Some(ToPeer::Close(DropPeer::TooLong)) => Err(Some((close_code::SIZE, "a signal is too long"))),
        None => Err(Some((close_code::AWAY, "the server ends, or this side does not keep up"))),
    }
}
