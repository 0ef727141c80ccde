//! Where each value stands in the device's one buffer, and what is to be dispatched. No device is needed to plan.
//!
//! **Invariant (local):** no two values that are needed at the same time overlap.

use bytemuck::{Pod, Zeroable};

use super::GpuError;
use crate::{
    graph::{Graph, NodeId, Op},
    model::Weights,
};

/// Outputs of one pixel that a thread computes.
const TILE: usize = 8;
/// Threads of a group, each with one pixel.
const GROUP: usize = 64;

/// As `vision_conv.wgsl` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub(super) struct Layer {
    input_at: u32,
    output_at: u32,
    weights_at: u32,
    inputs: u32,
    outputs: u32,
    kernel: u32,
    stride: u32,
    relu: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
}

/// An entry point of `vision_conv.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Pointwise,
    Convolve,
    Depthwise,
    Repeat,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kernel: Kernel,
    pub(super) layer: Layer,
    pub(super) groups: [u32; 2],
}

#[derive(Debug)]
pub(super) struct Plan {
    /// Where each node's values begin.
    pub(super) places: Vec<usize>,
    /// Values in the buffer.
    pub(super) values: usize,
    pub(super) steps: Vec<Step>,
    pub(super) weights: Vec<[f32; 4]>,
}

impl Plan {
    pub(super) fn new<'a>(
        graph: &Graph,
        weights_of: impl Fn(NodeId) -> Option<&'a Weights>,
    ) -> Result<Self, GpuError> {
        let homes = homes(graph);
        let (places, values) = places(graph, &homes);
        let mut plan = Self { places, values, steps: Vec::new(), weights: Vec::new() };
        for at in 1..graph.nodes().len() {
            plan.step(graph, &homes, NodeId(at), &weights_of)?;
        }
        Ok(plan)
    }

    fn step<'a>(
        &mut self,
        graph: &Graph,
        homes: &[Home],
        at: NodeId,
        weights_of: &impl Fn(NodeId) -> Option<&'a Weights>,
    ) -> Result<(), GpuError> {
        let node = graph.node(at);
        let weights = || weights_of(at).ok_or(GpuError::NoWeights { node: at.0 });
        match node.op {
            Op::Input => {}
            Op::Conv { kernel, stride, relu } => {
                let weights_at = self.weights.len();
                self.weights.extend(tiles(weights()?));
                let entry = if (kernel, stride) == (1, 1) { Kernel::Pointwise } else { Kernel::Convolve };
                let layer = self.layer(graph, (node.inputs[0], at), (kernel, stride, relu), weights_at);
                self.push(entry, layer, node.shape.channels.div_ceil(TILE));
            }
            Op::Depthwise { stride, relu } => {
                let weights_at = self.weights.len();
                self.weights.extend(nines(weights()?));
                let layer = self.layer(graph, (node.inputs[0], at), (3, stride, relu), weights_at);
                self.push(Kernel::Depthwise, layer, node.shape.channels);
            }
            Op::Upsample => {
                let layer = self.layer(graph, (node.inputs[0], at), (1, 2, false), 0);
                self.push(Kernel::Repeat, layer, node.shape.channels);
            }
            Op::Concat => self.join(graph, homes, at),
        }
        Ok(())
    }

    /// Copies what does not stand there from the start.
    fn join(&mut self, graph: &Graph, homes: &[Home], at: NodeId) {
        let mut behind = 0;
        for (number, input) in graph.node(at).inputs.iter().enumerate() {
            let shape = graph.node(*input).shape;
            if homes[input.0] != Some((at, number)) {
                let layer = self.layer(graph, (*input, at), (1, 1, false), 0);
                let output_at = layer.output_at + behind as u32;
                let outputs = shape.channels as u32;
                self.push(Kernel::Repeat, Layer { output_at, outputs, ..layer }, shape.channels);
            }
            behind += shape.len();
        }
    }

    /// Numbers fit: [`GpuError::TooLarge`] guards the buffer that they count in.
    fn layer(
        &self,
        graph: &Graph,
        (from, to): (NodeId, NodeId),
        (kernel, stride, relu): (usize, usize, bool),
        weights_at: usize,
    ) -> Layer {
        let (input, output) = (graph.node(from).shape, graph.node(to).shape);
        Layer {
            input_at: self.places[from.0] as u32,
            output_at: self.places[to.0] as u32,
            weights_at: weights_at as u32,
            inputs: input.channels as u32,
            outputs: output.channels as u32,
            kernel: kernel as u32,
            stride: stride as u32,
            relu: u32::from(relu),
            height: input.height as u32,
            width: input.width as u32,
            out_height: output.height as u32,
            out_width: output.width as u32,
        }
    }

    fn push(&mut self, kernel: Kernel, layer: Layer, rows: usize) {
        let across = (layer.out_height * layer.out_width).div_ceil(GROUP as u32);
        self.steps.push(Step { kernel, layer, groups: [across, rows as u32] });
    }
}

