//! The tissue of a seed: its height field, its organ and its vessels. Pure: no device, no clock.
//!
//! The tissue's frame has z out of the tissue (toward the camera) and its origin in the middle of the field of
//! work. The surface is a height over x and y; it rises to the sides like the inside of a body.

use nalgebra::{Point2, Rotation2, Vector2, Vector3};

use crate::random::{SplitMix64, value_noise};

/// Side of the square of tissue, in metres.
pub const TISSUE_SIDE_M: f64 = 0.32;
/// Largest height of the tissue within [`WORK_RADIUS_M`] of the middle, in metres; the least is its negative.
pub const WORK_HEIGHT_M: f64 = 0.006;
/// Radius of the field of work around the origin, which organ and walls leave free, in metres.
pub const WORK_RADIUS_M: f64 = 0.03;

/// Vessels that come in from outside.
const TRUNKS: f64 = 9.0;
/// Most pieces of vessel in a tissue.
const VESSEL_PIECES_MAX: usize = 6000;
/// Where the body's walls begin to rise, from the middle, in metres.
const WALL_FROM_M: f64 = 0.075;

/// A rounded organ that bulges out of the tissue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Organ {
    pub(crate) centre_m: Point2<f64>,
    pub(crate) half_axes_m: Vector2<f64>,
    pub(crate) turned_rad: f64,
    pub(crate) height_m: f64,
}

impl Organ {
    /// 0 in the middle, 1 at half of its height, more outside.
    pub(crate) fn distance(&self, at_m: Point2<f64>) -> f64 {
        let local = Rotation2::new(-self.turned_rad) * (at_m - self.centre_m);
        local.component_div(&self.half_axes_m).norm()
    }

    /// A dome with a steep but rounded rim, as of an organ that lies in the tissue.
    fn height_at_m(&self, at_m: Point2<f64>) -> f64 {
        self.height_m / (1.0 + self.distance(at_m).powi(8))
    }
}

/// A short straight piece of a vessel, as wide at either end as given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct VesselPiece {
    pub(crate) from_m: Point2<f64>,
    pub(crate) to_m: Point2<f64>,
    pub(crate) from_radius_m: f64,
    pub(crate) to_radius_m: f64,
    pub(crate) vein: bool,
}

/// The tissue of one seed.
#[derive(Debug, Clone)]
pub struct Tissue {
    seed: u64,
    organ: Organ,
    vessels: Vec<VesselPiece>,
}

impl Tissue {
    /// Grows the tissue of a seed. The same seed gives the same tissue.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_vessels(seed, 1.0)
    }

    /// The same, with another amount of vessels: 1 is the usual one. Its surface is the same.
    pub(crate) fn with_vessels(seed: u64, amount: f64) -> Self {
        let mut random = SplitMix64::new(seed);
        let organ = place_organ(&mut random);
        let vessels = grow_vessels(&mut random, (TRUNKS * amount).round().max(1.0) as usize);
        Self { seed, organ, vessels }
    }

    /// Height of the surface above the tissue frame's xy plane, in metres; `x_m` and `y_m` in that frame.
    #[must_use]
    pub fn height_m(&self, x_m: f64, y_m: f64) -> f64 {
        let at_m = Point2::new(x_m, y_m);
        let from_middle_m = at_m.coords.norm();
        let noise = |layer: u64, size_m: f64| value_noise(self.seed ^ layer, x_m / size_m, y_m / size_m);
        let swell = noise(1, 0.055) * 0.0035 + noise(2, 0.021) * 0.0015 + noise(3, 0.009) * 0.0005;
        let beyond_m = (from_middle_m - WALL_FROM_M).max(0.0);
        let wall = beyond_m * beyond_m * (6.0 + 1.5 * noise(4, 0.05));
        let folds = noise(5, 0.03) * 0.010 * smooth(from_middle_m, 0.05, 0.11);
        swell + wall + folds + self.organ.height_at_m(at_m)
    }

    /// The surface's outward direction at a place, in the tissue's frame.
    #[must_use]
    pub fn normal(&self, x_m: f64, y_m: f64) -> Vector3<f64> {
        const STEP_M: f64 = 0.0005;
        let slope_x = self.height_m(x_m + STEP_M, y_m) - self.height_m(x_m - STEP_M, y_m);
        let slope_y = self.height_m(x_m, y_m + STEP_M) - self.height_m(x_m, y_m - STEP_M);
        Vector3::new(-slope_x, -slope_y, 2.0 * STEP_M).normalize()
    }

    pub(crate) fn organ(&self) -> &Organ {
        &self.organ
    }

    pub(crate) fn vessels(&self) -> &[VesselPiece] {
        &self.vessels
    }
}

