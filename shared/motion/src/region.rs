//! Forbidden regions: convex bodies in the base frame that the tool keeps out of; a region given in another frame is first
//! written in the base's ([`Region::seen_from`]).
//!
//! Invariant: a [`Region`] is finite and within its bounds, so its distance is a number everywhere, and changes by no more
//! than the point moves.

use nalgebra::{Isometry3, Point3, Unit, UnitQuaternion, Vector3};

/// Regions in force at once.
pub const REGIONS_MAX: usize = 8;
/// Farthest from the remote centre that a region may be placed, and the longest it may be, m.
const PLACE_M_MAX: f64 = 1.0;
/// Shorter than this a direction is none.
const DIRECTION_MIN: f64 = 1e-6;

/// A convex body that neither the tip nor the jaws' ends enter; of an endoscope, neither the lens nor the point its arm's
/// file keeps clear before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region(Shape);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Capsule { from: Point3<f64>, along: Vector3<f64>, radius_m: f64 },
    HalfSpace { point: Point3<f64>, outward: Unit<Vector3<f64>> },
    Block { box_from_base: Isometry3<f64>, half_m: Vector3<f64> },
}

/// Why a region was refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RegionError {
    #[error("the region's {what} is {value}, allowed is {min} to {max}")]
    Value { what: &'static str, value: f64, min: f64, max: f64 },
    #[error("the region's direction has no length")]
    NoDirection,
}

/// How far a point is outside, and which way is out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clearance {
    /// Negative inside.
    pub(crate) distance_m: f64,
    pub(crate) outward: Vector3<f64>,
}

impl Region {
    /// All points within the radius of a line, such as a vessel's piece; a ball where both ends are the same.
    pub fn capsule(from_m: [f64; 3], to_m: [f64; 3], radius_m: f64) -> Result<Self, RegionError> {
        placed(&from_m)?;
        placed(&to_m)?;
        within("radius_m", radius_m, 1e-4, PLACE_M_MAX)?;
        let from = Point3::from(from_m);
        Ok(Self(Shape::Capsule { from, along: Point3::from(to_m) - from, radius_m }))
    }

    /// Everything behind a plane through the point, whose normal points to where the tool may be.
    pub fn half_space(point_m: [f64; 3], outward: [f64; 3]) -> Result<Self, RegionError> {
        placed(&point_m)?;
        placed(&outward)?;
        let outward = Unit::try_new(Vector3::from(outward), DIRECTION_MIN).ok_or(RegionError::NoDirection)?;
        Ok(Self(Shape::HalfSpace { point: point_m.into(), outward }))
    }

    /// A box by its centre, its turn, and half its lengths.
    pub fn block(centre_m: [f64; 3], wxyz: [f64; 4], half_m: [f64; 3]) -> Result<Self, RegionError> {
        placed(&centre_m)?;
        half_m.iter().try_for_each(|&half| within("half_m", half, 1e-4, PLACE_M_MAX))?;
        wxyz.iter().try_for_each(|&part| within("orientation_wxyz", part, -1.0, 1.0))?;
        let [w, x, y, z] = wxyz;
        let turn = UnitQuaternion::try_new(nalgebra::Quaternion::new(w, x, y, z), DIRECTION_MIN)
            .ok_or(RegionError::NoDirection)?;
        let base_from_box = Isometry3::from_parts(centre_m.into(), turn);
        Ok(Self(Shape::Block { box_from_base: base_from_box.inverse(), half_m: half_m.into() }))
    }

    /// The same region, which is given in an outer frame, as it lies in a frame whose pose there is `outer_from_inner`: the
    /// kit's regions, say, as an arm sees them from its mount.
    pub fn seen_from(&self, outer_from_inner: &Isometry3<f64>) -> Self {
        let inner_from_outer = outer_from_inner.inverse();
        Self(match &self.0 {
            Shape::Capsule { from, along, radius_m } => Shape::Capsule {
                from: inner_from_outer * from,
                along: inner_from_outer * along,
                radius_m: *radius_m,
            },
            Shape::HalfSpace { point, outward } => Shape::HalfSpace {
                point: inner_from_outer * point,
                outward: inner_from_outer.rotation * outward,
            },
            Shape::Block { box_from_base, half_m } => {
                Shape::Block { box_from_base: box_from_base * outer_from_inner, half_m: *half_m }
            }
        })
    }

    /// Distance of a point in the base frame from the region, m; negative inside.
    pub fn distance_m(&self, base_point: &Point3<f64>) -> f64 {
        self.clearance(base_point).distance_m
    }

    pub(crate) fn clearance(&self, base_point: &Point3<f64>) -> Clearance {
        match &self.0 {
            Shape::Capsule { from, along, radius_m } => {
                let length2 = along.norm_squared();
                let share = if length2 > 0.0 { (base_point - from).dot(along) / length2 } else { 0.0 };
                let away = base_point - (from + along * share.clamp(0.0, 1.0));
                let distance = away.norm();
                // On the very line every way out is as good as another.
                let outward = if distance > 0.0 { away / distance } else { Vector3::z() };
                Clearance { distance_m: distance - radius_m, outward }
            }
            Shape::HalfSpace { point, outward } => Clearance {
                distance_m: (base_point - point).dot(outward.as_ref()),
                outward: outward.into_inner(),
            },
            Shape::Block { box_from_base, half_m } => {
                let inside = box_from_base * base_point;
                let Clearance { distance_m, outward } = block_clearance(&inside.coords, half_m);
                Clearance { distance_m, outward: box_from_base.rotation.inverse() * outward }
            }
        }
    }
}

