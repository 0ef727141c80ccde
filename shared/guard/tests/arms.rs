//! Several arms under one pedal, one lease, one e-stop.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod stage;

use farhand_guard::Intent;
use farhand_wire::*;
use stage::{BEDSIDE, Stage};

fn two_arms() -> Stage {
    Stage::of_arms(2).lease_it().wait_for_the_line()
}

/// The next command of that engagement for this arm; why it was refused.
fn send(stage: &mut Stage, arm: u8, engagement: u64, change: impl FnOnce(&mut Command)) -> Option<Rejection> {
    let hold = stage.guard.report(stage.tick_now(), arm.into()).unwrap().hold;
    stage.send(|command| {
        (command.arm, command.engagement, command.hold) = (arm, EngagementId(engagement), hold);
        command.target.position_m[0] = f64::from(arm) / 10.0;
        change(command);
    })
}

/// Which arms follow in the next tick.
fn follow(stage: &mut Stage) -> Vec<bool> {
    stage.tick_all().iter().map(|intent| matches!(intent, Intent::Follow { .. })).collect()
}

fn both_engaged() -> Stage {
    let mut stage = two_arms();
    assert_eq!(send(&mut stage, 0, 1, |_| ()), None);
    assert_eq!(send(&mut stage, 1, 1, |_| ()), None);
    assert_eq!(follow(&mut stage), [true, true]);
    stage
}

/// Goal: both hands at once, each arm to its own target.
#[test]
fn two_hands_move_two_arms() {
    let mut stage = both_engaged();
    for (arm, intent) in stage.tick_all().into_iter().enumerate() {
        let Intent::Follow { target, .. } = intent else { unreachable!("arm {arm}: {intent:?}") };
        assert_eq!(target.position_m[0], arm as f64 / 10.0);
    }
}

/// Goal: P3. There is one pedal: up, it stops every arm, whichever the command names.
#[test]
fn a_release_stops_every_arm() {
    for arm in [0, 1] {
        let mut stage = both_engaged();
        send(&mut stage, arm, 1, |command| command.dead_man = false);
        assert_eq!(follow(&mut stage), [false, false]);
    }
}

/// Goal: P3. A release that a newer press of its own arm has overtaken still stops the other arm, and not its own.
#[test]
fn an_overtaken_release_stops_the_other_arm() {
    let mut stage = both_engaged();
    send(&mut stage, 0, 1, |command| command.clutch = true);
    stage.at_rest = true;
    follow(&mut stage);
    stage.sequence += 1; // of the release
    assert_eq!(send(&mut stage, 0, 2, |_| ()), None);
    assert_eq!(follow(&mut stage), [true, true]);
    stage.sequence -= 2;
    let refused = send(&mut stage, 0, 1, |command| command.dead_man = false);
    assert!(matches!(refused, Some(Rejection::OldSequence { .. })), "{refused:?}");
    assert_eq!(follow(&mut stage), [true, false]);
}

/// Goal: P3. An arm that nobody commands holds, whatever the other does; in the end it asks for a release, and the other does not.
#[test]
fn each_arm_falls_silent_by_itself() {
    let mut stage = both_engaged();
    let mut held_ms = None;
    for ms in 0..600 {
        assert_eq!(send(&mut stage, 0, 1, |_| ()), None);
        let follows = follow(&mut stage);
        assert!(follows[0]);
        held_ms = held_ms.or((!follows[1]).then_some(ms));
    }
    assert_eq!(held_ms, Some(49), "51 ms after its command");
    let refused = send(&mut stage, 1, 1, |_| ());
    assert!(matches!(refused, Some(Rejection::Paused { .. })), "{refused:?}");
    assert_eq!(follow(&mut stage), [true, false]);
}

/// Goal: the clutch frees one arm, which goes on from where it is without a release.
#[test]
fn a_clutch_frees_one_arm() {
    let mut stage = both_engaged();
    send(&mut stage, 1, 1, |command| command.clutch = true);
    assert_eq!(follow(&mut stage), [true, false]);
    for _ in 0..1_000 {
        assert_eq!(send(&mut stage, 0, 1, |_| ()), None);
        stage.tick();
    }
    assert_eq!(send(&mut stage, 1, 2, |_| ()), None);
    assert_eq!(follow(&mut stage), [true, true]);
}

/// Goal: P4. What is wrong with one arm stops them all.
#[test]
fn a_fault_of_one_arm_stops_all() {
    for wrong in [arm_flags::FAULT, arm_flags::BUTTON] {
        let mut stage = both_engaged();
        stage.one_says(1, arm_flags::HOMED | wrong);
        let intents = stage.guard.decide(stage.tick_now());
        assert_eq!(intents.as_slice(), [Intent::Stop, Intent::Stop]);
        assert_eq!(stage.report().faulted, Some(1), "whose fault it is");
    }
}

