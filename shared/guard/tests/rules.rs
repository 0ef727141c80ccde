//! Each rule of the guard, through the messages that people and devices really send.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod stage;

use farhand_guard::{Intent, Lag, Proposal, Refusal, Response};
use farhand_wire::*;
use proptest::prelude::*;
use stage::*;

/// Goal: P1. A command is applied when everything holds, and each single thing that does not hold is told by name.
#[test]
fn a_command_is_applied_only_if_every_condition_holds() {
    use Rejection as R;
    type Change = fn(&mut Command);
    type Expected = fn(&R) -> bool;
    let table: [(&str, Change, Expected); 8] = [
        ("old echo", |c| c.kit_tick_echo.0 -= 301_000, |r| matches!(r, R::StaleCommand { .. })),
        ("echo from the future", |c| c.kit_tick_echo.0 += 1, |r| matches!(r, R::FutureEcho { .. })),
        ("old picture", |c| c.frame_seen.0 -= 41, |r| matches!(r, R::StalePicture { .. })),
        ("picture never announced", |c| c.frame_seen.0 += 1_000, |r| matches!(r, R::UnknownFrame { .. })),
        ("no picture", |c| c.frame_seen.0 = 0, |r| matches!(r, R::UnknownFrame { .. })),
        ("another arm", |c| c.arm = 1, |r| matches!(r, R::NoSuchArm { .. })),
        ("another token", |c| c.token.0 += 1, |r| matches!(r, R::OldToken { .. })),
        ("another hold", |c| c.hold.0 += 1, |r| matches!(r, R::HoldMismatch { .. })),
    ];
    for (what, change, expected) in table {
        let mut stage = Stage::ready();
        stage.wait(600);
        stage.engagement += 1;
        let rejection = stage.send(change).unwrap_or_else(|| unreachable!("{what} was applied"));
        assert!(expected(&rejection), "{what}: {rejection}");
        assert_eq!(stage.tick(), Intent::Stop, "{what}");
    }
    assert_eq!(Stage::engaged().mode(), Mode::Free);
}

/// Goal: P1. An old picture holds the tool even though every command is fresh.
#[test]
fn a_frozen_picture_holds_the_tool() {
    let mut stage = Stage::engaged();
    let (frozen, since) = (stage.frame(), stage.now);
    let marked = |stage: &mut Stage| stage.send(|command| command.frame_seen = frozen);
    while stage.now < since + 390 {
        stage.tick();
        assert_eq!(marked(&mut stage), None);
    }
    stage.wait(15);
    assert!(matches!(marked(&mut stage), Some(Rejection::StalePicture { .. })));
}

/// Goal: P1. Nothing moves unless two people armed it, one of them at the bedside, under the challenge in force.
#[test]
fn two_people_arm_one_of_them_at_the_bedside() {
    let mut stage = Stage::new();
    stage.arm_says(arm_flags::HOMED);
    let challenge = stage.challenge();
    for by in [SURGEON, SURGEON, SECOND_SURGEON] {
        stage.say(by, Said::Arm { challenge });
        assert_eq!(
            stage.request(SURGEON),
            Response::Refused { to: public(&key(SURGEON)), why: Refusal::NotArmed }
        );
    }
    let refused = stage.say(AUDITOR, Said::Arm { challenge });
    assert!(matches!(refused, Response::Refused { why: Refusal::NotATeamMember, .. }));
    let old = Challenge([0; 32]);
    assert!(matches!(
        stage.say(BEDSIDE, Said::Arm { challenge: old }),
        Response::Refused { why: Refusal::OldChallenge, .. }
    ));
    stage.say(BEDSIDE, Said::Arm { challenge });
    assert!(matches!(stage.request(SURGEON), Response::StoreToken { .. }));
}

/// Goal: P1. A frame from before a release never moves the arm again, and a release stops at any age.
#[test]
fn a_late_frame_from_before_a_release_is_refused() {
    let mut stage = Stage::engaged();
    stage.sequence += 1;
    let release = stage.send(|command| {
        command.dead_man = false;
        command.kit_tick_echo = KitTick(0);
    });
    assert_eq!(release, None, "an old release still stops");
    assert_eq!(stage.tick(), Intent::Stop);
    let newest = stage.sequence;
    let late = stage.send(|command| command.sequence = Sequence(newest - 1));
    assert!(matches!(late, Some(Rejection::OldSequence { .. })));
    assert_eq!(stage.tick(), Intent::Stop);
}

