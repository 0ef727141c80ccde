//! What stands in the report, section by section.

use std::{
    io::{self, Write},
    path::Path,
};

use farhand_ledger::{Hash, TrustRoot};
use farhand_wire::Mode;

use super::{
    Gathered,
    figures::figures,
    findings::{alike, finding_rows},
    page::{Cell, Page},
};
use crate::{
    people::{self, Vault},
    report::{Report, Session, VerdictName},
    show::Line,
    story::{
        Mark, Story, key_of,
        proven::Fact,
        runs::{Run, Stretch, reason_name},
    },
    time::{duration, rfc3339, with_uncertainty},
    words::{grouped, range, sentence, verdict, what_to_do},
};

/// Findings that are listed; a program reads them all.
const FINDINGS_MAX: usize = 500;

/// Everything that the report tells.
pub(crate) struct Told<'a> {
    file: String,
    sha256: Hash,
    bytes: u64,
    report: &'a Report,
    pub(crate) story: &'a Story,
    sealed: Option<&'a Fact>,
    trust: Option<&'a TrustRoot>,
}

impl<'a> Told<'a> {
    pub(crate) fn new(
        path: &Path,
        sha256: Hash,
        bytes: u64,
        gathered: &'a Gathered,
        trust: Option<&'a TrustRoot>,
    ) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            file: name.to_string_lossy().into_owned(),
            sha256,
            bytes,
            report: &gathered.report,
            story: &gathered.story,
            sealed: gathered.sealed.as_ref(),
            trust,
        }
    }

    /// The verdict stands first, whatever it is.
    pub(crate) fn write_head(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.html("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>")?;
        page.text(verdict(self.report))?.text(format_args!(" {}", self.file))?.html("</title>\n")?;
        // Even a fault in the escaping could load nothing and run nothing.
        page.html("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")?;
        page.html("style-src 'unsafe-inline'; media-src data:\">\n")?;
        page.html("<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n")?;
        page.html(include_str!("style.css"))?.html("</style></head>\n<body>\n<main>\n")?;
        page.html(match self.report.verdict {
            VerdictName::Holds => "<div class=\"verdict\"><h1>",
            _ => "<div class=\"verdict not\"><h1>",
        })?;
        page.text(verdict(self.report))?.html("</h1>\n<p class=\"name\">")?;
        page.text(self.name())?.html("</p>\n<p>")?.html(meaning(self.report.verdict))?.html("</p>\n")?;
        if let Some(why) = &self.report.unreadable {
            page.paragraph(sentence(why))?;
        }
        if self.report.verdict != VerdictName::DoesNotHold {
            page.paragraph(what_to_do(self.report))?;
        }
        page.html("</div>\n").map(drop)
    }

    fn name(&self) -> String {
        match &self.report.session {
            Some(session) => {
                format!("{}: session {}, opened {}", self.file, session.id, session.times.opened)
            }
            None => self.file.clone(),
        }
    }

    pub(crate) fn write_how(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("What was verified, and how")?;
        let (report, trust) = (self.report, &self.report.trust);
        let fingerprint = trust.sha256.clone().unwrap_or_else(|| "none that can be read".to_owned());
        let whose = if trust.given {
            "given to the verifier, from elsewhere than the file"
        } else {
            "none was given: the file's own was used, which proves nothing"
        };
        let mut pairs = vec![
            ("File", Cell::Text(format!("{}, {} bytes", self.file, grouped(self.bytes)))),
            ("SHA-256 of the file", Cell::Code(self.sha256.to_string())),
            ("Trust root", Cell::Text(whose.to_owned())),
            ("SHA-256 of the trust root", Cell::Code(fingerprint)),
        ];
        if let Some(trust) = self.trust {
            let (validators, quorum) = (trust.validators().len(), trust.quorum());
            let hospitals = match trust.hospitals().len() {
                1 => "one hospital".to_owned(),
                count => format!("{count} hospitals"),
            };
            pairs.push((
                "Who vouches",
                Cell::Text(format!(
                    "{validators} validators, of whom a power of {quorum} must sign; sessions are opened by {hospitals}"
                )),
            ));
        }
        if let Some(ledger) = &trust.ledger {
            pairs.push(("Ledger", Cell::Code(ledger.clone())));
        }
        if report.unreadable.is_none() {
            pairs.push(("Leaves", Cell::Text(self.leaves())));
            pairs.push(("Root over all leaves", Cell::Code(report.leaves.root.clone())));
            let checkpoints = format!("{} committed by a quorum hold", grouped(report.checkpoints));
            pairs.push(("Checkpoints", Cell::Text(checkpoints)));
        }
        let sealed = self.sealed.filter(|_| report.session.is_some());
        if let Some(fact) = sealed {
            let committed = format!("{}, in block {}", with_uncertainty(fact.committed), fact.position.0);
            pairs.push(("Sealed", Cell::Text(committed)));
            pairs.push(("Transaction of the sealing", Cell::Code(fact.hash.clone())));
        }
        pairs.push((
            "Verified by",
            Cell::Text(concat!("farhand-audit ", env!("CARGO_PKG_VERSION")).to_owned()),
        ));
        page.pairs(pairs)?;
        page.paragraph(
            "A leaf is one numbered entry of the record. The verifier read each once, hashed all into the root that was \
             sealed, checked every signature and who may make it, compared what the surgeon's console, the edge box and \
             the kit say of each command, compared every picture with its hash, and made the whole file again byte by \
             byte. It asked nobody: no network, no clock, no key of the makers.",
        )
    }

    fn leaves(&self) -> String {
        let leaves = &self.report.leaves;
        match leaves.redacted {
            0 => format!("{}, none taken out", grouped(leaves.total)),
            redacted => format!("{}, of which {} were taken out", grouped(leaves.total), grouped(redacted)),
        }
    }

    pub(crate) fn write_findings(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("What the verifier found")?;
        let findings = &self.report.findings;
        if findings.is_empty() {
            return page.paragraph(match self.report.unreadable {
                Some(_) => "Nothing: the file could not be read.",
                None => "No fault, no gap, no restart.",
            });
        }
        let faults = findings.iter().filter(|finding| finding.severity != "note");
        let notes = findings.iter().filter(|finding| finding.severity == "note");
        page.paragraph("Faults stand first; the first of them is usually the cause of those that follow.")?;
        let rows =
            alike(faults.chain(notes).take(FINDINGS_MAX)).into_iter().flat_map(|group| finding_rows(&group));
        page.table(&["Leaf", "Kind", "What"], rows)?;
        let more = findings.len().saturating_sub(FINDINGS_MAX) as u64 + self.report.findings_left_out;
        write_more(page, more)?;
        if self.report.verdict == VerdictName::DoesNotHold {
            page.paragraph(what_to_do(self.report).replace('`', ""))?;
        }
        Ok(())
    }

    pub(crate) fn write_parties(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("People and machines")?;
        let Some(session) = &self.report.session else {
            return page.paragraph(
                "The opening does not hold under this trust root, so nothing is known of who took part. Names further \
                 down are only what the file says.",
            );
        };
        page.paragraph("As a hospital of the trust root stated them on the ledger. Who a person is, only that hospital knows.")?;
        let rows = session.people.iter().map(|person| {
            let pseudonym = Cell::Text(person.pseudonym.clone());
            vec![pseudonym, Cell::Text(person.role.to_owned()), Cell::Code(person.key.clone())]
        });
        page.table(&["Pseudonym", "Role", "Public key (Ed25519)"], rows)?;
        page.pairs(machines(session))
    }

    /// Names from a vault, which are no part of the evidence; what was erased is said to be.
    pub(crate) fn write_names(&self, page: &mut Page<impl Write>, vault: &Vault) -> io::Result<()> {
        page.heading("People by name")?;
        page.paragraph(
            "From the vault that was given, not from the evidence: that has commitments to these records, and nothing else \
             about a person. Whose key was destroyed is erased, and every proof holds as before.",
        )?;
        let people = people::named(self.report, self.story, vault);
        let rows = people.iter().map(|one| vec![Cell::Text(one.pseudonym.clone()), Cell::Wide(one.words())]);
        page.table(&["Pseudonym", "Who"], rows)
    }

    pub(crate) fn write_custody(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        let facts = self.story.opening.as_ref().filter(|_| self.report.session.is_some());
        let Some(facts) = facts else { return Ok(()) };
        page.heading("Consent and custody")?;
        page.paragraph(
            "Each step was committed by a quorum of validators, in this order: custody without a gap, each step naming \
             the one before, and the opening naming the consent and the last step. Times are by the clocks of whoever \
             signed and of the validators.",
        )?;
        let all = facts.consent.iter().chain(&facts.custody).chain([&facts.opened]).chain(self.sealed);
        let mut all: Vec<&Fact> = all.collect();
        all.sort_by_key(|fact| (fact.committed.us, fact.position)); // an epoch begins at block 0 again
        let rows = all.into_iter().map(|fact| {
            vec![
                Cell::Wide(fact.what.to_owned()),
                Cell::Wide(self.story.who(&fact.by)),
                Cell::Time(rfc3339(fact.said.us)),
                Cell::Time(rfc3339(fact.committed.us)),
                Cell::Number(duration(fact.committed.uncertainty_us)),
                Cell::Number(fact.position.0.to_string()),
            ]
        });
        page.table(&["Step", "Signed by", "Signed at (UTC)", "Committed at (UTC)", "±", "Block"], rows)
    }

    pub(crate) fn write_software(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("Software and models")?;
        let software = self.report.session.iter().flat_map(|session| &session.software);
        let software = software.map(|one| named("Software", &one.name, &one.sha256));
        let models =
            self.story.models.iter().map(|model| named("Model", &model.name, &model.digest.to_string()));
        let overlays = self.story.overlay_models.iter();
        let overlays = overlays.map(|digest| named("Model", "named by overlays", &digest.to_string()));
        let rows: Vec<Vec<Cell>> = software.chain(models).chain(overlays).collect();
        if rows.is_empty() {
            return page.paragraph("The record names none.");
        }
        page.paragraph(
            "By their SHA-256, as the edge box stated them in the sealed manifest and on the ledger.",
        )?;
        page.table(&["What", "Name", "SHA-256"], rows)?;
        if self.story.overlay_models.is_empty() {
            page.paragraph("No overlay was drawn on a picture.")?;
        }
        Ok(())
    }

    pub(crate) fn write_counts(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("Counts")?;
        let (report, commands, frames) = (self.report, &self.report.commands, &self.report.frames);
        let glass = &self.story.glass;
        let ms = |us: Option<u64>| us.map_or("-".to_owned(), |us| format!("{:.1}", us as f64 / 1000.0));
        let quantiles = format!(
            "{} / {} / {} ms over {} frames",
            ms(glass.quantile_us(0.5)),
            ms(glass.quantile_us(0.95)),
            ms(glass.max_us()),
            grouped(glass.count())
        );
        let count = |name, count: u64| (name, Cell::Text(grouped(count)));
        page.counts([
            count("Commands sent, by the surgeon's signed lists", commands.sent),
            count("Commands recorded by the edge box", commands.recorded),
            count("Commands taken in, by the kit's signed lists", commands.taken_in),
            count("Commands refused, by the kit's signed lists", commands.refused),
            count("Commands lost before the edge box", commands.lost_to_edge),
            count("Commands lost before the kit", commands.lost_to_kit),
            count("Commands sent before any picture was seen", commands.blind),
            count("Command frames at the kit that were not authentic", commands.unauthentic),
            count("Frames recorded", frames.recorded),
            count("Pictures in the file, each compared with its hash", frames.pictures),
            count("Pictures taken out, whose hashes are there", frames.pictures_left_out),
            count("Pictures that the surgeon's display confirmed", frames.confirmed),
            ("Glass to glass, p50 / p95 / greatest", Cell::Text(quantiles)),
            count("Overlays", self.story.overlays),
            count("Statements", report.statements),
            count("Surgeon's lists", report.surgeon_segments),
            count("Kit's lists", report.kit_segments),
            count("Display reports", report.display_reports),
        ])
    }

    pub(crate) fn write_plots(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("The session over time")?;
        let Some(bins) = &self.story.bins else { return page.paragraph("The record has no leaves.") };
        let marks: Vec<Mark> = self.story.marks.iter().cloned().collect();
        page.paragraph(
            "Upright lines: S an e-stop is pressed, C control is given, G a gap, R a restart. A hole in a line means that \
             there is nothing to draw, not zero.",
        )?;
        figures(bins, &marks).into_iter().try_for_each(|plot| plot.write(page))
    }

    pub(crate) fn write_marks(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("E-stops, control, gaps and restarts")?;
        let marks = &self.story.marks;
        if marks.total() == 0 {
            return page.paragraph("None.");
        }
        let row = |mark: &Mark| {
            vec![
                Cell::Number(mark.leaf.to_string()),
                Cell::Time(rfc3339(mark.utc_us)),
                Cell::Text(mark.kind.words().to_owned()),
                Cell::Wide(mark.by.map(|key| self.story.who(&key)).unwrap_or_else(|| "edge box".to_owned())),
                Cell::Text(mark.what.clone()),
            ]
        };
        page.table(&["Leaf", "UTC", "What", "By", "More"], marks.iter().map(row))?;
        write_between(page, marks.left_out(), marks.head().len())
    }

    pub(crate) fn write_refusals(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("Refused commands")?;
        let refusals = &self.story.refusals;
        if refusals.runs.total() == 0 {
            return page.paragraph("The kit refused no command.");
        }
        page.paragraph(
            "By the kit's signed lists. Refusals for one reason, at most a second apart, are one run; times are when the \
             edge box recorded the commands.",
        )?;
        let totals: Vec<(String, u64)> =
            refusals.totals.iter().map(|(code, n)| (reason(*code), *n)).collect();
        page.counts(totals.iter().map(|(name, count)| (name.as_str(), Cell::Text(grouped(*count)))))?;
        let heads = ["From (UTC)", "For", "Commands", "Count", "Reason at first, and at last", "In leaf"];
        page.table(&heads, refusals.runs.iter().map(run_row))?;
        write_between(page, refusals.runs.left_out(), refusals.runs.head().len())
    }

    pub(crate) fn write_modes(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("What the kit was doing")?;
        let modes = &self.story.modes;
        if modes.stretches.total() == 0 {
            return page.paragraph("The record has no states of the kit.");
        }
        let clamped = match modes.clamped {
            0 => "No target was clamped and no limit slowed the tool.".to_owned(),
            count => format!("In {} states a target was clamped or a limit slowed the tool.", grouped(count)),
        };
        page.paragraph(format_args!(
            "By the states that the kit sent, as the edge box recorded them. {clamped}"
        ))?;
        page.table(
            &["From (UTC)", "For", "Mode", "States", "Why", "Greatest lag", "In leaf"],
            modes.stretches.iter().map(stretch_row),
        )?;
        write_between(page, modes.stretches.left_out(), modes.stretches.head().len())
    }

    pub(crate) fn write_timeline(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("Timeline")?;
        let events = &self.story.events;
        page.paragraph(
            "Every leaf that is not one of a stream (commands, frames, states, lists, notices). UTC as the record has it.",
        )?;
        let row = |line: &Line| {
            vec![
                Cell::Number(line.leaf.to_string()),
                Cell::Time(line.utc.clone()),
                Cell::Text(line.kind.to_owned()),
                Cell::Wide(line.by.as_deref().map(|key| self.who(key)).unwrap_or_default()),
                Cell::Text(line.what.clone()),
            ]
        };
        page.table(&["Leaf", "UTC", "Kind", "Signed by", "What"], events.iter().map(row))?;
        write_between(page, events.left_out(), events.head().len())
    }

    fn who(&self, key: &str) -> String {
        key_of(key).map_or_else(|| key.to_owned(), |key| self.story.who(&key))
    }

    pub(crate) fn write_redactions(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("What was taken out")?;
        let (leaves, frames) = (&self.report.leaves, &self.report.frames);
        if leaves.redacted == 0 && frames.pictures_left_out == 0 {
            return page.paragraph("Nothing.");
        }
        if frames.pictures_left_out > 0 {
            let count = grouped(frames.pictures_left_out);
            page.paragraph(format_args!("{count} pictures, whose hashes are in their leaves."))?;
        }
        if leaves.redacted > 0 {
            let ranges: Vec<String> = leaves.redactions.iter().map(range).collect();
            let count = grouped(leaves.redacted);
            page.paragraph(format_args!("{count} leaves, whose hashes are there: {}.", ranges.join(", ")))?;
            write_more(page, leaves.redactions_left_out)?;
        }
        Ok(())
    }

    pub(crate) fn write_end(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.heading("What this report does not say")?;
        page.html(include_str!("limits.html"))?;
        page.html("</main>\n</body></html>\n").map(drop)
    }
}

