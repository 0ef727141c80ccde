//! What a kit must never forget: the greatest lease token ever granted, or it could honour an old surgeon; and which sessions
//! are over, or it could arm again in one whose record is sealed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use farhand_wire::{LeaseToken, SessionId};
use thiserror::Error;

const FILE: &str = "lease-token";
const CLOSED_FILE: &str = "closed-sessions";
/// Closed sessions remembered; the oldest is forgotten, long after its opening has lost its use.
const CLOSED_MAX: usize = 1024;

/// Why the token is not safe.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot {what} the lease token in {}: {source}. The kit grants no control without it: free the disk or give it a folder that it may write", .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} does not hold a number: if its disk failed, put a number there that is greater than any token ever granted", .path.display())]
    Unreadable { path: PathBuf },
    #[error("cannot {what} the sessions that are over in {}: {source}", .path.display())]
    Closed { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} does not list sessions: 32 hex digits a line are expected", .path.display())]
    NoSessions { path: PathBuf },
    #[error("token {token} is not greater than {stored}, which is stored")]
    NotRising { token: LeaseToken, stored: LeaseToken },
}

/// One number in one file, replaced as a whole.
#[derive(Debug)]
pub struct TokenStore {
    folder: PathBuf,
    highest: LeaseToken,
}

impl TokenStore {
    /// Opens the folder, or makes it. No file yet: no token was ever granted.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        fs::create_dir_all(folder).map_err(failed("make a folder for", folder))?;
        let highest = match fs::read_to_string(&path) {
            Ok(text) => LeaseToken(text.trim().parse().map_err(|_| StoreError::Unreadable { path })?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LeaseToken(0),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        Ok(Self { folder: folder.to_owned(), highest })
    }

    #[must_use]
    pub fn highest(&self) -> LeaseToken {
        self.highest
    }

    /// Returns once the token is on disk, its folder entry included.
    pub fn raise(&mut self, token: LeaseToken) -> Result<(), StoreError> {
        if token <= self.highest {
            return Err(StoreError::NotRising { token, stored: self.highest });
        }
        let path = self.folder.join(FILE);
        replace(&self.folder, FILE, &format!("{token}\n")).map_err(failed("store", &path))?;
        self.highest = token;
        Ok(())
    }
}

/// Sessions that are over, one a line, in one file that is replaced as a whole.
#[derive(Debug)]
pub struct ClosedStore {
    folder: PathBuf,
    closed: Vec<SessionId>,
}

impl ClosedStore {
    /// Opens the folder, which must be there. No file yet: no session was ever closed.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(CLOSED_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(StoreError::Closed { what: "read", path, source }),
        };
        let closed: Option<Vec<SessionId>> = text.lines().map(session).collect();
        Ok(Self { folder: folder.to_owned(), closed: closed.ok_or(StoreError::NoSessions { path })? })
    }

    #[must_use]
    pub fn closed(&self) -> &[SessionId] {
        &self.closed
    }

    /// Returns once it is on disk that the session is over.
    pub fn close(&mut self, session: SessionId) -> Result<(), StoreError> {
        if self.closed.contains(&session) {
            return Ok(());
        }
        let mut closed = self.closed.clone();
        if closed.len() >= CLOSED_MAX {
            closed.remove(0);
        }
        closed.push(session);
        let text: String = closed.iter().map(|session| format!("{session}\n")).collect();
        let path = self.folder.join(CLOSED_FILE);
        replace(&self.folder, CLOSED_FILE, &text).map_err(|source| StoreError::Closed {
            what: "store",
            path,
            source,
        })?;
        self.closed = closed;
        Ok(())
    }
}

fn session(hex: &str) -> Option<SessionId> {
    let mut id = [0; 16];
    if hex.len() != 32 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in id.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(SessionId(id))
}

/// Returns once the file has this text on disk, its folder entry included.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: tokens only rise, also across restarts.
    #[test]
    fn a_restart_remembers_the_greatest_token() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = TokenStore::open(folder.path()).unwrap();
        assert_eq!(store.highest(), LeaseToken(0));
        store.raise(LeaseToken(3)).unwrap();
        assert!(matches!(store.raise(LeaseToken(3)), Err(StoreError::NotRising { .. })));
        assert_eq!(TokenStore::open(folder.path()).unwrap().highest(), LeaseToken(3));
    }

    /// Goal: a session that is over stays so across restarts, and a file that cannot be understood is an error.
    #[test]
    fn a_restart_remembers_which_sessions_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = ClosedStore::open(folder.path()).unwrap();
        (0..=CLOSED_MAX).for_each(|n| store.close(SessionId([n as u8; 16])).unwrap());
        (1..3).for_each(|_| store.close(SessionId([0xab; 16])).unwrap());
        let again = ClosedStore::open(folder.path()).unwrap();
        assert!(again.closed().contains(&SessionId([0xab; 16])));
        assert_eq!(again.closed(), store.closed());
        assert_eq!(again.closed().len(), 256, "each once");
        for damaged in ["x", &"+a".repeat(16)] {
            fs::write(folder.path().join(CLOSED_FILE), damaged).unwrap();
            assert!(matches!(ClosedStore::open(folder.path()), Err(StoreError::NoSessions { .. })));
        }
    }

    /// Goal: a file that cannot be understood is an error, not "no token yet".
    #[test]
    fn a_damaged_file_is_not_taken_for_a_new_kit() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "x").unwrap();
        assert!(matches!(TokenStore::open(folder.path()), Err(StoreError::Unreadable { .. })));
    }
}
