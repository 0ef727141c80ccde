//! `farhand soak`: the patient side in virtual time under random faults, with an independent checker after every step.

mod film;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use farhand_world::{CannotBegin, Outcome, Profile, Series, Session, Story};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{line::Link, progress};

const SECONDS: u64 = 60;
/// Of the sessions that broke a promise, named beside the first.
const OTHERS_MAX: usize = 50;
const BEGUN: &str = "the software under test refused its own beginning";

/// Runs sessions of the patient side in virtual time, under random faults, and checks the promises after every step.
///
/// Every fourth session has a good line all the way: there the work must get done. Every fourth is over a line whose delays
/// are replayed: measured ones where ../shared/data/network is there, made up ones elsewhere. The same seed is the same story.
///
/// Exits with 1 if a promise was broken. Then it says with which seed and at which tick, tells the shortest story that still
/// breaks one, and films it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many sessions.
    #[arg(long, default_value_t = 20)]
    sessions: u64,
    /// Where the stories come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Virtual seconds each.
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u64).range(30..=3600))]
    seconds: u64,
    /// Sessions at the same time; without it as many as there are processors. The figures are the same.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Only the session of this number.
    #[arg(long, value_name = "N", conflicts_with = "sessions")]
    only: Option<u64>,
    /// An MCAP file of what happened, for Foxglove or any other reader: with --only of that session, else of the shortest
    /// story that broke a promise.
    #[arg(long, value_name = "FILE", default_value = "soak.mcap")]
    film: PathBuf,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// What came of a soak.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    sessions: u64,
    seed: u64,
    violations: usize,
    seconds: f64,
    simulated_seconds: f64,
    commands: u64,
    applied: u64,
    unauthentic: u64,
    tasks_done: u64,
    /// The delays that were replayed.
    lines: &'static str,
    /// Segments of the kit's own log that the edge box has, verdicts in them, and segments that came again.
    segments: u64,
    verdicts: u64,
    resent: u64,
    refused: BTreeMap<&'static str, u64>,
    orders_refused: BTreeMap<String, u64>,
    reasons: BTreeMap<&'static str, u64>,
    preconditions: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let lines = Lines::find(arguments.seed)?;
    if let Some(number) = arguments.only {
        let story = arguments.story(number, &lines);
        film::film(&story, &arguments.film).context(BEGUN)?;
    }
    let began = Instant::now();
    let progress = if arguments.json { ProgressBar::hidden() } else { bar(arguments.numbers().count()) };
    let mut broken = Vec::new();
    let sum = soak(arguments, &lines, |number, outcome| {
        progress.inc(1);
        broken.extend(outcome.violations.first().map(|first| (number, first.promise)));
    })
    .context(BEGUN)?;
    progress.finish_and_clear();
    tell(arguments, &lines, &sum, began.elapsed().as_secs_f64())?;
    broken.sort_unstable();
    if broken.is_empty() { Ok(()) } else { explain(arguments, &lines, &broken) }
}

/// Delays to replay, of every profile that has some.
struct Lines {
    series: Vec<Series>,
    origin: &'static str,
}

impl Lines {
    fn find(seed: u64) -> anyhow::Result<Self> {
        let links = Profile::EACH.map(|profile| Link::find(profile, seed, None));
        let links = links.into_iter().collect::<Result<Vec<_>, _>>()?;
        let measured = links.iter().any(|link| link.origin() == "measured");
        let origin = if measured { "5G measured, satellites made up" } else { "made up" };
        let series = links.iter().filter_map(|link| link.series().transpose());
        Ok(Self { series: series.collect::<Result<_, _>>()?, origin })
    }
}

impl Report {
    fn of(arguments: &Arguments, lines: &Lines, sum: &Outcome, seconds: f64) -> Self {
        Self {
            sessions: arguments.numbers().count() as u64,
            seed: arguments.seed,
            violations: sum.violations.len(),
            seconds,
            simulated_seconds: sum.ticks as f64 / 1e3,
            commands: sum.commands,
            applied: sum.applied,
            unauthentic: sum.unauthentic,
            tasks_done: sum.tasks_done,
            lines: lines.origin,
            segments: sum.segments,
            verdicts: sum.verdicts,
            resent: sum.resent,
            refused: sum.refused.clone(),
            orders_refused: sum.orders_refused.clone(),
            reasons: sum.reasons.clone(),
            preconditions: sum.preconditions.clone(),
            faults: sum.faults.clone(),
        }
    }
}

impl Arguments {
    fn numbers(&self) -> std::ops::Range<u64> {
        self.only.map_or(0..self.sessions, |number| number..number + 1)
    }

