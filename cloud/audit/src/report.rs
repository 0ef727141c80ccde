//! What an audit found, in the form that programs read.

use farhand_bundle::{Fault, Verified};
use farhand_ledger::{
    Binding, Manifest, Utc,
    verify::{Finding, Problem, Severity, Verdict},
};
use farhand_wire::{PublicKey, Role};
use serde::Serialize;

use crate::time::rfc3339;

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    Holds,
    DoesNotHold,
    Unreadable,
    Untrusted,
}

/// Everything that an audit has to say. Hashes and keys are hexadecimal, times RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub verdict: VerdictName,
    /// As `farhand-audit verify` ends: 0 holds, 1 does not, 2 unreadable, 3 self-consistent but untrusted.
    pub exit: u8,
    /// Why the file could not be read at all; then nothing else is known.
    pub unreadable: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    pub trust: TrustUsed,
    pub session: Option<Session>,
    pub leaves: Leaves,
    pub commands: Commands,
    pub frames: Frames,
    /// Committed checkpoints that hold.
    pub checkpoints: u64,
    pub statements: u64,
    pub surgeon_segments: u64,
    pub kit_segments: u64,
    pub display_reports: u64,
    /// Faults of the container first, then what was found in leaves and proofs. The worst are not sorted to the front: the
    /// first violation is usually the cause of those that follow.
    pub findings: Vec<FindingLine>,
    /// Findings beyond those listed.
    pub findings_left_out: u64,
}

/// Under whose word it was verified.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TrustUsed {
    /// Whether a trust root was given. Without one the bundle's own was used, which proves nothing.
    pub given: bool,
    /// SHA-256 of the genesis file.
    pub sha256: Option<String>,
    pub ledger: Option<String>,
}

/// Who, where and when, as far as the opening holds.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    pub id: String,
    pub people: Vec<Person>,
    pub machines: Machines,
    pub times: Times,
    /// What bound people to their session keys: `link` in a local trial, `passkey` elsewhere.
    pub binding: Option<&'static str>,
    pub software: Vec<Software>,
    /// Why the session ended, in the edge box's words.
    pub closed: String,
}

/// Somebody of the roster.
#[derive(Clone, Debug, Serialize)]
pub struct Person {
    pub role: &'static str,
    pub pseudonym: String,
    pub key: String,
}

/// Device keys, and what the kit ran with.
#[derive(Clone, Debug, Serialize)]
pub struct Machines {
    pub edge: String,
    pub kit: String,
    pub limits_sha256: String,
    pub arm_sha256: String,
}

/// UTC, each with how far it may be off.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// By the hospital's clock.
    pub opened: String,
    pub opened_uncertainty_us: u64,
    /// The first and last time that the log states.
    pub first: Option<String>,
    pub last: Option<String>,
    /// The worse of both.
    pub uncertainty_us: Option<u64>,
}

/// Something that ran.
#[derive(Clone, Debug, Serialize)]
pub struct Software {
    pub name: String,
    pub sha256: String,
}

/// The session log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Leaves {
    pub total: u64,
    pub root: String,
    pub redacted: u64,
    /// Where the redacted ones are.
    pub redactions: Vec<Range>,
    /// Redacted stretches beyond those listed.
    pub redactions_left_out: u64,
}

/// Leaves from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    pub first: u64,
    pub last: u64,
}

/// What became of the surgeon's commands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Commands {
    /// In the surgeon's signed lists.
    pub sent: u64,
    pub recorded: u64,
    pub taken_in: u64,
    pub refused: u64,
    pub lost_to_edge: u64,
    pub lost_to_kit: u64,
    /// Sent before any picture had been seen.
    pub blind: u64,
    /// Frames at the kit that were not authentic.
    pub unauthentic: u64,
}

/// What became of the pictures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Frames {
    pub recorded: u64,
    /// Pictures in the bundle, all compared with the hashes in their leaves.
    pub pictures: u64,
    /// Frames whose picture is not in the bundle.
    pub pictures_left_out: u64,
    /// Pictures that the surgeon's display confirmed.
    pub confirmed: u64,
    /// Reported too late to be compared.
    pub unchecked: u64,
}

/// Something found.
#[derive(Clone, Debug, Serialize)]
pub struct FindingLine {
    pub leaf: Option<u64>,
    /// Its name in `docs/evidence-format.md`, section 12.1.
    pub name: &'static str,
    /// `note`, `missing` (a violation unless leaves are redacted), `unreadable` or `violation`.
    pub severity: &'static str,
    pub what: String,
}

impl Report {
    /// Of a file that could not be read.
    #[must_use]
    pub fn of_unreadable(why: String, trust_given: bool) -> Self {
        Self {
            verdict: VerdictName::Unreadable,
            exit: Verdict::Unreadable as u8,
            unreadable: Some(why),
            bytes: 0,
            trust: TrustUsed { given: trust_given, ..TrustUsed::default() },
            session: None,
            leaves: Leaves::default(),
            commands: Commands::default(),
            frames: Frames::default(),
            checkpoints: 0,
            statements: 0,
            surgeon_segments: 0,
            kit_segments: 0,
            display_reports: 0,
            findings: Vec::new(),
            findings_left_out: 0,
        }
    }

