//! What stands in the field and stays where it is. It is drawn into the kept picture of the tissue, so that a frame pays
//! nothing for it; it throws its shadow on other fixtures there, and takes the tool's like the tissue.

use std::f32::consts::TAU;

use nalgebra::{Point3, UnitQuaternion, Vector3};

use crate::gpu::{Gpu, PipelineOf};
use crate::ground::{COLOR_FORMAT, DISTANCE_FORMAT, LABEL_FORMAT};
use crate::state::{Fixture, FixtureLook};

/// Straight pieces that throw a shadow, most; the shader has the same number.
const SHADES_MAX: usize = 64;
/// Around a rod, by its radius.
const SEGMENTS: std::ops::RangeInclusive<u32> = 12..=72;
const SEGMENT_M: f64 = 0.0012;

/// One corner as the shader reads it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Corner {
    place_m: [f32; 3],
    normal: [f32; 3],
    look: u32,
}

const CORNER_ATTRIBUTES: [wgpu::VertexAttribute; 3] =
    wgpu::vertex_attr_array![0 => Float32x3, 1 => Float32x3, 2 => Uint32];

/// The shader's `Shades`.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Shades {
    count: [u32; 4],
    pieces: [[[f32; 4]; 2]; SHADES_MAX],
}

/// The pipelines, and the fixtures that are there.
#[derive(Debug)]
pub(crate) struct Fixtures {
    pipeline: wgpu::RenderPipeline,
    label_pipeline: wgpu::RenderPipeline,
    shades: wgpu::Buffer,
    placed: Vec<Fixture>,
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    corners: wgpu::Buffer,
    indices: wgpu::Buffer,
    count: u32,
    group: wgpu::BindGroup,
    label_group: wgpu::BindGroup,
}

/// Corners, and the triangles between them.
#[derive(Debug, Default)]
struct Surface {
    corners: Vec<Corner>,
    indices: Vec<u32>,
}

impl Fixtures {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let shader = gpu.lit_shader("fixtures", include_str!("../../../shaders/fixtures.wgsl"));
        Self {
            pipeline: pipeline(gpu, &shader, "fs_fixture", &[COLOR_FORMAT, DISTANCE_FORMAT]),
            label_pipeline: pipeline(gpu, &shader, "fs_fixture_label", &[LABEL_FORMAT]),
            shades: gpu.uniform("fixtures' shades", size_of::<Shades>()),
            placed: Vec::new(),
            drawn: None,
        }
    }

    /// Puts these in place of those before.
    pub(crate) fn place(&mut self, gpu: &Gpu, view: &wgpu::Buffer, fixtures: &[Fixture]) {
        if self.placed == fixtures {
            return;
        }
        self.placed = fixtures.to_vec();
        let mut surface = Surface::default();
        fixtures.iter().for_each(|fixture| surface.add(fixture));
        gpu.queue.write_buffer(&self.shades, 0, bytemuck::bytes_of(&shades(fixtures)));
        self.drawn = (!surface.indices.is_empty()).then(|| self.drawn(gpu, view, &surface));
    }

    fn drawn(&self, gpu: &Gpu, view: &wgpu::Buffer, surface: &Surface) -> Drawn {
        let bindings = [(0, view.as_entire_binding()), (1, self.shades.as_entire_binding())];
        Drawn {
            corners: gpu.filled("fixtures", &surface.corners, wgpu::BufferUsages::VERTEX),
            indices: gpu.filled("fixtures' indices", &surface.indices, wgpu::BufferUsages::INDEX),
            count: surface.indices.len() as u32,
            group: gpu.bind("fixtures", &self.pipeline.get_bind_group_layout(0), &bindings),
            label_group: gpu.bind(
                "fixtures' labels",
                &self.label_pipeline.get_bind_group_layout(0),
                &bindings[..1],
            ),
        }
    }

    /// Within a pass that draws the tissue.
    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>) {
        self.draw_with(pass, &self.pipeline, |drawn| &drawn.group);
    }

    /// Within a pass that draws classes.
    pub(crate) fn draw_labels(&self, pass: &mut wgpu::RenderPass<'_>) {
        self.draw_with(pass, &self.label_pipeline, |drawn| &drawn.label_group);
    }

    fn draw_with(
        &self,
        pass: &mut wgpu::RenderPass<'_>,
        pipeline: &wgpu::RenderPipeline,
        group: impl Fn(&Drawn) -> &wgpu::BindGroup,
    ) {
        let Some(drawn) = &self.drawn else { return };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group(drawn), &[]);
        pass.set_vertex_buffer(0, drawn.corners.slice(..));
        pass.set_index_buffer(drawn.indices.slice(..), wgpu::IndexFormat::Uint32);
        pass.draw_indexed(0..drawn.count, 0, 0..1);
    }
}

impl Surface {
    /// A tube along the fixture's path, with a flat end on either side.
    fn add(&mut self, fixture: &Fixture) {
        let around = (TAU as f64 * fixture.radius_m / SEGMENT_M) as u32;
        let segments = around.clamp(*SEGMENTS.start(), *SEGMENTS.end());
        let path: Vec<Point3<f32>> = fixture.path_m.iter().map(|at| at.cast()).collect();
        let (Some(first), Some(last)) = (path.first(), path.last()) else { return };
        let (radius_m, look) = (fixture.radius_m as f32, fixture.look as u32);
        let frames = frames(&path);
        let rings: Vec<u32> = path
            .iter()
            .zip(&frames)
            .map(|(at, frame)| self.ring(*at, frame, radius_m, segments, look, None))
            .collect();
        for pair in rings.windows(2) {
            self.bridge(pair[0], pair[1], segments);
        }
        for (at, frame, outward) in [(first, &frames[0], -1.0), (last, &frames[frames.len() - 1], 1.0)] {
            let normal = frame * Vector3::z() * outward;
            let ring = self.ring(*at, frame, radius_m, segments, look, Some(normal));
            self.corners.push(Corner { place_m: (*at).into(), normal: normal.into(), look });
            let middle = self.corners.len() as u32 - 1;
            self.indices.extend((0..segments).flat_map(|i| [middle, ring + i, ring + (i + 1) % segments]));
        }
    }

