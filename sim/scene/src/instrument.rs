//! The large needle driver: where its parts are for a given tip, and what they look like; and where those of the other
//! [kinds](crate::kinds) are.
//!
//! Two lengths fix the kinematics. From the wrist's pitch axis to the jaws' axis 9.1 mm: the dVRK's
//! `LARGE_NEEDLE_DRIVER_400006.json`, `A` of `wrist_yaw`. The jaws are 10.2 mm long: `L_yaw2ctrlpnt` of the
//! dVRK's patient-side arm model. The shaft is 8 mm thick. All other sizes are drawn to look right.

use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, Translation3, UnitQuaternion, UnitVector3, Vector3};

use crate::class::Class;
use crate::conditions::Instrument;
use crate::kinds::{self, Form};
use crate::mesh::{self, Material, Mesh, Section};
use crate::state::Tool;

/// From the wrist's pitch axis to the axis on which the jaws turn, in metres.
pub const PITCH_TO_JAW_AXIS_M: f64 = 0.0091;
/// From the axis on which the jaws turn, the tip frame's origin, to the end of the closed jaws, in metres.
pub const JAW_LENGTH_M: f64 = 0.0102;
/// Radius of the instrument's shaft, in metres.
pub const SHAFT_RADIUS_M: f64 = 0.004;

/// The dark tube ends this far before the pitch axis; metal follows.
pub(crate) const TUBE_END_M: f32 = 0.011;
/// Length of the tube that is drawn, backward from its end: more than any view holds.
pub(crate) const TUBE_LENGTH_M: f32 = 0.30;

/// One rigid part of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Tube,
    Clevis,
    WristLink,
    Jaw,
    WindowedJaw,
    BladeA,
    BladeB,
    SlimTube,
    Fork,
    LongJaw,
    DissectorA,
    DissectorB,
    Insulator,
    HookTip,
}

impl Part {
    pub(crate) const ALL: [Self; 14] = [
        Self::Tube,
        Self::Clevis,
        Self::WristLink,
        Self::Jaw,
        Self::WindowedJaw,
        Self::BladeA,
        Self::BladeB,
        Self::SlimTube,
        Self::Fork,
        Self::LongJaw,
        Self::DissectorA,
        Self::DissectorB,
        Self::Insulator,
        Self::HookTip,
    ];

    /// What works on tissue is a clasper, though a hook clasps nothing: the challenge has no class for it.
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Tube | Self::SlimTube => Class::InstrumentShaft,
            Self::Clevis | Self::WristLink | Self::Fork | Self::Insulator => Class::InstrumentWrist,
            Self::Jaw
            | Self::WindowedJaw
            | Self::BladeA
            | Self::BladeB
            | Self::LongJaw
            | Self::DissectorA
            | Self::DissectorB
            | Self::HookTip => Class::InstrumentClasper,
        }
    }

    pub(crate) fn mesh(self) -> Mesh {
        match self {
            Self::Tube => tube_mesh(),
            Self::Clevis => clevis_mesh(),
            Self::WristLink => wrist_link_mesh(),
            Self::Jaw => jaw_mesh(),
            Self::WindowedJaw => kinds::windowed_jaw_mesh(),
            Self::BladeA => kinds::blade_mesh(1.0),
            Self::BladeB => kinds::blade_mesh(-1.0),
            Self::SlimTube => kinds::slim_tube_mesh(),
            Self::Fork => kinds::fork_mesh(),
            Self::LongJaw => kinds::long_jaw_mesh(),
            Self::DissectorA => kinds::dissector_jaw_mesh(1.0),
            Self::DissectorB => kinds::dissector_jaw_mesh(-1.0),
            Self::Insulator => kinds::insulator_mesh(),
            Self::HookTip => kinds::hook_tip_mesh(),
        }
    }
}

/// Where each part of an instrument is, in the base frame.
#[derive(Debug, Clone)]
pub(crate) struct Posture {
    pub(crate) parts: Vec<(Part, Isometry3<f64>)>,
    /// The shaft's axis from far behind to the pitch axis, the link, and the two jaws, each with its radius:
    /// the bodies that cast shadows.
    pub(crate) bones: Vec<Bone>,
    /// The metal's colour and, last, the shaft's finish, as the shader reads them.
    pub(crate) tint: [f32; 4],
}

/// A segment with a thickness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bone {
    pub(crate) from_m: Point3<f64>,
    pub(crate) to_m: Point3<f64>,
    pub(crate) radius_m: f64,
}

