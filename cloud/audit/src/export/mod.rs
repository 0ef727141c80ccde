//! What a bundle holds, for other programs: tables ([`csv`]) and FHIR resources ([`fhir`]). Written while the verifier
//! passes, so that memory does not grow with the session, and never without the verdict beside it.

mod csv;
mod fhir;
mod waiting;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use farhand_bundle::{Passed, Reader, Unreadable, verify_and};
use farhand_ledger::TrustRoot;

use crate::{
    audit::no_folder,
    files::{Fresh, NotWritten},
    html::hash,
    report::{Redactions, Report},
    story::Story,
};

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// commands.csv, frames.csv, events.csv and verification.json.
    Csv,
    /// AuditEvent.ndjson and Provenance.ndjson, in FHIR R4.
    Fhir,
}

/// How often the file is read: for its hash, and for the verdict.
const PASSES: u64 = 2;

/// Something that is written leaf by leaf.
trait Tables {
    /// Takes the next leaf, which the story has taken already.
    fn take(&mut self, passed: &Passed<'_>, story: &Story) -> io::Result<()>;
    /// All leaves have been taken, and this came out.
    fn finish(self, came_out: &CameOut<'_>) -> io::Result<()>;
}

/// What is known at the end.
struct CameOut<'a> {
    report: &'a Report,
    story: &'a Story,
    reader: &'a Reader<File>,
    trust: Option<&'a TrustRoot>,
    sha256: String,
    /// When it was verified, in µs since 1970.
    now_us: u64,
}

/// Verifies the bundle at `path` and writes what it holds into the folder `out`, over nothing that is there. `now_us` is
/// when, in µs since 1970. It is written whatever the verdict is, unless the file is no bundle.
pub fn export(
    path: &Path,
    trust: Option<&TrustRoot>,
    format: Format,
    out: &Path,
    now_us: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, NotWritten> {
    let unread = |error: Unreadable| NotWritten::Read { path: path.to_owned(), error };
    let mut source = File::open(path).map_err(|error| unread(error.into()))?;
    let bytes = no_folder(&source).map_err(|error| unread(error.into()))?;
    let mut progress = |pass: u64, at: u64| progress((pass * bytes + at.min(bytes)) / PASSES, bytes);
    let sha256 = hash(&mut source, |at| progress(0, at)).map_err(|error| unread(error.into()))?.to_string();
    let reader = Reader::open(source).map_err(unread)?;
    let mut fresh = Fresh::default();
    fresh.folder(out)?;
    let mut made = |name: &str| fresh.file(&out.join(name));
    let pass = Pass { reader: &reader, trust, sha256, now_us, path, out: out.to_owned() };
    let report = match format {
        Format::Csv => {
            let files =
                [made(csv::COMMANDS)?, made(csv::FRAMES)?, made(csv::EVENTS)?, made(csv::VERIFICATION)?];
            pass.run(csv::Csv::new(files).map_err(|error| pass.unwritten(error))?, |at| progress(1, at))?
        }
        Format::Fhir => {
            let files = [made(fhir::AUDIT_EVENTS)?, made(fhir::PROVENANCE)?];
            pass.run(fhir::Fhir::new(files), |at| progress(1, at))?
        }
    };
    fresh.keep();
    Ok(report)
}

/// One pass over a bundle.
struct Pass<'a> {
    reader: &'a Reader<File>,
    trust: Option<&'a TrustRoot>,
    sha256: String,
    now_us: u64,
    path: &'a Path,
    out: PathBuf,
}

impl Pass<'_> {
    fn run(&self, mut tables: impl Tables, mut progress: impl FnMut(u64)) -> Result<Report, NotWritten> {
        let (mut story, mut redactions) = (Story::default(), Redactions::default());
        let mut written = Ok(());
        let verified = verify_and(self.reader, self.trust, |passed| {
            if passed.redacted.is_some() {
                redactions.take(passed.number);
            }
            story.take(&passed);
            if written.is_ok() {
                written = tables.take(&passed, &story);
            }
            progress(passed.at_bytes);
        });
        let verified = verified.map_err(|error| NotWritten::Read { path: self.path.to_owned(), error })?;
        story.finish();
        let report = Report::of(&verified, redactions, self.trust.is_some());
        let Self { reader, trust, now_us, .. } = *self;
        let sha256 = self.sha256.clone();
        let came_out = CameOut { report: &report, story: &story, reader, trust, sha256, now_us };
        written.and_then(|()| tables.finish(&came_out)).map_err(|error| self.unwritten(error))?;
        Ok(report)
    }

    fn unwritten(&self, error: io::Error) -> NotWritten {
        NotWritten::Written { path: self.out.clone(), error }
    }
}
