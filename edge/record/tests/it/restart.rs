//! The edge box's program ends in the middle of a session, and starts again.

use std::fs;

use farhand_ledger::{
    BadLog, Numbered,
    verify::{Problem, Verdict},
};
use farhand_record::{Record, RecordError, left_over};

use crate::{
    sealing::{log_of, verified},
    theatre::{SESSION, Theatre, config, mark, opened},
};

/// Goal: after a restart the session goes on, and holds: the record says that there was one, what the kit judged and the log
/// lost is declared, frames go on behind those that may have been shown, and clocks may begin anew.
#[tokio::test]
async fn a_session_goes_on_after_a_restart_and_holds() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.work(1);
    theatre.durable(mark(9, 2)).await;
    let mut theatre = theatre.restart(folder.path(), &opened);
    assert_eq!(*theatre.recorder.watermark().borrow(), mark(9, 2));
    // Commands 11 and 12 were relayed at the last moment, and frames 7 and 8 shown.
    theatre.kit_judges(&[11, 12]);
    theatre.display_reports([7, 8].into_iter());
    let first = theatre.record.next_frame().0;
    theatre.frame(first);
    theatre.command(13, first);
    theatre.surgeon_lists(&[(11, 6), (12, 6), (13, first)]);
    theatre.kit_judges(&[13]);
    theatre.display_reports([first].into_iter());
    theatre.durable(mark(13, 3)).await;
    let health = theatre.healthy(|health| health.refused == 1).await;
    assert!(health.refusal.unwrap().contains("frame 7"));
    let bundle = theatre.record.seal("done").await.unwrap();
    let report = verified(&bundle, &opened.ledger.trust()).report;
    assert_eq!(report.verdict, Verdict::Holds, "{:?}", report.findings);
    let gap = |of, first, last| {
        let is = |problem: &Problem| matches!(problem, Problem::Gap { of: o, first: f, last: l, .. } if (*o, *f, *l) == (of, first, last));
        report.findings.iter().filter(|finding| is(&finding.problem)).count()
    };
    assert_eq!(gap(Numbered::Commands, 10, 12), 1, "{:?}", report.findings);
    assert_eq!((gap(Numbered::Frames, 7, first - 1), gap(Numbered::DisplayReports, 3, 3)), (1, 1));
    assert!(report.findings.iter().any(|finding| matches!(finding.problem, Problem::Restarted { .. })));
    assert_eq!(report.findings.len(), 4);
}

/// Goal: wherever a crash tore the log, it is cut there and goes on, pictures with it, and the session holds.
#[tokio::test]
async fn a_torn_log_is_cut_and_goes_on() {
    for torn_bytes in [1, 9, 30, 500, 3000] {
        let folder = tempfile::tempdir().unwrap();
        let opened = opened();
        let mut theatre = Theatre::open(folder.path(), &opened, Default::default()).unwrap();
        theatre.begin();
        theatre.work(0);
        theatre.durable(mark(4, 1)).await;
        drop(theatre);
        let file = fs::OpenOptions::new().write(true).open(log_of(folder.path())).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - torn_bytes).unwrap();

        let theatre = Theatre::with_ledger(folder.path(), &opened);
        let frame = theatre.record.next_frame().0;
        let mut theatre = theatre;
        theatre.frame(frame);
        let bundle = theatre.record.seal("done").await.unwrap();
        let verified = verified(&bundle, &opened.ledger.trust());
        assert_eq!(verified.faults, [], "{torn_bytes}");
        assert_eq!(verified.pictures_left_out, 0, "{torn_bytes}");
        let torn =
            |problem: &Problem| matches!(problem, Problem::Restarted { reason } if reason.contains("torn"));
        assert_eq!(verified.report.findings.iter().filter(|finding| torn(&finding.problem)).count(), 1);
    }
}

/// Goal: a log that lacks what a checkpoint said it holds is not gone on with as if nothing had happened.
#[tokio::test]
async fn a_log_that_lost_what_was_signed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.healthy(|health| health.leaves > 10 && health.unanchored() == 0).await;
    drop(theatre);
    let file = fs::OpenOptions::new().write(true).open(log_of(folder.path())).unwrap();
    // More than what may have come after the last checkpoint.
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let again = Record::open(config(folder.path(), opened.ledger.trust()), SESSION);
    assert!(matches!(again, Err(RecordError::Log(BadLog::Lost { .. }))));
}

/// Goal: a record that nobody sealed is found, is told from a closed one, and can be sealed by whoever comes: the restart is
/// said, the time is known, and the bundle holds. What has a bundle is not found, nor is what is no record.
#[tokio::test]
async fn a_record_left_over_is_found_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    fs::create_dir(folder.path().join("not a session")).unwrap();
    fs::create_dir(folder.path().join("00".repeat(16))).unwrap();
    let found = || left_over(folder.path()).unwrap();
    assert_eq!(found(), []);
    let mut theatre = Theatre::with_ledger(folder.path(), &opened);
    theatre.begin();
    theatre.work(0);
    theatre.durable(mark(4, 1)).await;
    drop(theatre);
    assert_eq!(
        found().iter().map(|left| (left.session, left.closed)).collect::<Vec<_>>(),
        [(SESSION, false)]
    );

    let theatre = Theatre::open(folder.path(), &opened, Default::default()).unwrap();
    assert!(matches!(theatre.record.seal("left over").await, Err(RecordError::NoLedger)));
    assert_eq!(found().iter().map(|left| (left.session, left.closed)).collect::<Vec<_>>(), [(SESSION, true)]);

    let theatre = Theatre::with_ledger(folder.path(), &opened);
    let bundle = theatre.record.seal("again").await.unwrap();
    assert_eq!(found(), []);
    let report = verified(&bundle, &opened.ledger.trust()).report;
    assert_eq!(report.verdict, Verdict::Holds, "{:?}", report.findings);
    let said =
        |is: fn(&Problem) -> bool| report.findings.iter().filter(|finding| is(&finding.problem)).count();
    assert_eq!(said(|problem| matches!(problem, Problem::Restarted { .. })), 1);
}
