//! What may happen together: a scene for each kind of promise.
//!
//! Its limits are as small as tells them apart, mostly below what configuration allows: the guard does nothing with them but compare.
//! Its acts come ten milliseconds apart, or in the same tick; every tick between is decided and judged.

use farhand_wire::arm_flags::{BUTTON, FAULT, HOMED, WAY_OUT};

use super::{act::*, model::Scene};
use crate::{Lag, Limits};

fn limits() -> Limits {
    Limits {
        command_age_ms_max: 50.0,
        picture_age_ms_max: 20.0,
        silence_hold_ms_max: 10.0,
        silence_pause_ms_max: 20.0,
        record_lead_hold_ms_max: 10.0,
        record_lead_pause_ms_max: 20.0,
        unlisted_hold_ms_max: 30.0,
        lease_ms: 30.0,
        late_ticks_max: 10.0,
        arm_silence_ms_max: 10.0,
        ..Limits::default()
    }
}

/// The shortest that configuration allows.
fn limits_within_their_ranges() -> Limits {
    Limits {
        picture_age_ms_max: 50.0,
        silence_pause_ms_max: 100.0,
        record_lead_hold_ms_max: 20.0,
        record_lead_pause_ms_max: 100.0,
        unlisted_hold_ms_max: 500.0,
        lease_ms: 1000.0,
        ..limits()
    }
}

/// Ages of silence, record and lease are not what the scene is about.
fn brief() -> Limits {
    Limits {
        silence_pause_ms_max: 10.0,
        record_lead_pause_ms_max: 10.0,
        unlisted_hold_ms_max: 10.0,
        lease_ms: 20.0,
        ..limits()
    }
}

/// Homed, armed by two, leased to the first surgeon, who has not let go yet.
fn leased(arms: usize) -> Vec<Act> {
    let mut acts: Vec<_> = (0..arms).map(|arm| Act::ArmSays(arm, Some(HOMED))).collect();
    acts.extend([
        Act::Pass(10),
        Act::Say(Who::Bedside, Word::Arm(Sign::Now)),
        Act::Say(Who::First, Word::Arm(Sign::Now)),
        Act::Say(Who::First, Word::Ask(Sign::Now)),
        Act::Stored { issued: true },
        Act::Say(Who::First, Word::Confirm(Token::Mine)),
        Act::Pass(10),
    ]);
    acts
}

fn scene(limits: Limits, acts: Vec<Act>) -> Scene {
    scene_of(1, limits, acts)
}

fn scene_of(arms: usize, limits: Limits, acts: Vec<Act>) -> Scene {
    Scene { limits, arms, prologue: leased(arms), acts, depth: None }
}

/// What the first arm says.
fn arm_says<const N: usize>(said: [Option<u8>; N]) -> [Act; N] {
    said.map(|flags| Act::ArmSays(0, flags))
}

fn hands(hands: &[Hand]) -> Vec<Act> {
    hands.iter().map(|hand| Act::Send(*hand)).collect()
}

fn says(who: &[Who], word: Word) -> impl Iterator<Item = Act> {
    who.iter().map(move |who| Act::Say(*who, word))
}

/// Who may sign for the team.
const TEAM: [Who; 3] = [Who::First, Who::Second, Who::Bedside];
/// Two of them, who are enough.
const PAIR: [Who; 2] = [Who::First, Who::Bedside];
/// What a hand does to see whether anything moves.
const HANDS: [Hand; 3] = [DOWN, PRESS, UP];

