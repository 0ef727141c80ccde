//! Five validators, a process each, with their crashes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that can't go on says so"
)]

mod rig;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use farhand_ledger::{Event, Hash, TransactionProof, TrustRoot, merkle};
use farhand_link::DeviceKey;
use farhand_submit::{Client, ClientError};
use farhand_validator::{
    ClientRole, ConfigFile, FaultSignal, LocalLedger, ValidatorConfig, config::ClientEntry,
    make_local_ledger, status, store::Store,
};
use farhand_wire::SessionId;
use hotstuff_rs::{
    block_tree::{
        pluggables::{KVGet, KVStore, WriteBatch},
        variables,
    },
    types::data_types::BlockHeight,
};
use rig::{COMMIT_WAIT, Ledger, checkpoint, key};

/// What the ledger promises, so here a time does decide; the median, for a busy machine may hold one commit up. It takes
/// some 0.2 s with all five there.
const LONE_COMMIT_MS_MAX: u128 = 1000;
/// With one of five dead, a turn passes now and then that is the dead one's.
const GAP_MS_MAX: u128 = 5000;
/// Five idle validators take less of one core than this, in per cent. One thread of theirs that spins takes 100.
const IDLE_PERCENT_MAX: u64 = 60;

/// Goal: with one of five gone commits go on; with two gone nothing is committed; with all back they agree, and all that
/// was ever proven is there, also at a validator that lost its whole folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_five_survives_crashes_and_keeps_what_it_proved() {
    let mut ledger = Ledger::make(5).start_all();
    let first = ledger.client(0).await;
    let (mut proven, alone_ms) = commit_each(&ledger, &first, 0..8).await;
    println!("commits, one at a time: {alone_ms:?} ms");
    assert!(median(&alone_ms) < LONE_COMMIT_MS_MAX, "{alone_ms:?} ms");

    ledger.kill(4);
    let (with_four, gaps_ms) = commit_each(&ledger, &first, 20..25).await;
    println!("the same with one of five killed: {gaps_ms:?} ms");
    assert!(median(&gaps_ms) < GAP_MS_MAX, "{gaps_ms:?} ms");
    proven.extend(with_four);

    ledger.kill(3);
    let stuck = ledger.some_grant(30);
    let height = height_at_rest(&first).await;
    first.submit(&stuck).await.unwrap();
    let answer = first.proof(Hash::of(&stuck), Duration::from_secs(4)).await;
    assert!(matches!(answer, Err(ClientError::NotYet { .. })), "{answer:?}");
    assert_eq!(first.height().await.unwrap(), Some(height), "a quorum was not there");

    ledger.start(3);
    ledger.start(4);
    proven.push(first.proof(Hash::of(&stuck), COMMIT_WAIT).await.unwrap());
    all_agree(&ledger, &proven).await;

    ledger.kill(2);
    ledger.wipe(2);
    proven.extend(commit_some(&ledger, &first, 31..32).await);
    ledger.start(2);
    all_agree(&ledger, &proven).await;
    assert_data_folders_are_disjoint(&ledger);
}

async fn commit_some(
    ledger: &Ledger,
    client: &Client,
    numbers: std::ops::Range<u64>,
) -> Vec<TransactionProof> {
    let mut proofs = Vec::new();
    for number in numbers {
        proofs.push(client.commit(&ledger.some_grant(number), COMMIT_WAIT).await.unwrap());
    }
    proofs
}

/// Commits one after another, and how long each took.
async fn commit_each(
    ledger: &Ledger,
    client: &Client,
    numbers: std::ops::Range<u64>,
) -> (Vec<TransactionProof>, Vec<u128>) {
    let (mut proofs, mut took_ms) = (Vec::new(), Vec::new());
    for number in numbers {
        let began = Instant::now();
        proofs.extend(commit_some(ledger, client, number..number + 1).await);
        took_ms.push(began.elapsed().as_millis());
    }
    (proofs, took_ms)
}

