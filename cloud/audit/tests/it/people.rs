//! Names from a vault beside the evidence, and that forgetting somebody takes nothing from it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use farhand_audit::{Record, Vault};
use farhand_ledger::{Consent, Event, Hash, Transaction, What};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    python,
    sessions::{
        bundle,
        theatre::{SESSION, Theatre, at},
        work,
    },
};

struct Place(TempDir);

impl Place {
    /// A session whose consent commits to the records of its vault, and another vault.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let (vault, other) = (vault(), vault());
        vault.create(&place.path("people.vault")).unwrap();
        other.create(&place.path("other.vault")).unwrap();
        let mut theatre = Theatre::open_with([8; 32], |evidence, keys| {
            let hospital = keys.hospital().clone();
            let consent = Consent { session: SESSION, commitment: vault.root(), given: true };
            let consent = keys.sign(&hospital, at(0), Event::Consent(consent)).unwrap();
            evidence.consent = keys.commit(at(0), vec![consent.clone()]).unwrap().remove(0);
            let opened = Transaction::open(&evidence.opening.transaction).unwrap().transaction.event;
            let Event::SessionOpened(mut opening) = opened else { panic!("no opening") };
            opening.consent = Hash::of(&consent);
            let opening = keys.sign(&hospital, at(0), Event::SessionOpened(opening)).unwrap();
            evidence.opening = keys.commit(at(0), vec![opening]).unwrap().remove(0);
        });
        work(&mut theatre, 0);
        let session = theatre.close();
        fs::write(place.path("good.mcap"), bundle(&session)).unwrap();
        fs::write(place.path("good.trust"), session.keys.trust().to_bytes()).unwrap();
        // The same without such a consent, and with a leaf for one of the records.
        let mut theatre = Theatre::open();
        theatre.record(What::Personal { commitment: vault.commitments().next().unwrap() });
        fs::write(place.path("leaf.mcap"), bundle(&theatre.close())).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhand-audit"));
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn people(&self, file: &str, vault: &str) -> (i32, Vec<Value>) {
        let output = self.run(&["people", file, "--keys", vault, "--trust", "good.trust", "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code().unwrap(), answer["people"].as_array().unwrap().clone())
    }
}

fn vault() -> Vault {
    let mut vault = Vault::default();
    for (pseudonym, name) in [("P1", "Patient of the test"), ("person 1", "Surgeon of the test")] {
        let [name, role, licence, text] = [name, "", "", ""].map(str::to_owned);
        vault.add(pseudonym, &Record { name, role, licence, text }).unwrap();
    }
    vault
}

/// Goal: the evidence names nobody, the vault does; once somebody is forgotten no name is left anywhere, the report says
/// so, and everything verifies as before, by either verifier.
#[test]
fn forgetting_somebody_takes_nothing_from_the_evidence() {
    let place = Place::new();
    let before = fs::read(place.path("good.mcap")).unwrap();
    let is_named = |bytes: &[u8]| bytes.windows(19).any(|part| part == b"Surgeon of the test");
    assert!(!is_named(&before) && !is_named(&fs::read(place.path("people.vault")).unwrap()));
    let (exit, people) = place.people("good.mcap", "people.vault");
    let states: Vec<_> = people
        .iter()
        .map(|one| (one["pseudonym"].as_str(), one["state"].as_str(), &one["committed"]))
        .collect();
    let (yes, no) = (Value::Bool(true), Value::Bool(false));
    let expected = [
        (Some("P1"), Some("known"), &yes),
        (Some("person 1"), Some("known"), &yes),
        (Some("person 2"), Some("none"), &no),
    ];
    assert_eq!((exit, states), (0, expected.to_vec()));
    assert_eq!(
        (&people[1]["record"]["name"], &people[1]["role"]),
        (&"Surgeon of the test".into(), &"surgeon".into())
    );

    let forget = ["forget", "person 1", "--keys", "people.vault", "--why", "asked for"];
    assert_eq!(place.run(&forget).status.code(), Some(0));
    assert_eq!(place.run(&forget).status.code(), Some(2));
    let (exit, people) = place.people("good.mcap", "people.vault");
    assert_eq!((exit, &people[1]["state"], &people[1]["committed"]), (0, &"erased".into(), &yes));
    assert_eq!((&people[0]["state"], &people[1]["record"]), (&"known".into(), &Value::Null));
    let report =
        ["report", "good.mcap", "--trust", "good.trust", "--keys", "people.vault", "--out", "page.html"];
    assert_eq!(place.run(&report).status.code(), Some(0));
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains("erased 20") && page.contains("asked for") && page.contains("Patient of the test"));
    assert!(!is_named(page.as_bytes()));
    assert_eq!(fs::read(place.path("good.mcap")).unwrap(), before);
    if let Some(mut theirs) = python("verify.py") {
        let keys = |vault| ["good.mcap", "--trust", "good.trust", "--keys", vault];
        let output = theirs.args(keys("people.vault")).current_dir(place.0.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("P1: Patient of the test") && said.contains("person 1: erased"), "{said}");
        let output =
            python("verify.py").unwrap().args(keys("other.vault")).current_dir(place.0.path()).output();
        assert_eq!(output.unwrap().status.code(), Some(1));
    }
}

/// Goal: names of a vault that the evidence does not commit to are not vouched for.
#[test]
fn another_vault_is_not_believed() {
    let place = Place::new();
    let (exit, people) = place.people("good.mcap", "other.vault");
    assert_eq!((exit, &people[0]["committed"]), (1, &Value::Bool(false)));
    // One record has a leaf of its own there, the other nothing at all.
    let (exit, people) = place.people("leaf.mcap", "people.vault");
    assert_eq!((exit, &people[0]["committed"], &people[1]["committed"]), (1, &true.into(), &false.into()));
    assert_eq!(place.run(&["people", "good.mcap", "--keys", "good.mcap"]).status.code(), Some(2));
    assert_eq!(place.run(&["people", "good.mcap", "--keys", "none.vault"]).status.code(), Some(2));
}
