//! Figures, to be read and not to decide anything: `cargo test --release -p farhand-record -- --ignored figures --nocapture`.

use std::time::{Duration, Instant};

use farhand_record::{RecordOptions, Recorded};
use farhand_wire::EdgeTick;
use hdrhistogram::Histogram;

use crate::theatre::{TOKEN, Theatre, command, mark, opened};

const ENTRIES: u64 = 150_000;
const PACED: u64 = 2500;

/// How many commands become durable a second, and how long one takes at 500 a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "figures"]
async fn figures() {
    let folder = tempfile::tempdir_in(std::env::var("FARHAND_BENCH_DIR").unwrap_or(".".to_owned())).unwrap();
    let opened = opened();
    let mut theatre = Theatre::open(folder.path(), &opened, RecordOptions::default()).unwrap();
    theatre.begin();
    theatre.command(1, 0);
    theatre.durable(mark(1, 0)).await;
    let commands: Vec<Vec<u8>> = (2..ENTRIES + 2).map(|sequence| command(TOKEN, sequence, 0)).collect();
    let began = Instant::now();
    for (at, frame) in commands.iter().enumerate() {
        theatre.recorder.record(EdgeTick(2_000_000 + at as u64), Recorded::Command { frame });
    }
    let queued = began.elapsed();
    theatre.durable(mark(ENTRIES + 1, 0)).await;
    let rate = ENTRIES as f64 / began.elapsed().as_secs_f64();
    println!("queued in {queued:?}; entries_per_s {rate:.0}");

    let mut took = Histogram::<u64>::new_with_max(60_000_000, 3).unwrap();
    let mut marks = theatre.recorder.watermark();
    for sequence in ENTRIES + 2..ENTRIES + 2 + PACED {
        let frame = command(TOKEN, sequence, 0);
        let began = Instant::now();
        theatre.recorder.record(EdgeTick(10_000_000 + sequence), Recorded::Command { frame: &frame });
        marks.wait_for(|mark| mark.newest.0 >= sequence).await.unwrap();
        took.saturating_record(began.elapsed().as_micros() as u64);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let ms = |quantile| took.value_at_quantile(quantile) as f64 / 1000.0;
    println!("append_ms_p50 {} append_ms_p99 {} append_ms_max {}", ms(0.5), ms(0.99), ms(1.0));
}
