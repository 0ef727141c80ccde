//! Draws the tissue, and what stands on it. The picture is kept, and drawn anew only for another camera, tissue or fixture.

use nalgebra::{Isometry3, Point3};

use crate::bake::{self, Maps};
use crate::dress::Dress;
use crate::error::SceneError;
use crate::fixture::Fixtures;
use crate::gpu::{self, Gpu, PipelineOf, TextureOf};
use crate::state::Fixture;
use crate::tissue::{TISSUE_SIDE_M, Tissue};
use crate::view::ViewUniform;

/// Cells along one side of the height field: one is 2.9 mm, the finest swell of the tissue 9.
const CELLS: u32 = 112;
pub(crate) const COLOR_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
pub(crate) const DISTANCE_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::R32Float;
pub(crate) const LABEL_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::R8Uint;
/// Where no tissue is drawn the picture is nearly black and this far away, in metres.
const NOTHING_M: f64 = 1.0;

/// One corner of the height field as the shader reads it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Corner {
    pub(crate) place_m: [f32; 3],
    pub(crate) normal: [f32; 3],
    map: [f32; 2],
}

const CORNER_ATTRIBUTES: [wgpu::VertexAttribute; 3] =
    wgpu::vertex_attr_array![0 => Float32x3, 1 => Float32x3, 2 => Float32x2];

/// The tissue on the device, and its picture.
#[derive(Debug)]
pub(crate) struct Ground {
    pipeline: wgpu::RenderPipeline,
    /// The one that knows light and fluids, made when first needed.
    rich_pipeline: Option<wgpu::RenderPipeline>,
    label_pipeline: wgpu::RenderPipeline,
    sampler: wgpu::Sampler,
    indices: wgpu::Buffer,
    color: wgpu::TextureView,
    distance_texture: wgpu::Texture,
    distance: wgpu::TextureView,
    distance_to_read: wgpu::Buffer,
    depth: wgpu::TextureView,
    grown: Option<Grown>,
    fixtures: Fixtures,
}

/// What belongs to one seed and look.
#[derive(Debug)]
struct Grown {
    dress: Dress,
    maps: Maps,
    corners: wgpu::Buffer,
    group: wgpu::BindGroup,
    rich_group: Option<wgpu::BindGroup>,
    label_group: wgpu::BindGroup,
}

impl Ground {
    pub(crate) fn new(gpu: &Gpu, width: u32, height: u32) -> Self {
        let shader = tissue_shader(gpu);
        let pipeline =
            |fragment, formats: &[wgpu::TextureFormat]| tissue_pipeline(gpu, &shader, fragment, formats);
        let read = wgpu::TextureUsages::TEXTURE_BINDING;
        let kept = |label, format, usage| picture(gpu, label, [width, height], format, usage);
        let distance = kept("tissue distance", DISTANCE_FORMAT, read | wgpu::TextureUsages::COPY_SRC);
        let mapped = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let distance_bytes = row_bytes(width) as usize * height as usize;
        Self {
            pipeline: pipeline("fs_tissue", &[COLOR_FORMAT, DISTANCE_FORMAT]),
            rich_pipeline: None,
            label_pipeline: pipeline("fs_tissue_label", &[LABEL_FORMAT]),
            sampler: trilinear(gpu),
            indices: gpu.filled("tissue indices", &grid_indices(), wgpu::BufferUsages::INDEX),
            color: gpu::whole(&kept("tissue color", COLOR_FORMAT, read)),
            distance: gpu::whole(&distance),
            distance_texture: distance,
            distance_to_read: gpu.buffer("tissue distance to read", distance_bytes, mapped),
            depth: gpu::whole(&kept("tissue depth", gpu::DEPTH_FORMAT, wgpu::TextureUsages::empty())),
            grown: None,
            fixtures: Fixtures::new(gpu),
        }
    }

    pub(crate) fn dress(&self) -> Option<Dress> {
        self.grown.as_ref().map(|grown| grown.dress)
    }

    pub(crate) fn color(&self) -> &wgpu::TextureView {
        &self.color
    }

    pub(crate) fn distance(&self) -> &wgpu::TextureView {
        &self.distance
    }

