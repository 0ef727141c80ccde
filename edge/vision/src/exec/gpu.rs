//! On wgpu: the shaders of `shaders/vision_*.wgsl`, on whatever Vulkan finds.
//!
//! All values stand in one buffer at places that [`plan`] gives out, so that one bind group serves every layer, values that are not needed
//! any more make room, and a concatenation is written where it belongs.

mod device;
mod plan;

use bytemuck::{Pod, Zeroable};
use thiserror::Error;
use wgpu::BufferUsages as Usage;

use crate::{
    graph::{Graph, GraphError, NodeId, Shape},
    model::{Model, Weights},
    picture::{MEAN, Nv12, SPREAD},
    segment::{CLASSES_MAX, Segmentation},
};
use device::Gpu;
use plan::{Kernel, Layer, Plan};

/// Threads of a group that judges four pixels each, and those of one that converts frames, along each side.
const JUDGES: usize = 64;
const CONVERTERS: usize = 8;

/// Why a graphics device doesn't compute a net.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuError {
    #[error("no Vulkan adapter was found ({reason})")]
    NoAdapter { reason: String },
    #[error("the Vulkan adapter {adapter} would not open a device: {reason}")]
    NoDevice { adapter: String, reason: String },
    #[error("{adapter} is a renderer on the processor")]
    Software { adapter: String },
    #[error("the graphics device failed: {reason}")]
    Failed { reason: String },
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the net needs {bytes} bytes at once, the device gives {max}")]
    TooLarge { bytes: u64, max: u64 },
    #[error("the net scores {classes} classes; {CLASSES_MAX} can be told apart")]
    Classes { classes: usize },
    #[error("node {node} has no weights")]
    NoWeights { node: usize },
    #[error("a picture of {seen} values, expected {expected}")]
    Picture { seen: usize, expected: usize },
}

/// A net on a graphics device, for pictures of one size.
#[derive(Debug)]
pub struct WgpuExec {
    gpu: Gpu,
    graph: Graph,
    plan: Plan,
    /// All nodes' values.
    values: wgpu::Buffer,
    net: Net,
    judge: Judge,
    converter: wgpu::ComputePipeline,
    /// Of frames of the size that came last.
    frame: Option<Frame>,
}

impl WgpuExec {
    /// Opens a device for pictures of this size, and hands it the weights.
    ///
    /// # Errors
    /// [`GpuError`], if there is none, or it can't.
    pub fn open(model: &Model, height: usize, width: usize) -> Result<Self, GpuError> {
        Self::build(model.graph(height, width)?, |id| model.weights(id), Gpu::open)
    }

    /// The same, on nothing but hardware.
    ///
    /// # Errors
    /// [`GpuError`], if there is none, or it can't.
    pub fn open_hardware(model: &Model, height: usize, width: usize) -> Result<Self, GpuError> {
        Self::build(model.graph(height, width)?, |id| model.weights(id), Gpu::open_hardware)
    }

