//! The vault: who the people of a session are. **It is the only place that has their names and the keys to them**; the
//! evidence has pseudonyms and a commitment (docs/evidence-format.md, section 15). Destroying a key here erases the person
//! from the evidence, wherever copies of that are, and every proof still verifies.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use farhand_ledger::{Cbor, Hash, Malformed, Salt, Utc, merkle};
use minicbor::{Decode, Encode};
use serde::Serialize;
use thiserror::Error;

const FORMAT: &str = "farhand vault v1";
/// People and texts of one session.
const RECORDS_MAX: usize = 64;
const PSEUDONYM_BYTES_MAX: usize = 64;
const RECORD_BYTES_MAX: usize = 60 * 1024;
const WHY_BYTES_MAX: usize = 512;
/// Each key seals one record, so that the nonce may be what it likes.
const NONCE: [u8; 12] = [0; 12];

/// What there is to know of somebody, or the text that somebody agreed to. Fields that do not apply are empty.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Record {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub role: String,
    #[n(2)]
    pub licence: String,
    #[n(3)]
    pub text: String,
}

/// One pseudonym's record, or that it was erased.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Kept {
    #[n(0)]
    pub(crate) pseudonym: String,
    /// SHA-256(salt ‖ ciphertext): what the evidence commits to.
    #[n(1)]
    pub(crate) commitment: Hash,
    #[n(2)]
    pub(crate) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub(crate) enum State {
    #[n(0)]
    Sealed {
        #[cbor(n(0), with = "minicbor::bytes")]
        key: [u8; 32],
        #[n(1)]
        salt: Salt,
        #[cbor(n(2), with = "minicbor::bytes")]
        ciphertext: Vec<u8>,
    },
    /// Nobody can tell any more.
    #[n(1)]
    Erased {
        #[n(0)]
        at: Utc,
        #[n(1)]
        why: String,
    },
}

/// Records of one session, in the order in which they are committed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Vault {
    #[n(0)]
    format: String,
    #[n(1)]
    pub(crate) records: Vec<Kept>,
}

/// Why a vault was not read, written or changed.
#[derive(Debug, Error)]
pub enum VaultError {
    #[error("{} can't be read or written: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is no vault: {error}", path.display())]
    Malformed { path: PathBuf, error: Malformed },
    #[error("there is no record of {0}")]
    NoRecord(String),
    #[error("the record of {0} was erased before")]
    Erased(String),
    #[error("a record of {0} is there already, or too long, or the vault is full")]
    NoRoom(String),
    #[error("the system has no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl Default for Vault {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), records: Vec::new() }
    }
}

impl Vault {
    /// Seals a record under a fresh key.
    pub fn add(&mut self, pseudonym: &str, record: &Record) -> Result<(), VaultError> {
        let no_room = || VaultError::NoRoom(pseudonym.to_owned());
        let (mut key, mut salt) = ([0; 32], [0; 16]);
        getrandom::fill(&mut key)?;
        getrandom::fill(&mut salt)?;
        let plain = minicbor::to_vec(record).map_err(|_| no_room())?;
        let sealed = cipher(&key).encrypt(&Nonce::from(NONCE), payload(pseudonym, &plain));
        let ciphertext = sealed.map_err(|_| no_room())?;
        let commitment = commitment(&Salt(salt), &ciphertext);
        let state = State::Sealed { key, salt: Salt(salt), ciphertext };
        self.records.push(Kept { pseudonym: pseudonym.to_owned(), commitment, state });
        self.check().map_err(|_| {
            self.records.pop();
            no_room()
        })
    }

