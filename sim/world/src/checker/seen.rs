//! What was seen of one arm.

use std::collections::BTreeMap;

use farhand_motion::{ArmLimits, ArmModel, Joints, Mounted};
use farhand_wire::ArmSetpoint;
use nalgebra::{Isometry3, Point3, Vector3};

use super::{Basis, JAWS_MM, PENETRATION_MM};

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) limits: ArmLimits,
    model: ArmModel,
    kit_from_base: Isometry3<f64>,
    /// The newest command that may move it.
    pub(super) basis: Option<Basis>,
    /// It may not move until the dead-man was seen up by someone who knew of this tick.
    pub(super) release_after_us: Option<u64>,
    pub(super) last: Option<ArmSetpoint>,
    /// Tip and jaws' end at the last setpoint, mm in the kit's frame.
    pub(super) tool_mm: [[f64; 3]; 2],
    /// How deep the tool may be in regions.
    pub(super) granted_mm: f64,
    /// The tool is being drawn out, and nothing else of it moves any more.
    pub(super) drawing: bool,
    pub(super) velocity: [f64; 6],
    /// When the newest command that was applied came, until the dead-man is up; and those that may be, by their sequences.
    pub(super) moved_us: Option<u64>,
    pub(super) applicable: BTreeMap<u64, u64>,
    /// Whether the arm knows where it is.
    pub(super) homed: bool,
    /// The dead-man is up, or an e-stop came: the tool is stopping, or stands.
    pub(super) stopping: bool,
    /// The tool's direction when its targets began to be turned too far from it.
    pub(super) turned_from: Option<[f64; 4]>,
}

impl Seen {
    pub(super) fn new(Mounted { model, kit_from_base }: Mounted) -> Self {
        Self {
            limits: *model.limits(),
            model,
            kit_from_base,
            basis: None,
            release_after_us: Some(0),
            last: None,
            tool_mm: [[0.0; 3]; 2],
            granted_mm: PENETRATION_MM,
            drawing: false,
            velocity: [0.0; 6],
            moved_us: None,
            applicable: BTreeMap::new(),
            homed: false,
            stopping: false,
            turned_from: None,
        }
    }

    /// The kit lost its memory; the arm stands where its own brakes stopped it.
    pub(super) fn kit_restarted(&mut self) {
        (self.basis, self.last, self.moved_us) = (None, None, None);
        (self.velocity, self.stopping) = ([0.0; 6], false);
        (self.granted_mm, self.release_after_us) = (PENETRATION_MM, Some(0));
        self.applicable.clear();
    }

    pub(super) fn stop(&mut self) {
        (self.basis, self.stopping) = (None, true);
    }

    /// Tip, and where the closed jaws end, or as far before an endoscope's lens; in the kit's frame.
    pub(super) fn tool_mm(&self, joints: &[f64; 6]) -> [[f64; 3]; 2] {
        let pose = self.kit_from_base * self.model.forward(&Joints(*joints));
        let (tip_m, along) = (pose.translation.vector, pose.rotation * Vector3::z());
        [0.0, JAWS_MM].map(|ahead_mm| (tip_m * 1e3 + along * ahead_mm).into())
    }

    /// How far a point of the kit's frame is out of the arm's workspace.
    pub(super) fn outside_mm(&self, kit_mm: [f64; 3]) -> f64 {
        let base_m = self.kit_from_base.inverse() * (Point3::from(kit_mm) / 1e3);
        self.limits.workspace.outside_m(&base_m) * 1e3
    }

    /// Since its targets are turned too far: a wrist that cannot turn there may still go to where its range ends, if that is near.
    pub(super) fn turned_deg(&mut self) -> f64 {
        let Some(now) = self.direction() else { return 0.0 };
        let from = *self.turned_from.get_or_insert(now);
        self.turn_deg(from)
    }

    /// From the last setpoint's direction to this one, by the smallest turn.
    pub(super) fn turn_deg(&self, wxyz: [f64; 4]) -> f64 {
        let Some(now) = self.direction() else { return 0.0 };
        let cosine: f64 = now.iter().zip(wxyz).map(|(a, b)| a * b).sum();
        2.0 * cosine.abs().min(1.0).acos().to_degrees()
    }

    fn direction(&self) -> Option<[f64; 4]> {
        let last = self.last?;
        let now = self.kit_from_base.rotation * self.model.forward(&Joints(last.joints)).rotation;
        Some([now.w, now.i, now.j, now.k])
    }
}
