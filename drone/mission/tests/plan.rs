//! Plans: QGroundControl's own samples, our trial, and files that must be refused by item and field.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests fail loudly, and say what they skip

use std::path::PathBuf;

use farhand_mission::{Altitude, FenceError, Mission, MissionError, Plan, PlanError, Problem};
use proptest::prelude::*;

const TRIAL: &str = include_str!("../plans/trial.plan");

fn sample(name: &str) -> Option<String> {
    let root = std::env::var_os("FARHAND_DATA_SAMPLES")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let text = std::fs::read_to_string(root.join("uav/plans").join(name)).ok();
    if text.is_none() {
        eprintln!("skipped: no sample {name} under {}", root.display());
    }
    text
}

fn refusal(text: &str) -> (Option<usize>, String, Problem) {
    match Plan::from_json(text).unwrap_err() {
        PlanError::Field { item, field, problem } => (item, field, problem),
        other => unreachable!("{other}"),
    }
}

/// The trial plan with one text replaced: each malformed case differs from a good file in one place.
fn spoiled(from: &str, to: &str) -> String {
    assert!(TRIAL.contains(from), "the trial plan holds {from}");
    TRIAL.replacen(from, to, 1)
}

/// Goal: the trial's plan is a delivery that may be flown, of the length its documentation says.
#[test]
fn the_trial_is_a_delivery_within_its_fence() {
    let trial = Mission::trial();
    assert!((trial.route_m() - 1_900.0).abs() < 50.0, "{} m", trial.route_m());
    assert_eq!(trial.waypoints().len(), 3);
    assert_eq!(trial.waypoints()[1].altitude, Altitude::AboveSea { m: 548.0 });
    assert_eq!(trial.waypoints()[1].altitude.above_home_m(trial.home()), 60.0);
    assert!(trial.fence().is_some_and(|fence| fence.contains(trial.delivery())));
}

/// Goal: what is written reads back as the same plan and the same mission.
#[test]
fn writing_and_reading_gives_the_same_plan() {
    let plan = Plan::from_json(TRIAL).unwrap();
    let again = Plan::from_json(&plan.to_json()).unwrap();
    assert_eq!(again.to_json(), plan.to_json());
    let mission = Mission::from_plan(&plan).unwrap();
    let text = mission.to_plan().to_json();
    assert_eq!(Mission::from_plan(&Plan::from_json(&text).unwrap()), Ok(mission));
}

/// Goal: a real QGroundControl plan is read whole; as a delivery it is refused for what it does not do.
#[test]
fn qgroundcontrols_sample_is_read_and_is_no_delivery() {
    let Some(text) = sample("qgroundcontrol_sample.plan") else { return };
    let plan = Plan::from_json(&text).unwrap();
    let commands: Vec<u16> = plan.items.iter().map(|item| item.command).collect();
    assert_eq!(commands, [22, 16, 2000, 16, 16, 20]);
    assert!(plan.items[0].params[3].is_nan(), "null is not a number");
    assert_eq!(Mission::from_plan(&plan), Err(MissionError::Command { item: 4 - 1, command: 2000 }));
}

/// Goal: QGroundControl's other samples are refused by item and field.
#[test]
fn the_other_samples_are_refused_by_item_and_field() {
    let cases = [
        ("qgroundcontrol_sample_with_structured_scan.plan", Some(2), "type"),
        ("qgroundcontrol_sample_with_survey_missing_items.plan", Some(2), "type"),
        ("qgroundcontrol_sample_with_survey_wrong_version.plan", Some(2), "type"),
        ("qgroundcontrol_sample_without_mission.plan", None, "mission"),
        ("qgroundcontrol_sample_wrong_mission_version.plan", None, "mission.version"),
    ];
    for (name, item, field) in cases {
        let Some(text) = sample(name) else { return };
        let (seen_item, seen_field, _) = refusal(&text);
        assert_eq!((seen_item, seen_field.as_str()), (item, field), "{name}");
    }
}