    /// What the evidence says of each record: SHA-256(salt ‖ ciphertext). Nothing can be guessed from it.
    pub fn commitments(&self) -> impl Iterator<Item = Hash> + '_ {
        self.records.iter().map(|kept| kept.commitment)
    }

    /// What a session's consent commits to: the root of the tree (section 2) whose leaves are the commitments in order.
    #[must_use]
    pub fn root(&self) -> Hash {
        merkle::root(&self.commitments().map(|one| merkle::leaf_hash(&one.0)).collect::<Vec<_>>())
    }

    /// Reads a vault. A change that was under way when its machine stopped is ended first.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let next = next(path);
        match read(&next) {
            Ok(changed) => {
                changed.replace(path)?;
                return Ok(changed);
            }
            // It was not written to its end: nothing had been destroyed by then.
            Err(VaultError::Malformed { .. }) => remove(&next)?,
            Err(_) => {}
        }
        read(path)
    }

    /// Writes a new vault for its owner's eyes alone. Nothing is overwritten.
    pub fn create(&self, path: &Path) -> Result<(), VaultError> {
        write_new(path, &self.to_bytes())
            .and_then(|()| sync_folder(path))
            .map_err(|error| io_error(path, error))
    }

    /// **Destroys the key, the salt and the ciphertext of a pseudonym**, on disk too: once this returns, the file that was
    /// read is overwritten and another stands in its place. What nobody can reach from here are copies elsewhere: backups,
    /// snapshots, and the spare blocks of an SSD, against which the volume has to be encrypted.
    pub fn forget(&mut self, path: &Path, pseudonym: &str, at: Utc, why: &str) -> Result<(), VaultError> {
        let found = self.records.iter_mut().find(|kept| kept.pseudonym == pseudonym);
        let kept = found.ok_or_else(|| VaultError::NoRecord(pseudonym.to_owned()))?;
        if matches!(kept.state, State::Erased { .. }) {
            return Err(VaultError::Erased(pseudonym.to_owned()));
        }
        kept.state = State::Erased { at, why: why.to_owned() };
        self.check().map_err(|error| VaultError::Malformed { path: path.to_owned(), error })?;
        let next = next(path);
        write_new(&next, &self.to_bytes())
            .and_then(|()| sync_folder(path))
            .map_err(|error| io_error(&next, error))?;
        self.replace(path)
    }

    /// The next file is whole and on disk: whatever happens from here on, the change will be made.
    fn replace(&self, path: &Path) -> Result<(), VaultError> {
        overwrite(path)
            .and_then(|()| fs::rename(next(path), path))
            .and_then(|()| sync_folder(path))
            .map_err(|error| io_error(path, error))
    }
}

impl Kept {
    /// The record, if its key is there and it is what the commitment says.
    pub(crate) fn record(&self) -> Option<Record> {
        let State::Sealed { key, salt, ciphertext } = &self.state else { return None };
        if commitment(salt, ciphertext) != self.commitment {
            return None;
        }
        let plain = cipher(key).decrypt(&Nonce::from(NONCE), payload(&self.pseudonym, ciphertext)).ok()?;
        minicbor::decode(&plain).ok()
    }
}

impl Cbor for Vault {
    const WHAT: &'static str = "vault";
    const BYTES_MAX: usize = 4 * 1024 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        if self.format != FORMAT {
            return Err(Malformed::Cbor { what: Self::WHAT });
        }
        at_most("records in a vault", self.records.len(), RECORDS_MAX)?;
        for (at, kept) in self.records.iter().enumerate() {
            at_most("pseudonym", kept.pseudonym.len(), PSEUDONYM_BYTES_MAX)?;
            match &kept.state {
                State::Sealed { ciphertext, .. } => at_most("record", ciphertext.len(), RECORD_BYTES_MAX)?,
                State::Erased { at, why } => at.check().and(at_most("reason", why.len(), WHY_BYTES_MAX))?,
            }
            if self.records[..at].iter().any(|other| other.pseudonym == kept.pseudonym) {
                return Err(Malformed::Cbor { what: Self::WHAT });
            }
        }
        Ok(())
    }
}

fn at_most(what: &'static str, bytes: usize, max: usize) -> Result<(), Malformed> {
    if bytes <= max { Ok(()) } else { Err(Malformed::TooLong { what, bytes, max }) }
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

/// A record is sealed together with its pseudonym, and opens under no other.
fn payload<'a>(pseudonym: &'a str, msg: &'a [u8]) -> Payload<'a, 'a> {
    Payload { msg, aad: pseudonym.as_bytes() }
}

fn commitment(salt: &Salt, ciphertext: &[u8]) -> Hash {
    Hash::of(&[&salt.0[..], ciphertext].concat())
}

/// Where a changed vault is written before it takes its place.
fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn io_error(path: &Path, error: io::Error) -> VaultError {
    VaultError::Io { path: path.to_owned(), error }
}

