//! What an audit found, in words: calm, exact, the verdict first, what to do last.

use std::fmt::{self, Write};

use crate::{
    report::{FindingLine, Range, Report, Session, VerdictName},
    time::duration,
};

/// Findings that are said in full; a program reads them all.
const SHOWN_MAX: usize = 20;

/// The report for a person, line by line.
#[must_use]
pub fn words(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(text: &mut String, report: &Report) -> fmt::Result {
    writeln!(text, "{}\n", verdict(report))?;
    if let Some(why) = &report.unreadable {
        return writeln!(text, "{}\n\n{}", plain(&sentence(why)), what_to_do(report));
    }
    write_trust(text, report)?;
    if let Some(session) = &report.session {
        write_session(text, session)?;
    }
    write_counts(text, report)?;
    write_left_out(text, report)?;
    write_findings(text, &report.findings, report.findings_left_out)?;
    writeln!(text, "\n{}", what_to_do(report))
}

/// What came out, in a line.
#[must_use]
pub fn verdict(report: &Report) -> &'static str {
    let left_out = report.leaves.redacted > 0 || report.frames.pictures_left_out > 0;
    match report.verdict {
        VerdictName::Holds if left_out => {
            "HOLDS: nothing was altered. What was taken out is listed; all the rest is there."
        }
        VerdictName::Holds => "HOLDS: nothing was altered, nothing is missing.",
        VerdictName::DoesNotHold => "DOES NOT HOLD: this is not the session that was recorded and sealed.",
        VerdictName::Unreadable => "UNREADABLE: no verdict.",
        VerdictName::Untrusted => {
            "SELF-CONSISTENT, NOT TRUSTED: no trust root was given, so this proves nothing."
        }
    }
}

fn write_trust(text: &mut String, report: &Report) -> fmt::Result {
    let whose = if report.trust.given { "given" } else { "the bundle's own" };
    let fingerprint = report.trust.sha256.as_deref().unwrap_or("none that can be read");
    row(text, "Trust root", &format!("{fingerprint} ({whose}; SHA-256 of the genesis file)"))?;
    if let Some(ledger) = &report.trust.ledger {
        row(text, "Ledger", ledger)?;
    }
    Ok(())
}

fn write_session(text: &mut String, session: &Session) -> fmt::Result {
    row(text, "Session", &session.id)?;
    let times = &session.times;
    row(text, "Opened", &format!("{} ± {}", times.opened, duration(times.opened_uncertainty_us)))?;
    if let (Some(first), Some(last)) = (&times.first, &times.last) {
        let uncertainty = duration(times.uncertainty_us.unwrap_or_default());
        row(text, "Clock", &format!("{first} to {last} ± {uncertainty}"))?;
    }
    for person in &session.people {
        row(text, "Person", &format!("{}, {} (key {})", person.pseudonym, person.role, person.key))?;
    }
    row(text, "Edge box", &format!("key {}", session.machines.edge))?;
    row(text, "Kit", &format!("key {}", session.machines.kit))?;
    if let Some(binding) = session.binding {
        let how = if binding == "passkey" { "a passkey" } else { "a one-time link, as in a local trial" };
        row(text, "Signed in by", how)?;
    }
    for software in &session.software {
        row(text, "Software", &format!("{} {}", software.name, software.sha256))?;
    }
    if !session.closed.is_empty() {
        row(text, "Closed", &session.closed)?;
    }
    Ok(())
}

fn write_counts(text: &mut String, report: &Report) -> fmt::Result {
    let (commands, frames) = (&report.commands, &report.frames);
    writeln!(text, "\nChecked")?;
    row(text, "File", &format!("{} bytes, each authenticated or derived again", grouped(report.bytes)))?;
    row(text, "Leaves", &format!("{}, root {}", grouped(report.leaves.total), report.leaves.root))?;
    row(text, "Checkpoints", &format!("{} committed by a quorum hold", grouped(report.checkpoints)))?;
    let signed = [
        (report.statements, "statements"),
        (report.surgeon_segments, "surgeon's lists"),
        (report.kit_segments, "kit's lists"),
        (report.display_reports, "display reports"),
    ];
    row(text, "Signed", &join(&signed.map(|(count, what)| format!("{} {what}", grouped(count)))))?;
    let counts = [
        (commands.sent, "sent"),
        (commands.recorded, "recorded"),
        (commands.taken_in, "applied"),
        (commands.refused, "rejected"),
        (commands.lost_to_edge, "lost before the edge box"),
        (commands.lost_to_kit, "lost before the kit"),
    ];
    row(text, "Commands", &join(&counts.map(|(count, what)| format!("{} {what}", grouped(count)))))?;
    let counts = [
        (frames.recorded, "recorded"),
        (frames.pictures, "pictures match their hashes"),
        (frames.confirmed, "confirmed by the surgeon's display"),
    ];
    let bad = report.findings.iter().any(|finding| finding.name == "picture");
    let counts = counts.iter().filter(|(_, what)| !(bad && what.contains("match")));
    let counts: Vec<String> = counts.map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
    row(text, "Frames", &join(&counts))?;
    for (count, what) in [
        (commands.blind, "commands were sent before any picture had been seen"),
        (commands.unauthentic, "frames at the kit were not authentic, and were ignored"),
        (frames.unchecked, "frames were reported too late to be compared"),
    ] {
        if count > 0 {
            row(text, "", &format!("{} {what}", grouped(count)))?;
        }
    }
    Ok(())
}

