//! `farhand bench`: figures beside the bars of the design, on a stated load.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use crate::rehearse::{self, Outcome, compare::taken_in};

/// Measure a whole rehearsed session, with everything on: five validators, the world, kit, edge box, cloud.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    what: What,
    /// A file as the camera, played once; without it the simulator's camera.
    #[arg(long, value_name = "SRC")]
    video: Option<String>,
    /// Where the raw samples go, one number in µs a line (video: of arrival).
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// From a picture's capture to its last packet at a console, and to its being shown in Chromium.
    Video,
    /// From a command's leaving the console to the kit's taking it in.
    Command,
}

/// A figure, and the bar it is held against.
struct Figure {
    name: &'static str,
    ms: f64,
    bar_ms: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(rehearse::rehearse(&rehearse::Arguments {
        seed: arguments.seed,
        video: arguments.video.clone(),
        out: Some(folder.path().join("bench.mcap")),
        data: None,
        speedup: 50.0,
        json: arguments.json,
    }))?;
    let mut samples_us = match arguments.what {
        What::Video => outcome.surgeon.arrived_us.clone(),
        What::Command => command_us(&outcome)?,
    };
    samples_us.sort_unstable();
    if let Some(path) = &arguments.samples {
        write_samples(path, &samples_us)?;
    }
    let mut figures = figures(arguments.what, &samples_us);
    let mut load = load(&outcome);
    if arguments.what == What::Video {
        match shown() {
            Ok(shown) => {
                load = format!(
                    "{load}; shown: {} of {} over {} s",
                    shown.browser, shown.source, shown.watched_s
                );
                figures.extend(shown.figures());
            }
            Err(error) => tracing::warn!("no figures of a browser: {error:#}"),
        }
    }
    tell(arguments, &figures, &load)
}

/// What `tests/browser/shown.mjs` saw in Debian's Chromium.
#[derive(Debug, Deserialize)]
struct Shown {
    source: String,
    browser: String,
    watched_s: u64,
    shown_ms: Vec<f64>,
}

impl Shown {
    fn figures(self) -> [Figure; 2] {
        let mut us: Vec<u64> = self.shown_ms.iter().map(|ms| (ms.max(0.0) * 1e3) as u64).collect();
        us.sort_unstable();
        [
            Figure { name: "shown_ms_p50", ms: percentile_ms(&us, 0.50), bar_ms: Some(25.0) },
            Figure { name: "shown_ms_p95", ms: percentile_ms(&us, 0.95), bar_ms: Some(40.0) },
        ]
    }
}

/// A surgeon's page in a real browser, by the script that drives it.
fn shown() -> anyhow::Result<Shown> {
    let target = std::env::current_exe()?.ancestors().nth(2).map(Path::to_owned);
    let output = Command::new("node")
        .arg("tests/browser/shown.mjs")
        .env("CARGO_TARGET_DIR", target.context("this program stands in no target folder")?)
        .stderr(Stdio::inherit())
        .output()
        .context("node could not be started; run ./check once, which installs it, in the project's folder")?;
    if !output.status.success() {
        bail!("tests/browser/shown.mjs ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("tests/browser/shown.mjs printed something else")
}

fn load(outcome: &Outcome) -> String {
    format!(
        "a whole session of {:.0} s, everything on: {}",
        outcome.took.as_secs_f64(),
        outcome.used.iter().map(|(name, s)| format!("{name} {s:.1} s")).collect::<Vec<_>>().join(", ")
    )
}

/// Too long by the way of the fastest state from kit to console, for by it the two clocks are compared.
fn command_us(outcome: &Outcome) -> anyhow::Result<Vec<u64>> {
    let behind_us = outcome.surgeon.kit_behind_us.context("the console never heard the kit")?;
    let taken = taken_in(&outcome.bundle)?;
    let sent = outcome.surgeon.sent_us.iter();
    let taken = sent.filter_map(|(command, sent_us)| Some((taken.get(command)?, sent_us)));
    Ok(taken
        .map(|(tick, sent_us)| i128::from(tick.0) + behind_us - i128::from(*sent_us))
        .map(|us| u64::try_from(us).unwrap_or(0))
        .collect())
}

fn figures(what: What, sorted_us: &[u64]) -> Vec<Figure> {
    let at = |share: f64| percentile_ms(sorted_us, share);
    match what {
        What::Video => vec![
            Figure { name: "arrived_ms_p50", ms: at(0.50), bar_ms: None },
            Figure { name: "arrived_ms_p95", ms: at(0.95), bar_ms: None },
        ],
        What::Command => vec![
            Figure { name: "applied_ms_p50", ms: at(0.50), bar_ms: Some(4.0) },
            Figure { name: "applied_ms_p99", ms: at(0.99), bar_ms: Some(10.0) },
        ],
    }
}

/// The nearest rank: the smallest sample that at least that share is not above.
fn percentile_ms(sorted_us: &[u64], share: f64) -> f64 {
    let rank = (share * sorted_us.len() as f64).ceil().max(1.0) as usize;
    sorted_us.get(rank - 1).map_or(f64::NAN, |us| *us as f64 / 1e3)
}

fn write_samples(path: &Path, samples_us: &[u64]) -> anyhow::Result<()> {
    let text: String = samples_us.iter().map(|us| format!("{us}\n")).collect();
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

fn tell(arguments: &Arguments, figures: &[Figure], load: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    if arguments.json {
        let metrics: serde_json::Map<String, serde_json::Value> =
            figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.ms))).collect();
        let name = if arguments.what == What::Video { "video" } else { "command" };
        let object = json!({
            "name": name, "machine": format!("{cores} cores"), "load": load, "seed": arguments.seed,
            "metrics": metrics,
        });
        return Ok(writeln!(out, "{object}")?);
    }
    for Figure { name, ms, bar_ms } in figures {
        let bar = bar_ms.map_or(String::new(), |bar| format!("   bar {bar} ms"));
        writeln!(out, "{name:<16}{ms:8.2} ms{bar}")?;
    }
    Ok(writeln!(out, "{cores} cores; {load}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: percentiles are nearest ranks, so that a script can find them again in the samples.
    #[test]
    fn percentiles_are_nearest_ranks() {
        let sorted: Vec<u64> = (1..=100).map(|ms| ms * 1000).collect();
        assert_eq!((percentile_ms(&sorted, 0.5), percentile_ms(&sorted, 0.99)), (50.0, 99.0));
        assert_eq!(percentile_ms(&[7_000], 0.99), 7.0);
        assert!(percentile_ms(&[], 0.5).is_nan());
    }
}
