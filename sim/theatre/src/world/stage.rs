//! What is on the stage: the tissue of a seed, a bead over it, the arms' tools, and the endoscope that looks at them.
//!
//! **The point that works.** The arm's tip is the axis on which the jaws turn; what a surgeon sees meet the bead are the
//! jaws' ends, [`JAW_LENGTH_M`] before it. So the bead is grasped, and the error counted, at the end of the closed jaws.

use std::collections::BTreeMap;

use anyhow::Context;
use farhand_motion::{ArmModel, Joints, Motion, Mounted};
use farhand_scene::{
    Camera, Fixture, FixtureLook, Goal, JAW_LENGTH_M, SHAFT_RADIUS_M, SceneSettings, SceneState, Target,
    TargetShape, Tissue, Tool,
};
use farhand_world::exercise::{Attempt, BOARD_RADIUS_M, Hand, Mark, Object, Place, Rod, RodKind, Shape};
use farhand_world::rig::{self, ECM};
use fastrand::Rng;
use nalgebra::{Isometry3, Point3, Translation3, UnitVector3, Vector3};

use super::arm::{ArmTruth, Exercised};

/// Full vertical angle of view.
const FOV_Y_RAD: f64 = 0.75;

const BEAD_RADIUS_M: f64 = 0.0025;
/// How far the bead is from the middle of the field of work, sideways, and how high its middle is over the tissue.
const ASIDE_M_MAX: f64 = 0.018;
const HIGH_M: std::ops::Range<f64> = 0.003..0.008;
/// Places looked at until one can be seen and reached; most seeds need one or two.
const PLACES_MAX: usize = 1_000;
/// An exercise's board lies this much over the highest tissue under it, looked for so finely.
const BOARD_OVER_M: f64 = 0.0005;
const BOARD_STEP_M: f64 = 0.001;
/// What is free around the line from the eye to the bead: the bead itself and a little.
const FREE_M: f64 = BEAD_RADIUS_M + 0.001;

/// The stage of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) rig: Vec<Mounted>,
    pub(crate) seed: u64,
    /// With the endoscope's arm at home.
    pub(crate) camera: Camera,
    /// Where the bead lies at the beginning: its middle, kit's frame.
    pub(crate) bead_m: Point3<f64>,
    /// What an exercise has put up.
    fixtures: Vec<Fixture>,
}

impl Stage {
    /// With so many of the rig's arms, one at least.
    pub(crate) fn new(seed: u64, arms: usize) -> anyhow::Result<Self> {
        let rig = rig::arms(arms.max(1));
        let model = &rig[0].model;
        let camera = camera();
        let (tissue, mut rng) = (Tissue::new(seed), Rng::with_seed(seed));
        let bead_m = (0..PLACES_MAX)
            .map(|_| somewhere(&tissue, &mut rng))
            .find(|bead_m| is_seen(bead_m, &camera, &tissue) && is_reached(bead_m, model))
            .with_context(|| format!("seed {seed} has no place for a bead; take another"))?;
        Ok(Self { rig, seed, camera, bead_m, fixtures: Vec::new() })
    }

    /// Where an exercise is laid out: on a level board over the tissue, below the jaws at home.
    pub(crate) fn place(&self) -> Place {
        let home = self.model().home();
        let start = Hand::of_tip(&self.model().forward(&home.joints), home.jaw_rad);
        let tissue = Tissue::new(self.seed);
        let high_m = on_a_grid(BOARD_RADIUS_M).map(|(x_m, y_m)| tissue.height_m(x_m, y_m));
        let top_m = high_m.fold(f64::NEG_INFINITY, f64::max) + BOARD_OVER_M;
        Place { base_from_board: base_from_tissue() * Translation3::new(0.0, 0.0, top_m), start }
    }

    /// With what stays where it is of an exercise.
    pub(crate) fn furnish(&mut self, attempt: &Attempt) {
        self.fixtures = attempt.rods().into_iter().map(fixture).collect();
    }

