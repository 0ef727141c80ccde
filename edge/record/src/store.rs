//! The files that a record is written to: the seam where a test puts a disk that fails.
//!
//! Writes say where they go, so that one which failed half-way is simply done again; nothing counts before a sync.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use farhand_wire::SessionId;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Leaves, in the format of `docs/evidence-format.md`, section 13.
    Log,
    /// Access units of frames, in the order of their leaves, each after its length (u32 LE) and its frame's number (u64 LE).
    Pictures,
}

/// Where a session is recorded. Two methods, and no promise but these.
pub trait Store: Send {
    /// Puts `bytes` at that place, over whatever is there.
    ///
    /// # Errors
    /// What the disk says. Part of the bytes may have been written.
    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is durable.
    ///
    /// # Errors
    /// What the disk says. Nothing written since the last sync may be relied upon then, and it must be written again.
    fn sync(&mut self, part: Part) -> io::Result<()>;
}

/// Real files.
#[derive(Debug)]
pub struct FileStore {
    log: File,
    pictures: File,
}

impl FileStore {
    pub(crate) fn new(log: File, pictures: File) -> Self {
        Self { log, pictures }
    }

    fn of(&self, part: Part) -> &File {
        match part {
            Part::Log => &self.log,
            Part::Pictures => &self.pictures,
        }
    }
}

impl Store for FileStore {
    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.of(part).write_all_at(bytes, at)
    }

    fn sync(&mut self, part: Part) -> io::Result<()> {
        self.of(part).sync_data()
    }
}

/// Where a session's files lie.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    folder: PathBuf,
    session: SessionId,
}

impl Paths {
    /// # Errors
    /// If the session's folder can't be made.
    pub(crate) fn new(folder: &Path, session: SessionId) -> io::Result<Self> {
        let paths = Self::at(folder, session);
        fs::create_dir_all(paths.inside())?;
        sync_folder(folder)?;
        Ok(paths)
    }

    /// Where they lie, or would.
    pub(crate) fn at(folder: &Path, session: SessionId) -> Self {
        Self { folder: folder.to_owned(), session }
    }

    pub(crate) fn inside(&self) -> PathBuf {
        self.folder.join(self.session.to_string())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.inside().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.file("log")
    }

    pub(crate) fn pictures(&self) -> PathBuf {
        self.file("frames.bin")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.join(format!("{}.mcap", self.session))
    }

    pub(crate) fn bundle_part(&self) -> PathBuf {
        self.folder.join(format!("{}.mcap.part", self.session))
    }
}

/// A file to be read and written, made if it is not there.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Keeps all other processes, and all other records of this one, from the file; false if one has it already.
pub(crate) fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a small file so that it is there whole or not at all, even after a crash.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let file = File::create(&part)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}
