//! Random states and conditions to learn from or to be judged by. Pure: the same seed and split give the same pictures.

use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};

use crate::conditions::{Conditions, Factor, Finish, Instrument, Kind, Palette, Severity, TissueLook};
use crate::instrument::{JAW_LENGTH_M, PITCH_TO_JAW_AXIS_M};
use crate::random::SplitMix64;
use crate::scene::SceneSettings;
use crate::state::{Camera, SceneState, TOOLS_MAX, Target, TargetShape, Tool};
use crate::tissue::Tissue;

/// Baking another tissue takes as long as drawing a dozen pictures.
const OF_ONE_TISSUE: u64 = 12;
/// No shaft comes nearer to the lens, in metres: it would hide everything.
const CLEAR_OF_LENS_M: f64 = 0.018;
/// The lens stays so far above the tissue below it, in metres.
const LENS_ABOVE_M: f64 = 0.02;
/// So often a place for a camera or a tool is looked for.
const TRIES: u32 = 8;

/// What a sampler may draw. Two splits with nothing in common tell whether a net knows instruments or only these ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Kinds of instruments; none: no picture shows an instrument.
    pub kinds: Vec<Kind>,
    /// Shafts; none: the usual one. What stands here twice comes twice as often.
    pub finishes: Vec<Finish>,
    /// Tissues' colours; none: the usual ones.
    pub palettes: Vec<Palette>,
    /// How bad a factor is at least where it is present.
    pub least: Severity,
    /// And at most.
    pub most: Severity,
    /// Mixed into the tissues' seeds, so that no two splits share a tissue.
    pub tissues: u64,
}

impl Split {
    /// To learn from.
    #[must_use]
    pub fn training() -> Self {
        Self {
            kinds: vec![Kind::NeedleDriver, Kind::WindowedGrasper, Kind::StraightGrasper, Kind::Hook],
            // Most shafts are black.
            finishes: vec![Finish::Black, Finish::Black, Finish::Steel, Finish::Grey],
            palettes: vec![Palette::Rose, Palette::Red, Palette::Yellow, Palette::Violet],
            least: Severity::new(1),
            most: Severity::new(4),
            tissues: 0,
        }
    }

    /// To be judged by: instruments, finishes and colours that [`Self::training`] has not, and the worst severities too.
    #[must_use]
    pub fn held_out() -> Self {
        Self {
            kinds: vec![Kind::Scissors, Kind::Dissector],
            finishes: vec![Finish::Banded],
            palettes: vec![Palette::Pale, Palette::Brown],
            least: Severity::new(1),
            most: Severity::WORST,
            tissues: 0x6865_6c64_206f_7574,
        }
    }

    /// Everything there is: for a net that has been judged and now learns from all.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            kinds: Kind::ALL.into(),
            finishes: [&[Finish::Black; 2], &Finish::ALL[..]].concat(),
            palettes: Palette::ALL.into(),
            least: Severity::new(1),
            most: Severity::WORST,
            tissues: 0x0061_6c6c,
        }
    }
}

/// Draws them, one after the other.
#[derive(Debug, Clone)]
pub struct Sampler {
    random: SplitMix64,
    split: Split,
    tissue: u64,
    /// For its surface alone.
    surface: Tissue,
    look: TissueLook,
    fat: Severity,
    drawn: u64,
}

impl Sampler {
    /// A sampler of this seed.
    #[must_use]
    pub fn new(seed: u64, split: Split) -> Self {
        let random = SplitMix64::new(seed);
        let (look, fat) = (TissueLook::default(), Severity::NONE);
        Self { random, split, tissue: 0, surface: Tissue::new(0), look, fat, drawn: 0 }
    }

