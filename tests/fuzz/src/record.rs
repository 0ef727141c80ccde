//! The record on the edge box's disk.

use farhand_record::{Record, RecordConfig};

use crate::{
    ledger::log_of,
    stage::{SESSION, folder, key, pieces, put, trust},
};

const FILES: [&str; 4] = ["log", "frames.bin", "checkpoints.bin", "proofs.bin"];

/// Files as a crash may leave them, each as it came or of records whose checks are right: the record opens or says why,
/// and what has opened once opens again with no fewer leaves.
pub(crate) fn open(bytes: &[u8]) {
    let folder = folder(&[]);
    let inside = folder.path().join(SESSION.to_string());
    std::fs::create_dir(&inside).expect("a folder in a new folder");
    for ((how, content), name) in pieces(bytes).zip(FILES) {
        let whole = if name == "log" { log_of } else { journal_of };
        put(&inside.join(name), &if how % 2 == 0 { content.to_vec() } else { whole(content) });
    }
    let config = RecordConfig {
        folder: folder.path().to_owned(),
        session_key: key(4),
        trust: trust().clone(),
        ledger: None,
        software: vec![],
    };
    let leaves = |opened: (farhand_record::Recorder, Record)| opened.0.health().borrow().leaves;
    if let Ok(first) = Record::open(config.clone(), SESSION).map(leaves) {
        let again = Record::open(config, SESSION).map(leaves);
        assert!(again.as_ref().is_ok_and(|again| *again >= first), "{first} leaves, then {again:?}");
    }
}

fn journal_of(bytes: &[u8]) -> Vec<u8> {
    let record = |(_, record): (u8, &[u8])| {
        let check = farhand_ledger::Hash::of(record).0;
        [&(record.len() as u32).to_le_bytes(), &check[..8], record].concat()
    };
    pieces(bytes).flat_map(record).collect()
}
