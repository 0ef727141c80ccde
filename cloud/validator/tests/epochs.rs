//! One organisation leaves a ledger and another comes: each with a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on says so")]

mod rig;

use std::{fs, path::Path, process::Command};

use farhand_ledger::{Hash, TransactionProof, TrustRoot};
use farhand_link::{DeviceId, DeviceKey};
use farhand_submit::Client;
use farhand_validator::{
    ClientRole, ConfigFile, ValidatorConfig,
    config::{ClientEntry, PeerEntry},
    fault::EXIT_RETIRED,
    make_local_ledger,
};
use rig::{COMMIT_WAIT, Ledger};

/// What a supervisor says once its validator has left an epoch that ended.
const GOES_ON: &str = "its epoch ended; is started again";

/// Goal: five organisations become other five while one of them is away. The old quorum says so, fewer can't; commits
/// go on; who came has the whole history and proves it, who was away catches up over the end, who left is told; and the
/// genesis file of the first day is enough to check all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_organisation_leaves_and_another_comes() {
    let mut ledger = Ledger::make(5);
    (0..5).for_each(|at| ledger.supervise(at));
    let first = ledger.client(0).await;
    let before = commit(&ledger, &first, 0..20).await;
    end(&mut ledger, 3).await;
    let missed = commit(&ledger, &first, 20..24).await;

    let new = sixth(&ledger);
    let next = ledger.dir.path().join("next.epoch");
    let proposal = ["--add", &new.id.to_string(), "--remove", &id(&ledger, 4).to_string()];
    assert!(epoch(&ledger, 0, "propose", &[&proposal[..], &["--out", text(&next)]].concat()).is_ok());
    let unreached = epoch(&ledger, 0, "endorse", &["--next", text(&next), "--out", "unused"]).unwrap_err();
    assert!(unreached.contains("is not among the `peers`"), "{unreached}");
    let mut endorsements = Vec::new();
    for at in [0, 1, 2, 4] {
        add_peer(&ledger, at, &new.peer);
        let out = ledger.dir.path().join(format!("endorsement-{at}"));
        let said = epoch(&ledger, at, "endorse", &["--next", text(&next), "--out", text(&out)]).unwrap();
        assert!(said.contains(&format!("validator {} comes", new.id)), "{said}");
        endorsements.push(out);
    }
    let files: Vec<&str> = endorsements.iter().map(|path| text(path)).collect();
    let few = epoch(&ledger, 0, "end", &[&["--next", text(&next)][..], &files[..3]].concat()).unwrap_err();
    assert!(few.contains("endorsements of power 3, a quorum of the epoch that ends needs 4"), "{few}");
    let all = [&["--next", text(&next)][..], &files].concat();
    let said = epoch(&ledger, 0, "end", &all).unwrap();
    assert!(said.contains("Epoch 0 has ended"), "{said}");

    ledger.says(4, "it is not started again").await;
    let retired = Command::new(rig::BINARY).args(["run", "--config"]).arg(&ledger.made.configs[4]).output();
    assert_eq!(retired.unwrap().status.code(), Some(EXIT_RETIRED.into()));
    let trust = ledger.dir.path().join("now.trust");
    for at in 0..3 {
        ledger.says(at, GOES_ON).await;
    }
    epoch(&ledger, 0, "trust", &["--out", text(&trust)]).unwrap();
    join(&mut ledger, &new, &trust);

    let first = ledger.client(0).await; // holds the genesis file of the first day
    assert_eq!(first.trust().newest().number(), 1);
    let after = commit(&ledger, &first, 30..34).await;
    add_peer(&ledger, 3, &new.peer);
    ledger.supervise(3);
    ledger.says(3, GOES_ON).await;
    let proven: Vec<_> = before.into_iter().chain(missed).chain(after).collect();
    for at in [5, 3, 1] {
        let client = ledger.client(at).await;
        for proof in &proven {
            let expected = proof.check(first.trust()).unwrap();
            let now = client.proof(expected.hash, COMMIT_WAIT).await;
            let now = now.unwrap_or_else(|error| panic!("validator {at}: {error}"));
            assert_eq!(now.check(client.trust()).unwrap(), expected, "validator {at}");
        }
    }
    let again = proven[0].transaction.clone();
    let known = first.commit(&again, COMMIT_WAIT).await.unwrap();
    assert_eq!(known.check(first.trust()).unwrap().position.epoch, 0, "nothing is written twice");
    let genesis = TrustRoot::read(&fs::read(&ledger.made.genesis).unwrap()).unwrap();
    assert!(proven.last().unwrap().check(&genesis).is_err(), "without the end's proof");
    assert!(genesis.leads_to(first.trust()));

    end(&mut ledger, 5).await;
    ledger.wipe(5);
    ledger.supervise(5);
    let client = ledger.client(5).await;
    for proof in &proven {
        client.proof(Hash::of(&proof.transaction), COMMIT_WAIT).await.unwrap();
    }
}

