//! `farhand bench`: figures beside the bars of the design, on a stated load.

mod ledger;
mod lines;
mod log;
mod made_up;
mod paths;
mod verify;

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use crate::line::Choice;
use crate::rehearse::{self, Outcome, compare::taken_in};

/// Measure something on a stated load, and hold it against the design's bars.
///
/// Files are written under the folder that it is started in, so that they are on a real disk.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    what: What,
    /// video, command: a file as the camera, played once; without it the simulator's camera.
    #[arg(long, value_name = "SRC")]
    video: Option<String>,
    /// verify: the session's length in seconds.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    seconds: u64,
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
    /// From a checkpoint's being handed in to the proof of its commit, by five validators.
    Ledger,
    /// What the kit makes of each line, in a whole session over it: lan, 5g-urban, 5g-rural, leo, geo. Takes ten minutes.
    Lines,
    /// From an entry's being handed over to its being durable.
    Log,
    /// Between two commands' arriving while one of two paths to the kit dies.
    Paths,
    /// An hour's bundle, verified by `farhand-audit`.
    Verify,
}

impl What {
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }
}

/// What was measured, and under which load.
struct Measured {
    figures: Vec<Figure>,
    load: String,
    /// Sorted.
    samples_us: Vec<u64>,
}

/// A figure, whose name ends with its unit, and the bar it is held against.
struct Figure {
    name: &'static str,
    value: f64,
    bar: Option<Bar>,
}

#[derive(Clone, Copy)]
enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = match arguments.what {
        What::Video | What::Command => session(arguments, &runtime)?,
        What::Lines => return lines::lines(arguments, &runtime),
        What::Ledger => runtime.block_on(ledger::ledger())?,
        What::Log => runtime.block_on(log::log())?,
        What::Paths => runtime.block_on(paths::paths(arguments.seed))?,
        What::Verify => verify::verify(arguments.seconds, &beside("farhand-audit")?)?,
    };
    if let Some(path) = &arguments.samples {
        write_samples(path, &measured.samples_us)?;
    }
    tell(arguments, &measured)
}

/// Another of the project's programs.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// A whole rehearsed session, with everything on: five validators, the world, kit, edge box, cloud.
fn session(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let outcome = runtime.block_on(rehearse::rehearse(&rehearse::Arguments {
        seed: arguments.seed,
        video: arguments.video.clone(),
        out: Some(folder.path().join("bench.mcap")),
        data: None,
        line: Choice::default(),
        practise: 0,
        speedup: 50.0,
        kill_edge: 0,
        json: arguments.json,
    }))?;
    let is_video = arguments.what == What::Video;
    let mut samples_us = if is_video { outcome.surgeon.arrived_us.clone() } else { command_us(&outcome)? };
    samples_us.sort_unstable();
    let at = |share| percentile_ms(&samples_us, share);
    let mut load = load(&outcome);
    let mut figures = Vec::new();
    if is_video {
        figures.push(Figure { name: "arrived_ms_p50", value: at(0.50), bar: None });
        figures.push(Figure { name: "arrived_ms_p95", value: at(0.95), bar: None });
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
    } else {
        figures.push(Figure { name: "applied_ms_p50", value: at(0.50), bar: Some(Bar::AtMost(4.0)) });
        figures.push(Figure { name: "applied_ms_p99", value: at(0.99), bar: Some(Bar::AtMost(10.0)) });
    }
    Ok(Measured { figures, load, samples_us })
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
            Figure { name: "shown_ms_p50", value: percentile_ms(&us, 0.50), bar: Some(Bar::AtMost(25.0)) },
            Figure { name: "shown_ms_p95", value: percentile_ms(&us, 0.95), bar: Some(Bar::AtMost(40.0)) },
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

/// The nearest rank: the smallest sample that at least that share is not above.
pub(crate) fn percentile_ms(sorted_us: &[u64], share: f64) -> f64 {
    let rank = (share * sorted_us.len() as f64).ceil().max(1.0) as usize;
    sorted_us.get(rank - 1).map_or(f64::NAN, |us| *us as f64 / 1e3)
}

fn write_samples(path: &Path, samples_us: &[u64]) -> anyhow::Result<()> {
    let text: String = samples_us.iter().map(|us| format!("{us}\n")).collect();
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

fn tell(arguments: &Arguments, measured: &Measured) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Measured { figures, load, .. } = measured;
    let machine = machine();
    if arguments.json {
        let metrics: serde_json::Map<String, serde_json::Value> =
            figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.value))).collect();
        let object = json!({
            "name": arguments.what.name(), "machine": machine, "load": load, "seed": arguments.seed,
            "metrics": metrics,
        });
        return Ok(writeln!(out, "{object}")?);
    }
    for Figure { name, value, bar } in figures {
        let bar = match bar {
            Some(Bar::AtMost(bar)) => format!("   bar: at most {bar}"),
            Some(Bar::AtLeast(bar)) => format!("   bar: at least {bar}"),
            None => String::new(),
        };
        writeln!(out, "{name:<20}{value:10.2}{bar}")?;
    }
    Ok(writeln!(out, "{machine}; {load}")?)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", if cfg!(debug_assertions) { "dev build" } else { "release build" })
}

/// A bar on a terminal.
fn progress(of: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(of).with_message(what);
    let style = ProgressStyle::with_template("{msg} {bar:40} {percent:>3} %, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
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
