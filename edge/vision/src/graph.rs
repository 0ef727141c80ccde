//! The graph: what is computed from what, and in which shapes. Both executors and the trainer read this one.
//!
//! **Invariant (local):** a node's inputs stand before it, and its shape follows from theirs; only [`Graph`]'s own methods add nodes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Sides of a picture that the net takes.
pub const SIDE_MAX: usize = 2048;
/// Channels of a layer.
pub const CHANNELS_MAX: usize = 1024;

/// Channels, height and width, in this order in memory: row after row, channel after channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    #[must_use]
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// Values in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.channels * self.plane()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values in one channel.
    #[must_use]
    pub const fn plane(&self) -> usize {
        self.height * self.width
    }
}

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The picture.
    Input,
    /// Every input channel contributes to every output channel. The kernel is odd; zeros stand outside the picture, so the output
    /// is as large as the input, divided by the stride and rounded up.
    Conv { kernel: usize, stride: usize, relu: bool },
    /// 3 x 3, each channel by itself; sides as for [`Op::Conv`].
    Depthwise { stride: usize, relu: bool },
    /// Twice as large by repeating values, cut to the node's shape where that is odd.
    Upsample,
    /// The channels of the first input, then those of the second.
    Concat,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<NodeId>,
    pub shape: Shape,
}

impl Node {
    /// Shape of its kernel: output channels, input channels that each of them looks at, rows, columns. There are as many biases as
    /// output channels.
    #[must_use]
    pub fn kernel(&self, inputs: Shape) -> Option<[usize; 4]> {
        match self.op {
            Op::Conv { kernel, .. } => Some([self.shape.channels, inputs.channels, kernel, kernel]),
            Op::Depthwise { .. } => Some([self.shape.channels, 1, 3, 3]),
            Op::Input | Op::Upsample | Op::Concat => None,
        }
    }
}

/// What makes a net, beside its weights: enough to build its graph for any size of picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Channels at 1/2, 1/4, 1/8 and 1/16 of the picture's sides.
    pub widths: [usize; 4],
    /// Blocks at each of these.
    pub blocks: [usize; 4],
    pub classes: usize,
}

/// Why a net can't be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    #[error("a picture of {height} x {width}; each side must be from 1 to {SIDE_MAX}")]
    Size { height: usize, width: usize },
    #[error("a layer of {channels} channels; there must be from 1 to {CHANNELS_MAX}")]
    Channels { channels: usize },
    #[error("{blocks} blocks at one scale; there must be from 1 to 16")]
    Blocks { blocks: usize },
}

/// Nodes in an order in which they can be computed; the last is the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Architecture {
    /// The net for pictures of this size: three channels in, one score a class out, at half the picture's sides (rounded up).
    ///
    /// A small U-Net (Ronneberger et al. 2015) of depthwise separable blocks (Howard et al. 2017).
    ///
    /// # Errors
    /// [`GraphError`] for sizes that are none.
    pub fn graph(&self, height: usize, width: usize) -> Result<Graph, GraphError> {
        self.check(height, width)?;
        let mut graph = Graph::begin(Shape::new(3, height, width));
        let [first, ..] = self.widths;
        let mut at = graph.conv(NodeId(0), first, 3, 2, true);
        let mut skips = Vec::new();
        for (scale, (&channels, &blocks)) in self.widths.iter().zip(&self.blocks).enumerate() {
            for block in 0..blocks {
                let stride = if scale > 0 && block == 0 { 2 } else { 1 };
                at = graph.separable(at, channels, stride);
            }
            skips.push((at, channels));
        }
        skips.pop();
        for (skip, channels) in skips.into_iter().rev() {
            let up = graph.upsample(at, skip);
            let both = graph.concat(up, skip);
            at = graph.separable(both, channels, 1);
        }
        graph.conv(at, self.classes, 1, 1, false);
        Ok(graph)
    }

    fn check(&self, height: usize, width: usize) -> Result<(), GraphError> {
        let side = 1..=SIDE_MAX;
        if !side.contains(&height) || !side.contains(&width) {
            return Err(GraphError::Size { height, width });
        }
        let all = self.widths.iter().chain([&self.classes]);
        if let Some(&channels) = all.into_iter().find(|channels| !(1..=CHANNELS_MAX).contains(*channels)) {
            return Err(GraphError::Channels { channels });
        }
        match self.blocks.iter().find(|blocks| !(1..=16).contains(*blocks)) {
            Some(&blocks) => Err(GraphError::Blocks { blocks }),
            None => Ok(()),
        }
    }
}

