//! The second renderer draws the same things as the first, otherwise.
//!
//! Without a Vulkan driver the tests that compare both say "skipped" and end.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use farhand_scene::{
    Class, Conditions, Factor, Sampler, SceneError, SceneSettings, SceneState, Severity, Split, Traced, trace,
};

mod common;

use common::state;

const WIDTH: u32 = 256;
const HEIGHT: u32 = 160;

fn settings() -> SceneSettings {
    SceneSettings { width: WIDTH, height: HEIGHT, ..SceneSettings::default() }
}

fn traced(state: &SceneState, conditions: &Conditions) -> Traced {
    trace(&settings(), state, conditions).unwrap()
}

fn is_instrument(id: &u8) -> bool {
    let parts = [Class::InstrumentShaft, Class::InstrumentWrist, Class::InstrumentClasper];
    parts.iter().any(|part| part.id() == *id)
}

/// Pixels in common over pixels of either, of what is looked for; both lists pooled over pictures.
fn overlap(pairs: &[(Vec<u8>, Vec<u8>)], wanted: impl Fn(&u8) -> bool) -> f64 {
    let pixels = || pairs.iter().flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (wanted(a), wanted(b)));
    let both = pixels().filter(|(a, b)| *a && *b).count();
    both as f64 / pixels().filter(|(a, b)| *a || *b).count().max(1) as f64
}

/// Goal: both renderers see the same things in the same places, whatever the camera and the instruments: their labels agree but
/// for edges.
#[test]
fn both_renderers_label_the_same_pixels() {
    let Some(mut scene) = common::scene(WIDTH, HEIGHT) else { return };
    let mut pairs = Vec::new();
    for seed in 0..12 {
        let (state, conditions) = Sampler::new(seed, Split::everything()).draw();
        let mut labels = vec![0; (WIDTH * HEIGHT) as usize];
        scene.render_labels_under(&state, &conditions, &mut labels).unwrap();
        pairs.push((labels, traced(&state, &conditions).labels));
    }
    let of = |class: Class| overlap(&pairs, |id| *id == class.id());
    let whole = overlap(&pairs, is_instrument);
    assert!(whole > 0.99, "instruments: {whole}");
    for class in Class::ALL {
        let least = if class == Class::Vessel { 0.85 } else { 0.98 };
        assert!(of(class) > least, "{}: {}", class.name(), of(class));
    }
}

/// Goal: a traced picture can be traced again; a frame later its noise is another, and nothing has moved.
#[test]
fn only_noise_differs_a_frame_later() {
    let now = traced(&state(), &Conditions::default());
    assert_eq!(traced(&state(), &Conditions::default()), now);
    let then = traced(&state(), &Conditions { frame: 1, ..Conditions::default() });
    assert_eq!(then.labels, now.labels);
    assert_ne!(then.rgb, now.rgb);
    let off = now.rgb.iter().zip(&then.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    assert!(off / (now.rgb.len() as f64) < 12.0, "{}", off / now.rgb.len() as f64);
}

/// Goal: a picture is as bright as a picture is, whatever the tissue and the camera: neither black nor washed out.
#[test]
fn pictures_are_exposed() {
    for seed in 0..8 {
        let (state, conditions) = Sampler::new(seed, Split::everything()).draw();
        let seen = traced(&state, &conditions.with(Factor::FieldStop, Severity::NONE)).rgb;
        let mean = seen.iter().map(|byte| f64::from(*byte)).sum::<f64>() / seen.len() as f64;
        assert!((50.0..160.0).contains(&mean), "{seed}: {mean}");
    }
}

/// Goal: outside the round field of view it is black, and labels are what they are.
#[test]
fn outside_the_field_it_is_black() {
    let round = Conditions::default().with(Factor::FieldStop, Severity::WORST);
    let (seen, whole) = (traced(&state(), &round), traced(&state(), &Conditions::default()));
    assert_eq!(seen.labels, whole.labels);
    for (at, rgb) in (0_u32..).zip(seen.rgb.chunks_exact(3)) {
        let shown = round.shows([at % WIDTH, at / WIDTH], WIDTH, HEIGHT);
        assert!(shown || rgb == [0; 3]);
    }
}

/// Goal: what cannot be drawn is refused, as by the other renderer.
#[test]
fn what_cannot_be_drawn_is_refused() {
    let narrow = SceneSettings { width: 30, ..settings() };
    let refused = trace(&narrow, &state(), &Conditions::default());
    assert!(matches!(refused, Err(SceneError::BadSize { width: 30, .. })));
    let mut many = state();
    many.tools = vec![many.tools[0]; 4];
    assert!(matches!(trace(&settings(), &many, &Conditions::default()), Err(SceneError::TooMany { .. })));
}