/// Goal: P2. A target too far away is not chased, and the engagement is over.
#[test]
fn a_target_far_away_ends_the_engagement() {
    for (lag, name) in [
        (Lag { mm: 10.1, deg: 0.0 }, "LagTooFar"),
        (Lag { mm: 0.0, deg: 15.1 }, "LagTurned"),
        (Lag { mm: f64::NAN, deg: 0.0 }, "LagTooFar"),
    ] {
        let mut stage = Stage::engaged();
        assert_eq!(stage.send_with_lag(lag, |_| ()).unwrap().name(), name);
        assert_eq!(stage.tick(), Intent::Stop);
        let again = stage.send(|_| ()).unwrap();
        assert!(
            matches!(again, Rejection::EngagementMismatch { .. } | Rejection::NotAtRest { .. }),
            "{again}"
        );
    }
}

/// Goal: P3. Silence holds after 50 ms and pauses after 500; then only release, press and a new engagement resume.
#[test]
fn silence_holds_and_then_pauses() {
    let mut stage = Stage::engaged();
    stage.wait(49);
    assert_eq!(stage.mode(), Mode::Free);
    stage.wait(2);
    assert_eq!(stage.mode(), Mode::Holding);
    assert_eq!(stage.send(|_| ()), None, "a short silence is made good by the next command");
    assert!(matches!(stage.tick(), Intent::Follow { .. }));
    stage.wait(502);
    assert_eq!(stage.mode(), Mode::Paused);
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Paused { .. })));
    stage.send(|command| command.dead_man = false);
    stage.tick();
    stage.engagement += 1;
    assert_eq!(stage.send(|_| ()), None);
    assert!(matches!(stage.tick(), Intent::Follow { .. }));
}

/// Goal: P3. A dead-man that is held while everything is refused must be released after half a second, also where no engagement
/// was running any more; a pressed clutch may be held for as long as one likes.
#[test]
fn a_held_dead_man_that_moves_nothing_pauses() {
    let mut stage = Stage::engaged();
    stage.send_with_lag(Lag { mm: 20.0, deg: 0.0 }, |_| ());
    stage.wait(2);
    for _ in 0..510 {
        stage.send(|command| command.frame_seen = FrameId(0));
        stage.tick();
    }
    assert_eq!(stage.mode(), Mode::Paused);
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Paused { .. })));
    let mut stage = Stage::engaged();
    for _ in 0..2_000 {
        stage.send(|command| command.clutch = true);
        stage.tick();
    }
    stage.engagement += 1;
    assert_eq!(stage.send(|_| ()), None);
}

/// Goal: P3. A new engagement starts from rest alone.
#[test]
fn a_new_engagement_waits_until_the_arm_stands() {
    let mut stage = Stage::engaged();
    stage.send(|command| command.dead_man = false);
    stage.at_rest = false;
    stage.tick();
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotAtRest { .. })));
    stage.at_rest = true;
    stage.tick();
    assert_eq!(stage.send(|_| ()), None);
}

/// Goal: P3. The clutch ends an engagement and counts as no release after a stop.
#[test]
fn a_clutch_ends_an_engagement_and_is_no_release() {
    let mut stage = Stage::engaged();
    assert_eq!(stage.send(|command| command.clutch = true), None);
    assert_eq!(stage.tick(), Intent::Stop);
    stage.say(AUDITOR, Said::EStop { press: PressId([1; 16]) });
    stage.tick();
    stage.clear_by_two();
    stage.send(|command| command.clutch = true);
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })));
}

