//! Draws the instruments and the targets into a layer as large as they need.
//!
//! With one sample a pixel: four would cost a CPU renderer several times as much, and the composing shader
//! smooths the edges against the tissue instead.

use nalgebra::{Isometry3, Matrix4};

use crate::class::Class;
use crate::gpu::{self, Gpu, PipelineOf, TextureOf};
use crate::ground::{COLOR_FORMAT, Ground, LABEL_FORMAT};
use crate::instrument::{Part, Posture};
use crate::mesh::{self, Material, Mesh, Vertex};
use crate::state::{SceneState, TARGETS_MAX, TOOLS_MAX, Target, TargetShape};

/// Parts of all instruments and targets together.
const INSTANCES_MAX: usize = 5 * TOOLS_MAX + TARGETS_MAX;
/// Layers come in steps of an eighth of the picture; that many sizes are kept.
const LAYERS_KEPT: usize = 6;
const LAYER_STEPS: u32 = 8;
/// In the order of their meshes, after the instruments' parts.
const TARGETS: [TargetShape; 3] = [TargetShape::Sphere, TargetShape::Ring, TargetShape::Needle];

/// One body as the shader reads it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Instance {
    rows: [[f32; 4]; 3],
    tint: [f32; 4],
    class_id: u32,
}

/// The shaders' `Crop`.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct CropUniform {
    scale_offset: [f32; 4],
    origin_size: [f32; 4],
}

/// The part of the picture that a layer covers, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crop {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Crop {
    pub(crate) fn uniform(&self, width: u32, height: u32) -> CropUniform {
        let (sx, sy) = (width as f32 / self.width as f32, height as f32 / self.height as f32);
        // The picture's clip space is -1..1 from edge to edge, with y upward.
        let ox = sx - 1.0 - 2.0 * self.x as f32 / self.width as f32;
        let oy = 1.0 - sy + 2.0 * self.y as f32 / self.height as f32;
        CropUniform {
            scale_offset: [sx, sy, ox, oy],
            origin_size: [self.x as f32, self.y as f32, self.width as f32, self.height as f32],
        }
    }

    /// The smallest layer that holds pixels `from` to `to`, in steps of an eighth of the picture.
    pub(crate) fn around(from: [f64; 2], to: [f64; 2], width: u32, height: u32) -> Option<Self> {
        let (x, columns) = stepped(from[0], to[0], width)?;
        let (y, rows) = stepped(from[1], to[1], height)?;
        Some(Self { x, y, width: columns, height: rows })
    }
}

/// A range of pixels within a side: where it begins and how long its layer is.
fn stepped(from: f64, to: f64, side: u32) -> Option<(u32, u32)> {
    let low = from.floor().clamp(0.0, f64::from(side)) as u32;
    let high = to.ceil().clamp(0.0, f64::from(side)) as u32;
    if high <= low {
        return None;
    }
    let step = side.div_ceil(LAYER_STEPS);
    let length = (high - low).next_multiple_of(step).min(side);
    Some((low.min(side - length), length))
}

/// Meshes and pipelines of everything solid, and the layers kept.
#[derive(Debug)]
pub(crate) struct Solids {
    pipeline: wgpu::RenderPipeline,
    /// The one that knows light, fluids and finishes, with its bindings; made when first needed.
    rich: Option<(wgpu::RenderPipeline, wgpu::BindGroup)>,
    label_pipeline: wgpu::RenderPipeline,
    vertices: wgpu::Buffer,
    indices: wgpu::Buffer,
    ranges: Vec<std::ops::Range<u32>>,
    instances: wgpu::Buffer,
    /// What is drawn: a mesh by its place in `ranges`, in the order of the instances.
    drawn: Vec<usize>,
    group: wgpu::BindGroup,
    label_group: wgpu::BindGroup,
    layers: Vec<Layer>,
}

/// A layer's textures.
#[derive(Debug)]
struct Layer {
    size: [u32; 2],
    depth: wgpu::TextureView,
    picture: wgpu::TextureView,
}

