//! The other instruments: what they are made of. Sizes are those of common 5 mm and 8 mm instruments, drawn to look right.
//!
//! Straight instruments have their origin on the jaws' axis, as a wristed one's shaft has it on the pitch axis; so both
//! kinds of tube end at the same place behind it.

use nalgebra::{Isometry3, Point3, Translation3, UnitQuaternion, Vector3};

use crate::conditions::Kind;
use crate::instrument::{JAW_LENGTH_M, Part, SHAFT_RADIUS_M, TUBE_END_M, TUBE_LENGTH_M};
use crate::mesh::{self, Material, Mesh, Section};

/// Radius of a straight instrument's shaft, in metres.
const SLIM_RADIUS_M: f64 = 0.0025;
const WINDOWED_LENGTH_M: f32 = 0.0170;
const BLADE_LENGTH_M: f32 = 0.0145;
const LONG_LENGTH_M: f32 = 0.0235;
const DISSECTOR_LENGTH_M: f32 = 0.0190;
/// How far slender jaws bend to the side at their ends.
const BLADE_ASIDE_M: f32 = 0.0026;
const DISSECTOR_ASIDE_M: f32 = 0.0040;

/// What an instrument is put together from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) tube: Part,
    pub(crate) neck: Part,
    /// With a link it has a wrist.
    pub(crate) link: Option<Part>,
    /// The first opens toward +y; the second is turned about z by half a turn.
    pub(crate) jaws: &'static [Part],
    pub(crate) shaft_radius_m: f64,
    /// Where the first jaw ends, in its own frame.
    pub(crate) jaw_end_m: Point3<f64>,
    pub(crate) jaw_radius_m: f64,
}

/// How a kind is put together.
pub(crate) fn form(kind: Kind) -> Form {
    let end = |length_m: f32, aside_m: f32| Point3::new(f64::from(aside_m), 0.0, f64::from(length_m));
    let wristed = Form {
        tube: Part::Tube,
        neck: Part::Clevis,
        link: Some(Part::WristLink),
        jaws: &[Part::Jaw, Part::Jaw],
        shaft_radius_m: SHAFT_RADIUS_M,
        jaw_end_m: Point3::new(0.0, 0.0, JAW_LENGTH_M),
        jaw_radius_m: 0.0010,
    };
    let straight =
        Form { tube: Part::SlimTube, neck: Part::Fork, link: None, shaft_radius_m: SLIM_RADIUS_M, ..wristed };
    match kind {
        Kind::NeedleDriver => wristed,
        Kind::WindowedGrasper => Form {
            jaws: &[Part::WindowedJaw, Part::WindowedJaw],
            jaw_end_m: end(WINDOWED_LENGTH_M, 0.0),
            jaw_radius_m: 0.0014,
            ..wristed
        },
        Kind::Scissors => Form {
            jaws: &[Part::BladeA, Part::BladeB],
            jaw_end_m: end(BLADE_LENGTH_M, BLADE_ASIDE_M),
            ..wristed
        },
        Kind::StraightGrasper => Form {
            jaws: &[Part::LongJaw, Part::LongJaw],
            jaw_end_m: end(LONG_LENGTH_M, 0.0),
            jaw_radius_m: 0.0014,
            ..straight
        },
        Kind::Dissector => Form {
            jaws: &[Part::DissectorA, Part::DissectorB],
            jaw_end_m: end(DISSECTOR_LENGTH_M, DISSECTOR_ASIDE_M),
            ..straight
        },
        Kind::Hook => Form {
            neck: Part::Insulator,
            jaws: &[Part::HookTip],
            jaw_end_m: Point3::new(0.0015, 0.0, 0.0090),
            ..straight
        },
    }
}

/// The thin tube of a straight instrument.
pub(crate) fn slim_tube_mesh() -> Mesh {
    let radius_m = SLIM_RADIUS_M as f32;
    let end_m = -TUBE_END_M;
    let profile = [
        (end_m - TUBE_LENGTH_M, radius_m),
        (end_m - 0.0002, radius_m),
        (end_m, radius_m - 0.0002),
        (end_m, 0.0),
    ];
    mesh::lathe(&profile, 24, Material::Shaft)
}

/// The steel neck of a straight instrument and the two ears that carry the jaws' axis.
pub(crate) fn fork_mesh() -> Mesh {
    let neck = [
        (-TUBE_END_M - 0.0002, 0.00225),
        (-0.0096, 0.00225),
        (-0.0096, 0.00225),
        (-0.0092, 0.00205),
        (-0.0052, 0.00205),
        (-0.0040, 0.00185),
        (-0.0036, 0.00140),
        (-0.0036, 0.0),
    ];
    let mut mesh = mesh::lathe(&neck, 20, Material::Steel);
    let ear = mesh::link(0.0044, 0.0018, 0.0017, 0.0008, 0.0002);
    for side_m in [-0.0014_f32, 0.0014] {
        mesh.add(&ear, &Isometry3::translation(side_m, 0.0, -0.0044));
    }
    let pin = [
        (-0.0020, 0.0),
        (-0.0020, 0.0007),
        (-0.0020, 0.0007),
        (0.0020, 0.0007),
        (0.0020, 0.0007),
        (0.0020, 0.0),
    ];
    let along_x = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f32::consts::FRAC_PI_2);
    mesh.add(
        &mesh::lathe(&pin, 12, Material::Steel),
        &Isometry3::from_parts(Translation3::identity(), along_x),
    );
    mesh
}