fn meaning(verdict: VerdictName) -> &'static str {
    match verdict {
        VerdictName::Holds => {
            "Every byte of the file follows from what the edge box recorded and sealed, and a quorum of the ledger's \
             validators committed that seal. Everything signed is signed by whoever may; surgeon, edge box and kit tell \
             one story."
        }
        VerdictName::DoesNotHold => {
            "The file, or a part of it, is not what was recorded and sealed. Everything below is only what the file says: \
             rely on none of it before the faults are explained."
        }
        VerdictName::Unreadable => "There is nothing that this report could vouch for.",
        VerdictName::Untrusted => {
            "The file agrees with itself, and no more: it was checked under the trust root that it brought along, which \
             whoever made the file could have made too."
        }
    }
}

fn machines(session: &Session) -> Vec<(&'static str, Cell)> {
    let machines = &session.machines;
    let mut pairs = vec![
        ("Session", Cell::Code(session.id.clone())),
        ("Edge box, key", Cell::Code(machines.edge.clone())),
        ("Kit, key", Cell::Code(machines.kit.clone())),
        ("Kit's limits, SHA-256", Cell::Code(machines.limits_sha256.clone())),
        ("Arm's file, SHA-256", Cell::Code(machines.arm_sha256.clone())),
    ];
    if let Some(binding) = session.binding {
        let how = match binding {
            "passkey" => "a passkey of each person",
            _ => "a one-time link, as in a local trial: whoever held the link could sign",
        };
        pairs.push(("Session keys were bound by", Cell::Text(how.to_owned())));
    }
    let times = &session.times;
    let opened = format!("{} ± {}", times.opened, duration(times.opened_uncertainty_us));
    pairs.push(("Opened", Cell::Text(opened)));
    if let (Some(first), Some(last)) = (&times.first, &times.last) {
        let uncertainty = duration(times.uncertainty_us.unwrap_or_default());
        pairs.push(("Clock of the record", Cell::Text(format!("{first} to {last}, ± {uncertainty}"))));
    }
    if !session.closed.is_empty() {
        pairs.push(("Ended because", Cell::Text(session.closed.clone())));
    }
    pairs
}