    /// The next state and its conditions: a camera somewhere above the tissue of the default settings, none to three
    /// instruments and targets in its view. Some states in a row show the same tissue.
    pub fn draw(&mut self) -> (SceneState, Conditions) {
        if self.drawn.is_multiple_of(OF_ONE_TISSUE) {
            self.another_tissue();
        }
        self.drawn += 1;
        let (x_m, y_m) = (self.within(0.045), self.within(0.045));
        let looked_at = self.on_tissue(x_m, y_m, 0.0);
        let camera = self.camera(looked_at);
        let tools = self.tools(&camera, looked_at);
        let targets = self.targets([x_m, y_m]);
        let state =
            SceneState { camera, tools, targets, goals: Vec::new(), fixtures: Vec::new(), seed: self.tissue };
        (state, self.conditions())
    }

    fn another_tissue(&mut self) {
        self.tissue = self.random.next_u64() ^ self.split.tissues;
        self.surface = Tissue::new(self.tissue);
        self.look = TissueLook {
            palette: self.random.pick(&self.split.palettes).copied().unwrap_or_default(),
            scale: self.random.between(0.6, 1.8),
            vessels: self.random.between(0.3, 1.8),
        };
        self.fat = self.severity(chance(Factor::Fat));
    }

    fn conditions(&mut self) -> Conditions {
        let drawn = Conditions {
            seed: self.random.next_u64(),
            frame: (self.random.next_u64() & 0xffff) as u32,
            motion_rad: self.within(std::f64::consts::PI),
            look: self.look,
            instruments: std::array::from_fn(|_| self.instrument()),
            ..Conditions::default()
        };
        Factor::ALL.into_iter().fold(drawn, |conditions, factor| {
            let severity = if factor == Factor::Fat { self.fat } else { self.severity(chance(factor)) };
            conditions.with(factor, severity)
        })
    }

    fn severity(&mut self, chance: f64) -> Severity {
        if self.random.between(0.0, 1.0) >= chance {
            return Severity::NONE;
        }
        let (least, most) = (f64::from(self.split.least.level()), f64::from(self.split.most.level()));
        // Weak ones are more frequent, as in an operation.
        let share = self.random.between(0.0, 1.0).powf(1.4);
        Severity::new((least + share * (most - least + 1.0)).min(most) as u8)
    }

    fn instrument(&mut self) -> Instrument {
        Instrument {
            kind: self.random.pick(&self.split.kinds).copied().unwrap_or_default(),
            finish: self.random.pick(&self.split.finishes).copied().unwrap_or_default(),
            wear: Severity::new(self.random.between(0.0, 6.0) as u8),
        }
    }

    /// A place so high above the tissue, in the base frame; `x_m` and `y_m` in the tissue's.
    fn on_tissue(&self, x_m: f64, y_m: f64, high_m: f64) -> Point3<f64> {
        let at_m = Point3::new(x_m, y_m, self.surface.height_m(x_m, y_m) + high_m);
        SceneSettings::default().base_from_tissue * at_m
    }

    /// Somewhere above what is looked at, and clear of the tissue; straight above if no such place is found.
    fn camera(&mut self, looked_at: Point3<f64>) -> Camera {
        let clear = (0..TRIES).find_map(|_| {
            let eye = self.eye(looked_at);
            let tissue_eye = SceneSettings::default().base_from_tissue.inverse_transform_point(&eye);
            let above_m = tissue_eye.z - self.surface.height_m(tissue_eye.x, tissue_eye.y);
            (above_m > LENS_ABOVE_M).then_some(eye)
        });
        let eye = clear.unwrap_or(looked_at + Vector3::new(0.0, 0.001, 0.09));
        let roll = self.within(std::f64::consts::PI);
        let up = Vector3::new(roll.cos(), roll.sin(), 0.3);
        Camera::looking_at(eye, looked_at, up, self.random.between(0.6, 1.2))
    }

    fn eye(&mut self, looked_at: Point3<f64>) -> Point3<f64> {
        let (turn, tilt) = (self.within(std::f64::consts::PI), self.random.between(0.0, 1.2));
        let direction = Vector3::new(tilt.sin() * turn.cos(), tilt.sin() * turn.sin(), tilt.cos());
        looked_at + direction * self.random.between(0.035, 0.11)
    }

