//! On candle: the reference. The trainer goes through the same net, with parameters that learn.

use std::{hint::black_box, sync::Once};

use candle_core::{Device, Result, Tensor};

use crate::{
    graph::{Graph, NodeId, Op},
    model::Model,
    ops::{BiasRelu, Columns, Depthwise, Upsample},
    picture::Nv12,
    segment::{CLASSES_MAX, Segmentation},
};

/// What the system's allocator (glibc) keeps of what is given back is twice the largest block that it had to ask the kernel for and got
/// back, of up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`).
const KEPT_BYTES: usize = 31 << 20;
static KEPT: Once = Once::new();

/// A node's kernel and bias.
pub(crate) type Parameters = Vec<Option<(Tensor, Tensor)>>;

/// A net on the processor.
#[derive(Debug)]
pub struct CandleExec {
    graph: Graph,
    parameters: Parameters,
}

impl CandleExec {
    /// For pictures of this size.
    ///
    /// # Errors
    /// Candle's, with what it was about.
    pub fn new(model: &Model, graph: Graph) -> Result<Self> {
        let mut parameters: Parameters = vec![None; graph.nodes().len()];
        for (id, shape) in graph.kernels() {
            let Some(weights) = model.weights(id) else { candle_core::bail!("node {} has no weights", id.0) };
            let kernel = Tensor::from_slice(&weights.kernel, &shape, &Device::Cpu)?;
            parameters[id.0] = Some((kernel, Tensor::from_slice(&weights.bias, shape[0], &Device::Cpu)?));
        }
        Ok(Self { graph, parameters })
    }

    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Scores of the classes, channel after channel, from a picture's channels.
    ///
    /// # Errors
    /// Candle's, such as for a picture of another size.
    pub fn scores(&self, picture: &[f32]) -> Result<Vec<f32>> {
        let input = self.graph.input();
        let picture =
            Tensor::from_slice(picture, (1, input.channels, input.height, input.width), &Device::Cpu)?;
        forward(&self.graph, &self.parameters, &picture)?.flatten_all()?.to_vec1()
    }

    /// What the net says of a frame.
    ///
    /// # Errors
    /// Candle's, and for a net of more classes than a byte tells apart.
    pub fn segment(&self, frame: Nv12<'_>) -> Result<Segmentation> {
        let (input, output) = (self.graph.input(), self.graph.output());
        if output.channels > CLASSES_MAX {
            candle_core::bail!("{} classes; {CLASSES_MAX} can be told apart", output.channels);
        }
        Ok(Segmentation::of(&self.scores(&frame.picture(input.height, input.width))?, output))
    }
}

/// From now on a pass finds what the last one gave back, and not new pages, which took a quarter of its time. Nothing is touched.
fn keep_memory() {
    KEPT.call_once(|| drop(black_box(Vec::<u8>::with_capacity(KEPT_BYTES))));
}

/// The net over (pictures, channels, rows, columns). What the parameters came from learns, if it can.
pub(crate) fn forward(graph: &Graph, parameters: &Parameters, pictures: &Tensor) -> Result<Tensor> {
    keep_memory();
    let last_use = last_uses(graph);
    let mut values: Vec<Option<Tensor>> = vec![None; graph.nodes().len()];
    values[0] = Some(pictures.clone());
    for at in 1..graph.nodes().len() {
        values[at] = Some(step(graph, parameters, &values, at)?);
        for input in &graph.nodes()[at].inputs {
            if last_use[input.0] == at {
                values[input.0] = None; // its memory serves the next ones
            }
        }
    }
    values.pop().flatten().ok_or_else(|| candle_core::Error::Msg("a graph without nodes".to_owned()))
}

fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![usize::MAX; graph.nodes().len()];
    for (at, node) in graph.nodes().iter().enumerate() {
        node.inputs.iter().for_each(|input| last[input.0] = at);
    }
    last
}

fn step(graph: &Graph, parameters: &Parameters, values: &[Option<Tensor>], at: usize) -> Result<Tensor> {
    let node = graph.node(NodeId(at));
    let input = |number: usize| -> Result<&Tensor> {
        let known = node.inputs.get(number).and_then(|id| values[id.0].as_ref());
        known.ok_or_else(|| candle_core::Error::Msg(format!("node {at} comes before its inputs")))
    };
    let weights = || {
        let known = parameters[at].as_ref();
        known.ok_or_else(|| candle_core::Error::Msg(format!("node {at} has no weights")))
    };
    match node.op {
        Op::Input => candle_core::bail!("node {at} is a second input"),
        Op::Conv { kernel, stride, relu } => conv(input(0)?, weights()?, (kernel, stride), relu),
        Op::Depthwise { stride, relu } => {
            let (kernel, bias) = weights()?;
            input(0)?.apply_op3(kernel, bias, Depthwise { stride, relu })
        }
        Op::Upsample => input(0)?.apply_op1(Upsample { height: node.shape.height, width: node.shape.width }),
        Op::Concat => Tensor::cat(&[input(0)?, input(1)?], 1),
    }
}

/// As one product of matrices.
fn conv(
    input: &Tensor,
    (kernel, bias): &(Tensor, Tensor),
    (side, stride): (usize, usize),
    relu: bool,
) -> Result<Tensor> {
    let (pictures, channels, height, width) = input.dims4()?;
    let outputs = kernel.dim(0)?;
    let rows = channels * side * side;
    let columns = if (side, stride) == (1, 1) {
        input.reshape((pictures, channels, height * width))?
    } else {
        input.apply_op1(Columns { kernel: side, stride })?
    };
    let kernel = kernel.reshape((1, outputs, rows))?;
    let kernel =
        if pictures == 1 { kernel } else { kernel.expand((pictures, outputs, rows))?.contiguous()? };
    let product = kernel.matmul(&columns)?.apply_op2(bias, BiasRelu { relu })?;
    product.reshape((pictures, outputs, height.div_ceil(stride), width.div_ceil(stride)))
}
