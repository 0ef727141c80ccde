//! From a state to what is drawn of it: casters of shadows, marks on tiles, the part that solids cover. Pure.

use nalgebra::{Point2, Point3};

use crate::compose::Bodies;
use crate::cover::{self, CASTERS_MAX, Cover, Patch};
use crate::instrument::{Bone, Posture};
use crate::solids::Crop;
use crate::state::{Goal, SceneState, Target, TargetShape};
use crate::view::View;

/// How much farther than a bone's radius its part's surface reaches, in metres.
const PART_MARGIN_M: f64 = 0.0022;

/// What one state puts into the picture besides the tissue.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) bodies: Bodies,
    pub(crate) cover: Cover,
    /// Where solids are drawn, if any shows.
    pub(crate) crop: Option<Crop>,
    casters: usize,
    /// Where the tissue behind each tile is.
    patches: Vec<Patch>,
    outline_px: Vec<Point2<f64>>,
    solids_px: Extent,
}

/// A growing rectangle of pixels.
#[derive(Debug, Clone, Copy)]
struct Extent {
    from: [f64; 2],
    to: [f64; 2],
}

impl Extent {
    const EMPTY: Self = Self { from: [f64::INFINITY; 2], to: [f64::NEG_INFINITY; 2] };

    fn take(&mut self, points: &[Point2<f64>]) {
        for point in points {
            for axis in 0..2 {
                self.from[axis] = self.from[axis].min(point[axis]);
                self.to[axis] = self.to[axis].max(point[axis]);
            }
        }
    }
}

impl Staging {
    pub(crate) fn new(width_px: u32, height_px: u32) -> Self {
        Self {
            bodies: Bodies::none(),
            cover: Cover::new(width_px, height_px),
            crop: None,
            casters: 0,
            patches: Vec::new(),
            outline_px: Vec::with_capacity(32),
            solids_px: Extent::EMPTY,
        }
    }

    /// Takes over a new picture of the tissue: its distances in metres, in rows of `row` numbers.
    pub(crate) fn lay_out(&mut self, view: &View, distance_m: &[f32], row: usize) {
        self.patches = cover::patches(view, distance_m, row);
    }

    /// Begins anew with this state.
    pub(crate) fn set(&mut self, view: &View, state: &SceneState, postures: &[Posture]) {
        self.bodies = Bodies::none();
        self.cover.clear();
        self.casters = 0;
        self.solids_px = Extent::EMPTY;
        for bone in postures.iter().flat_map(|p| &p.bones) {
            self.add_solid(view, bone, PART_MARGIN_M);
            self.add_caster(view, bone);
        }
        for target in &state.targets {
            self.add_solid(view, &target_extent(target), 0.0);
            target_bones(target).for_each(|bone| self.add_caster(view, &bone));
        }
        for (number, goal) in state.goals.iter().enumerate() {
            self.add_goal(number, goal);
        }
        self.crop = Crop::around(self.solids_px.from, self.solids_px.to, view.width_px, view.height_px);
    }

    fn add_solid(&mut self, view: &View, bone: &Bone, margin_m: f64) {
        let thick = Bone { radius_m: bone.radius_m + margin_m, ..*bone };
        if let Some(visible) = cover::in_sight(view, &thick) {
            cover::body_outline(view, &visible, &mut self.outline_px);
            self.cover.mark_solid(&self.outline_px);
            self.solids_px.take(&self.outline_px);
        }
    }

    fn add_caster(&mut self, view: &View, bone: &Bone) {
        let Some(caster) = cover::below_light(view, bone).filter(|_| self.casters < CASTERS_MAX) else {
            return;
        };
        self.cover.mark_caster(self.casters, &caster, view, &self.patches);
        self.bodies.set_caster(self.casters, &caster);
        self.casters += 1;
    }

    /// A goal's ink fades out within one and a half radii above and below its middle.
    fn add_goal(&mut self, number: usize, goal: &Goal) {
        self.cover.mark_goal(number, &goal.centre_m, goal.radius_m * 1.9, &self.patches);
        self.bodies.set_goal(number, goal);
    }
}

/// A ball around all of a target.
fn target_extent(target: &Target) -> Bone {
    let middle_m: Point3<f64> = target.base_from_target.translation.vector.into();
    Bone { from_m: middle_m, to_m: middle_m, radius_m: target.radius_m * 1.2 }
}

/// What of a target casts a shadow: a ball as it is, an arc as a chain of ten or five segments.
fn target_bones(target: &Target) -> impl Iterator<Item = Bone> {
    let (segments, sweep_rad, thickness) = match target.shape {
        TargetShape::Sphere => (1, 0.0, 1.0),
        TargetShape::Ring => (10, std::f64::consts::TAU, 0.17),
        TargetShape::Needle => (5, std::f64::consts::PI, 0.055),
    };
    let on_arc = if target.shape == TargetShape::Sphere { 0.0 } else { target.radius_m };
    let (pose, radius_m) = (target.base_from_target, target.radius_m * thickness);
    let at = move |i: u32| {
        let (sin, cos) = (sweep_rad * f64::from(i) / f64::from(segments)).sin_cos();
        pose * Point3::new(on_arc * cos, on_arc * sin, 0.0)
    };
    (0..segments).map(move |i| Bone { from_m: at(i), to_m: at(i + 1), radius_m })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{TARGETS_MAX, TOOLS_MAX};

    /// The fullest state still has a number for every caster.
    #[test]
    fn the_fullest_state_has_room_for_every_caster() {
        let largest = [TargetShape::Sphere, TargetShape::Ring, TargetShape::Needle].map(|shape| {
            let target = Target {
                shape,
                base_from_target: nalgebra::Isometry3::identity(),
                radius_m: 0.003,
                grasped: false,
            };
            target_bones(&target).count()
        });
        assert!(4 * TOOLS_MAX + TARGETS_MAX * largest.into_iter().max().unwrap() <= CASTERS_MAX);
    }
}
