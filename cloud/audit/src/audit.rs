//! A bundle on disk, audited.

use std::{fs::File, io, path::Path};

use farhand_bundle::{BadRedaction, Passed, Reader, Redaction, Unreadable, redact, verify_and};
use farhand_ledger::{Cbor as _, Manifest, TrustRoot};
use farhand_wire::SessionId;

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

/// The session that the bundle at `path` says it is of. Nothing is checked.
///
/// # Errors
/// [`Unreadable`], also where it has no manifest that can be read.
pub fn session_of(path: &Path) -> Result<SessionId, Unreadable> {
    let manifest = Manifest::read(open(path)?.manifest());
    Ok(manifest.map_err(|_| Unreadable::NotABundle { what: "its manifest can't be read" })?.session)
}

/// Writes the bundle at `path` to `out` without what is marked. It can still be verified.
///
/// # Errors
/// [`BadRedaction`]; what was written by then is no bundle.
pub fn leave_out(path: &Path, redaction: &Redaction, out: File) -> Result<(), BadRedaction> {
    redact(&open(path)?, redaction, out).map(drop)
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