impl Posture {
    pub(crate) fn of(tool: &Tool, what: Instrument) -> Self {
        let form = kinds::form(what.kind);
        let (tool, joint) = if form.link.is_some() {
            (*tool, Wrist::of(tool))
        } else {
            let straight = straightened(tool);
            (straight, Wrist::none(&straight))
        };
        Self { parts: parts(&tool, &joint, &form), bones: bones(&tool, &joint, &form), tint: tint(what) }
    }
}

/// The jaws' poses: they open by half the angle each. A single one stays in the middle.
fn jaw_poses(tool: &Tool, form: &Form) -> Vec<Isometry3<f64>> {
    let half_rad = if form.jaws.len() > 1 { tool.jaw_rad.max(0.0) / 2.0 } else { 0.0 };
    [half_rad, -half_rad].into_iter().take(form.jaws.len()).map(|angle| jaw_pose(tool, angle)).collect()
}

fn parts(tool: &Tool, joint: &Wrist, form: &Form) -> Vec<(Part, Isometry3<f64>)> {
    let mut parts = vec![(form.tube, joint.base_from_shaft), (form.neck, joint.base_from_shaft)];
    parts.extend(form.link.map(|link| (link, joint.base_from_link)));
    let turned = [UnitQuaternion::identity(), turned_about_z()];
    let jaws = form.jaws.iter().zip(jaw_poses(tool, form)).zip(turned);
    parts.extend(jaws.map(|((part, pose), turn)| (*part, pose * turn)));
    parts
}

fn bones(tool: &Tool, joint: &Wrist, form: &Form) -> Vec<Bone> {
    let far_m = joint.pitch_axis_m - tool.shaft_direction.scale(f64::from(TUBE_END_M + TUBE_LENGTH_M));
    let shaft = Bone { from_m: far_m, to_m: joint.pitch_axis_m, radius_m: form.shaft_radius_m * 0.92 };
    let link = Bone { from_m: joint.pitch_axis_m, to_m: joint.jaw_axis_m, radius_m: 0.0026 };
    let jaws = jaw_poses(tool, form).into_iter().map(|pose| Bone {
        from_m: pose * Point3::origin(),
        to_m: pose * form.jaw_end_m,
        radius_m: form.jaw_radius_m,
    });
    let link = form.link.map(|_| link);
    [shaft].into_iter().chain(link).chain(jaws).collect()
}

/// Steel, darker the more it is worn; the shader reads from that how dull it is.
fn tint(what: Instrument) -> [f32; 4] {
    let bright = 1.0 - 0.11 * f32::from(what.wear.level());
    let [r, g, b] = [0.66, 0.67, 0.68].map(|c| c * bright);
    [r, g, b, f32::from(what.finish as u8)]
}

/// The same tool with its tip in line with its shaft, which goes through the remote centre.
fn straightened(tool: &Tool) -> Tool {
    let at_m: Point3<f64> = tool.base_from_tip.translation.vector.into();
    let base_from_tip = frame(at_m, at_m - tool.rcm_m, tool.base_from_tip * Vector3::x());
    let shaft_direction = UnitVector3::new_normalize(base_from_tip * Vector3::z());
    Tool { base_from_tip, shaft_direction, ..*tool }
}

/// The wrist's two axes, found from the tip, the remote centre and the shaft's direction alone: the pitch axis
/// lies on the shaft's line, one link's length from the jaws' axis, on the side of the remote centre.
struct Wrist {
    pitch_axis_m: Point3<f64>,
    jaw_axis_m: Point3<f64>,
    base_from_shaft: Isometry3<f64>,
    base_from_link: Isometry3<f64>,
}

impl Wrist {
    /// A straight instrument has both axes in one place.
    fn none(tool: &Tool) -> Self {
        let at_m: Point3<f64> = tool.base_from_tip.translation.vector.into();
        Self {
            pitch_axis_m: at_m,
            jaw_axis_m: at_m,
            base_from_shaft: tool.base_from_tip,
            base_from_link: tool.base_from_tip,
        }
    }

    fn of(tool: &Tool) -> Self {
        let jaw_axis_m: Point3<f64> = tool.base_from_tip.translation.vector.into();
        let along = tool.shaft_direction.into_inner();
        let reach_m = (jaw_axis_m - tool.rcm_m).dot(&along);
        let aside_m = (jaw_axis_m - tool.rcm_m - along * reach_m).norm();
        // A tip that no wrist reaches is drawn with a stretched link rather than not at all.
        let before_m = (PITCH_TO_JAW_AXIS_M.powi(2) - aside_m.powi(2)).max(0.0).sqrt();
        let pitch_axis_m = tool.rcm_m + along * (reach_m - before_m);
        let hinge = tool.base_from_tip * Vector3::x();
        let link = jaw_axis_m - pitch_axis_m;
        let base_from_link = frame(pitch_axis_m, link, hinge);
        let pitch_axis = base_from_link * Vector3::y();
        let across = pitch_axis.cross(&along);
        let base_from_shaft = frame(pitch_axis_m, along, across);
        Self { pitch_axis_m, jaw_axis_m, base_from_shaft, base_from_link }
    }
}

