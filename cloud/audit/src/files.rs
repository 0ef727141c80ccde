//! Files that are new, and gone again if what they are for does not come off.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use farhand_bundle::Unreadable;
use thiserror::Error;

/// Why a report or an export was not written.
#[derive(Debug, Error)]
pub enum NotWritten {
    #[error("{} can't be made: {error}", path.display())]
    Made { path: PathBuf, error: io::Error },
    #[error("{} can't be written: {error}", path.display())]
    Written { path: PathBuf, error: io::Error },
    #[error("{} can't be read: {error}", path.display())]
    Read { path: PathBuf, error: Unreadable },
}

/// Files and a folder that did not exist before. Invariant (local): what was made is removed unless it is kept.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    files: Vec<PathBuf>,
    folder: Option<PathBuf>,
}

impl Fresh {
    /// A folder, which may exist.
    pub(crate) fn folder(&mut self, path: &Path) -> Result<(), NotWritten> {
        match fs::create_dir(path) {
            Ok(()) => self.folder = Some(path.to_owned()),
            Err(_) if path.is_dir() => {}
            Err(error) => return Err(NotWritten::Made { path: path.to_owned(), error }),
        }
        Ok(())
    }

    /// A file, which may not exist.
    pub(crate) fn file(&mut self, path: &Path) -> Result<BufWriter<File>, NotWritten> {
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let file = made.map_err(|error| NotWritten::Made { path: path.to_owned(), error })?;
        self.files.push(path.to_owned());
        Ok(BufWriter::new(file))
    }

    /// All is well: everything stays.
    pub(crate) fn keep(mut self) {
        self.files.clear();
        self.folder = None;
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // They are ours, and half of what they should be. What can't be removed is no worse than it was.
        self.files.iter().for_each(|file| drop(fs::remove_file(file)));
        self.folder.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Everything is on disk.
pub(crate) fn finish(file: BufWriter<File>) -> io::Result<()> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.flush()?;
    file.sync_all()
}
