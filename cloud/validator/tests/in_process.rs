//! Validators in this process, so that their stores can be looked into and their peers played.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on says so")]

mod rig;

use std::time::Duration;

use bytes::Bytes;
use farhand_ledger::Hash;
use farhand_link::{DeviceId, DeviceKey, DeviceRole, Endpoint, LinkConfig, LinkError, Peers, Protocol};
use farhand_submit::frames::parts;
use farhand_validator::{
    Fault, FaultSignal, Handle, ValidatorConfig, frames::PeerFrame, run_validator, store::Store,
    watchdog::WatchLimits,
};
use hotstuff_rs::block_tree::{
    pluggables::{KVGet, KVStore, WriteBatch},
    variables,
};
use rig::{COMMIT_WAIT, Ledger};

/// What the replica must never forget.
#[derive(Debug, PartialEq, PartialOrd)]
struct Safety {
    height: u64,
    locked_view: u64,
    entered_view: u64,
    voted_view: u64,
}

fn safety(store: &Store) -> Safety {
    let chain = store.look();
    Safety {
        height: store.progress().borrow().height.unwrap(),
        locked_view: chain.locked_pc().unwrap().view.int(),
        entered_view: chain.highest_view_entered().unwrap().int(),
        voted_view: chain.highest_view_phase_voted().unwrap().unwrap().int(),
    }
}

async fn run_all(ledger: &Ledger) -> Vec<Handle> {
    // At once: each waits a while for the others.
    let starting: Vec<_> = (0..5).map(|at| tokio::spawn(run_validator(ledger.config(at)))).collect();
    let mut handles = Vec::new();
    for one in starting {
        handles.push(one.await.unwrap().unwrap());
    }
    handles
}

/// Goal: a ledger that was stopped while some of its validators had entered a view and the others had not starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_starts_again_from_uneven_views() {
    let ledger = Ledger::make(5);
    let handles = run_all(&ledger).await;
    ledger.client(0).await.commit(&ledger.some_grant(1), COMMIT_WAIT).await.unwrap();
    for handle in handles {
        handle.stop().await;
    }
    for (at, behind) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)] {
        let config = ledger.config(at);
        let mut store = config.open_store(&FaultSignal::default()).unwrap();
        let mut uneven = <Store as KVStore>::WriteBatch::new();
        uneven.set(&variables::HIGHEST_VIEW_ENTERED, &(10_000u64 - behind).to_le_bytes());
        store.write(uneven);
    }
    let handles = run_all(&ledger).await;
    ledger.client(0).await.commit(&ledger.some_grant(2), COMMIT_WAIT).await.unwrap();
    for handle in handles {
        handle.stop().await;
    }
}

/// Goal: a validator that is stopped and started goes on with its lock, its views, its height and the chain's state,
/// and takes part again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_validator_goes_on_where_it_was() {
    let ledger = Ledger::make(5);
    let mut handles = run_all(&ledger).await;
    let client = ledger.client(0).await;
    let first = ledger.some_grant(1);
    client.commit(&first, COMMIT_WAIT).await.unwrap();
    ledger.client(4).await.proof(Hash::of(&first), COMMIT_WAIT).await.unwrap();

    handles.pop().unwrap().stop().await;
    let config: ValidatorConfig = ledger.config(4);
    let store = config.open_store(&FaultSignal::default()).unwrap();
    let before = safety(&store);
    assert!(before.locked_view > 0, "{before:?}");
    drop(store);

    let again = run_validator(config).await.unwrap();
    let after = safety(again.store());
    assert!(after >= before && after.locked_view >= before.locked_view, "{after:?} {before:?}");
    let there = ledger.client(4).await;
    there.proof(Hash::of(&first), COMMIT_WAIT).await.unwrap();
    there.commit(&ledger.some_grant(2), COMMIT_WAIT).await.unwrap();
    let repeated = there.submit(&first).await.unwrap();
    assert_eq!(repeated.hash, Hash::of(&first), "committed once is committed");
    assert_eq!(again.fault(), None);
    for handle in handles {
        handle.stop().await;
    }
}

