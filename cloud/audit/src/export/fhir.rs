//! FHIR R4 (<https://hl7.org/fhir/R4/auditevent.html>, <https://hl7.org/fhir/R4/provenance.html>), a resource a line.
//!
//! An AuditEvent for each leaf that is no stream and, last, one for the verification itself; one Provenance for the bundle.
//! **There is no patient in a bundle**, so none is referred to: where FHIR asks whom or what it is about, the sealed
//! record is named, and that it holds no patient data.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use farhand_bundle::Passed;
use farhand_ledger::{Cbor, Manifest, TransactionProof, TrustRoot};
use farhand_wire::Signed;
use serde_json::{Value, json};

use super::{CameOut, Tables};
use crate::{
    files::finish,
    report::{Session, VerdictName},
    show::{Line, line_of},
    story::{Story, proven::fact},
    time::rfc3339,
    words::{plain, verdict},
};

pub(super) const AUDIT_EVENTS: &str = "AuditEvent.ndjson";
pub(super) const PROVENANCE: &str = "Provenance.ndjson";

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const PARTICIPANTS: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const SIGNATURES: &str = "urn:iso-astm:E1762-95:2013";
/// Names of ours.
const KEY: &str = "urn:farhand:ed25519-public-key";
const SESSION: &str = "urn:farhand:session";
const LEAF_KIND: &str = "urn:farhand:leaf-kind";
const FILE_HASH: &str = "urn:farhand:bundle-sha256";
const ROOT_HASH: &str = "urn:farhand:merkle-root-sha256";

const NO_PATIENT: &str = "No patient is referred to: a bundle holds no patient data. The hospital that opened the \
                          session knows whom it was about.";

/// Both files under way.
pub(super) struct Fhir {
    audit_events: BufWriter<File>,
    provenance: BufWriter<File>,
}

impl Fhir {
    pub(super) fn new([audit_events, provenance]: [BufWriter<File>; 2]) -> Self {
        Self { audit_events, provenance }
    }
}

impl Tables for Fhir {
    fn take(&mut self, passed: &Passed<'_>, story: &Story) -> io::Result<()> {
        match line_of(passed) {
            Some(line) => writeln!(self.audit_events, "{}", event(&line, story)),
            None => Ok(()),
        }
    }

    fn finish(mut self, came_out: &CameOut<'_>) -> io::Result<()> {
        writeln!(self.audit_events, "{}", verification(came_out))?;
        writeln!(self.provenance, "{}", provenance(came_out))?;
        finish(self.audit_events)?;
        finish(self.provenance)
    }
}

/// A leaf.
fn event(line: &Line, story: &Story) -> Value {
    let session = story.opening.as_ref().map(|facts| facts.opening.session.to_string());
    let agent = match &line.by {
        Some(key) => json!({ "who": keyed(key, story.name_of(key)), "requestor": true }),
        None => json!({ "who": recorder(story), "requestor": false }),
    };
    let mut details = vec![json!({ "type": "leaf", "valueString": line.leaf.to_string() })];
    details.extend(
        story
            .uncertainty_us
            .map(|us| json!({ "type": "recorded is off by at most, in µs", "valueString": us.to_string() })),
    );
    json!({
        "resourceType": "AuditEvent",
        "id": format!("leaf-{}", line.leaf),
        "type": coding(DICOM, "110100", "Application Activity"),
        "subtype": [coding(LEAF_KIND, &line.kind.replace([' ', '\''], "-"), line.kind)],
        "action": "E",
        "recorded": line.utc,
        "outcome": outcome_of(line.kind),
        "outcomeDesc": text(&line.what),
        "agent": [agent],
        "source": { "observer": recorder(story) },
        "entity": [{
            "what": record(session.as_deref()),
            "description": NO_PATIENT,
            "detail": details,
        }],
    })
}

/// 0 is success, 4 a minor failure, 8 a serious one.
fn outcome_of(kind: &str) -> &'static str {
    match kind {
        "gap" | "restarted" => "4",
        "unreadable" => "8",
        _ => "0",
    }
}

/// That it was verified, and what came out.
fn verification(came_out: &CameOut<'_>) -> Value {
    let report = came_out.report;
    let outcome = match report.verdict {
        VerdictName::Holds => "0",
        VerdictName::Untrusted => "4",
        VerdictName::DoesNotHold | VerdictName::Unreadable => "8",
    };
    let program =
        json!({ "type": "Device", "display": concat!("farhand-audit ", env!("CARGO_PKG_VERSION")) });
    let trust = report.trust.sha256.as_deref().unwrap_or("none");
    let details = [
        ("trust root given", report.trust.given.to_string()),
        ("trust root SHA-256", trust.to_owned()),
        ("leaves", report.leaves.total.to_string()),
        ("leaves taken out", report.leaves.redacted.to_string()),
        ("findings", (report.findings.len() as u64 + report.findings_left_out).to_string()),
        ("exit code", report.exit.to_string()),
    ];
    let details: Vec<Value> =
        details.iter().map(|(name, value)| json!({ "type": name, "valueString": value })).collect();
    json!({
        "resourceType": "AuditEvent",
        "id": "verification",
        "type": coding(LIFECYCLE, "verify", "Verify Record Lifecycle Event"),
        "action": "E",
        "recorded": rfc3339(came_out.now_us),
        "outcome": outcome,
        "outcomeDesc": verdict(report),
        "agent": [{ "who": program, "requestor": true }],
        "source": { "observer": program },
        "entity": [{
            "what": { "identifier": identifier(FILE_HASH, &came_out.sha256), "display": "The bundle" },
            "description": NO_PATIENT,
            "detail": details,
        }],
    })
}

