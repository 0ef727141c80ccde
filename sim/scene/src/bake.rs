//! Bakes a tissue into textures, once a seed and look: colour and wetness, slopes and classes.

use crate::dress::{self, Colors, Dress};
use crate::gpu::{self, Gpu, PipelineOf, TextureOf};
use crate::tissue::{TISSUE_SIDE_M, Tissue};
use crate::view::seed_bits;

/// Side of the baked textures: a texel is 0.16 mm of tissue.
const MAP_PX: u32 = 2048;
const ALBEDO_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8UnormSrgb;
const DETAIL_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
const RELIEF_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rg16Float;

/// A tissue's baked textures.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) albedo: wgpu::TextureView,
    pub(crate) detail: wgpu::TextureView,
}

/// What the baking shader reads.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct BakeUniform {
    side_texel_seed: [f32; 4],
    organ: [f32; 4],
    organ_turn: [f32; 4],
    colors: Colors,
}

/// One vessel piece as the vessel shader reads it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Stroke {
    ends: [f32; 4],
    radii_vein_half: [f32; 4],
}

/// Paints the maps of a tissue. Takes some hundred milliseconds on a CPU renderer.
pub(crate) fn bake(gpu: &Gpu, tissue: &Tissue, dress: &Dress) -> Maps {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let vessels = map(gpu, "vessels", DETAIL_FORMAT, 1);
    draw_vessels(gpu, &mut encoder, tissue, &vessels);
    let albedo = map(gpu, "albedo", ALBEDO_FORMAT, MAP_PX.ilog2() + 1);
    let relief = map(gpu, "relief", RELIEF_FORMAT, 1);
    let detail = map(gpu, "detail", DETAIL_FORMAT, MAP_PX.ilog2() + 1);
    let uniform = gpu.filled("bake", &[bake_uniform(tissue, dress)], wgpu::BufferUsages::UNIFORM);
    let shader = gpu.shader("tissue_bake", include_str!("../../../shaders/tissue_bake.wgsl"));
    draw_material(gpu, &mut encoder, &shader, &uniform, &vessels, [&albedo, &relief]);
    draw_detail(gpu, &mut encoder, &shader, &uniform, &relief, &detail);
    halve(gpu, &mut encoder, &albedo);
    halve(gpu, &mut encoder, &detail);
    gpu.queue.submit([encoder.finish()]);
    Maps { albedo: gpu::whole(&albedo), detail: gpu::whole(&detail) }
}

fn map(gpu: &Gpu, label: &'static str, format: wgpu::TextureFormat, mips: u32) -> wgpu::Texture {
    gpu.texture(&TextureOf {
        label,
        width: MAP_PX,
        height: MAP_PX,
        mips,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
    })
}

fn level(texture: &wgpu::Texture, mip: u32) -> wgpu::TextureView {
    texture.create_view(&wgpu::TextureViewDescriptor {
        base_mip_level: mip,
        mip_level_count: Some(1),
        ..Default::default()
    })
}

fn bake_uniform(tissue: &Tissue, dress: &Dress) -> BakeUniform {
    let organ = tissue.organ();
    let mm = |m: f64| (m * 1e3) as f32;
    let (sin, cos) = organ.turned_rad.sin_cos();
    BakeUniform {
        side_texel_seed: [
            mm(TISSUE_SIDE_M),
            mm(TISSUE_SIDE_M) / MAP_PX as f32,
            seed_bits(dress.seed),
            dress.look.scale as f32,
        ],
        organ: [mm(organ.centre_m.x), mm(organ.centre_m.y), mm(organ.half_axes_m.x), mm(organ.half_axes_m.y)],
        organ_turn: [cos as f32, sin as f32, dress.fat, 0.0],
        colors: dress::colors(dress.look.palette),
    }
}

fn strokes(tissue: &Tissue) -> Vec<Stroke> {
    let half_m = TISSUE_SIDE_M / 2.0;
    let unit = |m: f64| (m / half_m) as f32;
    tissue
        .vessels()
        .iter()
        .map(|piece| Stroke {
            ends: [unit(piece.from_m.x), unit(piece.from_m.y), unit(piece.to_m.x), unit(piece.to_m.y)],
            radii_vein_half: [
                piece.from_radius_m as f32,
                piece.to_radius_m as f32,
                f32::from(u8::from(piece.vein)),
                half_m as f32,
            ],
        })
        .collect()
}

