//! The hospital's desk, as a trial needs it: it has the depot seal the kit, grants the field team's page its role, and opens
//! the session once the kit's custody is complete. It talks to the cloud through two folders and a file, all of them
//! signed content: a server that lies there is found out.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use farhand_audit::{Record, Vault, VaultError};
use farhand_ledger::{
    Cbor, Consent, Custody, CustodyStep, Event, Grant, Hash, Member, Opening, OpeningEvidence, Transaction,
    TransactionProof, Utc, verify_opening,
};
use farhand_link::DeviceKey;
use farhand_submit::Validators;
use farhand_wire::{PublicKey, Role, Said, SessionId, Statement};

use crate::{
    session::Session,
    site::{Site, write},
};

/// The second surgeon: a person, or whoever commands over ROS.
pub(crate) const SECOND: &str = "S2";
const LOOK: Duration = Duration::from_millis(200);
/// Validators need a moment to find each other, and with one down it may take seconds until the next leader is a live one.
const COMMIT: Duration = Duration::from_secs(60);
const GRANT_MS: u64 = 24 * 60 * 60 * 1000;
/// This machine's clock is believed to be within this of UTC.
const UNCERTAINTY_US: u64 = 100_000;

/// The desk of one session.
pub(crate) struct Desk<'a> {
    site: &'a Site,
    session: &'a Session,
    validators: Validators,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(site: &'a Site, session: &'a Session) -> Self {
        let validators = Validators::new(site.keys.desk.clone(), site.trust.clone(), site.validators.clone());
        Self { site, session, validators }
    }

    /// Grants depot, aircraft and everybody with a link their role, and has the kit sealed.
    pub(crate) async fn seal_kit(&self) -> anyhow::Result<()> {
        for (key, pseudonym) in [(self.site.keys.depot.id(), "D1"), (self.site.keys.aircraft.id(), "A1")] {
            self.grant(PublicKey(*key.as_bytes()), Role::Field, pseudonym).await?;
        }
        for link in &self.session.links {
            self.grant(link.public(), link.role, &link.pseudonym).await?;
        }
        let sealed =
            Custody { kit: self.session.kit(), sequence: 1, step: CustodyStep::Sealed, previous: Hash::ZERO };
        let depot = self.site.keys.depot.clone();
        let proof = self.commit(&depot, Event::Custody(sealed)).await.context("the kit was not sealed")?;
        write(&self.session.custody().join("01.proof"), &proof.to_bytes())?;
        Ok(())
    }

    /// **Follows the session until it is open.** Then the cloud finds the opening in its file.
    pub(crate) async fn open_session(&self) -> anyhow::Result<OpeningEvidence> {
        let mut granted = false;
        loop {
            if !granted {
                granted = self.grant_claimed(Role::Field).await?;
            }
            if let Some(custody) = self.complete_custody()? {
                return self.open(custody).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// **Waits until somebody has claimed the auditor's link**, and grants that session key its role: it records exports.
    pub(crate) async fn grant_auditor(&self) -> anyhow::Result<()> {
        while !self.grant_claimed(Role::Auditor).await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Grants the session key that claimed the role's link, once there is one.
    async fn grant_claimed(&self, role: Role) -> anyhow::Result<bool> {
        let link = self.session.link(role);
        let path = self.session.claims().join(format!("{}.endorsement", hex::encode(link.name)));
        let Ok(bytes) = fs::read(&path) else { return Ok(false) };
        let key = endorsed(&bytes, link.public(), self.session.id)
            .with_context(|| format!("{} is not the link's endorsement", path.display()))?;
        self.grant(key, role, &link.pseudonym).await?;
        Ok(true)
    }

    async fn grant(&self, key: PublicKey, role: Role, pseudonym: &str) -> anyhow::Result<()> {
        let grant = Grant {
            key,
            role,
            pseudonym: pseudonym.to_owned(),
            until_utc_ms: utc_now().us / 1000 + GRANT_MS,
        };
        let hospital = self.site.keys.hospital.clone();
        self.commit(&hospital, Event::Grant(grant)).await.context("a role was not granted")?;
        Ok(())
    }

    fn complete_custody(&self) -> anyhow::Result<Option<Vec<TransactionProof>>> {
        let custody = proofs(&self.session.custody())?;
        let Some(last) = custody.last() else { return Ok(None) };
        let proven = last.check(&self.site.trust)?;
        let paired = CustodyStep::Paired { edge: PublicKey(*self.site.keys.edge.id().as_bytes()) };
        let complete = matches!(&proven.transaction.event, Event::Custody(step) if step.step == paired);
        Ok(complete.then_some(custody))
    }

    async fn open(&self, custody: Vec<TransactionProof>) -> anyhow::Result<OpeningEvidence> {
        let hospital = self.site.keys.hospital.clone();
        let consent = Consent { session: self.session.id, commitment: self.session.consent, given: true };
        let consent = self.commit(&hospital, Event::Consent(consent)).await.context("the consent")?;
        let last = custody.last().map_or(Hash::ZERO, |proof| Hash::of(&proof.transaction));
        let opening = Opening {
            session: self.session.id,
            roster: self.roster(),
            edge: PublicKey(*self.site.keys.edge.id().as_bytes()),
            kit: self.session.kit(),
            limits_digest: Hash(farhand_guard::Limits::default().digest()),
            arm_digest: self.session.arm_digest,
            consent: Hash::of(&consent.transaction),
            custody: last,
        };
        let opening = self.commit(&hospital, Event::SessionOpened(opening)).await.context("the opening")?;
        let evidence = OpeningEvidence { opening, consent, custody };
        verify_opening(&evidence, &self.site.trust).context("the opening does not hold")?;
        write(&self.session.opening(), &evidence.to_bytes())?;
        Ok(evidence)
    }

    fn roster(&self) -> Vec<Member> {
        let member = |link: &crate::session::RoleLink| Member {
            key: link.public(),
            role: link.role,
            pseudonym: link.pseudonym.clone(),
        };
        self.session.links.iter().map(member).collect()
    }

    /// Signs and commits one fact.
    async fn commit(&self, by: &DeviceKey, event: Event) -> anyhow::Result<TransactionProof> {
        let transaction = Transaction { ledger: self.site.trust.ledger(), at: utc_now(), event };
        let signed = transaction.sign(by.signing_key())?;
        Ok(self.validators.commit_patiently(&signed, COMMIT).await?)
    }
}

/// Records of the people of a rehearsal, whom there are not, and of a consent that nobody had to give.
/// `second`: who the second surgeon is, if there is one.
pub(crate) fn made_up_people(second: Option<&str>) -> Result<Vault, VaultError> {
    const MADE_UP: &str = "made up for a rehearsal: there is no such person";
    const CONSENT: &str =
        "Made up for a rehearsal: there is no patient, the arm is simulated, and nobody had to consent.";
    let mut vault = Vault::default();
    let people = [
        ("P1", "Patient of the trial", "patient", CONSENT),
        ("S1", "Surgeon of the trial", "surgeon", ""),
        ("B1", "Bedside of the trial", "bedside", ""),
        ("F1", "Field team of the trial", "field", ""),
        ("R1", "Auditor of the trial", "auditor", ""),
    ];
    let second = second.map(|name| (SECOND, name, "surgeon", ""));
    for (pseudonym, name, role, text) in people.into_iter().chain(second) {
        let [name, role, licence, text] = [name, role, MADE_UP, text].map(str::to_owned);
        vault.add(pseudonym, &Record { name, role, licence, text })?;
    }
    Ok(vault)
}

/// The session key in an endorsement by `link` for this session.
fn endorsed(bytes: &[u8], link: PublicKey, session: SessionId) -> anyhow::Result<PublicKey> {
    let (author, statement) = Statement::open(bytes)?;
    match statement.said {
        Said::Endorse { session_key } if author == link && statement.session == session => Ok(session_key),
        _ => bail!("it endorses nothing for this session under this link"),
    }
}

/// The proofs in a folder, in their order.
fn proofs(folder: &Path) -> anyhow::Result<Vec<TransactionProof>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proof"))
        .collect();
    paths.sort();
    paths.iter().map(|path| Ok(TransactionProof::read(&fs::read(path)?)?)).collect()
}

pub(crate) fn utc_now() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc { us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), uncertainty_us: UNCERTAINTY_US }
}