    pub(crate) fn of(verified: &Verified, redactions: Redactions, trust_given: bool) -> Self {
        let report = &verified.report;
        let (counts, verdict) = (&report.counts, verified.verdict());
        let faults = verified.faults.iter().map(fault_line);
        Self {
            verdict: verdict.into(),
            exit: verdict as u8,
            unreadable: None,
            bytes: verified.bytes,
            trust: TrustUsed {
                given: trust_given,
                sha256: report.trust.map(|hash| hash.to_string()),
                ledger: report.opening.as_ref().map(|opening| opening.ledger().to_string()),
            },
            session: session(verified),
            leaves: Leaves {
                total: report.leaves,
                root: report.root.to_string(),
                redacted: report.redacted,
                redactions: redactions.ranges,
                redactions_left_out: redactions.left_out,
            },
            commands: commands(verified),
            frames: Frames {
                recorded: counts.frames,
                pictures: verified.pictures,
                pictures_left_out: verified.pictures_left_out,
                confirmed: report.frames_confirmed,
                unchecked: report.frames_unchecked,
            },
            checkpoints: report.checkpoints,
            statements: counts.statements,
            surgeon_segments: counts.surgeon_segments,
            kit_segments: counts.kit_segments,
            display_reports: counts.display_reports,
            // That leaves are redacted is said by their ranges.
            findings: faults.chain(report.findings.iter().filter_map(finding_line)).collect(),
            findings_left_out: verified.faults_left_out + left_out(verified),
        }
    }
}

impl From<Verdict> for VerdictName {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Holds => Self::Holds,
            Verdict::DoesNotHold => Self::DoesNotHold,
            Verdict::Unreadable => Self::Unreadable,
            Verdict::Untrusted => Self::Untrusted,
        }
    }
}

fn session(verified: &Verified) -> Option<Session> {
    let report = &verified.report;
    let opening = report.opening.as_ref()?;
    let people = opening.roster().iter().map(|member| Person {
        role: role(member.role),
        pseudonym: member.pseudonym.clone(),
        key: member.key.to_string(),
    });
    Some(Session {
        id: opening.session().to_string(),
        people: people.collect(),
        machines: Machines {
            edge: opening.edge().to_string(),
            kit: opening.kit().to_string(),
            limits_sha256: opening.limits_digest().to_string(),
            arm_sha256: opening.arm_digest().to_string(),
        },
        times: times(opening.opened(), report.time),
        binding: report.manifest.as_ref().map(|manifest| binding(manifest.binding)),
        software: report.manifest.as_ref().map(software).unwrap_or_default(),
        closed: report.counts.reason.clone(),
    })
}

fn times(opened: Utc, log: Option<(Utc, Utc)>) -> Times {
    Times {
        opened: rfc3339(opened.us),
        opened_uncertainty_us: opened.uncertainty_us,
        first: log.map(|(first, _)| rfc3339(first.us)),
        last: log.map(|(_, last)| rfc3339(last.us)),
        uncertainty_us: log.map(|(first, last)| first.uncertainty_us.max(last.uncertainty_us)),
    }
}

fn software(manifest: &Manifest) -> Vec<Software> {
    let software = manifest.software.iter();
    software.map(|one| Software { name: one.name.clone(), sha256: one.digest.to_string() }).collect()
}

fn commands(verified: &Verified) -> Commands {
    let counts = verified.report.commands;
    Commands {
        sent: counts.sent,
        recorded: verified.report.counts.commands,
        taken_in: counts.taken_in,
        refused: counts.refused,
        lost_to_edge: counts.lost_to_edge,
        lost_to_kit: counts.lost_to_kit,
        blind: counts.blind,
        unauthentic: counts.unauthentic,
    }
}

/// Findings that the ledger's report had no room for, without those that only say that a leaf is redacted.
fn left_out(verified: &Verified) -> u64 {
    let report = &verified.report;
    let listed = report.findings.iter().filter(|finding| finding.problem == Problem::Redacted).count() as u64;
    report.findings_left_out.saturating_sub(report.redacted.saturating_sub(listed))
}

fn fault_line(fault: &Fault) -> FindingLine {
    FindingLine { leaf: fault.leaf(), name: fault.name(), severity: "violation", what: fault.to_string() }
}

fn finding_line(finding: &Finding) -> Option<FindingLine> {
    let severity = match finding.problem.severity() {
        _ if finding.problem == Problem::Redacted => return None,
        Severity::Note => "note",
        Severity::Absence => "missing",
        Severity::Unreadable => "unreadable",
        Severity::Violation => "violation",
    };
    let (leaf, name) = (finding.leaf, finding.problem.name());
    Some(FindingLine { leaf, name, severity, what: finding.problem.to_string() })
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Surgeon => "surgeon",
        Role::Bedside => "bedside",
        Role::Field => "field",
        Role::Auditor => "auditor",
        Role::Edge => "edge box",
        Role::Kit => "kit",
        Role::Hospital => "hospital",
    }
}

fn binding(binding: Binding) -> &'static str {
    match binding {
        Binding::Link => "link",
        Binding::Passkey => "passkey",
    }
}

/// Stretches of redacted leaves, bounded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redactions {
    ranges: Vec<Range>,
    left_out: u64,
    /// The newest redacted leaf.
    newest: Option<u64>,
}

/// No report lists more stretches.
const REDACTIONS_MAX: usize = 1000;

impl Redactions {
    pub(crate) fn take(&mut self, leaf: u64) {
        let goes_on = leaf > 0 && self.newest == Some(leaf - 1);
        self.newest = Some(leaf);
        let full = self.ranges.len() >= REDACTIONS_MAX;
        match self.ranges.last_mut().filter(|_| goes_on && self.left_out == 0) {
            Some(range) => range.last = leaf,
            None if goes_on => {}
            None if full => self.left_out += 1,
            None => self.ranges.push(Range { first: leaf, last: leaf }),
        }
    }
}

/// A key, short enough to be read: its first eight digits tell keys of one session apart.
pub(crate) fn short(key: &PublicKey) -> String {
    key.to_string().chars().take(8).collect()
}