    /// The arm that works.
    pub(crate) fn model(&self) -> &ArmModel {
        &self.rig[0].model
    }

    /// Where the jaws of that arm end for these joints, kit's frame.
    pub(crate) fn jaw_end_m(&self, arm: usize, joints: &Joints) -> Point3<f64> {
        let Mounted { model, kit_from_base } = &self.rig[arm];
        kit_from_base * (model.forward(joints) * Point3::new(0.0, 0.0, JAW_LENGTH_M))
    }

    /// As it looks now: the endoscope goes with its arm.
    fn camera(&self, now: &ArmTruth) -> Camera {
        match (self.rig.get(ECM), now.others[ECM - 1]) {
            (Some(ecm), Some(arm)) => {
                Camera { base_from_camera: rig::camera_on(ecm, &arm.joints), ..self.camera }
            }
            _ => self.camera,
        }
    }

    /// What the endoscope sees.
    pub(crate) fn seen(&self, now: &ArmTruth) -> SceneState {
        let bead = || Target {
            shape: TargetShape::Sphere,
            base_from_target: Translation3::from(metres(now.target_mm).coords).into(),
            radius_m: BEAD_RADIUS_M,
            grasped: now.grasped,
        };
        let (targets, goals) = match &now.exercise {
            Some(Exercised { objects, marks, .. }) => {
                (objects.iter().flatten().map(target).collect(), marks.iter().flatten().map(goal).collect())
            }
            None => (vec![bead()], Vec::new()),
        };
        SceneState {
            camera: self.camera(now),
            tools: self.tools(now),
            targets,
            goals,
            fixtures: self.fixtures.clone(),
            seed: self.seed,
        }
    }

    /// Those that work: the endoscope does not see itself.
    fn tools(&self, now: &ArmTruth) -> Vec<Tool> {
        let second = now.others[0].map(|arm| (arm.joints, arm.jaw_rad));
        let arms = self.rig.iter().zip([Some((now.joints, now.jaw_rad)), second]);
        arms.filter_map(|(arm, stands)| stands.map(|(joints, jaw_rad)| tool(arm, &joints, jaw_rad))).collect()
    }

    /// Of each arm, by its name; kit's frame.
    pub(crate) fn tips_mm(&self, now: &ArmTruth) -> BTreeMap<&'static str, [f64; 3]> {
        let others = now.others.map(|other| other.map(|arm| arm.joints));
        let joints = [Some(now.joints), others[0], others[1]];
        let tip = |(arm, joints): (&Mounted, Joints)| {
            millimetres(&(arm.kit_from_base * arm.model.forward(&joints)).translation.vector.into())
        };
        let stand = self.rig.iter().zip(joints).map_while(|(arm, joints)| Some((arm, joints?)));
        rig::ARM_NAMES.into_iter().zip(stand.map(tip)).collect()
    }

    /// A vector of the kit's frame in the camera's axes: to the right of the picture, down, into it.
    pub(crate) fn view_of(&self, now: &ArmTruth, vector: [f64; 3]) -> [f64; 3] {
        self.camera(now).base_from_camera.rotation.inverse_transform_vector(&vector.into()).into()
    }
}

fn tool(Mounted { model, kit_from_base }: &Mounted, joints: &Joints, jaw_rad: f64) -> Tool {
    let [yaw, pitch, insertion, ..] = joints.0;
    // With a straight wrist the tip looks along the shaft.
    let straight = kit_from_base * model.forward(&Joints([yaw, pitch, insertion, 0.0, 0.0, 0.0]));
    Tool {
        base_from_tip: kit_from_base * model.forward(joints),
        rcm_m: kit_from_base.translation.vector.into(),
        shaft_direction: UnitVector3::new_normalize(straight * Vector3::z()),
        jaw_rad,
    }
}

pub(crate) fn metres(mm: [f64; 3]) -> Point3<f64> {
    Point3::from(mm) / 1e3
}

pub(crate) fn millimetres(point_m: &Point3<f64>) -> [f64; 3] {
    (point_m * 1e3).into()
}

