//! Where the tip may be while it follows a hand.
//!
//! Invariant: the region is convex, contains the home position, and lies wholly within the arm's reach and beyond its
//! singularity at the remote centre; reading the arm's file checks the last two.

use nalgebra::{Point3, Vector3};

use crate::fence::WALLS;
use crate::region::Clearance;

/// A ball around the remote centre, the cone of shafts about the base's -z axis, and the half space below a depth, all
/// in the base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workspace {
    /// Least depth below the remote centre, along -z.
    pub depth_m_min: f64,
    /// Greatest distance from the remote centre.
    pub reach_m_max: f64,
    /// Greatest angle between the -z axis and the line from the remote centre to the tip; under a quarter turn.
    pub half_angle_rad_max: f64,
    /// Targets are kept this far inside, so that the bent path between two targets stays inside too.
    pub target_inset_m: f64,
}

impl Workspace {
    /// How far outside the point is, at most, m; 0 inside.
    pub fn outside_m(&self, base_point: &Point3<f64>) -> f64 {
        let depth_m = -base_point.z;
        let lateral_m = base_point.x.hypot(base_point.y);
        let (sin, cos) = self.half_angle_rad_max.sin_cos();
        let beyond_cone_m = lateral_m * cos - depth_m * sin;
        let beyond_ball_m = base_point.coords.norm() - self.reach_m_max;
        (self.depth_m_min - depth_m).max(beyond_cone_m).max(beyond_ball_m).max(0.0)
    }

    /// How far the point is inside each face, and which way is in: the cap, the cone, the ball.
    pub(crate) fn walls(&self, base_point: &Point3<f64>) -> [Clearance; WALLS] {
        let lateral_m = base_point.x.hypot(base_point.y);
        let (sin, cos) = self.half_angle_rad_max.sin_cos();
        // On the axis every way is towards the cone, and the cone is far.
        let aside = if lateral_m > 0.0 { 1.0 / lateral_m } else { 0.0 };
        let reach_m = base_point.coords.norm();
        [
            Clearance { distance_m: -base_point.z - self.depth_m_min, outward: -Vector3::z() },
            Clearance {
                distance_m: -base_point.z * sin - lateral_m * cos,
                outward: Vector3::new(-base_point.x * aside * cos, -base_point.y * aside * cos, -sin),
            },
            Clearance {
                distance_m: self.reach_m_max - reach_m,
                outward: -base_point.coords / reach_m.max(1e-9),
            },
        ]
    }

    /// The point itself if it is inside the inset region, else one on the inset region's boundary. Continuous, so a
    /// hand that pushes outward slides along the wall.
    pub(crate) fn keep_inside(&self, base_point: &Point3<f64>) -> Point3<f64> {
        let inset_m = self.target_inset_m;
        let depth_m = (-base_point.z).max(self.depth_m_min + inset_m);
        // The inset cone is the cone moved down its axis until its wall is `inset_m` away.
        let apex_m = inset_m / self.half_angle_rad_max.sin();
        let lateral_m_max = (depth_m - apex_m).max(0.0) * self.half_angle_rad_max.tan();
        let lateral_m = base_point.x.hypot(base_point.y);
        let narrow = if lateral_m > lateral_m_max { lateral_m_max / lateral_m } else { 1.0 };
        let in_cone = Point3::new(base_point.x * narrow, base_point.y * narrow, -depth_m);
        self.shorten_to_reach(in_cone, apex_m)
    }

    /// Draws the point towards the inset cone's apex, which keeps it in that cone.
    fn shorten_to_reach(&self, base_point: Point3<f64>, apex_m: f64) -> Point3<f64> {
        let reach_m = self.reach_m_max - self.target_inset_m;
        if base_point.coords.norm() <= reach_m {
            return base_point;
        }
        let base_apex = Point3::new(0.0, 0.0, -apex_m);
        let ray = (base_point - base_apex).normalize();
        // |apex + t ray| = reach, the positive root.
        let along = base_apex.coords.dot(&ray);
        let t = -along + (along * along + reach_m * reach_m - apex_m * apex_m).sqrt();
        base_apex + ray * t
    }
}
