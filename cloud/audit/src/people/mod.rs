//! Who the people of a session are: the evidence's pseudonyms beside the records of a vault.

mod vault;

use std::{fmt::Write as _, path::Path};

use farhand_bundle::{Unreadable, verify_and};
use farhand_ledger::{Hash, TrustRoot};
use serde::Serialize;

use self::vault::{Kept, State};
pub use self::vault::{Record, Vault, VaultError};
use crate::{
    audit::open,
    plain,
    report::{Person, Redactions, Report},
    story::Story,
    time::rfc3339,
    words::verdict,
};

/// The session's people.
#[derive(Clone, Debug, Serialize)]
pub struct People {
    pub report: Report,
    /// Whether the session's consent commits to exactly the records of this vault.
    pub consent_commits: bool,
    pub people: Vec<Named>,
}

/// One pseudonym.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    pub pseudonym: String,
    /// In the roster of the evidence; `None` for others, such as a patient.
    pub role: Option<&'static str>,
    pub key: Option<String>,
    /// `known`, `erased`, `altered` (the record is not what its commitment says) or `none` (the vault has no record).
    pub state: &'static str,
    /// Whether the evidence commits to this record, by the consent or by a leaf of its own.
    pub committed: bool,
    pub record: Option<Record>,
    /// When and why it was erased.
    pub erased: Option<String>,
}

/// Verifies the bundle at `path` and names its people as far as `vault` knows them.
pub fn people(
    path: &Path,
    trust: Option<&TrustRoot>,
    vault: &Vault,
    mut progress: impl FnMut(u64, u64),
) -> Result<People, Unreadable> {
    let reader = open(path)?;
    let (mut story, mut redactions) = (Story::default(), Redactions::default());
    let verified = verify_and(&reader, trust, |passed| {
        if passed.redacted.is_some() {
            redactions.take(passed.number);
        }
        story.take(&passed);
        progress(passed.at_bytes, passed.bytes);
    })?;
    let report = Report::of(&verified, redactions, trust.is_some());
    let people = named(&report, &story, vault);
    let consent_commits = commits(&story, vault);
    Ok(People { report, consent_commits, people })
}

/// Whether the session's consent commits to the records of the vault.
fn commits(story: &Story, vault: &Vault) -> bool {
    story.opening.as_ref().and_then(|facts| facts.consent_commitment) == Some(vault.root())
}

/// Everybody of the vault and of the roster.
pub(crate) fn named(report: &Report, story: &Story, vault: &Vault) -> Vec<Named> {
    let consent_commits = commits(story, vault);
    let is_committed = |commitment: &Hash| consent_commits || story.personal.contains(commitment);
    let roster = report.session.as_ref().map(|session| session.people.as_slice()).unwrap_or_default();
    let mut people: Vec<Named> = Vec::new();
    for kept in &vault.records {
        let mut named = name(kept, is_committed(&kept.commitment));
        if let Some(person) = roster.iter().find(|person| person.pseudonym == kept.pseudonym) {
            (named.role, named.key) = (Some(person.role), Some(person.key.clone()));
        }
        people.push(named);
    }
    let is_named = |person: &Person| people.iter().any(|named| named.pseudonym == person.pseudonym);
    let unnamed: Vec<Named> = roster.iter().filter(|person| !is_named(person)).map(Named::unknown).collect();
    people.extend(unnamed);
    people
}

fn name(kept: &Kept, committed: bool) -> Named {
    let record = kept.record();
    let (state, erased) = match &kept.state {
        State::Erased { at, why } => ("erased", Some(format!("{}: {why}", rfc3339(at.us)))),
        State::Sealed { .. } if record.is_some() => ("known", None),
        State::Sealed { .. } => ("altered", None),
    };
    let pseudonym = kept.pseudonym.clone();
    Named { pseudonym, role: None, key: None, state, committed, record, erased }
}

impl People {
    /// As the verification ends; and 1 where the vault has a record that the evidence does not commit to.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let differs = |named: &Named| named.state == "altered" || (named.state != "none" && !named.committed);
        if self.people.iter().any(differs) { 1 } else { self.report.exit }
    }

    /// For a person, line by line.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = format!("{}\n\n", verdict(&self.report));
        for named in &self.people {
            // Writing into a string does not fail.
            let _ = writeln!(text, "  {:<6} {}", plain(&named.pseudonym), plain(&named.words()));
        }
        if self.exit() == 1 && self.report.exit != 1 {
            text.push_str(
                "\nThe vault is not that of this session, or was altered: believe no name in it.\n",
            );
        }
        text
    }
}

impl Named {
    fn unknown(person: &Person) -> Self {
        Self {
            pseudonym: person.pseudonym.clone(),
            role: Some(person.role),
            key: Some(person.key.clone()),
            state: "none",
            committed: false,
            record: None,
            erased: None,
        }
    }

    pub(crate) fn words(&self) -> String {
        let role = self.role.map_or("not in the roster".to_owned(), str::to_owned);
        let key =
            self.key.as_ref().map_or(String::new(), |key| format!(" (key {})", key.get(..8).unwrap_or(key)));
        let who = match (&self.record, &self.erased) {
            (Some(record), _) => record.words(),
            (None, Some(erased)) => format!("erased {erased}"),
            (None, None) if self.state == "none" => "no record in this vault".to_owned(),
            (None, None) => "the record is not what its commitment says".to_owned(),
        };
        let committed = match (self.state, self.committed) {
            ("none", _) => "",
            (_, true) => "; committed in the evidence",
            (_, false) => "; NOT what the evidence commits to",
        };
        format!("{role}{key}: {who}{committed}")
    }
}

impl Record {
    fn words(&self) -> String {
        let parts = [&self.name, &self.role, &self.licence, &self.text];
        parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
    }
}
