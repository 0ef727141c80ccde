//! Where light comes from, how surfaces take it, and what comes back.

use std::f32::consts::{FRAC_PI_2, PI};

use glam::Vec3A;

use super::bodies::{Bodies, Hit, Matter};
use super::{Eye, Random};
use crate::conditions::{Finish, Instrument};
use crate::mesh::Material;

/// Where the ends of the fibres are: so far to either side of the lens, each of this radius, in metres.
const ASIDE_M: f32 = 0.0045;
const FIBRES_M: f32 = 0.0018;
/// What comes from where no ray meets anything: the body's walls, faintly lit.
const WALLS: Vec3A = Vec3A::new(0.050, 0.017, 0.012);
/// Met by light that comes back, a mirror is at least as rough as this; a single ray would sparkle otherwise.
const BLURRED: f32 = 0.5;
/// How rough tissue is to Oren and Nayar, in radians.
const MATT: f32 = 0.5;

/// The two lamps, and what they shine on.
pub(super) struct Light<'a> {
    bodies: &'a Bodies,
    lamps: [Vec3A; 2],
    forward: Vec3A,
    /// Their strength at one metre: together they give 1 to what is in the picture's middle.
    strength: f32,
}

/// How a surface takes light.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surface {
    pub(super) normal: Vec3A,
    /// What comes back in all directions.
    pub(super) color: Vec3A,
    /// What is mirrored head on.
    pub(super) mirror: Vec3A,
    /// The mirror's roughness, GGX's alpha.
    pub(super) rough: f32,
}

impl<'a> Light<'a> {
    pub(super) fn new(eye: &Eye, bodies: &'a Bodies) -> Self {
        let lamps = [-ASIDE_M, ASIDE_M].map(|aside_m| eye.place + eye.right * aside_m);
        let middle = bodies.met(eye.place, eye.forward, eye.nearest_m);
        let set_m = middle.map_or(0.1, |hit| hit.place.distance(eye.place)).max(0.02);
        Self { bodies, lamps, forward: eye.forward, strength: set_m * set_m * PI / 2.0 }
    }

    /// What is seen of a hit by looking this way: its light from the lamps, and once what comes from something else.
    pub(super) fn seen(&self, hit: Option<&Hit>, way: Vec3A, random: &mut Random) -> Vec3A {
        let Some(hit) = hit else { return WALLS };
        let surface = self.surface(hit);
        let (onward, share) = surface.onward(way, random);
        let other = self.bodies.met(hit.above(), onward, 0.0);
        let other = other.map_or(WALLS, |other| {
            let surface = self.surface(&other);
            let blurred = Surface { rough: surface.rough.max(BLURRED), ..surface };
            self.direct(&other, &blurred, onward, random)
        });
        self.direct(hit, &surface, way, random) + share * other
    }

    /// One ray to somewhere on each lamp.
    fn direct(&self, hit: &Hit, surface: &Surface, way: Vec3A, random: &mut Random) -> Vec3A {
        let mut sum = Vec3A::ZERO;
        for lamp in self.lamps {
            let at = lamp + random.ball().reject_from_normalized(self.forward) * FIBRES_M;
            let to = (at - hit.place).normalize();
            let cone = (-to.dot(self.forward)).max(0.0).powi(2);
            if surface.normal.dot(to) > 0.0 && cone > 0.0 && self.bodies.open(hit, at) {
                let arrives = self.strength * cone / at.distance_squared(hit.place);
                sum += surface.reflects(-way, to) * arrives;
            }
        }
        sum
    }

    fn surface(&self, hit: &Hit) -> Surface {
        match hit.matter {
            Matter::Tissue => self.bodies.skin.surface(hit),
            Matter::Solid { material, of, .. } => solid(hit, material, of),
        }
    }
}

impl Surface {
    fn is_metal(&self) -> bool {
        self.color == Vec3A::ZERO
    }

    /// How much of the light that comes from `light` goes to `eye`, its slant included.
    fn reflects(&self, eye: Vec3A, light: Vec3A) -> Vec3A {
        let (to_light, to_eye) = (self.normal.dot(light), self.normal.dot(eye).max(0.02));
        self.matt(eye.dot(light), to_light, to_eye) * to_light + self.glossy(eye, light)
    }

    /// Oren and Nayar's rough plaster, as Fujii (2012) has it.
    fn matt(&self, between: f32, to_light: f32, to_eye: f32) -> Vec3A {
        let flat = 1.0 / (PI + (FRAC_PI_2 - 2.0 / 3.0) * MATT);
        let s = between - to_light * to_eye;
        let t = if s > 0.0 { to_light.max(to_eye) } else { 1.0 };
        self.color * flat * (1.0 + MATT * s / t)
    }