    /// Bakes the tissue of a seed and look in place of the one before.
    pub(crate) fn grow(
        &mut self,
        gpu: &Gpu,
        view: &wgpu::Buffer,
        dress: Dress,
        base_from_tissue: &Isometry3<f64>,
    ) {
        let tissue = Tissue::with_vessels(dress.seed, dress.look.vessels);
        let maps = bake::bake(gpu, &tissue, &dress);
        let corners =
            gpu.filled("tissue corners", &grid(&tissue, base_from_tissue), wgpu::BufferUsages::VERTEX);
        let group = self.color_group(gpu, view, &maps, &self.pipeline);
        let label_group = self.label_group(gpu, view, &maps);
        self.grown = Some(Grown { dress, maps, corners, group, rich_group: None, label_group });
    }

    /// Makes ready to draw what light and fluids do to the tissue grown last.
    pub(crate) fn enrich(&mut self, gpu: &Gpu, view: &wgpu::Buffer) {
        if self.rich_pipeline.is_none() {
            let formats = [COLOR_FORMAT, DISTANCE_FORMAT];
            self.rich_pipeline = Some(tissue_pipeline(gpu, &tissue_shader(gpu), "fs_tissue_rich", &formats));
        }
        let Some((mut grown, pipeline)) = self.grown.take().zip(self.rich_pipeline.as_ref()) else { return };
        if grown.rich_group.is_none() {
            grown.rich_group = Some(self.color_group(gpu, view, &grown.maps, pipeline));
        }
        self.grown = Some(grown);
    }

    /// Puts these fixtures in place of those before.
    pub(crate) fn furnish(&mut self, gpu: &Gpu, view: &wgpu::Buffer, fixtures: &[Fixture]) {
        self.fixtures.place(gpu, view, fixtures);
    }

    /// Draws the kept picture anew; `rich` after [`Self::enrich`].
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, rich: bool) {
        let dark = wgpu::Color { r: 0.05, g: 0.015, b: 0.012, a: 1.0 };
        let far = wgpu::Color { r: NOTHING_M, g: 0.0, b: 0.0, a: 0.0 };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("tissue"),
            color_attachments: &[gpu::cleared(&self.color, dark), gpu::cleared(&self.distance, far)],
            depth_stencil_attachment: Some(gpu::fresh_depth(&self.depth)),
            ..Default::default()
        });
        if let Some(grown) = &self.grown {
            match self.rich_pipeline.as_ref().zip(grown.rich_group.as_ref()).filter(|_| rich) {
                Some((pipeline, group)) => self.draw_grid(&mut pass, pipeline, grown, group),
                None => self.draw_grid(&mut pass, &self.pipeline, grown, &grown.group),
            }
        }
        self.fixtures.draw(&mut pass);
        drop(pass);
        let bytes_per_row = Some(row_bytes(self.distance_texture.width()));
        encoder.copy_texture_to_buffer(
            self.distance_texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &self.distance_to_read,
                layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None },
            },
            self.distance_texture.size(),
        );
    }

    /// Hands the distances of the picture drawn last, in metres, to `read`, with the length of a row; what is in
    /// a row beyond the picture's width is padding.
    pub(crate) fn read_distance(
        &self,
        gpu: &Gpu,
        read: impl FnOnce(&[f32], usize),
    ) -> Result<(), SceneError> {
        let stride = row_bytes(self.distance_texture.width()) as usize / size_of::<f32>();
        gpu.read_back(&self.distance_to_read, |bytes| read(bytemuck::cast_slice(bytes), stride))
    }

    /// Draws the tissue's classes within a pass that has begun.
    pub(crate) fn draw_labels(&self, pass: &mut wgpu::RenderPass<'_>) {
        if let Some(grown) = &self.grown {
            self.draw_grid(pass, &self.label_pipeline, grown, &grown.label_group);
        }
        self.fixtures.draw_labels(pass);
    }

    fn draw_grid(
        &self,
        pass: &mut wgpu::RenderPass<'_>,
        pipeline: &wgpu::RenderPipeline,
        grown: &Grown,
        group: &wgpu::BindGroup,
    ) {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.set_vertex_buffer(0, grown.corners.slice(..));
        pass.set_index_buffer(self.indices.slice(..), wgpu::IndexFormat::Uint32);
        pass.draw_indexed(0..CELLS * CELLS * 6, 0, 0..1);
    }

    fn color_group(
        &self,
        gpu: &Gpu,
        view: &wgpu::Buffer,
        maps: &Maps,
        pipeline: &wgpu::RenderPipeline,
    ) -> wgpu::BindGroup {
        let bindings = [
            (0, view.as_entire_binding()),
            (1, wgpu::BindingResource::TextureView(&maps.albedo)),
            (2, wgpu::BindingResource::TextureView(&maps.detail)),
            (3, wgpu::BindingResource::Sampler(&self.sampler)),
        ];
        gpu.bind("tissue", &pipeline.get_bind_group_layout(0), &bindings)
    }

    fn label_group(&self, gpu: &Gpu, view: &wgpu::Buffer, maps: &Maps) -> wgpu::BindGroup {
        let bindings = [(0, view.as_entire_binding()), (2, wgpu::BindingResource::TextureView(&maps.detail))];
        gpu.bind("tissue labels", &self.label_pipeline.get_bind_group_layout(0), &bindings)
    }
}

