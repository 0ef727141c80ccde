//! How the kit fares, in Prometheus' text format, in a file for node_exporter's textfile collector: written once a second,
//! whole, by a thread that is not the loop and that nothing waits for.
//!
//! Source of the format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use farhand_guard::Report;

use crate::{Pace, pace::Histogram};

const EVERY: Duration = Duration::from_secs(1);

/// What the gate last heard of the guard. Counts are of the lease in force.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    mode: AtomicU8,
    applied: AtomicU64,
    rejected: AtomicU64,
}

impl Standing {
    pub(crate) fn note(&self, report: &Report) {
        self.mode.store(report.kit.mode as u8, Relaxed);
        self.applied.store(report.applied, Relaxed);
        self.rejected.store(report.rejected, Relaxed);
    }
}

/// What is written.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// The system's time when the kit's clock was 0.
    pub(crate) zero: SystemTime,
    pub(crate) pace: Arc<Pace>,
    pub(crate) standing: Arc<Standing>,
}

impl Metrics {
    /// Writes them to `path` once a second until `stop`; wake the thread that is returned by `unpark` then.
    pub(crate) fn write_to(self, path: PathBuf, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("kit-metrics".into()).spawn(move || {
            let mut failed = false;
            while !stop.load(Relaxed) {
                let written = write(&path, &self.to_string());
                if let (Err(error), false) = (&written, failed) {
                    tracing::warn!(%error, path = %path.display(), "metrics are not written");
                }
                failed = written.is_err();
                thread::park_timeout(EVERY);
            }
        })
    }
}

/// Whoever reads it sees the last one or this one, never half.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { mode, applied, rejected } = &*self.standing;
        let zero_s = self.zero.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        one(f, "start_time_seconds", "gauge", "Unix time at which the kit's clock was 0.", zero_s)?;
        let modes = "What the tool may do: 0 Free, 1 Limited, 2 Holding, 3 Paused, 4 SafeStop, 5 Stopped.";
        one(f, "mode", "gauge", modes, mode.load(Relaxed))?;
        let applied = applied.load(Relaxed);
        one(f, "commands_applied_total", "counter", "Commands taken in under the lease in force.", applied)?;
        let rejected = rejected.load(Relaxed);
        one(f, "commands_rejected_total", "counter", "Commands refused under the lease in force.", rejected)?;
        let missed = self.pace.missed();
        one(f, "ticks_missed_total", "counter", "Ticks that began a whole tick late or later.", missed)?;
        histogram(f, "tick_late_microseconds", "How late ticks began.", &self.pace.late)?;
        histogram(f, "tick_took_microseconds", "How long ticks took.", &self.pace.took)
    }
}

fn one(
    to: &mut impl fmt::Write,
    name: &str,
    kind: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    head(to, name, kind, help)?;
    writeln!(to, "farhand_kit_{name} {value}")
}

fn head(to: &mut impl fmt::Write, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(to, "# HELP farhand_kit_{name} {help}\n# TYPE farhand_kit_{name} {kind}")
}

fn histogram(to: &mut impl fmt::Write, name: &str, help: &str, of: &Histogram) -> fmt::Result {
    head(to, name, "histogram", help)?;
    let by_us = of.by_us();
    let mut line =
        |le: &dyn fmt::Display, count: u64| writeln!(to, "farhand_kit_{name}_bucket{{le=\"{le}\"}} {count}");
    let (mut within, mut from) = (0, 0);
    for le in bounds_us() {
        within += by_us[from..le].iter().sum::<u64>();
        from = le;
        line(&le, within)?;
    }
    let all = within + by_us[from..].iter().sum::<u64>();
    line(&"+Inf", all)?;
    writeln!(to, "farhand_kit_{name}_sum {}\nfarhand_kit_{name}_count {all}", of.sum_us())
}

/// Fine where a loop that keeps its rate lies, coarse above.
fn bounds_us() -> impl Iterator<Item = usize> {
    let fine = (10..500).step_by(10);
    fine.chain((500..1_000).step_by(50)).chain((1_000..5_000).step_by(500))
}

#[cfg(test)]
mod tests {
    use farhand_wire::Mode;

    use super::*;
    use crate::pace::keep_pace;

    /// Goal: each tick is in the file, in the format's own words: cumulative buckets up to all of them.
    #[test]
    fn every_tick_is_in_the_histogram() {
        let (pace, standing) = (Arc::new(Pace::default()), Arc::new(Standing::default()));
        let mut left = 20;
        keep_pace(&pace, || {
            left -= 1;
            left > 0
        });
        standing.mode.store(Mode::Paused as u8, Relaxed);
        standing.applied.store(7, Relaxed);
        let zero = SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000);
        let text = Metrics { zero, pace, standing }.to_string();
        let has = |line: &str| assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
        has("farhand_kit_start_time_seconds 1.5");
        has("farhand_kit_mode 3");
        has("farhand_kit_commands_applied_total 7");
        has("# TYPE farhand_kit_tick_late_microseconds histogram");
        has("farhand_kit_tick_late_microseconds_count 19");
        has("farhand_kit_tick_took_microseconds_bucket{le=\"+Inf\"} 19");
        let counts: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("farhand_kit_tick_late_microseconds_bucket"))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        assert!(counts.len() > 60 && counts.is_sorted(), "{counts:?}");
    }

    /// Goal: the file is there whole while the kit runs, and whoever stops the kit does not wait for it.
    #[test]
    fn the_file_is_written_until_the_kit_stops() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kit.prom");
        let stop = Arc::new(AtomicBool::new(false));
        let metrics = Metrics { zero: SystemTime::now(), pace: Arc::default(), standing: Arc::default() };
        let thread = metrics.write_to(path.clone(), stop.clone()).unwrap();
        while !path.exists() {
            thread::yield_now();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("farhand_kit_tick_took_microseconds_count 0\n"), "{text}");
        stop.store(true, Relaxed);
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
