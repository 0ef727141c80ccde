//! The greatest lease token ever granted, kept for good: a kit that forgot it could honour an old surgeon.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use farhand_wire::LeaseToken;
use thiserror::Error;

const FILE: &str = "lease-token";

/// Why the token is not safe.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("cannot {what} the lease token in {}: {source}. The kit grants no control without it: free the disk or give it a folder that it may write", .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} does not hold a number: if its disk failed, put a number there that is greater than any token ever granted", .path.display())]
    Unreadable { path: PathBuf },
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
        let (path, new) = (self.folder.join(FILE), self.folder.join("lease-token.new"));
        self.replace(&path, &new, token).map_err(failed("store", &path))?;
        self.highest = token;
        Ok(())
    }

    fn replace(&self, path: &Path, new: &Path, token: LeaseToken) -> io::Result<()> {
        let mut file = File::create(new)?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        fs::rename(new, path)?;
        File::open(&self.folder)?.sync_all()
    }
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

    /// Goal: a file that cannot be understood is an error, not "no token yet".
    #[test]
    fn a_damaged_file_is_not_taken_for_a_new_kit() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "x").unwrap();
        assert!(matches!(TokenStore::open(folder.path()), Err(StoreError::Unreadable { .. })));
    }
}
