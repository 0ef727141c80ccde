//! What one control tick of motion costs: clamp, lag, inverse, tracking and forward kinematics, for a hand that never
//! rests. Run with `cargo run --release -p farhand-motion --example tick_cost`.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use farhand_motion::{ArmModel, Motion, TICK_S, Target};
use nalgebra::{Isometry3, UnitQuaternion, Vector3};

const TICKS: u32 = 1_000_000;

fn main() -> std::io::Result<()> {
    let arm = ArmModel::psm_large_needle_driver();
    let mut out = std::io::stdout().lock();
    for (name, reach_m) in [("inside every limit", 0.02), ("clamped half of the time", 0.4)] {
        let (ns, tip_mm_s) = measure(&arm, reach_m);
        writeln!(out, "{name}: {ns:.0} ns a tick, mean tip speed {tip_mm_s:.0} mm/s")?;
    }
    Ok(())
}

fn measure(arm: &ArmModel, reach_m: f64) -> (f64, f64) {
    let home = arm.home();
    let Ok(mut motion) = Motion::new(arm, home.joints, home.jaw_rad) else { return (f64::NAN, f64::NAN) };
    let centre = motion.setpoint().base_from_tip;
    let mut speed_sum = 0.0;
    let start = Instant::now();
    for tick in 0..TICKS {
        let target = Target { base_from_tip: hand(&centre, tick, reach_m), jaw_rad: 0.2 };
        let clamped = motion.clamp(black_box(&target));
        black_box(motion.lag(&clamped));
        speed_sum += black_box(motion.follow(&clamped, 200.0)).tip_speed_mm_s;
    }
    let ns = start.elapsed().as_secs_f64() * 1e9 / f64::from(TICKS);
    (ns, speed_sum / f64::from(TICKS))
}

/// A circle every two seconds, told every 8 ms, with the wrist turning along.
fn hand(centre: &Isometry3<f64>, tick: u32, reach_m: f64) -> Isometry3<f64> {
    let (sin, cos) = (std::f64::consts::PI * f64::from(tick / 8 * 8) * TICK_S).sin_cos();
    let shift = Vector3::new(reach_m * cos, reach_m * sin, 0.0);
    let rotation =
        UnitQuaternion::from_scaled_axis(Vector3::new(0.5 * sin, 0.3 * cos, 0.2)) * centre.rotation;
    Isometry3::from_parts((centre.translation.vector + shift).into(), rotation)
}