/// Commands of every kind, each good or with one thing wrong, and a camera that stops.
pub(super) fn hand() -> Scene {
    let mut acts =
        vec![Act::Pass(10), Act::Pass(50), Act::Films(false), Act::Films(true), Act::FrameFromTheFuture];
    acts.extend(hands(&[
        DOWN,
        PRESS,
        UP,
        CLUTCH,
        Hand { pedal: Pedal::UpWithClutch, ..DOWN },
        Hand { echo: Echo::Ago(10_000), ..UP },
        Hand { echo: Echo::Ahead(1), ..UP },
        Hand { engagement: Step::Before, ..DOWN },
        Hand { echo: Echo::Ago(50_000), ..PRESS },
        Hand { echo: Echo::Ago(50_001), ..PRESS },
        Hand { echo: Echo::Ago(50_001), ..DOWN },
        Hand { echo: Echo::Ahead(1), ..PRESS },
        Hand { picture: Picture::None, ..PRESS },
        Hand { picture: Picture::Unannounced, ..PRESS },
        Hand { hold: false, ..PRESS },
        Hand { hold: false, ..DOWN },
        Hand { sequence: Step::Same, ..PRESS },
        Hand { sequence: Step::Before, ..UP },
        Hand { sequence: Step::Far, ..PRESS },
        Hand { arm: 3, ..PRESS },
        Hand { lag: Lag { mm: 10.0, deg: 15.0 }, ..PRESS },
        Hand { lag: Lag { mm: 10.1, deg: 0.0 }, ..PRESS },
        Hand { lag: Lag { mm: 10.1, deg: 0.0 }, ..DOWN },
        Hand { lag: Lag { mm: 0.0, deg: 15.1 }, ..DOWN },
        Hand { lag: Lag { mm: f64::NAN, deg: 0.0 }, ..DOWN },
    ]));
    scene(limits_within_their_ranges(), acts)
}

/// Presses, a button, a dead cable, wrong setpoints, and people who clear.
pub(super) fn stops() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::WrongProposal(0)];
    acts.extend(arm_says([Some(HOMED), Some(HOMED | BUTTON), None]));
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    acts.extend(says(&[Who::Second], Word::Press(1)));
    acts.extend(says(&TEAM, Word::Clear(Sign::Now)));
    acts.extend(says(&[Who::Auditor, Who::Hospital], Word::Clear(Sign::Now)));
    acts.extend(says(&[Who::Bedside], Word::Clear(Sign::Before)));
    acts.extend(hands(&HANDS));
    acts.extend(hands(&[CLUTCH, Hand { echo: Echo::Ago(10_000), ..UP }]));
    scene(brief(), acts)
}

/// People who arm, disarm and close; a home position that gets lost; a session that was closed before.
pub(super) fn arming() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::ClosedBefore];
    acts.extend(arm_says([Some(HOMED), Some(0)]));
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    acts.extend(says(&PAIR, Word::Clear(Sign::Now)));
    acts.extend(says(&TEAM, Word::Arm(Sign::Now)));
    acts.extend(says(&[Who::Auditor, Who::Hospital], Word::Arm(Sign::Now)));
    acts.extend(says(&PAIR, Word::Arm(Sign::Before)));
    acts.extend(says(&TEAM, Word::Disarm));
    acts.extend(says(&[Who::First, Who::Auditor, Who::Bedside], Word::Close));
    acts.extend(hands(&[PRESS, UP]));
    scene(limits(), acts)
}

/// The bedside homes the arm and draws it out, among presses and wrong setpoints.
pub(super) fn errands() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::ErrandDone(0), Act::WrongProposal(0)];
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    acts.extend(says(&PAIR, Word::Clear(Sign::Now)));
    acts.extend(says(&PAIR, Word::Home(Sign::Now)));
    acts.extend(says(&PAIR, Word::Out(Sign::Now)));
    acts.extend(says(&[Who::Bedside], Word::Home(Sign::Before)));
    acts.extend(says(&[Who::Bedside], Word::Out(Sign::Before)));
    acts.extend(hands(&HANDS));
    scene(limits(), acts)
}

