//! The session log on disk: a write-ahead file of records, as bytes. Writing, flushing and grouping are the driver's.
//!
//! The file is a head (`"farhand/v1 log\0\n"`, session[16]) and records: `length u32 LE ‖ check[8] ‖ leaf`. `check` is
//! the first eight bytes of the leaf's Merkle hash, which is needed anyway. Invariant (global): **a record whose check
//! holds is whole**, so after a crash the file is cut at the first one that isn't, and what had been acknowledged as
//! durable lies before it; a checkpoint that was signed proves that it does.

use farhand_wire::{EdgeTick, SessionId};
use thiserror::Error;

use crate::{
    Cbor, Checkpoint, Entry, Hash, Malformed, Salt, What,
    entry::ENTRY_BYTES_MAX,
    merkle::{self, Tree},
};

const MAGIC: &[u8; 16] = b"farhand/v1 log\0\n";
const CHECK_BYTES: usize = 8;
/// Bytes before the first record.
pub const LOG_HEAD_BYTES: usize = MAGIC.len() + 16;
/// Bytes of a record before its leaf.
pub const RECORD_HEAD_BYTES: usize = 4 + CHECK_BYTES;

/// A session's log, as far as it has been written: its tree, and what was checkpointed.
#[derive(Clone, Debug)]
pub struct SessionLog {
    session: SessionId,
    tree: Tree,
    /// Size and root at the newest checkpoint.
    checkpointed: (u64, Hash),
}

/// One leaf, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// For the file, to be appended whole.
    pub bytes: Vec<u8>,
    pub number: u64,
    pub leaf: Hash,
}

impl SessionLog {
    /// An empty log.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, tree: Tree::new(), checkpointed: (0, merkle::empty_root()) }
    }

    /// What the file begins with.
    #[must_use]
    pub fn head(&self) -> [u8; LOG_HEAD_BYTES] {
        let mut head = [0; LOG_HEAD_BYTES];
        head[..MAGIC.len()].copy_from_slice(MAGIC);
        head[MAGIC.len()..].copy_from_slice(&self.session.0);
        head
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Appends a leaf. `salt` must be fresh and random.
    pub fn append(&mut self, salt: Salt, recorded: EdgeTick, what: What) -> Result<Record, Malformed> {
        let number = self.tree.size();
        let entry = Entry { salt, number, recorded, what };
        entry.check()?;
        let entry = entry.to_bytes();
        let leaf = self.tree.append(&entry);
        let length = (entry.len() as u32).to_le_bytes();
        Ok(Record { bytes: [&length[..], &leaf.0[..CHECK_BYTES], &entry].concat(), number, leaf })
    }

    /// The log as it is now, to be signed and put on the ledger; `None` if nothing came since the newest checkpoint. Only
    /// of what is durable: whoever signs it says that these leaves will be there.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        let (first_sequence, previous_root) = self.checkpointed;
        let (session, tree_size, root) = (self.session, self.size(), self.root());
        (tree_size > first_sequence).then(|| {
            self.checkpointed = (tree_size, root);
            Checkpoint {
                session,
                tree_size,
                root,
                previous_root,
                first_sequence,
                last_sequence: tree_size - 1,
            }
        })
    }

    /// The log in a file that was there before, up to its first record that is not whole. Where a checkpoint was signed,
    /// the file must contain it: whoever lost that much must not go on as if nothing had happened.
    pub fn recover(file: &[u8], signed: Option<&Checkpoint>) -> Result<Recovered, BadLog> {
        let mut records = Records::new(file)?;
        let mut log = Self::new(records.session());
        let mut root = (signed.map(|c| c.tree_size) == Some(0)).then(|| log.root());
        for (entry, leaf) in records.by_ref() {
            let (seen, expected) = (entry.number, log.size());
            if seen != expected {
                return Err(BadLog::Number { seen, expected });
            }
            log.tree.append_hash(leaf);
            if signed.is_some_and(|checkpoint| checkpoint.tree_size == log.size()) {
                root = Some(log.root());
            }
        }
        if let Some(signed) = signed {
            log.contains(signed, root)?;
            log.checkpointed = (signed.tree_size, signed.root);
        }
        Ok(Recovered { log, valid_bytes: records.valid_bytes(), torn: records.torn() })
    }

    fn contains(&self, signed: &Checkpoint, root: Option<Hash>) -> Result<(), BadLog> {
        if signed.session != self.session {
            return Err(BadLog::Session { seen: self.session, expected: signed.session });
        }
        match root {
            None => Err(BadLog::Lost { seen: self.size(), expected: signed.tree_size }),
            Some(seen) if seen != signed.root => Err(BadLog::Root { seen, expected: signed.root }),
            Some(_) => Ok(()),
        }
    }
}

