//! What the record holds up to, and what recording costs whoever hands something over.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use farhand_ledger::{Utc, five_keys::FiveKeys};
use farhand_record::{Record, RecordConfig, RecordOptions, Recorded, Recorder};
use farhand_wire::EdgeTick;

use super::{
    Bar, Figure, Measured,
    made_up::{Cast, TOKEN},
    percentile_ms,
};

/// Handed over a second, in bunches of a millisecond's worth.
const ENTRIES_PER_S: u64 = 20_000;
const BUNCH: u64 = 20;
const SECONDS: u64 = 20;
const BEGAN_US: u64 = 1_000_000;

/// Twenty thousand commands a second for twenty seconds onto a real disk; then as many as fit.
pub(super) async fn log() -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir_in(".").context("no room for a record in this folder")?;
    let cast = Cast::new(2);
    let mut keys = FiveKeys::new([4; 32]);
    let evidence = cast.open(&mut keys, utc_now())?;
    let config = RecordConfig {
        folder: folder.path().to_owned(),
        session_key: cast.edge.clone(),
        trust: keys.trust().clone(),
        ledger: None,
        software: Vec::new(),
    };
    let (recorder, record) = Record::open_with(config, cast.session, RecordOptions::default())?;
    recorder.record(EdgeTick(BEGAN_US), Recorded::Opened { evidence: &evidence });
    for signed in cast.first_statements() {
        recorder.record(EdgeTick(BEGAN_US), Recorded::Statement { signed: &signed });
    }
    let recorder = Arc::new(recorder);
    let paced = paced(&recorder, &cast).await?;
    let entries_per_s = flat_out(&recorder, &cast, ENTRIES_PER_S * SECONDS + 1).await?;
    drop(record);
    let at = |sorted: &[u64], share| percentile_ms(sorted, share);
    Ok(Measured {
        figures: vec![
            Figure { name: "append_ms_p50", value: at(&paced.durable_us, 0.50), bar: None },
            Figure { name: "append_ms_p99", value: at(&paced.durable_us, 0.99), bar: Some(Bar::AtMost(5.0)) },
            Figure { name: "hand_over_us_p99", value: at(&paced.handed_ns, 0.99), bar: None },
            Figure { name: "entries_per_s", value: entries_per_s, bar: Some(Bar::AtLeast(20_000.0)) },
        ],
        load: format!(
            "append: {ENTRIES_PER_S} commands a second for {SECONDS} s, each hashed, and durable (fsync) when it counts; \
             hand over: what the relay waits for one; entries: as many as fit, {FLAT_OUT} of them"
        ),
        samples_us: paced.durable_us,
    })
}

/// Sorted.
struct Paced {
    durable_us: Vec<u64>,
    handed_ns: Vec<u64>,
}

async fn paced(recorder: &Arc<Recorder>, cast: &Cast) -> anyhow::Result<Paced> {
    let total = ENTRIES_PER_S * SECONDS;
    let commands: Vec<Vec<u8>> = (1..=total).map(|sequence| cast.command(sequence, 0)).collect();
    let mut marks = recorder.watermark();
    let hands = recorder.clone();
    let began = Instant::now();
    // A thread of its own, as the relay's is.
    let sender = std::thread::spawn(move || {
        let mut handed = Vec::with_capacity(commands.len());
        for (bunch, frames) in (0u32..).zip(commands.chunks(BUNCH as usize)) {
            let due = began + Duration::from_micros(1_000_000 * BUNCH / ENTRIES_PER_S) * bunch;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for frame in frames {
                let before = Instant::now();
                let at = EdgeTick(BEGAN_US + before.duration_since(began).as_micros() as u64);
                hands.record(at, Recorded::Command { frame });
                handed.push((before, before.elapsed()));
            }
        }
        handed
    });
    let mut durable: Vec<Instant> = Vec::with_capacity(total as usize);
    while (durable.len() as u64) < total {
        marks.changed().await.context("the record ended")?;
        let mark = *marks.borrow_and_update();
        let now = Instant::now();
        let newest = if mark.token == TOKEN { mark.newest.0 } else { 0 };
        durable.resize(newest.min(total) as usize, now);
    }
    let handed = sender.join().map_err(|_| anyhow::anyhow!("the thread that hands over broke"))?;
    let mut durable_us: Vec<u64> = handed
        .iter()
        .zip(durable)
        .map(|((before, _), durable)| durable.saturating_duration_since(*before).as_micros() as u64)
        .collect();
    let mut handed_ns: Vec<u64> = handed.iter().map(|(_, took)| took.as_nanos() as u64).collect();
    durable_us.sort_unstable();
    handed_ns.sort_unstable();
    Ok(Paced { durable_us, handed_ns })
}

const FLAT_OUT: u64 = 150_000;

async fn flat_out(recorder: &Recorder, cast: &Cast, first: u64) -> anyhow::Result<f64> {
    let last = first + FLAT_OUT - 1;
    let commands: Vec<Vec<u8>> = (first..=last).map(|sequence| cast.command(sequence, 0)).collect();
    let mut marks = recorder.watermark();
    let began = Instant::now();
    for frame in &commands {
        recorder.record(EdgeTick(BEGAN_US + SECONDS * 1_000_000), Recorded::Command { frame });
    }
    marks.wait_for(|mark| mark.newest.0 >= last).await.context("the record ended")?;
    let lost = recorder.health().borrow().lost;
    ensure!(lost == 0, "{lost} commands found no room: more than the queue holds");
    Ok(FLAT_OUT as f64 / began.elapsed().as_secs_f64())
}

pub(super) fn utc_now() -> Utc {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Utc { us: since.as_micros() as u64, uncertainty_us: 2000 }
}