    /// One picture in eight shows no instrument.
    fn tools(&mut self, camera: &Camera, looked_at: Point3<f64>) -> Vec<Tool> {
        let count = [0, 1, 1, 1, 2, 2, 2, TOOLS_MAX][(self.random.next_u64() % 8) as usize];
        let count = if self.split.kinds.is_empty() { 0 } else { count };
        let eye: Point3<f64> = camera.base_from_camera.translation.vector.into();
        (0..count).filter_map(|_| (0..TRIES).find_map(|_| self.tool(eye, looked_at))).collect()
    }

    /// Its jaws end somewhere near what is looked at; its shaft comes from any side but the lens'.
    fn tool(&mut self, eye: Point3<f64>, looked_at: Point3<f64>) -> Option<Tool> {
        let turn = self.within(std::f64::consts::PI);
        let far_m = self.random.between(0.05, 0.14);
        let rcm =
            looked_at + Vector3::new(turn.cos() * far_m, turn.sin() * far_m, self.random.between(0.03, 0.14));
        let spread_m = (eye - looked_at).norm() * 0.25;
        let tissue_at = SceneSettings::default().base_from_tissue.inverse_transform_point(&looked_at);
        let (x_m, y_m) = (tissue_at.x + self.within(spread_m), tissue_at.y + self.within(spread_m));
        let high_m = self.random.between(0.001, 0.4 * spread_m + 0.015);
        let end = self.on_tissue(x_m, y_m, high_m);
        let bend = [self.within(1.0), self.within(1.0)];
        let (roll, jaw) = (self.within(std::f64::consts::PI), self.random.between(0.0, 1.1));
        let tool = through_origin(Point3::from(end - rcm), bend, roll, jaw);
        let shift = Translation3::from(rcm.coords);
        let tool = Tool { base_from_tip: shift * tool.base_from_tip, rcm_m: rcm, ..tool };
        let tip: Point3<f64> = tool.base_from_tip.translation.vector.into();
        (gap_m(eye, rcm, tip) > CLEAR_OF_LENS_M).then_some(tool)
    }

    /// Beads, rings and needles lie on the tissue in every third picture, near what is looked at.
    fn targets(&mut self, looked_at_m: [f64; 2]) -> Vec<Target> {
        let count = [0, 0, 0, 0, 1, 3][(self.random.next_u64() % 6) as usize];
        (0..count).map(|_| self.target(looked_at_m)).collect()
    }

    fn target(&mut self, [x_m, y_m]: [f64; 2]) -> Target {
        let shapes = [TargetShape::Sphere, TargetShape::Ring, TargetShape::Needle];
        let shape = self.random.pick(&shapes).copied().unwrap_or(TargetShape::Sphere);
        let radius_m = self.random.between(0.002, 0.008);
        let (x_m, y_m) = (x_m + self.within(0.025), y_m + self.within(0.025));
        let high_m = self.random.between(0.1, 0.8) * radius_m;
        let place = self.on_tissue(x_m, y_m, high_m);
        let turn = [(); 3].map(|()| self.within(0.6));
        let turn = UnitQuaternion::from_euler_angles(turn[0], turn[1], turn[2] * 5.0);
        let base_from_target = Isometry3::from_parts(place.coords.into(), turn);
        Target { shape, base_from_target, radius_m, grasped: false }
    }

    fn within(&mut self, reach: f64) -> f64 {
        self.random.between(-reach, reach)
    }
}

/// How often a factor is present.
fn chance(factor: Factor) -> f64 {
    match factor {
        Factor::Light => 0.85,
        Factor::Speculars => 0.70,
        Factor::FieldStop => 0.50,
        Factor::Noise | Factor::Gain | Factor::WhiteBalance => 0.45,
        Factor::Blood | Factor::Vignette | Factor::Fat | Factor::Smoke | Factor::Defocus => 0.35,
        Factor::Droplets | Factor::Motion => 0.20,
    }
}

