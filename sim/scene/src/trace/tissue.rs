//! The tissue's skin: pigments in pale scatter, vessels and blood that light goes through, a wet film over all.

use std::time::Duration;

use glam::{Vec2, Vec3A};
use nalgebra::Point2;
use obvhs::BvhBuildParams;
use obvhs::aabb::Aabb;
use obvhs::bvh2::{Bvh2, builder::build_bvh2};

use super::bodies::Hit;
use super::light::Surface;
use crate::class::Class;
use crate::conditions::{Conditions, Factor, Palette};
use crate::random::value_noise;
use crate::tissue::{Tissue, VesselPiece};

/// What comes back from tissue without any pigment.
const SCATTER: Vec3A = Vec3A::new(0.93, 0.87, 0.82);
/// How strongly one part of each pigment takes red, green and blue.
const BLOOD: Vec3A = Vec3A::new(0.30, 1.90, 1.75);
const CAROTENE: Vec3A = Vec3A::new(0.05, 0.45, 1.90);
const DARK: Vec3A = Vec3A::ONE;
/// Spent blood in a vein takes more red and lets more blue through.
const VENOUS: Vec3A = Vec3A::new(1.00, 1.75, 1.15);
/// Thinner vessels bear no label, in metres of radius.
const LABELLED_FROM_M: f32 = 0.00035;
/// An organ's rim, in its half axes: there its dome has sunk to a third.
const RIM: f64 = 1.095;
/// Over this length the relief's slope is taken, in metres.
const STEP_M: f32 = 0.0001;

/// The skin of one tissue.
pub(super) struct Skin {
    tissue: Tissue,
    seed: u64,
    pigments: Pigments,
    /// Size of its texture, 1 is the usual.
    scale: f32,
    fat: f32,
    blood: f32,
    /// Finds the vessels' pieces at a place.
    tree: Bvh2,
}

/// Parts of each pigment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pigments {
    blood: f32,
    carotene: f32,
    dark: f32,
}

/// A vessel below a place: how much of it light goes through there, and its radius, in metres.
#[derive(Debug, Clone, Copy)]
struct Vessel {
    depth_m: f32,
    radius_m: f32,
    vein: bool,
}

impl Skin {
    pub(super) fn new(seed: u64, conditions: &Conditions) -> Self {
        let look = conditions.look;
        let tissue = Tissue::with_vessels(seed, look.vessels);
        let boxes: Vec<Aabb> = tissue.vessels().iter().map(around).collect();
        Self {
            tree: build_bvh2(&boxes, BvhBuildParams::fast_build(), &mut Duration::default()),
            tissue,
            seed,
            pigments: pigments(look.palette),
            scale: look.scale as f32,
            fat: conditions.figure(Factor::Fat),
            blood: conditions.figure(Factor::Blood),
        }
    }

    pub(super) fn tissue(&self) -> &Tissue {
        &self.tissue
    }

    pub(super) fn class(&self, place: Vec3A) -> Class {
        if self.is_organ(place) {
            Class::OrganSurface
        } else if self.vessel(place).is_some_and(|vessel| vessel.radius_m > LABELLED_FROM_M) {
            Class::Vessel
        } else {
            Class::BackgroundTissue
        }
    }

    /// Where light meets the skin, and how it is taken.
    pub(super) fn surface(&self, hit: &Hit) -> Surface {
        let at = hit.place;
        let pool = self.pool(at);
        let relief_m = self.relief_m(at);
        let rise = |way: Vec3A| (self.relief_m(at + way * STEP_M) - relief_m) / STEP_M;
        let slope = Vec3A::new(rise(Vec3A::X), rise(Vec3A::Y), 0.0) * (1.0 - 0.8 * pool);
        let organ = self.is_organ(at);
        let wet = 0.5 + 0.5 * self.noise(at, 7, 0.011);
        Surface {
            normal: (hit.normal - slope.reject_from_normalized(hit.normal)).normalize(),
            color: self.color(at, organ) * ((2.2 * BLOOD + 0.7 * DARK) * -pool).exp(),
            mirror: Vec3A::splat(0.028),
            rough: 0.05 + 0.13 * wet * (1.0 - pool),
        }
    }

    fn color(&self, at: Vec3A, organ: bool) -> Vec3A {
        let mottled = 0.6 * self.noise(at, 11, 0.013) + 0.4 * self.noise(at, 12, 0.0037);
        let Pigments { blood, carotene, dark } = self.pigments;
        if organ {
            let fine = 0.10 * self.noise(at, 13, 0.0011);
            let organ = (1.7 * blood + 0.25) * BLOOD + carotene * CAROTENE + (dark + 0.35) * DARK;
            return SCATTER * (-organ * (1.0 + 0.12 * mottled + fine)).exp();
        }
        let fat = self.fatness(at);
        // Pale fibres that run one way and bend.
        let bent = at + Vec3A::new(0.0, 0.009 * self.noise(at, 14, 0.03), 0.0);
        let fibre = self.noise(bent * Vec3A::new(0.10, 1.0, 1.0), 15, 0.0011).max(0.0);
        let muscle = blood * (1.0 + 0.45 * mottled - 0.35 * fibre);
        let blood = muscle + (0.26 + 0.12 * mottled - muscle) * fat;
        let carotene = carotene + (0.75 + 0.2 * mottled - carotene) * fat;
        let taken = blood.max(0.05) * BLOOD + carotene * CAROTENE + dark * (1.0 - fat) * DARK;
        let vessel = self.vessel(at).map_or(Vec3A::ZERO, |vessel| {
            let parts = 1.5 * (vessel.depth_m / 0.001).min(1.0);
            parts * if vessel.vein { VENOUS } else { BLOOD }
        });
        SCATTER * (-taken - vessel).exp()
    }

