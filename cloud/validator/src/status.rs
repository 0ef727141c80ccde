//! What a validator says about itself: a small file in its data folder, anew each second.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

const FILE_NAME: &str = "status.json";
/// A validator writes each second; one that has not for so long does not run.
pub const STALE_MS: u64 = 5000;

/// What a validator says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Commits go on.
    pub healthy: bool,
    /// Why not, in words; empty if they do.
    pub problem: String,
    /// The ledger's epoch that it is in.
    pub epoch: u64,
    /// The newest committed block of that epoch's chain; absent before the first.
    pub height: Option<u64>,
    pub view: u64,
    pub peers_connected: usize,
    pub peers: usize,
    pub transactions_waiting: usize,
    /// Time since the newest commit, or the start.
    pub since_commit_ms: u64,
    pub messages_refused: u64,
    pub messages_dropped: u64,
    /// When this was written, ms since 1970.
    pub at_utc_ms: u64,
    pub process: u32,
}

/// Why there is no status.
#[derive(Debug, Error)]
pub enum StatusError {
    #[error("no validator has run in {}: start it with `farhand-validator run --config FILE`", dir.display())]
    NeverRan { dir: PathBuf },
    #[error("the validator in {} last said something {silent_ms} ms ago: it does not run", dir.display())]
    NotRunning { dir: PathBuf, silent_ms: u64 },
    #[error("could not read the status in {}: {source}", dir.display())]
    Unreadable { dir: PathBuf, source: io::Error },
}

/// The status of the validator whose data folder is `dir`.
///
/// # Errors
/// [`StatusError`] if it does not run.
pub fn read(dir: &Path) -> Result<Status, StatusError> {
    let unreadable = |source| StatusError::Unreadable { dir: dir.to_owned(), source };
    let bytes = match fs::read(path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StatusError::NeverRan { dir: dir.to_owned() });
        }
        other => other.map_err(unreadable)?,
    };
    let status: Status = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.into()))?;
    let silent_ms = utc_ms().saturating_sub(status.at_utc_ms);
    if silent_ms > STALE_MS {
        Err(StatusError::NotRunning { dir: dir.to_owned(), silent_ms })
    } else {
        Ok(status)
    }
}

/// Whole or not at all: a reader never sees half a file.
pub(crate) fn write(dir: &Path, status: &Status) -> io::Result<()> {
    let half = dir.join("status.json.new");
    fs::write(&half, serde_json::to_vec(status)?)?;
    fs::rename(half, path(dir))
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

pub(crate) fn utc_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