fn median(took_ms: &[u128]) -> u128 {
    let mut sorted = took_ms.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Votes that were under way when a quorum was lost may still commit something.
async fn height_at_rest(client: &Client) -> u64 {
    let mut last = client.height().await.unwrap().unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = client.height().await.unwrap().unwrap();
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the height still rises without a quorum: {last}");
}

/// Every validator proves the same transactions at the same places.
async fn all_agree(ledger: &Ledger, proven: &[TransactionProof]) {
    for at in 0..5 {
        let client = ledger.client(at).await;
        for before in proven {
            let expected = before.check(&ledger.made.trust).unwrap();
            let now = client.proof(expected.hash, COMMIT_WAIT).await;
            let now = now.unwrap_or_else(|error| {
                panic!("validator {at}: {error}\n{}", fs::read_to_string(ledger.log(at)).unwrap())
            });
            assert_eq!(now.check(&ledger.made.trust).unwrap(), expected, "validator {at}");
        }
    }
}

fn assert_data_folders_are_disjoint(ledger: &Ledger) {
    let mut folders: Vec<_> = (0..5).map(|at| ledger.config(at).data_dir.canonicalize().unwrap()).collect();
    folders.sort();
    assert!(folders.windows(2).all(|pair| !pair[1].starts_with(&pair[0])), "{folders:?}");
}

/// Goal: what may be written is what the edge box of an open session signs, in order, and nothing else; and a ledger
/// without work makes few blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_written_in_order_and_an_idle_ledger_is_quiet() {
    let ledger = Ledger::make(5).start_all();
    let client = ledger.client(1).await;
    let (session, edge) = (SessionId([7; 16]), key(2000));
    let early = ledger.sign(&edge, Event::Checkpoint(checkpoint(SessionId([8; 16]), None, 10)));
    assert_not_written(&client, &early, "is not open").await;
    ledger.open_session(&client, session, &edge).await;

    let first = checkpoint(session, None, 10);
    let second = checkpoint(session, Some(&first), 5);
    for sent in [first, second] {
        client.commit(&ledger.sign(&edge, Event::Checkpoint(sent)), COMMIT_WAIT).await.unwrap();
    }
    let forked = ledger.sign(&edge, Event::Checkpoint(checkpoint(session, Some(&first), 50)));
    assert_not_written(&client, &forked, "continues root").await;
    let stranger = ledger.sign(&key(3000), Event::Checkpoint(checkpoint(session, Some(&second), 5)));
    assert_not_written(&client, &stranger, "only the session's edge box").await;
    let mut altered = ledger.some_grant(1);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(matches!(client.submit(&altered).await, Err(ClientError::Refused(_))));

    let (before, used_before_ms) = (client.height().await.unwrap().unwrap(), processor_ms(&ledger));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let percent = (processor_ms(&ledger) - used_before_ms) / 40;
    println!("five idle validators take {percent} % of one core");
    assert!(percent < IDLE_PERCENT_MAX, "{percent} % of one core");
    let blocks = client.height().await.unwrap().unwrap() - before;
    assert!((1..=20).contains(&blocks), "{blocks} blocks in 4 s without work"); // unpaced it would be hundreds
}

/// Processor time that all validators took so far: fields 14 and 15 of /proc/PID/stat, in hundredths of a second.
fn processor_ms(ledger: &Ledger) -> u64 {
    let of_one = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1; // from field 3 on
        let ticks = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
        ticks.sum::<u64>() * 10
    };
    ledger.children.iter().flatten().map(|child| of_one(child.id())).sum()
}

async fn assert_not_written(client: &Client, transaction: &[u8], why: &str) {
    let answer = client.commit(transaction, Duration::from_secs(2)).await;
    let Err(ClientError::NotYet { why: said, .. }) = answer else { panic!("{answer:?}") };
    assert!(said.contains(why), "{said}");
}

