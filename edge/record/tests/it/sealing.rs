//! A session from its opening to its bundle.

use std::{fs::File, path::Path};

use farhand_bundle::Reader;
use farhand_ledger::{
    LOG_HEAD_BYTES, SessionLog, TrustRoot,
    verify::{Problem, Verdict},
};
use farhand_record::{Record, RecordError, RecordOptions, Recorded, SealedBundle};
use farhand_wire::{EdgeTick, LeaseToken, Said};

use crate::theatre::{BEDSIDE, SESSION, SESSION_KEY, TOKEN, Theatre, command, config, mark, opened, public};

/// What a verifier who holds the trust root says of the bundle.
/// That every fifth command was lost on its way, as it was made to be, is no finding here.
pub fn verified(bundle: &SealedBundle, trust: &TrustRoot) -> farhand_bundle::Verified {
    let reader = Reader::open(File::open(&bundle.path).unwrap()).unwrap();
    let mut verified = farhand_bundle::verify(&reader, Some(trust)).unwrap();
    verified.report.findings.retain(|finding| !matches!(finding.problem, Problem::LostToEdge { .. }));
    verified
}

/// Goal: a whole session that was recorded and sealed holds, without a single finding, pictures and all, for whoever
/// trusts the ledger.
#[tokio::test]
async fn a_recorded_session_holds() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    (0..4).for_each(|tenth| theatre.work(tenth));
    theatre.durable(mark(19, 4)).await;
    theatre.say(BEDSIDE, Said::Close {});
    let bundle = theatre.record.seal("done").await.unwrap();

    let verified = verified(&bundle, &opened.ledger.trust());
    assert_eq!(verified.report.findings, []);
    assert_eq!((verified.verdict(), &verified.faults[..]), (Verdict::Holds, &[][..]));
    assert_eq!((bundle.commands, bundle.frames, verified.pictures), (16, 12, 12));
    assert_eq!((bundle.leaves, bundle.bytes), (verified.report.leaves, verified.bytes));
    let counts = &verified.report.counts;
    assert_eq!((counts.commands, counts.statements, counts.kit_segments), (16, 5, 4));
    assert_eq!((verified.report.commands.lost_to_edge, verified.report.frames_confirmed), (4, 12));
    assert!(verified.report.checkpoints > 0 && verified.report.time.is_some());
    assert!(!bundle.path.with_extension("mcap.part").exists());
}

/// Goal: the file on disk is the log that the evidence format describes, as its own reader sees it, up to the last checkpoint.
#[tokio::test]
async fn the_log_on_disk_is_in_the_evidence_format() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    let bundle = theatre.record.seal("done").await.unwrap();
    let file = std::fs::read(log_of(folder.path())).unwrap();
    let newest = opened.ledger.newest(SESSION).unwrap();
    let recovered = SessionLog::recover(&file, Some(&newest)).unwrap();
    assert_eq!((recovered.valid_bytes, recovered.torn), (file.len(), None));
    assert_eq!((recovered.log.size(), recovered.log.root()), (bundle.leaves, newest.root));
    assert_eq!(file[..LOG_HEAD_BYTES], SessionLog::new(SESSION).head());
}

pub fn log_of(folder: &Path) -> std::path::PathBuf {
    folder.join(SESSION.to_string()).join("log")
}

/// Goal: what would keep the session from holding is refused and named, and the session holds.
#[tokio::test]
async fn what_may_not_be_in_the_log_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.command(1, 0);
    theatre.begin();
    theatre.work(0);
    theatre.say(77, Said::Disarm {});
    theatre.record(Recorded::Command { frame: &command(LeaseToken(99), 1, 1) });
    theatre.record(Recorded::Command { frame: b"nonsense" });
    theatre.record(Recorded::Opened { evidence: b"other evidence" });
    theatre.record(Recorded::KitSegment { signed: b"unsigned" });
    // Sent again, as after a connection that was lost: nothing is wrong with that.
    theatre.command(1, 3);
    theatre.frame(1);
    let health = theatre.healthy(|health| health.refused == 6).await;
    assert!(health.refusal.unwrap().contains("kit segment"));
    let bundle = theatre.record.seal("done").await.unwrap();
    let verified = verified(&bundle, &opened.ledger.trust());
    assert_eq!((verified.report.findings, verified.report.verdict), (vec![], Verdict::Holds));
}