/// In the box's own frame.
fn block_clearance(point: &Vector3<f64>, half_m: &Vector3<f64>) -> Clearance {
    let beyond = point.abs() - half_m;
    let outside = beyond.map(|part| part.max(0.0));
    let distance_m = outside.norm();
    if distance_m > 0.0 {
        return Clearance { distance_m, outward: (outside / distance_m).zip_map(point, f64::copysign) };
    }
    let nearest = beyond.imax();
    let mut outward = Vector3::zeros();
    outward[nearest] = 1.0_f64.copysign(point[nearest]);
    Clearance { distance_m: beyond[nearest], outward }
}

fn placed(point: &[f64; 3]) -> Result<(), RegionError> {
    point.iter().try_for_each(|&part| within("place_m", part, -PLACE_M_MAX, PLACE_M_MAX))
}

fn within(what: &'static str, value: f64, min: f64, max: f64) -> Result<(), RegionError> {
    // NaN is in no range.
    if (min..=max).contains(&value) { Ok(()) } else { Err(RegionError::Value { what, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each() -> [Region; 4] {
        [
            Region::capsule([0.01, 0.0, -0.1], [0.03, 0.01, -0.12], 0.005),
            Region::capsule([0.0, 0.0, -0.1], [0.0, 0.0, -0.1], 0.01),
            Region::half_space([0.0, 0.0, -0.15], [0.1, 0.0, 1.0]),
            Region::block([0.0, 0.01, -0.1], [0.9, 0.1, 0.3, 0.2], [0.01, 0.02, 0.005]),
        ]
        .map(|region| region.expect("within bounds"))
    }

    /// Goal: the distance is that of the nearest point: a step outward changes it by the step, a step anywhere by no more.
    #[test]
    fn a_distance_changes_with_the_step_outward() {
        for region in each() {
            for n in 0..2_000_u32 {
                let part = |k: u32| f64::from((n * 7919 + k * 104_729) % 1000) / 1000.0 - 0.5;
                let point = Point3::new(part(1) * 0.1, part(2) * 0.1, -0.11 + part(3) * 0.1);
                let Clearance { distance_m, outward } = region.clearance(&point);
                let out = region.distance_m(&(point + outward * 1e-5));
                assert!((outward.norm() - 1.0).abs() < 1e-12);
                assert!(out - distance_m <= 1e-5 + 1e-12, "{region:?} at {point}");
                if distance_m > 1e-6 {
                    assert!((out - distance_m - 1e-5).abs() < 1e-10, "{region:?} at {point}");
                    let foot = point - outward * distance_m;
                    assert!(region.distance_m(&foot).abs() < 1e-12, "{region:?} at {point}");
                }
            }
        }
    }

    /// Goal: a region seen from another frame is the same region: every point is as far from it, and the same way is out.
    #[test]
    fn a_region_seen_from_another_frame_is_the_same() {
        let turns = [Vector3::zeros(), Vector3::new(0.3, -1.2, 2.0), Vector3::new(-2.8, 0.4, 0.1)];
        for region in each() {
            for turn in turns {
                let outer_from_inner = Isometry3::new(Vector3::new(0.2, -0.15, 0.03), turn);
                let seen = region.seen_from(&outer_from_inner);
                for n in 0..500_u32 {
                    let part = |k: u32| f64::from((n * 7919 + k * 104_729) % 1000) / 1000.0 - 0.5;
                    let point = Point3::new(part(1) * 0.1, part(2) * 0.1, -0.11 + part(3) * 0.1);
                    let there = region.clearance(&point);
                    let here = seen.clearance(&outer_from_inner.inverse_transform_point(&point));
                    assert!((here.distance_m - there.distance_m).abs() < 1e-12, "{region:?} at {point}");
                    let outward = outer_from_inner * here.outward;
                    assert!((outward - there.outward).norm() < 1e-9, "{region:?} at {point}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_or_too_large_is_refused() {
        assert!(Region::capsule([f64::NAN, 0.0, 0.0], [0.0; 3], 0.01).is_err());
        assert!(Region::capsule([0.0; 3], [0.0; 3], 0.0).is_err());
        assert!(Region::capsule([0.0; 3], [0.0, 0.0, 2.0], 0.01).is_err());
        assert_eq!(Region::half_space([0.0; 3], [0.0; 3]), Err(RegionError::NoDirection));
        assert!(Region::half_space([0.0; 3], [f64::INFINITY, 0.0, 0.0]).is_err());
        assert_eq!(Region::block([0.0; 3], [0.0; 4], [0.01; 3]), Err(RegionError::NoDirection));
        let refused = Region::block([0.0; 3], [1.0, 0.0, 0.0, 0.0], [0.01, 5.0, 0.01]).unwrap_err();
        assert_eq!(refused.to_string(), "the region's half_m is 5, allowed is 0.0001 to 1");
    }
}
