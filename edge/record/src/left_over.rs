//! Records that no bundle was made of: the program ended before the operation did, or before the seal was on the ledger.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, SystemTime},
};

use farhand_ledger::{What, read_record};
use farhand_wire::SessionId;

use crate::store::Paths;

/// A closing leaf has no more bytes, nor has the record around it.
const CLOSING_BYTES_MAX: u64 = 1024;

/// A session on disk without a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOver {
    pub session: SessionId,
    /// The operation was closed: only the seal is missing.
    pub closed: bool,
    /// Since something was last written.
    pub idle: Duration,
}

/// All sessions in a folder of records that have no bundle, this process's own among them.
///
/// # Errors
/// If the folder can't be read. A single record that can't is passed over, and said in the log.
pub fn left_over(folder: &Path) -> io::Result<Vec<LeftOver>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let mut session = SessionId::default();
        if hex::decode_to_slice(entry.file_name().as_encoded_bytes(), &mut session.0).is_err() {
            continue;
        }
        match look(&Paths::at(folder, session), session) {
            Ok(left) => found.extend(left),
            Err(error) => tracing::error!(%session, %error, "a record that was left over can't be read"),
        }
    }
    Ok(found)
}

fn look(paths: &Paths, session: SessionId) -> io::Result<Option<LeftOver>> {
    if paths.bundle().try_exists()? || !paths.log().try_exists()? {
        return Ok(None);
    }
    let log = File::open(paths.log())?;
    let about = log.metadata()?;
    let idle = SystemTime::now().duration_since(about.modified()?).unwrap_or_default();
    Ok(Some(LeftOver { session, closed: is_closed(&log, about.len())?, idle }))
}

/// Whether the log's last record is the closing leaf. Records carry a hash, so nothing else looks like one.
fn is_closed(log: &File, bytes: u64) -> io::Result<bool> {
    let looked_at = bytes.min(CLOSING_BYTES_MAX);
    let mut end = vec![0; looked_at as usize];
    log.read_exact_at(&mut end, bytes - looked_at)?;
    let closes = |record: &[u8]| {
        read_record(record)
            .is_ok_and(|(entry, _, length)| length == record.len() && matches!(entry.what, What::Closed(_)))
    };
    Ok((0..end.len()).any(|at| closes(&end[at..])))
}
