//! Each arm's kinematics against its published table, multiplied out a second way, and against themselves.

use std::{
    env,
    f64::consts::{FRAC_PI_2, PI},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use farhand_motion::{ArmModel, Axis, InverseError, Joints};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

type Matrix = [[f64; 4]; 4];
type Row = (f64, f64, f64, f64);

/// alpha, a, theta offset, d of each row as published; 1.5708 is a right angle.
const TABLE: [Row; 6] = [
    (FRAC_PI_2, 0.0, FRAC_PI_2, 0.0),
    (-FRAC_PI_2, 0.0, -FRAC_PI_2, 0.0),
    (FRAC_PI_2, 0.0, 0.0, -0.4318),
    (0.0, 0.0, 0.0, 0.4162),
    (-FRAC_PI_2, 0.0, -FRAC_PI_2, 0.0),
    (-FRAC_PI_2, 0.0091, -FRAC_PI_2, 0.0),
];
const TIP: Matrix =
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
const MIN: [f64; 6] = [-1.588, -0.925025, 0.0, -4.53786, -1.39626, -1.39626];
const MAX: [f64; 6] = [1.588, 0.925025, 0.24, 4.53786, 1.39626, 1.39626];
/// The same of the endoscope's arm, whose table ends with the roll.
const ENDOSCOPE: [Row; 4] = [
    (FRAC_PI_2, 0.0, FRAC_PI_2, 0.0),
    (-FRAC_PI_2, 0.0, -FRAC_PI_2, 0.0),
    (FRAC_PI_2, 0.0, 0.0, -0.3822),
    (0.0, 0.0, 0.0, 0.3829),
];
const ENDOSCOPE_TIP: Matrix =
    [[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
#[allow(clippy::approx_constant, reason = "as it is printed")]
const ENDOSCOPE_YAW_MAX: f64 = 1.5708;
const ENDOSCOPE_MIN: [f64; 4] = [-ENDOSCOPE_YAW_MAX, -0.76794, 0.0, -1.552];
const ENDOSCOPE_MAX: [f64; 4] = [ENDOSCOPE_YAW_MAX, 1.1344, 0.255, 1.552];
/// Insertion at which the wrist is at the remote centre, where the shaft loses its direction.
const SINGULAR_INSERTION_M: f64 = 0.4318 - 0.4162;

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..4).map(|k| a[i][k] * b[k][j]).sum()))
}

/// The modified Denavit-Hartenberg matrix, from the textbook (Craig), written out.
fn link(alpha: f64, a: f64, theta: f64, d: f64) -> Matrix {
    let ((sa, ca), (st, ct)) = (alpha.sin_cos(), theta.sin_cos());
    [
        [ct, -st, 0.0, a],
        [st * ca, ct * ca, -sa, -d * sa],
        [st * sa, ct * sa, ca, d * ca],
        [0.0, 0.0, 0.0, 1.0],
    ]
}

fn published_tip(table: &[Row], tip: &Matrix, q: &[f64; 6]) -> Matrix {
    let mut base_from_link = link(table[0].0, table[0].1, table[0].2 + q[0], table[0].3);
    for (i, &(alpha, a, theta, d)) in table.iter().enumerate().skip(1) {
        let row = if i == 2 { link(alpha, a, theta, d + q[i]) } else { link(alpha, a, theta + q[i], d) };
        base_from_link = multiply(&base_from_link, &row);
    }
    multiply(&base_from_link, tip)
}

fn difference(pose: &Isometry3<f64>, matrix: &Matrix) -> f64 {
    let homogeneous = pose.to_homogeneous();
    let cells = (0..4).flat_map(|i| (0..4).map(move |j| (i, j)));
    cells.map(|(i, j)| (homogeneous[(i, j)] - matrix[i][j]).abs()).fold(0.0, f64::max)
}

/// A position in a joint's range; one in five sits on an end of it.
fn in_range(min: f64, max: f64) -> impl Strategy<Value = f64> {
    prop_oneof![8 => min..max, 1 => Just(min), 1 => Just(max)]
}

fn any_joints() -> impl Strategy<Value = [f64; 6]> {
    std::array::from_fn::<_, 6, _>(|i| in_range(MIN[i], MAX[i]))
}