pub(crate) fn camera() -> Camera {
    Camera { base_from_camera: rig::kit_from_camera(), fov_y_rad: FOV_Y_RAD }
}

fn target(object: &Object) -> Target {
    let shape = match object.shape {
        Shape::Bead => TargetShape::Sphere,
        Shape::Ring => TargetShape::Ring,
        Shape::Needle => TargetShape::Needle,
    };
    let Object { base_from_object: base_from_target, radius_m, held: grasped, .. } = *object;
    Target { shape, base_from_target, radius_m, grasped }
}

fn goal(mark: &Mark) -> Goal {
    Goal { centre_m: mark.centre_m, radius_m: mark.radius_m, highlighted: mark.next }
}

fn fixture(rod: Rod) -> Fixture {
    let look = match rod.kind {
        RodKind::Board => FixtureLook::Board,
        RodKind::Peg => FixtureLook::Peg,
        RodKind::Wire => FixtureLook::Wire,
    };
    Fixture { path_m: rod.path_m, radius_m: rod.radius_m, look }
}

/// The places of a square grid within a circle around the origin.
fn on_a_grid(radius_m: f64) -> impl Iterator<Item = (f64, f64)> {
    let steps = (radius_m / BOARD_STEP_M).ceil() as i32;
    let each = move || (-steps..=steps).map(|step| f64::from(step) * BOARD_STEP_M);
    each()
        .flat_map(move |x_m| each().map(move |y_m| (x_m, y_m)))
        .filter(move |(x, y)| x.hypot(*y) <= radius_m)
}

fn base_from_tissue() -> Isometry3<f64> {
    SceneSettings::default().base_from_tissue
}

fn somewhere(tissue: &Tissue, rng: &mut Rng) -> Point3<f64> {
    let mut aside_m = || ASIDE_M_MAX * (2.0 * rng.f64() - 1.0);
    let (x_m, y_m) = (aside_m(), aside_m());
    let high_m = HIGH_M.start + (HIGH_M.end - HIGH_M.start) * rng.f64();
    base_from_tissue() * Point3::new(x_m, y_m, tissue.height_m(x_m, y_m) + high_m)
}

/// Neither the tissue nor the tool at home stands between the eye and the bead.
fn is_seen(bead_m: &Point3<f64>, camera: &Camera, tissue: &Tissue) -> bool {
    const STEPS: u32 = 100;
    let eye_m: Point3<f64> = camera.base_from_camera.translation.vector.into();
    (0..STEPS).all(|step| {
        let at_m = eye_m + (bead_m - eye_m) * (f64::from(step) / f64::from(STEPS));
        is_beside_tool_at_home(&at_m) && is_over(tissue, &at_m)
    })
}

/// At home the tool hangs down on the base's z axis. Nothing lies right under it either, where its shadow and its way
/// down would be.
fn is_beside_tool_at_home(at_m: &Point3<f64>) -> bool {
    at_m.x.hypot(at_m.y) > SHAFT_RADIUS_M + FREE_M
}

fn is_over(tissue: &Tissue, at_m: &Point3<f64>) -> bool {
    let at_m = base_from_tissue().inverse_transform_point(at_m);
    at_m.z > tissue.height_m(at_m.x, at_m.y) + 0.5 * BEAD_RADIUS_M
}

/// The jaws come to it as they point at home, and the arm takes nothing from such a target.
fn is_reached(bead_m: &Point3<f64>, model: &ArmModel) -> bool {
    let home = model.home();
    let Ok(motion) = Motion::new(model, home.joints, home.jaw_rad) else { return false };
    let target = grasping_from_above(bead_m, model);
    model.inverse(&target.base_from_tip, &home.joints).is_ok() && !motion.clamp(&target).clamps().any()
}