    /// Facets after GGX, which hide each other after Smith (Heitz 2014).
    fn glossy(&self, eye: Vec3A, light: Vec3A) -> Vec3A {
        let half = (eye + light).normalize_or_zero();
        let (to_light, to_eye) = (self.normal.dot(light), self.normal.dot(eye).max(0.02));
        let squared = self.rough * self.rough;
        let lobe = self.normal.dot(half).powi(2) * (squared - 1.0) + 1.0;
        let facets = squared / (PI * lobe * lobe);
        let hidden = |a: f32, b: f32| a * (squared + (1.0 - squared) * b * b).sqrt();
        let visible = 0.5 / (hidden(to_light, to_eye) + hidden(to_eye, to_light));
        self.mirrored(half.dot(eye)) * facets * visible * to_light
    }

    /// Schlick's share of light that a mirror gives back at this cosine.
    fn mirrored(&self, cosine: f32) -> Vec3A {
        self.mirror + (1.0 - self.mirror) * (1.0 - cosine.clamp(0.0, 1.0)).powi(5)
    }

    /// Another way on which light comes that is seen here, and its share: metal looks along its mirror, the rest all around.
    fn onward(&self, way: Vec3A, random: &mut Random) -> (Vec3A, Vec3A) {
        let around = (self.normal + random.ball() * 0.999).normalize();
        if !self.is_metal() {
            return (around, self.color);
        }
        let facet = (self.normal + random.ball() * self.rough * 0.7).normalize();
        let mirrored = way.reflect(facet);
        let onward = if mirrored.dot(self.normal) > 0.0 { mirrored } else { around };
        (onward, self.mirrored(-way.dot(facet)))
    }
}

/// What instruments and targets are made of.
fn solid(hit: &Hit, material: u32, of: Instrument) -> Surface {
    let worn = f32::from(of.wear.level());
    let metal = |bright: f32, rough: f32| {
        let mirror = Vec3A::new(0.63, 0.61, 0.59) * bright * (1.0 - 0.05 * worn);
        Surface { normal: hit.normal, color: Vec3A::ZERO, mirror, rough: rough + 0.03 * worn }
    };
    let plain = |color: [f32; 3], rough: f32| Surface {
        normal: hit.normal,
        color: color.into(),
        mirror: Vec3A::splat(0.045),
        rough,
    };
    match (material, of.finish) {
        (m, Finish::Black) if m == Material::Shaft as u32 => plain([0.022, 0.022, 0.025], 0.34),
        (m, Finish::Grey) if m == Material::Shaft as u32 => plain([0.16, 0.165, 0.18], 0.45),
        (m, Finish::Banded) if m == Material::Shaft as u32 => {
            // A white ring every centimetre.
            let ring = (hit.along_m * 100.0).rem_euclid(1.0) < 0.25;
            plain([if ring { 0.70 } else { 0.09 }; 3], 0.40)
        }
        (m, _) if m == Material::Carbide as u32 => metal(0.62, 0.42),
        (m, _) if m == Material::Plastic as u32 => plain([0.03, 0.14, 0.60], 0.20),
        (m, _) if m == Material::Ceramic as u32 => plain([0.74, 0.71, 0.63], 0.30),
        _ => metal(1.0, 0.24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no surface gives back more light than it takes, wherever the light comes from, and a bright one gives most of it; the
    /// sum is of random directions, and rounded.
    #[test]
    fn nothing_gives_back_more_than_it_takes() {
        let mut random = Random::new(5);
        for (color, mirror, rough) in [(0.95, 0.03, 0.1), (0.95, 0.03, 0.5), (0.0, 1.0, 0.2), (0.0, 1.0, 0.6)]
        {
            let (color, mirror) = (Vec3A::splat(color), Vec3A::splat(mirror));
            let surface = Surface { normal: Vec3A::Z, color, mirror, rough };
            for slant_rad in [0.1_f32, 0.6, 1.1] {
                let light = Vec3A::new(slant_rad.sin(), 0.0, slant_rad.cos());
                let mut to_all_sides = || {
                    let to = random.ball();
                    let eye = to.with_z(to.z.abs());
                    surface.reflects(eye, light).x / light.z * eye.z * 2.0 * PI
                };
                let back = (0..60_000).map(|_| to_all_sides()).sum::<f32>() / 60_000.0;
                assert!((0.5..1.08).contains(&back), "{surface:?} at {slant_rad}: {back}");
            }
        }
    }
}