fn draw_vessels(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, tissue: &Tissue, into: &wgpu::Texture) {
    let strokes = strokes(tissue);
    let buffer = gpu.filled("strokes", &strokes, wgpu::BufferUsages::VERTEX);
    let attributes = wgpu::vertex_attr_array![0 => Float32x4, 1 => Float32x4];
    let layout = wgpu::VertexBufferLayout {
        array_stride: size_of::<Stroke>() as u64,
        step_mode: wgpu::VertexStepMode::Instance,
        attributes: &attributes,
    };
    let largest = wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::One,
        dst_factor: wgpu::BlendFactor::One,
        operation: wgpu::BlendOperation::Max,
    };
    let target = wgpu::ColorTargetState {
        format: DETAIL_FORMAT,
        blend: Some(wgpu::BlendState { color: largest, alpha: largest }),
        write_mask: wgpu::ColorWrites::ALL,
    };
    let shader = gpu.shader("tissue_vessels", include_str!("../../../shaders/tissue_vessels.wgsl"));
    let pipeline = gpu.pipeline(&PipelineOf {
        label: "vessels",
        shader: &shader,
        vertex: "vs_stroke",
        fragment: "fs_stroke",
        buffers: &[layout],
        targets: &[target],
        topology: wgpu::PrimitiveTopology::TriangleStrip,
        depth: false,
        cull: None,
    });
    let view = gpu::whole(into);
    let mut pass = begin(encoder, "vessels", &[gpu::cleared(&view, wgpu::Color::TRANSPARENT)]);
    pass.set_pipeline(&pipeline);
    pass.set_vertex_buffer(0, buffer.slice(..));
    pass.draw(0..4, 0..strokes.len() as u32);
}

fn draw_material(
    gpu: &Gpu,
    encoder: &mut wgpu::CommandEncoder,
    shader: &wgpu::ShaderModule,
    uniform: &wgpu::Buffer,
    vessels: &wgpu::Texture,
    [albedo, relief]: [&wgpu::Texture; 2],
) {
    let pipeline = full_screen(gpu, shader, "fs_material", &[ALBEDO_FORMAT, RELIEF_FORMAT]);
    let vessels = gpu::whole(vessels);
    let bindings = [(0, uniform.as_entire_binding()), (1, wgpu::BindingResource::TextureView(&vessels))];
    let group = gpu.bind("material", &pipeline.get_bind_group_layout(0), &bindings);
    let views = [level(albedo, 0), level(relief, 0)];
    let targets = views.each_ref().map(|view| gpu::cleared(view, wgpu::Color::BLACK));
    fill(encoder, "material", &pipeline, &group, &targets);
}

fn draw_detail(
    gpu: &Gpu,
    encoder: &mut wgpu::CommandEncoder,
    shader: &wgpu::ShaderModule,
    uniform: &wgpu::Buffer,
    relief: &wgpu::Texture,
    detail: &wgpu::Texture,
) {
    let pipeline = full_screen(gpu, shader, "fs_detail", &[DETAIL_FORMAT]);
    let relief = gpu::whole(relief);
    let bindings = [(0, uniform.as_entire_binding()), (2, wgpu::BindingResource::TextureView(&relief))];
    let group = gpu.bind("detail", &pipeline.get_bind_group_layout(0), &bindings);
    let view = level(detail, 0);
    fill(encoder, "detail", &pipeline, &group, &[gpu::cleared(&view, wgpu::Color::BLACK)]);
}

/// Fills the smaller levels of a texture from its first.
fn halve(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, texture: &wgpu::Texture) {
    let shader = gpu.shader("halve", include_str!("../../../shaders/halve.wgsl"));
    let pipeline = full_screen(gpu, &shader, "fs_halve", &[texture.format()]);
    for mip in 1..texture.mip_level_count() {
        let larger = level(texture, mip - 1);
        let bindings = [(0, wgpu::BindingResource::TextureView(&larger))];
        let group = gpu.bind("halve", &pipeline.get_bind_group_layout(0), &bindings);
        let view = level(texture, mip);
        fill(encoder, "halve", &pipeline, &group, &[gpu::cleared(&view, wgpu::Color::BLACK)]);
    }
}

fn full_screen(
    gpu: &Gpu,
    shader: &wgpu::ShaderModule,
    fragment: &'static str,
    formats: &[wgpu::TextureFormat],
) -> wgpu::RenderPipeline {
    let targets: Vec<wgpu::ColorTargetState> = formats.iter().map(|format| (*format).into()).collect();
    gpu.pipeline(&PipelineOf {
        label: fragment,
        shader,
        vertex: "vs_full",
        fragment,
        buffers: &[],
        targets: &targets,
        topology: wgpu::PrimitiveTopology::TriangleList,
        depth: false,
        cull: None,
    })
}

fn fill(
    encoder: &mut wgpu::CommandEncoder,
    label: &'static str,
    pipeline: &wgpu::RenderPipeline,
    group: &wgpu::BindGroup,
    targets: &[Option<wgpu::RenderPassColorAttachment<'_>>],
) {
    let mut pass = begin(encoder, label, targets);
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.draw(0..3, 0..1);
}

fn begin<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    label: &'static str,
    targets: &[Option<wgpu::RenderPassColorAttachment<'_>>],
) -> wgpu::RenderPass<'a> {
    encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some(label),
        color_attachments: targets,
        ..Default::default()
    })
}