fn any_endoscope_joints() -> impl Strategy<Value = [f64; 6]> {
    std::array::from_fn::<_, 4, _>(|i| in_range(ENDOSCOPE_MIN[i], ENDOSCOPE_MAX[i]))
        .prop_map(|[yaw, pitch, insertion, roll]| [yaw, pitch, insertion, roll, 0.0, 0.0])
}

fn pose_gap(a: &Isometry3<f64>, b: &Isometry3<f64>) -> f64 {
    let metres = (a.translation.vector - b.translation.vector).norm();
    // From the sine, because the cosine of a small angle keeps only half its digits.
    let turn_rad = 2.0 * (a.rotation.inverse() * b.rotation).imag().norm();
    metres.max(turn_rad)
}

/// How far the nearer of the wrist's two axes is from the remote centre.
fn from_singular_m(q: &[f64; 6]) -> f64 {
    let shaft_m = q[2] - SINGULAR_INSERTION_M;
    shaft_m.abs().min((0.0091 + shaft_m * q[4].cos()).abs())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: our forward kinematics are the published table's, by a product that shares no code with them.
    #[test]
    fn forward_is_the_published_tables_product(q in any_joints()) {
        let pose = ArmModel::psm_large_needle_driver().forward(&Joints(q));
        prop_assert!(difference(&pose, &published_tip(&TABLE, &TIP, &q)) < 1e-12);
    }

    /// Goal: the same of the endoscope's arm.
    #[test]
    fn the_endoscopes_forward_is_its_published_tables_product(q in any_endoscope_joints()) {
        let pose = ArmModel::ecm_straight_endoscope().forward(&Joints(q));
        prop_assert!(difference(&pose, &published_tip(&ENDOSCOPE, &ENDOSCOPE_TIP, &q)) < 1e-12);
    }

    /// Goal: an endoscope's pose has one set of joints, and the inverse gives those, wherever the arm is now.
    #[test]
    fn the_endoscopes_inverse_undoes_its_forward(q in any_endoscope_joints(), near in any_endoscope_joints()) {
        let arm = ArmModel::ecm_straight_endoscope();
        let found = arm.inverse(&arm.forward(&Joints(q)), &Joints(near)).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for (found, given) in found.0.iter().zip(q) {
            prop_assert!((found - given).abs() < 1e-9, "{found} for {given}");
        }
    }

    /// Goal: whatever direction is asked for, the lens is at the place, and no other roll has its x axis nearer to the one
    /// asked for.
    #[test]
    fn the_endoscope_takes_of_a_direction_what_its_roll_can_give(
        q in any_endoscope_joints(),
        turn in prop::array::uniform3(-2.0_f64..2.0),
    ) {
        let arm = ArmModel::ecm_straight_endoscope();
        let mut asked = arm.forward(&Joints(q));
        asked.rotation = UnitQuaternion::from_scaled_axis(Vector3::from(turn)) * asked.rotation;
        let x = asked.rotation * Vector3::x();
        let shaft = arm.forward(&Joints(q)).rotation * Vector3::z();
        prop_assume!(x.cross(&shaft).norm() > 0.11);
        match arm.inverse(&asked, &Joints(q)) {
            Ok(found) => {
                prop_assert!((arm.forward(&found).translation.vector - asked.translation.vector).norm() < 1e-12);
                let apart = |joints: &Joints| arm.forward(joints).rotation.transform_vector(&Vector3::x()).angle(&x);
                for step in 0..360 {
                    let mut other = found;
                    other.0[3] = f64::from(step).to_radians();
                    prop_assert!(apart(&found) <= apart(&other) + 1e-7, "{} instead of {}", found.0[3], other.0[3]);
                }
            }
            Err(InverseError::Limit(over)) => prop_assert_eq!(over.axis, Axis::Roll),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    /// Goal: whatever the joints, the inverse finds joints within limits that give the same pose.
    #[test]
    fn inverse_undoes_forward(q in any_joints(), near in any_joints()) {
        prop_assume!(from_singular_m(&q) > 1e-4);
        let arm = ArmModel::psm_large_needle_driver();
        let pose = arm.forward(&Joints(q));
        let found = arm.inverse(&pose, &Joints(near)).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(pose_gap(&arm.forward(&found), &pose) < 1e-9);
        prop_assert!(arm.limits().check_joints(&found).is_ok());
    }

    /// Goal: near the joints it came from, the inverse gives those very joints back, not another branch.
    #[test]
    fn inverse_stays_on_the_branch_it_is_near(q in any_joints(), nudge in -0.01_f64..0.01) {
        prop_assume!(from_singular_m(&q) > 1e-3);
        let arm = ArmModel::psm_large_needle_driver();
        let near = Joints(q.map(|value| value + nudge));
        let found = arm.inverse(&arm.forward(&Joints(q)), &near).map_err(|error| TestCaseError::fail(error.to_string()))?;
            for (found, given) in found.0.iter().zip(q) {
                prop_assert!((found - given).abs() < 1e-8, "{found} for {given}");
            }
    }

    /// Goal: the wrist's coupling and its inverse undo each other, and the forward one is the published matrix.
    #[test]
    fn coupling_and_its_inverse_undo_each_other(a in prop::array::uniform4(-5.0_f64..5.0)) {
        let arm = ArmModel::psm_large_needle_driver();
        let coupling = arm.coupling().expect("it has a wrist");
        let joints = coupling.joints_rad(&a);
        let published = [
            -1.5632 * a[0],
            1.0186 * a[1],
            -0.8306 * a[1] + 0.6089 * a[2] + 0.6089 * a[3],
            -1.2177 * a[2] + 1.2177 * a[3],
        ];
        let back = coupling.actuators_rad(&joints);
        for i in 0..4 {
            prop_assert!((joints[i] - published[i]).abs() < 1e-12);
            prop_assert!((back[i] - a[i]).abs() < 1e-12);
        }
    }
}

/// Goal: a robotics library in another language, which multiplies exponentials of screws where we multiply a table, puts the
/// tip at the same place from the same file, for every arm.
#[test]
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn forward_agrees_with_a_robotics_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../../target/verifier-venv/bin/python");
    let Some(python) =
        env::var_os("FARHAND_PYTHON").map(PathBuf::from).or(Some(python)).filter(|it| it.exists())
    else {
        return eprintln!("skipped: no Python with tests/verifier/requirements.txt (FARHAND_PYTHON)");
    };
    for (arm, any_joints, joints) in [
        (ArmModel::psm_large_needle_driver(), any_joints().boxed(), 6),
        (ArmModel::ecm_straight_endoscope(), any_endoscope_joints().boxed(), 4),
    ] {
        let mut runner = TestRunner::deterministic();
        let lines: String = (0..2000)
            .map(|_| {
                let q = any_joints.new_tree(&mut runner).unwrap().current();
                let pose = arm.forward(&Joints(q)).to_homogeneous();
                let rows: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|j| pose[(i, j)]));
                format!("{{\"joints\": {:?}, \"pose\": {rows:?}}}\n", &q[..joints])
            })
            .collect();
        let mut child = Command::new(&python)
            .arg(root.join("tests/exponentials.py"))
            .arg(root.join(format!("arms/{}.toml", arm.name())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let worst = said
            .split_once("\"worst\": ")
            .and_then(|(_, rest)| rest.trim_end_matches("}\n").parse::<f64>().ok());
        assert!(said.starts_with("{\"poses\": 2000,") && worst.is_some_and(|worst| worst < 1e-9), "{said}");
    }
}

/// Goal: the base and tip frames are where the documentation says, at a configuration one can check by hand.
#[test]
fn at_zero_the_tool_points_straight_down() {
    let arm = ArmModel::psm_large_needle_driver();
    let tip = arm.forward(&Joints([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]));
    let depth_m = 0.1 - SINGULAR_INSERTION_M + 0.0091;
    assert!((tip.translation.vector - Vector3::new(0.0, 0.0, -depth_m)).norm() < 1e-12);
    assert!((tip.rotation * Vector3::z() + Vector3::z()).norm() < 1e-12, "the jaws point down");
}

/// Goal: the endoscope's frames are where the documentation says: at zero the lens looks straight down, with x as the base's.
#[test]
fn at_zero_the_endoscope_looks_straight_down() {
    let arm = ArmModel::ecm_straight_endoscope();
    let tip = arm.forward(&Joints([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]));
    assert!((tip.translation.vector - Vector3::new(0.0, 0.0, -0.1007)).norm() < 1e-12);
    assert!((tip.rotation * Vector3::z() + Vector3::z()).norm() < 1e-12);
    assert!((tip.rotation * Vector3::x() - Vector3::x()).norm() < 1e-12);
}

/// Goal: where the x axis asked for lies along the shaft, or as good as, the picture is not turned.
#[test]
fn a_roll_that_is_not_said_stays() {
    let arm = ArmModel::ecm_straight_endoscope();
    let near = Joints([0.3, -0.2, 0.15, 0.7, 0.0, 0.0]);
    let mut asked = arm.forward(&near);
    for off_rad in [0.0, 0.01, -0.05] {
        let along = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), off_rad - FRAC_PI_2);
        asked.rotation = arm.forward(&near).rotation * along;
        let found = arm.inverse(&asked, &near).expect("the place is in reach");
        assert!(found.0.iter().zip(near.0).all(|(found, near)| (found - near).abs() < 1e-9), "{found:?}");
    }
}