/// The jaw whose flat face looks toward -y when `angle_rad` is zero, opened by that angle toward +y.
fn jaw_pose(tool: &Tool, angle_rad: f64) -> Isometry3<f64> {
    tool.base_from_tip * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), -angle_rad)
}

fn turned_about_z() -> UnitQuaternion<f64> {
    UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f64::consts::PI)
}

/// A frame at `origin_m` with z along `z` and x as near to `x_hint` as z allows.
fn frame(origin_m: Point3<f64>, z: Vector3<f64>, x_hint: Vector3<f64>) -> Isometry3<f64> {
    let z = z.try_normalize(1e-9).unwrap_or_else(Vector3::z);
    let x = (x_hint - z * z.dot(&x_hint))
        .try_normalize(1e-6)
        .or_else(|| z.cross(&Vector3::y()).try_normalize(1e-6))
        .unwrap_or_else(Vector3::x);
    let axes = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[x, z.cross(&x), z]));
    Isometry3::from_parts(Translation3::from(origin_m.coords), UnitQuaternion::from_rotation_matrix(&axes))
}

/// The tube, in the shaft's frame: origin at the pitch axis, z along the shaft.
fn tube_mesh() -> Mesh {
    let radius_m = SHAFT_RADIUS_M as f32;
    let end_m = -TUBE_END_M;
    let far_m = end_m - TUBE_LENGTH_M;
    let profile = [(far_m, radius_m), (end_m - 0.0003, radius_m), (end_m, radius_m - 0.0003), (end_m, 0.0)];
    mesh::lathe(&profile, 28, Material::Shaft)
}

/// The metal end of the shaft with the two ears that carry the pitch axis, in the shaft's frame.
fn clevis_mesh() -> Mesh {
    let collar = [
        (-TUBE_END_M - 0.0002, 0.00360),
        (-0.0100, 0.00360),
        (-0.0100, 0.00360),
        (-0.0098, 0.00385),
        (-0.0080, 0.00385),
        (-0.0076, 0.00360),
        (-0.0076, 0.00360),
        (-0.0062, 0.00345),
        (-0.0050, 0.00300),
        (-0.0046, 0.00240),
        (-0.0046, 0.0),
    ];
    let mut mesh = mesh::lathe(&collar, 24, Material::Steel);
    let ear = mesh::link(0.0058, 0.0026, 0.0023, 0.0011, 0.00025);
    let pin = mesh::lathe(
        &[
            (-0.0032, 0.0),
            (-0.0032, 0.0009),
            (-0.0032, 0.0009),
            (0.0032, 0.0009),
            (0.0032, 0.0009),
            (0.0032, 0.0),
        ],
        12,
        Material::Steel,
    );
    let across = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f32::consts::FRAC_PI_2);
    for side_m in [-0.0023_f32, 0.0023] {
        mesh.add(&ear, &Isometry3::from_parts(Translation3::new(0.0, side_m, -0.0058), across));
    }
    let along_y = UnitQuaternion::from_axis_angle(&Vector3::x_axis(), std::f32::consts::FRAC_PI_2);
    mesh.add(&pin, &Isometry3::from_parts(Translation3::identity(), along_y));
    mesh
}

/// The link between the two axes, in its own frame: origin at the pitch axis, z to the jaws' axis, x along it.
fn wrist_link_mesh() -> Mesh {
    let length_m = PITCH_TO_JAW_AXIS_M as f32;
    let mut mesh = Mesh::default();
    let across = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), std::f32::consts::FRAC_PI_2);
    let stem = mesh::link(0.0052, 0.0022, 0.0024, 0.0032, 0.0003);
    mesh.add(&stem, &Isometry3::from_parts(Translation3::identity(), across));
    let ear = mesh::link(length_m - 0.0040, 0.0023, 0.0021, 0.0010, 0.00022);
    for side_m in [-0.0020_f32, 0.0020] {
        mesh.add(&ear, &Isometry3::translation(side_m, 0.0, 0.0040));
    }
    let pin = mesh::lathe(
        &[
            (-0.0027, 0.0),
            (-0.0027, 0.0008),
            (-0.0027, 0.0008),
            (0.0027, 0.0008),
            (0.0027, 0.0008),
            (0.0027, 0.0),
        ],
        12,
        Material::Steel,
    );
    let hub = mesh::lathe(
        &[
            (-0.0015, 0.0),
            (-0.0015, 0.0019),
            (-0.0015, 0.0019),
            (0.0015, 0.0019),
            (0.0015, 0.0019),
            (0.0015, 0.0),
        ],
        20,
        Material::Steel,
    );
    let along_x = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f32::consts::FRAC_PI_2);
    let at_axis = Isometry3::from_parts(Translation3::new(0.0, 0.0, length_m), along_x);
    mesh.add(&pin, &at_axis);
    mesh.add(&hub, &at_axis);
    mesh
}