impl Solids {
    pub(crate) fn new(gpu: &Gpu, buffers: [&wgpu::Buffer; 3], distance: &wgpu::TextureView) -> Self {
        let [view, crop, whole_crop] = buffers;
        let shader = solid_shader(gpu);
        let pipeline = solid_pipeline(gpu, &shader, "fs_solid", COLOR_FORMAT);
        let label_pipeline = solid_pipeline(gpu, &shader, "fs_solid_label", LABEL_FORMAT);
        let (all, ranges) = meshes();
        let bindings = [
            (0, view.as_entire_binding()),
            (1, crop.as_entire_binding()),
            (2, wgpu::BindingResource::TextureView(distance)),
        ];
        let label_bindings = [(0, view.as_entire_binding()), (1, whole_crop.as_entire_binding())];
        let usage = wgpu::BufferUsages::VERTEX | wgpu::BufferUsages::COPY_DST;
        Self {
            group: gpu.bind("solids", &pipeline.get_bind_group_layout(0), &bindings),
            label_group: gpu.bind("solid labels", &label_pipeline.get_bind_group_layout(0), &label_bindings),
            pipeline,
            rich: None,
            label_pipeline,
            vertices: gpu.filled("solid vertices", &all.vertices, wgpu::BufferUsages::VERTEX),
            indices: gpu.filled("solid indices", &all.indices, wgpu::BufferUsages::INDEX),
            ranges,
            instances: gpu.buffer("solid instances", INSTANCES_MAX * size_of::<Instance>(), usage),
            drawn: Vec::with_capacity(INSTANCES_MAX),
            layers: Vec::with_capacity(LAYERS_KEPT),
        }
    }

    /// Makes ready to draw under conditions, with the tissue mirrored in metal.
    pub(crate) fn enrich(&mut self, gpu: &Gpu, [view, crop]: [&wgpu::Buffer; 2], ground: &Ground) {
        self.rich.get_or_insert_with(|| {
            let pipeline = solid_pipeline(gpu, &solid_shader(gpu), "fs_solid_rich", COLOR_FORMAT);
            let bindings = [
                (0, view.as_entire_binding()),
                (1, crop.as_entire_binding()),
                (2, wgpu::BindingResource::TextureView(ground.distance())),
                (3, wgpu::BindingResource::TextureView(ground.color())),
            ];
            let group = gpu.bind("rich solids", &pipeline.get_bind_group_layout(0), &bindings);
            (pipeline, group)
        });
    }

    /// Takes over where everything is.
    pub(crate) fn place(&mut self, gpu: &Gpu, state: &SceneState, postures: &[Posture]) {
        self.drawn.clear();
        let mut instances = Vec::with_capacity(INSTANCES_MAX);
        for posture in postures {
            for (part, pose) in &posture.parts {
                self.drawn.push(part_mesh(*part));
                instances.push(instance(pose, 1.0, posture.tint, part.class()));
            }
        }
        for target in &state.targets {
            self.drawn.push(target_mesh(target.shape));
            instances.push(instance(&target.base_from_target, target.radius_m, tint(target), Class::Target));
        }
        gpu.queue.write_buffer(&self.instances, 0, bytemuck::cast_slice(&instances));
    }

    /// The layer for a crop of this size; made if no kept one has it.
    pub(crate) fn layer(&mut self, gpu: &Gpu, size: [u32; 2]) -> &wgpu::TextureView {
        let at = self.layers.iter().position(|layer| layer.size == size).unwrap_or_else(|| {
            self.layers.truncate(LAYERS_KEPT - 1);
            self.layers.push(Layer::new(gpu, size));
            self.layers.len() - 1
        });
        // The newest stands first, so that the one used longest ago is dropped.
        self.layers[..=at].rotate_right(1);
        &self.layers[0].picture
    }

    /// Draws into the layer that [`Self::layer`] gave last; `rich` after [`Self::enrich`].
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, rich: bool) {
        let Some(layer) = self.layers.first() else { return };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("solids"),
            color_attachments: &[gpu::cleared(&layer.picture, wgpu::Color::TRANSPARENT)],
            depth_stencil_attachment: Some(gpu::fresh_depth(&layer.depth)),
            ..Default::default()
        });
        match self.rich.as_ref().filter(|_| rich) {
            Some((pipeline, group)) => self.draw_all(&mut pass, pipeline, group),
            None => self.draw_all(&mut pass, &self.pipeline, &self.group),
        }
    }

    /// Draws the classes within a pass that has begun.
    pub(crate) fn draw_labels(&self, pass: &mut wgpu::RenderPass<'_>) {
        self.draw_all(pass, &self.label_pipeline, &self.label_group);
    }

    fn draw_all(
        &self,
        pass: &mut wgpu::RenderPass<'_>,
        pipeline: &wgpu::RenderPipeline,
        group: &wgpu::BindGroup,
    ) {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.set_vertex_buffer(0, self.vertices.slice(..));
        pass.set_vertex_buffer(1, self.instances.slice(..));
        pass.set_index_buffer(self.indices.slice(..), wgpu::IndexFormat::Uint32);
        for (number, mesh) in (0..).zip(&self.drawn) {
            pass.draw_indexed(self.ranges[*mesh].clone(), 0, number..number + 1);
        }
    }
}