/// Goal: P4. Anybody's press stops in the same tick; one person does not clear it; a held pedal does not resume.
#[test]
fn an_e_stop_latches_until_two_clear_it_and_the_pedal_was_up() {
    let mut stage = Stage::engaged();
    stage.say(AUDITOR, Said::EStop { press: PressId([1; 16]) });
    assert_eq!(stage.tick(), Intent::Stop);
    assert_eq!(stage.mode(), Mode::Stopped);
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::ClearEStop { challenge });
    stage.say(BEDSIDE, Said::ClearEStop { challenge });
    stage.tick();
    assert_eq!(stage.mode(), Mode::Stopped, "one person twice clears nothing");
    let before_clear = stage.tick_now();
    stage.wait(5);
    stage.say(SURGEON, Said::ClearEStop { challenge });
    stage.tick();
    assert_eq!(stage.mode(), Mode::Paused);
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })), "the pedal is still held");
    stage.send(|command| (command.dead_man, command.kit_tick_echo) = (false, before_clear));
    stage.engagement += 1;
    assert!(
        matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })),
        "that release was from before"
    );
    stage.send(|command| command.dead_man = false);
    stage.tick();
    stage.engagement += 1;
    assert_eq!(stage.send(|_| ()), None);
    stage.say(AUDITOR, Said::EStop { press: PressId([1; 16]) });
    stage.tick();
    assert_eq!(stage.mode(), Mode::Free, "a cleared press never latches again");
}

/// Goal: P4. A stop is not cleared while its cause remains.
#[test]
fn a_pressed_button_at_the_arm_cannot_be_cleared_away() {
    let mut stage = Stage::engaged();
    stage.arm_says(arm_flags::HOMED | arm_flags::BUTTON);
    let challenge = stage.challenge();
    let refused = stage.say(BEDSIDE, Said::ClearEStop { challenge });
    assert!(matches!(refused, Response::Refused { why: Refusal::CauseRemains, .. }));
    stage.tick();
    assert_eq!(stage.mode(), Mode::Stopped);
}

/// Goal: an arm that says nothing any more is a fault.
#[test]
fn a_silent_cable_is_a_fault() {
    let mut stage = Stage::engaged();
    stage.now += 60;
    assert_eq!(stage.guard.decide(stage.tick_now())[0], Intent::Stop);
    assert_eq!(stage.mode(), Mode::Stopped);
}

/// Goal: P5. What motion must not propose is not permitted: the guard brakes by itself and latches a fault.
#[test]
fn a_setpoint_outside_the_limits_is_not_permitted() {
    for joints in [[0.1; 6], [f64::NAN; 6], [2.0; 6]] {
        let mut stage = Stage::engaged();
        stage.now += 1;
        let proposal = Proposal { joints, ..stage.proposal };
        let permit = stage.guard.permit(stage.tick_now(), 0, &proposal).unwrap();
        assert_eq!(permit.setpoint().joints, [0.0; 6], "{joints:?}");
        assert_eq!(permit.setpoint().action, Action::Brake);
        assert_eq!(stage.tick(), Intent::Stop);
        assert_eq!(stage.mode(), Mode::Stopped);
    }
}

/// Goal: P8. While a lease is in force nobody else gets one; the token is granted only once it is durable.
#[test]
fn control_has_one_holder() {
    let mut stage = Stage::engaged();
    let refused = stage.request(SECOND_SURGEON);
    assert!(matches!(refused, Response::Refused { why: Refusal::ControlHeld { lapsed: false }, .. }));
    assert!(matches!(stage.request(BEDSIDE), Response::Refused { why: Refusal::NotASurgeon, .. }));
    let Response::StoreToken { token, .. } = stage.request(SURGEON) else { unreachable!() };
    assert!(matches!(stage.confirm(SURGEON, token), Response::Refused { .. }), "not stored is not granted");
    assert!(
        matches!(stage.send(|_| ()), Some(Rejection::OldToken { .. })),
        "the old token died with the request"
    );
}

/// Goal: P8. Hand-over: release by one, acceptance by the other; the first one's commands count no more.
#[test]
fn control_is_handed_over_by_both() {
    let mut stage = Stage::engaged();
    let token = stage.report().token;
    let to = public(&key(SECOND_SURGEON));
    let stolen = stage.say(SECOND_SURGEON, Said::HandOver { token, to });
    assert!(matches!(stolen, Response::Refused { why: Refusal::NotTheHolder, .. }));
    stage.say(SURGEON, Said::HandOver { token, to });
    assert!(matches!(stage.send(|_| ()), Some(Rejection::LeaseExpired { .. })));
    assert!(matches!(stage.request(SURGEON), Response::Refused { .. }));
    assert!(stage.lease(SECOND_SURGEON) > token);
    stage.tick();
    assert_eq!(stage.mode(), Mode::Paused, "a new holder starts with the pedal up");
}