fn provenance(came_out: &CameOut<'_>) -> Value {
    let (report, session) = (came_out.report, came_out.report.session.as_ref());
    let proof = came_out.reader.seal().ok().and_then(|proof| TransactionProof::read(&proof).ok());
    let sealed = proof.as_ref().and_then(fact).map(|(fact, _)| fact);
    let (first_us, last_us) = came_out.story.span_us.unwrap_or_default();
    let recorded = sealed.as_ref().map_or(last_us, |fact| fact.committed.us);
    let root = identifier(ROOT_HASH, &report.leaves.root);
    let file = identifier(FILE_HASH, &came_out.sha256);
    let mut resource = json!({
        "resourceType": "Provenance",
        "id": "bundle",
        "target": [record(session.map(|session| session.id.as_str()))],
        "occurredPeriod": { "start": rfc3339(first_us), "end": rfc3339(last_us) },
        "recorded": rfc3339(recorded),
        "activity": { "text": "An operation at a distance, recorded and sealed" },
        "agent": session.map_or_else(|| vec![json!({ "who": { "display": "Nobody that the trust root knows" } })], agents),
        "entity": [
            { "role": "source", "what": { "identifier": root, "display": "Root over all leaves of the record" } },
            { "role": "derivation", "what": { "identifier": file, "display": "The bundle, as verified" } },
        ],
    });
    let signatures = proof.map(|proof| signatures(&proof, came_out)).unwrap_or_default();
    if !signatures.is_empty() {
        resource["signature"] = signatures.into();
    }
    resource
}

/// The roster, and both machines.
fn agents(session: &Session) -> Vec<Value> {
    let person = session.people.iter().map(|person| {
        let code = match person.role {
            "auditor" => ("verifier", "Verifier"),
            _ => ("performer", "Performer"),
        };
        let name = format!("{}, {}", person.pseudonym, person.role);
        json!({
            "type": { "coding": [coding(PARTICIPANTS, code.0, code.1)] },
            "role": [{ "text": person.role }],
            "who": keyed(&person.key, Some(&name)),
        })
    });
    let machine = |code, display, key: &str, name| json!({ "type": { "coding": [coding(PARTICIPANTS, code, display)] }, "who": keyed(key, Some(name)) });
    let machines = [
        machine("assembler", "Assembler", &session.machines.edge, "edge box"),
        machine("performer", "Performer", &session.machines.kit, "kit"),
    ];
    person.chain(machines).collect()
}

/// The edge box's signature under the seal, and those of the validators under the block that commits it.
fn signatures(proof: &TransactionProof, came_out: &CameOut<'_>) -> Vec<Value> {
    let when = rfc3339(proof.batch.at.us);
    let signature = |who: Value, bytes: &[u8]| {
        json!({
            "type": [coding(SIGNATURES, "1.2.840.10065.1.12.1.5", "Verification Signature")],
            "when": when,
            "who": who,
            "sigFormat": "application/octet-stream",
            "data": STANDARD.encode(bytes),
        })
    };
    let edge = Signed::read(&proof.transaction).ok();
    let edge = edge.map(|signed| {
        signature(keyed(&signed.author.to_string(), Some("edge box, over the sealing")), &signed.signature)
    });
    let own = || Manifest::read(came_out.reader.manifest()).ok().and_then(|m| TrustRoot::read(&m.trust).ok());
    let validators = came_out.trust.cloned().or_else(own);
    let validators = validators.iter().flat_map(TrustRoot::validators);
    let theirs = validators.zip(&proof.commit.certificate.signatures).filter_map(|(validator, bytes)| {
        let name = "validator, over the block that commits the sealing";
        Some(signature(keyed(&validator.key.to_string(), Some(name)), bytes.as_ref()?))
    });
    edge.into_iter().chain(theirs).collect()
}

/// What it is about.
fn record(session: Option<&str>) -> Value {
    let display = format!("The sealed record of a session. {NO_PATIENT}");
    match session {
        Some(session) => json!({ "identifier": identifier(SESSION, session), "display": display }),
        None => json!({ "display": display }),
    }
}

/// Who writes the record.
fn recorder(story: &Story) -> Value {
    match &story.opening {
        Some(facts) => keyed(&facts.opening.edge.to_string(), Some("edge box")),
        None => json!({ "display": "edge box" }),
    }
}

fn keyed(key: &str, name: Option<&str>) -> Value {
    match name {
        Some(name) => json!({ "identifier": identifier(KEY, key), "display": text(name) }),
        None => json!({ "identifier": identifier(KEY, key) }),
    }
}

fn identifier(system: &str, value: &str) -> Value {
    json!({ "system": system, "value": value })
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

/// Anybody's text; FHIR has no empty strings.
fn text(text: &str) -> String {
    let text = plain(text);
    if text.trim().is_empty() { "-".to_owned() } else { text }
}
