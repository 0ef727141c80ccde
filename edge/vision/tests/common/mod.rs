//! The net as its definition says it, one pixel at a time: what both executors are held against.

use farhand_vision::{Graph, Model, Node, NodeId, Op, Shape, Weights};

/// Values of every node.
pub fn plainly(graph: &Graph, model: &Model, picture: &[f32]) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = Vec::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let from = |number: usize| {
            let id = node.inputs[number];
            (graph.node(id).shape, &values[id.0][..])
        };
        let weights = || model.weights(NodeId(at)).unwrap();
        let value = match node.op {
            Op::Input => picture.to_vec(),
            Op::Conv { kernel, stride, relu } => {
                conv(node, from(0), weights(), (kernel, stride, relu), false)
            }
            Op::Depthwise { stride, relu } => conv(node, from(0), weights(), (3, stride, relu), true),
            Op::Upsample => {
                let (shape, values) = from(0);
                every(node.shape, |c, y, x| values[(c * shape.height + y / 2) * shape.width + x / 2])
            }
            Op::Concat => [from(0).1, from(1).1].concat(),
        };
        values.push(value);
    }
    values
}

fn conv(
    node: &Node,
    (shape, values): (Shape, &[f32]),
    weights: &Weights,
    (kernel, stride, relu): (usize, usize, bool),
    each_by_itself: bool,
) -> Vec<f32> {
    let inputs = weights.shape[1];
    every(node.shape, |output, y, x| {
        let mut sum = f64::from(weights.bias[output]);
        for input in 0..inputs {
            let channel = if each_by_itself { output } else { input };
            for (row, column) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                let at = |at: usize, tap: usize, side: usize| {
                    (at * stride + tap).checked_sub(kernel / 2).filter(|at| *at < side)
                };
                let (Some(y), Some(x)) = (at(y, row, shape.height), at(x, column, shape.width)) else {
                    continue;
                };
                let weight = weights.kernel[((output * inputs + input) * kernel + row) * kernel + column];
                sum += f64::from(weight) * f64::from(values[(channel * shape.height + y) * shape.width + x]);
            }
        }
        if relu { sum.max(0.0) as f32 } else { sum as f32 }
    })
}

fn every(shape: Shape, value: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let rows = (0..shape.channels).flat_map(|c| (0..shape.height).map(move |y| (c, y)));
    rows.flat_map(|(c, y)| (0..shape.width).map(move |x| (c, y, x))).map(|(c, y, x)| value(c, y, x)).collect()
}

/// A picture of nothing in particular.
pub fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.f32() * 2.0 - 1.0).collect()
}

/// Greatest difference over the greatest value.
pub fn apart(seen: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(seen.len(), expected.len());
    let greatest = expected.iter().fold(f32::MIN_POSITIVE, |max, value| max.max(value.abs()));
    seen.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / greatest
}