impl Graph {
    /// Its input.
    #[must_use]
    pub fn begin(input: Shape) -> Self {
        Self { nodes: vec![Node { op: Op::Input, inputs: Vec::new(), shape: input }] }
    }

    /// In the order in which they can be computed.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    #[must_use]
    pub fn input(&self) -> Shape {
        self.nodes[0].shape
    }

    /// Of the scores.
    #[must_use]
    pub fn output(&self) -> Shape {
        self.nodes[self.nodes.len() - 1].shape
    }

    /// Nodes with weights, and the kernels' shapes.
    pub fn kernels(&self) -> impl Iterator<Item = (NodeId, [usize; 4])> + '_ {
        self.nodes.iter().enumerate().filter_map(|(id, node)| {
            let first = *node.inputs.first()?;
            Some((NodeId(id), node.kernel(self.node(first).shape)?))
        })
    }

    /// Products in one pass.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        let each = |(id, [outputs, inputs, rows, columns]): (NodeId, [usize; 4])| {
            outputs * inputs * rows * columns * self.node(id).shape.plane()
        };
        self.kernels().map(each).sum()
    }

    pub fn conv(&mut self, of: NodeId, channels: usize, kernel: usize, stride: usize, relu: bool) -> NodeId {
        let shape = Shape { channels, ..self.strided(of, stride) };
        self.add(Op::Conv { kernel, stride, relu }, &[of], shape)
    }

    pub fn depthwise(&mut self, of: NodeId, stride: usize, relu: bool) -> NodeId {
        let shape = self.strided(of, stride);
        self.add(Op::Depthwise { stride, relu }, &[of], shape)
    }

    /// Depthwise, then 1 x 1.
    pub fn separable(&mut self, of: NodeId, channels: usize, stride: usize) -> NodeId {
        let each = self.depthwise(of, stride, true);
        self.conv(each, channels, 1, 1, true)
    }

    /// As large as `like`, whose sides are twice those of `of`, or one less.
    pub fn upsample(&mut self, of: NodeId, like: NodeId) -> NodeId {
        let (from, to) = (self.node(of).shape, self.node(like).shape);
        debug_assert!(from.height == to.height.div_ceil(2) && from.width == to.width.div_ceil(2));
        let shape = Shape { channels: from.channels, ..to };
        self.add(Op::Upsample, &[of], shape)
    }

    pub fn concat(&mut self, first: NodeId, second: NodeId) -> NodeId {
        let (a, b) = (self.node(first).shape, self.node(second).shape);
        debug_assert_eq!((a.height, a.width), (b.height, b.width));
        let shape = Shape { channels: a.channels + b.channels, ..a };
        self.add(Op::Concat, &[first, second], shape)
    }

    fn strided(&self, of: NodeId, stride: usize) -> Shape {
        let from = self.node(of).shape;
        Shape { height: from.height.div_ceil(stride), width: from.width.div_ceil(stride), ..from }
    }

    fn add(&mut self, op: Op, inputs: &[NodeId], shape: Shape) -> NodeId {
        self.nodes.push(Node { op, inputs: inputs.to_vec(), shape });
        NodeId(self.nodes.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Architecture {
        Architecture { widths: [8, 16, 24, 32], blocks: [1, 2, 2, 1], classes: 6 }
    }

    /// Goal: pictures of any size come out at half their sides, odd ones rounded up, and down to a single pixel.
    #[test]
    fn any_size_comes_out_at_half() {
        for (height, width) in [(160, 256), (161, 255), (1, 1), (2, 17), (33, 47)] {
            let graph = small().graph(height, width).unwrap();
            assert_eq!(graph.output(), Shape::new(6, height.div_ceil(2), width.div_ceil(2)));
        }
    }

    /// Goal: sizes that would take all memory, or are nothing, are refused with what was asked for.
    #[test]
    fn sizes_that_are_none_are_refused() {
        let refused = small().graph(0, 5).unwrap_err();
        assert_eq!(refused, GraphError::Size { height: 0, width: 5 });
        assert_eq!(small().graph(2, 4096).unwrap_err(), GraphError::Size { height: 2, width: 4096 });
        let wide = Architecture { widths: [8, 16, 24, 100_000], ..small() };
        assert_eq!(wide.graph(16, 16).unwrap_err(), GraphError::Channels { channels: 100_000 });
        let deep = Architecture { blocks: [1, 0, 1, 1], ..small() };
        assert_eq!(deep.graph(16, 16).unwrap_err(), GraphError::Blocks { blocks: 0 });
    }
}
