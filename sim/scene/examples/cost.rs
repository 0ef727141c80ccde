//! Measures what frames cost on this machine: time from state to bytes, and time of all threads together.
//!
//! `cargo run -p farhand-scene --release --example cost -- [FRAMES]`
//!
//! Cases: a tool that moves (the normal case), two that move, a tool and the camera (the tissue is drawn anew each
//! time), nothing that moves; a tool that moves under all conditions of tissue and instruments, and of lens and sensor too;
//! all of them with a moving camera; and random samples, one in twelve with another tissue. "Per cent" is of one core, over
//! all threads, at that rate.

use std::cell::RefCell;
use std::time::Instant;

use farhand_scene::{
    Camera, Conditions, Factor, Sampler, Scene, SceneSettings, SceneState, Severity, Split, Tool,
};
use nalgebra::{Isometry3, Point3, Vector3};

#[path = "../tests/common/mod.rs"]
mod common;

use common::{SEED, above, state, tool};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let frames: u32 = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    for (width, height) in [(1280, 720), (960, 540), (640, 360)] {
        let begun = Instant::now();
        let mut scene = Scene::new(SceneSettings { width, height, ..SceneSettings::default() })?;
        let opened_ms = ms(begun);
        scene.render(&state())?;
        say(&format!(
            "{width}x{height} on {}: open {opened_ms:.0} ms, first frame after {:.0} ms",
            scene.adapter_name(),
            ms(begun)
        ));
        measure(&mut scene, "tool moves", frames, |i| plain(moving(i, frames)))?;
        measure(&mut scene, "two tools move", frames, |i| plain(two_moving(i, frames)))?;
        let both = |i| SceneState { camera: drifting(i), ..moving(i, frames) };
        measure(&mut scene, "camera moves", frames.min(60), |i| plain(both(i)))?;
        measure(&mut scene, "nothing moves", frames, |_| plain(state()))?;
        measure(&mut scene, "fluids", frames, |i| (moving(i, frames), wet()))?;
        measure(&mut scene, "all effects", frames.min(60), |i| (moving(i, frames), everything(i)))?;
        measure(&mut scene, "and camera", frames.min(60), |i| (both(i), everything(i)))?;
        let sampler = RefCell::new(Sampler::new(1, Split::training()));
        measure(&mut scene, "samples", frames.min(60), |_| sampler.borrow_mut().draw())?;
    }
    Ok(())
}

fn measure(
    scene: &mut Scene,
    what: &str,
    frames: u32,
    state_at: impl Fn(u32) -> (SceneState, Conditions),
) -> Result<(), Box<dyn std::error::Error>> {
    let states: Vec<(SceneState, Conditions)> = (0..frames).map(state_at).collect();
    let mut taken_ms = Vec::new();
    let mut tiles = 0;
    scene.render_under(&states[0].0, &states[0].1)?;
    let cpu_before_s = cpu_s()?;
    for (state, conditions) in &states {
        let begun = Instant::now();
        let drawn = scene.render_under(state, conditions)?.tiles_drawn;
        taken_ms.push(ms(begun));
        tiles += drawn;
    }
    let cpu_ms = (cpu_s()? - cpu_before_s) * 1e3 / f64::from(frames);
    taken_ms.sort_by(f64::total_cmp);
    let at = |share: f64| taken_ms[((taken_ms.len() - 1) as f64 * share) as usize];
    say(&format!(
        "  {what:14} p50 {:5.2} ms  p95 {:5.2} ms  cpu {cpu_ms:5.2} ms  = {:3.0} % at 30, {:3.0} % at 25 frames/s  {tiles}",
        at(0.5),
        at(0.95),
        cpu_ms * 3.0,
        cpu_ms * 2.5,
    ));
    Ok(())
}

fn plain(state: SceneState) -> (SceneState, Conditions) {
    (state, Conditions::default())
}

/// Light, fat, blood and highlights at the worst.
fn wet() -> Conditions {
    [Factor::Light, Factor::Fat, Factor::Blood, Factor::Speculars]
        .into_iter()
        .fold(Conditions::default(), |all, factor| all.with(factor, Severity::WORST))
}

/// Every factor at the worst.
fn everything(frame: u32) -> Conditions {
    let frame = Conditions { frame, ..Conditions::default() };
    Factor::ALL.into_iter().fold(frame, |all, factor| all.with(factor, Severity::WORST))
}

/// A tool that goes once around the field of work, up and down, turning its wrist and jaws.
fn moving(i: u32, frames: u32) -> SceneState {
    let t = f64::from(i) / f64::from(frames) * std::f64::consts::TAU;
    let end_m = above(SEED, 0.022 * t.cos(), 0.018 * t.sin(), 0.012 + 0.010 * (3.0 * t).sin());
    let tool = tool(end_m, [0.5 * t.sin(), 0.4 * (2.0 * t).cos()], t, 0.5 + 0.4 * (5.0 * t).sin());
    SceneState { tools: vec![tool], ..state() }
}

/// The same, and half a turn later another arm's from the other side.
fn two_moving(i: u32, frames: u32) -> SceneState {
    let opposite = Isometry3::new(Vector3::new(0.004, 0.006, 0.0), Vector3::z() * std::f64::consts::PI);
    let (mut both, other) = (moving(i, frames), moving((i + frames / 2) % frames, frames));
    both.tools.extend(other.tools.into_iter().map(|tool| Tool {
        base_from_tip: opposite * tool.base_from_tip,
        rcm_m: opposite * tool.rcm_m,
        shaft_direction: opposite * tool.shaft_direction,
        ..tool
    }));
    both
}

fn drifting(i: u32) -> Camera {
    let eye_m = Point3::new(-0.058 + 0.0002 * f64::from(i), -0.034, -0.058);
    Camera::looking_at(eye_m, Point3::new(0.0, 0.0, -0.149), Vector3::y(), 0.75)
}

/// Processor time of this process so far, all threads, from Linux's `/proc/self/stat` in ticks of 10 ms.
fn cpu_s() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no process name in /proc/self/stat")?;
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn say(line: &str) {
    #[allow(clippy::print_stdout, reason = "the example's result")]
    {
        println!("{line}");
    }
}
