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
    process::Command,
    time::{Duration, Instant},
};

use farhand_ledger::{Event, Hash, TransactionProof};
use farhand_submit::{Client, ClientError};
use farhand_validator::status;
use farhand_wire::SessionId;
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
        [(four, "4 validators, a ledger needs 5"), (later, "epoch 1, this version knows only 0")]
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

fn run(ledger: &Ledger, at: usize) -> String {
    let done =
        Command::new(rig::BINARY).args(["run", "--config"]).arg(&ledger.made.configs[at]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    String::from_utf8_lossy(&done.stderr).into_owned()
}