fn write_left_out(text: &mut String, report: &Report) -> fmt::Result {
    let leaves = &report.leaves;
    let redacted = match leaves.redacted {
        0 => "nothing".to_owned(),
        count => {
            let shown: Vec<String> = leaves.redactions.iter().take(SHOWN_MAX).map(range).collect();
            let more = leaves.redactions.len() as u64 + leaves.redactions_left_out - shown.len() as u64;
            let more = if more > 0 { format!(" and {more} more stretches") } else { String::new() };
            format!("{} leaves: {}{more}", grouped(count), shown.join(", "))
        }
    };
    row(text, "Taken out", &redacted)?;
    if report.frames.pictures_left_out > 0 {
        row(text, "", &format!("{} pictures, whose hashes are there", report.frames.pictures_left_out))?;
    }
    let gaps = report.findings.iter().filter(|finding| finding.name == "gap");
    match gaps.count() {
        0 => row(text, "Gaps", "none"),
        count => row(text, "Gaps", &format!("{count}, declared by the edge box: see below")),
    }
}

fn write_findings(text: &mut String, findings: &[FindingLine], left_out: u64) -> fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    let (notes, faults): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.severity == "note");
    for (title, list) in [("Faults, the first of them first", faults), ("Notes", notes)] {
        if list.is_empty() {
            continue;
        }
        writeln!(text, "\n{title}")?;
        for finding in list.iter().take(SHOWN_MAX) {
            let place = finding.leaf.map_or_else(|| "bundle".to_owned(), |leaf| format!("leaf {leaf}"));
            row(text, &place, &format!("{}: {}", finding.severity, finding.what))?;
        }
        let more = list.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            row(text, "", &format!("and {more} more: --json lists them"))?;
        }
    }
    if left_out > 0 {
        row(text, "", &format!("and {} beyond what a report lists", grouped(left_out)))?;
    }
    Ok(())
}

pub(crate) fn what_to_do(report: &Report) -> &'static str {
    match report.verdict {
        VerdictName::Holds => {
            "This rests on the trust root: compare its SHA-256 with what the ledger's validators publish."
        }
        VerdictName::DoesNotHold => {
            "What to do: keep this file as it is, get the bundle again from where it was sealed and verify that one. \
             If it does not hold either, the leaf numbers above say where to look (`farhand-audit show`)."
        }
        VerdictName::Unreadable if report.unreadable.is_some() => {
            "What to do: check that this is the whole file (its length where it came from), and get it again."
        }
        VerdictName::Unreadable => {
            "What to do: the bundle has entries of a newer version. Verify it with a newer farhand-audit."
        }
        VerdictName::Untrusted => {
            "What to do: get the ledger's genesis from somebody other than whoever sent this file, and give it with \
             --trust."
        }
    }
}

fn row(text: &mut String, name: &str, value: &str) -> fmt::Result {
    writeln!(text, "  {name:<13} {}", plain(value))
}

/// Text from a file, which may be anybody's, for a terminal: what would move the cursor or hide words is spelled out.
#[must_use]
pub fn plain(text: &str) -> String {
    let is_plain = |letter: char| !letter.is_control() && !BIDIRECTIONAL.contains(&letter);
    let spell = |letter: char| {
        if is_plain(letter) { letter.to_string() } else { letter.escape_unicode().to_string() }
    };
    text.chars().map(spell).collect()
}

/// Marks that make text read in another order than it stands.
const BIDIRECTIONAL: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

fn join(parts: &[String]) -> String {
    parts.join(", ")
}

pub(crate) fn range(range: &Range) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{}-{}", range.first, range.last)
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a bundle can't write on the reader's terminal, or turn words around.
    #[test]
    fn text_from_a_file_stays_text() {
        assert_eq!(plain("a\u{1b}[2Jb\n\u{202e}c ö"), "a\\u{1b}[2Jb\\u{a}\\u{202e}c ö");
    }

    /// Goal: a number is read at a glance.
    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (3_600_000, "3,600,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