/// The tip's pose that has the jaws' ends here, pointing as at home.
fn grasping_from_above(bead_m: &Point3<f64>, model: &ArmModel) -> farhand_motion::Target {
    let at_home = model.forward(&model.home().joints);
    let end_from_tip = Translation3::new(0.0, 0.0, JAW_LENGTH_M).inverse();
    let base_from_tip = Translation3::from(bead_m.coords) * at_home.rotation * end_from_tip;
    farhand_motion::Target { base_from_tip, jaw_rad: 0.6 }
}

#[cfg(test)]
mod tests {
    use super::super::arm::{Reach, arms_at_home};
    use super::*;
    use farhand_scene::{Class, Scene};
    use farhand_world::exercise::{Exercise, Phase};

    const WIDTH: u32 = 960;
    const HEIGHT: u32 = 540;

    /// Goal: whatever the seed, the bead lies over the tissue in the field of work, inside the picture with room around
    /// it, beside the tool, and where the arm comes without leaving a limit.
    #[test]
    fn every_seed_has_a_bead_that_is_seen_and_reached() {
        for seed in 1..=50 {
            let stage = Stage::new(seed, 1).unwrap();
            let bead = base_from_tissue().inverse_transform_point(&stage.bead_m);
            let high_m = bead.z - Tissue::new(seed).height_m(bead.x, bead.y);
            assert!(
                HIGH_M.contains(&high_m) && bead.x.abs().max(bead.y.abs()) <= ASIDE_M_MAX,
                "seed {seed}: {bead}"
            );
            let pixel = stage.camera.project(&stage.bead_m, WIDTH, HEIGHT).unwrap();
            let inside = |at: f64, side: u32| (60.0..f64::from(side) - 60.0).contains(&at);
            assert!(inside(pixel.x, WIDTH) && inside(pixel.y, HEIGHT), "seed {seed}: {pixel}");
            let target = grasping_from_above(&stage.bead_m, stage.model());
            let joints = stage.model().inverse(&target.base_from_tip, &stage.model().home().joints).unwrap();
            assert!(stage.model().limits().check_joints(&joints).is_ok(), "seed {seed}");
            let missed_m = (stage.jaw_end_m(0, &joints) - stage.bead_m).norm();
            assert!(missed_m < 1e-9, "seed {seed}: the jaws end {missed_m} m beside the bead");
        }
    }

    /// Goal: what is drawn shows the bead whole, with the tool at home beside it and not before it.
    #[test]
    fn the_bead_is_drawn_whole_beside_the_tool() {
        let Some(mut scene) = small_scene() else { return };
        let height = HEIGHT / 2;
        let mut labels = vec![0; (WIDTH / 2 * height) as usize];
        // Seeds whose first place lies under or behind the tool.
        for seed in [9, 36, 88] {
            let stage = Stage::new(seed, 1).unwrap();
            scene.render_labels(&stage.seen(&at_home(&stage)), &mut labels).unwrap();
            let count = |class: Class| labels.iter().filter(|id| **id == class.id()).count();
            let depth_m = stage.camera.base_from_camera.inverse_transform_point(&stage.bead_m).z;
            let radius_px = BEAD_RADIUS_M * stage.camera.focal_px(height) / depth_m;
            let whole = std::f64::consts::PI * radius_px * radius_px;
            assert!(
                count(Class::Target) as f64 > 0.85 * whole,
                "seed {seed}: {} of {whole}",
                count(Class::Target)
            );
            assert!(
                count(Class::InstrumentClasper) > 50 && count(Class::InstrumentShaft) > 1_000,
                "seed {seed}"
            );
        }
    }

