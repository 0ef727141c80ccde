//! A bundle on disk, audited.

use std::{fs::File, io, path::Path};

use farhand_bundle::{Passed, Reader, Unreadable, verify_and};
use farhand_ledger::TrustRoot;

use crate::report::{Redactions, Report};

/// Audits the bundle at `path`. Whatever happens is in the report: a file that can't be read is `unreadable`. Takes up to
/// a minute for an hour's session, and blocks.
#[must_use]
pub fn audit(path: &Path, trust: Option<&TrustRoot>) -> Report {
    audit_and(path, trust, |_, _| {})
}

/// The same, and says how far it is: bytes passed, of how many.
#[must_use]
pub fn audit_and(path: &Path, trust: Option<&TrustRoot>, mut progress: impl FnMut(u64, u64)) -> Report {
    let given = trust.is_some();
    open(path)
        .and_then(|reader| {
            let mut redactions = Redactions::default();
            let verified = verify_and(&reader, trust, |passed: Passed<'_>| {
                if passed.redacted.is_some() {
                    redactions.take(passed.number);
                }
                progress(passed.at_bytes, passed.bytes);
            })?;
            Ok(Report::of(&verified, redactions, given))
        })
        .unwrap_or_else(|error| Report::of_unreadable(error.to_string(), given))
}

pub(crate) fn open(path: &Path) -> Result<Reader<File>, Unreadable> {
    let file = File::open(path)?;
    no_folder(&file)?;
    Reader::open(file)
}

/// Bytes of a file. A folder is none.
pub(crate) fn no_folder(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if metadata.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(metadata.len()) }
}