/// The arm's own switch, with its button and its faults, among presses, arming and errands.
pub(super) fn way_out() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::ErrandDone(0)];
    let said = [HOMED, HOMED | WAY_OUT, HOMED | WAY_OUT | BUTTON, HOMED | WAY_OUT | FAULT];
    acts.extend(arm_says(said.map(Some)));
    acts.extend(arm_says([None]));
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    acts.extend(says(&PAIR, Word::Clear(Sign::Now)));
    acts.extend(says(&PAIR, Word::Arm(Sign::Now)));
    acts.extend(says(&[Who::Bedside], Word::Out(Sign::Now)));
    acts.extend(hands(&[PRESS, UP]));
    scene(brief(), acts)
}

/// Consent withdrawn, among presses, arming and errands.
pub(super) fn consent() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::ErrandDone(0)];
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    acts.extend(says(&PAIR, Word::Clear(Sign::Now)));
    acts.extend(says(&PAIR, Word::Arm(Sign::Now)));
    acts.extend(says(&[Who::Bedside], Word::Disarm));
    acts.extend(says(&[Who::Bedside], Word::Home(Sign::Now)));
    acts.extend(says(&[Who::Bedside], Word::Out(Sign::Now)));
    acts.extend(says(&[Who::First, Who::Auditor, Who::Bedside, Who::Hospital], Word::WithdrawConsent));
    acts.extend(hands(&HANDS));
    acts.extend(hands(&[Hand { lag: Lag { mm: 10.1, deg: 0.0 }, ..PRESS }]));
    scene(limits(), acts)
}

/// Regions put in force.
pub(super) fn regions() -> Scene {
    let mut acts = vec![Act::Pass(10)];
    acts.extend(says(&[Who::Auditor], Word::Press(0)));
    for version in [1, 2] {
        acts.extend(says(&[Who::First, Who::Bedside, Who::Auditor], Word::Forbid(Sign::Now, version)));
        acts.extend(says(&[Who::Bedside], Word::Forbid(Sign::Before, version)));
    }
    scene(limits(), acts)
}

/// Tokens asked for, stored, confirmed, handed over and given away, and commands under each.
pub(super) fn control() -> Scene {
    let mut acts =
        vec![Act::Pass(10), Act::Pass(50), Act::Stored { issued: true }, Act::Stored { issued: false }];
    acts.extend(says(&TEAM, Word::Ask(Sign::Now)));
    acts.extend(says(&[Who::First], Word::Ask(Sign::Before)));
    acts.extend(says(&[Who::First, Who::Second], Word::Confirm(Token::Mine)));
    acts.extend(says(&[Who::First], Word::Confirm(Token::Before)));
    acts.extend(says(&[Who::First, Who::Second], Word::HandOver(Who::Second)));
    acts.extend(says(&[Who::Second], Word::HandOver(Who::First)));
    acts.extend(says(&TEAM, Word::GiveTo(Sign::Now, Who::Second)));
    acts.extend(says(&[Who::Second, Who::Bedside], Word::GiveTo(Sign::Now, Who::First)));
    acts.extend(says(&[Who::Bedside], Word::GiveTo(Sign::Before, Who::Second)));
    acts.extend(says(&[Who::Auditor], Word::GiveTo(Sign::Now, Who::Second)));
    acts.extend(hands(&HANDS));
    acts.extend(hands(&[
        Hand { token: Token::Before, ..UP },
        Hand { token: Token::Before, ..PRESS },
        Hand { token: Token::Unissued, ..PRESS },
        Hand { token: Token::Zero, ..UP },
    ]));
    scene(brief(), acts)
}

/// A recorder that marks what it likes, when it likes, and surgeons' lists.
pub(super) fn record() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::Pass(50), Act::Lists];
    acts.extend([Mark::All, Mark::AllButTheNewest, Mark::Everything, Mark::OfAnotherToken].map(Act::Mark));
    acts.extend(hands(&HANDS));
    acts.extend(says(&[Who::First], Word::Ask(Sign::Now)));
    acts.push(Act::Stored { issued: true });
    acts.extend(says(&[Who::First], Word::Confirm(Token::Mine)));
    let mut scene = scene(limits(), acts);
    scene.prologue.push(Act::Records(false));
    scene
}