/// A log that was found, and where to go on.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub log: SessionLog,
    /// Cut the file to this length before anything is appended.
    pub valid_bytes: usize,
    /// Why it ends there, if bytes followed.
    pub torn: Option<Torn>,
}

/// Why a file is not a log to go on with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadLog {
    #[error("the file does not begin as a session log, or has only {bytes} bytes")]
    Head { bytes: usize },
    #[error("log is of session {seen}, expected {expected}")]
    Session { seen: SessionId, expected: SessionId },
    #[error("leaf says number {seen}, it stands at {expected}")]
    Number { seen: u64, expected: u64 },
    #[error("log has {seen} leaves, but a checkpoint of {expected} was signed: leaves are lost")]
    Lost { seen: u64, expected: u64 },
    #[error("log has root {seen} where a checkpoint with root {expected} was signed")]
    Root { seen: Hash, expected: Hash },
}

/// Why a record is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Torn {
    #[error("a record needs {needed} bytes, {bytes} are there")]
    Short { bytes: usize, needed: usize },
    #[error("a record's check does not hold")]
    Check,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The record at the front of `bytes`, and its whole length; for a reader that goes through a file piece by piece.
pub fn read_record(bytes: &[u8]) -> Result<(Entry, Hash, usize), Torn> {
    let head = take(bytes, RECORD_HEAD_BYTES)?;
    let length =
        u32::from_le_bytes(*head.first_chunk().expect("a record's head begins with four bytes")) as usize;
    if length > ENTRY_BYTES_MAX {
        return Err(Malformed::TooLong { what: Entry::WHAT, bytes: length, max: ENTRY_BYTES_MAX }.into());
    }
    let whole = RECORD_HEAD_BYTES + length;
    let entry = &take(bytes, whole)?[RECORD_HEAD_BYTES..];
    let leaf = merkle::leaf_hash(entry);
    if leaf.0[..CHECK_BYTES] != head[4..] {
        return Err(Torn::Check);
    }
    Ok((Entry::read(entry)?, leaf, whole))
}

fn take(bytes: &[u8], needed: usize) -> Result<&[u8], Torn> {
    bytes.get(..needed).ok_or(Torn::Short { bytes: bytes.len(), needed })
}

/// Entries of a log file, in order, with their leaf hashes. Ends at the first record that is not whole.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    file: &'a [u8],
    at: usize,
    torn: Option<Torn>,
}

impl<'a> Records<'a> {
    /// The records of a file, if it begins as a log does.
    pub fn new(file: &'a [u8]) -> Result<Self, BadLog> {
        if file.len() >= LOG_HEAD_BYTES && file.starts_with(MAGIC) {
            Ok(Self { file, at: LOG_HEAD_BYTES, torn: None })
        } else {
            Err(BadLog::Head { bytes: file.len() })
        }
    }

    /// The session that the file's head names.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let mut session = SessionId::default();
        session.0.copy_from_slice(&self.file[MAGIC.len()..LOG_HEAD_BYTES]);
        session
    }

    /// Bytes up to the end of the last whole record that was read.
    #[must_use]
    pub fn valid_bytes(&self) -> usize {
        self.at
    }

    /// Why the next record could not be read, if there was more.
    #[must_use]
    pub fn torn(&self) -> Option<Torn> {
        self.torn.clone()
    }
}

impl Iterator for Records<'_> {
    type Item = (Entry, Hash);

    fn next(&mut self) -> Option<Self::Item> {
        if self.torn.is_some() || self.at == self.file.len() {
            return None;
        }
        match read_record(&self.file[self.at..]) {
            Ok((entry, leaf, bytes)) => {
                self.at += bytes;
                Some((entry, leaf))
            }
            Err(torn) => {
                self.torn = Some(torn);
                None
            }
        }
    }
}
