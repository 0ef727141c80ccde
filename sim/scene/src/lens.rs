//! Smoke, lens and sensor: one pass over the composed picture, run only when one of them has a severity.

use crate::conditions::{Conditions, Factor};
use crate::gpu::Gpu;
use crate::random::SplitMix64;

/// Most drops on the lens; the shader has the same number.
const DROPS_MAX: usize = 9;
/// Height of a picture for which lengths in pixels are given.
const SET_HEIGHT_PX: f32 = 720.0;

/// What the shader reads, see there.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct LensUniform {
    size_frame_seed: [u32; 4],
    blur: [f32; 4],
    veil: [f32; 4],
    gains_noise: [f32; 4],
    stop_drops: [f32; 4],
    drops: [[f32; 4]; DROPS_MAX],
}

/// The pass and its buffers.
#[derive(Debug)]
pub(crate) struct Lens {
    pipeline: wgpu::ComputePipeline,
    uniform: wgpu::Buffer,
    shown: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl Lens {
    /// A pass over this picture.
    pub(crate) fn new(gpu: &Gpu, composed: &wgpu::Buffer) -> Self {
        let shader = gpu.shader("lens", include_str!("../../../shaders/lens.wgsl"));
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("lens"),
            layout: None,
            module: &shader,
            entry_point: Some("cs_lens"),
            compilation_options: Default::default(),
            cache: None,
        });
        let uniform = gpu.uniform("lens", size_of::<LensUniform>());
        let copied_out = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let shown = gpu.buffer("nv12 through the lens", composed.size() as usize, copied_out);
        let bindings = [
            (0, uniform.as_entire_binding()),
            (1, composed.as_entire_binding()),
            (2, shown.as_entire_binding()),
        ];
        let group = gpu.bind("lens", &pipeline.get_bind_group_layout(0), &bindings);
        Self { pipeline, uniform, shown, group }
    }

    /// Looks at the composed picture; the result is what this returns.
    pub(crate) fn run(
        &self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        conditions: &Conditions,
        [width, height]: [u32; 2],
    ) -> &wgpu::Buffer {
        gpu.queue.write_buffer(&self.uniform, 0, bytemuck::bytes_of(&uniform(conditions, width, height)));
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        // A workgroup has 8 x 8 invocations of 4 x 2 pixels.
        pass.dispatch_workgroups(width.div_ceil(32), height.div_ceil(16), 1);
        &self.shown
    }
}

/// The round field of view: its middle and its radius in pixels, no radius for none.
pub(crate) fn field(conditions: &Conditions, width: u32, height: u32) -> [f32; 3] {
    let [x, y] = [width as f32 / 2.0, height as f32 / 2.0];
    let mut random = SplitMix64::new(conditions.seed ^ 0x0057_0f0f);
    // The eyepiece is seldom quite in the middle.
    let mut aside = || (random.between(-0.02, 0.02) * f64::from(height)) as f32;
    [x + aside(), y + aside(), conditions.figure(Factor::FieldStop) * x.hypot(y)]
}

fn uniform(conditions: &Conditions, width: u32, height: u32) -> LensUniform {
    let figure = |factor| conditions.figure(factor);
    let px = height as f32 / SET_HEIGHT_PX;
    let (down, right) = (conditions.motion_rad as f32).sin_cos();
    let smear_px = figure(Factor::Motion) * px;
    let [x_px, y_px, radius_px] = field(conditions, width, height);
    let drops = drops(conditions, width, height);
    let count = figure(Factor::Droplets);
    // Smoke crosses the picture in some seconds, each seed its own way.
    let drift = SplitMix64::new(conditions.seed ^ 0x0053_30ce).between(0.0, std::f64::consts::TAU);
    let way = conditions.frame as f32 * 0.006;
    let [r, g, b] = gains(conditions);
    LensUniform {
        size_frame_seed: [
            width,
            height,
            conditions.frame,
            (conditions.seed ^ (conditions.seed >> 32)) as u32,
        ],
        blur: [figure(Factor::Defocus) * px, right * smear_px, down * smear_px, 0.0],
        veil: [
            figure(Factor::Smoke),
            way * drift.cos() as f32,
            way * drift.sin() as f32,
            figure(Factor::Vignette),
        ],
        gains_noise: [r, g, b, figure(Factor::Noise) / 255.0],
        stop_drops: [x_px, y_px, radius_px, count],
        drops,
    }
}

/// Factors on encoded red, green and blue.
fn gains(conditions: &Conditions) -> [f32; 3] {
    let mut random = SplitMix64::new(conditions.seed ^ 0x06a1_0000);
    // Up or down by the seed; within a recording it wanders by a third.
    let mut off = || {
        let way = if random.between(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
        let phase = random.between(0.0, std::f64::consts::TAU) + f64::from(conditions.frame) * 0.03;
        way * (0.85 + 0.15 * phase.sin())
    };
    let (stops, warm, green) = (off(), off(), off());
    let stops = f64::from(conditions.figure(Factor::Gain)) * stops;
    let white = f64::from(conditions.figure(Factor::WhiteBalance));
    let light = [1.0 + white * warm * 0.5, 1.0 + white * green * 0.15, 1.0 - white * warm * 0.5];
    // A factor on light is its 2.2nd root on an encoded colour.
    light.map(|factor| (factor * stops.exp2()).powf(1.0 / 2.2) as f32)
}

/// The drops: middle, radius in pixels, strength. The first ones stay where they are when more come.
fn drops(conditions: &Conditions, width: u32, height: u32) -> [[f32; 4]; DROPS_MAX] {
    let mut random = SplitMix64::new(conditions.seed ^ 0x000d_2095);
    std::array::from_fn(|_| {
        let mut within = |low, high| random.between(low, high) as f32;
        let [x, y] = [within(0.05, 0.95) * width as f32, within(0.05, 0.95) * height as f32];
        [x, y, within(0.04, 0.15) * height as f32, within(0.5, 1.0)]
    })
}