/// Goal: a mistake in setting up gets an error that says what to do, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let four = Command::new(rig::BINARY)
        .args(["init", "--validators", "4", "--dir"])
        .arg(dir.path())
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&four.stderr).into_owned();
    assert!(!four.status.success() && said.contains("of four, one crash would stop it for ever"), "{said}");
    assert!(!out.exists());

    let mut ledger = Ledger::make(5);
    ledger.start(0);
    ledger.client(0).await;
    let again = run(&ledger, 0);
    assert!(again.contains("in use by another validator"), "{again}");
    let said = std::fs::read_to_string(&ledger.made.configs[1]).unwrap();
    let taken =
        said.replace(&ledger.config(1).peer_listen.to_string(), &ledger.config(0).peer_listen.to_string());
    fs::write(&ledger.made.configs[1], taken).unwrap();
    let port = run(&ledger, 1);
    assert!(port.contains("could not listen for validators"), "{port}");

    let other = Ledger::make(5);
    ledger.kill(0);
    let moved = fs::read_to_string(&other.made.configs[0]).unwrap();
    let data = |of: &Ledger| of.config(0).data_dir.display().to_string();
    fs::write(&other.made.configs[0], moved.replace(&data(&other), &data(&ledger))).unwrap();
    let foreign = run(&other, 0);
    assert!(foreign.contains("belongs to another ledger"), "{foreign}");
    assert!(status::read(dir.path()).unwrap_err().to_string().contains("farhand-validator run"));
}

/// Goal: four validators are no ledger, whoever made the file, and neither is a set that no validator of this version can
/// prove to follow from the first; each is refused with its reason.
#[test]
fn a_genesis_of_four_validators_or_of_a_later_epoch_is_refused() {
    let ledger = Ledger::make(5);
    let genesis = fs::read(&ledger.made.genesis).unwrap();
    let keys: Vec<_> = ledger.made.trust.validators().iter().map(|validator| validator.key.0).collect();
    let at = |key: &[u8; 32]| genesis.windows(32).position(|window| window == key).unwrap();
    let (first, last) = (at(&keys[0]), at(&keys[4]));
    let entry_bytes = at(&keys[1]) - first;
    let (list, entry) = (first - 4, last - 3); // an entry begins with array(2), bytes(32); the list with array(5)
    assert_eq!(genesis[list], 0x85);
    let mut four = [&genesis[..entry], &genesis[entry + entry_bytes..]].concat();
    four[list] = 0x84;
    let mut later = genesis.clone();
    assert_eq!(later.pop(), Some(0), "the epoch comes last");
    later.push(1);
    for (refused, why) in
        [(four, "4 validators, a ledger needs 5"), (later, "it begins with epoch 1, expected 0")]
    {
        fs::write(&ledger.made.genesis, refused).unwrap();
        let said = run(&ledger, 0);
        assert!(said.contains(why), "{said}");
    }
}

/// Goal: a validator whose disk takes no more says so and ends, and starts once there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_a_validator_loudly() {
    let mut ledger = Ledger::make(5);
    let limited = Command::new("bash")
        .args(["-c", "ulimit -f 64; exec \"$0\" run --config \"$1\""]) // 64 KiB
        .arg(rig::BINARY)
        .arg(&ledger.made.configs[0])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert_eq!(limited.status.code(), Some(1), "{said}");
    assert!(said.contains("could not open the store") && said.contains("File too large"), "{said}");
    ledger.start(0);
    ledger.client(0).await;
}

/// Goal: a validator whose disk fails under it says so and ends with the code for that; the others go on, and once there is
/// room it is back with everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_a_running_validator_loudly() {
    let mut ledger = Ledger::make(5).start_all();
    let first = ledger.client(0).await;
    let mut proven = commit_some(&ledger, &first, 0..2).await;
    let process = ledger.process(4, None).await.to_string();
    let limited = Command::new("prlimit").args(["--fsize=65536", "--pid", &process]).status().unwrap();
    assert!(limited.success());
    let status = ledger.ended(4).await;
    let said = fs::read_to_string(ledger.log(4)).unwrap();
    assert_eq!(status.code(), Some(74), "{said}");
    assert!(said.contains("the ledger's store could not write"), "{said}");
    proven.extend(commit_some(&ledger, &first, 2..4).await);
    ledger.start(4);
    all_agree(&ledger, &proven).await;
}

/// Goal: a replica whose thread panics is noticed, and its supervisor starts it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_panics_is_started_again() {
    let mut ledger = Ledger::make(5).start_all();
    let first = ledger.client(0).await;
    commit_some(&ledger, &first, 0..1).await;
    ledger.kill(4);
    let config = ledger.config(4);
    let mut store = config.open_store(&FaultSignal::default()).unwrap();
    let mut no_lock = <Store as KVStore>::WriteBatch::new();
    no_lock.delete(&variables::LOCKED_PC); // read at a proposal, and expected to be there
    store.write(no_lock);
    drop(store);

    ledger.supervise(4);
    ledger.says(4, "the algorithm thread of the replica ended").await;
    let said = ledger.says(4, "ended; is started again").await;
    assert!(said.contains("exit status: 75"), "{said}");
    let panicked = ledger.process(4, None).await;
    ledger.process(4, Some(panicked)).await;
}

