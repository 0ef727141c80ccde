//! One arm: its link table, limits, and forward kinematics.
//!
//! Invariant: an [`ArmModel`] has the shape the closed-form inverse needs (three joints through the remote centre, then a
//! wrist whose two axes are `wrist_offset_m` apart, or none and a tip on the shaft's axis), and limits that leave room to
//! stop; reading its file checks both.
//!
//! An arm without a wrist has no jaw either. It is carried in the same arrays: its wrist's joints and jaw have the range
//! from zero to zero, and its links there turn and move nothing.

use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};
use sha2::{Digest, Sha256};

use crate::coupling::Coupling;
use crate::file::{self, ArmFileError};
use crate::joints::{AXES, Axes, Axis, JOINTS, Joints};
use crate::limits::ArmLimits;
use crate::tremor::Band;

type Reading = fn() -> ArmModel;

/// The arms that this crate brings along, by the names that a kit's configuration calls them.
const COMPILED_IN: [(&str, Reading); 2] = [
    ("psm_large_needle_driver", ArmModel::psm_large_needle_driver),
    ("ecm_straight_endoscope", ArmModel::ecm_straight_endoscope),
];

/// An arm with its tool, as its file describes it.
#[derive(Clone, Debug)]
pub struct ArmModel {
    pub(crate) name: String,
    pub(crate) digest: [u8; 32],
    pub(crate) has_wrist: bool,
    pub(crate) links: [Link; JOINTS],
    /// From the last link's frame to the tip's.
    pub(crate) link_from_tip: Isometry3<f64>,
    pub(crate) tip_from_link: Isometry3<f64>,
    pub(crate) turn_lever_m: f64,
    pub(crate) coupling: Option<Coupling>,
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
    /// Where the jaws pivot, or the lens is.
    pub(crate) tip: Point3<f64>,
    /// Where the closed jaws end; before a lens, what it keeps clear of.
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

impl Link {
    /// What stands for a link that the arm has not.
    pub(crate) const NONE: Self =
        Self { sin_alpha: 0.0, cos_alpha: 1.0, a_m: 0.0, theta_offset_rad: 0.0, d_m: 0.0, prismatic: false };
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

    /// The da Vinci endoscope manipulator with a straight endoscope: four joints, no wrist and no jaw; its file is part of
    /// this crate and cites its sources.
    pub fn ecm_straight_endoscope() -> Self {
        Self::from_toml(include_str!("../arms/ecm_straight_endoscope.toml"))
            .expect("the file is compiled in, and a test reads it")
    }

    /// The compiled-in arm of this name, one of [`ArmModel::names`].
    pub fn by_name(name: &str) -> Option<Self> {
        COMPILED_IN.iter().find(|(known, _)| *known == name).map(|(_, read)| read())
    }

    /// Names of the compiled-in arms, for an error that lists them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        COMPILED_IN.iter().map(|(name, _)| *name)
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

    /// Whether the tool has a wrist and a jaw. Without, the tip's direction follows from its place but for the roll; wrist
    /// pitch, wrist yaw and jaw are zero.
    pub fn has_wrist(&self) -> bool {
        self.has_wrist
    }

    /// Between the tool's actuators and its joints, where it has a wrist.
    pub fn coupling(&self) -> Option<&Coupling> {
        self.coupling.as_ref()
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

    /// Distance of the wrist pitch axis from the remote centre at zero insertion, m; negative means behind it. Without a
    /// wrist, that of the tip.
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
