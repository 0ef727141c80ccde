//! Exercises done by a hand that moves the jaws itself, well and badly.

use std::f64::consts::TAU;

use nalgebra::{Isometry3, Vector3};

use super::*;

/// 24 mm over the board, the jaws pointing down.
fn place() -> Place {
    let down = nalgebra::UnitQuaternion::from_axis_angle(&Vector3::x_axis(), std::f64::consts::PI);
    let end = Isometry3::from_parts(nalgebra::Translation3::new(0.001, -0.002, -0.120), down);
    let start = Hand { base_from_end: end, jaw_rad: 0.0 };
    Place { base_from_board: Isometry3::translation(0.001, -0.002, -0.144), start }
}

/// A hand without a kit: goes to what comes next, at up to 25 mm/s, and does besides what `spoil` does to it.
struct Player {
    attempt: Attempt,
    track: Track,
    hand: Hand,
    speed_m_s: f64,
    ms: u32,
}

impl Player {
    fn new(exercise: Exercise, seed: u64) -> Self {
        let attempt = Attempt::new(exercise, seed, place());
        Self { attempt, track: Track::default(), hand: place().start, speed_m_s: 0.0, ms: 0 }
    }

    fn tick(&mut self, spoil: &mut impl FnMut(u32, &Attempt, &mut Hand)) {
        let next = self.attempt.standing().next;
        let (from, to) = (self.hand.base_from_end, next.base_from_end);
        let away_m = (to.translation.vector - from.translation.vector).norm();
        let way_m = away_m.max(from.rotation.angle_to(&to.rotation) * 0.025);
        self.speed_m_s = (0.3 * way_m).sqrt().min(self.speed_m_s + 1.5e-4).min(0.025);
        let share = if way_m > 1e-9 { (self.speed_m_s * 1e-3 / way_m).min(1.0) } else { 1.0 };
        let at = from.translation.vector.lerp(&to.translation.vector, share);
        self.hand.base_from_end = Isometry3::from_parts(at.into(), from.rotation.slerp(&to.rotation, share));
        self.hand.jaw_rad += (next.jaw_rad - self.hand.jaw_rad).clamp(-2e-3, 2e-3);
        let mut shown = self.hand;
        spoil(self.ms, &self.attempt, &mut shown);
        self.step(&shown);
    }

    fn step(&mut self, hand: &Hand) {
        if let Some(at) = self.attempt.step(hand) {
            self.track.add(at);
        }
        self.ms += 1;
    }

    fn play(mut self, mut spoil: impl FnMut(u32, &Attempt, &mut Hand)) -> Report {
        while !self.attempt.is_over() && self.ms < (CUTOFF_S + 5) * 1_000 {
            self.tick(&mut spoil);
        }
        self.attempt.standing().report(&self.track)
    }
}

fn points(report: &Report) -> f64 {
    report.score.unwrap().points()
}

/// Goal: a hand that does what comes next does every exercise, for every seed, without an error, passes, and takes a way
/// that is not shorter than the shortest.
#[test]
fn who_does_what_comes_next_passes() {
    for exercise in Exercise::EACH {
        for seed in 1..9 {
            let report = Player::new(exercise, seed).play(|_, _, _| ());
            assert_eq!(report.phase, Phase::Done, "{report:?}");
            assert_eq!(report.errors, Errors::default(), "{exercise}, seed {seed}: {}", report.errors);
            assert!(report.passes(), "{report:?}");
            assert!((0.4..1.0).contains(&report.measures.economy), "{report:?}");
        }
    }
}

/// Goal: a seed is a lay-out: the same for the same, another for another.
#[test]
fn a_seed_lays_out_the_same_exercise_every_time() {
    let laid = |exercise, seed| {
        let attempt = Attempt::new(exercise, seed, place());
        format!("{:?} {:?} {:?}", attempt.objects(), attempt.marks(), attempt.rods())
    };
    for exercise in Exercise::EACH {
        assert_eq!(laid(exercise, 3), laid(exercise, 3));
        assert!((1..9).any(|seed| laid(exercise, seed) != laid(exercise, 3)), "{exercise}");
    }
}

/// Goal: a tool that does nothing scores nothing, and is measured nothing; nor does one that never comes to its start.
#[test]
fn a_tool_that_does_nothing_scores_nothing() {
    for exercise in Exercise::EACH {
        for aside_m in [0.0, 0.05] {
            let mut attempt = Attempt::new(exercise, 1, place());
            let mut track = Track::default();
            let mut hand = place().start;
            hand.base_from_end.translation.vector.x += aside_m;
            for _ in 0..(CUTOFF_S + 1) * 1_000 {
                attempt.step(&hand).into_iter().for_each(|at| track.add(at));
            }
            let report = attempt.standing().report(&track);
            assert_eq!((report.phase, report.score), (Phase::Waiting, None), "{report:?}");
            assert_eq!((report.measures.time_s, report.measures.path_mm), (0.0, 0.0));
        }
    }
}

