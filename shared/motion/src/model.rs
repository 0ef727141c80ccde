//! One arm: its link table, limits, and forward kinematics.
//!
//! Invariant: an [`ArmModel`] has the shape the closed-form inverse needs (three joints through the remote centre, then a
//! wrist whose two axes are `wrist_offset_m` apart), and limits that leave room to stop; reading its file checks both.

use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use sha2::{Digest, Sha256};

use crate::coupling::Coupling;
use crate::file::{self, ArmFileError};
use crate::joints::{AXES, Axes, Axis, JOINTS, Joints};
use crate::limits::ArmLimits;
use crate::tremor::Band;

/// An arm with its tool, as its file describes it.
#[derive(Clone, Debug)]
pub struct ArmModel {
    pub(crate) name: String,
    pub(crate) digest: [u8; 32],
    pub(crate) links: [Link; JOINTS],
    /// From the last link's frame to the tip's.
    pub(crate) link_from_tip: Isometry3<f64>,
    pub(crate) tip_from_link: Isometry3<f64>,
    pub(crate) turn_lever_m: f64,
    pub(crate) coupling: Coupling,
    pub(crate) limits: ArmLimits,
    pub(crate) smoothing_ticks: usize,
    pub(crate) tremor: Band,
    pub(crate) home: Home,
    pub(crate) withdraw: Withdraw,
}

/// Where homing ends and how fast it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Home {
    pub joints: Joints,
    pub jaw_rad: f64,
    pub tip_speed_mm_s_max: f64,
    /// Share of each axis's own velocity limit that homing may use.
    pub velocity_fraction_max: f64,
}

/// How far and how fast a withdrawal draws the shaft out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Withdraw {
    pub insertion_m: f64,
    pub insertion_speed_m_s_max: f64,
}

/// The tool's points at one configuration, in the base frame.
pub(crate) struct Chain {
    /// Axis and a point on it.
    joints: [(Vector3<f64>, Point3<f64>); JOINTS],
    prismatic: [bool; JOINTS],
    /// Where the jaws pivot.
    pub(crate) tip: Point3<f64>,
    /// Where the closed jaws end.
    pub(crate) jaws: Point3<f64>,
}

impl Chain {
    /// How the point moves with that joint, m/rad; at insertion a direction.
    pub(crate) fn moves(&self, joint: usize, point: &Point3<f64>) -> Vector3<f64> {
        let (axis, origin) = &self.joints[joint];
        if self.prismatic[joint] { *axis } else { axis.cross(&(point - origin)) }
    }
}

/// One row of a modified Denavit-Hartenberg table: parent_from_link = Rx(alpha) Tx(a) Rz(theta) Tz(d).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) sin_alpha: f64,
    pub(crate) cos_alpha: f64,
    pub(crate) a_m: f64,
    pub(crate) theta_offset_rad: f64,
    pub(crate) d_m: f64,
    pub(crate) prismatic: bool,
}

impl ArmModel {
    /// Reads an arm's file. Errors name the field, the value seen and what is allowed.
    pub fn from_toml(text: &str) -> Result<Self, ArmFileError> {
        file::parse(text)
    }

    /// The da Vinci patient-side manipulator with a large needle driver; its file is part of this crate and cites its
    /// sources.
    pub fn psm_large_needle_driver() -> Self {
        Self::from_toml(include_str!("../arms/psm_large_needle_driver.toml"))
            .expect("the file is compiled in, and a test reads it")
    }

    /// The arm's name in its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file's bytes, which the ledger records.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    pub fn limits(&self) -> &ArmLimits {
        &self.limits
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn withdraw(&self) -> &Withdraw {
        &self.withdraw
    }

    /// Between the tool's actuators and its joints.
    pub fn coupling(&self) -> &Coupling {
        &self.coupling
    }

