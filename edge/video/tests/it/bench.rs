//! What encoding costs: run with `--ignored --nocapture` on a machine that does nothing else.

use crate::tools::{file, laparoscopy, next_unit, start};
use farhand_video::{Encoder, Settings, Source};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const FRAMES: usize = 240;

/// Processor time of each of this process's threads by name, in ms, from Linux's `/proc/self/task/*/stat`
/// (fields 14 and 15, in ticks of 10 ms). GStreamer names a thread after the pad it serves: `raw:src` is the encoder's.
fn processor_ms() -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end between the listing and the look.
        let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let (head, fields) = stat.rsplit_once(") ").unwrap();
        let name = head.split_once('(').unwrap().1.to_owned();
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        *by_name.entry(name).or_default() += ticks * 10;
    }
    by_name
}

fn measure(source: &Source, settings: &Settings) {
    let (_capture, mut outputs) = start(source, settings);
    let (began, before) = (Instant::now(), processor_ms());
    let mut ages: Vec<Duration> = (0..FRAMES).map(|_| next_unit(&mut outputs).capture.elapsed()).collect();
    let (after, took_ms) = (processor_ms(), began.elapsed().as_millis() as f64);
    ages.sort();
    let used =
        after.iter().map(|(name, ms)| (name, ms - before.get(name).unwrap_or(&0))).filter(|(_, ms)| *ms > 0);
    let shares: Vec<String> =
        used.map(|(name, ms)| format!("{name} {:.1} %", ms as f64 * 100.0 / took_ms)).collect();
    let (encoder, threads) = (settings.encoder, settings.encoder_threads);
    eprintln!("{source} {encoder:?} {threads} threads, of a core: {}", shares.join(", "));
    eprintln!("  age at the consumer: p50 {:?}, p95 {:?}", ages[FRAMES / 2], ages[FRAMES * 95 / 100]);
}

/// Goal: prints the share of one core and the time from capture to consumer for each encoder and thread count.
#[test]
#[ignore = "a measurement, not a test"]
fn the_cost_of_encoding() {
    let mut sources = vec!["test".parse().unwrap()];
    sources.extend(laparoscopy().map(|path| file(&path)));
    for source in &sources {
        for (encoder, encoder_threads) in [
            (Encoder::X264, 1),
            (Encoder::X264, 2),
            (Encoder::OpenH264, 1),
            (Encoder::X264, 1),
            (Encoder::X264, 2),
        ] {
            measure(source, &Settings { encoder: Some(encoder), encoder_threads, ..Settings::default() });
        }
    }
}
