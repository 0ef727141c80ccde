//! The device against the reference on layers that no architecture has, and a device that is gone.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::*;
use crate::exec::{Parameters, forward};

/// The adapter, or why there is nothing to test.
fn opened(graph: Graph, weights: &BTreeMap<NodeId, Weights>) -> Option<WgpuExec> {
    match WgpuExec::build(graph, |id| weights.get(&id), Gpu::open) {
        Ok(exec) => Some(exec),
        Err(GpuError::NoAdapter { reason }) => {
            #[allow(
                clippy::print_stderr,
                reason = "a test that was not run must not look like one that passed"
            )]
            {
                eprintln!("skipped: no Vulkan adapter ({reason})");
            }
            None
        }
        Err(error) => unreachable!("{error}"),
    }
}

/// Kernels of five, no cut below zero, and concatenations of what stands elsewhere already, twice, or in one another.
fn odd_graph() -> Graph {
    let mut graph = Graph::begin(Shape::new(3, 13, 18));
    let wide = graph.conv(NodeId(0), 9, 5, 3, false);
    let each = graph.depthwise(wide, 1, false);
    let twice = graph.concat(each, each);
    let nested = graph.concat(wide, twice);
    let again = graph.concat(nested, each);
    let strided = graph.conv(again, 7, 1, 2, true);
    let up = graph.upsample(strided, again);
    let last = graph.concat(up, wide);
    graph.conv(last, 5, 3, 1, false);
    graph
}

fn some_weights(graph: &Graph) -> BTreeMap<NodeId, Weights> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut some = |many: usize| (0..many).map(|_| random.f32() - 0.5).collect::<Vec<f32>>();
    let of = |(id, shape): (NodeId, [usize; 4])| {
        let kernel = some(shape.iter().product());
        (id, Weights { shape, kernel, bias: some(shape[0]) })
    };
    graph.kernels().map(of).collect()
}

/// Goal: every kind of layer, in arrangements that today's nets lack, computes what the reference does.
#[test]
fn odd_layers_agree() {
    let graph = odd_graph();
    let weights = some_weights(&graph);
    let Some(mut exec) = opened(graph.clone(), &weights) else { return };
    let picture: Vec<f32> = (0..graph.input().len()).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut parameters: Parameters = vec![None; graph.nodes().len()];
    for (id, of) in &weights {
        let kernel = Tensor::from_slice(&of.kernel, &of.shape, &Device::Cpu).unwrap();
        parameters[id.0] = Some((kernel, Tensor::from_slice(&of.bias, of.shape[0], &Device::Cpu).unwrap()));
    }
    let input = Tensor::from_slice(&picture, (1, 3, 13, 18), &Device::Cpu).unwrap();
    let expected = forward(&graph, &parameters, &input).unwrap().flatten_all().unwrap();
    let expected = expected.to_vec1::<f32>().unwrap();
    for (seen, expected) in exec.scores(&picture).unwrap().iter().zip(&expected) {
        assert!((seen - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{seen} {expected}");
    }
}

/// Goal: a device that is lost says so, in words, at every later call, and nothing panics.
#[test]
fn a_lost_device_says_so() {
    let graph = odd_graph();
    let weights = some_weights(&graph);
    let Some(mut exec) = opened(graph.clone(), &weights) else { return };
    let picture = vec![0.0; graph.input().len()];
    assert!(exec.scores(&picture).is_ok());
    exec.gpu.device.destroy();
    let bytes = [128; 6];
    let frame = Nv12::new(2, 2, &bytes).unwrap();
    for _ in 0..2 {
        assert!(matches!(exec.segment(frame), Err(GpuError::Failed { .. })));
        assert!(matches!(exec.scores(&picture), Err(GpuError::Failed { .. })));
    }
}

/// Goal: what can't work is refused before a device is touched, with what was asked for.
#[test]
fn what_cannot_work_is_refused() {
    let mut graph = Graph::begin(Shape::new(3, 4, 4));
    graph.conv(NodeId(0), 300, 1, 1, false);
    let refused = WgpuExec::build(graph, |_| None, Gpu::open).map(drop).unwrap_err();
    assert_eq!(refused, GpuError::Classes { classes: 300 });
    let refused = WgpuExec::build(odd_graph(), |_| None, Gpu::open).map(drop).unwrap_err();
    assert_eq!(refused, GpuError::NoWeights { node: 1 });
}