fn smooth(value: f64, low: f64, high: f64) -> f64 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Beside the field of work, never over it: its nearest outline stays outside [`WORK_RADIUS_M`].
fn place_organ(random: &mut SplitMix64) -> Organ {
    /// At this many half axes from its middle the organ is a few percent of its height.
    const RIM: f64 = 1.4;
    let half_axes_m = Vector2::new(random.between(0.036, 0.044), random.between(0.024, 0.030));
    let bearing_rad = random.between(0.0, std::f64::consts::TAU);
    let away_m = WORK_RADIUS_M + half_axes_m.y * RIM + random.between(0.000, 0.004);
    let centre_m = Point2::from(Rotation2::new(bearing_rad) * Vector2::new(away_m, 0.0));
    // Its long side lies along the field's edge.
    let turned_rad = bearing_rad + std::f64::consts::FRAC_PI_2 + random.between(-0.15, 0.15);
    Organ { centre_m, half_axes_m, turned_rad, height_m: random.between(0.016, 0.022) }
}

/// A tip of a growing vessel.
struct Shoot {
    at_m: Point2<f64>,
    heading_rad: f64,
    radius_m: f64,
    vein: bool,
}

fn grow_vessels(random: &mut SplitMix64, trunks: usize) -> Vec<VesselPiece> {
    let mut pieces = Vec::new();
    let mut shoots: Vec<Shoot> = (0..trunks).map(|i| trunk(random, i % 2 == 0)).collect();
    while let Some(shoot) = shoots.pop() {
        grow(shoot, random, &mut pieces, &mut shoots);
    }
    pieces
}

/// Begins outside the field of work and heads roughly across it.
fn trunk(random: &mut SplitMix64, vein: bool) -> Shoot {
    let bearing_rad = random.between(0.0, std::f64::consts::TAU);
    let at_m = Point2::from(Rotation2::new(bearing_rad) * Vector2::new(random.between(0.09, 0.14), 0.0));
    let heading_rad = bearing_rad + std::f64::consts::PI + random.between(-0.7, 0.7);
    let radius_m = if vein { random.between(0.0008, 0.0013) } else { random.between(0.0005, 0.0009) };
    Shoot { at_m, heading_rad, radius_m, vein }
}

/// Grows one vessel to its end, thinner step by step, and leaves its branches in `shoots`.
fn grow(mut shoot: Shoot, random: &mut SplitMix64, pieces: &mut Vec<VesselPiece>, shoots: &mut Vec<Shoot>) {
    const STEP_M: f64 = 0.0016;
    const THINNEST_M: f64 = 0.00016;
    let mut curl = 0.0;
    while shoot.radius_m > THINNEST_M && pieces.len() < VESSEL_PIECES_MAX {
        curl = 0.75 * curl + random.between(-0.13, 0.13);
        shoot.heading_rad += curl;
        let to_m = shoot.at_m + Rotation2::new(shoot.heading_rad) * Vector2::new(STEP_M, 0.0);
        let to_radius_m = shoot.radius_m * random.between(0.968, 0.998);
        pieces.push(VesselPiece {
            from_m: shoot.at_m,
            to_m,
            from_radius_m: shoot.radius_m,
            to_radius_m,
            vein: shoot.vein,
        });
        if random.between(0.0, 1.0) < 0.10 {
            shoots.push(branch(&shoot, to_m, random));
            shoot.radius_m *= 0.93;
        }
        shoot.at_m = to_m;
        shoot.radius_m = shoot.radius_m.min(to_radius_m);
    }
}

fn branch(parent: &Shoot, at_m: Point2<f64>, random: &mut SplitMix64) -> Shoot {
    let side = if random.between(0.0, 1.0) < 0.5 { -1.0 } else { 1.0 };
    Shoot {
        at_m,
        heading_rad: parent.heading_rad + side * random.between(0.4, 1.0),
        radius_m: parent.radius_m * random.between(0.45, 0.7),
        vein: parent.vein,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tissue belongs to its seed: the same again for the same, another for another.
    #[test]
    fn a_seed_grows_the_same_tissue_every_time() {
        let (one, again, other) = (Tissue::new(7), Tissue::new(7), Tissue::new(8));
        assert_eq!(one.vessels, again.vessels);
        assert_eq!(one.height_m(0.011, -0.02), again.height_m(0.011, -0.02));
        assert_ne!(one.vessels, other.vessels);
    }

    /// Work is done in the middle: there the surface stays within its stated height for every seed.
    #[test]
    fn the_field_of_work_stays_within_its_height() {
        for seed in 0..200 {
            let tissue = Tissue::new(seed);
            for i in 0..400 {
                let turn = Rotation2::new(f64::from(i) * 2.4);
                let at = turn * Vector2::new(WORK_RADIUS_M * f64::from(i) / 400.0, 0.0);
                let height_m = tissue.height_m(at.x, at.y);
                assert!(height_m.abs() <= WORK_HEIGHT_M, "seed {seed}: {height_m} m at {at}");
            }
        }
    }

    /// Vessels are bounded in number and none is endless.
    #[test]
    fn vessels_are_many_and_bounded() {
        for seed in 0..50 {
            let count = Tissue::new(seed).vessels.len();
            assert!((200..=VESSEL_PIECES_MAX).contains(&count), "seed {seed}: {count} pieces");
        }
    }
}
