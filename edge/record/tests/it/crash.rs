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

/// Goal: a process that is killed at any moment has lost nothing that it said was durable, and the next one goes on.
#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for run in 0..8 {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_until_it_is_killed", "--ignored", "--nocapture"])
            .env("FARHAND_RECORD_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut durable = lines.filter_map(|line| line.split_once("durable ")?.1.parse::<u64>().ok());
        acknowledged = durable.nth(1 + run * 3).unwrap();
        child.kill().unwrap();
        acknowledged = durable.last().unwrap_or(acknowledged);
        child.wait().unwrap();
        let recorded = commands(folder.path());
        let in_order = recorded.iter().copied().eq(1..=recorded.len() as u64);
        assert!(in_order, "run {run}: each once, in order, without holes");
        assert!(recorded.len() as u64 >= acknowledged, "run {run}: {} < {acknowledged}", recorded.len());
    }
    assert!(acknowledged > 8);
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