impl Layer {
    fn new(gpu: &Gpu, [width, height]: [u32; 2]) -> Self {
        let attachment = wgpu::TextureUsages::RENDER_ATTACHMENT;
        let make = |label, format, usage| {
            gpu::whole(&gpu.texture(&TextureOf { label, width, height, mips: 1, format, usage }))
        };
        let read = attachment | wgpu::TextureUsages::TEXTURE_BINDING;
        Self {
            size: [width, height],
            depth: make("layer depth", gpu::DEPTH_FORMAT, attachment),
            picture: make("layer", COLOR_FORMAT, read),
        }
    }
}

/// The instruments' parts, then the three shapes of targets, one after the other in one mesh.
fn meshes() -> (Mesh, Vec<std::ops::Range<u32>>) {
    let mut all = Mesh::default();
    let ranges = Part::ALL
        .iter()
        .map(|part| part.mesh())
        .chain(TARGETS.map(target))
        .map(|mesh| {
            let first = all.indices.len() as u32;
            all.add(&mesh, &Isometry3::identity());
            first..all.indices.len() as u32
        })
        .collect();
    all.face_outward();
    (all, ranges)
}

/// A target of radius 1 in its own frame.
pub(crate) fn target(shape: TargetShape) -> Mesh {
    match shape {
        TargetShape::Sphere => mesh::ball(12, 20, Material::Plastic),
        TargetShape::Ring => mesh::arc_tube(0.0, std::f32::consts::TAU, 32, 10, Material::Plastic, |_| 0.17),
        TargetShape::Needle => {
            mesh::arc_tube(0.0, std::f32::consts::PI, 20, 6, Material::Steel, needle_radius)
        }
    }
}

/// Pointed at one end, in units of the needle's own radius.
fn needle_radius(along: f32) -> f32 {
    0.055 * ((1.0 - along) * 6.0).min(1.0)
}

fn part_mesh(part: Part) -> usize {
    Part::ALL.iter().position(|other| *other == part).unwrap_or_default()
}

fn target_mesh(shape: TargetShape) -> usize {
    let after = TARGETS.iter().position(|other| *other == shape).unwrap_or_default();
    Part::ALL.len() + after
}

/// Blue is nowhere in tissue. Held, it is lighter and glows a little.
fn tint(target: &Target) -> [f32; 4] {
    if target.grasped { [0.10, 0.36, 0.95, 0.16] } else { [0.030, 0.150, 0.62, 0.03] }
}

fn instance(pose: &Isometry3<f64>, scale: f64, tint: [f32; 4], class: Class) -> Instance {
    let matrix: Matrix4<f32> = (pose.to_homogeneous() * Matrix4::new_scaling(scale)).cast();
    let row = |i: usize| [matrix[(i, 0)], matrix[(i, 1)], matrix[(i, 2)], matrix[(i, 3)]];
    Instance { rows: [row(0), row(1), row(2)], tint, class_id: u32::from(class.id()) }
}

fn solid_shader(gpu: &Gpu) -> wgpu::ShaderModule {
    gpu.lit_shader("solids", include_str!("../../../shaders/solids.wgsl"))
}

fn solid_pipeline(
    gpu: &Gpu,
    shader: &wgpu::ShaderModule,
    fragment: &'static str,
    format: wgpu::TextureFormat,
) -> wgpu::RenderPipeline {
    let vertex = wgpu::vertex_attr_array![0 => Float32x3, 1 => Float32x3, 2 => Uint32];
    let instance =
        wgpu::vertex_attr_array![3 => Float32x4, 4 => Float32x4, 5 => Float32x4, 6 => Float32x4, 7 => Uint32];
    let buffers = [
        wgpu::VertexBufferLayout {
            array_stride: size_of::<Vertex>() as u64,
            step_mode: wgpu::VertexStepMode::Vertex,
            attributes: &vertex,
        },
        wgpu::VertexBufferLayout {
            array_stride: size_of::<Instance>() as u64,
            step_mode: wgpu::VertexStepMode::Instance,
            attributes: &instance,
        },
    ];
    gpu.pipeline(&PipelineOf {
        label: fragment,
        shader,
        vertex: "vs_solid",
        fragment,
        buffers: &buffers,
        targets: &[format.into()],
        topology: wgpu::PrimitiveTopology::TriangleList,
        depth: true,
        cull: Some(wgpu::Face::Back),
    })
}
