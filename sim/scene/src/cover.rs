//! Which tiles of the picture a body, its shadow or a goal can touch. Pure.
//!
//! Invariant (local): a tile that the shader would change for a body is marked for that body. The marks may be
//! too many, never too few; a test compares pictures drawn by tiles with pictures drawn whole.

use nalgebra::{Point2, Point3, Vector3};

use crate::instrument::Bone;
use crate::view::{NEAR_M, View};

/// Size of a tile in pixels; the composing shader has the same numbers.
pub(crate) const TILE_PX: [u32; 2] = [32, 16];
/// Most casters in one picture; the composing shader has the same number.
pub(crate) const CASTERS_MAX: usize = 96;
/// Contact darkens tissue this near to a caster, in metres; the composing shader has the same number.
const CONTACT_M: f64 = 0.004;
/// Casters reach up to this far below the lamp, in metres; what is higher throws no shadow on the tissue.
const BELOW_LIGHT_M: f64 = 0.010;

/// One tile to be written, as the composing shader reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Tile {
    place: u32,
    casters: [u32; CASTERS_MAX / 32],
    /// Bits 0 to 3: goals; bit 31: the layer of solids.
    goals: u32,
}

impl Tile {
    fn is_plain(&self) -> bool {
        self.casters == [0; CASTERS_MAX / 32] && self.goals == 0
    }
}

/// The marks of one picture, tile by tile, row after row.
#[derive(Debug, Clone)]
pub(crate) struct Cover {
    columns: u32,
    tiles: Vec<Tile>,
}

/// A ball around the piece of tissue that a tile shows, with what a shadow test needs of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patch {
    middle_m: Point3<f32>,
    radius_m: f32,
}

impl Cover {
    pub(crate) fn new(width_px: u32, height_px: u32) -> Self {
        let columns = width_px.div_ceil(TILE_PX[0]);
        let rows = height_px.div_ceil(TILE_PX[1]);
        let place = |i: u32| (i % columns) | ((i / columns) << 16);
        let tiles = (0..columns * rows).map(|i| Tile { place: place(i), ..Tile::default() }).collect();
        Self { columns, tiles }
    }

    pub(crate) fn clear(&mut self) {
        for tile in &mut self.tiles {
            *tile = Tile { place: tile.place, ..Tile::default() };
        }
    }

    /// Marks the tiles whose piece of tissue this caster can darken, by its shadow or by contact.
    pub(crate) fn mark_caster(&mut self, number: usize, caster: &Bone, view: &View, patches: &[Patch]) {
        let shadow = Shadow::of(caster, view);
        for (tile, _) in self.tiles.iter_mut().zip(patches).filter(|(_, patch)| shadow.may_touch(patch)) {
            tile.casters[number / 32] |= 1 << (number % 32);
        }
    }

    /// Marks the tiles whose piece of tissue is within `reach_m` of a place.
    pub(crate) fn mark_goal(
        &mut self,
        number: usize,
        middle_m: &Point3<f64>,
        reach_m: f64,
        patches: &[Patch],
    ) {
        let (middle_m, reach_m) = (middle_m.cast::<f32>(), reach_m as f32);
        let near = |patch: &Patch| (patch.middle_m - middle_m).norm() <= reach_m + patch.radius_m;
        for (tile, _) in self.tiles.iter_mut().zip(patches).filter(|(_, patch)| near(patch)) {
            tile.goals |= 1 << number;
        }
    }

    pub(crate) fn mark_solid(&mut self, outline_px: &[Point2<f64>]) {
        self.mark(outline_px, |tile| tile.goals |= 1 << 31);
    }

    pub(crate) fn all(&self) -> &[Tile] {
        &self.tiles
    }

    /// The tiles that this picture or the one before marks, into `list`.
    pub(crate) fn changed_since(&self, before: &Self, list: &mut Vec<Tile>) {
        list.clear();
        let both = self.tiles.iter().zip(&before.tiles);
        list.extend(both.filter(|(now, then)| !now.is_plain() || !then.is_plain()).map(|(now, _)| *now));
    }

    /// Marks the tiles that the convex hull of these points touches.
    fn mark(&mut self, outline_px: &[Point2<f64>], set: impl Fn(&mut Tile)) {
        let hull = hull(outline_px);
        let rows = self.tiles.len() as u32 / self.columns;
        let tall = f64::from(TILE_PX[1]);
        let (top, bottom) = extent(hull.iter().map(|p| p.y));
        let first = (top / tall).floor().clamp(0.0, f64::from(rows)) as u32;
        let last = ((bottom / tall).floor() + 1.0).clamp(0.0, f64::from(rows)) as u32;
        for row in first..last {
            let band = (f64::from(row) * tall, f64::from(row + 1) * tall);
            for column in self.columns_between(extent_in_band(&hull, band)) {
                set(&mut self.tiles[(row * self.columns + column) as usize]);
            }
        }
    }

