//! The executors against the definition. What needs a graphics device says so where there is none.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that can't go on says so")]
#![allow(
    clippy::panic,
    clippy::print_stderr,
    reason = "and one that was not run must not look like one that passed"
)]

mod common;

use farhand_vision::{Architecture, CandleExec, Card, Executor, GpuError, Model, Nv12, WgpuExec, agree};

use crate::common::{apart, noise, plainly};

/// Single precision, over some dozen layers.
const APART_MAX: f32 = 1e-4;
/// Odd ones, single pixels, and one that the product is used at.
const SIZES: [(usize, usize); 9] =
    [(1, 1), (1, 7), (2, 2), (3, 1), (15, 31), (16, 16), (33, 18), (47, 65), (160, 256)];

fn model(seed: u64) -> Model {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut some = |max| random.usize(1..=max);
    let widths = [some(20), some(40), some(40), some(40)];
    let blocks = [some(2), some(2), some(2), some(2)];
    let classes = some(7);
    of(Architecture { widths, blocks, classes }, seed)
}

fn of(architecture: Architecture, seed: u64) -> Model {
    let classes = (0..architecture.classes).map(|class| format!("class {class}")).collect();
    Model::untrained(Card::new(architecture, classes, 160, 256), seed).unwrap()
}

fn opened(model: &Model, (height, width): (usize, usize)) -> Option<WgpuExec> {
    match WgpuExec::open(model, height, width) {
        Ok(exec) => Some(exec),
        Err(GpuError::NoAdapter { reason }) => {
            eprintln!("skipped: no Vulkan adapter ({reason})");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn frame_bytes((width, height): (usize, usize), seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..width * height * 3 / 2).map(|_| random.u8(..)).collect()
}

/// Goal: on random nets and pictures of every awkward size, the reference computes what the definition says.
#[test]
fn candle_computes_what_the_graph_says() {
    for (seed, (height, width)) in (1..).zip(SIZES) {
        let model = model(seed);
        let graph = model.graph(height, width).unwrap();
        let picture = noise(graph.input().len(), seed);
        let expected = plainly(&graph, &model, &picture).pop().unwrap();
        let seen = CandleExec::new(&model, graph).unwrap().scores(&picture).unwrap();
        let apart = apart(&seen, &expected);
        assert!(apart <= APART_MAX, "{height} x {width}: {apart:e}");
    }
}

/// Goal: so does the graphics device, twice in a row, so that nothing is left over from one picture in the next.
#[test]
fn wgpu_computes_what_the_graph_says() {
    for (seed, (height, width)) in (1..).zip(SIZES) {
        let model = model(seed);
        let Some(mut exec) = opened(&model, (height, width)) else { return };
        for seed in [seed, seed + 100] {
            let picture = noise(exec.graph().input().len(), seed);
            let expected = plainly(exec.graph(), &model, &picture).pop().unwrap();
            let apart = apart(&exec.scores(&picture).unwrap(), &expected);
            assert!(apart <= APART_MAX, "{height} x {width}: {apart:e}");
        }
    }
}

/// Goal: of random frames both say the same classes, but for one pixel in ten thousand, and shares that are one step apart at most.
#[test]
fn both_see_the_same() {
    let (mut pixels, mut differing) = (0, 0);
    for seed in 1..=24 {
        let model = model(seed);
        let (height, width) = SIZES[4 + seed as usize % 4];
        let Some(mut wgpu) = opened(&model, (height, width)) else { return };
        let candle = CandleExec::new(&model, model.graph(height, width).unwrap()).unwrap();
        let bytes = frame_bytes((62, 46), seed);
        let frame = Nv12::new(62, 46, &bytes).unwrap();
        let (expected, seen) = (candle.segment(frame).unwrap(), wgpu.segment(frame).unwrap());
        assert_eq!((seen.height, seen.width), (expected.height, expected.width));
        pixels += expected.classes.len();
        differing += expected.classes.iter().zip(&seen.classes).filter(|(a, b)| a != b).count();
        let far = expected.shares.iter().zip(&seen.shares).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(far <= Some(1), "{seed}: {far:?}");
    }
    assert!(differing * 10_000 <= pixels, "{differing} of {pixels}");
}

/// Goal: a net that hands its picture through shows how a frame was converted: as the definition says, whatever the sizes, one frame size
/// after the other.
#[test]
fn frames_are_converted_as_defined() {
    for (height, width) in [(5, 7), (16, 16), (33, 51)] {
        let model = model(9);
        let Some(mut wgpu) = opened(&model, (height, width)) else { return };
        for (seed, size) in (1..).zip([(2, 2), (6, 4), (62, 46), (64, 48), (130, 98), (2, 200), (322, 6)]) {
            let bytes = frame_bytes(size, seed);
            let frame = Nv12::new(size.0, size.1, &bytes).unwrap();
            let expected = frame.picture(height, width);
            let seen = wgpu.picture(frame).unwrap();
            assert_eq!(seen.len(), expected.len());
            let far = seen.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far <= 1e-3, "{size:?} to {width} x {height}: {far:e}");
        }
    }
}

/// Goal: the same net agrees with itself; another net's weights are found out, in figures.
#[test]
fn another_net_is_found_out() {
    let architecture = Architecture { widths: [8, 12, 16, 20], blocks: [1; 4], classes: 4 };
    let (model, other) = (of(architecture.clone(), 1), of(architecture, 2));
    let Some(mut wgpu) = opened(&model, (32, 48)) else { return };
    let candle = |model: &Model| CandleExec::new(model, model.graph(32, 48).unwrap()).unwrap();
    let agreement = agree(&candle(&model), &mut wgpu).unwrap();
    assert!(agreement.apart <= APART_MAX && agreement.differing == 0, "{agreement:?}");
    let refused = agree(&candle(&other), &mut wgpu).unwrap_err().to_string();
    assert!(refused.contains("disagrees"), "{refused}");
}

/// Goal: whatever is there, something is chosen that says what the reference says, and why in words.
#[test]
fn something_is_always_chosen() {
    let model = model(5);
    let mut executor = Executor::fastest(&model, 33, 18).unwrap();
    let words = executor.choice().to_string();
    assert!(words.contains("ms a frame"), "{words}");
    assert_eq!(executor.on_graphics(), executor.choice().graphics.is_ok());
    let bytes = frame_bytes((62, 46), 1);
    let frame = Nv12::new(62, 46, &bytes).unwrap();
    let candle = CandleExec::new(&model, model.graph(33, 18).unwrap()).unwrap();
    assert_eq!(executor.segment(frame).unwrap().classes, candle.segment(frame).unwrap().classes);
}