/// Goal: P8. Take-over: only after the lease ran out, and by two people, one at the bedside.
#[test]
fn a_lapsed_lease_is_given_to_another_by_two() {
    let mut stage = Stage::ready();
    let to = public(&key(SECOND_SURGEON));
    let challenge = stage.challenge();
    let early = stage.say(BEDSIDE, Said::TakeOver { challenge, to });
    assert!(matches!(early, Response::Refused { why: Refusal::ControlHeld { .. }, .. }));
    stage.wait(10_001);
    assert!(matches!(
        stage.request(SECOND_SURGEON),
        Response::Refused { why: Refusal::ControlHeld { lapsed: true }, .. }
    ));
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::TakeOver { challenge, to });
    stage.say(SECOND_SURGEON, Said::TakeOver { challenge, to });
    stage.lease(SECOND_SURGEON);
}

/// Goal: the bedside alone homes and withdraws, and neither goes on under a stop.
#[test]
fn errands_are_ordered_at_the_bedside() {
    let mut stage = Stage::new();
    let challenge = stage.challenge();
    assert!(matches!(
        stage.say(SURGEON, Said::Home { challenge }),
        Response::Refused { why: Refusal::NotAtTheBedside, .. }
    ));
    stage.say(BEDSIDE, Said::Home { challenge });
    assert_eq!(stage.tick(), Intent::Home);
    stage.say(SURGEON, Said::EStop { press: PressId([3; 16]) });
    assert_eq!(stage.tick(), Intent::Stop);
    stage.clear_by_two();
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    assert_eq!(stage.tick(), Intent::Withdraw { jaw_rad: None });
}

/// Goal: nobody speaks who is neither on the roster nor endorsed by somebody who is.
#[test]
fn strangers_are_not_heard() {
    let mut stage = Stage::new();
    let stop = |session| Statement { session, said: Said::EStop { press: PressId([1; 16]) } };
    let stranger = key(99);
    assert!(stage.verifier.statement(&stop(SESSION).sign(&stranger)).is_err());
    assert!(stage.verifier.statement(&stop(SessionId([8; 16])).sign(&key(SURGEON))).is_err());
    let endorse = Statement { session: SESSION, said: Said::Endorse { session_key: public(&stranger) } };
    assert!(stage.verifier.statement(&endorse.sign(&stranger)).is_err());
    assert!(stage.verifier.statement(&endorse.sign(&key(SURGEON))).is_ok());
    assert!(stage.verifier.statement(&stop(SESSION).sign(&stranger)).is_ok());
    let further = Statement { session: SESSION, said: Said::Endorse { session_key: public(&key(98)) } };
    assert!(stage.verifier.statement(&further.sign(&stranger)).is_err(), "a session key endorses nobody");
}

/// Goal: a closed operation stays closed: disarmed, and neither two people nor a cleared stop arm it again; who holds no
/// control and is not at the bedside can't close it.
#[test]
fn a_closed_operation_is_not_armed_again() {
    let mut stage = Stage::engaged();
    let to = public(&key(AUDITOR));
    assert_eq!(stage.say(AUDITOR, Said::Close {}), Response::Refused { to, why: Refusal::NotAtTheBedside });
    assert!(!stage.report().closed);
    assert_eq!(stage.say(SURGEON, Said::Close {}), Response::Nothing);
    assert_eq!(stage.tick(), Intent::Stop);
    assert!(stage.report().closed);
    let challenge = stage.challenge();
    for by in [BEDSIDE, SURGEON] {
        let to = public(&key(by));
        assert_eq!(stage.say(by, Said::Arm { challenge }), Response::Refused { to, why: Refusal::Closed });
    }
    assert!(stage.send(|_| ()).is_some());
    assert_eq!(stage.tick(), Intent::Stop);
}