    fn story(&self, number: u64, lines: &Lines) -> Story {
        let story = Story::of_soak(self.seed, number, self.seconds);
        let line = (number / 4) as usize % lines.series.len().max(1);
        match lines.series.get(line) {
            Some(series) if number % 4 == 2 => story.over(series.clone()),
            _ => story,
        }
    }
}

/// So many sessions from that seed, one at a time, for who has other things to do beside. `done` is told of each.
pub(crate) fn beside(seed: u64, sessions: u64, done: impl FnMut(u64, &Outcome)) -> anyhow::Result<Report> {
    let lines = Lines::find(seed)?;
    let arguments = Arguments {
        sessions,
        seed,
        seconds: SECONDS,
        jobs: NonZero::new(1),
        only: None,
        film: PathBuf::new(),
        json: true,
    };
    let began = Instant::now();
    let sum = soak(&arguments, &lines, done).context(BEGUN)?;
    Ok(Report::of(&arguments, &lines, &sum, began.elapsed().as_secs_f64()))
}

/// All sessions, several at a time. Each is its own story, so that the order they end in changes nothing.
fn soak(
    arguments: &Arguments,
    lines: &Lines,
    mut done: impl FnMut(u64, &Outcome),
) -> Result<Outcome, CannotBegin> {
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let numbers = arguments.numbers();
    let next = AtomicU64::new(numbers.start);
    let mut sum = Outcome { seed: arguments.seed, ..Outcome::default() };
    thread::scope(|scope| {
        let (told, outcomes) = mpsc::channel();
        for _ in 0..jobs {
            let (told, next, numbers) = (told.clone(), &next, &numbers);
            scope.spawn(move || {
                let mine = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
                for number in mine.take_while(|number| numbers.contains(number)) {
                    let played = Session::new(arguments.story(number, lines)).and_then(Session::play);
                    if told.send((number, played)).is_err() {
                        return; // nobody wants to know any more
                    }
                }
            });
        }
        drop(told);
        for (number, outcome) in outcomes {
            let outcome = outcome?;
            done(number, &outcome);
            sum.add(outcome);
        }
        Ok(sum)
    })
}

/// The first session that broke a promise, cut down to what it takes, and which others did.
fn explain(arguments: &Arguments, lines: &Lines, broken: &[(u64, &str)]) -> anyhow::Result<()> {
    let (number, _) = *broken.first().context("no session broke a promise")?;
    let others: String =
        broken[1..].iter().take(OTHERS_MAX).map(|(number, promise)| format!(" {number} {promise}")).collect();
    let others = if others.is_empty() { others } else { format!("\n  Others:{others}") };
    let whole = arguments.story(number, lines);
    let shortest = whole.shortest(|story| {
        Session::new(story.clone()).and_then(Session::play).map(|outcome| outcome.broken_us)
    });
    let shortest = shortest.context(BEGUN)?;
    let outcome = film::film(&shortest, &arguments.film).context(BEGUN)?;
    let first = outcome.violations.first().context("the session went well when it was played again")?;
    let troubles = shortest.troubles.iter().map(|trouble| format!("\n    {trouble}"));
    bail!(
        "{} of {} sessions broke a promise.\n  The first, {number} (seed {}), broke {} at {} ms of the kit's time: {}\n  \
         It takes:{}\n  The film is {}; again: farhand soak --seed {} --seconds {} --only {number}{others}",
        broken.len(),
        arguments.numbers().count(),
        outcome.seed,
        first.promise,
        first.tick_us / 1000,
        first.words,
        String::from_iter(troubles),
        arguments.film.display(),
        arguments.seed,
        arguments.seconds,
    )
}

fn bar(sessions: usize) -> ProgressBar {
    progress::bar(sessions as u64, "{bar:40} {pos}/{len} sessions, {eta} to go")
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn tell(arguments: &Arguments, lines: &Lines, sum: &Outcome, seconds: f64) -> anyhow::Result<()> {
    let report = Report::of(arguments, lines, sum, seconds);
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
    println!("delays that were replayed: {}", report.lines);
    print_counts("refused", &report.refused);
    print_counts("orders refused", &report.orders_refused);
    print_counts("reasons for standing still, in states", &report.reasons);
    print_counts("what promises were kept against", &report.preconditions);
    print_counts("faults", &report.faults);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_counts(what: &str, counts: &BTreeMap<impl std::fmt::Display, u64>) {
    println!("{what}:");
    counts.iter().for_each(|(name, count)| println!("  {count:>8}  {name}"));
}