/// The pale cone from which a hook comes.
pub(crate) fn insulator_mesh() -> Mesh {
    let cone = [
        (-TUBE_END_M - 0.0002, 0.00240),
        (-0.0098, 0.00240),
        (-0.0060, 0.00185),
        (-0.0020, 0.00105),
        (-0.0012, 0.00085),
        (-0.0012, 0.0),
    ];
    mesh::lathe(&cone, 20, Material::Ceramic)
}

/// The hook: a wire, bent by a right angle.
pub(crate) fn hook_tip_mesh() -> Mesh {
    let bend = (0..=6).map(|i| {
        let (sin, cos) = (std::f32::consts::FRAC_PI_2 * i as f32 / 6.0).sin_cos();
        Point3::new(0.0014 * (1.0 - cos), 0.0, 0.0066 + 0.0014 * sin)
    });
    let path: Vec<Point3<f32>> = [Point3::new(0.0, 0.0, -0.0016)]
        .into_iter()
        .chain(bend)
        .chain([Point3::new(0.0036, 0.0, 0.0079)])
        .collect();
    mesh::rail(&path, [0.00055, 0.00055])
}

/// A jaw with a window: a solid root, then two rails that meet at the tip.
pub(crate) fn windowed_jaw_mesh() -> Mesh {
    windowed(WINDOWED_LENGTH_M, [0.0012, 0.0015], 0.0042)
}

/// The same, longer and narrower, of a straight instrument.
pub(crate) fn long_jaw_mesh() -> Mesh {
    windowed(LONG_LENGTH_M, [0.0010, 0.0014], 0.0056)
}

/// Rails this far from the middle at the root and at the tip; the root is solid up to `root_m`.
fn windowed(length_m: f32, half_m: [f32; 2], root_m: f32) -> Mesh {
    const RAIL_HALF_M: [f32; 2] = [0.00042, 0.00060];
    let section = |z_m, half_width_m, height_m| Section { z_m, half_width_m, height_m, aside_m: 0.0 };
    let root = [
        section(-0.0012, 0.00095, 0.0010),
        section(0.0004, 0.0012, 0.0016),
        section(root_m * 0.6, half_m[0] + 0.0003, 0.0015),
        section(root_m, half_m[0] + 0.00035, 0.0011),
        section(root_m + 0.0004, half_m[0] * 0.5, 0.0006),
    ];
    let mut mesh = mesh::jaw(&root, Material::Steel);
    let around = (0..=8).map(|i| {
        let (sin, cos) = (std::f32::consts::PI * i as f32 / 8.0).sin_cos();
        Point3::new(half_m[1] * cos, RAIL_HALF_M[1], length_m - RAIL_HALF_M[0] - half_m[1] * (1.0 - sin))
    });
    let foot = |side: f32| Point3::new(half_m[0] * side, RAIL_HALF_M[1], root_m - 0.0010);
    let path: Vec<Point3<f32>> = [foot(1.0)].into_iter().chain(around).chain([foot(-1.0)]).collect();
    mesh.add(&mesh::rail(&path, RAIL_HALF_M), &Isometry3::identity());
    mesh
}

/// One blade of the scissors; `side` is -1 for the one that is turned about z.
pub(crate) fn blade_mesh(side: f32) -> Mesh {
    slender(BLADE_LENGTH_M, BLADE_ASIDE_M * side, [0.0009, 0.00035], [0.0019, 0.0006], Material::Steel)
}

/// One jaw of the dissector; as for [`blade_mesh`].
pub(crate) fn dissector_jaw_mesh(side: f32) -> Mesh {
    slender(
        DISSECTOR_LENGTH_M,
        DISSECTOR_ASIDE_M * side,
        [0.0013, 0.00065],
        [0.0014, 0.0007],
        Material::Carbide,
    )
}

/// A jaw that bends to the side and gets thinner toward its tip.
fn slender(length_m: f32, aside_m: f32, half_width_m: [f32; 2], height_m: [f32; 2], face: Material) -> Mesh {
    const STEPS: u16 = 10;
    let section = |i: u16| {
        let share = f32::from(i) / f32::from(STEPS);
        let between = |ends: [f32; 2]| ends[0] + (ends[1] - ends[0]) * share;
        // Rounded at the tip.
        let round = ((1.0 - share) * 8.0).min(1.0).sqrt().max(0.02);
        Section {
            z_m: -0.0008 + (length_m + 0.0008) * share,
            half_width_m: between(half_width_m) * round,
            height_m: between(height_m) * round,
            aside_m: aside_m * share * share,
        }
    };
    mesh::jaw(&(0..=STEPS).map(section).collect::<Vec<_>>(), face)
}
