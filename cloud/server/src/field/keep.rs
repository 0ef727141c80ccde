//! The steps' proofs in a folder, a file each: what a restarted server knows a delivery from, and the hospital's desk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use farhand_ledger::{Cbor, Malformed, TransactionProof};
use thiserror::Error;

/// Why the folder can't be used.
#[derive(Debug, Error)]
pub enum KeepError {
    #[error("the folder of custody proofs, {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{} is not a custody proof: {source}", path.display())]
    Proof { path: PathBuf, source: Malformed },
}

/// What is in the folder, in order of the steps. A folder that is absent is made.
pub(crate) fn load(folder: &Path) -> Result<Vec<TransactionProof>, KeepError> {
    let wrong = |source| KeepError::Folder { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(wrong)?;
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(wrong)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proof"))
        .collect();
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<TransactionProof, KeepError> {
    match fs::read(&path) {
        Ok(bytes) => TransactionProof::read(&bytes).map_err(|source| KeepError::Proof { path, source }),
        Err(source) => Err(KeepError::Folder { path, source }),
    }
}

/// Keeps step `number`, from 1. Whole or not at all.
pub(crate) fn store(folder: &Path, number: usize, proof: &TransactionProof) -> Result<(), KeepError> {
    let path = folder.join(format!("{number:02}.proof"));
    let part = path.with_extension("part");
    fs::write(&part, proof.to_bytes())
        .and_then(|()| fs::rename(&part, &path))
        .map_err(|source| KeepError::Folder { path, source })
}