    fn columns_between(&self, (left, right): (f64, f64)) -> std::ops::Range<u32> {
        if left > right {
            return 0..0;
        }
        let wide = f64::from(TILE_PX[0]);
        let limit = f64::from(self.columns);
        let first = (left / wide).floor().clamp(0.0, limit) as u32;
        let last = ((right / wide).floor() + 1.0).clamp(0.0, limit) as u32;
        first..last
    }
}

/// A caster and the lamp, ready to be tested against many patches.
struct Shadow {
    light_m: Point3<f32>,
    from_m: Point3<f32>,
    bone: Vector3<f32>,
    /// Farthest that something can be from the bone's line and still be darkened, without the patch's own size.
    reach_m: f32,
}

impl Shadow {
    fn of(caster: &Bone, view: &View) -> Self {
        let softness_m = (view.light_radius_m() + 0.0002).max(CONTACT_M);
        Self {
            light_m: view.light_m().cast(),
            from_m: caster.from_m.cast(),
            bone: (caster.to_m - caster.from_m).cast(),
            reach_m: (caster.radius_m + softness_m) as f32,
        }
    }

    /// Whether the segment from the patch's middle to the lamp comes near enough to the bone. A ray from elsewhere
    /// in the patch is nowhere farther from that segment than the patch's radius.
    fn may_touch(&self, patch: &Patch) -> bool {
        let reach_m = self.reach_m + patch.radius_m;
        gap_squared_m2(patch.middle_m, self.light_m - patch.middle_m, self.from_m, self.bone)
            <= reach_m * reach_m
    }
}

/// Square of the distance between two segments, each a begin and the way to its end (Ericson 2005, *Real-Time
/// Collision Detection*, 5.1.9).
fn gap_squared_m2(p: Point3<f32>, ray: Vector3<f32>, q: Point3<f32>, bone: Vector3<f32>) -> f32 {
    let off = p - q;
    let (rr, bb) = (ray.norm_squared().max(1e-12), bone.norm_squared().max(1e-12));
    let (rb, ro, bo) = (ray.dot(&bone), ray.dot(&off), bone.dot(&off));
    let s = ((rb * bo - bb * ro) / (rr * bb - rb * rb).max(1e-12)).clamp(0.0, 1.0);
    let t = ((bo + rb * s) / bb).clamp(0.0, 1.0);
    let s = ((rb * t - ro) / rr).clamp(0.0, 1.0);
    (off + ray * s - bone * t).norm_squared()
}

/// The pieces of tissue behind all tiles, from the distances of a picture in rows of `row` numbers.
pub(crate) fn patches(view: &View, distance_m: &[f32], row: usize) -> Vec<Patch> {
    let (width, height) = (view.width_px as usize, view.height_px as usize);
    let [wide, tall] = TILE_PX.map(|px| px as usize);
    let mut patches = Vec::with_capacity(width.div_ceil(wide) * height.div_ceil(tall));
    for y in (0..height).step_by(tall) {
        for x in (0..width).step_by(wide) {
            let (right, bottom) = ((x + wide).min(width), (y + tall).min(height));
            let rows = (y..bottom).map(|line| &distance_m[line * row + x..line * row + right]);
            let (near_m, far_m) = extent32(rows.flatten().copied());
            patches.push(patch(view, [x, y], [right, bottom], [near_m, far_m]));
        }
    }
    patches
}

/// The ball around the part of a tile's pyramid of sight between two distances.
fn patch(view: &View, from_px: [usize; 2], to_px: [usize; 2], depths_m: [f32; 2]) -> Patch {
    let corners = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| {
        let x = if i & 1 == 0 { from_px[0] } else { to_px[0] };
        let y = if i & 2 == 0 { from_px[1] } else { to_px[1] };
        view.seen_at([x as f64, y as f64], f64::from(depths_m[i >> 2])).cast::<f32>()
    });
    let middle_m = Point3::from(corners.iter().map(|c| c.coords).sum::<Vector3<f32>>() / 8.0);
    let radius_m = corners.iter().map(|c| (c - middle_m).norm()).fold(0.0, f32::max);
    Patch { middle_m, radius_m }
}

