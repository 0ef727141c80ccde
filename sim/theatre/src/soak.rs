//! `farhand soak`: the patient side in virtual time under random faults, with an independent checker after every step.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use farhand_world::{CannotBegin, Options, Outcome, Session};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Runs sessions of the patient side in virtual time, under random faults, and checks the promises after every step.
///
/// Every fourth session has a good line all the way: there the work must get done. The same seed is the same story.
/// Exits with 1 if a promise was broken, and says with which seed and at which tick.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many sessions.
    #[arg(long, default_value_t = 20)]
    sessions: u64,
    /// Where the stories come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Virtual seconds each.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(30..=3600))]
    seconds: u64,
    /// Sessions at the same time; without it as many as there are processors. The figures are the same.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    sessions: u64,
    seed: u64,
    violations: usize,
    seconds: f64,
    simulated_seconds: f64,
    commands: u64,
    applied: u64,
    unauthentic: u64,
    tasks_done: u64,
    /// Segments of the kit's own log that the edge box has, verdicts in them, and segments that came again.
    segments: u64,
    verdicts: u64,
    resent: u64,
    refused: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    preconditions: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let progress = if arguments.json { ProgressBar::hidden() } else { bar(arguments.sessions) };
    let mut stories = Vec::new();
    let sum = soak(arguments, |outcome| {
        progress.inc(1);
        stories.extend(story(outcome));
    })
    .context("the software under test refused its own beginning")?;
    stories.sort();
    progress.finish_and_clear();
    tell(arguments, &sum, began.elapsed().as_secs_f64())?;
    if !stories.is_empty() {
        bail!("a promise was broken:\n{}", stories.join("\n"));
    }
    Ok(())
}

/// All sessions, several at a time. Each is its own story, so that the order they end in changes nothing.
fn soak(arguments: &Arguments, mut done: impl FnMut(&Outcome)) -> Result<Outcome, CannotBegin> {
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let next = AtomicU64::new(0);
    let mut sum = Outcome { seed: arguments.seed, ..Outcome::default() };
    thread::scope(|scope| {
        let (told, outcomes) = mpsc::channel();
        for _ in 0..jobs {
            let (told, next) = (told.clone(), &next);
            scope.spawn(move || {
                let numbers = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
                for number in numbers.take_while(|number| *number < arguments.sessions) {
                    let options = Options::of_soak(arguments.seed, number, arguments.seconds);
                    if told.send(Session::new(options).and_then(Session::run)).is_err() {
                        return; // nobody wants to know any more
                    }
                }
            });
        }
        drop(told);
        for outcome in outcomes {
            let outcome = outcome?;
            done(&outcome);
            sum.add(outcome);
        }
        Ok(sum)
    })
}

/// The first promise that a session broke.
fn story(outcome: &Outcome) -> Option<String> {
    let first = outcome.violations.first()?;
    Some(format!(
        "  {} at {} ms of seed {}: {}",
        first.promise,
        first.tick_us / 1000,
        outcome.seed,
        first.words
    ))
}

fn bar(sessions: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} sessions, {eta} to go");
    ProgressBar::new(sessions).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn tell(arguments: &Arguments, sum: &Outcome, seconds: f64) -> anyhow::Result<()> {
    let report = Report {
        sessions: arguments.sessions,
        seed: arguments.seed,
        violations: sum.violations.len(),
        seconds,
        simulated_seconds: sum.ticks as f64 / 1e3,
        commands: sum.commands,
        applied: sum.applied,
        unauthentic: sum.unauthentic,
        tasks_done: sum.tasks_done,
        segments: sum.segments,
        verdicts: sum.verdicts,
        resent: sum.resent,
        refused: sum.refused.clone(),
        reasons: sum.reasons.clone(),
        preconditions: sum.preconditions.clone(),
        faults: sum.faults.clone(),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    println!(
        "{} sessions, {:.0} simulated seconds in {:.1} s ({:.0} times real speed)",
        report.sessions,
        report.simulated_seconds,
        report.seconds,
        report.simulated_seconds / report.seconds
    );
    println!(
        "{} commands sent, {} applied, {} objects grasped, {} promises broken",
        report.commands, report.applied, report.tasks_done, report.violations
    );
    println!(
        "{} segments of the kit's log with {} verdicts, {} sent again",
        report.segments, report.verdicts, report.resent
    );
    print_counts("refused", &report.refused);
    print_counts("reasons for standing still, in states", &report.reasons);
    print_counts("what promises were kept against", &report.preconditions);
    print_counts("faults", &report.faults);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_counts(what: &str, counts: &BTreeMap<&'static str, u64>) {
    println!("{what}:");
    counts.iter().for_each(|(name, count)| println!("  {count:>8}  {name}"));
}