    fn small_scene() -> Option<Scene> {
        let (width, height) = (WIDTH / 2, HEIGHT / 2);
        let scene = Scene::new(SceneSettings { width, height, ..SceneSettings::default() }).ok();
        if scene.is_none() {
            #[allow(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: no Vulkan driver");
            }
        }
        scene
    }

    /// Goal: whatever the exercise, all of it lies in the picture, over the tissue and free of the tool at home: its objects
    /// can be told from the tissue, and every place that it has is inside.
    #[test]
    fn every_exercise_is_in_the_picture() {
        let Some(mut scene) = small_scene() else { return };
        let mut labels = vec![0; (WIDTH * HEIGHT / 4) as usize];
        for (exercise, objects, pixels) in [
            (Exercise::Reach, 1, 100),
            (Exercise::PegTransfer, 6, 900),
            (Exercise::RingOnWire, 1, 400),
            (Exercise::SuturingPath, 1, 40),
        ] {
            for seed in [1, 2, 3] {
                let (stage, truth) = exercising(exercise, seed);
                let inside = |at: &Point3<f64>| {
                    let pixel = stage.camera.project(at, WIDTH, HEIGHT).unwrap();
                    let within = |at: f64, side: u32| (20.0..f64::from(side) - 20.0).contains(&at);
                    within(pixel.x, WIDTH) && within(pixel.y, HEIGHT)
                };
                let seen = stage.seen(&truth);
                assert_eq!(seen.targets.len(), objects);
                assert!(seen.targets.iter().all(|it| inside(&it.base_from_target.translation.vector.into())));
                assert!(seen.goals.iter().all(|it| inside(&it.centre_m)));
                assert!(seen.fixtures.iter().flat_map(|it| &it.path_m).all(inside));
                scene.render_labels(&seen, &mut labels).unwrap();
                let count = labels.iter().filter(|id| **id == Class::Target.id()).count();
                assert!(count > pixels, "{exercise}, seed {seed}: {count} pixels");
            }
        }
    }

    /// Goal: whatever the seed, the arm comes to every place that an exercise has, turned as it asks, within its limits.
    #[test]
    fn every_exercise_is_reached() {
        for exercise in Exercise::EACH {
            for seed in 1..=12 {
                let stage = Stage::new(seed, 1).unwrap();
                let mut attempt = Attempt::new(exercise, seed, stage.place());
                let home = stage.model().home();
                let motion = Motion::new(stage.model(), home.joints, home.jaw_rad).unwrap();
                let mut hand = stage.place().start;
                for _ in 0..60_000 {
                    let next = attempt.standing().next;
                    let base_from_tip = next.base_from_tip();
                    let target = farhand_motion::Target { base_from_tip, jaw_rad: next.jaw_rad };
                    let clamps = *motion.clamp(&target).clamps();
                    assert!(!clamps.any(), "{exercise}, seed {seed}: {clamps:?}");
                    // A hand at 50 mm/s.
                    let (from, to) = (hand.base_from_end, next.base_from_end);
                    let away_m = (to.translation.vector - from.translation.vector).norm();
                    let share =
                        (5e-5 / away_m.max(from.rotation.angle_to(&to.rotation) * 0.02).max(5e-5)).min(1.0);
                    let at = from.translation.vector.lerp(&to.translation.vector, share);
                    hand.base_from_end =
                        Isometry3::from_parts(at.into(), from.rotation.slerp(&to.rotation, share));
                    hand.jaw_rad += (next.jaw_rad - hand.jaw_rad).clamp(-2e-3, 2e-3);
                    attempt.step(&hand);
                }
                assert_eq!(attempt.phase(), Phase::Done, "{exercise}, seed {seed}");
            }
        }
    }

    /// Goal: the jaws that an exercise knows end where those do that are drawn.
    #[test]
    fn the_jaws_end_where_they_are_drawn() {
        assert_eq!(farhand_world::exercise::JAW_LENGTH_M, JAW_LENGTH_M);
        let (stage, truth) = exercising(Exercise::Reach, 1);
        let start: Point3<f64> = stage.place().start.base_from_end.translation.vector.into();
        assert!((stage.tools(&truth)[0].jaw_end_m() - start).norm() < 1e-12);
    }

    fn exercising(exercise: Exercise, seed: u64) -> (Stage, ArmTruth) {
        let mut stage = Stage::new(seed, 1).unwrap();
        let attempt = Attempt::new(exercise, seed, stage.place());
        stage.furnish(&attempt);
        let mut arms = arms_at_home(&stage, &[[0; 32]]);
        let (measured, _way) = std::sync::mpsc::sync_channel(1);
        let truth = Reach::new(stage.clone(), &arms[0]).exercising(attempt, measured).tick(&mut arms);
        (stage, truth)
    }

    fn at_home(stage: &Stage) -> ArmTruth {
        let mut arms = arms_at_home(stage, &vec![[0; 32]; stage.rig.len()]);
        Reach::new(stage.clone(), &arms[0]).tick(&mut arms)
    }

    /// Goal: a seed is a place: the same again for the same, others for others.
    #[test]
    fn a_seed_gives_the_same_place_every_time() {
        let place = |seed| Stage::new(seed, 1).unwrap().bead_m;
        assert_eq!(place(4), place(4));
        let places: Vec<_> = (1..=20).map(place).collect();
        assert!((1..20).all(|i| (places[i] - places[i - 1]).norm() > 1e-4));
    }

    /// Goal: the tool at home is in the picture, its jaws' end included, and what is drawn ends where the truth says.
    #[test]
    fn the_tool_at_home_is_in_the_picture() {
        let stage = Stage::new(1, 1).unwrap();
        let end_m = stage.jaw_end_m(0, &stage.model().home().joints);
        let pixel = stage.camera.project(&end_m, WIDTH, HEIGHT).unwrap();
        assert!((100.0..860.0).contains(&pixel.x) && (60.0..480.0).contains(&pixel.y), "{pixel}");
        let truth = at_home(&stage);
        let drawn_m = stage.tools(&truth)[0].jaw_end_m();
        assert!((drawn_m - metres(truth.jaw_end_mm)).norm() < 1e-12);
    }

    /// Goal: the camera's axes are those of the console's `camera.ts`: a hand that follows the vector in the picture
    /// goes the way that the picture shows.
    #[test]
    fn a_vector_in_the_picture_is_what_the_picture_shows() {
        let stage = Stage::new(2, 1).unwrap();
        let from_m = stage.jaw_end_m(0, &stage.model().home().joints);
        let [right, down, into] = stage.view_of(&at_home(&stage), (stage.bead_m - from_m).into());
        let (from, to) = (&from_m, &stage.bead_m);
        let pixel = |point| stage.camera.project(point, WIDTH, HEIGHT).unwrap();
        let depth = |point| stage.camera.base_from_camera.inverse_transform_point(point).z;
        assert!((depth(to) - depth(from) - into).abs() < 1e-12);
        let focal = stage.camera.focal_px(HEIGHT);
        let centre = nalgebra::Point2::new(f64::from(WIDTH) / 2.0, f64::from(HEIGHT) / 2.0);
        let seen_m = |point| (pixel(point) - centre) * depth(point) / focal;
        assert!((seen_m(to) - seen_m(from) - nalgebra::Vector2::new(right, down)).norm() < 1e-12);
    }

    /// Goal: with all its arms the kit works in the picture of its own endoscope: both tools are seen, and the picture changes as
    /// the endoscope's arm moves.
    #[test]
    fn the_endoscope_goes_with_its_arm() {
        let stage = Stage::new(2, 3).unwrap();
        let home = at_home(&stage);
        let seen = stage.seen(&home);
        assert_eq!(seen.tools.len(), 2);
        for tool in &seen.tools {
            assert!(seen.camera.project(&tool.jaw_end_m(), WIDTH, HEIGHT).is_some(), "{tool:?}");
        }
        let (here, fixed) = (seen.camera.base_from_camera, camera().base_from_camera);
        assert!((here.translation.vector - fixed.translation.vector).norm() < 1e-9);
        assert!(here.rotation.angle_to(&fixed.rotation) < 1e-6);
        let mut closer = home;
        closer.others[1].as_mut().unwrap().joints.0[2] += 0.01;
        let there = stage.seen(&closer).camera.base_from_camera;
        let moved_m = here.inverse_transform_point(&there.translation.vector.into());
        assert!((moved_m - Point3::new(0.0, 0.0, 0.01)).norm() < 1e-9, "it looks along its shaft: {moved_m}");
    }
}
