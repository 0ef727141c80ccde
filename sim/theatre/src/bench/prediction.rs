//! What the ghost is worth: how long the modelled surgeon of `sim/world/src/sight.rs` needs for an object, with a ghost and without, over
//! lines of a steady delay, in virtual time.

use std::io::Write as _;
use std::thread;

use anyhow::{Context as _, ensure};
use farhand_guard::Limits;
use farhand_world::{CannotBegin, Impairment, Outcome, Session, Story, Terms, Way};
use serde_json::json;

use super::machine;

/// The line's round trips.
const ROUND_TRIPS_MS: [u32; 4] = [0, 100, 200, 300];
const SESSIONS: u64 = 10;
const SECONDS: u64 = 90;

/// Over one line and under one set of limits.
struct Row {
    limits: &'static str,
    round_trip_ms: u32,
    without: Done,
    with: Done,
}

/// Objects but each session's first.
struct Done {
    /// Mean time for one that was grasped; none was where the kit refuses the line.
    mean_s: Option<f64>,
    grasped: usize,
    of: usize,
    /// Why the tool stood still most often, if nothing was applied.
    refused: Option<String>,
}

pub(super) fn prediction(arguments: &super::Arguments) -> anyhow::Result<()> {
    let widest = Limits {
        command_age_ms_max: 500.0,
        picture_age_ms_max: 1_000.0,
        speed_full_ms_max: 200.0,
        ..Limits::default()
    };
    let mut rows = Vec::new();
    for (name, limits) in [("default", Limits::default()), ("widest", widest.checked()?)] {
        for round_trip_ms in ROUND_TRIPS_MS {
            let done = |ghost| {
                let terms = Terms { limits: limits.clone(), ghost: Some(ghost) };
                over(round_trip_ms, &terms, arguments.seed)
            };
            rows.push(Row { limits: name, round_trip_ms, without: done(false)?, with: done(true)? });
        }
    }
    tell(arguments, &rows)?;
    for row in rows.iter().filter(|row| row.round_trip_ms >= 100) {
        if let (Some(without), Some(with)) = (row.without.mean_s, row.with.mean_s) {
            ensure!(with < without, "{} ms: the ghost costs time", row.round_trip_ms);
        }
    }
    Ok(())
}

fn over(round_trip_ms: u32, terms: &Terms, seed: u64) -> anyhow::Result<Done> {
    let delay_ms = f64::from(round_trip_ms) / 2.0;
    let ways = [0, 1].map(|way| Way::new(way, Impairment { delay_ms, ..Impairment::NONE }));
    let play = |number| -> Result<Outcome, CannotBegin> {
        let story =
            Story::calm(seed.wrapping_mul(1_000_003).wrapping_add(number), SECONDS).along(ways.clone());
        Session::under(terms.clone(), story)?.play()
    };
    let played = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || (half..SESSIONS).step_by(2).map(play).collect::<Result<Vec<_>, _>>())
        });
        halves.map(thread::ScopedJoinHandle::join)
    });
    let mut tasks_us = Vec::new();
    let (mut applied, mut reasons) = (0, std::collections::BTreeMap::new());
    for half in played {
        for outcome in half.ok().context("a session panicked")?? {
            // The checker holds to the usual limits, whatever the kit was told.
            let usual = terms.limits == Limits::default();
            ensure!(!usual || outcome.violations.is_empty(), "{:?}", outcome.violations.first());
            applied += outcome.applied;
            let why = outcome.refused.into_iter().chain(outcome.reasons);
            why.for_each(|(name, count)| *reasons.entry(name).or_insert(0) += count);
            tasks_us.extend(outcome.tasks_us.into_iter().skip(1));
        }
    }
    let took = Vec::from_iter(tasks_us.iter().flatten().map(|us| *us as f64 / 1e6));
    let most = reasons.into_iter().max_by_key(|(_, count)| *count);
    Ok(Done {
        mean_s: (!took.is_empty()).then(|| took.iter().sum::<f64>() / took.len() as f64),
        grasped: took.len(),
        of: tasks_us.len(),
        refused: most.filter(|_| took.is_empty() || applied == 0).map(|(name, _)| name.to_owned()),
    })
}

fn tell(arguments: &super::Arguments, rows: &[Row]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let load = format!(
        "{SESSIONS} sessions of {SECONDS} virtual seconds each, without faults; a modelled surgeon reaches for objects and grasps them"
    );
    if arguments.json {
        let done = |done: &Done| json!({"mean_s": done.mean_s, "grasped": done.grasped, "of": done.of, "refused": done.refused});
        let rows = Vec::from_iter(rows.iter().map(|row| {
            json!({
                "limits": row.limits, "round_trip_ms": row.round_trip_ms,
                "without_ghost": done(&row.without), "with_ghost": done(&row.with),
            })
        }));
        let object = json!({"name": "prediction", "machine": machine(), "load": load, "seed": arguments.seed, "rows": rows});
        return Ok(writeln!(out, "{object}")?);
    }
    writeln!(
        out,
        "{:<10}{:>12}{:>24}{:>24}{:>8}",
        "limits", "round trip", "without ghost", "with ghost", "ratio"
    )?;
    for row in rows {
        let ratio = row.with.mean_s.zip(row.without.mean_s).map(|(with, without)| with / without);
        writeln!(
            out,
            "{:<10}{:>9} ms{:>24}{:>24}{:>8}",
            row.limits,
            row.round_trip_ms,
            row.without.words(),
            row.with.words(),
            ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
        )?;
    }
    Ok(writeln!(out, "{}; {load}", machine())?)
}

impl Done {
    fn words(&self) -> String {
        match (self.mean_s, &self.refused) {
            (Some(mean_s), _) => format!("{mean_s:.1} s, {} of {}", self.grasped, self.of),
            (None, Some(why)) => format!("refused: {why}"),
            (None, None) => "none grasped".to_owned(),
        }
    }
}