/// Goal: each reason for having no joints is told for the endoscope's arm, too.
#[test]
fn the_endoscopes_inverse_says_why_it_failed() {
    let arm = ArmModel::ecm_straight_endoscope();
    let near = Joints([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]);
    let at = |z_m: f64| Isometry3::from_parts(Translation3::new(0.0, 0.0, z_m), arm.forward(&near).rotation);
    assert!(matches!(arm.inverse(&at(-0.30), &near), Err(InverseError::OutOfReach { distance_m, reach_m })
        if distance_m == 0.30 && (reach_m - 0.2557).abs() < 1e-12));
    assert!(matches!(arm.inverse(&at(0.0), &near), Err(InverseError::Singular { .. })));
    assert_eq!(arm.inverse(&at(f64::NAN), &near), Err(InverseError::NotFinite));
    let on_its_head = at(-0.1) * Isometry3::rotation(Vector3::z() * 2.0);
    assert!(matches!(arm.inverse(&on_its_head, &near), Err(InverseError::Limit(over))
        if over.axis == Axis::Roll && (over.value.abs() - 2.0).abs() < 1e-9));
}

/// Goal: each reason for having no joints is told with the value seen and the limit.
#[test]
fn the_inverse_says_why_it_failed() {
    let arm = ArmModel::psm_large_needle_driver();
    let near = Joints([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]);
    let home = arm.forward(&near);

    let far = Isometry3::from_parts(Translation3::new(0.0, 0.0, -0.30), home.rotation);
    assert!(matches!(arm.inverse(&far, &near), Err(InverseError::OutOfReach { distance_m, reach_m })
        if distance_m == 0.30 && (reach_m - 0.2335).abs() < 1e-12));

    let at_centre = arm.forward(&Joints([0.0, 0.0, SINGULAR_INSERTION_M, 0.0, 0.2, 0.0]));
    assert!(matches!(arm.inverse(&at_centre, &near), Err(InverseError::Singular { .. })));

    let bent = home * Isometry3::rotation(Vector3::x() * 1.45);
    assert!(matches!(arm.inverse(&bent, &near), Err(InverseError::Limit(over))
        if over.axis == Axis::WristYaw && (over.value.abs() - 1.45).abs() < 1e-9 && over.max == 1.39626));

    let nowhere = Isometry3::from_parts(Translation3::new(f64::NAN, 0.0, 0.0), UnitQuaternion::identity());
    assert_eq!(arm.inverse(&nowhere, &near), Err(InverseError::NotFinite));
}

/// Goal: a roll beyond its range unwinds by a whole turn rather than being refused, since its range is over a turn.
#[test]
fn roll_unwinds_where_its_range_ends() {
    let arm = ArmModel::psm_large_needle_driver();
    let pose = arm.forward(&Joints([0.1, -0.2, 0.15, -1.0, 0.3, 0.2]));
    let found = arm.inverse(&pose, &Joints([0.1, -0.2, 0.15, 4.5, 0.3, 0.2])).expect("the pose is in reach");
    assert!((found.0[3] - (-1.0)).abs() < 1e-9, "5.28 rad is out of range, so it is {}", found.0[3]);
    let wound = arm.inverse(&pose, &Joints([0.1, -0.2, 0.15, -4.0, 0.3, 0.2])).expect("the pose is in reach");
    assert!((wound.0[3] + 1.0).abs() < PI);
}
