//! The exploration itself.

use std::collections::{HashMap, hash_map::Entry};

use farhand_wire::{Action, Rejection};

use super::{
    model::{Found, Scene},
    scenes,
    stage::Stage,
};

/// Explores a scene. It must be about as large as it was, and not for want of refusals and actions.
fn explore(scene: &Scene, states: usize, refusals: &[&str], actions: &[Action]) {
    let found = scene.explore();
    tell(&found);
    let has = |bits: u64, number: u32| bits & (1 << number) != 0;
    let refused = Rejection::EACH.iter().filter(|why| has(found.refusals, why.parts().0));
    assert_eq!(refused.map(Rejection::name).collect::<Vec<_>>(), refusals);
    let missing = actions.iter().filter(|action| !has(found.actions, **action as u32));
    assert_eq!(missing.count(), 0, "{:#b}", found.actions);
    assert!(found.states >= states, "only {} states", found.states);
}

#[expect(clippy::print_stdout, reason = "with --nocapture it says how much there was")]
fn tell(found: &Found) {
    let Found { states, steps, acts, .. } = found;
    println!("{states} states, {steps} steps, the farthest state {acts} acts away");
}

/// Goal: two states that count as one are one: whatever may happen next, the guard answers alike and comes to states that count
/// as one again. Looked at wherever seeded walks through each scene come by a second time, at another time and with other numbers.
#[test]
fn states_with_the_same_key_behave_the_same() {
    let mut compared = 0;
    for scene in scenes::closed().into_iter().chain([scenes::everything(0)]) {
        let mut met = HashMap::new();
        for seed in 0..20 {
            let (mut random, mut stage) = (fastrand::Rng::with_seed(seed), scene.start());
            for _ in 0..200 {
                match met.entry(stage.key()) {
                    Entry::Vacant(new) => drop(new.insert(stage.clone())),
                    Entry::Occupied(known) => compared += compare(&scene, known.get(), &stage),
                }
                stage.step(scene.acts[random.usize(..scene.acts.len())]);
            }
        }
    }
    assert!(compared > 100_000, "{compared}");
}

fn compare(scene: &Scene, one: &Stage, other: &Stage) -> usize {
    for act in &scene.acts {
        let (mut one, mut other) = (one.clone(), other.clone());
        assert_eq!(one.step(*act), other.step(*act), "{act:?}");
        assert_eq!(one.outcome, other.outcome, "{act:?}");
        assert_eq!(one.key(), other.key(), "{act:?}");
    }
    scene.acts.len()
}

/// Goal: P1, P2, P3. Whatever a console sends, in whatever order and however late, and whatever the camera does.
#[test]
fn a_hand_moves_the_tool_only_as_promised() {
    let refusals = [
        "StaleCommand",
        "FutureEcho",
        "StalePicture",
        "UnknownFrame",
        "OldSequence",
        "LeaseExpired",
        "Paused",
        "EngagementMismatch",
        "HoldMismatch",
        "NotAtRest",
        "LagTooFar",
        "LagTurned",
        "NotReleased",
        "NoSuchArm",
    ];
    explore(&scenes::hand(), 64_000, &refusals, &[Action::Move]);
}

/// Goal: P4. Whoever presses what and signs what, in whatever order.
#[test]
fn a_stop_wins_and_two_clear_it() {
    let refusals = [
        "LeaseExpired",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Faulted",
        "ArmSilent",
        "ImpossibleSetpoint",
    ];
    explore(&scenes::stops(), 596_000, &refusals, &[Action::Move]);
}

/// Goal: P1, P12. Whoever arms, disarms and closes.
#[test]
fn two_people_arm_what_is_not_over() {
    let refusals = [
        "LeaseExpired",
        "NotArmed",
        "NotHomed",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
    ];
    explore(&scenes::arming(), 31_000, &refusals, &[Action::Move]);
}

/// Goal: P12, P13. Homing and withdrawing among stops, faults and hands.
#[test]
fn the_arm_moves_by_itself_on_the_bedsides_order_alone() {
    let refusals = [
        "LeaseExpired",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "ImpossibleSetpoint",
        "ErrandUnderWay",
    ];
    explore(&scenes::errands(), 8_000, &refusals, &[Action::Move, Action::Home, Action::Withdraw]);
}

