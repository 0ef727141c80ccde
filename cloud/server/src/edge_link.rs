//! The edge box's connection: mutual TLS over QUIC, a JSON object each message.
//!
//! Both ways `{"peer": hex, "signal": object}`; to the edge box also `{"opening": base64url}` (opening evidence, when it
//! connects or as soon as there is one) and `{"gone": hex}` (a peer left).

use farhand_link::{Connection, DeviceRole, Endpoint, LinkConfig, Protocol};
use tokio::sync::mpsc;

use crate::{
    EdgeNumber, Input,
    switchboard::{Event, TO_EDGE_QUEUED_MAX},
};

/// Signalling between the edge box, which connects, and the cloud.
pub const SIGNAL_PROTOCOL: Protocol =
    Protocol { alpn: "farhand-signal/1", accepting: &[DeviceRole::Cloud], connecting: &[DeviceRole::Edge] };

/// Signalling is in no hurry: an edge box is offline once unheard for three seconds.
pub(crate) fn link_config() -> LinkConfig {
    LinkConfig {
        keep_alive_ms: 500,
        idle_timeout_ms: 3000,
        connections_max: 8,
        handshakes_max: 8,
        ..LinkConfig::default()
    }
}

/// **Lets the edge box in, again and again, until the endpoint is closed.**
pub(crate) async fn accept_edges(endpoint: Endpoint, events: mpsc::Sender<Event>) {
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = endpoint.accept() => {
                let Some(connection) = accepted else { return };
                number += 1;
                tracing::info!(addr = %connection.peer_addr(), number, "the edge box is there");
                tokio::spawn(serve(connection, EdgeNumber(number), events.clone()));
            }
            refused = endpoint.refused() => {
                let Some(refused) = refused else { return };
                tracing::warn!(addr = %refused.addr, why = %refused.why, "refused a device");
            }
        }
    }
}

async fn serve(connection: Connection, edge: EdgeNumber, events: mpsc::Sender<Event>) {
    let (to, outbox) = mpsc::channel(TO_EDGE_QUEUED_MAX);
    let came = Event::EdgeCame { edge, connection: connection.clone(), to };
    if events.send(came).await.is_err() {
        return; // the server ends
    }
    let why = exchange(&connection, edge, outbox, &events).await;
    tracing::info!(number = edge.0, why, "the edge box is gone");
    let _ = events.send(Event::Input(Input::EdgeLeft { edge })).await; // fails only when the server ends
}

/// Until either side ends the connection; then why.
async fn exchange(
    connection: &Connection,
    edge: EdgeNumber,
    mut outbox: mpsc::Receiver<String>,
    events: &mpsc::Sender<Event>,
) -> String {
    loop {
        tokio::select! {
            received = connection.recv_message() => match received {
                Ok(Some(message)) => {
                    let said = Input::EdgeSaid { edge, message: message.into() };
                    let _ = events.send(Event::Input(said)).await;
                }
                Ok(None) => return "it has no more to say".to_owned(),
                Err(why) => return why.to_string(),
            },
            next = outbox.recv() => {
                let Some(message) = next else { return "disconnected".to_owned() };
                if let Err(why) = connection.send_message(message.into()).await {
                    return why.to_string();
                }
            }
        }
    }
}
