//! Between the tool's actuators and its joints: the wrist's cables cross, so one disc moves two joints.

use nalgebra::{Matrix4, Vector4};

/// Linear coupling of roll, wrist pitch, wrist yaw and jaw, in this order; radians on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coupling {
    joint_from_actuator: Matrix4<f64>,
    actuator_from_joint: Matrix4<f64>,
}

impl Coupling {
    /// `rows` is the published joint-from-actuator matrix; `None` where it has no inverse.
    pub(crate) fn new(rows: &[[f64; 4]; 4]) -> Option<Self> {
        let joint_from_actuator = Matrix4::from_fn(|row, column| rows[row][column]);
        let actuator_from_joint = joint_from_actuator.try_inverse()?;
        Some(Self { joint_from_actuator, actuator_from_joint })
    }

    /// Joint angles (roll, wrist pitch, wrist yaw, jaw) at these actuator angles, rad.
    pub fn joints_rad(&self, actuators_rad: &[f64; 4]) -> [f64; 4] {
        (self.joint_from_actuator * Vector4::from(*actuators_rad)).into()
    }

    /// Actuator angles at these joint angles (roll, wrist pitch, wrist yaw, jaw), rad.
    pub fn actuators_rad(&self, joints_rad: &[f64; 4]) -> [f64; 4] {
        (self.actuator_from_joint * Vector4::from(*joints_rad)).into()
    }
}