    /// Corners around a place, their normals outward unless given.
    fn ring(
        &mut self,
        at: Point3<f32>,
        frame: &UnitQuaternion<f32>,
        radius_m: f32,
        segments: u32,
        look: u32,
        normal: Option<Vector3<f32>>,
    ) -> u32 {
        let first = self.corners.len() as u32;
        for i in 0..segments {
            let (sin, cos) = (TAU * i as f32 / segments as f32).sin_cos();
            let outward = frame * Vector3::new(cos, sin, 0.0);
            let place_m = at + outward * radius_m;
            let normal = normal.unwrap_or(outward);
            self.corners.push(Corner { place_m: place_m.into(), normal: normal.into(), look });
        }
        first
    }

    fn bridge(&mut self, low: u32, high: u32, count: u32) {
        for i in 0..count {
            let j = (i + 1) % count;
            self.indices.extend([low + i, low + j, high + j, low + i, high + j, high + i]);
        }
    }
}

/// Along the path, each turned from the one before by as little as may be; z along the path.
fn frames(path: &[Point3<f32>]) -> Vec<UnitQuaternion<f32>> {
    let along = |i: usize| {
        let way = path[(i + 1).min(path.len() - 1)] - path[i.saturating_sub(1)];
        way.try_normalize(1e-9).unwrap_or_else(Vector3::z)
    };
    let turn = |from: &Vector3<f32>, to: &Vector3<f32>| {
        UnitQuaternion::rotation_between(from, to)
            .unwrap_or_else(|| UnitQuaternion::from_axis_angle(&Vector3::x_axis(), std::f32::consts::PI))
    };
    let mut frame = UnitQuaternion::identity();
    (0..path.len())
        .map(|i| {
            frame = turn(&(frame * Vector3::z()), &along(i)) * frame;
            frame
        })
        .collect()
}

/// What throws shadows: everything but boards, a long path in as many pieces as there is room for.
fn shades(fixtures: &[Fixture]) -> Shades {
    let mut shades: Shades = bytemuck::Zeroable::zeroed();
    let standing = || fixtures.iter().filter(|fixture| fixture.look != FixtureLook::Board);
    let whole: usize = standing().map(|fixture| fixture.path_m.len().saturating_sub(1)).sum();
    let stride = whole.div_ceil(SHADES_MAX / 2).max(1);
    let pieces = standing().flat_map(|fixture| pieces(fixture, stride));
    let mut count = 0;
    for (piece, place) in pieces.zip(&mut shades.pieces) {
        *place = piece;
        count += 1;
    }
    shades.count[0] = count;
    shades
}

fn pieces(fixture: &Fixture, stride: usize) -> impl Iterator<Item = [[f32; 4]; 2]> {
    let last = fixture.path_m.len().saturating_sub(1);
    let four = |at: &Point3<f64>, w: f64| [at.x as f32, at.y as f32, at.z as f32, w as f32];
    (0..last).step_by(stride).map(move |from| {
        let to = (from + stride).min(last);
        [four(&fixture.path_m[from], fixture.radius_m), four(&fixture.path_m[to], 0.0)]
    })
}

fn pipeline(
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
        vertex: "vs_fixture",
        fragment,
        buffers: &[layout],
        targets: &targets,
        topology: wgpu::PrimitiveTopology::TriangleList,
        depth: true,
        cull: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a tube's surface is as far from its path as its radius, all along a path that bends.
    #[test]
    fn a_tube_keeps_its_radius_around_bends() {
        let path_m: Vec<Point3<f64>> = (0..40)
            .map(|i| {
                let t = f64::from(i) * 0.2;
                Point3::new(0.01 * t.cos(), 0.01 * t.sin(), 0.001 * t)
            })
            .collect();
        let mut surface = Surface::default();
        surface.add(&Fixture { path_m: path_m.clone(), radius_m: 0.001, look: FixtureLook::Wire });
        for corner in &surface.corners {
            let at = Point3::from(corner.place_m).cast::<f64>();
            let gap_m = path_m.iter().map(|on| (at - on).norm()).fold(f64::INFINITY, f64::min);
            assert!(gap_m < 1.01e-3, "{gap_m}");
        }
        assert!(surface.indices.iter().all(|i| (*i as usize) < surface.corners.len()));
    }

    /// Goal: the fullest state's shadows fit.
    #[test]
    fn every_piece_has_room() {
        let path_m = (0..128).map(|i| Point3::new(f64::from(i) * 1e-4, 0.0, 0.0)).collect();
        let wire = Fixture { path_m, radius_m: 0.001, look: FixtureLook::Wire };
        let many = vec![wire; crate::state::FIXTURES_MAX];
        assert!(shades(&many).count[0] as usize <= SHADES_MAX);
        assert!(shades(&many[..1]).count[0] > 20);
    }
}
