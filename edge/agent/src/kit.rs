//! The link to the kit: looked for for ever, over every path, whatever happens to any of them.

use std::sync::Arc;

use farhand_link::{Bond, Paths};

use crate::{
    desk::Desk,
    relay::{Input, Route},
};

/// **Serves one bond with the kit after the other, without end.**
pub(crate) async fn serve(mut paths: Paths, desk: Arc<Desk>) {
    loop {
        let bond = paths.bond().await;
        desk.kit_came(bond.clone());
        tokio::select! {
            () = take_datagrams(&bond, &desk) => {}
            () = take_messages(&bond, &desk) => {}
        }
        desk.kit_left();
    }
}

async fn take_datagrams(bond: &Bond, desk: &Desk) {
    while let Some(message) = bond.recv_datagram().await {
        desk.handle(Input::FromKit { route: Route::Datagram, message });
    }
}

async fn take_messages(bond: &Bond, desk: &Desk) {
    while let Some(message) = bond.recv_message().await {
        desk.handle(Input::FromKit { route: Route::Reliable, message });
    }
}
