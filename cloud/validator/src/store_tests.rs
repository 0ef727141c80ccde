use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use ed25519_dalek::SigningKey;
use hotstuff_rs::block_tree::{
    pluggables::{KVGet, KVStore, WriteBatch},
    variables,
};
use redb::{StorageBackend, backends::InMemoryBackend};

use super::*;

fn origin(genesis: u8, me: u8) -> Origin {
    let key = |number| SigningKey::from_bytes(&[number; 32]).verifying_key();
    Origin { genesis: [genesis; 32], me: key(me), validators: (1..=5).map(key).collect() }
}

fn changes(pairs: &[(&[u8], &[u8])]) -> Changes {
    let mut changes = Changes::new();
    pairs.iter().for_each(|(key, value)| changes.set(key, value));
    changes
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
        (&variables::LOCKED_PC, b"a later lock"),
        (&variables::HIGHEST_VIEW_ENTERED, &view),
        (&variables::HIGHEST_VIEW_PHASE_VOTED, &view),
    ]));
    drop(store);
    let store = Store::open(dir.path(), &origin(1, 1), FaultSignal::default()).unwrap();
    let kept = KVGet::get(&store, &variables::LOCKED_PC).unwrap();
    assert_ne!(first_lock, kept);
    assert_eq!(kept, b"a later lock");
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

/// A disk that can be made to take no more.
#[derive(Debug)]
struct FullDisk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for FullDisk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.memory.write(offset, data)
    }
}

/// Goal: a write that fails never returns to the replica, which would vote on it; it is raised for all to see instead.
#[tokio::test]
async fn a_write_that_fails_never_returns() {
    let full = Arc::new(AtomicBool::new(false));
    let fault = FaultSignal::default();
    let disk = FullDisk { memory: InMemoryBackend::new(), full: full.clone() };
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
