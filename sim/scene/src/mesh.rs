//! Triangle meshes of simple bodies, made once at start. Lengths in metres.

use std::f32::consts::{PI, TAU};

use nalgebra::{Isometry3, Point3, Vector3};

/// What a surface looks like; the shader knows the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Material {
    /// The dark composite tube.
    Shaft = 0,
    /// Brushed stainless steel.
    Steel = 1,
    /// The jaws' tungsten carbide inserts, cross-hatched.
    Carbide = 2,
    /// Glossy coloured plastic: beads and rings.
    Plastic = 3,
    /// The pale insulator of a monopolar hook.
    Ceramic = 4,
}

/// One corner of a triangle, as the graphics device reads it.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Vertex {
    pub(crate) position_m: [f32; 3],
    pub(crate) normal: [f32; 3],
    pub(crate) material: u32,
}

/// Corners and the triangles between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mesh {
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) indices: Vec<u32>,
}

impl Mesh {
    /// Adds another mesh, moved.
    pub(crate) fn add(&mut self, other: &Self, pose: &Isometry3<f32>) {
        let base = self.vertices.len() as u32;
        self.vertices.extend(other.vertices.iter().map(|v| moved(v, pose)));
        self.indices.extend(other.indices.iter().map(|i| i + base));
    }

    /// Turns every triangle so that its corners run counter-clockwise seen from where its normals point.
    pub(crate) fn face_outward(&mut self) {
        for triangle in self.indices.chunks_exact_mut(3) {
            let [a, b, c] = [triangle[0], triangle[1], triangle[2]].map(|i| self.vertices[i as usize]);
            let side = |to: &Vertex| Point3::from(to.position_m) - Point3::from(a.position_m);
            let normals = [a, b, c].iter().map(|v| Vector3::from(v.normal)).sum::<Vector3<f32>>();
            if side(&b).cross(&side(&c)).dot(&normals) < 0.0 {
                triangle.swap(1, 2);
            }
        }
    }

    fn vertex(&mut self, position_m: Point3<f32>, normal: Vector3<f32>, material: Material) -> u32 {
        let normal = normal.try_normalize(1e-9).unwrap_or_else(Vector3::z);
        self.vertices.push(Vertex {
            position_m: position_m.into(),
            normal: normal.into(),
            material: material as u32,
        });
        self.vertices.len() as u32 - 1
    }

    /// Joins two rings of `count` corners each that start at `low` and `high`; the last joins the first.
    fn bridge(&mut self, low: u32, high: u32, count: u32) {
        for i in 0..count {
            let j = (i + 1) % count;
            self.indices.extend([low + i, low + j, high + j, low + i, high + j, high + i]);
        }
    }

    /// Closes a ring of `count` corners with a fan around its middle.
    fn cap(&mut self, middle: Point3<f32>, normal: Vector3<f32>, ring: &[Point3<f32>], material: Material) {
        let centre = self.vertex(middle, normal, material);
        let first = self.vertices.len() as u32;
        for corner in ring {
            self.vertex(*corner, normal, material);
        }
        let count = ring.len() as u32;
        self.indices.extend((0..count).flat_map(|i| [centre, first + i, first + (i + 1) % count]));
    }
}

/// A body of revolution around z through `(z_m, radius_m)` points; a point given twice makes a sharp edge.
pub(crate) fn lathe(profile: &[(f32, f32)], segments: u32, material: Material) -> Mesh {
    let mut mesh = Mesh::default();
    for run in profile.split_inclusive_pairs() {
        let rings: Vec<u32> =
            (0..run.len()).map(|i| lathe_ring(&mut mesh, run, i, segments, material)).collect();
        for pair in rings.windows(2) {
            mesh.bridge(pair[0], pair[1], segments);
        }
    }
    mesh
}

fn lathe_ring(mesh: &mut Mesh, run: &[(f32, f32)], i: usize, segments: u32, material: Material) -> u32 {
    let before = run[i.saturating_sub(1)];
    let after = run[(i + 1).min(run.len() - 1)];
    let (dz, dr) = (after.0 - before.0, after.1 - before.1);
    let (z_m, radius_m) = run[i];
    let first = mesh.vertices.len() as u32;
    for k in 0..segments {
        let (sin, cos) = (TAU * k as f32 / segments as f32).sin_cos();
        let normal = Vector3::new(cos * dz, sin * dz, -dr);
        mesh.vertex(Point3::new(cos * radius_m, sin * radius_m, z_m), normal, material);
    }
    first
}

