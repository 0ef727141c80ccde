//! A file of small records, each `length u32 LE ‖ check[8] ‖ bytes`, that survives being torn.
//!
//! Signed checkpoints and their proofs are kept in one each: whoever signed a checkpoint must know of it for ever, for the ledger
//! takes only what continues it.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use farhand_ledger::Hash;

use crate::store::open;

const CHECK_BYTES: usize = 8;
const HEAD_BYTES: usize = 4 + CHECK_BYTES;
/// No record is longer: a transaction proof is the longest.
const BYTES_MAX: usize = 1024 * 1024;

/// The file, and where its next record goes.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    end: u64,
}

impl Journal {
    /// The journal in a file, which is cut behind its last whole record. Each record is shown to `see`, in order.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn open(path: &Path, see: impl FnMut(Vec<u8>)) -> io::Result<Self> {
        let file = open(path)?;
        let end = each(&file, see)?;
        file.set_len(end)?;
        file.sync_all()?;
        Ok(Self { file, end })
    }

    /// Appends a record. It is not durable before [`Journal::sync`].
    ///
    /// # Errors
    /// What the disk says; the record can be appended again.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a record that is too long for its journal"))?;
        let record = [&length.to_le_bytes()[..], &check(bytes), bytes].concat();
        self.file.write_all_at(&record, self.end)?;
        self.end += record.len() as u64;
        Ok(())
    }

    /// # Errors
    /// What the disk says; nothing appended since the last sync may be relied upon.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Appends a record and makes it durable; after an error it can be done again.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn append_durably(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.end;
        self.append(bytes).and_then(|()| self.sync()).inspect_err(|_| self.end = before)
    }

    /// Shows each record to `see`, in order.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn each(&self, see: impl FnMut(Vec<u8>)) -> io::Result<()> {
        each(&self.file, see).map(drop)
    }
}

/// Returns where the last whole record ends.
fn each(file: &File, mut see: impl FnMut(Vec<u8>)) -> io::Result<u64> {
    let mut reader = BufReader::new(At { file, at: 0 });
    let mut end = 0;
    while let Some(bytes) = read(&mut reader)? {
        end += (HEAD_BYTES + bytes.len()) as u64;
        see(bytes);
    }
    Ok(end)
}

/// The next record, if it is whole.
fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; HEAD_BYTES];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let (length, expected) = head.split_first_chunk().expect("a head begins with four bytes");
    let length = u32::from_le_bytes(*length) as usize;
    if length > BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let whole = fill(from, &mut bytes)? && check(&bytes) == *expected;
    Ok(whole.then_some(bytes))
}

/// Fills all of `into`; false if the file ends before.
fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    *Hash::of(bytes).0.first_chunk().expect("a hash has more than 8 bytes")
}

/// Reads a file from a place of its own, whoever else writes to it.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(into, self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        Journal::open(path, |record| seen.push(record)).unwrap();
        seen
    }

    /// Goal: wherever a crash cuts the file, all records before the cut are there, and writing goes on behind them.
    #[test]
    fn a_torn_journal_goes_on_behind_its_last_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, |_| {}).unwrap();
        for record in [&b"one"[..], b"", b"three"] {
            journal.append_durably(record).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let before = [15, 27, 44].iter().filter(|&&end| end <= cut).count();
            Journal::open(&path, |_| {}).unwrap().append_durably(b"next").unwrap();
            let records = records(&path);
            assert_eq!(records.len(), before + 1, "cut at {cut}");
            assert_eq!(records[before], b"next");
        }
    }
}