    fn build<'a>(
        graph: Graph,
        weights: impl Fn(NodeId) -> Option<&'a Weights>,
        open: impl Fn() -> Result<Gpu, GpuError>,
    ) -> Result<Self, GpuError> {
        let classes = graph.output().channels;
        if classes > CLASSES_MAX {
            return Err(GpuError::Classes { classes });
        }
        let plan = Plan::new(&graph, weights)?;
        let gpu = open()?;
        let (bytes, max) = (plan.values as u64 * 4, gpu.bytes_max());
        if bytes > max {
            return Err(GpuError::TooLarge { bytes, max });
        }
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let values = gpu.buffer("values", plan.values * 4, usage);
        let net = Net::new(&gpu, &plan, &values);
        let judge = Judge::new(&gpu, &values, plan.places[plan.places.len() - 1], graph.output());
        let shader = gpu.shader("nv12", include_str!("../../../../shaders/vision_nv12.wgsl"));
        let converter = gpu.pipeline(&shader, "picture", None);
        gpu.queue.submit([]);
        gpu.wait()?; // what a driver has against a shader shows now
        Ok(Self { gpu, graph, plan, values, net, judge, converter, frame: None })
    }

    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The device's name, such as its driver tells it.
    #[must_use]
    pub fn adapter(&self) -> &str {
        &self.gpu.adapter
    }

    /// Bytes of all values between the layers, the picture and the scores.
    #[must_use]
    pub fn values_bytes(&self) -> usize {
        self.plan.values * 4
    }

    /// Scores of the classes, channel after channel, from a picture's channels. For comparisons: they are read back in full.
    ///
    /// # Errors
    /// [`GpuError`], for a picture of another size, or when the device fails.
    pub fn scores(&mut self, picture: &[f32]) -> Result<Vec<f32>, GpuError> {
        self.gpu.check()?;
        let (seen, expected) = (picture.len(), self.graph.input().len());
        if seen != expected {
            return Err(GpuError::Picture { seen, expected });
        }
        let place = self.plan.places[0] as u64 * 4;
        self.gpu.queue.write_buffer(&self.values, place, bytemuck::cast_slice(picture));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.net.run(&mut encoder.begin_compute_pass(&Default::default()), &self.plan);
        self.read_node(encoder, self.plan.places.len() - 1, self.graph.output())
    }

    /// A frame as the net takes it, as [`Nv12::picture`] has it. For comparisons.
    ///
    /// # Errors
    /// [`GpuError::Failed`] when the device fails.
    pub fn picture(&mut self, frame: Nv12<'_>) -> Result<Vec<f32>, GpuError> {
        self.gpu.check()?;
        let of_frame = self.upload(frame);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        of_frame.convert(&mut pass, &self.converter, self.graph.input());
        drop(pass);
        self.frame = Some(of_frame);
        self.read_node(encoder, 0, self.graph.input())
    }

    /// What the net says of a frame, by one submission; only classes and shares are read back.
    ///
    /// # Errors
    /// [`GpuError::Failed`] when the device fails; it will fail from then on.
    pub fn segment(&mut self, frame: Nv12<'_>) -> Result<Segmentation, GpuError> {
        self.gpu.check()?;
        let of_frame = self.upload(frame);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        of_frame.convert(&mut pass, &self.converter, self.graph.input());
        self.net.run(&mut pass, &self.plan);
        self.judge.run(&mut pass);
        drop(pass);
        self.frame = Some(of_frame);
        encoder.copy_buffer_to_buffer(&self.judge.seen, 0, &self.judge.back, 0, self.judge.back.size());
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.read(&self.judge.back, |read| split(read, self.graph.output()))
    }

    /// Into the buffer of the frame before, if that was as large.
    fn upload(&mut self, frame: Nv12<'_>) -> Frame {
        let size = (frame.width(), frame.height());
        let of_frame = match self.frame.take() {
            Some(known) if known.size == size => known,
            _ => Frame::new(&self.gpu, (&self.converter, &self.values), size, &self.graph, &self.plan),
        };
        of_frame.upload(&self.gpu, frame.bytes());
        of_frame
    }

    /// A node's values, after what was told so far.
    fn read_node(
        &self,
        mut encoder: wgpu::CommandEncoder,
        node: usize,
        shape: Shape,
    ) -> Result<Vec<f32>, GpuError> {
        let bytes = shape.len() * 4;
        let back = self.gpu.buffer("values, read back", bytes, Usage::MAP_READ | Usage::COPY_DST);
        let place = self.plan.places[node] as u64 * 4;
        encoder.copy_buffer_to_buffer(&self.values, place, &back, 0, bytes as u64);
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.read(&back, |read| bytemuck::pod_collect_to_vec(&read[..bytes]))
    }
}

/// Words of four classes, then words of four shares; whole words of each.
fn split(read: &[u8], shape: Shape) -> Segmentation {
    let (classes, shares) = read.split_at(shape.plane().next_multiple_of(4));
    let of = |bytes: &[u8]| bytes[..shape.plane()].to_vec();
    Segmentation { height: shape.height, width: shape.width, classes: of(classes), shares: of(shares) }
}

/// The layers, ready to be dispatched.
#[derive(Debug)]
struct Net {
    /// By [`Kernel`].
    pipelines: [wgpu::ComputePipeline; 4],
    group: wgpu::BindGroup,
    /// From one layer's description to the next, in bytes.
    apart: usize,
}