/// The concatenation that a node's values are written straight into, and as which of its inputs.
type Home = Option<(NodeId, usize)>;

/// A node can stand in one concatenation only, and once; the picture stands by itself, since it is written from outside.
fn homes(graph: &Graph) -> Vec<Home> {
    let mut homes = vec![None; graph.nodes().len()];
    for (at, node) in graph.nodes().iter().enumerate().filter(|(_, node)| node.op == Op::Concat) {
        for (number, input) in node.inputs.iter().enumerate() {
            if input.0 > 0 && homes[input.0].is_none() {
                homes[input.0] = Some((NodeId(at), number));
            }
        }
    }
    homes
}

/// What is kept while the graph is gone through: from where, how long, and up to which node.
struct Kept {
    at: usize,
    length: usize,
    last_use: usize,
}

/// Where each node's values begin, and where all end. What is not needed any more makes room.
fn places(graph: &Graph, homes: &[Home]) -> (Vec<usize>, usize) {
    let roots: Vec<(usize, usize)> = (0..homes.len()).map(|node| root(graph, homes, node)).collect();
    let mut last_use: Vec<usize> = (0..homes.len()).collect();
    for (at, node) in graph.nodes().iter().enumerate() {
        let (own, _) = roots[at];
        last_use[own] = last_use[own].max(at);
        node.inputs.iter().map(|input| roots[input.0].0).for_each(|of| last_use[of] = last_use[of].max(at));
    }
    let mut place: Vec<Option<usize>> = vec![None; homes.len()];
    let (mut kept, mut end) = (Vec::<Kept>::new(), 0);
    for (at, &(root, _)) in roots.iter().enumerate() {
        kept.retain(|kept| kept.last_use >= at);
        if place[root].is_none() {
            let length = graph.node(NodeId(root)).shape.len();
            let found = gap(&mut kept, length);
            kept.push(Kept { at: found, length, last_use: last_use[root] });
            place[root] = Some(found);
            end = end.max(found + length);
        }
    }
    let begin = |(root, behind): (usize, usize)| place[root].expect("every root was met") + behind;
    (roots.into_iter().map(begin).collect(), end)
}

/// The outermost concatenation that a node stands in, or itself, and how far from its beginning.
fn root(graph: &Graph, homes: &[Home], node: usize) -> (usize, usize) {
    let (mut at, mut behind) = (node, 0);
    while let Some((home, number)) = homes[at] {
        let before = &graph.node(home).inputs[..number];
        behind += before.iter().map(|input| graph.node(*input).shape.len()).sum::<usize>();
        at = home.0;
    }
    (at, behind)
}

/// The first place where so many values fit between those that are kept.
fn gap(kept: &mut [Kept], length: usize) -> usize {
    kept.sort_by_key(|kept| kept.at);
    let mut at = 0;
    for kept in kept {
        if at + length <= kept.at {
            break;
        }
        at = at.max(kept.at + kept.length);
    }
    at
}

/// For every eight outputs their biases, then for each input and tap their weights; zeros where there are fewer outputs.
fn tiles(weights: &Weights) -> Vec<[f32; 4]> {
    let [outputs, inputs, rows, columns] = weights.shape;
    let taps = inputs * rows * columns;
    let mut tiles = Vec::with_capacity(outputs.div_ceil(TILE) * (1 + taps) * 2);
    for first in (0..outputs).step_by(TILE) {
        let four = |value: &dyn Fn(usize) -> f32, first: usize| {
            [0, 1, 2, 3].map(|next| if first + next < outputs { value(first + next) } else { 0.0 })
        };
        let mut eight =
            |value: &dyn Fn(usize) -> f32| tiles.extend([four(value, first), four(value, first + 4)]);
        eight(&|output| weights.bias[output]);
        (0..taps).for_each(|tap| eight(&|output| weights.kernel[output * taps + tap]));
    }
    tiles
}

/// For each channel nine weights, the bias, two zeros.
fn nines(weights: &Weights) -> Vec<[f32; 4]> {
    let channels = weights.kernel.as_chunks::<9>().0.iter().zip(&weights.bias);
    channels
        .flat_map(|([a, b, c, d, e, f, g, h, i], bias)| {
            [[*a, *b, *c, *d], [*e, *f, *g, *h], [*i, *bias, 0.0, 0.0]]
        })
        .collect()
}

#[cfg(test)]
mod tests;
