//! Where the tip may be while it follows a hand.
//!
//! Invariant: the region is convex, contains the home position, and lies wholly within the arm's reach and beyond its
//! singularity at the remote centre; reading the arm's file checks the last two.

use nalgebra::Point3;

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