fn extent32(values: impl Iterator<Item = f32>) -> (f32, f32) {
    values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
        (if v < low { v } else { low }, if v > high { v } else { high })
    })
}

/// Outline in the picture of a segment of this thickness.
pub(crate) fn body_outline(view: &View, body: &Bone, outline_px: &mut Vec<Point2<f64>>) {
    outline_px.clear();
    for end_m in [body.from_m, body.to_m] {
        push_sphere(view, &end_m, body.radius_m, outline_px);
    }
}

/// The part of a segment whose surface can be in the picture, or `None`.
pub(crate) fn in_sight(view: &View, bone: &Bone) -> Option<Bone> {
    let near = clip(bone, |p| view.depth_m(p) - NEAR_M)?;
    view.sides()
        .iter()
        .try_fold(near, |bone, side| clip(&bone, |p| side.dot(&(p - view.eye_m())) + bone.radius_m))
}

/// The part of a segment that can throw a shadow on the tissue, or `None`.
pub(crate) fn below_light(view: &View, bone: &Bone) -> Option<Bone> {
    let up = view.base_from_tissue * Vector3::z();
    let limit_m = view.light_m() - up * BELOW_LIGHT_M;
    clip(bone, |p| (limit_m - p).dot(&up))
}

/// Keeps where `inside`, a linear function of the place, is not negative.
fn clip(bone: &Bone, inside: impl Fn(&Point3<f64>) -> f64) -> Option<Bone> {
    let (from, to) = (inside(&bone.from_m), inside(&bone.to_m));
    let crossing = || bone.from_m + (bone.to_m - bone.from_m) * (from / (from - to));
    match (from >= 0.0, to >= 0.0) {
        (true, true) => Some(*bone),
        (true, false) => Some(Bone { to_m: crossing(), ..*bone }),
        (false, true) => Some(Bone { from_m: crossing(), ..*bone }),
        (false, false) => None,
    }
}

/// Eight corners around a ball's picture, a little outside it.
fn push_sphere(view: &View, middle_m: &Point3<f64>, radius_m: f64, outline_px: &mut Vec<Point2<f64>>) {
    /// An octagon around a circle, and room for the ball's being seen from near and aside.
    const AROUND: f64 = 1.0824 * 1.15;
    const MARGIN_PX: f64 = 2.0;
    let Some(middle_px) = view.pixel(middle_m) else { return };
    let depth_m = view.depth_m(middle_m);
    let aside = middle_px - Point2::new(f64::from(view.width_px), f64::from(view.height_px)) / 2.0;
    let slant = (1.0_f64 + aside.norm_squared() / view.focal_px().powi(2)).sqrt();
    let nearest_m = (depth_m - radius_m).max(depth_m * 0.05).max(1e-4);
    let radius_px = view.focal_px() * radius_m / nearest_m * slant * AROUND + MARGIN_PX;
    outline_px.extend((0..8).map(|i| {
        let (sin, cos) = (f64::from(i) * std::f64::consts::FRAC_PI_4).sin_cos();
        Point2::new(middle_px.x + radius_px * cos, middle_px.y + radius_px * sin)
    }));
}

/// The convex hull, by Andrew's monotone chain.
fn hull(points: &[Point2<f64>]) -> Vec<Point2<f64>> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut chain = half_hull(sorted.iter());
    let upper = half_hull(sorted.iter().rev());
    chain.extend(upper);
    chain
}

fn half_hull<'a>(points: impl Iterator<Item = &'a Point2<f64>>) -> Vec<Point2<f64>> {
    let mut chain: Vec<Point2<f64>> = Vec::new();
    for point in points {
        while let [.., a, b] = chain[..] {
            if (b - a).perp(&(point - a)) > 0.0 {
                break;
            }
            chain.pop();
        }
        chain.push(*point);
    }
    chain.pop();
    chain
}