/// Goal: consent that is withdrawn stops the tool and leaves the surgeon one thing to do: draw it out, by a new engagement, as
/// far as the hand likes. Nothing arms the kit again, and who does not speak for the patient changes nothing.
#[test]
fn without_consent_the_tool_is_only_drawn_out() {
    for by in [BEDSIDE, HOSPITAL] {
        let mut stage = Stage::engaged();
        for stranger in [SURGEON, AUDITOR] {
            let to = public(&key(stranger));
            let refused = Response::Refused { to, why: Refusal::NotInThePatientsName };
            assert_eq!(stage.say(stranger, Said::WithdrawConsent {}), refused);
        }
        assert_eq!(stage.mode(), Mode::Free);
        stage.say(by, Said::WithdrawConsent {});
        assert_eq!(stage.tick(), Intent::Stop);
        assert_eq!(stage.mode(), Mode::SafeStop);
        assert!(
            matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })),
            "a held pedal draws nothing out"
        );
        stage.send(|command| command.dead_man = false);
        stage.tick();
        stage.engagement += 1;
        let far = Lag { mm: 80.0, deg: 0.0 };
        assert_eq!(stage.send_with_lag(far, |command| command.jaw_rad = 0.4), None);
        assert_eq!(stage.tick(), Intent::Withdraw { jaw_rad: Some(0.4) });
        assert_eq!(stage.mode(), Mode::SafeStop);
        stage.wait(51);
        assert_eq!(stage.tick(), Intent::Stop, "silence holds");
        stage.say(SURGEON, Said::EStop { press: PressId([6; 16]) });
        stage.send(|_| ());
        assert_eq!(stage.tick(), Intent::Stop);
        assert_eq!(stage.mode(), Mode::Stopped);
        stage.clear_by_two();
        stage.say(BEDSIDE, Said::Disarm {});
        let challenge = stage.challenge();
        let refused = Response::Refused { to: public(&key(BEDSIDE)), why: Refusal::ConsentWithdrawn };
        assert_eq!(stage.say(BEDSIDE, Said::Arm { challenge }), refused);
        stage.say(BEDSIDE, Said::Withdraw { challenge });
        assert_eq!(stage.tick(), Intent::Withdraw { jaw_rad: None });
    }
}

/// Goal: P13. The switch at the arm draws the tool out while it is held, under any stop, with nobody armed and no session;
/// neither a pressed button nor a fault nor a dead cable lets it. Afterwards two people arm anew.
#[test]
fn the_arms_own_switch_is_a_way_out() {
    let out = Intent::Withdraw { jaw_rad: None };
    let mut fresh = Stage::new();
    fresh.flags = arm_flags::WAY_OUT;
    assert_eq!(fresh.tick(), out, "neither homed nor armed");
    let mut stage = Stage::engaged();
    stage.say(SURGEON, Said::EStop { press: PressId([7; 16]) });
    stage.flags = arm_flags::HOMED | arm_flags::WAY_OUT;
    assert_eq!(stage.tick(), out);
    assert_eq!(stage.mode(), Mode::Stopped, "the stop stays latched");
    assert!(stage.send(|_| ()).is_some(), "and no command counts");
    for hindrance in [arm_flags::BUTTON, arm_flags::FAULT] {
        stage.flags |= hindrance;
        assert_eq!(stage.tick(), Intent::Stop);
        stage.flags &= !hindrance;
        assert_eq!(stage.tick(), out);
    }
    stage.flags = arm_flags::HOMED;
    assert_eq!(stage.tick(), Intent::Stop);
    stage.clear_by_two();
    stage.tick();
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotArmed { .. })));
    stage.flags |= arm_flags::WAY_OUT;
    stage.tick();
    stage.now += 51; // the cable says nothing
    assert_eq!(stage.guard.decide(stage.tick_now())[0], Intent::Stop);
}

/// Goal: P10. A loop that missed five ticks in a row holds, until it is on time and something fresh is applied.
#[test]
fn a_loop_that_misses_its_deadlines_holds() {
    for (late_ms, holds) in [([4, 0, 0], false), ([5, 0, 0], true), ([2, 2, 0], false), ([2, 2, 1], true)] {
        let mut stage = Stage::engaged();
        for ms in late_ms {
            stage.now += ms;
            stage.tick();
        }
        let report = stage.report();
        assert_eq!(report.arm.mode == Mode::Holding, holds, "{late_ms:?}");
        assert_eq!(
            matches!(report.arm.reason, Some(Rejection::LoopLate { .. })),
            holds,
            "{:?}",
            report.arm.reason
        );
        stage.tick();
        assert_eq!(stage.mode() == Mode::Holding, holds, "being on time is not enough");
        assert_eq!(stage.send(|_| ()), None);
        assert!(matches!(stage.tick(), Intent::Follow { .. }));
    }
}