/// Goal: segments that never came are declared missing before those that follow them.
#[tokio::test]
async fn a_missing_segment_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.display_reports([1].into_iter());
    let lost = theatre.kit_segment(&[]);
    drop(lost);
    theatre.work(1);
    let bundle = theatre.record.seal("done").await.unwrap();
    let report = verified(&bundle, &opened.ledger.trust()).report;
    let gaps = report
        .findings
        .iter()
        .filter(|finding| matches!(finding.problem, Problem::Gap { first: 2, last: 2, .. }));
    assert_eq!(gaps.count(), 1, "{:?}", report.findings);
    assert!(!report.findings.iter().any(|finding| matches!(finding.problem, Problem::Chain { .. })));
}

/// Goal: the watermark names the newest token's commands, and the segments of whoever holds it.
#[tokio::test]
async fn the_watermark_follows_the_newest_token() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    assert_eq!(theatre.recorder.watermark().borrow().token, LeaseToken(0));
    theatre.begin();
    theatre.work(0);
    theatre.durable(mark(4, 1)).await;
    let next = LeaseToken(TOKEN.0 + 1);
    theatre.grant(next);
    theatre.record(Recorded::Command { frame: &command(next, 1, 3) });
    theatre.durable(farhand_wire::Watermark { token: next, ..mark(1, 1) }).await;
}

/// Goal: without a ledger the session is recorded, says how far checkpoints lag, and is sealed when there is one.
#[tokio::test]
async fn a_session_without_a_ledger_is_sealed_later() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::open(folder.path(), &opened, RecordOptions::default()).unwrap();
    theatre.begin();
    theatre.work(0);
    theatre.durable(mark(4, 1)).await;
    let health = theatre.healthy(|health| health.leaves > 0).await;
    assert_eq!((health.anchored, health.unanchored()), (0, health.leaves));
    assert!(matches!(theatre.record.seal("done").await, Err(RecordError::NoLedger)));
    let theatre = Theatre::with_ledger(folder.path(), &opened);
    let bundle = theatre.record.seal("this reason comes too late").await.unwrap();
    let report = verified(&bundle, &opened.ledger.trust()).report;
    assert_eq!((report.verdict, &report.counts.reason[..]), (Verdict::Holds, "done"));
}

/// Goal: checkpoints wait out a ledger that can't be reached, and then continue each other; the watermark does not wait.
#[tokio::test]
async fn an_unreachable_ledger_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    opened.ledger.set_reachable(false);
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.durable(mark(4, 1)).await;
    let health = theatre.healthy(|health| health.ledger.is_some()).await;
    assert_eq!(health.anchored, 0);
    opened.ledger.set_reachable(true);
    theatre.work(1);
    theatre
        .healthy(|health| health.ledger.is_none() && health.unanchored() == 0 && health.anchored > 20)
        .await;
    let bundle = theatre.record.seal("done").await.unwrap();
    assert_eq!(verified(&bundle, &opened.ledger.trust()).report.findings, []);
}

/// Goal: a seal that the ledger does not answer says so, and is done again after the record was opened again.
#[tokio::test]
async fn a_seal_that_was_not_committed_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    opened.ledger.set_reachable(false);
    let options = RecordOptions {
        ledger: Some(opened.ledger.clone()),
        seal_wait: std::time::Duration::from_millis(50),
        ..RecordOptions::default()
    };
    let mut theatre = Theatre::open(folder.path(), &opened, options).unwrap();
    theatre.begin();
    theatre.work(0);
    let failed = theatre.record.seal("done").await.unwrap_err();
    assert!(matches!(failed, RecordError::NotAnchored { .. }), "{failed}");
    opened.ledger.set_reachable(true);
    for _ in 0..2 {
        let theatre = Theatre::with_ledger(folder.path(), &opened);
        let bundle = theatre.record.seal("done").await.unwrap();
        assert_eq!(verified(&bundle, &opened.ledger.trust()).report.findings, []);
    }
}

/// Goal: one session has one record at a time, and a session of another key is not begun.
#[tokio::test]
async fn a_record_is_one_sessions_and_one_processs() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let theatre = Theatre::with_ledger(folder.path(), &opened);
    let again = Record::open(config(folder.path(), opened.ledger.trust()), SESSION);
    assert!(matches!(again, Err(RecordError::InUse { session: SESSION })));
    drop(theatre);
    let mut other = config(folder.path(), opened.ledger.trust());
    other.session_key = crate::theatre::key(SESSION_KEY);
    let (recorder, record) = Record::open(other, SESSION).unwrap();
    recorder.record(EdgeTick(1), Recorded::Opened { evidence: &opened.evidence });
    let mut health = recorder.health();
    let refusal = health.wait_for(|health| health.refused == 1).await.unwrap().refusal.clone().unwrap();
    assert!(refusal.contains(&public(SESSION_KEY).to_string()), "{refusal}");
    assert!(matches!(record.seal("done").await, Err(RecordError::Empty)));
}
