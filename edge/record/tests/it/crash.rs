//! Processes that are killed while they record.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command as Process, Stdio},
    time::Duration,
};

use farhand_ledger::{Records, What};
use farhand_record::RecordOptions;
use farhand_wire::{Command, LeaseToken};

use crate::{
    sealing::log_of,
    theatre::{SESSION, Theatre, opened},
};

/// Commands that the child has on their way to the disk.
const AHEAD_MAX: u64 = 200;

/// Sessions, and how often each one's process is killed.
const SESSIONS: u64 = 10;
const KILLS: u64 = 20;
/// It is killed within this time of having said that something is durable.
const WITHIN_US: u64 = 20_000;

/// Goal: a process that is killed at any moment has lost nothing that it said was durable, and the next one goes on: two
/// hundred random moments.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let mut rng = fastrand::Rng::with_seed(11);
    for session in 0..SESSIONS {
        let folder = tempfile::tempdir().unwrap();
        let mut before = 0;
        for kill in 0..KILLS {
            let acknowledged = live_and_die(folder.path(), Duration::from_micros(rng.u64(..WITHIN_US)));
            let recorded = commands(folder.path());
            let in_order = recorded.iter().copied().eq(1..=recorded.len() as u64);
            assert!(in_order, "session {session}, kill {kill}: each once, in order, without holes");
            let on_disk = recorded.len() as u64;
            assert!(on_disk >= acknowledged, "session {session}, kill {kill}: {on_disk} < {acknowledged}");
            assert!(acknowledged > before, "session {session}, kill {kill}: nothing was added");
            before = on_disk;
        }
    }
}

/// Records in a process of its own until it is killed, and returns the last command that it called durable.
fn live_and_die(folder: &std::path::Path, after: Duration) -> u64 {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_until_it_is_killed", "--ignored", "--nocapture"])
        .env("FARHAND_RECORD_FOLDER", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut durable = lines.filter_map(|line| line.split_once("durable ")?.1.parse::<u64>().ok());
    let first = durable.next().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let acknowledged = durable.last().unwrap_or(first);
    child.wait().unwrap();
    acknowledged
}

/// Sequences of the commands that are on disk.
fn commands(folder: &std::path::Path) -> Vec<u64> {
    let file = std::fs::read(log_of(folder)).unwrap();
    let records = Records::new(&file).unwrap();
    assert_eq!(records.session(), SESSION);
    let command = |what: What| match what {
        What::Command { frame } => Some(Command::read(&frame).unwrap().sequence.0),
        _ => None,
    };
    records.filter_map(|(entry, _)| command(entry.what)).collect()
}

/// Not a test by itself: what the one above kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn child_until_it_is_killed() {
    let Some(folder) = std::env::var_os("FARHAND_RECORD_FOLDER") else { return };
    let opened = opened();
    let mut theatre = Theatre::open(folder.as_ref(), &opened, RecordOptions::default()).unwrap();
    let mut marks = theatre.recorder.watermark();
    let found = *marks.borrow_and_update();
    if found.token == LeaseToken(0) {
        theatre.begin();
    }
    for sequence in found.newest.0 + 1.. {
        theatre.command(sequence, 0);
        if marks.has_changed().unwrap() {
            println!("durable {}", marks.borrow_and_update().newest);
            std::io::stdout().flush().unwrap();
        }
        // Never so far ahead of the disk that the queue is full.
        while sequence > marks.borrow().newest.0 + AHEAD_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
