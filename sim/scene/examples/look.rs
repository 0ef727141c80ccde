//! Writes pictures of several states, of every factor at every severity, of every kind of instrument, and of random samples,
//! with their labels as PNG into a folder, to be looked at. Kinds and samples are drawn by the second renderer, too.
//!
//! `cargo run -p farhand-scene --example look -- FOLDER [WIDTH HEIGHT]`

use std::path::{Path, PathBuf};

use farhand_scene::{
    Conditions, Factor, Finish, Goal, Instrument, Kind, Sampler, Scene, SceneSettings, SceneState, Severity,
    Split, TOOLS_MAX, TargetShape, Tool, trace,
};
use nalgebra::{Point3, Translation3, Vector3};

#[path = "../tests/common/mod.rs"]
mod common;

use common::{SEED, above, camera, state, target, tool};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("a folder to write to is needed")?;
    let mut side = |default: u32| arguments.next().map_or(Ok(default), |text| text.parse());
    let (width, height) = (side(1280)?, side(720)?);
    std::fs::create_dir_all(&folder)?;
    let mut look = Look {
        scene: Scene::new(SceneSettings { width, height, ..SceneSettings::default() })?,
        labels: vec![0; (width * height) as usize],
        folder: folder.into(),
    };
    for (name, state) in states() {
        look.write(&name, &state, &Conditions::default())?;
    }
    for (name, conditions) in graded() {
        look.write(&name, &two(), &conditions)?;
    }
    for (name, conditions) in kinds() {
        look.write_both(&name, &two(), &conditions)?;
    }
    // Of one sampler some in a row have the same tissue: every one is another's first.
    for number in 0..24 {
        let (state, conditions) = Sampler::new(number, Split::everything()).draw();
        look.write_both(&format!("sample_{number:02}"), &state, &conditions)?;
    }
    Ok(())
}

/// Draws and writes.
struct Look {
    scene: Scene,
    labels: Vec<u8>,
    folder: PathBuf,
}

impl Look {
    fn write(
        &mut self,
        name: &str,
        state: &SceneState,
        conditions: &Conditions,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let frame = self.scene.render_under(state, conditions)?;
        let rgb = common::rgb(frame.nv12, frame.width as usize, frame.height as usize);
        self.scene.render_labels_under(state, conditions, &mut self.labels)?;
        self.put(name, &rgb, &self.labels)
    }

    /// By either renderer.
    fn write_both(
        &mut self,
        name: &str,
        state: &SceneState,
        conditions: &Conditions,
    ) -> Result<(), Box<dyn std::error::Error>> {
        self.write(name, state, conditions)?;
        let traced = trace(self.scene.settings(), state, conditions)?;
        self.put(&format!("{name}_traced"), &traced.rgb, &traced.labels)
    }

    fn put(&self, name: &str, rgb: &[u8], labels: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
        let SceneSettings { width, height, .. } = *self.scene.settings();
        let colored: Vec<u8> = labels.iter().flat_map(|id| common::label_color(*id)).collect();
        write_png(&self.folder.join(format!("{name}.png")), width, height, rgb)?;
        write_png(&self.folder.join(format!("{name}_labels.png")), width, height, &colored)?;
        Ok(())
    }
}

/// Every factor from 0 to 5.
fn graded() -> Vec<(String, Conditions)> {
    let seeded = Conditions { seed: 5, motion_rad: 0.4, ..Conditions::default() };
    let at = |factor: Factor, level| {
        (format!("{}_{level}", factor.name()), seeded.with(factor, Severity::new(level)))
    };
    Factor::ALL.into_iter().flat_map(|factor| (0..=5).map(move |level| at(factor, level))).collect()
}

/// Every kind of instrument, in usual light.
fn kinds() -> Vec<(String, Conditions)> {
    Kind::ALL.into_iter().zip(Finish::ALL.into_iter().cycle()).map(kind).collect()
}

fn kind((kind, finish): (Kind, Finish)) -> (String, Conditions) {
    let instruments = [Instrument { kind, finish, wear: Severity::NONE }; TOOLS_MAX];
    let shown = Conditions { instruments, ..Conditions::default() }
        .with(Factor::Light, Severity::new(2))
        .with(Factor::Speculars, Severity::new(2));
    (format!("kind_{}", kind.name()), shown)
}

fn states() -> Vec<(String, SceneState)> {
    let mut all = vec![("plain".into(), state())];
    for (i, high_m) in [0.030, 0.015, 0.005, 0.0].into_iter().enumerate() {
        let tool = tool(above(SEED, -0.012, -0.006, high_m), [0.2, 0.1], 0.9, 0.1);
        all.push((format!("height_{i}"), SceneState { tools: vec![tool], targets: vec![], ..state() }));
    }
    let mut near = state();
    near.camera.fov_y_rad = 0.3;
    near.targets.push(target(TargetShape::Ring, 0.010, 0.012, 0.004));
    near.targets.push(target(TargetShape::Needle, -0.004, -0.014, 0.006));
    all.push(("near".into(), near));
    let mut held = state();
    let bead = above(SEED, 0.004, -0.004, 0.016);
    held.tools = vec![tool(bead + Vector3::new(0.0, 0.0, -0.002), [-0.5, 0.3], -0.4, 0.45)];
    held.targets[0].base_from_target.translation = bead.coords.into();
    held.targets[0].grasped = true;
    all.push(("held".into(), held));
    for seed in [1, 2, 3, 4] {
        let tool = tool(above(seed, 0.0, 0.0, 0.010), [0.4, 0.5], 0.1, 0.7);
        let goals =
            vec![Goal { centre_m: above(seed, -0.014, 0.010, 0.0), radius_m: 0.007, highlighted: false }];
        all.push((
            format!("seed_{seed}"),
            SceneState { seed, tools: vec![tool], targets: vec![], goals, ..state() },
        ));
    }
    let mut aside = state();
    aside.camera = farhand_scene::Camera::looking_at(
        Point3::new(0.07, -0.08, -0.08),
        Point3::new(0.0, 0.0, -0.15),
        Vector3::z(),
        camera().fov_y_rad,
    );
    all.push(("aside".into(), aside));
    all.push(("two".into(), two()));
    all
}

/// The usual state, with another arm's tool.
fn two() -> SceneState {
    let mut two = state();
    let rcm = Translation3::new(-0.10, 0.06, 0.0);
    let end_m = rcm.inverse() * above(SEED, -0.016, 0.004, 0.008);
    let other = tool(end_m, [-0.3, 0.2], 0.4, 0.3);
    two.tools.push(Tool { base_from_tip: rcm * other.base_from_tip, rcm_m: rcm * other.rcm_m, ..other });
    two
}

fn write_png(path: &Path, width: u32, height: u32, rgb: &[u8]) -> Result<(), png::EncodingError> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(rgb)
}
