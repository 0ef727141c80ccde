//! Puts the picture together on the device, as NV12, tile by tile.

use crate::cover::{CASTERS_MAX, Tile};
use crate::gpu::Gpu;
use crate::ground::Ground;
use crate::instrument::Bone;
use crate::state::{GOALS_MAX, Goal};
use crate::view::four;

/// What may shadow or mark the tissue, as the shader reads it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Bodies {
    casters: [[[f32; 4]; 2]; CASTERS_MAX],
    goals: [[[f32; 4]; 2]; GOALS_MAX],
}

impl Bodies {
    pub(crate) fn none() -> Self {
        bytemuck::Zeroable::zeroed()
    }

    pub(crate) fn set_caster(&mut self, number: usize, bone: &Bone) {
        self.casters[number] = [four(bone.from_m.coords, bone.radius_m), four(bone.to_m.coords, 0.0)];
    }

    pub(crate) fn set_goal(&mut self, number: usize, goal: &Goal) {
        let ink = if goal.highlighted { 1.0 } else { 0.45 };
        self.goals[number] = [four(goal.centre_m.coords, goal.radius_m), [ink, 0.0, 0.0, 0.0]];
    }
}

/// The composing pipeline and its buffers.
#[derive(Debug)]
pub(crate) struct Compose {
    pipeline: wgpu::ComputePipeline,
    bodies: wgpu::Buffer,
    tiles: wgpu::Buffer,
    nv12: wgpu::Buffer,
    readable: wgpu::Buffer,
}

impl Compose {
    pub(crate) fn new(gpu: &Gpu, tiles_max: usize, nv12_bytes: usize) -> Self {
        let shader = gpu.lit_shader("compose", include_str!("../../../shaders/compose.wgsl"));
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("compose"),
            layout: None,
            module: &shader,
            entry_point: Some("cs_compose"),
            compilation_options: Default::default(),
            cache: None,
        });
        let copied_in = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let copied_out = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let mapped = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Self {
            pipeline,
            bodies: gpu.uniform("bodies", size_of::<Bodies>()),
            tiles: gpu.buffer("tiles", tiles_max * size_of::<Tile>(), copied_in),
            nv12: gpu.buffer("nv12", nv12_bytes, copied_out),
            readable: gpu.buffer("nv12 to read", nv12_bytes, mapped),
        }
    }

    /// Writes the listed tiles.
    pub(crate) fn run(
        &self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        bodies: &Bodies,
        tiles: &[Tile],
        group: &wgpu::BindGroup,
    ) {
        gpu.queue.write_buffer(&self.bodies, 0, bytemuck::bytes_of(bodies));
        gpu.queue.write_buffer(&self.tiles, 0, bytemuck::cast_slice(tiles));
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(tiles.len() as u32, 1, 1);
    }

    /// The picture as composed.
    pub(crate) fn composed(&self) -> &wgpu::Buffer {
        &self.nv12
    }

    /// Copies a whole picture to where it can be read.
    pub(crate) fn copy(&self, encoder: &mut wgpu::CommandEncoder, picture: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(picture, 0, &self.readable, 0, picture.size());
    }

    /// The bindings for one frame: the layer may be another than before.
    pub(crate) fn group(
        &self,
        gpu: &Gpu,
        view: &wgpu::Buffer,
        crop: &wgpu::Buffer,
        ground: &Ground,
        layer: &wgpu::TextureView,
    ) -> wgpu::BindGroup {
        let bindings = [
            (0, view.as_entire_binding()),
            (1, crop.as_entire_binding()),
            (2, self.bodies.as_entire_binding()),
            (3, wgpu::BindingResource::TextureView(ground.color())),
            (4, wgpu::BindingResource::TextureView(ground.distance())),
            (5, wgpu::BindingResource::TextureView(layer)),
            (6, self.tiles.as_entire_binding()),
            (7, self.nv12.as_entire_binding()),
        ];
        gpu.bind("compose", &self.pipeline.get_bind_group_layout(0), &bindings)
    }

    /// The picture that [`Self::copy`] copied, once its work is done.
    pub(crate) fn readable(&self) -> &wgpu::Buffer {
        &self.readable
    }
}
