//! The link to the kit: looked for for ever, over every path, whatever happens to any of them.

use std::{sync::Arc, time::Duration};

use farhand_link::{Bond, PathGauge, PathQuality, Paths};

use crate::{
    desk::Desk,
    relay::{Input, Route},
};

/// How often it is seen whether a path has come or gone.
const LOOK: Duration = Duration::from_millis(100);

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

/// **Puts on record when each path comes and goes, and how it was, without end.**
pub(crate) async fn tell_paths(gauge: PathGauge, desk: Arc<Desk>) {
    let mut before = Vec::new();
    loop {
        let now = gauge.read();
        for (on, reason) in switched(&before, &now) {
            tracing::info!(on, reason, "a path to the kit");
            desk.handle(Input::Switched { what: "kit-path", on, reason });
        }
        before = now;
        tokio::time::sleep(LOOK).await;
    }
}

/// Paths that came or went since, in words.
fn switched(before: &[PathQuality], now: &[PathQuality]) -> Vec<(bool, String)> {
    let change = |now: &PathQuality| {
        let before = before.iter().find(|before| before.path == now.path);
        match (before.filter(|before| before.peer.is_some()), now.peer) {
            (None, Some(peer)) => Some((true, format!("path {} to {peer}", now.path))),
            (Some(before), None) => Some((false, was(before))),
            _ => None,
        }
    };
    now.iter().filter_map(change).collect()
}

fn was(path: &PathQuality) -> String {
    let PathQuality { path, rtt_ms, packets, lost, heard, first, .. } = path;
    format!(
        "path {path}: rtt {rtt_ms:.1} ms, {lost} of {packets} packets lost, {first} of {heard} states first"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each path's coming and going is told once, with how it was while it stood.
    #[test]
    fn a_path_is_told_when_it_comes_and_when_it_goes() {
        let down = PathQuality {
            path: 1,
            peer: None,
            rtt_ms: 0.0,
            packets: 0,
            lost: 0,
            heard: 0,
            first: 0,
            silent_ms: None,
        };
        let peer = "127.0.0.1:5".parse().ok();
        let up = PathQuality { peer, rtt_ms: 12.34, packets: 90, lost: 2, heard: 40, first: 30, ..down };
        assert_eq!(switched(&[], &[down]), []);
        assert_eq!(switched(&[down], &[up]), [(true, "path 1 to 127.0.0.1:5".to_owned())]);
        assert_eq!(switched(&[], &[up]).len(), 1);
        assert_eq!(switched(&[up], &[up]), []);
        let was = "path 1: rtt 12.3 ms, 2 of 90 packets lost, 30 of 40 states first";
        assert_eq!(switched(&[up], &[down]), [(false, was.to_owned())]);
    }
}