fn named(what: &str, name: &str, sha256: &str) -> Vec<Cell> {
    vec![Cell::Text(what.to_owned()), Cell::Text(name.to_owned()), Cell::Code(sha256.to_owned())]
}

/// The reason's name as words: `StalePicture` is "Stale picture".
fn reason(code: u32) -> String {
    let mut words = String::new();
    for (index, letter) in reason_name(code).chars().enumerate() {
        match letter.is_ascii_uppercase() && index > 0 {
            true => words.extend([' ', letter.to_ascii_lowercase()]),
            false => words.push(letter),
        }
    }
    words
}

/// How long something went on, to the ms.
fn span(first_us: u64, last_us: u64) -> Cell {
    let ms = last_us.saturating_sub(first_us) / 1000;
    Cell::Time(if ms == 0 { String::new() } else { duration(ms * 1000) })
}

fn run_row(run: &Run) -> Vec<Cell> {
    let (first, last) = (run.said_first.words(), run.said_last.words());
    let words = if first == last { first } else { format!("{first}; {last}") };
    let commands =
        if run.first == run.last { run.first.to_string() } else { format!("{} to {}", run.first, run.last) };
    let leaves = if run.first_leaf == run.last_leaf {
        run.first_leaf.to_string()
    } else {
        format!("{} to {}", run.first_leaf, run.last_leaf)
    };
    vec![
        Cell::Time(rfc3339(run.first_us)),
        span(run.first_us, run.last_us),
        Cell::Text(format!("{commands}, token {}", run.token)),
        Cell::Number(grouped(run.count)),
        Cell::Text(words),
        Cell::Number(leaves),
    ]
}