impl Net {
    fn new(gpu: &Gpu, plan: &Plan, values: &wgpu::Buffer) -> Self {
        let size = size_of::<Layer>();
        let apart = size.next_multiple_of(gpu.device.limits().min_uniform_buffer_offset_alignment as usize);
        let mut layers = vec![0; apart * plan.steps.len()];
        for (into, step) in layers.chunks_exact_mut(apart).zip(&plan.steps) {
            into[..size].copy_from_slice(bytemuck::bytes_of(&step.layer));
        }
        let layers = gpu.filled("layers", &layers, Usage::UNIFORM);
        let weights = gpu.filled("weights", &plan.weights, Usage::STORAGE);
        let layout = bindings(&gpu.device);
        let of_all = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("layers"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let shader = gpu.shader("layers", include_str!("../../../../shaders/vision_conv.wgsl"));
        let entries = ["pointwise", "convolve", "depthwise", "repeat"];
        let pipelines = entries.map(|entry| gpu.pipeline(&shader, entry, Some(&of_all)));
        let layer =
            wgpu::BufferBinding { buffer: &layers, offset: 0, size: wgpu::BufferSize::new(size as u64) };
        let resources =
            [values.as_entire_binding(), weights.as_entire_binding(), wgpu::BindingResource::Buffer(layer)];
        Self { pipelines, group: gpu.bind(&layout, &resources), apart }
    }

    fn run(&self, pass: &mut wgpu::ComputePass<'_>, plan: &Plan) {
        for (at, step) in plan.steps.iter().enumerate() {
            pass.set_pipeline(self.of(step.kernel));
            pass.set_bind_group(0, &self.group, &[(at * self.apart) as u32]);
            pass.dispatch_workgroups(step.groups[0], step.groups[1], 1);
        }
    }

    fn of(&self, kernel: Kernel) -> &wgpu::ComputePipeline {
        let [pointwise, convolve, depthwise, repeat] = &self.pipelines;
        match kernel {
            Kernel::Pointwise => pointwise,
            Kernel::Convolve => convolve,
            Kernel::Depthwise => depthwise,
            Kernel::Repeat => repeat,
        }
    }
}

/// Values, weights, and one layer's description, told by its offset.
fn bindings(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("layers"),
        entries: &[
            entry(0, storage(false), false),
            entry(1, storage(true), false),
            entry(2, wgpu::BufferBindingType::Uniform, true),
        ],
    })
}

/// As `vision_argmax.wgsl` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Scores {
    scores_at: u32,
    classes: u32,
    plane: u32,
    unused: u32,
}

/// The best class of each pixel.
#[derive(Debug)]
struct Judge {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    seen: wgpu::Buffer,
    back: wgpu::Buffer,
    groups: u32,
}

impl Judge {
    fn new(gpu: &Gpu, values: &wgpu::Buffer, scores_at: usize, shape: Shape) -> Self {
        let words = shape.plane().div_ceil(4);
        let [scores_at, classes, plane] =
            [scores_at, shape.channels, shape.plane()].map(|value| value as u32);
        let scores = Scores { scores_at, classes, plane, unused: 0 };
        let scores = gpu.filled("scores", &[scores], Usage::UNIFORM);
        let seen = gpu.buffer("seen", words * 8, Usage::STORAGE | Usage::COPY_SRC);
        let back = gpu.buffer("seen, read back", words * 8, Usage::MAP_READ | Usage::COPY_DST);
        let shader = gpu.shader("argmax", include_str!("../../../../shaders/vision_argmax.wgsl"));
        let pipeline = gpu.pipeline(&shader, "argmax", None);
        let resources = [values.as_entire_binding(), seen.as_entire_binding(), scores.as_entire_binding()];
        let group = gpu.bind(&pipeline.get_bind_group_layout(0), &resources);
        Self { pipeline, group, seen, back, groups: words.div_ceil(JUDGES) as u32 }
    }

    fn run(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.groups, 1, 1);
    }
}

/// As `vision_nv12.wgsl` has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Conversion {
    width: u32,
    height: u32,
    out_width: u32,
    out_height: u32,
    mean: f32,
    spread: f32,
    picture_at: u32,
    unused: u32,
}

/// What frames of one size need.
#[derive(Debug)]
struct Frame {
    /// Width, then height.
    size: (usize, usize),
    bytes: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl Frame {
    fn new(
        gpu: &Gpu,
        (converter, values): (&wgpu::ComputePipeline, &wgpu::Buffer),
        size: (usize, usize),
        graph: &Graph,
        plan: &Plan,
    ) -> Self {
        let conversion = Conversion {
            width: size.0 as u32,
            height: size.1 as u32,
            out_width: graph.input().width as u32,
            out_height: graph.input().height as u32,
            mean: MEAN,
            spread: SPREAD,
            picture_at: plan.places[0] as u32,
            unused: 0,
        };
        let conversion = gpu.filled("conversion", &[conversion], Usage::UNIFORM);
        let bytes = gpu.buffer("frame", size.0 * size.1 * 3 / 2, Usage::STORAGE | Usage::COPY_DST);
        let resources =
            [values.as_entire_binding(), bytes.as_entire_binding(), conversion.as_entire_binding()];
        let group = gpu.bind(&converter.get_bind_group_layout(0), &resources);
        Self { size, bytes, group }
    }

    /// In whole words; the last may need filling up.
    fn upload(&self, gpu: &Gpu, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        gpu.queue.write_buffer(&self.bytes, 0, words.as_flattened());
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            gpu.queue.write_buffer(&self.bytes, words.len() as u64 * 4, &last);
        }
    }

    fn convert(&self, pass: &mut wgpu::ComputePass<'_>, converter: &wgpu::ComputePipeline, to: Shape) {
        let groups = |side: usize| side.div_ceil(CONVERTERS) as u32;
        pass.set_pipeline(converter);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(groups(to.width), groups(to.height), 1);
    }
}

#[cfg(test)]
mod tests;