/// One jaw, in its own frame: origin on the jaws' axis, x along it, z to the tip, the gripping face at y = 0.
fn jaw_mesh() -> Mesh {
    let section =
        |z_m: f32, half_width_m: f32, height_m: f32| Section { z_m, half_width_m, height_m, aside_m: 0.0 };
    let tip_m = JAW_LENGTH_M as f32;
    let sections = [
        section(-0.0004, 0.0012, 0.0012),
        section(0.0006, 0.00135, 0.0017),
        section(0.0020, 0.0013, 0.0017),
        section(0.0045, 0.00115, 0.0014),
        section(tip_m - 0.0020, 0.00095, 0.00110),
        section(tip_m - 0.0008, 0.00085, 0.00095),
        section(tip_m - 0.0003, 0.00062, 0.00072),
        section(tip_m - 0.0001, 0.00036, 0.00042),
        section(tip_m, 0.00002, 0.00002),
    ];
    mesh::jaw(&sections, Material::Carbide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bent_tool(pitch_rad: f64, yaw_rad: f64) -> Tool {
        let rcm_m = Point3::new(0.01, -0.02, 0.03);
        let base_from_shaft = Isometry3::rotation(Vector3::new(2.6, 0.4, -0.3));
        let along = base_from_shaft * Vector3::z();
        let pitch_axis_m = rcm_m + along * 0.12;
        let base_from_pitch = Translation3::from(pitch_axis_m.coords) * base_from_shaft.rotation;
        let tip = base_from_pitch
            * UnitQuaternion::from_axis_angle(&Vector3::y_axis(), pitch_rad)
            * Translation3::new(0.0, 0.0, PITCH_TO_JAW_AXIS_M)
            * UnitQuaternion::from_axis_angle(&Vector3::x_axis(), yaw_rad);
        Tool { base_from_tip: tip, rcm_m, shaft_direction: UnitVector3::new_normalize(along), jaw_rad: 0.3 }
    }

    /// The wrist is found again from the tip and the shaft's line, for a straight wrist and for a bent one.
    #[test]
    fn the_pitch_axis_is_on_the_shaft_one_link_from_the_jaw_axis() {
        for (pitch_rad, yaw_rad) in [(0.0, 0.0), (0.9, -0.7), (-1.2, 1.1)] {
            let tool = bent_tool(pitch_rad, yaw_rad);
            let wrist = Wrist::of(&tool);
            let expected = tool.rcm_m + tool.shaft_direction.scale(0.12);
            assert!((wrist.pitch_axis_m - expected).norm() < 1e-9, "{pitch_rad} {yaw_rad}");
            assert!(((wrist.jaw_axis_m - expected).norm() - PITCH_TO_JAW_AXIS_M).abs() < 1e-9);
        }
    }

    /// Both jaws open by half the angle, to either side of the tip's z axis, and turn on the tip's x axis.
    #[test]
    fn the_jaws_open_to_both_sides_by_half_the_angle_each() {
        let tool = bent_tool(0.4, 0.2);
        let bones = Posture::of(&tool, Instrument::default()).bones;
        for (bone, side) in [(bones[2], 1.0), (bones[3], -1.0)] {
            let along = tool.base_from_tip.inverse() * (bone.to_m - bone.from_m);
            let expected = Vector3::new(0.0, side * 0.15_f64.sin(), 0.15_f64.cos()) * JAW_LENGTH_M;
            assert!((along - expected).norm() < 1e-9, "{along}");
        }
    }

    /// A tip far from where the wrist can be still gives finite poses: the picture shows the fault.
    #[test]
    fn an_unreachable_tip_is_drawn_with_finite_poses() {
        let mut tool = bent_tool(0.0, 0.0);
        tool.rcm_m.x += 0.05;
        for (_, pose) in Posture::of(&tool, Instrument::default()).parts {
            assert!(pose.translation.vector.iter().chain(pose.rotation.coords.iter()).all(|n| n.is_finite()));
        }
    }
}