/// Goal: a validator that hangs is killed and started again, so is one that was killed; told to stop it stops, and it
/// does not outlive its supervisor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_keeps_a_validator_running_and_takes_it_along() {
    let mut ledger = Ledger::make(5);
    ledger.supervise(0);
    let first = ledger.process(0, None).await;
    rig::signal(first, "STOP");
    let second = ledger.process(0, Some(first)).await;
    ledger.says(0, "wrote no status").await;
    rig::signal(second, "KILL");
    let third = ledger.process(0, Some(second)).await;
    rig::signal(ledger.children[0].as_ref().unwrap().id(), "TERM");
    assert!(ledger.ended(0).await.success());
    assert!(!runs(third));

    ledger.supervise(0);
    let fourth = ledger.process(0, Some(third)).await;
    ledger.kill(0);
    rig::until("the validator ends with its supervisor", || (!runs(fourth)).then_some(())).await;
}

/// Goal: when three of five die at once they begin a view after the one that the two others cannot leave, neither with a
/// quorum; the two notice and follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_behind_those_that_begin_again_follows() {
    let mut ledger = Ledger::make(5);
    (0..5).for_each(|at| ledger.supervise(at));
    let stays = ledger.client(4).await;
    commit_some(&ledger, &stays, 0..3).await;
    let view = |ledger: &Ledger, at: usize| status::read(&ledger.config(at).data_dir).unwrap().view;
    for at in 0..3 {
        ledger.kill(at);
    }
    tokio::time::sleep(Duration::from_secs(3)).await; // whatever was on its way has come
    let stood = [view(&ledger, 3), view(&ledger, 4)];
    for at in 0..3 {
        ledger.supervise(at);
    }
    let after = ledger.client(0).await;
    after.commit(&ledger.some_grant(9), COMMIT_WAIT).await.unwrap();
    println!("the two stood in views {stood:?}");
}

fn runs(process: u32) -> bool {
    fs::exists(format!("/proc/{process}")).unwrap()
}

/// Goal: a validator that was dead while others went on, and one that lost its folder and with it hundreds of blocks, catch
/// up from the others with every batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_gets_hundreds_of_blocks_with_every_batch() {
    let mut ledger = Ledger::make(5).start_all();
    let client = ledger.client(0).await;
    let mut numbers = 0..;
    write_to(&ledger, &client, &mut numbers, 10).await;
    ledger.kill(4);
    write_to(&ledger, &client, &mut numbers, 40).await; // each turn of the dead leader takes a second or two
    ledger.start(4);
    catches_up(&ledger, &client, 4).await;
    write_to(&ledger, &client, &mut numbers, 320).await;
    ledger.kill(3);
    ledger.wipe(3);
    ledger.start(3);
    catches_up(&ledger, &client, 3).await;
    for at in [4, 3] {
        ledger.kill(at);
        let batches = batches_held(&ledger, at);
        println!("validator {at} holds {batches} batches");
        assert!(batches > 50, "{batches}");
    }
}