/// Cuts a profile where a point is repeated.
trait SplitRuns {
    fn split_inclusive_pairs(&self) -> Vec<&[(f32, f32)]>;
}

impl SplitRuns for [(f32, f32)] {
    fn split_inclusive_pairs(&self) -> Vec<&[(f32, f32)]> {
        let mut runs = Vec::new();
        let mut start = 0;
        for i in 1..self.len() {
            if self[i] == self[i - 1] {
                runs.push(&self[start..i]);
                start = i;
            }
        }
        runs.push(&self[start..]);
        runs
    }
}

/// A tube along a piece of a circle of radius 1 in the xy plane, from angle `from_rad` over `sweep_rad`;
/// `radius_at` gives the tube's radius from 0 (begin) to 1 (end).
pub(crate) fn arc_tube(
    from_rad: f32,
    sweep_rad: f32,
    steps: u32,
    segments: u32,
    material: Material,
    radius_at: impl Fn(f32) -> f32,
) -> Mesh {
    let mut mesh = Mesh::default();
    for i in 0..=steps {
        let t = i as f32 / steps as f32;
        let (sin, cos) = (from_rad + sweep_rad * t).sin_cos();
        let outward = Vector3::new(cos, sin, 0.0);
        for k in 0..segments {
            let (s, c) = (TAU * k as f32 / segments as f32).sin_cos();
            let normal = outward * c + Vector3::z() * s;
            mesh.vertex(Point3::from(outward + normal * radius_at(t)), normal, material);
        }
    }
    for i in 0..steps {
        mesh.bridge(i * segments, (i + 1) * segments, segments);
    }
    mesh
}

/// A ball of radius 1.
pub(crate) fn ball(rings: u32, segments: u32, material: Material) -> Mesh {
    let profile: Vec<(f32, f32)> = (0..=rings)
        .map(|i| {
            let (sin, cos) = (PI * i as f32 / rings as f32).sin_cos();
            (-cos, sin)
        })
        .collect();
    let mut mesh = lathe(&profile, segments, material);
    for vertex in &mut mesh.vertices {
        vertex.normal = vertex.position_m;
    }
    mesh
}

/// A flat link: two discs of radius `from_m` at the origin and `to_m` at `z = length_m`, and what lies between,
/// `thick_m` thick along x, its edges broken by `bevel_m`.
pub(crate) fn link(length_m: f32, from_m: f32, to_m: f32, thick_m: f32, bevel_m: f32) -> Mesh {
    let mut mesh = Mesh::default();
    let half = thick_m / 2.0;
    let outline = link_outline(length_m, from_m, to_m);
    let ring = |mesh: &mut Mesh, x: f32, inset: f32, facing: f32| {
        let first = mesh.vertices.len() as u32;
        for (point, outward) in &outline {
            let position = point - outward * inset + Vector3::x() * x;
            mesh.vertex(position, outward * (1.0 - facing.abs()) + Vector3::x() * facing, Material::Steel);
        }
        first
    };
    let count = outline.len() as u32;
    let rings = [
        ring(&mut mesh, -half, bevel_m, -0.7),
        ring(&mut mesh, -half + bevel_m, 0.0, 0.0),
        ring(&mut mesh, half - bevel_m, 0.0, 0.0),
        ring(&mut mesh, half, bevel_m, 0.7),
    ];
    for pair in rings.windows(2) {
        mesh.bridge(pair[0], pair[1], count);
    }
    for side in [-1.0, 1.0] {
        let corners: Vec<_> =
            outline.iter().map(|(p, n)| p - n * bevel_m + Vector3::x() * (half * side)).collect();
        let middle = Point3::new(half * side, 0.0, length_m / 2.0);
        mesh.cap(middle, Vector3::x() * side, &corners, Material::Steel);
    }
    mesh
}

/// The outline of [`link`] in the yz plane with its outward directions.
fn link_outline(length_m: f32, from_m: f32, to_m: f32) -> Vec<(Point3<f32>, Vector3<f32>)> {
    const STEPS: u32 = 7;
    let arc = |start_rad: f32, radius_m: f32, z_m: f32| {
        (0..=STEPS).map(move |i| {
            let (sin, cos) = (start_rad + PI * i as f32 / STEPS as f32).sin_cos();
            let outward = Vector3::new(0.0, cos, sin);
            (Point3::new(0.0, radius_m * cos, z_m + radius_m * sin), outward)
        })
    };
    arc(0.0, to_m, length_m).chain(arc(PI, from_m, 0.0)).collect()
}