/// A loop that misses ticks.
pub(super) fn lateness() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::Late(9), Act::Late(19)];
    acts.extend(hands(&HANDS));
    // A cable or a hand that is not heard while the loop sleeps must not hide that it does.
    let limits = Limits {
        arm_silence_ms_max: 100.0,
        silence_hold_ms_max: 40.0,
        silence_pause_ms_max: 60.0,
        ..limits()
    };
    scene(limits, acts)
}

/// The same hand, for the second arm.
fn second(hand: Hand) -> Hand {
    Hand { arm: 1, ..hand }
}

/// Two arms under one pedal, each with a clutch.
pub(super) fn two_hands() -> Scene {
    let mut acts = vec![Act::Pass(10)];
    acts.extend(hands(&HANDS));
    acts.extend(hands(&HANDS.map(second)));
    acts.extend(hands(&[CLUTCH, second(CLUTCH), Hand { echo: Echo::Ago(10_000), ..second(UP) }]));
    // Overtaken by one for the other arm.
    let late = |hand| Hand { sequence: Step::Before, ..hand };
    acts.extend(hands(&[
        late(DOWN),
        late(second(DOWN)),
        late(second(PRESS)),
        late(UP),
        Hand { sequence: Step::Far, ..UP },
    ]));
    scene_of(2, brief(), acts)
}

/// What is wrong with one of two arms while hands move both.
pub(super) fn two_stop() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::WrongProposal(1)];
    acts.extend([Some(HOMED), Some(HOMED | BUTTON), None].map(|flags| Act::ArmSays(1, flags)));
    acts.extend(says(&PAIR, Word::Clear(Sign::Now)));
    acts.extend(hands(&[PRESS, UP, second(PRESS)]));
    scene_of(2, brief(), acts)
}

/// One of two arms is drawn out by its switch, or both are on an errand, each done by itself.
pub(super) fn two_leave() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::ErrandDone(0), Act::ErrandDone(1)];
    acts.extend([Some(HOMED), Some(0), Some(HOMED | WAY_OUT)].map(|flags| Act::ArmSays(1, flags)));
    acts.extend(says(&[Who::Bedside], Word::Home(Sign::Now)));
    acts.extend(hands(&[PRESS, UP, second(PRESS)]));
    scene_of(2, brief(), acts)
}

/// A loop that misses ticks, and a record that lags, under two hands.
pub(super) fn two_wait() -> Scene {
    let mut acts = vec![Act::Pass(10), Act::Late(19), Act::Mark(Mark::All), Act::Mark(Mark::AllButTheNewest)];
    acts.extend(hands(&[PRESS, UP, second(PRESS), Hand { sequence: Step::Before, ..second(PRESS) }]));
    let limits = Limits {
        arm_silence_ms_max: 100.0,
        silence_hold_ms_max: 40.0,
        silence_pause_ms_max: 60.0,
        ..limits()
    };
    let mut scene = scene_of(2, limits, acts);
    scene.prologue.push(Act::Records(false));
    scene
}

/// Each to the end.
pub(super) fn closed() -> [Scene; 14] {
    [
        hand(),
        stops(),
        arming(),
        errands(),
        way_out(),
        consent(),
        regions(),
        control(),
        record(),
        lateness(),
        two_hands(),
        two_stop(),
        two_leave(),
        two_wait(),
    ]
}

/// All acts of all scenes, so many in a row, to a hand that moves the tool.
pub(super) fn everything(depth: usize) -> Scene {
    let mut acts: Vec<Act> = Vec::new();
    for act in closed().into_iter().flat_map(|scene| scene.acts) {
        if !acts.contains(&act) {
            acts.push(act);
        }
    }
    let mut prologue = leased(2);
    prologue.extend(hands(&[UP, PRESS]));
    prologue.push(Act::Pass(10));
    Scene { limits: limits(), arms: 2, prologue, acts, depth: Some(depth) }
}
