//! Disks for tests: one that gets full, and one that can lose its power.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{StorageBackend, backends::InMemoryBackend};

/// A disk that can be made to take no more.
#[derive(Debug, Default)]
pub(crate) struct FullDisk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    pub(crate) fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

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

/// A disk whose power may go at any moment: what was synced is kept, of what was written since each piece may be or not.
/// Clones are one disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Piece(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Piece(at, piece) => {
                bytes.resize(bytes.len().max(at + piece.len()), 0);
                bytes[*at..at + piece.len()].copy_from_slice(piece);
            }
        }
    }
}

impl Image {
    /// The disk as it is after a power cut now, if of each piece that was not synced `kept` says whether it got there.
    pub(crate) fn after_power_cut(&self, mut kept: impl FnMut() -> bool) -> Self {
        let bytes = self.0.lock().unwrap();
        let mut left = bytes.synced.clone();
        for change in &bytes.since {
            if matches!(change, Change::Length(_)) || kept() {
                change.apply(&mut left);
            }
        }
        Self(Arc::new(Mutex::new(Bytes { now: left.clone(), synced: left, since: Vec::new() })))
    }

    fn change(&self, change: Change) {
        let mut bytes = self.0.lock().unwrap();
        change.apply(&mut bytes.now);
        bytes.since.push(change);
    }
}

impl StorageBackend for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().now[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        for change in std::mem::take(&mut bytes.since) {
            change.apply(&mut bytes.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Piece(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}
