//! What was interrupted does not go on by itself, and what was given away is not taken back. Each was found by `src/explore`.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod stage;

use farhand_guard::{Input, Intent, Proposal, Refusal, Response};
use farhand_wire::*;
use stage::*;

const OUT: Intent = Intent::Withdraw { jaw_rad: None };

/// Goal: P4. A release that echoes a tick which the kit has not reached says nothing about the pedal after the stop.
#[test]
fn a_release_from_the_future_frees_no_pedal() {
    let mut stage = Stage::engaged();
    stage.say(AUDITOR, Said::EStop { press: PressId([1; 16]) });
    stage.tick();
    stage.clear_by_two();
    let release = stage.send(|command| {
        command.dead_man = false;
        command.kit_tick_echo.0 += 1;
    });
    assert_eq!(release, None, "it stops all the same");
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })));
}

/// Goal: P8. While a token is on its way none is in force, and zero is nobody's.
#[test]
fn nothing_is_taken_in_under_token_zero() {
    let mut stage = Stage::ready();
    let newest = stage.report().newest;
    stage.request(SURGEON);
    let refused = stage.send(|command| (command.token, command.dead_man) = (LeaseToken(0), false));
    assert!(matches!(refused, Some(Rejection::OldToken { .. })));
    assert_eq!(stage.report().newest, newest);
}

/// Goal: consent that is withdrawn ends a homing, and nobody homes the arm any more: it is only drawn out.
#[test]
fn without_consent_the_arm_is_not_homed() {
    let mut stage = Stage::ready();
    let home = |stage: &mut Stage| stage.say(BEDSIDE, Said::Home { challenge: stage.challenge() });
    assert_eq!(home(&mut stage), Response::Nothing);
    assert_eq!(stage.tick(), Intent::Home);
    stage.say(HOSPITAL, Said::WithdrawConsent {});
    assert_eq!(stage.tick(), Intent::Stop);
    let to = public(&key(BEDSIDE));
    assert_eq!(home(&mut stage), Response::Refused { to, why: Refusal::ConsentWithdrawn });
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    assert_eq!(stage.tick(), OUT);
}

/// Goal: P4. A fault ends what the arm was doing by itself: clearing it moves nothing.
#[test]
fn a_cleared_fault_starts_no_errand() {
    let mut stage = Stage::ready();
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    assert_eq!(stage.tick(), OUT);
    let wrong = Proposal { joints: [0.5; 6], ..stage.proposal };
    let _ = stage.guard.permit(stage.tick_now(), 0, &wrong);
    assert_eq!(stage.tick(), Intent::Stop);
    stage.clear_by_two();
    assert_eq!(stage.tick(), Intent::Stop);
}

/// Goal: P2, P3. A hand that presses in the very tick of the bedside's order does not go on when the arm has been elsewhere.
#[test]
fn no_engagement_outlives_an_errand() {
    let mut stage = Stage::ready();
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    stage.send(|command| command.dead_man = false);
    stage.engagement += 1;
    stage.send(|_| ());
    assert_eq!(stage.tick(), OUT);
    stage.guard.errand_done(0);
    assert_eq!(stage.tick(), Intent::Stop);
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })));
}

/// Goal: P3. What paused because the arm did not know where it is does not go on by itself when it does again.
#[test]
fn a_home_that_was_lost_asks_for_a_release() {
    let mut stage = Stage::engaged();
    stage.flags = 0;
    assert_eq!(stage.tick(), Intent::Stop);
    assert_eq!(stage.mode(), Mode::Paused);
    stage.flags = arm_flags::HOMED;
    assert_eq!(stage.tick(), Intent::Stop);
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })));
}

/// Goal: P13. After the way out was used nobody is armed, also if two people signed while it was, or one of them.
#[test]
fn nobody_is_armed_after_the_way_out() {
    for signing in [&[BEDSIDE, SURGEON][..], &[BEDSIDE]] {
        let mut stage = Stage::engaged();
        stage.flags |= arm_flags::WAY_OUT;
        assert_eq!(stage.tick(), OUT);
        let challenge = stage.challenge();
        for by in signing {
            stage.say(*by, Said::Arm { challenge });
        }
        assert_eq!(stage.tick(), OUT);
        stage.flags = arm_flags::HOMED;
        stage.tick();
        let challenge = stage.challenge();
        stage.say(SURGEON, Said::Arm { challenge });
        assert_eq!(stage.report().kit.flags & state_flags::ARMED, 0);
    }
}

/// Goal: P8. Once two people have given control to somebody else, a grant from before is void, and who held control hands it over
/// to nobody.
#[test]
fn what_was_given_away_is_not_taken_back() {
    let to = public(&key(SECOND_SURGEON));
    let give = |stage: &mut Stage| {
        stage.wait(10_001);
        let challenge = stage.challenge();
        for by in [BEDSIDE, SECOND_SURGEON] {
            assert_eq!(stage.say(by, Said::TakeOver { challenge, to }), Response::Nothing);
        }
    };
    let refused = |why| Response::Refused { to: public(&key(SURGEON)), why };

    let mut stage = Stage::ready();
    let Response::StoreToken { token, .. } = stage.request(SURGEON) else { unreachable!() };
    stage.guard.take(stage.tick_now(), Input::TokenStored(token));
    give(&mut stage);
    assert_eq!(stage.confirm(SURGEON, token), refused(Refusal::NoSuchGrant { token }));
    stage.lease(SECOND_SURGEON);

    let mut stage = Stage::ready();
    let token = stage.report().token;
    give(&mut stage);
    let back = Said::HandOver { token, to: public(&key(SURGEON)) };
    assert_eq!(stage.say(SURGEON, back), refused(Refusal::NotTheHolder));
    stage.lease(SECOND_SURGEON);
}