/// Distance of a point to a segment.
fn gap_m(point: Point3<f64>, from: Point3<f64>, to: Point3<f64>) -> f64 {
    let along = to - from;
    let share = ((point - from).dot(&along) / along.norm_squared().max(1e-12)).clamp(0.0, 1.0);
    (point - from - along * share).norm()
}

/// A tool whose shaft goes through the origin and whose closed jaws end at `end_m`, with its wrist bent.
fn through_origin(end_m: Point3<f64>, bend_rad: [f64; 2], roll_rad: f64, jaw_rad: f64) -> Tool {
    let shaft_from_tip: Isometry3<f64> = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), roll_rad)
        * UnitQuaternion::from_axis_angle(&Vector3::y_axis(), bend_rad[0])
        * Translation3::new(0.0, 0.0, PITCH_TO_JAW_AXIS_M)
        * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), bend_rad[1]);
    let end_in_shaft_m = shaft_from_tip * Point3::new(0.0, 0.0, JAW_LENGTH_M);
    let aside_m = end_in_shaft_m.x.hypot(end_in_shaft_m.y);
    let reach_m = (end_m.coords.norm_squared() - aside_m * aside_m).max(0.0).sqrt() - end_in_shaft_m.z;
    let slid = Translation3::new(0.0, 0.0, reach_m);
    let turn = UnitQuaternion::rotation_between(&(slid * end_in_shaft_m).coords, &end_m.coords);
    let turn = turn.unwrap_or_else(UnitQuaternion::identity);
    Tool {
        base_from_tip: turn * slid * shaft_from_tip,
        rcm_m: Point3::origin(),
        shaft_direction: turn * Vector3::z_axis(),
        jaw_rad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, split: Split, count: usize) -> Vec<(SceneState, Conditions)> {
        let mut sampler = Sampler::new(seed, split);
        (0..count).map(|_| sampler.draw()).collect()
    }

    /// What is learnt from can be drawn again from its seed, and another seed is something else.
    #[test]
    fn a_seed_draws_the_same_again() {
        assert_eq!(drawn(3, Split::training(), 30), drawn(3, Split::training(), 30));
        assert_ne!(drawn(3, Split::training(), 30), drawn(4, Split::training(), 30));
    }

    /// Everything drawn can be rendered; some pictures show no instrument, some as many as there may be.
    #[test]
    fn every_sample_can_be_rendered() {
        let samples = drawn(5, Split::everything(), 400);
        assert!(samples.iter().all(|(state, under)| state.check().is_ok() && under.check().is_ok()));
        let with = |count| samples.iter().filter(|(state, _)| state.tools.len() == count).count();
        assert!(with(0) > 20 && with(1) > 80 && with(2) > 80 && with(TOOLS_MAX) > 20);
    }

    /// The judge's instruments, shafts, colours and tissues are none that were learnt from.
    #[test]
    fn the_splits_have_nothing_in_common() {
        let (training, held_out) = (Split::training(), Split::held_out());
        assert!(held_out.kinds.iter().all(|kind| !training.kinds.contains(kind)));
        assert!(held_out.finishes.iter().all(|finish| !training.finishes.contains(finish)));
        assert!(held_out.palettes.iter().all(|palette| !training.palettes.contains(palette)));
        let seeds = |split| drawn(1, split, 60).into_iter().map(|(state, _)| state.seed).collect::<Vec<_>>();
        let learnt = seeds(training);
        assert!(seeds(held_out).iter().all(|seed| !learnt.contains(seed)));
    }

    /// A split's severities are kept to, and every factor comes.
    #[test]
    fn severities_stay_within_the_split() {
        let samples = drawn(9, Split::training(), 300);
        for factor in Factor::ALL {
            let levels = samples.iter().map(|(_, under)| under.severity(factor));
            assert!(levels.clone().all(|level| level <= Severity::new(4)));
            assert!(levels.filter(|level| *level > Severity::NONE).count() > 20, "{factor:?}");
        }
    }
}
