//! Sessions in virtual time keep the promises, and the work gets done.

use farhand_world::{Outcome, Session, Story};

/// Goal: on a good line nothing is broken, most commands are applied, and objects are grasped.
#[test]
fn on_a_good_line_the_work_gets_done() {
    let outcome = Session::new(Story::calm(7, 60)).unwrap().play().unwrap();
    assert_eq!(outcome.violations, []);
    assert!(outcome.tasks_done >= 3, "{outcome:?}");
    assert!(outcome.applied * 10 > outcome.commands * 6, "{outcome:?}");
}

/// Goal: twenty sessions under random faults break no promise, and still get work done.
#[test]
fn twenty_sessions_keep_every_promise() {
    let mut sum = Outcome::default();
    for number in 0..20 {
        sum.add(Session::new(Story::of_soak(1, number, 60)).unwrap().play().unwrap());
    }
    assert_eq!(sum.violations, [], "seed 1");
    assert!(sum.tasks_done >= 20, "{sum:?}");
    for refusal in
        ["StaleCommand", "StalePicture", "OldSequence", "EmergencyStopped", "Unrecorded", "Unlisted"]
    {
        assert!(sum.refused.contains_key(refusal), "{refusal} never happened: {sum:?}");
    }
    for fault in [
        "record stalls",
        "record lags",
        "watermark vanishes",
        "watermark lies",
        "surgeon's lists stay away",
        "edge restarts",
        "closed by the surgeon",
        "control handed over",
        "control given to another after a lease ran out",
    ] {
        assert!(sum.faults.contains_key(fault), "{fault} never happened: {sum:?}");
    }
    assert!(sum.resent > 0 && sum.verdicts > sum.applied, "{sum:?}");
}

/// Goal: a seed is a story: the same one twice.
#[test]
fn the_same_seed_tells_the_same_story() {
    let run = || Session::new(Story::troubled(3, 40)).unwrap().play().unwrap();
    let (first, second) = (run(), run());
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}
