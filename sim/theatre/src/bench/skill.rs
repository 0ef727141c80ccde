//! Every exercise over every line, by the scripted surgeon in virtual time: what a line costs in skill.

use std::io::Write as _;

use anyhow::ensure;
use farhand_world::exercise::{CUTOFF_S, Exercise, Phase, Report};
use farhand_world::{Outcome, Profile, Session, Story};
use serde_json::{Map, Value, json};

use super::{machine, progress};
use crate::line::Link;

/// Before the first move: homing, arming, asking for control.
const BEFORE_S: u64 = 60;
const LOAD: &str = "the patient side and the scripted surgeon in virtual time, without troubles";

/// An exercise over a line.
struct Row {
    line: Profile,
    report: Report,
    /// What the guard refused most, where it let nobody begin.
    refused: Option<String>,
}

pub(super) fn skill(arguments: &super::Arguments) -> anyhow::Result<()> {
    let each = Profile::EACH.iter().flat_map(|line| Exercise::EACH.map(|exercise| (*line, exercise)));
    let bar = progress(each.clone().count() as u64, "exercises");
    let mut rows = Vec::new();
    for (line, exercise) in each {
        rows.push(Row::play(line, exercise, arguments.seed)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    tell(arguments, &rows)?;
    rows.iter().try_for_each(Row::check)
}

impl Row {
    fn play(line: Profile, exercise: Exercise, seed: u64) -> anyhow::Result<Self> {
        let ways = Link::find(line, seed, None)?.ways()?;
        let story = Story::calm(seed, BEFORE_S + u64::from(CUTOFF_S)).along(ways).practising(exercise);
        let outcome = Session::new(story)?.play()?;
        ensure!(outcome.violations.is_empty(), "{line}, {exercise}: {:?}", outcome.violations);
        let refused = most_refused(&outcome);
        let report = outcome.exercise.ok_or_else(|| anyhow::anyhow!("{exercise} has no report"))?;
        let refused = refused.filter(|_| report.phase == Phase::Waiting);
        Ok(Self { line, report, refused })
    }

    /// What is promised of them: a cable is good enough, and a line that is too slow lets nobody begin.
    fn check(&self) -> anyhow::Result<()> {
        let Self { line, report, refused } = self;
        let exercise = report.exercise;
        match line {
            Profile::Lan => ensure!(report.passes(), "{line}, {exercise}: not passed"),
            Profile::Geo => ensure!(refused.is_some(), "{line}, {exercise}: not refused"),
            _ => ensure!(report.phase != Phase::Waiting, "{line}, {exercise}: nobody began"),
        }
        Ok(())
    }

    fn verdict(&self) -> String {
        match (&self.refused, self.report.score) {
            (Some(why), _) => format!("refused: {why}"),
            (None, Some(_)) if self.report.passes() => "passed".to_owned(),
            (None, Some(_)) => "not passed".to_owned(),
            (None, None) => self.report.phase.name().to_owned(),
        }
    }

    fn metrics(&self, into: &mut Map<String, Value>) {
        let Report { exercise, measures, errors, score, .. } = &self.report;
        let done = self.report.phase == Phase::Done;
        let seen = |value: f64| if done { json!(value) } else { Value::Null };
        let each = [
            ("time_s", seen(measures.time_s)),
            ("path_mm", seen(measures.path_mm)),
            ("economy_ratio", seen(measures.economy)),
            ("movements", seen(f64::from(measures.movements))),
            ("smoothness_sparc", json!(measures.smoothness.filter(|_| done))),
            ("errors", json!(errors.all())),
            ("score_points", json!(score.map(|score| score.points()))),
            ("passed", json!(u8::from(self.report.passes()))),
        ];
        let name = format!("{}_{exercise}", self.line);
        into.extend(each.map(|(what, value)| (format!("{name}_{what}"), value)));
    }
}

fn most_refused(outcome: &Outcome) -> Option<String> {
    let (name, _) = outcome.refused.iter().max_by_key(|(_, count)| **count)?;
    outcome.last_refused.get(name).map(ToString::to_string)
}

fn tell(arguments: &super::Arguments, rows: &[Row]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let mut metrics = Map::new();
        rows.iter().for_each(|row| row.metrics(&mut metrics));
        let refused: Map<String, Value> = rows
            .iter()
            .filter_map(|row| Some((row.line.to_string(), json!(row.refused.as_ref()?))))
            .collect();
        let object = json!({
            "name": "skill", "machine": machine(), "load": LOAD, "seed": arguments.seed, "refused": refused,
            "metrics": metrics,
        });
        return Ok(writeln!(out, "{object}")?);
    }
    writeln!(
        out,
        "{:<10}{:<15}{:>8}{:>10}{:>9}{:>7}{:>7}{:>7}  verdict, errors",
        "line", "exercise", "time", "path", "economy", "moves", "SPARC", "score"
    )?;
    for row in rows {
        write!(out, "{:<10}{:<15}", row.line.name(), row.report.exercise.name())?;
        let Report { measures, errors, score, .. } = &row.report;
        if let Some(score) = score {
            write!(
                out,
                "{:>6.1} s{:>7.0} mm{:>9.2}{:>7}{:>7.2}{:>7.0}",
                measures.time_s,
                measures.path_mm,
                measures.economy,
                measures.movements,
                measures.smoothness.unwrap_or(f64::NAN),
                score.points()
            )?;
        } else {
            write!(out, "{:>48}", "")?;
        }
        writeln!(out, "  {}; errors: {errors}", row.verdict())?;
    }
    Ok(writeln!(out, "{}; {LOAD}", machine())?)
}