/// Goal: a stranger gets no connection; a validator that says what it may not, or more than it may, is not listened to,
/// and the one it says it to goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_and_oversized_messages_do_nothing() {
    let ledger = Ledger::make(5);
    let target = run_validator(ledger.config(0)).await.unwrap();
    let stranger = DeviceKey::generate().unwrap();
    let member = ledger.config(1).key;
    assert!(connect(&stranger, &target).await.is_err());

    let connection = connect(&member, &target).await.unwrap();
    let ask_for_all =
        [&[1u8, 0][..], &1u64.to_le_bytes(), &0u64.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
    let forged = [
        PeerFrame::Consensus(Bytes::from_static(b"no message at all")),
        PeerFrame::Consensus(Bytes::from(ask_for_all)),
        PeerFrame::Batch(Bytes::from_static(b"no batch")),
    ];
    for frame in &forged {
        for part in parts(&frame.to_bytes()) {
            connection.send_message(part).await.unwrap();
        }
    }
    let mut status = target.status();
    let refused =
        async { status.wait_for(|status| status.messages_refused >= forged.len() as u64).await.map(drop) };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap().unwrap();

    let endless = Bytes::from(vec![0; farhand_link::MESSAGE_BYTES_MAX]);
    while connection.end().is_none() && connection.send_message(endless.clone()).await.is_ok() {}
    let end = tokio::time::timeout(Duration::from_secs(10), connection.closed()).await.unwrap();
    assert!(matches!(end, LinkError::ClosedByPeer(farhand_link::CloseReason::Protocol)), "{end}");
    assert_eq!(target.fault(), None);
    connect(&member, &target).await.unwrap();
    target.stop().await;
}

/// Goal: a ledger that stands still though a quorum is connected is a fault that a restart may mend; without a quorum it is
/// not this validator's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_stands_still_is_a_fault_once_a_quorum_is_there() {
    let ledger = Ledger::make(5);
    let watch = WatchLimits { stalled_ms_warn: 1000, stalled_ms_max: 3000, ..WatchLimits::default() };
    let target = run_validator(ValidatorConfig { watch, ..ledger.config(0) }).await.unwrap();
    let mut silent: Vec<Endpoint> = (1..3).map(|at| silent_peer(&ledger, at, target.id())).collect();
    let mut status = target.status();
    status.wait_for(|status| status.peers_connected == 2 && status.since_commit_ms > 6000).await.unwrap();
    assert_eq!(target.fault(), None, "two others are no quorum");
    assert!(!status.borrow().healthy);
    silent.extend((3..5).map(|at| silent_peer(&ledger, at, target.id())));
    let fault = tokio::time::timeout(Duration::from_secs(60), target.faulted()).await.unwrap();
    assert!(matches!(fault, Fault::Stalled { .. }), "{fault}");
    assert_eq!(fault.exit_code(), 75);
}

/// A validator that lets another connect, and says nothing.
fn silent_peer(ledger: &Ledger, at: usize, to: DeviceId) -> Endpoint {
    let config = ledger.config(at);
    let peers = Peers::new();
    peers.allow(to, DeviceRole::Validator).unwrap();
    Endpoint::bind(config.peer_listen, &config.key, peers, Protocol::VALIDATOR, LinkConfig::default())
        .unwrap()
}

async fn connect(
    key: &DeviceKey,
    target: &Handle,
) -> Result<farhand_link::Connection, farhand_link::HandshakeError> {
    let peers = Peers::new();
    peers.allow(target.id(), DeviceRole::Validator).unwrap();
    let here = ([127, 0, 0, 1], 0).into();
    let endpoint =
        Endpoint::bind_connecting(here, key, peers, Protocol::VALIDATOR, LinkConfig::default()).unwrap();
    endpoint.connect(target.peer_addr(), target.id()).await
}