/// Goal: a cable that is silent is named.
#[test]
fn a_silent_cable_is_named() {
    let mut stage = both_engaged();
    for _ in 0..60 {
        stage.now += 1;
        stage.one_says(0, arm_flags::HOMED);
        stage.guard.decide(stage.tick_now());
    }
    let report = stage.report();
    assert_eq!(report.faulted, Some(1));
    assert!(matches!(report.kit.reason, Some(Rejection::ArmSilent { .. })), "{:?}", report.kit.reason);
}

/// Goal: motion that proposes what it must not is stopped, and may go on from where the arm was stopped, and only from there.
#[test]
fn a_refused_setpoint_is_where_motion_begins_anew() {
    let mut stage = Stage::engaged();
    for tick in 1..=10 {
        stage.proposal.joints[0] = 1e-5 * f64::from(tick * tick) / 2.0; // at half the acceleration that it may have
        stage.proposal.tip_mm[0] = 0.1 * f64::from(tick);
        stage.tick();
    }
    let mut proposal = stage.proposal;
    proposal.joints[0] += 0.5;
    let mut permit = stage.guard.permit(stage.tick_now(), 0, &proposal).unwrap();
    assert_eq!(permit.setpoint().action, Action::Brake);
    assert!(matches!(stage.guard.decide(stage.tick_now())[0], Intent::Stop));
    assert!(matches!(stage.report().kit.reason, Some(Rejection::ImpossibleSetpoint { .. })));
    // The tip is somewhere else by now than any limit on its speed would have it: the guard does not know its place.
    proposal.tip_mm = [40.0; 3];
    let met = (0..100).find(|_| {
        proposal.joints = permit.setpoint().joints;
        permit = stage.guard.permit(stage.tick_now(), 0, &proposal).unwrap();
        permit.setpoint().action == Action::Hold
    });
    assert!(met.is_some_and(|ticks| ticks < 10), "{met:?}");
    proposal.tip_mm[0] += 1.0;
    let permit = stage.guard.permit(stage.tick_now(), 0, &proposal).unwrap();
    assert_eq!(permit.setpoint().action, Action::Brake, "a tip at a metre a second");
}

/// Goal: P10, P11. After a late loop or a record that lagged each arm waits for a command of its own.
#[test]
fn each_arm_waits_for_its_own_command() {
    let mut stage = both_engaged();
    stage.now += 12;
    assert_eq!(follow(&mut stage), [false, false]);
    assert_eq!(send(&mut stage, 0, 1, |_| ()), None);
    assert_eq!(follow(&mut stage), [true, false]);
    assert_eq!(send(&mut stage, 1, 1, |_| ()), None);
    assert_eq!(follow(&mut stage), [true, true]);
}

/// Goal: P13. An arm's own switch draws out that arm alone, and nobody is armed afterwards.
#[test]
fn the_way_out_is_one_arms_own() {
    let mut stage = both_engaged();
    stage.one_says(1, arm_flags::HOMED | arm_flags::WAY_OUT);
    let intents = stage.guard.decide(stage.tick_now());
    assert_eq!(intents.as_slice(), [Intent::Stop, Intent::Withdraw { jaw_rad: None }]);
    assert_eq!(stage.report().kit.flags & state_flags::ARMED, 0);
}

/// Goal: an errand is every arm's, until each has done it.
#[test]
fn an_errand_is_done_arm_by_arm() {
    let mut stage = two_arms();
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Home { challenge });
    assert_eq!(stage.tick_all(), [Intent::Home, Intent::Home]);
    stage.guard.errand_done(0);
    assert_eq!(stage.tick_all(), [Intent::Stop, Intent::Home]);
    let moved = Some(Rejection::ErrandUnderWay { arm: 2.0, arms: 2.0 });
    assert_eq!((stage.report().arm.reason, send(&mut stage, 0, 1, |_| ())), (moved, moved));
    assert_eq!(stage.report().kit.operating_state, OperatingState::Enabled);
    stage.guard.errand_done(1);
    assert_eq!(stage.tick_all(), [Intent::Stop, Intent::Stop]);
}

/// Goal: an arm that has lost its zero is homed by itself: the others may be in the patient.
#[test]
fn an_arm_that_is_homed_stays_while_another_homes() {
    let mut stage = two_arms();
    stage.one_says(0, arm_flags::HOMED);
    stage.one_says(1, 0);
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Home { challenge });
    let intents = stage.guard.decide(stage.tick_now());
    assert_eq!(intents.as_slice(), [Intent::Stop, Intent::Home]);
}

/// Goal: the whole is said to be as free as the freest arm, and homed only if every arm is.
#[test]
fn the_whole_is_as_free_as_its_freest_arm() {
    let mut stage = two_arms();
    assert_eq!(send(&mut stage, 1, 1, |_| ()), None);
    assert_eq!(follow(&mut stage), [false, true]);
    let report = stage.report();
    assert_eq!((report.arm.mode, report.kit.mode), (Mode::Holding, Mode::Free));
    assert_eq!(report.kit.flags & state_flags::ENGAGED, state_flags::ENGAGED);
    stage.one_says(0, 0);
    assert_eq!(stage.report().kit.flags & state_flags::HOMED, 0);
}
