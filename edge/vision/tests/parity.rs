//! The executors against the definition.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that can't go on says so")]

mod common;

use farhand_vision::{Architecture, CandleExec, Card, Model};

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
    let architecture = Architecture { widths, blocks, classes: some(7) };
    let classes = (0..architecture.classes).map(|class| format!("class {class}")).collect();
    Model::untrained(Card::new(architecture, classes, 160, 256), seed).unwrap()
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
