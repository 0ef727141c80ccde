use super::*;
use crate::{graph::Architecture, train::adam::Memory};

const SIDE: usize = 32;

fn card() -> Card {
    let architecture = Architecture { widths: [8, 12, 16, 16], blocks: [1, 1, 1, 1], classes: 2 };
    Card::new(architecture, vec!["ground".to_owned(), "disc".to_owned()], SIDE, SIDE)
}

fn schedule(steps: u64) -> Schedule {
    Schedule { steps, rate: 5e-3, decay: 1e-4, class_weights: vec![1.0, 1.0] }
}

/// Discs, brighter than what is around them, under noise.
fn discs(random: &mut fastrand::Rng, count: usize) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..count {
        let mut some = |from: f32, to: f32| from + (to - from) * random.f32();
        let (x, y, radius) = (some(8.0, 24.0), some(8.0, 24.0), some(4.0, 9.0));
        let inside = |at: usize, step: usize| {
            let (px, py) = ((at % (SIDE / step) * step) as f32, (at / (SIDE / step) * step) as f32);
            (px - x).powi(2) + (py - y).powi(2) < radius * radius
        };
        for _channel in 0..3 {
            batch
                .pictures
                .extend((0..SIDE * SIDE).map(|at| some(-0.4, 0.4) + f32::from(u8::from(inside(at, 1)))));
        }
        batch.labels.extend((0..SIDE * SIDE / 4).map(|at| u8::from(inside(at, 2))));
    }
    batch
}

fn overlap(trainer: &Trainer, batch: &Batch) -> f32 {
    let model = trainer.model().unwrap();
    let net = crate::CandleExec::new(&model, model.graph(SIDE, SIDE).unwrap()).unwrap();
    let (mut both, mut either) = (0, 0);
    let pairs = batch.pictures.chunks_exact(3 * SIDE * SIDE).zip(batch.labels.chunks_exact(SIDE * SIDE / 4));
    for (picture, labels) in pairs {
        let scores = net.scores(picture).unwrap();
        let (ground, disc) = scores.split_at(labels.len());
        for ((ground, disc), label) in ground.iter().zip(disc).zip(labels) {
            let (seen, is) = (disc > ground, *label == 1);
            both += usize::from(seen && is);
            either += usize::from(seen || is);
        }
    }
    both as f32 / either as f32
}

/// Goal: it learns what can be learnt, and the model that comes out, with plain weights, knows it.
#[test]
fn it_learns_to_see_discs() {
    let mut random = fastrand::Rng::with_seed(3);
    let test = discs(&mut random, 8);
    let mut trainer = Trainer::new(card(), schedule(300), 5).unwrap();
    let before = overlap(&trainer, &test);
    for _ in 0..300 {
        trainer.learn(&discs(&mut random, 8)).unwrap();
    }
    let after = overlap(&trainer, &test);
    assert!(after > 0.8 && after > before + 0.3, "{before} before, {after} after");
}

/// Goal: a run that was written down and read again goes on as if nothing had happened.
#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let mut random = fastrand::Rng::with_seed(4);
    let batches: Vec<Batch> = (0..6).map(|_| discs(&mut random, 2)).collect();
    let mut whole = Trainer::new(card(), schedule(6), 5).unwrap();
    let losses: Vec<f32> = batches.iter().map(|batch| whole.learn(batch).unwrap()).collect();
    let mut first = Trainer::new(card(), schedule(6), 5).unwrap();
    batches[..3].iter().for_each(|batch| assert!(first.learn(batch).unwrap() > 0.0));
    let mut second = Trainer::resume(&first.to_bytes()).unwrap();
    assert_eq!(second.steps(), 3);
    let rest: Vec<f32> = batches[3..].iter().map(|batch| second.learn(batch).unwrap()).collect();
    assert_eq!(rest, losses[3..]);
    assert_eq!(second.model().unwrap(), whole.model().unwrap());
    assert!(Trainer::resume(&first.to_bytes()[..1000]).is_err());
    assert!(Memory::new(3).parts().iter().all(|part| part.len() == 3));
}

/// Goal: who goes on from a model begins with what it knows.
#[test]
fn a_model_is_where_it_was_left() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut first = Trainer::new(card(), schedule(40), 5).unwrap();
    for _ in 0..40 {
        first.learn(&discs(&mut random, 4)).unwrap();
    }
    let learnt = first.model().unwrap();
    let again = Trainer::from_model(&learnt, schedule(40)).unwrap().model().unwrap();
    let net = |model: &Model| crate::CandleExec::new(model, model.graph(SIDE, SIDE).unwrap()).unwrap();
    let picture = discs(&mut random, 1).pictures;
    let scores = [&learnt, &again].map(|model| net(model).scores(&picture).unwrap());
    let greatest = scores[0].iter().fold(0.0, |most: f32, score| most.max(score.abs()));
    let apart = scores[0].iter().zip(&scores[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3 * greatest, "{apart} of {greatest}");
}

/// Goal: candle's way back through every operation here is the slope of what it computes forward.
#[test]
fn gradients_are_slopes() {
    let mut trainer = Trainer::new(card(), schedule(3), 9).unwrap();
    let batch = discs(&mut fastrand::Rng::with_seed(8), 2);
    for _ in 0..3 {
        trainer.learn(&batch).unwrap(); // away from biases of nothing, where the cut below zero has no slope
    }
    let shape = (2, 3, SIDE, SIDE);
    let pictures = Tensor::from_slice(&batch.pictures, shape, &Device::Cpu).unwrap();
    let loss = |variables: &BTreeMap<NodeId, Variables>| {
        let parameters = trainer.parameters(variables).unwrap();
        let scores = forward(&trainer.graph, &parameters, &pictures).unwrap();
        let (loss, gradient) = trainer.loss(&scores.flatten_all().unwrap().to_vec1().unwrap(), &batch.labels);
        (loss, scores, gradient)
    };
    let variables = trainer.variables().unwrap();
    let (_, scores, gradient) = loss(&variables);
    let gradient = Tensor::from_vec(gradient, scores.shape(), &Device::Cpu).unwrap();
    let gradients = (scores * gradient).unwrap().sum_all().unwrap().backward().unwrap();
    for (id, of) in &variables {
        for var in [&of.kernel, &of.bias].into_iter().chain(&of.gain) {
            let along = gradients.get(var).unwrap().clone();
            let length = along.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            if length < 1e-3 {
                continue;
            }
            let here = var.as_tensor().copy().unwrap();
            let at = |by: f64| {
                var.set(&(&here + (&along * by).unwrap()).unwrap()).unwrap();
                f64::from(loss(&variables).0)
            };
            // A long step goes over places without a slope, a short one drowns in rounding: a wrong gradient is wrong by all of them.
            let expected = f64::from(length * length);
            let ratios = [1e-3, 3e-4, 1e-4].map(|step| {
                let step = step / f64::from(length);
                (at(step) - at(-step)) / (2.0 * step) / expected
            });
            var.set(&here).unwrap();
            assert!(
                ratios.iter().any(|ratio| (ratio - 1.0).abs() < 0.03),
                "node {}: {ratios:?} of {expected}",
                id.0
            );
        }
    }
}