    /// The skin's height above the tissue's smooth shape: lumps, and round vessels.
    fn relief_m(&self, at: Vec3A) -> f32 {
        if self.is_organ(at) {
            return 0.00008 * self.noise(at, 21, 0.006) + 0.00001 * self.noise(at, 22, 0.0012);
        }
        let fat = self.fatness(at);
        let lobules = self.noise(at, 23, 0.0055).abs() * 0.0006 * fat;
        let lumps = self.noise(at, 24, 0.0048) * 0.00034 + self.noise(at, 25, 0.0016) * 0.00007;
        let grain = self.noise(at, 26, 0.0006) * 0.000016;
        lobules + lumps + grain + self.vessel(at).map_or(0.0, |vessel| 0.2 * vessel.depth_m)
    }

    fn fatness(&self, at: Vec3A) -> f32 {
        let patches = [(31, 0.031, 0.60), (32, 0.012, 0.28), (33, 0.0045, 0.18)];
        smooth(self.layers(at, patches) + 2.2 * self.fat, 0.20, 0.48)
    }

    /// How deep blood stands, 0 to 1.
    fn pool(&self, at: Vec3A) -> f32 {
        if self.blood <= 0.0 {
            return 0.0;
        }
        let pools = [(41, 0.017, 0.60), (42, 0.0065, 0.28), (43, 0.0023, 0.18)];
        smooth(self.layers(at, pools) + 1.4 * self.blood, 0.38, 0.68)
    }

    fn is_organ(&self, at: Vec3A) -> bool {
        self.tissue.organ().distance(Point2::new(f64::from(at.x), f64::from(at.y))) < RIM
    }

    fn vessel(&self, at: Vec3A) -> Option<Vessel> {
        let place = at.truncate();
        let mut deepest: Option<Vessel> = None;
        self.tree.point_traverse(place.extend(0.0).into(), |tree, node| {
            let node = &tree.nodes[node as usize];
            let leaf = node.first_index as usize..(node.first_index + node.prim_count) as usize;
            for at in &tree.primitive_indices[leaf] {
                let found = below(&self.tissue.vessels()[*at as usize], place);
                deepest = found.into_iter().chain(deepest).max_by(|a, b| a.depth_m.total_cmp(&b.depth_m));
            }
            true
        });
        deepest
    }

    /// Noise of several layers: each its number, the size of its features in metres, and its weight.
    fn layers(&self, at: Vec3A, layers: [(u64, f32, f32); 3]) -> f32 {
        layers.map(|(layer, size_m, weight)| weight * self.noise(at, layer, size_m)).iter().sum()
    }

    /// Noise from -1 to 1, seen from above, of a layer with features of this size in metres. Each layer lies turned, so that no
    /// two have their grid in common.
    fn noise(&self, at: Vec3A, layer: u64, size_m: f32) -> f32 {
        let place = Vec2::from_angle(2.4 * layer as f32).rotate(at.truncate()) / (size_m * self.scale);
        value_noise(self.seed.rotate_left(17) ^ layer, f64::from(place.x), f64::from(place.y)) as f32
    }
}

/// The vessel's piece below a place, if it is there: round, so that less of it is below its sides.
fn below(piece: &VesselPiece, place: Vec2) -> Option<Vessel> {
    let [from, to] = [piece.from_m, piece.to_m].map(|end| Vec2::new(end.x as f32, end.y as f32));
    let along = to - from;
    let share = ((place - from).dot(along) / along.length_squared()).clamp(0.0, 1.0);
    let [thick, thin] = [piece.from_radius_m, piece.to_radius_m].map(|radius_m| radius_m as f32);
    let radius_m = thick + (thin - thick) * share;
    let half_m = (radius_m.powi(2) - place.distance_squared(from + along * share)).sqrt();
    (half_m > 0.0).then_some(Vessel { depth_m: 2.0 * half_m, radius_m, vein: piece.vein })
}

fn around(piece: &VesselPiece) -> Aabb {
    let reach = Vec3A::new(piece.from_radius_m as f32, piece.from_radius_m as f32, 0.001);
    let [from, to] = [piece.from_m, piece.to_m].map(|end| Vec3A::new(end.x as f32, end.y as f32, 0.0));
    Aabb::new(from.min(to) - reach, from.max(to) + reach)
}

fn pigments(palette: Palette) -> Pigments {
    let of = |blood, carotene, dark| Pigments { blood, carotene, dark };
    match palette {
        Palette::Rose => of(0.85, 0.25, 0.05),
        Palette::Pale => of(0.40, 0.15, 0.02),
        Palette::Red => of(1.45, 0.20, 0.30),
        Palette::Yellow => of(0.38, 0.90, 0.05),
        Palette::Brown => of(0.70, 0.50, 0.65),
        Palette::Violet => of(0.52, 0.00, 0.55),
    }
}

fn smooth(value: f32, low: f32, high: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}
