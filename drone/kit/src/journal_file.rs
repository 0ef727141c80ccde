//! The kit's own log on its disk: what was signed before the program ended, for an edge box that lacks it.
//!
//! Two files, each at most half of what is kept: when one is full the other is forgotten. A record is its length (u32 LE) and
//! the message; a torn tail is what the program was writing when it ended, and is left out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

const FILE: &str = "journal";
const OLD_FILE: &str = "journal.old";
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The kit's log is not on its disk. The edge box records it all the same.
#[derive(Debug, Error)]
#[error("cannot {what} the kit's log at {}: {source}", .path.display())]
pub struct JournalError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Open for appending.
#[derive(Debug)]
pub struct JournalFile {
    folder: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl JournalFile {
    /// Opens the folder, which must be there; and the messages that earlier runs left, oldest first.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Vec<u8>>), JournalError> {
        Self::open_within(folder, BYTES_MAX)
    }

    fn open_within(folder: &Path, bytes_max: u64) -> Result<(Self, Vec<Vec<u8>>), JournalError> {
        let path = folder.join(FILE);
        let mut messages = read(&folder.join(OLD_FILE))?.1;
        let (whole, newer) = read(&path)?;
        messages.extend(newer);
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed("open", &path))?;
        file.set_len(whole).map_err(failed("repair", &path))?;
        Ok((Self { folder: folder.to_owned(), file, bytes: whole, bytes_max }, messages))
    }

    /// Returns once the message is on disk.
    pub fn append(&mut self, message: &[u8]) -> Result<(), JournalError> {
        let path = self.folder.join(FILE);
        if self.bytes >= self.bytes_max {
            fs::rename(&path, self.folder.join(OLD_FILE)).map_err(failed("put away", &path))?;
            self.file = File::create(&path).map_err(failed("begin", &path))?;
            self.bytes = 0;
        }
        let record = [&(message.len() as u32).to_le_bytes()[..], message].concat();
        self.file.write_all(&record).map_err(failed("write", &path))?;
        self.bytes += record.len() as u64;
        self.file.sync_data().map_err(failed("flush", &path))
    }
}

/// The length of what is whole, and the messages in it. No file yet: none.
fn read(path: &Path) -> Result<(u64, Vec<Vec<u8>>), JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let (mut rest, mut messages) = (&bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((message, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            break;
        };
        messages.push(message.to_vec());
        rest = after;
    }
    Ok(((bytes.len() - rest.len()) as u64, messages))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what was appended is there after a restart, in order, and a torn tail is cut off before more is written.
    #[test]
    fn a_restart_finds_what_was_written_and_repairs_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, none) = JournalFile::open(folder.path()).unwrap();
        assert!(none.is_empty());
        journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &[9, 0, 0, 0, 1]].concat()).unwrap();
        let (mut journal, left) = JournalFile::open(folder.path()).unwrap();
        assert_eq!(left, [b"one".to_vec(), b"two".to_vec()]);
        journal.append(b"three").unwrap();
        assert_eq!(JournalFile::open(folder.path()).unwrap().1.len(), 3);
    }

    /// Goal: the disk is not filled, and what is newest stays.
    #[test]
    fn what_is_kept_on_disk_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = JournalFile::open_within(folder.path(), 100).unwrap();
        (0..100u8).for_each(|n| journal.append(&[n; 16]).unwrap());
        let left = JournalFile::open(folder.path()).unwrap().1;
        assert!((5..=10).contains(&left.len()), "{}", left.len());
        assert_eq!(left.last(), Some(&vec![99; 16]));
        assert!(left.is_sorted());
    }
}