/// One cross-section of a jaw: a flat face at y = 0 and a rounded back toward +y.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    /// Where along the jaw.
    pub(crate) z_m: f32,
    /// Half of the flat face's width along x.
    pub(crate) half_width_m: f32,
    /// Height of the back above the flat face.
    pub(crate) height_m: f32,
    /// Where its middle is along x.
    pub(crate) aside_m: f32,
}

/// A jaw: cross-sections joined along z, the flat face of `face`'s material, the back of steel.
pub(crate) fn jaw(sections: &[Section], face: Material) -> Mesh {
    const ARC: u32 = 8;
    let mut mesh = Mesh::default();
    let back: Vec<u32> = sections.iter().map(|s| jaw_back(&mut mesh, s, ARC)).collect();
    for pair in back.windows(2) {
        for i in 0..ARC {
            let (low, high) = (pair[0] + i, pair[1] + i);
            mesh.indices.extend([low, low + 1, high + 1, low, high + 1, high]);
        }
    }
    let flat: Vec<u32> = sections.iter().map(|s| jaw_face(&mut mesh, s, face)).collect();
    for pair in flat.windows(2) {
        mesh.indices.extend([pair[0], pair[0] + 1, pair[1] + 1, pair[0], pair[1] + 1, pair[1]]);
    }
    mesh
}

fn jaw_back(mesh: &mut Mesh, section: &Section, arc: u32) -> u32 {
    let first = mesh.vertices.len() as u32;
    for i in 0..=arc {
        let (sin, cos) = (PI * i as f32 / arc as f32).sin_cos();
        let position =
            Point3::new(section.aside_m + section.half_width_m * cos, section.height_m * sin, section.z_m);
        let normal = Vector3::new(cos * section.height_m, sin * section.half_width_m, 0.0);
        mesh.vertex(position, normal, Material::Steel);
    }
    first
}

fn jaw_face(mesh: &mut Mesh, section: &Section, material: Material) -> u32 {
    let at = |x: f32| Point3::new(section.aside_m + x, 0.0, section.z_m);
    let first = mesh.vertex(at(section.half_width_m), -Vector3::y(), material);
    mesh.vertex(at(-section.half_width_m), -Vector3::y(), material);
    first
}

/// A rod along a path that lies in a plane across y; `half_m` is half of its width in that plane and of its height.
pub(crate) fn rail(path: &[Point3<f32>], half_m: [f32; 2]) -> Mesh {
    const AROUND: u32 = 8;
    let mut mesh = Mesh::default();
    let last = path.len() - 1;
    let rings: Vec<Vec<Point3<f32>>> = (0..path.len())
        .map(|i| {
            let along = path[(i + 1).min(last)] - path[i.saturating_sub(1)];
            let side = Vector3::y().cross(&along).try_normalize(1e-9).unwrap_or_else(Vector3::x);
            rail_ring(&mut mesh, path[i], side, half_m, AROUND)
        })
        .collect();
    for i in 0..last as u32 {
        mesh.bridge(i * AROUND, (i + 1) * AROUND, AROUND);
    }
    for (end, before) in [(0, 1), (last, last - 1)] {
        mesh.cap(path[end], path[end] - path[before], &rings[end], Material::Steel);
    }
    mesh
}

fn rail_ring(
    mesh: &mut Mesh,
    middle: Point3<f32>,
    side: Vector3<f32>,
    [width_m, height_m]: [f32; 2],
    around: u32,
) -> Vec<Point3<f32>> {
    (0..around)
        .map(|k| {
            let (sin, cos) = (TAU * (k as f32 + 0.5) / around as f32).sin_cos();
            let position = middle + side * (cos * width_m) + Vector3::y() * (sin * height_m);
            mesh.vertex(position, side * (cos * height_m) + Vector3::y() * (sin * width_m), Material::Steel);
            position
        })
        .collect()
}

fn moved(vertex: &Vertex, pose: &Isometry3<f32>) -> Vertex {
    let position = pose * Point3::from(vertex.position_m);
    let normal = pose * Vector3::from(vertex.normal);
    Vertex { position_m: position.into(), normal: normal.into(), material: vertex.material }
}