/// Goal: each malformed field is named, with what was seen and what was wanted.
#[test]
fn a_malformed_field_is_named_with_what_was_seen() {
    let cases = [
        (spoiled("\"cruiseSpeed\": 15,", ""), None, "mission.cruiseSpeed"),
        (spoiled("\"command\": 16, \"doJumpId\": 3", "\"command\": \"fly\""), Some(3), "command"),
        (spoiled("[2, 0, 0, null,", "[2, 0, null,"), Some(4), "params"),
        (spoiled("[2, 0, 0, null,", "[2, 0, false, null,"), Some(4), "params[2]"),
        (spoiled("\"SimpleItem\", \"autoContinue\": true", "\"SimpleItem\""), Some(1), "autoContinue"),
        (spoiled("\"circles\": []", "\"circles\": [{}]"), None, "geoFence.circles"),
        (spoiled("\"inclusion\": true", "\"inclusion\": false"), None, "geoFence.polygons[0].inclusion"),
        (spoiled("[47.394, 8.556]", "[97.394, 8.556]"), None, "geoFence.polygons[0].polygon[1]"),
        (spoiled("\"payloadMassKg\": 18.0", "\"payloadMassKg\": -1"), None, "farhand.payloadMassKg"),
        (spoiled("8.545594, 488]", "8.545594, 48800]"), None, "mission.plannedHomePosition[2]"),
        ("[]".to_owned(), None, "(the whole of it)"),
    ];
    for (text, item, field) in cases {
        let (seen_item, seen_field, problem) = refusal(&text);
        assert_eq!((seen_item, seen_field.as_str()), (item, field), "{problem}");
    }
}

/// Goal: the message a person reads says where and what.
#[test]
fn a_refusal_reads_as_a_sentence() {
    let error = Plan::from_json(&spoiled("[2, 0, 0, null,", "[2, 0, false, null,")).unwrap_err();
    let expected = "item 4, field `params[2]`: is true or false, but must be a number or null";
    assert_eq!(error.to_string(), expected);
}

/// Goal: a plan that is well-formed but not a safe delivery is refused by item and limit.
#[test]
fn a_plan_that_is_no_safe_delivery_is_refused() {
    let delivery = |text: String| Mission::from_plan(&Plan::from_json(&text).unwrap()).unwrap_err();
    let high = delivery(spoiled("8.5438, 60]", "8.5438, 600]"));
    assert!(matches!(high, MissionError::Limit { item: 2, seen: 600.0, max: 120.0, .. }), "{high}");
    let outside = delivery(spoiled("47.4063, 8.5471", "47.4163, 8.5471"));
    assert_eq!(outside, MissionError::LeavesFence { item: 3 });
    let terrain = delivery(spoiled("\"doJumpId\": 2, \"frame\": 3", "\"doJumpId\": 2, \"frame\": 10"));
    assert_eq!(terrain, MissionError::Frame { item: 2, frame: 10 });
    let unweighed = delivery(spoiled("\"farhand\": { \"payloadMassKg\": 18.0 },", ""));
    assert_eq!(unweighed, MissionError::NoPayloadMass);
    let endless = delivery(spoiled("\"command\": 21", "\"command\": 16"));
    assert_eq!(endless, MissionError::NoDelivery);
    let nowhere = delivery(spoiled("null, 47.4012,", "null, null,"));
    assert!(matches!(nowhere, MissionError::Place { item: 2, .. }), "{nowhere}");
}

/// Goal: a fence without a clear inside is refused where it stands.
#[test]
fn a_crossed_fence_is_refused() {
    let crossed = spoiled("[47.394, 8.556], [47.414, 8.562]", "[47.414, 8.562], [47.394, 8.556]");
    let (_, field, problem) = refusal(&crossed);
    assert_eq!(field, "geoFence.polygons[0].polygon");
    assert_eq!(problem, Problem::Fence(FenceError::NotSimple));
}

proptest! {
    /// Goal: no text whatever makes the reader panic, and a spoiled good file is read or refused.
    #[test]
    fn any_spoiling_is_read_or_refused(at in 0usize..TRIAL.len(), length in 0usize..40, put in ".{0,12}") {
        prop_assume!(TRIAL.is_char_boundary(at));
        let end = (at + length).min(TRIAL.len());
        let text = format!("{}{put}{}", &TRIAL[..at], &TRIAL[end..]);
        if let Ok(plan) = Plan::from_json(&text) {
            let _ = Mission::from_plan(&plan);
        }
    }
}
