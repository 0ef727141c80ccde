//! What `farhand-audit` says and how it ends, and that a verifier which shares nothing with it says the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use farhand_audit::{VerdictName, audit, words};
use farhand_bundle::{Reader, Redaction, redact};
use farhand_ledger::{Cbor, Hash, TransactionProof, TrustRoot, What, five_keys::FiveKeys};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    python,
    sessions::{
        bundle, bundle_with, ended_by, good, of_three_epochs, small,
        theatre::{SESSION, Session},
        unit,
    },
};

/// A folder with a session's bundle and trust root in it.
struct Place {
    folder: TempDir,
    session: Session,
    bytes: Vec<u8>,
}

impl Place {
    fn new(session: Session) -> Self {
        let (folder, bytes) = (tempfile::tempdir().unwrap(), bundle(&session));
        let place = Self { folder, session, bytes };
        place.write("good.mcap", &place.bytes);
        place.write("good.trust", &place.session.keys.trust().to_bytes());
        place.write("other.trust", &FiveKeys::new([1; 32]).trust().to_bytes());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Runs our verifier in the folder.
    fn ours(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_farhand-audit"))
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    fn exit(&self, arguments: &[&str]) -> i32 {
        self.ours(arguments).status.code().unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Goal: each way a check can end has its exit code.
#[test]
fn each_end_has_its_exit_code() {
    let place = Place::new(small());
    place.write("cut.mcap", &place.bytes[..place.bytes.len() - 100]);
    place.write("none.mcap", b"nothing of the kind");
    let mut bad = place.bytes.clone();
    bad[place.bytes.len() / 2] ^= 1;
    place.write("bad.mcap", &bad);
    let verify = |file, trust: Option<&str>| {
        let mut arguments = vec!["verify", file];
        arguments.extend(trust.into_iter().flat_map(|trust| ["--trust", trust]));
        place.exit(&arguments)
    };
    assert_eq!(verify("good.mcap", Some("good.trust")), 0);
    assert_eq!(verify("good.mcap", Some("other.trust")), 1);
    assert_eq!(verify("bad.mcap", Some("good.trust")), 1);
    assert_eq!(verify("cut.mcap", Some("good.trust")), 2);
    assert_eq!(verify("none.mcap", Some("good.trust")), 2);
    assert_eq!(verify("not-there.mcap", Some("good.trust")), 2);
    assert_eq!(verify(".", Some("good.trust")), 2);
    assert_eq!(verify("good.mcap", Some("good.mcap")), 2);
    assert_eq!(verify("good.mcap", Some("not-there.trust")), 2);
    assert_eq!(verify("good.mcap", None), 3);
}

/// Goal: one signature fewer than a quorum, in any of the proofs, is no commitment.
#[test]
fn one_signature_fewer_than_a_quorum_is_none() {
    let place = Place::new(small());
    for file in [without_a_signature(&place.session, true), without_a_signature(&place.session, false)] {
        place.write("minus.mcap", &file);
        let output = place.ours(&["verify", "minus.mcap", "--trust", "good.trust"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains("signatures of power 3, a quorum needs 4"), "{}", text(&output));
    }
}

/// The session with a signature taken out of the seal's proof, or of a checkpoint's.
fn without_a_signature(session: &Session, seal: bool) -> Vec<u8> {
    let mut changed = small();
    let proof = if seal { &mut changed.seal } else { &mut changed.checkpoints[0] };
    assert_eq!(session.seal.len(), small().seal.len());
    *proof = minus_one(proof);
    bundle(&changed)
}

pub(crate) fn minus_one(proof: &[u8]) -> Vec<u8> {
    let mut proof = TransactionProof::read(proof).unwrap();
    *proof.commit.certificate.signatures.iter_mut().find(|signature| signature.is_some()).unwrap() = None;
    proof.to_bytes()
}

/// Goal: a person learns from the text what was checked, of whom, when, what became of commands and frames, and what to
/// do; the text never claims more than was checked.
#[test]
fn the_text_says_what_was_checked() {
    let place = Place::new(good());
    let holds = text(&place.ours(&["verify", "good.mcap", "--trust", "good.trust"]));
    for said in [
        "HOLDS: nothing was altered, nothing is missing.",
        "person 1, surgeon",
        "person 2, bedside",
        "2025-10-09T08:53:20.000000Z",
        "20 sent, 16 recorded, 16 applied, 0 rejected, 4 lost before the edge box",
        "12 recorded, 12 pictures match their hashes, 12 confirmed",
        "5 committed by a quorum hold",
        &place.session.keys.trust().fingerprint().to_string(),
    ] {
        assert!(holds.contains(said), "{said}\n{holds}");
    }
    let untrusted = text(&place.ours(&["verify", "good.mcap"]));
    assert!(
        untrusted.contains("NOT TRUSTED") && untrusted.contains("--trust") && !untrusted.contains("HOLDS")
    );
    place.write("swap.mcap", &bundle_with(&place.session, |n| Some(unit(if n == 3 { 4 } else { n }))));
    let bad = text(&place.ours(&["verify", "swap.mcap", "--trust", "good.trust"]));
    let leaf = place.session.find(|what| matches!(what, What::Frame(frame) if frame.frame.0 == 3));
    assert!(bad.contains("DOES NOT HOLD") && bad.contains(&format!("leaf {leaf} ")), "{bad}");
    assert!(
        bad.contains("picture of frame 3") && bad.contains("What to do") && !bad.contains("match"),
        "{bad}"
    );
}

/// Goal: what a program reads is one object, with the exit code in it.
#[test]
fn json_is_one_object() {
    let place = Place::new(good());
    let output = place.ours(&["verify", "good.mcap", "--trust", "good.trust", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["exit"], &report["verdict"]), (&0.into(), &"holds".into()));
    assert_eq!(report["commands"]["taken_in"], 16);
    assert_eq!(report["session"]["people"][0]["role"], "surgeon");
    assert_eq!(report["trust"]["sha256"], place.session.keys.trust().fingerprint().to_string());
    let output = place.ours(&["verify", "not-there.mcap", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["exit"], report["unreadable"].is_string()), (&2.into(), true));
}

/// Goal: a redaction made by the program verifies and is listed; what may not be taken out is refused, nothing is
/// overwritten, and nothing is left lying about.
#[test]
fn a_redaction_verifies_and_is_listed() {
    let place = Place::new(good());
    let redact = |leaves, out| place.exit(&["redact", "good.mcap", "--leaves", leaves, "--out", out]);
    assert_eq!(redact("10-12,14", "less.mcap"), 0);
    let output = place.ours(&["verify", "less.mcap", "--trust", "good.trust", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["exit"], &report["leaves"]["redacted"]), (&0.into(), &4.into()));
    let ranges = serde_json::json!([{ "first": 10, "last": 12 }, { "first": 14, "last": 14 }]);
    assert_eq!(report["leaves"]["redactions"], ranges);
    let said = text(&place.ours(&["verify", "less.mcap", "--trust", "good.trust"]));
    assert!(said.contains("4 leaves: 10-12, 14") && !said.contains("nothing is missing"), "{said}");
    assert_eq!(redact("0", "opening.mcap"), 2);
    assert!(!place.path("opening.mcap").exists());
    assert_eq!(redact("10", "less.mcap"), 2);
    assert_eq!(redact("9999", "more.mcap"), 2);
    assert_eq!(place.exit(&["redact", "good.mcap", "--pictures", "--out", "blind.mcap"]), 0);
    assert_eq!(place.exit(&["verify", "blind.mcap", "--trust", "good.trust"]), 0);
}

/// Goal: `show` tells the session's story leaf by leaf, with everything in it if asked.
#[test]
fn show_tells_the_story() {
    let place = Place::new(good());
    let story = text(&place.ours(&["show", "good.mcap"]));
    for said in [
        "a session's opening",
        "arms the kit",
        "control under token 3 goes to",
        "closed",
        "Nothing of it is checked",
    ] {
        assert!(story.contains(said), "{said}\n{story}");
    }
    assert!(!story.contains("dead-man"));
    let all = text(&place.ours(&["show", "good.mcap", "--all", "--json"]));
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), place.session.leaves.len());
    assert_eq!(lines.iter().filter(|line| line["kind"] == "command").count(), 16);
    let part = text(&place.ours(&["show", "good.mcap", "--all", "--json", "--from", "3", "--to", "5"]));
    assert_eq!(part.lines().count(), 3);
}

/// Goal: the library says the same as the program, and its text can be made from its report.
#[test]
fn the_library_says_the_same() {
    let place = Place::new(small());
    let report = audit(&place.path("good.mcap"), Some(place.session.keys.trust()));
    assert_eq!((report.verdict, report.exit), (VerdictName::Holds, 0));
    assert!(words(&report).starts_with("HOLDS"));
    let nothing = audit(Path::new("not-there.mcap"), None);
    assert_eq!((nothing.verdict, nothing.exit), (VerdictName::Unreadable, 2));
}

/// Goal: a verifier that follows the document, in another language and with no code of ours, agrees about good bundles and bad.
#[test]
fn an_independent_verifier_agrees() {
    let place = Place::new(small());
    if python("verify.py").is_none() {
        return;
    }
    let theirs = |file: &Path, trust: Option<&str>| {
        let mut command = python("verify.py").unwrap();
        command.arg(file).current_dir(place.folder.path());
        trust.iter().for_each(|trust| {
            command.args(["--trust", trust]);
        });
        let output = command.output().unwrap();
        output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    };
    let ours = |file: &Path, trust: Option<&str>| {
        let trust = trust.map(|name| TrustRoot::read(&fs::read(place.path(name)).unwrap()).unwrap());
        i32::from(audit(file, trust.as_ref()).exit)
    };
    for (name, bytes, trust, expected) in cases(&place) {
        let file = place.write("case.mcap", &bytes);
        assert_eq!((ours(&file, trust), theirs(&file, trust)), (expected, expected), "{name}");
    }
    for place_of_flip in flips(&place) {
        let mut bytes = place.bytes.clone();
        bytes[place_of_flip] ^= 0x10;
        let file = place.write("case.mcap", &bytes);
        let both = (ours(&file, Some("good.trust")), theirs(&file, Some("good.trust")));
        assert!(matches!(both, (1 | 2, 1 | 2)), "byte {place_of_flip}: {both:?}");
    }
}

/// Goal: whatever may be taken out, leaf by leaf and all at once, the rest verifies by either verifier, what was taken out is
/// listed, none of its bytes is left, and a redaction can be redacted again.
#[test]
fn every_leaf_between_the_ends_may_be_taken_out() {
    let place = Place::new(small());
    let last = place.session.leaves.len() - 1;
    let take_out = |from: Vec<u8>, leaves: &[usize]| {
        let redaction = leaves.iter().map(|&leaf| leaf as u64).collect();
        redact(&Reader::open(from).unwrap(), &redaction, Vec::new()).unwrap().0
    };
    let middle: Vec<usize> = (1..last).collect();
    let (left, right) = middle.split_at(middle.len() / 2);
    let all = take_out(place.bytes.clone(), &middle);
    assert_eq!(take_out(take_out(place.bytes.clone(), left), right), all);
    let mut cases: Vec<(Vec<usize>, Vec<u8>)> = vec![(middle.clone(), all)];
    cases.extend(middle.iter().map(|&leaf| (vec![leaf], take_out(place.bytes.clone(), &[leaf]))));
    let mut files = Vec::new();
    for (number, (leaves, bytes)) in cases.iter().enumerate() {
        let file = place.write(&format!("less-{number}.mcap"), bytes);
        let report = audit(&file, Some(place.session.keys.trust()));
        assert_eq!(
            (report.exit, report.leaves.redacted),
            (0, leaves.len() as u64),
            "{leaves:?}: {:?}",
            report.findings
        );
        let listed = report.leaves.redactions.iter().flat_map(|range| range.first..=range.last);
        assert_eq!(listed.map(|leaf| leaf as usize).collect::<Vec<_>>(), *leaves);
        for &leaf in leaves {
            // Salts are in no other leaf.
            let gone = &place.session.bytes(leaf)[..18];
            assert!(!bytes.windows(gone.len()).any(|part| part == gone), "leaf {leaf} is still there");
        }
        files.push(file);
    }
    if let Some(mut theirs) = python("verify.py") {
        let output =
            theirs.args(["--trust", "good.trust"]).args(files).current_dir(place.folder.path()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
}

fn without_the_last_checkpoint() -> Session {
    let mut session = small();
    session.checkpoints.pop();
    session
}

type Case = (&'static str, Vec<u8>, Option<&'static str>, i32);

/// Bundles of which both must say exactly the same.
fn cases(place: &Place) -> Vec<Case> {
    const TRUST: Option<&str> = Some("good.trust");
    let (session, bytes) = (&place.session, place.bytes.clone());
    let redaction = |leaves: &[u64], pictures| {
        let redaction = Redaction { pictures, ..leaves.iter().copied().collect() };
        redact(&Reader::open(bytes.clone()).unwrap(), &redaction, Vec::new()).unwrap().0
    };
    let command = session.find(|what| matches!(what, What::Command { .. })) as u64;
    let frame = session.find(|what| matches!(what, What::Frame(_))) as u64;
    let swapped = |at: usize| {
        let mut leaves = session.leaves.clone();
        leaves.swap(at, at + 1);
        bundle(&Session { leaves, ..small() })
    };
    let mut manifest = small();
    manifest.manifest = farhand_ledger::Manifest::new(
        SESSION,
        session.keys.trust().to_bytes(),
        farhand_ledger::Binding::Passkey,
        vec![],
    )
    .to_bytes();
    vec![
        ("good", bytes.clone(), TRUST, 0),
        ("longer", bundle(&good()), TRUST, 0),
        ("no trust root", bytes.clone(), None, 3),
        ("another trust root", bytes.clone(), Some("other.trust"), 1),
        ("cut off", bytes[..bytes.len() - 9].to_vec(), TRUST, 2),
        ("no bundle", b"nothing of the kind".to_vec(), TRUST, 2),
        ("quorum less one, seal", without_a_signature(session, true), TRUST, 1),
        ("quorum less one, checkpoint", without_a_signature(session, false), TRUST, 1),
        ("a command redacted", redaction(&[command], false), TRUST, 0),
        ("a frame redacted", redaction(&[frame], false), TRUST, 0),
        ("the clock and the lease redacted", redaction(&[1, 5], false), TRUST, 0),
        ("no pictures", redaction(&[], true), TRUST, 0),
        ("another picture", bundle_with(session, |_| Some(unit(2))), TRUST, 1),
        ("leaves swapped", swapped(2), TRUST, 1),
        ("another manifest", bundle(&manifest), TRUST, 1),
        ("no checkpoints", bundle(&Session { checkpoints: vec![], ..small() }), TRUST, 1),
        ("two epochs later, by the first one's file", bundle(&of_three_epochs()), TRUST, 0),
        ("two epochs later, by its own file", bundle(&of_three_epochs()), None, 3),
        ("too few endorsed the end", bundle(&ended_by(1, |old, _| old[..3].to_vec())), TRUST, 1),
        ("the new set endorsed the end", bundle(&ended_by(2, |_, new| new.to_vec())), TRUST, 1),
        ("the last checkpoint missing", bundle(&without_the_last_checkpoint()), TRUST, 1),
    ]
}

/// A byte of a command, a picture, a proof, a log time, the manifest; and some of everything.
fn flips(place: &Place) -> Vec<usize> {
    let (session, bytes) = (&place.session, &place.bytes);
    let at = |part: &[u8]| bytes.windows(part.len()).position(|window| window == part).unwrap();
    let command = at(session.bytes(session.find(|what| matches!(what, What::Command { .. }))));
    let mut flips = vec![
        command + 40,
        // A message's log time and publish time stand right before its leaf.
        command - 3,
        command - 12,
        at(&unit(1)[20..60]) + 5,
        at(&session.seal) + 700,
        at(&session.checkpoints[0]) + 1200,
        at(&session.manifest) + 30,
        at(&Hash::of(b"limits").0) + 3,
    ];
    flips.extend((0..bytes.len()).step_by(bytes.len() / 20));
    flips
}
