//! What conditions do to a picture, and what they leave alone.
//!
//! Without a Vulkan driver each test says "skipped" and ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail it")]

use farhand_scene::{
    Class, Conditions, Factor, Finish, Instrument, Kind, Sampler, Scene, SceneState, Severity, Split,
    TOOLS_MAX,
};

mod common;

use common::{SEED, above, scene, state, tool};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 270;
const PIXELS: usize = (WIDTH * HEIGHT) as usize;

fn small_scene() -> Option<Scene> {
    scene(WIDTH, HEIGHT)
}

fn picture(scene: &mut Scene, state: &SceneState, conditions: &Conditions) -> Vec<u8> {
    scene.render_under(state, conditions).unwrap().nv12.to_vec()
}

fn labels(scene: &mut Scene, state: &SceneState, conditions: &Conditions) -> Vec<u8> {
    let mut labels = vec![0; PIXELS];
    scene.render_labels_under(state, conditions, &mut labels).unwrap();
    labels
}

fn at(factor: Factor, level: u8) -> Conditions {
    seeded().with(factor, Severity::new(level))
}

fn seeded() -> Conditions {
    Conditions { seed: 11, frame: 3, motion_rad: 0.4, ..Conditions::default() }
}

/// Everything at once, and other instruments.
fn all_at(level: u8) -> Conditions {
    let instruments =
        [Kind::StraightGrasper, Kind::Scissors, Kind::Hook].map(|kind| of_kind(kind).instruments[0]);
    let conditions = Conditions { instruments, ..seeded() };
    Factor::ALL.into_iter().fold(conditions, |all, factor| all.with(factor, Severity::new(level)))
}

fn of_kind(kind: Kind) -> Conditions {
    let instrument = Instrument { kind, finish: Finish::Banded, wear: Severity::new(2) };
    Conditions { instruments: [instrument; TOOLS_MAX], ..Conditions::default() }
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(x.abs_diff(*y))).sum::<f64>() / a.len() as f64
}

/// Goal: every factor does something, and none does anything at severity 0.
#[test]
fn every_factor_changes_the_picture_and_at_none_does_not() {
    let Some(mut scene) = small_scene() else { return };
    let plain = scene.render(&state()).unwrap().nv12.to_vec();
    for factor in Factor::ALL {
        let worst = picture(&mut scene, &state(), &at(factor, 5));
        let difference = mean_difference(&plain, &worst);
        assert!(difference > 0.25, "{factor:?} changes the picture by {difference}");
        assert!(picture(&mut scene, &state(), &at(factor, 0)) == plain, "{factor:?} at 0");
    }
}

/// Goal: a higher severity is a worse picture: farther from the plain one.
#[test]
fn more_severity_changes_more() {
    let Some(mut scene) = small_scene() else { return };
    let plain = scene.render(&state()).unwrap().nv12.to_vec();
    let graded = Factor::ALL.into_iter().filter(|factor| *factor != Factor::Fat);
    for factor in graded {
        let levels = [1, 2, 3, 4, 5];
        let off =
            levels.map(|level| mean_difference(&plain, &picture(&mut scene, &state(), &at(factor, level))));
        assert!(off.windows(2).all(|pair| pair[0] < pair[1]), "{factor:?}: {off:?}");
    }
}

/// Goal: the ground truth is of the scene, not of the lens: no factor moves or hides a label.
#[test]
fn no_factor_changes_a_label() {
    let Some(mut scene) = small_scene() else { return };
    let plain = labels(&mut scene, &state(), &seeded());
    for factor in Factor::ALL {
        assert!(labels(&mut scene, &state(), &at(factor, 5)) == plain, "{factor:?}");
    }
}

