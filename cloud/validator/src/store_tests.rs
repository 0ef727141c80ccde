use std::{sync::mpsc, thread};

use ed25519_dalek::SigningKey;
use farhand_ledger::Hash;
use hotstuff_rs::block_tree::{
    pluggables::{KVGet, KVStore, WriteBatch},
    variables,
};

use super::{
    disks::{FullDisk, Image},
    *,
};

fn origin(genesis: u8, me: u8) -> Origin {
    let key = |number| SigningKey::from_bytes(&[number; 32]).verifying_key();
    Origin { genesis: [genesis; 32], epoch: 0, me: key(me), validators: (1..=5).map(key).collect() }
}

fn changes(pairs: &[(&[u8], &[u8])]) -> Changes {
    let mut changes = Changes::new();
    pairs.iter().for_each(|(key, value)| changes.set(key, value));
    changes
}

/// A certificate of a view: chain id, view, block, phase, no signatures.
fn lock(view: u64) -> Vec<u8> {
    [&[0; 8], &view.to_le_bytes()[..], &[1; 32], &[0], &[0; 4]].concat()
}

/// Goal: the crate locks anew on whatever certificate it is shown; an older one takes no lock back, here or on the disk.
#[test]
fn a_lock_never_goes_back() {
    let disk = Image::default();
    let mut store = Store::open_on(disk.clone(), &origin(1, 1), FaultSignal::default()).unwrap();
    let held = |store: &Store| KVGet::get(store, &variables::LOCKED_PC).unwrap();
    for (shown, expected) in [(7, 7), (5, 7), (8, 8), (0, 8)] {
        store.write(changes(&[(&variables::LOCKED_PC, &lock(shown)), (b"beside", b"1")]));
        assert_eq!(held(&store), lock(expected));
        let look = store.look();
        assert_eq!(look.locked_pc().unwrap().view.int(), expected);
    }
    let again =
        Store::open_on(disk.after_power_cut(|| false), &origin(1, 1), FaultSignal::default()).unwrap();
    assert_eq!(held(&again), lock(8));
}

/// Goal: whatever the power does, what a write was acknowledged for is there afterwards, whole, batch and vote included:
/// of each cut the pieces that were not synced are there or not, by the dice.
#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let (disk, acknowledged) = (Image::default(), Arc::new(AtomicU64::new(0)));
    let mut store = Store::open_on(disk.clone(), &origin(1, 1), FaultSignal::default()).unwrap();
    let writer = {
        let acknowledged = Arc::clone(&acknowledged);
        thread::spawn(move || {
            for number in 1..=150u64 {
                store.stage_batch(Hash::of(&number.to_le_bytes()).0, vec![1; 5000]);
                store.write(changes(&[(b"one", &number.to_le_bytes()), (b"other", &number.to_le_bytes())]));
                assert!(store.claim_vote(number));
                acknowledged.store(number, Ordering::SeqCst);
            }
        })
    };
    let mut dice = fastrand::Rng::with_seed(1);
    let mut cuts = 0;
    while cuts < 20 || !writer.is_finished() {
        let before = acknowledged.load(Ordering::SeqCst);
        let left = disk.after_power_cut(|| dice.bool());
        let store = Store::open_on(left, &origin(1, 1), FaultSignal::default()).unwrap();
        let read = |key: &[u8]| {
            KVGet::get(&store, key).map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()))
        };
        assert!(read(b"one") >= before, "{} of {before}", read(b"one"));
        assert_eq!(read(b"one"), read(b"other"));
        assert!(read(&variables::HIGHEST_VIEW_PHASE_VOTED) >= before);
        assert!(before == 0 || store.batch(&Hash::of(&before.to_le_bytes()).0).is_some());
        cuts += 1;
    }
    writer.join().unwrap();
}

/// Goal: a store that has history is never initialized again: what the replica locked on, and the views it entered and
/// voted in, are there after a restart.
#[test]
fn a_restart_keeps_the_lock_and_the_views() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), &origin(1, 1), FaultSignal::default()).unwrap();
    let first_lock = KVGet::get(&store, &variables::LOCKED_PC).unwrap();
    let view = 77u64.to_le_bytes();
    store.write(changes(&[
        (&variables::LOCKED_PC, &lock(76)),
        (&variables::HIGHEST_VIEW_ENTERED, &view),
        (&variables::HIGHEST_VIEW_PHASE_VOTED, &view),
    ]));
    drop(store);
    let store = Store::open(dir.path(), &origin(1, 1), FaultSignal::default()).unwrap();
    let kept = KVGet::get(&store, &variables::LOCKED_PC).unwrap();
    assert_ne!(first_lock, kept);
    assert_eq!(kept, lock(76));
    assert_eq!(store.view(), 77);
    assert_eq!(KVGet::get(&store, &variables::HIGHEST_VIEW_PHASE_VOTED).unwrap(), view);
}

/// Goal: a folder in use, of another ledger or of another validator is refused, and stays as it is.
#[test]
fn a_folder_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = |origin| Store::open(dir.path(), &origin, FaultSignal::default());
    let store = open(origin(1, 1)).unwrap();
    assert!(matches!(open(origin(1, 1)), Err(StoreError::Locked { .. })));
    drop(store);
    assert!(matches!(open(origin(2, 1)), Err(StoreError::OtherGenesis { .. })));
    assert!(matches!(open(origin(1, 2)), Err(StoreError::OtherValidator { .. })));
    open(origin(1, 1)).unwrap();
}

/// Goal: a batch is on the disk with the write that follows its staging, and not without one.
#[test]
fn a_staged_batch_is_written_with_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), &origin(1, 1), FaultSignal::default()).unwrap();
    store.stage_batch([1; 32], b"with a block".to_vec());
    store.write(changes(&[(b"some block", b"1")]));
    store.stage_batch([2; 32], b"without one".to_vec());
    assert!(store.batch(&[2; 32]).is_some());
    drop(store);
    let store = Store::open(dir.path(), &origin(1, 1), FaultSignal::default()).unwrap();
    assert_eq!(store.batch(&[1; 32]).unwrap(), b"with a block");
    assert_eq!(store.batch(&[2; 32]), None);
}

/// Goal: a write that fails never returns to the replica, which would vote on it; it is raised for all to see instead.
#[tokio::test]
async fn a_write_that_fails_never_returns() {
    let (disk, fault) = (FullDisk::default(), FaultSignal::default());
    let full = disk.full();
    let mut store = Store::open_on(disk, &origin(1, 1), fault.clone()).unwrap();
    store.write(changes(&[(b"before", b"1")]));
    full.store(true, Ordering::SeqCst);
    let (returned, did_return) = mpsc::channel();
    thread::spawn(move || {
        store.write(changes(&[(b"after", b"1")]));
        returned.send(()).unwrap();
    });
    let raised = fault.wait().await;
    assert!(matches!(raised, Fault::Store { action: "write", .. }), "{raised}");
    assert_eq!(raised.exit_code(), 74);
    assert!(did_return.recv_timeout(std::time::Duration::from_millis(200)).is_err());
}