/// A buffer for the shaders' `View`.
pub(crate) fn view_buffer(gpu: &Gpu) -> wgpu::Buffer {
    gpu.uniform("view", size_of::<ViewUniform>())
}

/// Bytes of one row of distances in a copy: rows begin at multiples of a fixed number of bytes.
fn row_bytes(width: u32) -> u32 {
    (width * size_of::<f32>() as u32).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT)
}

/// A texture of the picture's size that is drawn, and used otherwise as said.
fn picture(
    gpu: &Gpu,
    label: &'static str,
    [width, height]: [u32; 2],
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    let usage = usage | wgpu::TextureUsages::RENDER_ATTACHMENT;
    gpu.texture(&TextureOf { label, width, height, mips: 1, format, usage })
}

fn tissue_shader(gpu: &Gpu) -> wgpu::ShaderModule {
    gpu.lit_shader("tissue", include_str!("../../../shaders/tissue.wgsl"))
}

fn tissue_pipeline(
    gpu: &Gpu,
    shader: &wgpu::ShaderModule,
    fragment: &'static str,
    formats: &[wgpu::TextureFormat],
) -> wgpu::RenderPipeline {
    let targets: Vec<wgpu::ColorTargetState> = formats.iter().map(|format| (*format).into()).collect();
    let layout = wgpu::VertexBufferLayout {
        array_stride: size_of::<Corner>() as u64,
        step_mode: wgpu::VertexStepMode::Vertex,
        attributes: &CORNER_ATTRIBUTES,
    };
    gpu.pipeline(&PipelineOf {
        label: fragment,
        shader,
        vertex: "vs_tissue",
        fragment,
        buffers: &[layout],
        targets: &targets,
        topology: wgpu::PrimitiveTopology::TriangleList,
        depth: true,
        cull: None,
    })
}

fn trilinear(gpu: &Gpu) -> wgpu::Sampler {
    gpu.device.create_sampler(&wgpu::SamplerDescriptor {
        label: Some("trilinear"),
        mag_filter: wgpu::FilterMode::Linear,
        min_filter: wgpu::FilterMode::Linear,
        mipmap_filter: wgpu::MipmapFilterMode::Linear,
        ..Default::default()
    })
}

/// The height field's corners, row after row, in the frame into which the pose leads.
pub(crate) fn grid(tissue: &Tissue, base_from_tissue: &Isometry3<f64>) -> Vec<Corner> {
    let step_m = TISSUE_SIDE_M / f64::from(CELLS);
    let place = |i: u32| f64::from(i) * step_m - TISSUE_SIDE_M / 2.0;
    let unit = |i: u32| i as f32 / CELLS as f32;
    let corner = |i: u32| {
        let (column, row) = (i % (CELLS + 1), i / (CELLS + 1));
        let (x_m, y_m) = (place(column), place(row));
        let place_m = base_from_tissue * Point3::new(x_m, y_m, tissue.height_m(x_m, y_m));
        let normal = base_from_tissue * tissue.normal(x_m, y_m);
        Corner {
            place_m: place_m.cast::<f32>().into(),
            normal: normal.cast::<f32>().into(),
            map: [unit(column), unit(row)],
        }
    };
    (0..(CELLS + 1) * (CELLS + 1)).map(corner).collect()
}

/// The triangles between them.
pub(crate) fn grid_indices() -> Vec<u32> {
    let across = CELLS + 1;
    (0..CELLS * CELLS)
        .flat_map(|cell| {
            let first = (cell / CELLS) * across + cell % CELLS;
            [first, first + 1, first + across + 1, first, first + across + 1, first + across]
        })
        .collect()
}
