//! A ledger of five validator processes on loopback, and people who write onto it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that can't go on says so"
)]

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Checkpoint, Event, Grant, Hash, Member, Transaction, TransactionProof, Utc, five_keys::Plan, merkle,
};
use farhand_submit::Client;
use farhand_validator::{LocalLedger, LocalPlan, ValidatorConfig, make_local_ledger, status};
use farhand_wire::{PublicKey, Role, SessionId};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_farhand-validator");
/// Generous: a commit takes a fraction of a second, and some seconds while a dead leader's turn passes.
pub const COMMIT_WAIT: Duration = Duration::from_secs(30);

pub struct Ledger {
    pub dir: TempDir,
    pub made: LocalLedger,
    pub children: Vec<Option<Child>>,
}

impl Ledger {
    /// Makes a ledger; nothing runs yet.
    pub fn make(validators: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = make_local_ledger(&plan(&dir, validators)).unwrap();
        Self { dir, made, children: (0..validators).map(|_| None).collect() }
    }

    pub fn start_all(mut self) -> Self {
        (0..self.children.len()).for_each(|at| self.start(at));
        self
    }

    pub fn start(&mut self, at: usize) {
        self.spawn(at, "run");
    }

    /// The validator's supervisor takes its place among the children.
    pub fn supervise(&mut self, at: usize) {
        self.spawn(at, "supervise");
    }

    fn spawn(&mut self, at: usize, command: &str) {
        let log = fs::File::options().create(true).append(true).open(self.log(at)).unwrap();
        let child = Command::new(BINARY)
            .args([command, "--config"])
            .arg(&self.made.configs[at])
            .env("RUST_LOG", "info")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.children[at] = Some(child);
    }

    /// SIGKILL: the process gets no chance to do anything more.
    pub fn kill(&mut self, at: usize) {
        let mut child = self.children[at].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until a child ends by itself.
    pub async fn ended(&mut self, at: usize) -> ExitStatus {
        let mut child = self.children[at].take().unwrap();
        until("the child ends", || child.try_wait().unwrap()).await
    }

    /// The process of a validator that says that it runs, another than `before`.
    pub async fn process(&self, at: usize, before: Option<u32>) -> u32 {
        let dir = self.config(at).data_dir;
        until("a validator says that it runs", || {
            status::read(&dir).ok().map(|status| status.process).filter(|process| Some(*process) != before)
        })
        .await
    }

    /// Its log, once that says so.
    pub async fn says(&self, at: usize, words: &str) -> String {
        let said = || fs::read_to_string(self.log(at)).ok().filter(|log| log.contains(words));
        until(words, said).await
    }

    pub fn wipe(&self, at: usize) {
        fs::remove_dir_all(self.config(at).data_dir).unwrap();
    }

    pub fn config(&self, at: usize) -> ValidatorConfig {
        ValidatorConfig::load(&self.made.configs[at]).unwrap()
    }

    pub fn log(&self, at: usize) -> PathBuf {
        self.dir.path().join(format!("validator-{at}.log"))
    }

    /// A client of one validator, once that one is up.
    pub async fn client(&self, at: usize) -> Client {
        let to = &self.made.client_addrs[at..=at];
        for _ in 0..100 {
            if let Ok(client) = Client::connect(&self.made.client, self.made.trust.clone(), to).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("validator {at} did not come up: {}", fs::read_to_string(self.log(at)).unwrap());
    }

    pub fn hospital(&self) -> &SigningKey {
        self.made.hospital.signing_key()
    }

    pub fn sign(&self, author: &SigningKey, event: Event) -> Vec<u8> {
        Transaction { ledger: self.made.trust.ledger(), at: now(), event }.sign(author).unwrap()
    }

    /// A grant to nobody in particular: a transaction that is always in order.
    pub fn some_grant(&self, number: u64) -> Vec<u8> {
        self.grant(&key(number), Role::Field)
    }

    pub fn grant(&self, to: &SigningKey, role: Role) -> Vec<u8> {
        let until_utc_ms = now().us / 1000 + 3_600_000;
        let grant = Grant { key: public(to), role, pseudonym: "somebody".to_owned(), until_utc_ms };
        self.sign(self.hospital(), Event::Grant(grant))
    }

    /// Everything up to an open session, committed; the edge box's key signs its checkpoints.
    pub async fn open_session(
        &self,
        client: &Client,
        session: SessionId,
        edge: &SigningKey,
    ) -> TransactionProof {
        let [surgeon, bedside, field, kit] = [1001, 1002, 1003, 1004].map(key);
        let people = [(&surgeon, Role::Surgeon), (&bedside, Role::Bedside), (&field, Role::Field)];
        for (person, role) in people {
            client.commit(&self.grant(person, role), COMMIT_WAIT).await.unwrap();
        }
        let member = |(person, role): (&SigningKey, Role)| Member {
            key: public(person),
            role,
            pseudonym: "one".to_owned(),
        };
        let plan = Plan {
            session,
            roster: people.into_iter().take(2).map(member).collect(),
            edge: public(edge),
            kit: &kit,
            field: &field,
            limits_digest: Hash::of(b"limits"),
            arm_digest: Hash::of(b"arm"),
            at: now(),
        };
        let mut newest = None;
        for transaction in plan.transactions(self.made.trust.ledger(), self.hospital()).unwrap() {
            newest = Some(client.commit(&transaction, COMMIT_WAIT).await.unwrap());
        }
        newest.unwrap()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill(); // it may be dead already
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for at in 0..self.children.len() {
                eprintln!("--- validator {at}\n{}", fs::read_to_string(self.log(at)).unwrap_or_default());
            }
        }
    }
}

/// What `look` finds, sooner or later.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("two minutes passed before: {what}");
}

/// Sends a signal, by its name.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

pub fn plan(dir: &TempDir, validators: usize) -> LocalPlan {
    LocalPlan {
        data: dir.path().join("data"),
        out: dir.path().join("out"),
        validators,
        listen: [127, 0, 0, 1].into(),
        first_port: 0,
        clients: Vec::new(),
    }
}

pub fn checkpoint(session: SessionId, before: Option<&Checkpoint>, leaves: u64) -> Checkpoint {
    let (size, previous_root) =
        before.map_or((0, merkle::empty_root()), |before| (before.tree_size, before.root));
    Checkpoint {
        session,
        tree_size: size + leaves,
        root: Hash::of(&(size + leaves).to_le_bytes()),
        previous_root,
        first_sequence: size,
        last_sequence: size + leaves - 1,
    }
}

pub fn key(number: u64) -> SigningKey {
    SigningKey::from_bytes(&Hash::of(&number.to_le_bytes()).0)
}

pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

pub fn now() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Utc { us: u64::try_from(since.as_micros()).unwrap(), uncertainty_us: 1000 }
}
