//! Places are checked by going through the graph once more, with every value that is still needed.

use std::ops::Range;

use super::*;
use crate::graph::{Architecture, Shape};

fn span(graph: &Graph, places: &[usize], node: usize) -> Range<usize> {
    places[node]..places[node] + graph.node(NodeId(node)).shape.len()
}

/// Whether `at` is written into `node`, straight or as part of what is.
fn within(homes: &[Home], node: usize, mut at: usize) -> bool {
    while let Some((home, _)) = homes[at] {
        at = home.0;
        if at == node {
            return true;
        }
    }
    false
}

fn assert_apart(graph: &Graph) -> usize {
    let homes = homes(graph);
    let (places, end) = places(graph, &homes);
    let needed = |node: usize, at: usize| {
        let read = |id: usize| graph.node(NodeId(id)).inputs.contains(&NodeId(node));
        (at..homes.len()).any(read) || node == homes.len() - 1
    };
    for at in 0..homes.len() {
        let new = span(graph, &places, at);
        assert!(new.end <= end);
        for node in (0..at).filter(|node| needed(*node, at) && !within(&homes, at, *node)) {
            let old = span(graph, &places, node);
            assert!(new.end <= old.start || old.end <= new.start, "{at} overwrites {node}: {new:?} {old:?}");
        }
    }
    end
}

/// Goal: in nets of every size no value is overwritten before its last reader, and the buffer holds far less than all of them.
#[test]
fn what_is_needed_is_kept() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let widths = [0; 4].map(|_| random.usize(1..40));
        let blocks = [0; 4].map(|_| random.usize(1..4));
        let architecture = Architecture { widths, blocks, classes: random.usize(1..8) };
        assert_apart(&architecture.graph(random.usize(1..70), random.usize(1..70)).unwrap());
    }
    let architecture = Architecture { widths: [24, 48, 96, 160], blocks: [1, 2, 3, 3], classes: 6 };
    let graph = architecture.graph(160, 256).unwrap();
    let all: usize = graph.nodes().iter().map(|node| node.shape.len()).sum();
    let end = assert_apart(&graph);
    assert!(end * 2 < all, "{end} of {all}");
}

/// Goal: the nets' concatenations cost no copy; one that reads what stands elsewhere costs one for that.
#[test]
fn concatenations_are_written_in_place() {
    let architecture = Architecture { widths: [8, 16, 24, 32], blocks: [1, 2, 2, 1], classes: 6 };
    let graph = architecture.graph(33, 47).unwrap();
    let weights: Vec<_> = (0..graph.nodes().len()).map(|at| some(&graph, at)).collect();
    let plan = Plan::new(&graph, |id| weights[id.0].as_ref()).unwrap();
    let joins = graph.nodes().iter().filter(|node| node.op == Op::Concat).count();
    assert_eq!((joins, plan.steps.len()), (3, graph.nodes().len() - 1 - joins));

    let mut graph = Graph::begin(Shape::new(3, 4, 4));
    let up = graph.depthwise(NodeId(0), 1, true);
    graph.concat(up, up);
    let weights: Vec<_> = (0..graph.nodes().len()).map(|at| some(&graph, at)).collect();
    let plan = Plan::new(&graph, |id| weights[id.0].as_ref()).unwrap();
    let kernels: Vec<_> = plan.steps.iter().map(|step| step.kernel).collect();
    assert_eq!(kernels, [Kernel::Depthwise, Kernel::Repeat]);
    assert_apart(&graph);
}

fn some(graph: &Graph, at: usize) -> Option<Weights> {
    let (_, shape) = graph.kernels().find(|(id, _)| id.0 == at)?;
    Some(Weights { shape, kernel: vec![0.0; shape.iter().product()], bias: vec![0.0; shape[0]] })
}

/// Goal: weights stand in eights with zeros behind the last output, as the shader reads them.
#[test]
fn weights_stand_in_eights() {
    let kernel = (0..18).map(|at| at as f32).collect();
    let bias = (0..9).map(|at| -(at as f32)).collect();
    let tiles = tiles(&Weights { shape: [9, 2, 1, 1], kernel, bias });
    let expected = [
        [0.0, -1.0, -2.0, -3.0],
        [-4.0, -5.0, -6.0, -7.0],
        [0.0, 2.0, 4.0, 6.0],
        [8.0, 10.0, 12.0, 14.0],
        [1.0, 3.0, 5.0, 7.0],
        [9.0, 11.0, 13.0, 15.0],
        [-8.0, 0.0, 0.0, 0.0],
        [0.0; 4],
        [16.0, 0.0, 0.0, 0.0],
        [0.0; 4],
        [17.0, 0.0, 0.0, 0.0],
        [0.0; 4],
    ];
    assert_eq!(tiles, expected);
}
