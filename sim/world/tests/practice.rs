//! Exercises with the real kit in virtual time, over good lines and over one that is too slow.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use farhand_world::exercise::{Exercise, Phase};
use farhand_world::{Outcome, Profile, Session, Story};

const SECONDS: u64 = 360;

fn play(exercise: Exercise, line: Profile) -> Outcome {
    let series = line.series(1, None).unwrap();
    let story = Story::calm(5, SECONDS).along(line.ways(1, series.as_ref())).practising(exercise);
    Session::new(story).unwrap().play().unwrap()
}

/// Goal: over a cable the scripted surgeon does every exercise with the real kit, without an error, and passes.
#[test]
fn over_a_cable_every_exercise_is_passed() {
    for exercise in Exercise::EACH {
        let outcome = play(exercise, Profile::Lan);
        assert_eq!(outcome.violations, []);
        let report = outcome.exercise.unwrap();
        assert!(report.passes() && report.errors.all() == 0, "{report:?}");
    }
}

/// Goal: over satellites in low orbit it takes longer, and scores no more.
#[test]
fn a_slower_line_costs_time() {
    let [near, far] =
        [Profile::Lan, Profile::Leo].map(|line| play(Exercise::PegTransfer, line).exercise.unwrap());
    assert_eq!(far.phase, Phase::Done, "{far:?}");
    assert!(far.measures.time_s > near.measures.time_s + 1.0, "{near:?}\n{far:?}");
    assert!(far.score.unwrap() <= near.score.unwrap(), "{near:?}\n{far:?}");
}

/// Goal: over a geostationary satellite nobody begins, and the guard says why.
#[test]
fn over_a_line_that_is_too_slow_nobody_begins() {
    let outcome = play(Exercise::PegTransfer, Profile::Geo);
    let report = outcome.exercise.unwrap();
    assert_eq!((report.phase, report.score), (Phase::Waiting, None));
    let why = outcome.last_refused.get("StaleCommand").map(ToString::to_string).unwrap_or_default();
    assert!(why.starts_with("command is ") && why.ends_with("limit 300"), "{why}");
}

/// Goal: the same seed and line give the same result.
#[test]
fn the_same_seed_gives_the_same_result() {
    let [first, second] = [(); 2].map(|()| play(Exercise::Reach, Profile::Urban5g).exercise.unwrap());
    assert_eq!(first, second);
}