fn read(path: &Path) -> Result<Vault, VaultError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| io_error(path, error))?;
    let most = Vault::BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(|error| io_error(path, error))?;
    Vault::read(&bytes).map_err(|error| VaultError::Malformed { path: path.to_owned(), error })
}

fn remove(path: &Path) -> Result<(), VaultError> {
    overwrite(path).and_then(|()| fs::remove_file(path)).map_err(|error| io_error(path, error))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(Vault::BYTES_MAX);
    file.write_all(&vec![0; bytes])?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        let empty = String::new();
        Record { name: name.to_owned(), role: "surgeon".to_owned(), licence: empty.clone(), text: empty }
    }

    fn vault() -> Vault {
        let mut vault = Vault::default();
        vault.add("S1", &record("Surgeon of the test")).unwrap();
        vault.add("B1", &record("Bedside of the test")).unwrap();
        vault
    }

    const AT: Utc = Utc { us: 1_760_000_000_000_000, uncertainty_us: 0 };

    fn key_of(vault: &Vault, at: usize) -> [u8; 32] {
        let State::Sealed { key, .. } = &vault.records[at].state else { unreachable!("it is sealed") };
        *key
    }

    /// Goal: a key that is destroyed is nowhere on disk, the other records open, and the root is the one that was committed.
    #[test]
    fn what_is_forgotten_is_gone_and_the_root_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.vault");
        let made = vault();
        made.create(&path).unwrap();
        // A second name for the same bytes on disk: what the file was before it was replaced.
        let before = folder.path().join("before");
        fs::hard_link(&path, &before).unwrap();
        let mut opened = Vault::open(&path).unwrap();
        assert_eq!((&opened, opened.records[0].record()), (&made, Some(record("Surgeon of the test"))));
        opened.forget(&path, "S1", AT, "asked for").unwrap();
        let again = Vault::open(&path).unwrap();
        assert_eq!((again.root(), again.records[0].record()), (made.root(), None));
        assert_eq!(again.records[1].record(), Some(record("Bedside of the test")));
        assert!(fs::read(&before).unwrap().iter().all(|byte| *byte == 0));
        let key = key_of(&made, 0);
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(16).any(|part| key.windows(16).any(|of_key| of_key == part)));
        assert!(matches!(opened.forget(&path, "S1", AT, ""), Err(VaultError::Erased(_))));
        assert!(matches!(opened.forget(&path, "X9", AT, ""), Err(VaultError::NoRecord(_))));
        assert!(opened.create(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// Goal: wherever the machine stops while it forgets, the vault is what it was or what it was to be.
    #[test]
    fn a_change_that_was_interrupted_is_ended_or_never_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people.vault");
        let (made, mut changed) = (vault(), vault());
        changed.records[0].state = State::Erased { at: AT, why: String::new() };
        // Stopped while the next one was written: nothing was destroyed.
        made.create(&path).unwrap();
        let bytes = changed.to_bytes();
        fs::write(next(&path), &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(Vault::open(&path).unwrap(), made);
        assert!(!next(&path).exists());
        // Stopped before, in the middle of, and after the overwriting.
        for overwritten in [made.to_bytes(), vec![1; 20], vec![0; 400]] {
            fs::write(&path, overwritten).unwrap();
            fs::write(next(&path), &bytes).unwrap();
            assert_eq!(Vault::open(&path).unwrap(), changed);
            assert_eq!((fs::read(&path).unwrap(), next(&path).exists()), (bytes.clone(), false));
        }
    }

    /// Goal: a record opens under its own pseudonym, key and commitment alone.
    #[test]
    fn a_record_that_was_changed_does_not_open() {
        let made = vault();
        let mut renamed = made.clone();
        renamed.records[0].pseudonym = "S2".to_owned();
        let mut swapped = made.clone();
        swapped.records[0].state = made.records[1].state.clone();
        let mut other = made.clone();
        other.records[0].commitment = Hash::ZERO;
        for vault in [renamed, swapped, other] {
            assert_eq!(vault.records[0].record(), None);
        }
        let mut twice = made.clone();
        assert!(twice.add("S1", &record("another")).is_err());
        assert_eq!(twice, made);
    }
}