/// Goal: who moves and does not finish is cut off, and scores nothing.
#[test]
fn who_does_not_finish_scores_nothing() {
    for exercise in Exercise::EACH {
        let aside = |_, _: &Attempt, hand: &mut Hand| hand.base_from_end.translation.vector.z = -0.10;
        let report = Player::new(exercise, 1).play(|ms, attempt, hand| {
            if ms > 0 {
                aside(ms, attempt, hand)
            }
        });
        assert_eq!(report.phase, Phase::CutOff, "{report:?}");
        assert_eq!(points(&report), 0.0);
        assert!(!report.passes());
    }
}

/// Goal: a trembling hand does everything, less smoothly, and scores less.
#[test]
fn tremor_is_less_smooth_and_scores_less() {
    for exercise in Exercise::EACH {
        let steady = Player::new(exercise, 2).play(|_, _, _| ());
        let report = Player::new(exercise, 2).play(|ms, _, hand| {
            let phase = f64::from(ms) * 1e-3 * 5.0 * TAU;
            hand.base_from_end.translation.vector +=
                Vector3::new(phase.sin(), (1.3 * phase).cos(), 0.0) * 0.0004;
        });
        assert_eq!(report.phase, Phase::Done, "{report:?}");
        assert!(report.measures.smoothness < steady.measures.smoothness, "{report:?}\n{steady:?}");
        assert!(report.measures.economy < steady.measures.economy, "{report:?}\n{steady:?}");
        assert!(points(&report) < points(&steady) - 2.0, "{report:?}\n{steady:?}");
    }
}

/// Opens the jaws once, for half a second, at the first moment of which `when` says so.
fn opens_when(when: impl Fn(&Attempt) -> bool) -> impl FnMut(u32, &Attempt, &mut Hand) {
    let mut since = None;
    move |ms, attempt, hand| {
        if since.is_none() && attempt.holds() && when(attempt) {
            since = Some(ms);
        }
        if since.is_some_and(|since| ms < since + 500) {
            hand.jaw_rad = WIDE_RAD;
        }
    }
}

/// Goal: what is let go on the way is counted as dropped, is taken up again, and costs points.
#[test]
fn a_drop_is_counted_and_taken_up_again() {
    for exercise in [Exercise::PegTransfer, Exercise::RingOnWire, Exercise::SuturingPath] {
        let well = Player::new(exercise, 4).play(|_, _, _| ());
        let on_the_way = |attempt: &Attempt| match exercise {
            // In the air, between the two sides.
            Exercise::PegTransfer => attempt.hand.at().x.abs() < 0.002 && attempt.hand.at().z > 0.007,
            Exercise::RingOnWire => attempt.standing().progress.done == 4,
            _ => attempt.standing().progress.done == 1 && attempt.hand.at().z > 0.015,
        };
        let report = Player::new(exercise, 4).play(opens_when(on_the_way));
        assert_eq!(report.phase, Phase::Done, "{report:?}");
        assert_eq!(report.errors.count(Mistake::Dropped), 1, "{exercise}: {}", report.errors);
        assert_eq!(report.errors.count(Mistake::Lost), 0, "{exercise}: {}", report.errors);
        assert!(points(&report) < points(&well) - 4.0, "{report:?}\n{well:?}");
    }
}

/// Goal: a ring that falls outside the field is lost, nobody waits for it, and it costs its share of the task.
#[test]
fn what_falls_outside_the_field_is_lost() {
    let mut thrown = None;
    let report = Player::new(Exercise::PegTransfer, 1).play(|ms, attempt, hand| {
        if thrown.is_none() && attempt.holds() && attempt.hand.at().z > 0.008 {
            thrown = Some(ms);
        }
        if thrown.is_some_and(|since| ms < since + 400) {
            hand.base_from_end.translation.vector.y = 0.05;
        }
        if thrown.is_some_and(|since| (since + 10..since + 400).contains(&ms)) {
            hand.jaw_rad = WIDE_RAD;
        }
    });
    assert_eq!(report.phase, Phase::Done, "{report:?}");
    assert_eq!(report.errors.count(Mistake::Lost), 1, "{}", report.errors);
    assert_eq!((report.progress.done, report.progress.of), (5, 5));
    let well = Player::new(Exercise::PegTransfer, 1).play(|_, _, _| ());
    assert!(points(&report) < points(&well) - 16.0, "{report:?}\n{well:?}");
}

