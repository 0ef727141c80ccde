//! `farhand bench`: figures beside the bars of the design, on a stated load.

mod command;
mod datagrams;
mod ledger;
mod lines;
mod log;
mod made_up;
mod paths;
mod picture;
mod prediction;
mod pulse;
mod skill;
mod verify;
mod video;
mod vision;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::line::Choice;
use crate::rehearse::{self, Outcome};

/// What the browser is shown, where it is present.
const RECORDING: &str = "../shared/data/endoscopy/laparoscopy_720p25_10s.mp4";
const NO_RECORDING: &str = "test?width=1280&height=720&fps=30";

/// Measure something on a stated load, and hold it against the design's bars.
///
/// Files are written under the folder that it is started in, so that they are on a real disk.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    what: What,
    /// video, command, loop: a file as the camera, played once; without it the simulator's camera. In the browser, command has a
    /// recording unless this says otherwise.
    #[arg(long, value_name = "SRC")]
    video: Option<String>,
    /// verify: the session's length in seconds.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    seconds: u64,
    /// Where the raw samples go, one number in µs a line (video: of arrival; command and loop: a table, with its head).
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
    /// From a hand's movement in Chromium, by the event's own time, to the kit's setpoint; and each stretch of the way.
    Command,
    /// From a checkpoint's being handed in to the proof of its commit, by five validators.
    Ledger,
    /// What the kit makes of each line, in a whole session over it: lan, 5g-urban, 5g-rural, leo, geo. Takes ten minutes.
    Lines,
    /// From an entry's being handed over to its being durable.
    Log,
    /// How much later the ticks of the kit's loop begin than an empty loop's, beside a whole session.
    Loop,
    /// How long an object takes the modelled surgeon with the console's ghost and without, over lines of a steady delay.
    Prediction,
    /// Between two commands' arriving while one of two paths to the kit dies.
    Paths,
    /// Every exercise over every line by the scripted surgeon, in virtual time: time, path, smoothness, errors, score.
    Skill,
    /// How the picture holds in Chromium over the 5g-urban line: how long it stood still, whether its age was told as less than it
    /// is, how soon it is back after two seconds of nothing.
    Picture,
    /// An hour's bundle, verified by `farhand-audit`.
    Verify,
    /// A pass of the net that sees instruments, and beside live video what looking costs and what it adds to the pictures' age.
    Vision,
    /// A part of `loop`: lateness of a loop that does nothing.
    #[value(hide = true)]
    EmptyLoop,
    /// A part of `command`: datagrams of a command's size over one QUIC connection.
    #[value(hide = true)]
    Datagrams,
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
    samples: Samples,
}

/// What the figures were made of.
enum Samples {
    /// In µs, sorted.
    Us(Vec<u64>),
    /// With a line that names the columns.
    Table(String),
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
        What::Video => video::video(arguments, &runtime)?,
        What::Vision => vision::vision(arguments)?,
        What::Picture => picture::picture()?,
        What::Command => command::command(arguments, &runtime)?,
        What::Lines => return lines::lines(arguments, &runtime),
        What::Skill => return skill::skill(arguments),
        What::Prediction => return prediction::prediction(arguments),
        What::Ledger => runtime.block_on(ledger::ledger())?,
        What::Log => runtime.block_on(log::log())?,
        What::Loop => pulse::pulse(arguments, &runtime)?,
        What::EmptyLoop => pulse::empty(arguments.seconds)?,
        What::Datagrams => runtime.block_on(datagrams::datagrams(arguments.seconds))?,
        What::Paths => runtime.block_on(paths::paths(arguments.seed))?,
        What::Verify => verify::verify(arguments.seconds, &beside("farhand-audit")?)?,
    };
    if let Some(path) = &arguments.samples {
        write_samples(path, &measured.samples)?;
    }
    tell(arguments, &measured)
}

/// Another of the project's programs.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// A whole rehearsed session, with everything on: five validators, the world, kit, edge box, cloud. Its bundle is in `folder`.
fn session(
    arguments: &Arguments,
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
) -> anyhow::Result<Outcome> {
    runtime.block_on(rehearse::rehearse(&rehearsal(arguments, folder)))
}

/// What is rehearsed, unless a bench wants it otherwise.
fn rehearsal(arguments: &Arguments, folder: &Path) -> rehearse::Arguments {
    rehearse::Arguments {
        seed: arguments.seed,
        video: arguments.video.clone(),
        out: Some(folder.join("bench.mcap")),
        data: None,
        line: Choice::default(),
        practise: 0,
        speedup: 50.0,
        kill_edge: 0,
        crtk: false,
        exercise: None,
        arms: 3,
        json: arguments.json,
    }
}

/// What is shown in the browser: what was asked for, else a real recording if it is at hand.
fn recording(arguments: &Arguments) -> anyhow::Result<String> {
    let recording = Path::new(RECORDING);
    Ok(match &arguments.video {
        Some(source) => source.clone(),
        None if recording.exists() => format!("file:{}?loop", fs::canonicalize(recording)?.display()),
        None => NO_RECORDING.to_owned(),
    })
}

/// A script of `tests/browser`, which drives Debian's Chromium, and what it printed.
fn in_a_browser<T: DeserializeOwned>(script: &str, told: &[&str]) -> anyhow::Result<T> {
    let program = std::env::current_exe()?;
    let output = Command::new("node")
        .arg(format!("tests/browser/{script}"))
        .args(told)
        .env("FARHAND_BIN", program.parent().context("this program stands in no folder")?)
        .env("RUST_LOG", format!("{},farhand_kit::driver=trace", crate::QUIET))
        .env("NO_COLOR", "1") // logs are read
        .stderr(Stdio::inherit())
        .output()
        .context("node could not be started; run ./check once, which installs it, in the project's folder")?;
    if !output.status.success() {
        bail!("tests/browser/{script} ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("tests/browser/{script} printed something else"))
}

fn load(outcome: &Outcome) -> String {
    format!(
        "a whole session of {:.0} s, everything on: {}",
        outcome.took.as_secs_f64(),
        outcome.used.iter().map(|(name, s)| format!("{name} {s:.1} s")).collect::<Vec<_>>().join(", ")
    )
}

/// The nearest rank: the smallest sample that at least that share is not above.
pub(crate) fn percentile_ms(sorted_us: &[u64], share: f64) -> f64 {
    let rank = (share * sorted_us.len() as f64).ceil().max(1.0) as usize;
    sorted_us.get(rank - 1).map_or(f64::NAN, |us| *us as f64 / 1e3)
}

fn write_samples(path: &Path, samples: &Samples) -> anyhow::Result<()> {
    let text = match samples {
        Samples::Us(us) => us.iter().map(|us| format!("{us}\n")).collect(),
        Samples::Table(text) => text.clone(),
    };
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
        writeln!(out, "{name:<24}{value:10.2}{bar}")?;
    }
    Ok(writeln!(out, "{machine}; {load}")?)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", if cfg!(debug_assertions) { "dev build" } else { "release build" })
}

/// A bar for what takes long.
fn progress(of: u64, what: &'static str) -> ProgressBar {
    crate::progress::bar(of, "{msg} {bar:40} {percent:>3} %, {eta} left").with_message(what)
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
