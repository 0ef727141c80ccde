//! What must outlive a restart: which orders were flown, what the ledger does not have yet, and how the last flight went.
//!
//! **Invariant (local):** the file is whole, old or new. It is written under another name, synced, and renamed.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use farhand_ledger::Hash;
use farhand_wire::PublicKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const FORMAT: u32 = 1;
const JOURNAL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// By kit: the highest sequence of a *loaded* step that was flown.
    pub flown: BTreeMap<PublicKey, u64>,
    /// Signed custody transactions that the ledger has not proven yet, in their order.
    pub pending: Vec<Vec<u8>>,
    /// The last order that was flown, and the proofs of what this aircraft signed for it.
    pub last: Option<LastFlight>,
}

/// How the last flight went on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFlight {
    pub kit: PublicKey,
    pub loaded: Hash,
    /// In CBOR.
    pub proofs: Vec<Vec<u8>>,
}

/// Why the journal can't be used.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the journal {} is damaged ({why}); what was flown is not known, so nothing is", path.display())]
    Damaged { path: PathBuf, why: String },
}

/// The file's shape: byte strings are hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    flown: BTreeMap<String, u64>,
    pending: Vec<String>,
    last: Option<WrittenFlight>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFlight {
    kit: String,
    loaded: String,
    proofs: Vec<String>,
}

impl Journal {
    /// Reads the journal; an absent file is an empty one, a damaged file is never taken for it.
    pub fn load(path: &Path) -> Result<Self, JournalError> {
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(JournalError::Io { path: path.to_owned(), source }),
        };
        let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), why };
        let written: Written = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if written.format != FORMAT {
            return Err(damaged(format!("its format is {}, expected {FORMAT}", written.format)));
        }
        written.read().map_err(|error| damaged(error.to_string()))
    }

    /// Puts the journal in place of the one on disk, and returns once it is there to stay.
    pub fn store(&self, path: &Path) -> Result<(), JournalError> {
        write_whole(path, &self.to_text())
            .map_err(|source| JournalError::Io { path: path.to_owned(), source })
    }

    fn to_text(&self) -> String {
        let written = Written {
            format: FORMAT,
            flown: self.flown.iter().map(|(kit, sequence)| (hex::encode(kit.0), *sequence)).collect(),
            pending: self.pending.iter().map(hex::encode).collect(),
            last: self.last.as_ref().map(|last| WrittenFlight {
                kit: hex::encode(last.kit.0),
                loaded: hex::encode(last.loaded.0),
                proofs: last.proofs.iter().map(hex::encode).collect(),
            }),
        };
        serde_json::to_string_pretty(&written).expect("strings and numbers are always JSON")
    }
}

impl Written {
    fn read(self) -> Result<Journal, hex::FromHexError> {
        let flown = self.flown.iter().map(|(kit, sequence)| Ok((PublicKey(fixed(kit)?), *sequence)));
        let last = self.last.map(|last| {
            Ok(LastFlight {
                kit: PublicKey(fixed(&last.kit)?),
                loaded: Hash(fixed(&last.loaded)?),
                proofs: last.proofs.iter().map(hex::decode).collect::<Result<_, _>>()?,
            })
        });
        Ok(Journal {
            flown: flown.collect::<Result<_, _>>()?,
            pending: self.pending.iter().map(hex::decode).collect::<Result<_, _>>()?,
            last: last.transpose()?,
        })
    }
}

fn fixed(text: &str) -> Result<[u8; 32], hex::FromHexError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)?;
    Ok(bytes)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > JOURNAL_BYTES_MAX {
        return Err(io::Error::other(format!("{bytes} bytes, at most {JOURNAL_BYTES_MAX} are read")));
    }
    std::fs::read_to_string(path)
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal {
            flown: [(PublicKey([1; 32]), 7)].into(),
            pending: vec![vec![1, 2], vec![3]],
            last: Some(LastFlight { kit: PublicKey([1; 32]), loaded: Hash([2; 32]), proofs: vec![vec![9]] }),
        }
    }

    /// Goal: what was put on record is read again, and what was there before is replaced whole.
    #[test]
    fn what_was_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flight.json");
        assert_eq!(Journal::load(&path).unwrap(), Journal::default());
        for journal in [journal(), Journal::default(), journal()] {
            journal.store(&path).unwrap();
            assert_eq!(Journal::load(&path).unwrap(), journal);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no leftovers");
    }

    /// Goal: a damaged journal is an error, never an empty record under which an order would be flown again.
    #[test]
    fn a_damaged_journal_is_never_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flight.json");
        journal().store(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(Journal::load(&path), Err(JournalError::Damaged { .. })), "{length}");
        }
        let other = String::from_utf8(whole).unwrap().replace("\"format\": 1", "\"format\": 2");
        std::fs::write(&path, other).unwrap();
        assert!(matches!(Journal::load(&path), Err(JournalError::Damaged { .. })));
    }
}
