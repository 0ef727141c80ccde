//! A ring, which the jaws take by its rim.

use nalgebra::{Isometry3, Point3, Vector3};

use super::{Hand, Object, Shape};

/// To the middle of the tube, and of the tube: as the scene draws a ring of this radius.
pub(super) const RADIUS_M: f64 = 0.0032;
pub(super) const TUBE_M: f64 = 0.17 * RADIUS_M;
/// What fits through it.
pub(super) const HOLE_M: f64 = RADIUS_M - TUBE_M;
/// It lies between the jaws when its rim is this near to their end.
const GRASP_M: f64 = 0.0015;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ring {
    /// z along its axis.
    pub(super) pose: Isometry3<f64>,
}

impl Ring {
    pub(super) fn centre(&self) -> Point3<f64> {
        self.pose.translation.vector.into()
    }

    pub(super) fn axis(&self) -> Vector3<f64> {
        self.pose * Vector3::z()
    }

    /// From a place to the middle line of its tube.
    pub(super) fn rim_distance_m(&self, at: &Point3<f64>) -> f64 {
        let local = self.pose.inverse_transform_point(at);
        (local.x.hypot(local.y) - RADIUS_M).hypot(local.z)
    }

    pub(super) fn is_between(&self, hand: &Hand) -> bool {
        self.rim_distance_m(&hand.at()) <= GRASP_M
    }

    pub(super) fn object(&self, held: bool) -> Object {
        Object { shape: Shape::Ring, base_from_object: self.pose, radius_m: RADIUS_M, held }
    }
}