/// Goal: P13. The switch is held and let go at any time.
#[test]
fn there_is_always_a_way_out() {
    let refusals = [
        "LeaseExpired",
        "NotArmed",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Faulted",
        "ArmSilent",
        "ErrandUnderWay",
    ];
    explore(&scenes::way_out(), 319_000, &refusals, &[Action::Move, Action::Withdraw]);
}

/// Goal: Consent. It is withdrawn at any time, by whoever speaks for the patient.
#[test]
fn without_consent_there_is_only_out() {
    let refusals = [
        "LeaseExpired",
        "NotArmed",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "LagTooFar",
        "NotReleased",
        "ErrandUnderWay",
    ];
    explore(&scenes::consent(), 43_000, &refusals, &[Action::Move, Action::Home, Action::Withdraw]);
}

/// Goal: P6. Whoever puts them in force, in whatever order.
#[test]
fn regions_only_get_newer() {
    let refusals = [];
    explore(&scenes::regions(), 24, &refusals, &[]);
}

/// Goal: P8. Tokens are asked for, granted, handed over and given away in any order, and commands come under each.
#[test]
fn control_has_one_holder() {
    let refusals = [
        "OldToken",
        "LeaseExpired",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Unrecorded",
    ];
    explore(&scenes::control(), 185_000, &refusals, &[Action::Move]);
}

/// Goal: P11. Whatever the edge box says is durable, and whenever.
#[test]
fn motion_waits_for_its_record() {
    let refusals = [
        "OldToken",
        "LeaseExpired",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Unrecorded",
        "Unlisted",
    ];
    explore(&scenes::record(), 45_000, &refusals, &[Action::Move]);
}

/// Goal: P10. Ticks are missed at any time.
#[test]
fn a_late_loop_holds() {
    let refusals = ["LeaseExpired", "Paused", "EngagementMismatch", "NotAtRest", "NotReleased"];
    explore(&scenes::lateness(), 3_000, &refusals, &[Action::Move]);
}

/// Goal: P1 to P3. Two hands press, go on, let go and use their clutches, in any order.
#[test]
fn two_hands_under_one_pedal() {
    let refusals = [
        "OldSequence",
        "LeaseExpired",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Unrecorded",
    ];
    explore(&scenes::two_hands(), 184_000, &refusals, &[Action::Move]);
}

/// Goal: P4. One arm has a fault, a pressed button or a dead cable, while hands move both.
#[test]
fn what_stops_one_arm_stops_both() {
    let refusals = [
        "LeaseExpired",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Faulted",
        "ArmSilent",
        "ImpossibleSetpoint",
    ];
    explore(&scenes::two_stop(), 222_000, &refusals, &[Action::Move, Action::Brake]);
}

/// Goal: P12, P13. One arm is drawn out or loses its home, or both go home, each as far as it is.
#[test]
fn arms_leave_one_by_one() {
    let refusals = [
        "LeaseExpired",
        "NotArmed",
        "NotHomed",
        "Paused",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "ErrandUnderWay",
    ];
    explore(&scenes::two_leave(), 314_000, &refusals, &[Action::Move, Action::Home, Action::Withdraw]);
}

/// Goal: P10, P11. After a late loop or a record that lagged each arm waits for a command of its own.
#[test]
fn each_arm_waits_for_its_own() {
    let refusals = [
        "OldSequence",
        "LeaseExpired",
        "EngagementMismatch",
        "NotAtRest",
        "NotReleased",
        "Unrecorded",
        "Unlisted",
    ];
    explore(&scenes::two_wait(), 474_000, &refusals, &[Action::Move]);
}

/// Goal: All of it. Any four of all acts, one after another, happen to a hand that moves the tool.
#[test]
fn everything_together_for_a_while() {
    let refusals = [
        "StaleCommand",
        "FutureEcho",
        "UnknownFrame",
        "OldSequence",
        "OldToken",
        "LeaseExpired",
        "NotArmed",
        "NotHomed",
        "EmergencyStopped",
        "Paused",
        "EngagementMismatch",
        "HoldMismatch",
        "NotAtRest",
        "LagTooFar",
        "LagTurned",
        "NotReleased",
        "NoSuchArm",
        "Faulted",
        "Unrecorded",
        "ArmSilent",
        "ImpossibleSetpoint",
        "ErrandUnderWay",
    ];
    explore(&scenes::everything(4), 312_000, &refusals, &[Action::Move, Action::Home, Action::Withdraw]);
}
