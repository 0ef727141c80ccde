//! The report that people print and the tables that programs read: they say what `verify` says, and nothing of a bundle
//! is more in them than text.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use farhand_bundle::{Reader, Redaction, redact};
use farhand_ledger::{Event, Member, Outcome, RosterAddition, What, five_keys::FiveKeys};
use farhand_wire::{PressId, Role, Said};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    python,
    sessions::{
        bundle, good, record_frame, small,
        theatre::{BEDSIDE, KIT, SESSION, Session, Theatre, at, public},
        work,
    },
};

/// A folder with a bundle and trust roots in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(session: &Session) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("good.mcap", &bundle(session));
        place.write("good.trust", &session.keys.trust().to_bytes());
        place.write("other.trust", &FiveKeys::new([1; 32]).trust().to_bytes());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_farhand-audit");
        Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn exit(&self, arguments: &[&str]) -> i32 {
        self.run(arguments).status.code().unwrap()
    }

    /// The report of a bundle, and how making it ended.
    fn report(&self, file: &str, trust: Option<&str>) -> (i32, String) {
        let _ = fs::remove_file(self.path("page.html"));
        let mut arguments = vec!["report", file, "--out", "page.html"];
        arguments.extend(trust.into_iter().flat_map(|trust| ["--trust", trust]));
        (self.exit(&arguments), self.text("page.html"))
    }

    /// What `verify --json` says.
    fn verified(&self) -> Value {
        let output = self.run(&["verify", "good.mcap", "--trust", "good.trust", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn export(&self, format: &str, out: &str) -> i32 {
        self.exit(&["export", "good.mcap", "--format", format, "--out", out, "--trust", "good.trust"])
    }

    /// Rows of a table, without its head.
    fn rows(&self, name: &str) -> Vec<Vec<String>> {
        let text = self.text(name);
        text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }
}

const HOSTILE: &str = "</td><script>alert('x')</script><img src=\"//evil\">&";

/// A session in which everybody who may say words says hostile ones.
fn hostile() -> Session {
    let mut theatre = Theatre::open();
    let member = Member { key: public(99), role: Role::Field, pseudonym: HOSTILE.to_owned() };
    let addition = Event::RosterAdded(RosterAddition { session: SESSION, member });
    let hospital = theatre.keys.hospital().clone();
    let signed = theatre.keys.sign(&hospital, at(5), addition).unwrap();
    let proof = theatre.keys.commit(at(5), vec![signed]).unwrap()[0].clone();
    theatre.record(What::Proof { proof: farhand_ledger::Cbor::to_bytes(&proof) });
    theatre.record(What::Switch { what: HOSTILE.to_owned(), on: true, reason: HOSTILE.to_owned() });
    theatre.say(KIT, Said::Refused { to: public(99), why: HOSTILE.to_owned() });
    work(&mut theatre, 0);
    theatre.record(What::Restarted { reason: HOSTILE.to_owned() });
    theatre.close()
}

/// A session with an e-stop and commands that the kit refused.
fn refused() -> Session {
    let mut theatre = Theatre::open();
    record_frame(&mut theatre, 1);
    (1..=3).for_each(|sequence| theatre.command(sequence, 1));
    theatre.surgeon_lists(&[(1, 1), (2, 1), (3, 1)]);
    theatre.kit_says(KIT, &[1, 2, 3], |segment| {
        for verdict in &mut segment.verdicts[1..] {
            verdict.outcome = Outcome::Refused { code: 3, seen_milli: 420_000, limit_milli: 400_000 };
        }
    });
    theatre.say(BEDSIDE, Said::EStop { press: PressId([1; 16]) });
    theatre.checkpoint();
    theatre.close()
}

/// Goal: no word of a bundle, nor the name of its file, is markup; and the page may load and run nothing.
#[test]
fn nothing_of_a_bundle_is_markup() {
    let place = Place::new(&hostile());
    fs::copy(place.path("good.mcap"), place.path("<b>&.mcap")).unwrap();
    let (exit, page) = place.report("<b>&.mcap", Some("good.trust"));
    assert_eq!(exit, 0, "{page}");
    for markup in ["<script", "<img", "<b>", "src=\"//"] {
        assert!(!page.contains(markup), "{markup}");
    }
    let escaped =
        "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&lt;img src=&quot;//evil&quot;&gt;&amp;";
    // A person, a switch and its reason, an order refused, a restart among events, marks and findings.
    assert!(page.matches(escaped).count() >= 7, "{}", page.matches(escaped).count());
    assert!(page.contains("&lt;b&gt;&amp;.mcap") && page.contains("default-src 'none'"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

/// Goal: whatever the verdict is, a page is written, says it before everything else, and ends as `verify` does.
#[test]
fn the_page_says_the_verdict_first() {
    let place = Place::new(&good());
    place.write("none.mcap", b"nothing of the kind");
    let untrusted = "SELF-CONSISTENT, NOT TRUSTED: no trust root was given, so this proves nothing.";
    for (file, trust, exit, first) in [
        ("good.mcap", Some("good.trust"), 0, "HOLDS: nothing was altered, nothing is missing."),
        (
            "good.mcap",
            Some("other.trust"),
            1,
            "DOES NOT HOLD: this is not the session that was recorded and sealed.",
        ),
        ("good.mcap", None, 3, untrusted),
        ("none.mcap", Some("good.trust"), 2, "UNREADABLE: no verdict."),
    ] {
        let (seen, page) = place.report(file, trust);
        let heading = page.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")).unwrap().0;
        assert_eq!((seen, heading), (exit, first));
        assert_eq!(page.contains("HOLDS: nothing"), exit == 0);
        assert!(page.contains("What this report does not say") && page.ends_with("</html>\n"));
    }
}

/// Goal: a page of a bundle that does not hold lists every fault with its leaf, and vouches for nobody.
#[test]
fn faults_stand_with_their_leaves() {
    let place = Place::new(&good());
    let (exit, page) = place.report("good.mcap", Some("other.trust"));
    let report: Value = {
        let output = place.run(&["verify", "good.mcap", "--trust", "other.trust", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let findings = report["findings"].as_array().unwrap();
    assert!(exit == 1 && !findings.is_empty());
    let listed = page.matches("<td>violation</td>").count() + page.matches("<td>missing</td>").count();
    assert_eq!(listed, findings.len());
    assert!(page.contains("<td class=\"number\">0</td><td>violation</td><td>the opening: "));
    assert!(page.contains("The opening does not hold") && !page.contains("Consent is given"));
}

/// Goal: what was taken out is listed by its leaves, and the verdict does not claim that all is there.
#[test]
fn what_was_taken_out_is_listed() {
    let place = Place::new(&good());
    let reader = Reader::open(bundle(&good())).unwrap();
    let redaction = "10-12,14,pictures".parse::<Redaction>().unwrap();
    place.write("less.mcap", &redact(&reader, &redaction, Vec::new()).unwrap().0);
    let (exit, page) = place.report("less.mcap", Some("good.trust"));
    assert_eq!(exit, 0);
    assert!(page.contains("4 leaves, whose hashes are there: 10-12, 14."), "{page}");
    assert!(
        page.contains("pictures, whose hashes are in their leaves") && !page.contains("nothing is missing")
    );
    assert!(!page.contains("<video"));
}

/// Goal: refusals are told in runs with their number, their time and their reason, e-stops with who pressed.
#[test]
fn refusals_and_stops_are_told() {
    let place = Place::new(&refused());
    let (exit, page) = place.report("good.mcap", Some("good.trust"));
    assert_eq!(exit, 0);
    for said in [
        "<td>2 to 3, token 3</td><td class=\"number\">2</td><td>picture is 420 ms old, limit 400</td>",
        "<dt>Stale picture</dt><dd>2</dd>",
        "<td>E-stop</td><td class=\"wide\">person 2, bedside",
        "<strong>First picture; Last picture; E-stop; 2 commands are refused from 2 on",
        "Consent is given",
        "Kit obeys this edge box",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
}

/// Goal: the same file and the same trust root make the same page, byte for byte.
#[test]
fn the_same_file_makes_the_same_page() {
    let place = Place::new(&good());
    let first = place.report("good.mcap", Some("good.trust"));
    assert_eq!(place.report("good.mcap", Some("good.trust")), first);
}

/// Goal: tables have a row for each command, frame and event that the report counts, with what became of it.
#[test]
fn tables_have_as_many_rows_as_the_report_counts() {
    for session in [good(), refused()] {
        let place = Place::new(&session);
        assert_eq!(place.export("csv", "tables"), 0);
        let report = place.verified();
        let (commands, frames) = (place.rows("tables/commands.csv"), place.rows("tables/frames.csv"));
        let with = |cell: &str| commands.iter().filter(|row| row.iter().any(|one| one == cell)).count();
        assert_eq!(report["commands"]["recorded"], commands.len());
        assert_eq!(report["commands"]["taken_in"], with("taken in"));
        assert_eq!(report["commands"]["refused"], with("refused"));
        assert_eq!(report["frames"]["recorded"], frames.len());
        let confirmed = frames.iter().filter(|row| row[15] == "true").count();
        assert_eq!(report["frames"]["confirmed"], confirmed);
        let shown = place.run(&["show", "good.mcap", "--json"]).stdout;
        assert_eq!(place.rows("tables/events.csv").len(), String::from_utf8(shown).unwrap().lines().count());
        let verification: Value = serde_json::from_str(&place.text("tables/verification.json")).unwrap();
        assert_eq!(verification["report"], report);
        let (_, page) = place.report("good.mcap", Some("good.trust"));
        let counted = format!("<dt>Commands recorded by the edge box</dt><dd>{}</dd>", commands.len());
        assert!(page.contains(&counted), "{counted}");
    }
}

/// Goal: an event a line and one for the verification, with its outcome; a provenance that names everybody and no patient.
#[test]
fn resources_tell_events_and_where_they_come_from() {
    let place = Place::new(&refused());
    assert_eq!(place.export("fhir", "fhir"), 0);
    let lines = |name: &str| -> Vec<Value> {
        place.text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (events, provenance) = (lines("fhir/AuditEvent.ndjson"), lines("fhir/Provenance.ndjson"));
    let shown = String::from_utf8(place.run(&["show", "good.mcap", "--json"]).stdout).unwrap();
    assert_eq!(events.len(), shown.lines().count() + 1);
    let last = events.last().unwrap();
    assert_eq!((&last["type"]["code"], &last["outcome"]), (&"verify".into(), &"0".into()));
    assert_eq!(provenance[0]["agent"].as_array().unwrap().len(), 4);
    assert!(provenance[0]["target"][0]["display"].as_str().unwrap().contains("no patient data"));
    // The edge box's, and a quorum's.
    assert_eq!(provenance[0]["signature"].as_array().unwrap().len(), 5);
}

/// Goal: nothing is overwritten, and what could not be finished leaves nothing behind.
#[test]
fn nothing_is_overwritten_and_nothing_is_left() {
    let place = Place::new(&small());
    let names = |folder: &Path| -> Vec<String> {
        let files = fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    place.write("page.html", b"mine");
    assert_eq!(place.exit(&["report", "good.mcap", "--out", "page.html"]), 2);
    assert_eq!(place.text("page.html"), "mine");
    fs::create_dir(place.path("tables")).unwrap();
    place.write("tables/frames.csv", b"mine");
    assert_eq!(place.export("csv", "tables"), 2);
    assert_eq!(
        (names(&place.path("tables")), place.text("tables/frames.csv").as_str()),
        (vec!["frames.csv".to_owned()], "mine")
    );
    let broken = &bundle(&small())[..2000];
    place.write("broken.mcap", broken);
    let before = names(place.0.path()).len();
    for arguments in [
        &["report", "not-there.mcap", "--out", "new.html"][..],
        &["report", ".", "--out", "new.html"],
        &["report", "good.mcap", "--out", "new.html", "--trust", "good.mcap"],
        &["report", "good.mcap", "--out", "no-such-folder/new.html"],
        &["export", "broken.mcap", "--format", "csv", "--out", "new"],
        &["export", "not-there.mcap", "--format", "fhir", "--out", "new"],
        &["export", "good.mcap", "--format", "fhir", "--out", "new", "--trust", "not-there.trust"],
    ] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("farhand-audit: "), "{arguments:?}");
    }
    assert_eq!(names(place.0.path()).len(), before);
}

/// Goal: somebody else's reader of FHIR R4 takes every line, hostile words and all.
#[test]
fn resources_are_fhir() {
    for session in [good(), hostile(), refused()] {
        let place = Place::new(&session);
        assert_eq!(place.export("fhir", "fhir"), 0);
        let Some(mut fhir) = python("fhir.py") else { return };
        let output = fhir.arg(place.path("fhir")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