/// Goal: P6. Regions are put in force by one of the team, under the challenge in force, and a version never comes back.
#[test]
fn regions_are_latched_by_the_team() {
    let mut stage = Stage::engaged();
    let forbid = |stage: &Stage, version| {
        let region = Region::Capsule { from_um: [0; 3], to_um: [0; 3], radius_um: 10_000 };
        Said::Forbid { challenge: stage.challenge(), version, regions: vec![region] }
    };
    let (first, to) = (forbid(&stage, 4), public(&key(AUDITOR)));
    assert_eq!(stage.say(AUDITOR, first.clone()), Response::Refused { to, why: Refusal::NotATeamMember });
    assert_eq!(stage.report().regions, None);
    assert_eq!(stage.say(SURGEON, first.clone()), Response::Latched { version: 4 });
    let to = public(&key(SURGEON));
    assert_eq!(stage.say(SURGEON, first), Response::Refused { to, why: Refusal::OldRegions });
    let second = forbid(&stage, 5);
    stage.say(SURGEON, Said::EStop { press: PressId([9; 16]) });
    assert_eq!(stage.say(SURGEON, second), Response::Refused { to, why: Refusal::OldChallenge });
    let second = forbid(&stage, 5);
    assert_eq!(stage.say(BEDSIDE, second), Response::Latched { version: 5 });
    assert_eq!(stage.report().regions, Some(5));
}

proptest! {
    /// Goal: where several hindrances apply, the mode is the most severe one's, whatever the order they came in.
    #[test]
    fn the_most_severe_hindrance_wins(order in Just([0, 1, 2, 3]).prop_shuffle(), chosen in 0u8..16) {
        let mut stage = Stage::engaged();
        let mut severest = Mode::Free;
        for hindrance in order.into_iter().filter(|number| chosen & (1 << number) != 0) {
            let mode = match hindrance {
                0 => { stage.send(|command| command.dead_man = false); Mode::Holding }
                1 => { stage.say(BEDSIDE, Said::Disarm {}); Mode::Paused }
                2 => { stage.say(AUDITOR, Said::EStop { press: PressId([1; 16]) }); Mode::Stopped }
                _ => { stage.send_with_lag(Lag { mm: 99.0, deg: 0.0 }, |_| ()); Mode::Holding }
            };
            severest = severest.max(mode);
        }
        stage.tick();
        prop_assert_eq!(stage.mode(), severest);
    }
}

/// Goal: P7. The tip may be as fast as the arm up to 100 ms of delay and jitter; beyond that the cap falls at once with either,
/// to nothing at the greatest age, and it comes back within two seconds and no sooner. A new holder's line has none yet.
#[test]
fn the_worse_the_line_the_slower_the_hand() {
    let mut stage = Stage::leased();
    let full = |stage: &Stage| stage.report().speed_limit_mm_s / 200.0;
    let talk = |stage: &mut Stage, ms: u64, delay_ms: fn(u64) -> u64| {
        for at in 0..ms {
            let echo = KitTick((stage.now - delay_ms(at).min(stage.now)) * 1_000);
            stage.send(|command| (command.dead_man, command.kit_tick_echo) = (false, echo));
            stage.tick();
        }
    };
    assert!(full(&stage) < 0.01, "nothing is known of it");
    talk(&mut stage, 1_000, |_| 60);
    assert!((0.49..0.52).contains(&full(&stage)), "{}", full(&stage));
    talk(&mut stage, 1_000, |_| 100);
    assert!(full(&stage) > 0.99, "{}", full(&stage));

    talk(&mut stage, 1, |_| 200);
    assert!((0.43..0.48).contains(&full(&stage)), "at once, jitter too: {}", full(&stage));
    talk(&mut stage, 500, |_| 200);
    assert!((0.49..=0.501).contains(&full(&stage)), "a delay that stays: {}", full(&stage));
    talk(&mut stage, 1, |_| 300);
    assert_eq!(full(&stage), 0.0);

    talk(&mut stage, 1_000, |_| 60);
    assert!((0.45..0.52).contains(&full(&stage)), "slowly back: {}", full(&stage));
    talk(&mut stage, 1_100, |_| 60);
    assert_eq!(full(&stage), 1.0);
    talk(&mut stage, 500, |at| if at % 2 == 0 { 20 } else { 95 });
    assert!((0.6..0.7).contains(&full(&stage)), "jitter alone: {}", full(&stage));

    stage.lease(SURGEON);
    stage.tick();
    assert!(full(&stage) < 0.01);
}
