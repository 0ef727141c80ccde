//! The truth, for tests and people who want to know: one JSON object in a file, replaced whole.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use farhand_world::aircraft;
use serde::Serialize;
use serde_json::Value;

use super::arm::ArmTruth;
use super::stage::Stage;

/// What is so. Places are in the kit's frame, mm; what is said of an arm is said of the first.
#[derive(Debug, Serialize)]
pub(crate) struct Truth {
    seed: u64,
    /// The axis on which the jaws turn: the point that kit and guard call the tip.
    tip_mm: [f64; 3],
    /// Where the closed jaws end: what must meet the target.
    jaw_end_mm: [f64; 3],
    target_mm: [f64; 3],
    /// From the jaws' end to the target.
    error_mm: f64,
    /// The same way as a vector in the picture: to the right, down, into it.
    to_target_view_mm: [f64; 3],
    jaw_rad: f64,
    grasped: bool,
    /// The tip's speed, mm/s.
    moving: f64,
    arm: Arm,
    /// Where each arm's tip is, by the arm's name.
    tips_mm: BTreeMap<&'static str, [f64; 3]>,
    aircraft: Option<Aircraft>,
    /// Pictures given to the camera's readers so far.
    frames: u64,
    /// How the exercise stands, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    exercise: Option<Value>,
}

#[derive(Debug, Serialize)]
struct Arm {
    watchdog: bool,
    homed: bool,
    fault: bool,
}

#[derive(Debug, Serialize)]
struct Aircraft {
    mode: String,
    lat_deg: f64,
    lon_deg: f64,
    /// Above where it started.
    altitude_m: f64,
    armed: bool,
    /// The gripper is open: the kit is off.
    released: bool,
}

impl Truth {
    pub(crate) fn new(stage: &Stage, arm: &ArmTruth, aircraft: Option<aircraft::Truth>, frames: u64) -> Self {
        let to_target_mm = std::array::from_fn(|i| arm.target_mm[i] - arm.jaw_end_mm[i]);
        Self {
            seed: stage.seed,
            tip_mm: arm.tip_mm,
            jaw_end_mm: arm.jaw_end_mm,
            target_mm: arm.target_mm,
            error_mm: arm.error_mm,
            to_target_view_mm: stage.view_of(arm, to_target_mm),
            jaw_rad: arm.jaw_rad,
            grasped: arm.grasped,
            moving: arm.tip_speed_mm_s,
            arm: Arm { watchdog: arm.watchdog, homed: arm.homed, fault: arm.fault },
            tips_mm: stage.tips_mm(arm),
            aircraft: aircraft.map(|truth| Aircraft {
                mode: format!("{:?}", truth.mode),
                lat_deg: truth.lat_deg,
                lon_deg: truth.lon_deg,
                altitude_m: truth.altitude_m,
                armed: truth.armed,
                released: truth.released,
            }),
            frames,
            exercise: None,
        }
    }

    pub(crate) fn with_exercise(mut self, exercise: Option<Value>) -> Self {
        self.exercise = exercise;
        self
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        replace(path, &serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write the truth to {}", path.display()))
    }
}

/// Whoever reads the file sees the old content or the new one, never half of one.
pub(super) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}