/// Goal: a picture under conditions can be drawn again, in the same scene and in a new one, and another frame of the same
/// conditions has other noise.
#[test]
fn the_same_conditions_give_the_same_bytes() {
    let Some(mut first) = small_scene() else { return };
    let before = picture(&mut first, &state(), &all_at(4));
    let next = Conditions { frame: 4, ..all_at(4) };
    assert!(picture(&mut first, &state(), &next) != before, "the next frame");
    picture(&mut first, &SceneState { tools: vec![], ..state() }, &seeded());
    assert!(picture(&mut first, &state(), &all_at(4)) == before, "drawn again in the same scene");
    let Some(mut second) = small_scene() else { return };
    assert!(picture(&mut second, &state(), &all_at(4)) == before, "drawn in a new scene");
}

/// Goal: conditions leave nothing behind: back under none the picture is the plain one, and by tiles as drawn whole.
#[test]
fn conditions_leave_nothing_behind() {
    let Some(mut scene) = small_scene() else { return };
    let plain = scene.render(&state()).unwrap().nv12.to_vec();
    picture(&mut scene, &state(), &all_at(5));
    assert!(scene.render(&state()).unwrap().nv12 == plain);
    let moved =
        SceneState { tools: vec![tool(above(SEED, -0.004, 0.0, 0.01), [0.1, 0.3], 0.2, 0.4)], ..state() };
    picture(&mut scene, &state(), &all_at(3));
    let by_tiles = picture(&mut scene, &moved, &all_at(3));
    labels(&mut scene, &moved, &all_at(3));
    assert!(picture(&mut scene, &moved, &all_at(3)) == by_tiles);
}

/// Goal: the kinds are different bodies, each with a shaft, something between, and what works.
#[test]
fn every_kind_has_its_own_outline() {
    let Some(mut scene) = small_scene() else { return };
    let seen = Kind::ALL.map(|kind| labels(&mut scene, &state(), &of_kind(kind)));
    for (kind, labels) in Kind::ALL.iter().zip(&seen) {
        for class in [Class::InstrumentShaft, Class::InstrumentWrist, Class::InstrumentClasper] {
            let count = labels.iter().filter(|id| **id == class.id()).count();
            assert!(count > 25, "{kind:?}: {count} pixels of {}", class.name());
        }
    }
    for (number, one) in seen.iter().enumerate() {
        assert!(
            seen[..number].iter().all(|other| { one.iter().zip(other).filter(|(a, b)| a != b).count() > 80 })
        );
    }
}

/// Goal: the round field of view is black outside, as [`Conditions::shows`] tells.
#[test]
fn outside_the_field_of_view_it_is_black() {
    let Some(mut scene) = small_scene() else { return };
    let conditions = at(Factor::FieldStop, 5);
    let seen = picture(&mut scene, &state(), &conditions);
    let outside = |i: &usize| {
        let [x, y] = [*i as u32 % WIDTH, *i as u32 / WIDTH];
        let near = [[x + 2, y], [x.saturating_sub(2), y], [x, y + 2], [x, y.saturating_sub(2)]];
        near.iter().all(|pixel| !conditions.shows(*pixel, WIDTH, HEIGHT))
    };
    let dark: Vec<usize> = (0..PIXELS).filter(outside).collect();
    assert!(dark.len() > PIXELS / 10, "{}", dark.len());
    assert!(dark.iter().all(|i| seen[*i] < 25));
}

/// Goal: what the sampler draws shows what it says: pictures with instruments have their labels, those without have none.
#[test]
fn samples_show_their_instruments() {
    let Some(mut scene) = small_scene() else { return };
    let mut sampler = Sampler::new(1, Split::everything());
    let mut seen = 0;
    let mut with_tools = 0;
    for _ in 0..24 {
        let (state, conditions) = sampler.draw();
        let labels = labels(&mut scene, &state, &conditions);
        let instruments = labels.iter().filter(|id| (1..=3).contains(*id)).count();
        with_tools += usize::from(!state.tools.is_empty());
        seen += usize::from(instruments > PIXELS / 200);
        assert!(!state.tools.is_empty() || instruments == 0);
        let nv12 = picture(&mut scene, &state, &conditions);
        assert!(nv12[..PIXELS].iter().all(|y| (16..=235).contains(y)));
    }
    assert!(seen * 10 >= with_tools * 8, "{seen} of {with_tools} pictures show their instruments");
}