fn stretch_row(stretch: &Stretch) -> Vec<Cell> {
    let clamped = if stretch.clamped { ", clamped" } else { "" };
    let reason = stretch.reason.map(|reason| reason.to_string()).unwrap_or_default();
    let reason = match stretch.mode {
        Mode::Limited => format!("tool held to {:.1} mm/s at least", stretch.speed_limit_mm_s_min),
        _ => reason,
    };
    vec![
        Cell::Time(rfc3339(stretch.first_us)),
        span(stretch.first_us, stretch.last_us),
        Cell::Text(format!("{}{clamped}", mode_words(stretch.mode))),
        Cell::Number(grouped(stretch.states)),
        Cell::Text(reason),
        Cell::Number(format!("{:.1} mm", stretch.lag_mm_max)),
        Cell::Number(stretch.first_leaf.to_string()),
    ]
}

fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Free => "follows",
        Mode::Limited => "follows, slowed",
        Mode::Holding => "holds",
        Mode::Paused => "paused",
        Mode::SafeStop => "safe stop",
        Mode::Stopped => "stopped",
    }
}

fn write_more(page: &mut Page<impl Write>, more: u64) -> io::Result<()> {
    if more > 0 {
        page.html("<p class=\"more\">")?.text(grouped(more))?.html(" more are not listed.</p>\n")?;
    }
    Ok(())
}

/// Of a list whose first and newest items are there.
fn write_between(page: &mut Page<impl Write>, left_out: u64, after: usize) -> io::Result<()> {
    if left_out > 0 {
        page.html("<p class=\"more\">")?.text(grouped(left_out))?;
        page.text(format_args!(" more are not listed; they come after the first {after}."))?
            .html("</p>\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a reason's name reads as words.
    #[test]
    fn reasons_are_words() {
        assert_eq!((reason(3), reason(99)), ("Stale picture".to_owned(), "unknown".to_owned()));
    }
}
