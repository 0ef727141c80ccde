//! States to draw, and a decoder from NV12, for tests and examples.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and a test's example: what cannot be set up has failed"
)]
#![allow(dead_code, reason = "every user of this file needs another part of it")]

use farhand_scene::{
    Camera, Class, Goal, JAW_LENGTH_M, PITCH_TO_JAW_AXIS_M, Scene, SceneError, SceneSettings, SceneState,
    Target, TargetShape, Tissue, Tool,
};
use nalgebra::{Point3, Translation3, UnitQuaternion, Vector3};

/// Seed of the tissue that the tests look at.
pub(crate) const SEED: u64 = 7;

/// A scene of this size, or `None`, said on standard error, where the machine has no Vulkan driver.
pub(crate) fn scene(width: u32, height: u32) -> Option<Scene> {
    let settings = SceneSettings { width, height, ..SceneSettings::default() };
    match Scene::new(settings) {
        Ok(scene) => Some(scene),
        Err(error @ SceneError::NoAdapter { .. }) => {
            #[allow(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {error}");
            }
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// An endoscope beside the instrument: the tool comes in from the right.
pub(crate) fn camera() -> Camera {
    let eye = Point3::new(-0.058, -0.034, -0.058);
    Camera::looking_at(eye, Point3::new(0.0, 0.0, -0.149), Vector3::y(), 0.75)
}

/// A tool through the base frame's origin whose closed jaws would end at `end_m`, bent at the wrist.
pub(crate) fn tool(end_m: Point3<f64>, bend_rad: [f64; 2], roll_rad: f64, jaw_rad: f64) -> Tool {
    let shaft_from_tip = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), roll_rad)
        * UnitQuaternion::from_axis_angle(&Vector3::y_axis(), bend_rad[0])
        * Translation3::new(0.0, 0.0, PITCH_TO_JAW_AXIS_M)
        * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), bend_rad[1]);
    let end_in_shaft_m = shaft_from_tip * Point3::new(0.0, 0.0, JAW_LENGTH_M);
    // Slide the wrist along the shaft until its end is as far out as it should be, then turn it there.
    let aside_m = end_in_shaft_m.x.hypot(end_in_shaft_m.y);
    let reach_m = (end_m.coords.norm_squared() - aside_m * aside_m).sqrt() - end_in_shaft_m.z;
    let slid = Translation3::new(0.0, 0.0, reach_m);
    let turn = UnitQuaternion::rotation_between(&(slid * end_in_shaft_m).coords, &end_m.coords).unwrap();
    Tool {
        base_from_tip: turn * slid * shaft_from_tip,
        rcm_m: Point3::origin(),
        shaft_direction: turn * Vector3::z_axis(),
        jaw_rad,
    }
}

/// A place this high over the tissue, in the base frame.
pub(crate) fn above(seed: u64, x_m: f64, y_m: f64, high_m: f64) -> Point3<f64> {
    let tissue = Tissue::new(seed);
    SceneSettings::default().base_from_tissue * Point3::new(x_m, y_m, tissue.height_m(x_m, y_m) + high_m)
}

/// A target that lies on the tissue.
pub(crate) fn target(shape: TargetShape, x_m: f64, y_m: f64, radius_m: f64) -> Target {
    let place =
        above(SEED, x_m, y_m, if shape == TargetShape::Sphere { radius_m * 0.8 } else { radius_m * 0.12 });
    Target { shape, base_from_target: Translation3::from(place.coords).into(), radius_m, grasped: false }
}

/// A tool over the tissue, a bead and a goal for it.
pub(crate) fn state() -> SceneState {
    SceneState {
        camera: camera(),
        tools: vec![tool(above(SEED, 0.002, 0.004, 0.012), [0.35, -0.3], 0.6, 0.5)],
        targets: vec![target(TargetShape::Sphere, -0.012, -0.006, 0.003)],
        goals: vec![Goal { centre_m: above(SEED, 0.012, -0.016, 0.0), radius_m: 0.007, highlighted: true }],
        fixtures: Vec::new(),
        seed: SEED,
    }
}

/// The red, green and blue bytes of a picture in NV12 (BT.709, limited range).
pub(crate) fn rgb(nv12: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let luma = (f32::from(nv12[y * width + x]) - 16.0) / 219.0;
            let pair = width * height + (y / 2) * width + (x & !1);
            let cb = (f32::from(nv12[pair]) - 128.0) / 224.0;
            let cr = (f32::from(nv12[pair + 1]) - 128.0) / 224.0;
            let (r, b) = (luma + 1.5748 * cr, luma + 1.8556 * cb);
            let g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152;
            out.extend([r, g, b].map(|c| (c * 255.0).round().clamp(0.0, 255.0) as u8));
        }
    }
    out
}

/// A colour for each class, to look at.
pub(crate) fn label_color(id: u8) -> [u8; 3] {
    match Class::from_id(id) {
        Some(Class::BackgroundTissue) => [60, 30, 30],
        Some(Class::InstrumentShaft) => [70, 120, 230],
        Some(Class::InstrumentWrist) => [90, 220, 220],
        Some(Class::InstrumentClasper) => [250, 240, 90],
        Some(Class::Vessel) => [230, 50, 50],
        Some(Class::OrganSurface) => [150, 80, 40],
        Some(Class::Target) => [80, 250, 90],
        None => [255, 0, 255],
    }
}