/// Smallest and largest x of a convex polygon within a band of y; empty (left over right) where it has none.
fn extent_in_band(polygon: &[Point2<f64>], (top, bottom): (f64, f64)) -> (f64, f64) {
    let next = polygon.iter().cycle().skip(1);
    let pieces = polygon.iter().zip(next).filter_map(|(a, b)| {
        let (high, low) = if a.y <= b.y { (a, b) } else { (b, a) };
        if low.y < top || high.y > bottom {
            return None;
        }
        let at = |y: f64| {
            let t = if low.y > high.y { ((y - high.y) / (low.y - high.y)).clamp(0.0, 1.0) } else { 0.0 };
            high.x + (low.x - high.x) * t
        };
        let flat = low.y - high.y < 1e-9;
        Some(if flat { [a.x, b.x] } else { [at(top), at(bottom)] })
    });
    extent(pieces.flatten())
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Camera;

    fn marked(outline: &[Point2<f64>]) -> Vec<u32> {
        let mut cover = Cover::new(320, 160);
        cover.mark_solid(outline);
        (0..).zip(&cover.tiles).filter(|(_, t)| !t.is_plain()).map(|(i, _)| i).collect()
    }

    /// A small square inside one tile marks that tile alone; one across a corner marks all four.
    #[test]
    fn a_hull_marks_the_tiles_it_touches() {
        let square = |x: f64, y: f64| {
            [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0), (4.0, 4.0)].map(|(a, b)| Point2::new(x + a, y + b))
        };
        assert_eq!(marked(&square(40.0, 20.0)), [11]);
        assert_eq!(marked(&square(62.0, 30.0)), [11, 12, 21, 22]);
    }

    /// Every point inside a slanted hull lies in a marked tile: checked by walking over it.
    #[test]
    fn every_point_of_a_slanted_hull_is_in_a_marked_tile() {
        let corners =
            [(10.0, 5.0), (300.0, 100.0), (310.0, 140.0), (30.0, 60.0)].map(|(x, y)| Point2::new(x, y));
        let tiles = marked(&corners);
        for i in 0..=100 {
            for j in 0..=100 {
                let (u, v) = (f64::from(i) / 100.0, f64::from(j) / 100.0);
                let left = corners[0] + (corners[3] - corners[0]) * v;
                let right = corners[1] + (corners[2] - corners[1]) * v;
                let p = left + (right - left) * u;
                let tile = (p.y / 16.0) as u32 * 10 + (p.x / 32.0) as u32;
                assert!(tiles.contains(&tile), "{p}");
            }
        }
        assert!(tiles.len() < 60, "not everything: {}", tiles.len());
    }

    /// Bodies outside the picture mark nothing and break nothing.
    #[test]
    fn a_hull_outside_marks_nothing() {
        assert!(
            marked(&[Point2::new(-50.0, -50.0), Point2::new(-10.0, -80.0), Point2::new(-20.0, -10.0)])
                .is_empty()
        );
        assert!(marked(&[]).is_empty());
    }

    /// Every pixel whose ray to the lamp passes a caster within reach of its shadow or contact lies in a marked
    /// tile, and tiles far from any such pixel are left alone.
    #[test]
    fn every_pixel_that_a_caster_darkens_is_in_a_marked_tile() {
        let camera =
            Camera::looking_at(Point3::new(-0.05, -0.03, 0.09), Point3::origin(), Vector3::y(), 0.75);
        let base_from_tissue = nalgebra::Isometry3::identity();
        let lamp = crate::view::Lamp::default();
        let view = View { camera, width_px: 320, height_px: 160, base_from_tissue, lamp };
        let eye_m = view.eye_m();
        let floor_m = |x: usize, y: usize| {
            let ray = view.seen_at([x as f64 + 0.5, y as f64 + 0.5], 1.0) - eye_m;
            -eye_m.z / ray.z
        };
        let distance_m: Vec<f32> = (0..320 * 160).map(|i| floor_m(i % 320, i / 320) as f32).collect();
        let patches = patches(&view, &distance_m, 320);
        let caster = Bone {
            from_m: Point3::new(0.02, 0.03, 0.04),
            to_m: Point3::new(-0.01, 0.0, 0.003),
            radius_m: 0.002,
        };
        let mut cover = Cover::new(320, 160);
        cover.mark_caster(0, &caster, &view, &patches);
        let reach_m = (caster.radius_m + CONTACT_M) as f32;
        for (i, depth_m) in distance_m.iter().enumerate() {
            let (x, y) = (i % 320, i / 320);
            let place_m = view.seen_at([x as f64 + 0.5, y as f64 + 0.5], f64::from(*depth_m)).cast::<f32>();
            let ray = view.light_m().cast::<f32>() - place_m;
            let bone = (caster.to_m - caster.from_m).cast::<f32>();
            let near = gap_squared_m2(place_m, ray, caster.from_m.cast(), bone) <= reach_m * reach_m;
            assert!(!near || !cover.tiles[y / 16 * 10 + x / 32].is_plain(), "pixel {x}, {y}");
        }
        let marked = cover.tiles.iter().filter(|tile| !tile.is_plain()).count();
        assert!((5..60).contains(&marked), "{marked} of 100 tiles");
    }
}
