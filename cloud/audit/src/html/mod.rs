//! The report as one HTML page, for people who were not there: a judge, a regulator, a hospital's own board.
//!
//! Invariant (global): **the page needs nothing but itself**, no script, no font, no network; and nothing of the bundle is
//! markup in it ([`page`]). The same file and the same trust root make the same page, byte for byte: it has no date.

mod figures;
mod findings;
mod page;
mod pictures;
mod plot;
mod sections;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use farhand_bundle::{Reader, Unreadable, verify_and};
use farhand_ledger::{Cbor, Hash, TransactionProof, TrustRoot};
use sha2::{Digest, Sha256};

use self::{page::Page as Html, sections::Told};
use crate::{
    audit::no_folder,
    files::{Fresh, NotWritten, finish},
    people::Vault,
    report::{Redactions, Report},
    story::{Story, moments::Chosen, proven::fact},
};

/// How often the file is read: for its hash, for the verdict, for the pictures.
const PASSES: u64 = 3;
const PIECE: usize = 1024 * 1024;

/// What a page shows besides what was found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// At most so many pictures.
    pub pictures_max: usize,
    /// Names of the people. Without it there is no personal data in the page.
    pub vault: Option<&'a Vault>,
}

/// Verifies the bundle at `path` and writes what there is to tell of it to `out`, which may not exist yet. The page is
/// written whatever the verdict is. `progress` is told how far it is: bytes passed, of how many.
pub fn write_html(
    path: &Path,
    trust: Option<&TrustRoot>,
    out: &Path,
    page: Page<'_>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, NotWritten> {
    let unread = |error: Unreadable| NotWritten::Read { path: path.to_owned(), error };
    let mut source = File::open(path).map_err(|error| unread(error.into()))?;
    let bytes = no_folder(&source).map_err(|error| unread(error.into()))?;
    let mut fresh = Fresh::default();
    let file = fresh.file(out)?;
    let mut progress = |pass: u64, at: u64| progress((pass * bytes + at.min(bytes)) / PASSES, bytes);
    let sha256 = hash(&mut source, |at| progress(0, at)).map_err(|error| unread(error.into()))?;
    let gathered = gather(source, trust, |at| progress(1, at));
    let told = Told::new(path, sha256, bytes, &gathered, trust);
    let mut html = Html::new(file);
    let written = write(&mut html, &told, &gathered, page, |at| progress(2, at));
    written
        .and_then(|()| finish(html.into_inner()))
        .map_err(|error| NotWritten::Written { path: out.to_owned(), error })?;
    fresh.keep();
    Ok(gathered.report)
}

/// All that was found out.
pub(crate) struct Gathered {
    pub(crate) report: Report,
    pub(crate) story: Story,
    /// When it was sealed, if the bundle says so.
    pub(crate) sealed: Option<crate::story::proven::Fact>,
    /// `None` if the file is no bundle.
    reader: Option<Reader<File>>,
}

fn gather(source: File, trust: Option<&TrustRoot>, progress: impl FnMut(u64)) -> Gathered {
    let mut story = Story::default();
    let read = Reader::open(source).and_then(|reader| {
        let report = pass(&reader, trust, &mut story, progress)?;
        Ok((reader, report))
    });
    match read {
        Ok((reader, report)) => {
            story.finish();
            let seal = reader.seal().ok().and_then(|proof| TransactionProof::read(&proof).ok());
            let sealed = seal.and_then(|proof| fact(&proof)).map(|(fact, _)| fact);
            Gathered { report, story, sealed, reader: Some(reader) }
        }
        Err(error) => {
            let report = Report::of_unreadable(error.to_string(), trust.is_some());
            Gathered { report, story: Story::default(), sealed: None, reader: None }
        }
    }
}

fn pass(
    reader: &Reader<File>,
    trust: Option<&TrustRoot>,
    story: &mut Story,
    mut progress: impl FnMut(u64),
) -> Result<Report, Unreadable> {
    let mut redactions = Redactions::default();
    let verified = verify_and(reader, trust, |passed| {
        if passed.redacted.is_some() {
            redactions.take(passed.number);
        }
        story.take(&passed);
        progress(passed.at_bytes);
    })?;
    Ok(Report::of(&verified, redactions, trust.is_some()))
}

/// SHA-256 of a whole file.
pub(crate) fn hash(source: &mut File, mut progress: impl FnMut(u64)) -> io::Result<Hash> {
    let (mut sha, mut piece, mut at) = (Sha256::new(), vec![0; PIECE], 0);
    loop {
        let bytes = source.read(&mut piece)?;
        if bytes == 0 {
            return Ok(Hash(sha.finalize().into()));
        }
        sha.update(&piece[..bytes]);
        at += bytes as u64;
        progress(at);
    }
}

fn write(
    page: &mut Html<impl Write>,
    told: &Told<'_>,
    gathered: &Gathered,
    wanted: Page<'_>,
    progress: impl FnMut(u64),
) -> io::Result<()> {
    told.write_head(page)?;
    told.write_how(page)?;
    told.write_findings(page)?;
    if let Some(reader) = &gathered.reader {
        told.write_parties(page)?;
        if let Some(vault) = wanted.vault {
            told.write_names(page, vault)?;
        }
        told.write_custody(page)?;
        told.write_software(page)?;
        told.write_counts(page)?;
        let (chosen, left_out) =
            told.story.moments.choose(told.story.refusals.runs.iter(), wanted.pictures_max);
        write_pictures(page, reader, &chosen, left_out, progress)?;
        told.write_plots(page)?;
        told.write_marks(page)?;
        told.write_refusals(page)?;
        told.write_modes(page)?;
        told.write_timeline(page)?;
        told.write_redactions(page)?;
    }
    told.write_end(page)
}

fn write_pictures(
    page: &mut Html<impl Write>,
    reader: &Reader<File>,
    chosen: &[Chosen],
    left_out: u64,
    progress: impl FnMut(u64),
) -> io::Result<()> {
    page.heading("Pictures at key moments")?;
    if chosen.is_empty() {
        return page.paragraph("None are shown.");
    }
    page.paragraph(
        "Each is what was on the surgeon's screen at that moment: the picture that the newest command named as seen; for a \
         refusal, that of the refused command; where no command names one, the newest picture of the record. It is the recorded video from its key frame on, undecoded, standing at its last picture.",
    )?;
    page.html("<div class=\"pictures\">\n")?;
    pictures::write(page, reader, chosen, progress)?;
    page.html("</div>\n")?;
    if left_out > 0 {
        page.paragraph(format_args!(
            "{left_out} more moments have pictures that are not shown here (--pictures)."
        ))?;
    }
    Ok(())
}
