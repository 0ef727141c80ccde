//! The link to the kit: looked for for ever, whatever happens to it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use farhand_link::{Connection, KeepConnected};
use tokio::sync::mpsc;

use crate::{
    desk::Desk,
    relay::{Input, Route},
};

/// A connection that has just ended may be offered once more before that is noticed.
const AGAIN: Duration = Duration::from_millis(5);

/// **Serves one connection to the kit after the other, without end.**
pub(crate) async fn serve(keep: KeepConnected, desk: Arc<Desk>) {
    loop {
        let connection = keep.connection().await;
        if connection.end().is_some() {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let reliable = desk.kit_came(connection.clone());
        exchange(&connection, reliable, &desk).await;
        desk.kit_left();
    }
}

/// Until the connection ends.
async fn exchange(connection: &Connection, reliable: mpsc::Receiver<Bytes>, desk: &Desk) {
    tokio::select! {
        () = take_datagrams(connection, desk) => {}
        () = take_messages(connection, desk) => {}
        () = send_messages(connection, reliable) => {}
    }
}

async fn take_datagrams(connection: &Connection, desk: &Desk) {
    while let Ok(message) = connection.recv_datagram().await {
        desk.handle(Input::FromKit { route: Route::Datagram, message });
    }
}

async fn take_messages(connection: &Connection, desk: &Desk) {
    while let Ok(Some(message)) = connection.recv_message().await {
        desk.handle(Input::FromKit { route: Route::Reliable, message });
    }
}

async fn send_messages(connection: &Connection, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(message) = queue.recv().await {
        if connection.send_message(message).await.is_err() {
            return;
        }
    }
}