/// Has work done until the ledger is that high.
async fn write_to(ledger: &Ledger, client: &Client, numbers: &mut impl Iterator<Item = u64>, height: u64) {
    while client.height().await.unwrap() < Some(height) {
        client.submit(&ledger.some_grant(numbers.next().unwrap())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn catches_up(ledger: &Ledger, client: &Client, at: usize) {
    let goal = client.height().await.unwrap();
    let (dir, began) = (ledger.config(at).data_dir, Instant::now());
    rig::until("a validator caught up", || status::read(&dir).ok().filter(|status| status.height >= goal))
        .await;
    println!("validator {at} caught up to height {goal:?} in {} ms", began.elapsed().as_millis());
}

/// How many batches the committed blocks of a stopped validator name; each of them is there.
fn batches_held(ledger: &Ledger, at: usize) -> usize {
    let config = ledger.config(at);
    let store = config.open_store(&FaultSignal::default()).unwrap();
    let (chain, height) = (store.look(), store.progress().borrow().height.unwrap());
    let root = |height| {
        let block = chain.block_at_height(BlockHeight::new(height)).unwrap().unwrap();
        chain.block_data_hash(&block).unwrap().unwrap().bytes()
    };
    let named = (0..=height).map(root).filter(|root| *root != merkle::empty_root().0);
    named.inspect(|root| assert!(store.batch(root).is_some(), "validator {at} lacks a batch")).count()
}

/// Goal: five organisations, each with a key that nobody else saw, found a ledger; one that comes late gets its whole history
/// from the others and takes part. A key that the genesis file does not name is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_organisations_found_a_ledger_and_one_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |at: usize| dir.path().join(format!("organisation-{at}"));
    let own: Vec<String> = (0..5).map(|at| command(&["join", "--dir", text(&folder(at))])).collect();
    let own: Vec<&str> = own.iter().map(|said| said.lines().next().unwrap()).collect();
    let hospital = DeviceKey::generate().unwrap();
    let client = DeviceKey::generate().unwrap();
    let genesis = dir.path().join("genesis.trust");
    let named: Vec<&str> = own.iter().flat_map(|key| ["--validator", *key]).collect();
    let hospital_id = hospital.id().to_string();
    let found = [&["genesis", "--hospital", &hospital_id, "--out", text(&genesis)], &named[..]].concat();
    command(&found);
    let ports = make_local_ledger(&rig::plan(&dir, 5)).unwrap(); // knows of free ones
    let listen: Vec<_> = ports.configs.iter().map(|path| ValidatorConfig::load(path).unwrap()).collect();
    let set_up = |at: usize, folder: &Path| {
        let others = (0..5).filter(|other| *other != at);
        let peers: Vec<String> =
            others.map(|other| format!("--peer={}@{}", own[other], listen[other].peer_listen)).collect();
        let mine = [
            format!("--peer-listen={}", listen[at].peer_listen),
            format!("--client-listen={}", listen[at].client_listen),
        ];
        let fixed = ["join", "--dir", text(folder), "--genesis", text(&genesis)];
        Command::new(rig::BINARY).args(fixed).args(peers).args(mine).output().unwrap()
    };
    let stranger = set_up(4, &dir.path().join("stranger"));
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && said.contains("is not among the validators"), "{said}");
    assert!(!dir.path().join("stranger/validator.toml").exists());

    let trust = TrustRoot::read(&fs::read(&genesis).unwrap()).unwrap();
    let configs: Vec<PathBuf> = (0..5).map(|at| folder(at).join("validator.toml")).collect();
    let made = LocalLedger { trust, genesis: genesis.clone(), hospital, client, configs, ..ports };
    for (at, config) in made.configs.iter().enumerate() {
        assert!(set_up(at, &folder(at)).status.success());
        let mut file: ConfigFile = toml::from_str(&fs::read_to_string(config).unwrap()).unwrap();
        file.clients.push(ClientEntry { key: made.client.id().to_string(), role: ClientRole::Cloud });
        fs::write(config, toml::to_string(&file).unwrap()).unwrap();
    }
    let ids = own.iter().map(|key| key.parse().unwrap());
    let client_addrs = ids.zip(listen.iter().map(|config| config.client_listen)).collect();
    let made = LocalLedger { client_addrs, ..made };
    let mut ledger = Ledger { dir, made, children: (0..5).map(|_| None).collect() };
    (0..4).for_each(|at| ledger.supervise(at));
    let first = ledger.client(0).await;
    let mut proven = commit_some(&ledger, &first, 0..8).await;
    ledger.supervise(4);
    let late = ledger.client(4).await;
    proven.extend(commit_some(&ledger, &late, 8..9).await);
    all_agree(&ledger, &proven).await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn command(arguments: &[&str]) -> String {
    let done = Command::new(rig::BINARY).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn run(ledger: &Ledger, at: usize) -> String {
    let done =
        Command::new(rig::BINARY).args(["run", "--config"]).arg(&ledger.made.configs[at]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    String::from_utf8_lossy(&done.stderr).into_owned()
}