/// Goal: a ring pulled sideways against its peg slips out of the jaws, and stays on the peg.
#[test]
fn a_peg_holds_its_ring() {
    let mut player = Player::new(Exercise::PegTransfer, 1);
    while !player.attempt.holds() {
        player.tick(&mut |_, _, _| ());
    }
    let before = player.attempt.objects();
    player.hand.base_from_end.translation.vector.y += 0.005;
    let hand = player.hand;
    player.attempt.step(&hand);
    assert!(!player.attempt.holds());
    assert_eq!(player.attempt.standing().errors.count(Mistake::Dropped), 1);
    let places = |objects: Objects| objects.map(|it| it.map(|it| it.base_from_object.translation));
    assert_eq!(places(player.attempt.objects()), places(before));
}

/// Goal: a ring that touches the wire is counted, for as long as it does, and pulled off it slips out of the jaws.
#[test]
fn touching_the_wire_is_counted_and_timed() {
    let well = Player::new(Exercise::RingOnWire, 3).play(|_, _, _| ());
    let touching = |up_m: f64| {
        let mut since = None;
        Player::new(Exercise::RingOnWire, 3).play(move |ms, attempt, hand| {
            if since.is_none() && attempt.standing().progress.done == 5 {
                since = Some(ms);
            }
            if since.is_some_and(|since| ms < since + 300) {
                hand.base_from_end.translation.vector.z += up_m;
            }
        })
    };
    let touched = touching(0.0025);
    assert_eq!(touched.phase, Phase::Done, "{touched:?}");
    assert_eq!(touched.errors.count(Mistake::Touched), 1, "{}", touched.errors);
    let lasted_ms = touched.errors.lasted_ms(Mistake::Touched);
    assert!((250..350).contains(&lasted_ms), "{lasted_ms}");
    assert!(points(&touched) < points(&well) - 3.0, "{touched:?}\n{well:?}");
    let pulled = touching(0.006);
    assert!(pulled.errors.count(Mistake::Dropped) >= 1, "{}", pulled.errors);
}

/// Goal: a needle that goes in beside its mark, and one that is dragged instead of turned, are named.
#[test]
fn a_missed_mark_and_a_torn_path_are_named() {
    let well = Player::new(Exercise::SuturingPath, 5).play(|_, _, _| ());
    // Before the second bite the needle goes straight down, wherever it is, and out again.
    let mut player = Player::new(Exercise::SuturingPath, 5);
    while player.attempt.standing().progress.done < 1 || player.attempt.hand.at().z < 0.0155 {
        player.tick(&mut |_, _, _| ());
    }
    let mut hand = player.hand;
    while player.attempt.standing().errors == Errors::default() {
        hand.base_from_end.translation.vector.z -= 2e-5;
        player.step(&hand);
    }
    let beside = player.play(|_, _, _| ());
    assert_eq!(beside.phase, Phase::Done, "{beside:?}");
    assert_eq!(beside.errors.count(Mistake::MissedEntry), 1, "{}", beside.errors);
    assert!(points(&beside) < points(&well) - 4.0, "{beside:?}\n{well:?}");
    // In the middle of the second bite the needle is pressed down.
    let mut pressed = None;
    let torn = Player::new(Exercise::SuturingPath, 5).play(|ms, attempt, hand| {
        let deep = attempt.standing().step.starts_with("Turn") && attempt.hand.at().z < 0.0084;
        if pressed.is_none() && attempt.standing().progress.done == 1 && deep {
            pressed = Some(ms);
        }
        if pressed.is_some_and(|since| ms < since + 200) {
            hand.base_from_end.translation.vector.z -= 0.0015;
        }
    });
    assert_eq!(torn.phase, Phase::Done, "{torn:?}");
    assert!(torn.errors.count(Mistake::OffPath) >= 1, "{}", torn.errors);
    assert!(torn.errors.lasted_ms(Mistake::OffPath) >= 150, "{}", torn.errors);
}

/// Goal: jaws that close beside everything are counted each time, and take nothing.
#[test]
fn closing_on_nothing_is_counted() {
    for exercise in [Exercise::Reach, Exercise::PegTransfer, Exercise::RingOnWire] {
        let mut attempt = Attempt::new(exercise, 1, place());
        let mut hand = place().start;
        attempt.step(&hand);
        hand.base_from_end.translation.vector.z += 0.004;
        for jaw_rad in [0.6, 0.3, 0.0, 0.0, 0.6, 0.0, 0.3, 0.0] {
            hand.jaw_rad = jaw_rad;
            attempt.step(&hand);
        }
        assert_eq!(attempt.standing().errors.count(Mistake::MissedGrasp), 2, "{exercise}");
        assert!(!attempt.holds());
    }
}

#[test]
fn an_exercise_is_found_by_its_name() {
    for exercise in Exercise::EACH {
        assert_eq!(exercise.name().parse(), Ok(exercise));
    }
    let error = "juggling".parse::<Exercise>().unwrap_err().to_string();
    let names = "reach, peg-transfer, ring-on-wire, suturing-path";
    assert_eq!(error, format!("there is no exercise \"juggling\"; there are {names}"));
}
