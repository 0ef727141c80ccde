//! Disks that are full, and that come back.

use std::{
    io::{self, BufRead, BufReader},
    process::{Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use farhand_ledger::verify::{Problem, Verdict};
use farhand_record::{FileStore, Part, QueueLimits, RecordOptions, Recorded, Store};

use crate::{
    sealing::verified,
    theatre::{Theatre, mark, opened},
};

const ENOSPC: i32 = 28;

/// Writes half of what it is given while it is full, and says so.
struct FillsUp {
    files: FileStore,
    full: Arc<AtomicBool>,
    writes_refused: Arc<AtomicU32>,
}

impl Store for FillsUp {
    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            self.files.write(part, at, &bytes[..bytes.len() / 2])?;
            self.writes_refused.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.files.write(part, at, bytes)
    }

    fn sync(&mut self, part: Part) -> io::Result<()> {
        self.files.sync(part)
    }
}

/// The options, whether the disk is full, and how many writes it refused.
fn over_a_disk_that_fills_up(options: RecordOptions) -> (RecordOptions, Arc<AtomicBool>, Arc<AtomicU32>) {
    let (full, writes_refused) = <(Arc<AtomicBool>, Arc<AtomicU32>)>::default();
    let same = (Arc::clone(&full), Arc::clone(&writes_refused));
    let store = Box::new(move |files| {
        Box::new(FillsUp { files, full: same.0, writes_refused: same.1 }) as Box<dyn Store>
    });
    (RecordOptions { store, ..options }, full, writes_refused)
}

/// Goal: while the disk is full the watermark stands still and the health says why; when there is room again, all that came
/// meanwhile becomes durable, and the session holds without a gap.
#[tokio::test]
async fn a_full_disk_stops_the_watermark_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let options = RecordOptions { ledger: Some(opened.ledger.clone()), ..RecordOptions::default() };
    let (options, full, writes_refused) = over_a_disk_that_fills_up(options);
    let mut theatre = Theatre::open(folder.path(), &opened, options).unwrap();
    theatre.begin();
    theatre.work(0);
    theatre.healthy(|health| health.leaves == 18).await; // all of it, and a clock leaf
    full.store(true, Ordering::SeqCst);
    theatre.command(6, 3);
    theatre.surgeon_lists(&[(6, 3)]);
    let health = theatre.healthy(|health| health.behind.is_some()).await;
    assert!(health.behind.unwrap().contains("No space left on device"));
    theatre.frame(4);
    let refused = writes_refused.load(Ordering::SeqCst);
    while writes_refused.load(Ordering::SeqCst) < refused + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = *theatre.recorder.watermark().borrow();
    full.store(false, Ordering::SeqCst);
    assert_eq!(told, mark(4, 1));
    theatre.durable(mark(6, 2)).await;
    theatre.healthy(|health| health.behind.is_none()).await;
    let bundle = theatre.record.seal("done").await.unwrap();
    let report = verified(&bundle, &opened.ledger.trust()).report;
    let others =
        report.findings.iter().filter(|finding| !matches!(finding.problem, Problem::LostToKit { .. }));
    assert_eq!((report.verdict, others.count()), (Verdict::Holds, 0), "{:?}", report.findings);
}

/// Goal: what finds no room in the queue is declared missing as soon as there is room, pictures give way first, and the session
/// holds with those gaps in it.
#[tokio::test]
async fn what_found_no_room_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    let opened = opened();
    let limits = QueueLimits { bulk_bytes_max: 20_000, bytes_max: 60_000 };
    let options = RecordOptions { ledger: Some(opened.ledger.clone()), limits, ..RecordOptions::default() };
    let (options, full, _) = over_a_disk_that_fills_up(options);
    let mut theatre = Theatre::open(folder.path(), &opened, options).unwrap();
    theatre.begin();
    theatre.work(0);
    theatre.durable(mark(4, 1)).await;
    full.store(true, Ordering::SeqCst);
    theatre.kit_state();
    theatre.healthy(|health| health.behind.is_some()).await;
    (4..24).for_each(|number| theatre.frame(number));
    (6..200).for_each(|sequence| theatre.command(sequence, 3));
    (24..30).for_each(|number| theatre.frame(number));
    full.store(false, Ordering::SeqCst);
    let health = theatre.healthy(|health| health.behind.is_none() && health.queued_bytes == 0).await;
    assert!(health.lost > 60, "{health:?}");
    theatre.frame(30);
    theatre.command(200, 30);
    theatre.durable(mark(200, 1)).await;
    let rest: Vec<(u64, u64)> = (6..200).map(|sequence| (sequence, 3)).chain([(200, 30)]).collect();
    theatre.surgeon_lists(&rest);
    let bundle = theatre.record.seal("done").await.unwrap();
    let verified = verified(&bundle, &opened.ledger.trust());
    let report = &verified.report;
    assert_eq!(report.verdict, Verdict::Holds, "{:?}", report.findings);
    let gaps =
        report.findings.iter().filter(|finding| matches!(finding.problem, Problem::Gap { .. })).count();
    let lost = |problem: &Problem| matches!(problem, Problem::LostToEdge { .. } | Problem::LostToKit { .. });
    let lost = report.findings.iter().filter(|finding| lost(&finding.problem)).count();
    assert_eq!(gaps + lost, report.findings.len(), "{:?}", report.findings);
    assert!(gaps >= 2 && verified.pictures_left_out > 0 && verified.faults.is_empty());
    assert_eq!(report.commands.lost_to_edge, 200 - bundle.commands);
}

/// Goal: under a real limit of the system, which refuses to let the log grow, a process acknowledges nothing more and says so;
/// another one without the limit finds all that was acknowledged, and goes on.
#[tokio::test]
async fn a_real_limit_on_file_size_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    // In blocks of 512 or 1024 bytes, by shell: the opening alone has some 20 KB.
    let shell = "trap '' XFSZ; ulimit -f 256; exec \"$0\" --exact disk::child_until_the_disk_is_full --ignored --nocapture";
    let mut child = Process::new("sh")
        .args(["-c", shell])
        .arg(exe)
        .env("FARHAND_RECORD_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.filter(|line| line.contains("behind at")).collect();
    child.wait().unwrap();
    let (newest, why) = said[0].split_once("behind at ").unwrap().1.split_once(": ").unwrap();
    assert!(why.contains("File too large"), "{why}");
    let newest: u64 = newest.parse().unwrap();
    assert!(newest > 10);

    let opened = opened();
    let theatre = Theatre::with_ledger(folder.path(), &opened);
    let found = theatre.recorder.watermark().borrow().newest.0;
    assert!(found >= newest, "{found} < {newest}");
    let bundle = theatre.record.seal("done").await.unwrap();
    assert_eq!(bundle.commands, found);
}

/// Not a test by itself: what the one above runs under a limit.
#[tokio::test]
#[ignore = "run by another test"]
async fn child_until_the_disk_is_full() {
    let Some(folder) = std::env::var_os("FARHAND_RECORD_FOLDER") else { return };
    let opened = opened();
    let mut theatre = Theatre::open(folder.as_ref(), &opened, RecordOptions::default()).unwrap();
    theatre.begin();
    let (health, watermark) = (theatre.recorder.health(), theatre.recorder.watermark());
    for sequence in 1.. {
        theatre.command(sequence, 0);
        theatre.record(Recorded::Switch { what: "console", on: true, reason: "still here" });
        while watermark.borrow().newest.0 < sequence {
            if let Some(why) = health.borrow().behind.as_ref() {
                println!("behind at {}: {why}", watermark.borrow().newest);
                std::process::exit(0);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