/// The organisation that comes.
struct New {
    id: DeviceId,
    peer: PeerEntry,
    listen: [String; 2],
}

fn sixth(ledger: &Ledger) -> New {
    let dir = ledger.dir.path().join("sixth");
    let done = Command::new(rig::BINARY).args(["join", "--dir", text(&dir)]).output().unwrap();
    assert!(done.status.success());
    let id = DeviceKey::load(&dir.join("device.key")).unwrap().id();
    let other = tempfile::tempdir().unwrap();
    let free = make_local_ledger(&rig::plan(&other, 5)).unwrap();
    let free = ValidatorConfig::load(&free.configs[0]).unwrap();
    let peer = PeerEntry { key: id.to_string(), addr: free.peer_listen };
    New { id, peer, listen: [free.peer_listen.to_string(), free.client_listen.to_string()] }
}

fn join(ledger: &mut Ledger, new: &New, trust: &Path) {
    let dir = ledger.dir.path().join("sixth");
    let peers = [0, 1, 2, 3].map(|at| format!("--peer={}@{}", id(ledger, at), ledger.config(at).peer_listen));
    let [peer, client] = &new.listen;
    let fixed = ["join", "--dir", text(&dir), "--genesis", text(trust), "--peer-listen", peer];
    let done = Command::new(rig::BINARY).args(fixed).args(["--client-listen", client]).args(peers).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let config = dir.join("validator.toml");
    let mut file: ConfigFile = toml::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    file.clients.push(ClientEntry { key: ledger.made.client.id().to_string(), role: ClientRole::Cloud });
    fs::write(&config, toml::to_string(&file).unwrap()).unwrap();
    ledger.made.configs.push(config);
    ledger.made.client_addrs.push((new.id, client.parse().unwrap()));
    ledger.children.push(None);
    ledger.supervise(5);
}

fn add_peer(ledger: &Ledger, at: usize, peer: &PeerEntry) {
    let config = &ledger.made.configs[at];
    let mut file: ConfigFile = toml::from_str(&fs::read_to_string(config).unwrap()).unwrap();
    file.peers.push(peer.clone());
    fs::write(config, toml::to_string(&file).unwrap()).unwrap();
}

/// Ends a supervisor, and its validator with it.
async fn end(ledger: &mut Ledger, at: usize) {
    rig::signal(ledger.children[at].as_ref().unwrap().id(), "TERM");
    assert!(ledger.ended(at).await.success());
}

fn epoch(ledger: &Ledger, at: usize, step: &str, arguments: &[&str]) -> Result<String, String> {
    let config = text(&ledger.made.configs[at]);
    let done =
        Command::new(rig::BINARY).args(["epoch", step, "--config", config]).args(arguments).output().unwrap();
    let said = |bytes| String::from_utf8(bytes).unwrap();
    if done.status.success() { Ok(said(done.stdout)) } else { Err(said(done.stderr)) }
}

async fn commit(ledger: &Ledger, client: &Client, numbers: std::ops::Range<u64>) -> Vec<TransactionProof> {
    let mut proofs = Vec::new();
    for number in numbers {
        proofs.push(client.commit(&ledger.some_grant(number), COMMIT_WAIT).await.unwrap());
    }
    proofs
}

fn id(ledger: &Ledger, at: usize) -> DeviceId {
    ledger.made.client_addrs[at].0
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
