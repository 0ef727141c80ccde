//! Writes pictures of several states and their labels as PNG into a folder, to be looked at.
//!
//! `cargo run -p farhand-scene --example look -- FOLDER [WIDTH HEIGHT]`

use std::path::Path;

use farhand_scene::{Goal, SceneSettings, SceneState, TargetShape, Tool};
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
    let mut scene = farhand_scene::Scene::new(SceneSettings { width, height, ..SceneSettings::default() })?;
    let mut labels = vec![0; (width * height) as usize];
    for (name, state) in states() {
        let frame = scene.render(&state)?;
        let rgb = common::rgb(frame.nv12, width as usize, height as usize);
        write_png(&Path::new(&folder).join(format!("{name}.png")), width, height, &rgb)?;
        scene.render_labels(&state, &mut labels)?;
        let colored: Vec<u8> = labels.iter().flat_map(|id| common::label_color(*id)).collect();
        write_png(&Path::new(&folder).join(format!("{name}_labels.png")), width, height, &colored)?;
    }
    Ok(())
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
    let mut two = state();
    let rcm = Translation3::new(-0.10, 0.06, 0.0);
    let end_m = rcm.inverse() * above(SEED, -0.016, 0.004, 0.008);
    let other = tool(end_m, [-0.3, 0.2], 0.4, 0.3);
    two.tools.push(Tool { base_from_tip: rcm * other.base_from_tip, rcm_m: rcm * other.rcm_m, ..other });
    all.push(("two".into(), two));
    all
}

fn write_png(path: &Path, width: u32, height: u32, rgb: &[u8]) -> Result<(), png::EncodingError> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(rgb)
}
