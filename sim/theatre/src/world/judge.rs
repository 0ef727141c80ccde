//! Measures an exercise while the arm does it, and writes down how it went.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;
use farhand_world::exercise::{Hand, PASS_MARK, Report, Standing, Track};
use nalgebra::Point3;
use serde_json::{Value, json};

use super::truth::replace;
use crate::exercise::{errors, measures, progress, to_json};

/// What the arm's thread may be ahead of the judge: a hundred seconds.
const WAITING_MAX: usize = 10_000;

/// Sits beside the truth, away from the arm's thread.
#[derive(Debug)]
pub(crate) struct Judge {
    way: Receiver<Point3<f64>>,
    track: Track,
    /// Where the result goes, until it is there.
    result: Option<PathBuf>,
    line: Option<String>,
}

impl Judge {
    /// The judge, and where the way of the jaws' end goes to.
    pub(crate) fn new(truth: Option<&Path>, line: Option<String>) -> (Self, SyncSender<Point3<f64>>) {
        let (measured, way) = sync_channel(WAITING_MAX);
        let result = truth.map(|truth| truth.with_file_name("exercise.json"));
        (Self { way, track: Track::default(), result, line }, measured)
    }

    /// How it stands; and once it is over, its result is in its file.
    pub(crate) fn look(&mut self, standing: &Standing) -> anyhow::Result<Value> {
        self.way.try_iter().for_each(|at| self.track.add(at));
        let report = standing.report(&self.track);
        if let Some(path) = self.result.take_if(|_| report.score.is_some()) {
            self.write(&path, &report)?;
        }
        Ok(json!({
            "name": report.exercise.name(),
            "phase": report.phase.name(),
            "step": standing.step,
            "next": next(&standing.next),
            "progress": progress(report.progress),
            "measures": measures(&report.measures),
            "errors": errors(&report.errors),
            "score": report.score.map(|score| score.points()),
            "pass_mark": PASS_MARK,
            "passed": report.passes(),
        }))
    }

    fn write(&self, path: &Path, report: &Report) -> anyhow::Result<()> {
        let mut result = to_json(report);
        result["line"] = json!(self.line);
        tracing::info!(result = %crate::exercise::in_words(report), "the exercise is over");
        replace(path, &serde_json::to_vec(&result)?)
            .with_context(|| format!("cannot write the exercise's result to {}", path.display()))
    }
}

/// Where the jaws should be, base frame.
fn next(hand: &Hand) -> Value {
    let at_mm: [f64; 3] = (hand.base_from_end.translation.vector * 1e3).into();
    let turn = hand.base_from_end.rotation;
    json!({
        "jaw_end_mm": at_mm,
        "orientation_wxyz": [turn.w, turn.i, turn.j, turn.k],
        "jaw_rad": hand.jaw_rad,
    })
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use farhand_world::exercise::{Attempt, Exercise};

    /// Goal: whoever certifies finds the whole result beside the truth, once, as soon as the exercise is over and not before.
    #[test]
    fn the_result_is_written_once_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let truth = folder.path().join("truth.json");
        let (mut judge, measured) = Judge::new(Some(&truth), Some("leo".to_owned()));
        let place = Stage::new(1, 1).unwrap().place();
        let mut attempt = Attempt::new(Exercise::Reach, 1, place);
        let mut hand = place.start;
        let result = truth.with_file_name("exercise.json");
        while !attempt.is_over() {
            assert!(!result.exists());
            let next = attempt.standing().next;
            let way = next.base_from_end.translation.vector - hand.base_from_end.translation.vector;
            hand.base_from_end.translation.vector += way * (1e-4 / way.norm().max(1e-4));
            hand.jaw_rad += (next.jaw_rad - hand.jaw_rad).clamp(-5e-3, 5e-3);
            attempt.step(&hand).into_iter().for_each(|at| measured.send(at).unwrap());
            judge.look(&attempt.standing()).unwrap();
        }
        let told = judge.look(&attempt.standing()).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&result).unwrap()).unwrap();
        assert_eq!(
            (&written["exercise"], &written["seed"], &written["line"], &written["phase"]),
            (&json!("reach"), &json!(1), &json!("leo"), &json!("done"))
        );
        assert_eq!(written["score"], told["score"]);
        assert!(written["measures"]["path_mm"].as_f64().unwrap() > 5.0, "{written}");
        std::fs::remove_file(&result).unwrap();
        judge.look(&attempt.standing()).unwrap();
        assert!(!result.exists(), "written again");
    }
}
