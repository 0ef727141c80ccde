//! P11: no motion without a record, through the messages that people and devices really send.

mod stage;

use farhand_guard::{Input, Intent};
use farhand_wire::*;
use stage::*;

/// Goal: P11. An edge box that stops recording holds the tool after 100 ms and pauses it after 500, however fresh the
/// commands are; its word that it caught up moves nothing before the next command does.
#[test]
fn motion_waits_for_its_record() {
    let mut stage = Stage::engaged();
    stage.recording = false;
    for _ in 0..99 {
        assert!(matches!(stage.reach(|_| ()), Intent::Follow { .. }));
    }
    assert_eq!(stage.mode(), Mode::Free);
    stage.reach_for(2, |_| ());
    assert_eq!(stage.tick(), Intent::Stop);
    assert_eq!(stage.mode(), Mode::Holding);
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Unrecorded { max_ms: 100.0, .. })));
    let reason = stage.report().arm.reason;
    assert!(matches!(reason, Some(Rejection::Unrecorded { .. })), "{reason:?}");

    stage.mark(stage.sequence);
    assert_eq!(stage.tick(), Intent::Stop, "what was recorded too late does not move the tool");
    assert!(matches!(stage.reach(|stage| stage.mark(stage.sequence)), Intent::Follow { .. }));

    stage.reach_for(502, |_| ());
    assert_eq!(stage.mode(), Mode::Paused);
    stage.mark(stage.sequence);
    stage.tick();
    assert_eq!(stage.mode(), Mode::Paused, "a pedal that is still held resumes nothing");
    stage.recording = true;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::NotReleased { .. })));
    stage.send(|command| command.dead_man = false);
    stage.tick();
    stage.engagement += 1;
    assert_eq!(stage.send(|_| ()), None);
    assert!(matches!(stage.tick(), Intent::Follow { .. }));
}

/// Goal: P11. A watermark counts for the token in force alone, never goes back, and vouches for nothing beforehand.
#[test]
fn a_watermark_is_about_this_lease_and_the_past() {
    type Lie = fn(&mut Stage);
    let lies: [(&str, Lie); 3] = [
        ("of another lease", |stage| {
            let token = LeaseToken(stage.report().token.0 + 1);
            let mark = Watermark { token, newest: Sequence(u64::MAX), segments: 0 };
            stage.guard.take(stage.tick_now(), Input::Watermark(mark));
        }),
        ("of the past", |stage| stage.mark(1)),
        ("of nothing", |stage| stage.mark(0)),
    ];
    for (what, lie) in lies {
        let mut stage = Stage::engaged();
        stage.mark(stage.sequence);
        stage.recording = false;
        stage.reach_for(103, lie);
        assert_eq!(stage.mode(), Mode::Holding, "{what}");
    }
    let mut stage = Stage::engaged();
    stage.recording = false;
    stage.mark(u64::MAX);
    stage.reach_for(103, |_| ());
    assert_eq!(stage.mode(), Mode::Holding, "of the future");
}

/// Goal: P11. Before the first watermark under a lease nothing is durable; and a new lease forgets no unrecorded motion.
#[test]
fn a_lease_without_a_watermark_holds_too() {
    let mut stage = Stage::ready();
    stage.recording = false;
    stage.lease(SURGEON);
    stage.send(|command| command.dead_man = false);
    stage.tick();
    stage.engagement += 1;
    for _ in 0..99 {
        assert!(matches!(stage.reach(|_| ()), Intent::Follow { .. }));
    }
    stage.reach_for(3, |_| ());
    assert_eq!(stage.mode(), Mode::Holding);
    stage.lease(SURGEON);
    stage.send(|command| command.dead_man = false);
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Unrecorded { .. })));
    assert_eq!(stage.tick(), Intent::Stop);
    stage.mark(stage.sequence);
    assert_eq!(stage.send(|_| ()), None);
    assert!(matches!(stage.tick(), Intent::Follow { .. }));
}

/// Goal: P11 and P13. A record that is gone keeps nobody from taking the arm out.
#[test]
fn an_arm_without_a_record_is_withdrawn_all_the_same() {
    let mut stage = Stage::engaged();
    stage.recording = false;
    stage.reach_for(600, |_| ());
    assert_eq!(stage.mode(), Mode::Paused);
    let challenge = stage.challenge();
    stage.say(BEDSIDE, Said::Withdraw { challenge });
    assert_eq!(stage.tick(), Intent::Withdraw { jaw_rad: None });
}

/// Goal: P11. Commands without the surgeon's own signed list of them are followed for two seconds; then the tool holds until
/// the next list is durable and a fresh command comes. Neither a list of before nor a new lease counts as one.
#[test]
fn motion_waits_for_the_surgeons_list() {
    let mut stage = Stage::engaged();
    stage.reach_for(100, |_| ());
    while !stage.now.is_multiple_of(100) {
        stage.reach_for(1, |_| ());
    }
    stage.listing = false;
    for _ in 0..2_000 {
        assert!(matches!(stage.reach(|_| ()), Intent::Follow { .. }), "{}", stage.now);
    }
    stage.reach_for(2, |_| ());
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Unlisted { max_ms: 2000.0, .. })));
    assert_eq!((stage.tick(), stage.mode()), (Intent::Stop, Mode::Holding));
    let reason = stage.report().arm.reason;
    assert!(matches!(reason, Some(Rejection::Unlisted { .. })), "{reason:?}");

    stage.lists -= 1;
    stage.mark(stage.sequence);
    stage.lists += 1;
    assert_eq!(stage.reach(|_| ()), Intent::Stop, "an older list is no list");
    stage.lists += 1;
    assert_eq!(stage.tick(), Intent::Stop, "the list itself moves nothing");
    assert!(matches!(stage.reach(|_| ()), Intent::Follow { .. }));

    stage.reach_for(2_001, |_| ());
    stage.lease(SURGEON);
    stage.send(|command| command.dead_man = false);
    stage.tick();
    stage.engagement += 1;
    assert!(matches!(stage.send(|_| ()), Some(Rejection::Unlisted { .. })), "a new lease is no list");
    stage.listing = true;
    stage.reach_for(200, |_| ());
    assert!(matches!(stage.reach(|_| ()), Intent::Follow { .. }));
}