    /// Ticks of the moving average that bounds jerk. A setpoint's velocity is the mean of the tracker's over the last
    /// so many ticks, so a lowered tip-speed cap is met that much later.
    pub fn smoothing_ticks(&self) -> usize {
        self.smoothing_ticks
    }

    /// Pose of the tip in the base frame, by the product of the link table, then the published tip rotation.
    pub fn forward(&self, joints: &Joints) -> Isometry3<f64> {
        let mut frame = Frame::BASE;
        for (link, q) in self.links.iter().zip(joints.0) {
            frame = frame.child(link, q);
        }
        frame.isometry() * self.link_from_tip
    }

    /// Where the tool's points are, and how each joint moves them.
    pub(crate) fn chain(&self, axes: &Axes) -> Chain {
        let mut frame = Frame::BASE;
        let joints = std::array::from_fn(|i| {
            frame = frame.child(&self.links[i], axes[i]);
            (frame.z, frame.origin)
        });
        let place =
            |point: &Vector3<f64>| frame.origin + frame.x * point.x + frame.y * point.y + frame.z * point.z;
        let (offset, turn) = (self.link_from_tip.translation.vector, self.link_from_tip.rotation);
        let tip = place(&offset);
        let jaws = place(&(offset + turn * Vector3::z() * self.turn_lever_m));
        Chain { joints, prismatic: self.links.map(|link| link.prismatic), tip, jaws }
    }

    /// Distance of the wrist pitch axis from the remote centre at zero insertion, m; negative means behind it.
    pub(crate) fn wrist_at_zero_insertion_m(&self) -> f64 {
        self.links[Axis::Insertion.index()].d_m + self.links[Axis::Roll.index()].d_m
    }

    /// From the wrist's pitch axis to its yaw axis, m.
    pub(crate) fn wrist_offset_m(&self) -> f64 {
        self.links[Axis::WristYaw.index()].a_m
    }
}

pub(crate) fn digest_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Least smoothing, in ticks, that keeps every axis's jerk in bounds: over a window of n ticks the mean acceleration
/// changes by at most twice the acceleration limit, divided by n, in a tick.
pub(crate) fn smoothing_ticks_for(limits: &ArmLimits) -> f64 {
    let (acceleration, jerk) = (limits.acceleration_max(), limits.jerk_max());
    let ticks = |i: usize| 2.0 * acceleration[i] / (jerk[i] * crate::TICK_S);
    // A hair less than the quotient, so that 2 * 20 / (4000 * 0.001) is 10 and not 11.
    (0..AXES).map(|i| (ticks(i) - 1e-9).ceil().max(1.0)).fold(1.0, f64::max)
}

/// A link's axes and origin, in the base frame.
#[derive(Clone, Copy)]
struct Frame {
    x: Vector3<f64>,
    y: Vector3<f64>,
    z: Vector3<f64>,
    origin: Point3<f64>,
}

impl Frame {
    const BASE: Self = Self {
        x: Vector3::new(1.0, 0.0, 0.0),
        y: Vector3::new(0.0, 1.0, 0.0),
        z: Vector3::new(0.0, 0.0, 1.0),
        origin: Point3::new(0.0, 0.0, 0.0),
    };

    fn child(&self, link: &Link, q: f64) -> Self {
        let (turn_rad, slide_m) = if link.prismatic { (0.0, q) } else { (q, 0.0) };
        let (sin, cos) = (link.theta_offset_rad + turn_rad).sin_cos();
        let y = self.y * link.cos_alpha + self.z * link.sin_alpha;
        let z = self.z * link.cos_alpha - self.y * link.sin_alpha;
        let origin = self.origin + self.x * link.a_m + z * (link.d_m + slide_m);
        Self { x: self.x * cos + y * sin, y: y * cos - self.x * sin, z, origin }
    }

    fn isometry(&self) -> Isometry3<f64> {
        let rotation = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[self.x, self.y, self.z]));
        Isometry3::from_parts(self.origin.into(), UnitQuaternion::from_rotation_matrix(&rotation))
    }
}
