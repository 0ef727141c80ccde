//! The arm's file: what is read, and how a bad one is refused.

use farhand_motion::ArmModel;
use sha2::{Digest, Sha256};

const FILE: &str = include_str!("../arms/psm_large_needle_driver.toml");
const ENDOSCOPE: &str = include_str!("../arms/ecm_straight_endoscope.toml");

fn refusal(from: &str, to: &str) -> String {
    refusal_of(FILE, from, to)
}

fn refusal_of(file: &str, from: &str, to: &str) -> String {
    let changed = file.replacen(from, to, 1);
    assert_ne!(changed, file, "nothing to replace: {from}");
    ArmModel::from_toml(&changed).expect_err(to).to_string()
}

/// Goal: the compiled-in arm reads, with the published limits, and its digest is that of the file's bytes.
#[test]
fn the_compiled_in_arm_reads() {
    let arm = ArmModel::psm_large_needle_driver();
    assert_eq!(arm.name(), "psm_large_needle_driver");
    assert_eq!(arm.limits().position_rad_m_max[2], 0.24);
    assert_eq!(arm.limits().jaw_position_rad_min, -0.698132);
    assert_eq!(arm.digest(), <[u8; 32]>::from(Sha256::digest(FILE.as_bytes())));
    assert_eq!(arm.smoothing_ticks(), 10);
    assert!(arm.has_wrist() && arm.coupling().is_some());
}

/// Goal: the arm that holds the endoscope reads, with its published limits; what it has not stays at zero.
#[test]
fn the_endoscopes_arm_reads() {
    let arm = ArmModel::ecm_straight_endoscope();
    assert_eq!(arm.name(), "ecm_straight_endoscope");
    assert_eq!(arm.digest(), <[u8; 32]>::from(Sha256::digest(ENDOSCOPE.as_bytes())));
    assert!(!arm.has_wrist() && arm.coupling().is_none());
    let limits = arm.limits();
    assert_eq!(limits.position_rad_m_min[1..], [-0.76794, 0.0, -1.552, 0.0, 0.0]);
    assert_eq!(limits.position_rad_m_max[1..], [1.1344, 0.255, 1.552, 0.0, 0.0]);
    assert_eq!((limits.jaw_position_rad_min, limits.jaw_position_rad_max), (0.0, 0.0));
    assert_eq!(arm.smoothing_ticks(), 10);
}

/// Goal: a kit's configuration finds every arm by the name it is listed with, and no other.
#[test]
fn arms_are_found_by_name() {
    let names: Vec<_> = ArmModel::names().collect();
    assert_eq!(names, ["psm_large_needle_driver", "ecm_straight_endoscope"]);
    for name in names {
        let arm = ArmModel::by_name(name).expect("it is listed");
        assert_eq!(arm.name(), name);
    }
    assert!(ArmModel::by_name("psm").is_none() && ArmModel::by_name("").is_none());
}

/// Goal: a wrist and a jaw are there whole or not at all: each part that is missing, or stands over, is refused by name.
#[test]
fn half_a_wrist_is_refused() {
    let after = |table: &str| {
        let begin = FILE.find(table).expect("the table is there");
        let end = FILE[begin + 1..].find("\n\n").map_or(FILE.len(), |end| begin + 1 + end);
        &FILE[begin..end]
    };
    for (field, part) in [
        ("coupling", after("[coupling]")),
        ("joint.wrist_pitch", after("[joint.wrist_pitch]")),
        ("joint.wrist_yaw", after("[joint.wrist_yaw]")),
        ("joint.jaw", after("[joint.jaw]")),
        ("home.wrist_pitch_rad", "wrist_pitch_rad = 0.0\n"),
        ("home.wrist_yaw_rad", "wrist_yaw_rad = 0.0\n"),
        ("home.jaw_rad", "jaw_rad = 0.0\n"),
    ] {
        let missing = refusal(part, "");
        assert!(
            missing.contains(&format!("{field} is missing, allowed is given, as there are 6 rows")),
            "{missing}"
        );
        let (from, to) = if field.starts_with("home") {
            ("roll_rad = 0.0\n", format!("roll_rad = 0.0\n{part}"))
        } else {
            ("[tip_speed]", format!("{part}\n[tip_speed]"))
        };
        let over = refusal_of(ENDOSCOPE, from, &to);
        assert!(
            over.contains(&format!("{field} is given, allowed is missing, as there are 4 rows")),
            "{over}"
        );
    }
    let fifth = format!("{}\n\n[tip]", after("[[link]]\nname = \"wrist_pitch\""));
    assert!(refusal_of(ENDOSCOPE, "[tip]", &fifth).contains("link is 5 rows, allowed is 6 rows"));
}

/// Goal: without a wrist the tip is the shaft's end, and its roll can be seen; any other tip is refused.
#[test]
fn an_endoscopes_tip_is_on_its_shaft() {
    let aside = refusal_of(ENDOSCOPE, "[0.0, 1.0, 0.0, 0.0],", "[0.0, 1.0, 0.0, 0.01],");
    let across = "[-1.0, 0.0, 0.0, 0.0],\n    [0.0, 0.0, 1.0, 0.0],";
    let along = refusal_of(ENDOSCOPE, across, "[0.0, 0.0, 1.0, 0.0],\n    [1.0, 0.0, 0.0, 0.0],");
    for message in [aside, along] {
        assert!(message.contains("tip.link_from_tip") && message.contains("no offset"), "{message}");
    }
}

/// Goal: every kind of wrong value is refused with the field's name, the value, and what is allowed.
#[test]
fn a_wrong_value_is_refused_by_name() {
    for (from, to, field, value, allowed) in [
        (
            "velocity_rad_s_max = 1.2",
            "velocity_rad_s_max = nan",
            "joint.yaw.velocity_rad_s_max",
            "NaN",
            "0.001 to 20",
        ),
        (
            "velocity_m_s_max = 0.25",
            "velocity_m_s_max = -1.0",
            "joint.insertion.velocity_m_s_max",
            "-1",
            "0.001 to 20",
        ),
        (
            "stop_deceleration_rad_s2_max = 40.0",
            "stop_deceleration_rad_s2_max = 10.0",
            "joint.yaw.stop_deceleration_rad_s2_max",
            "10",
            "20 to 10000",
        ),
        ("jerk_rad_s3_max = 4000.0", "jerk_rad_s3_max = 40.0", "joint.yaw.jerk_rad_s3_max", "40", "1250"),
        (
            "alpha_rad = 1.5707963267948966",
            "alpha_rad = 1.5708",
            "link.yaw.alpha_rad",
            "1.5708",
            "1.57079632",
        ),
        ("a_m = 0.0091", "a_m = 0.0", "link.wrist_yaw.a_m", "0", "0.001 to 0.05"),
        ("[0.0, -1.0, 0.0, 0.0],", "[0.0, 1.0, 0.0, 0.0],", "tip.link_from_tip", "1.0", "a rotation"),
        (
            "[-1.5632, 0.0, 0.0, 0.0]",
            "[0.0, 0.0, 0.0, 0.0]",
            "coupling.joint_from_actuator",
            "0.0",
            "inverse",
        ),
        (
            "tip_speed_mm_s_max = 200.0",
            "tip_speed_mm_s_max = 0.0",
            "tip_speed.tip_speed_mm_s_max",
            "0",
            "1 to 1000",
        ),
        ("reach_m_max = 0.225", "reach_m_max = 0.3", "workspace.reach_m_max", "0.3", "0.2294"),
        ("depth_m_min = 0.040", "depth_m_min = 0.012", "workspace.depth_m_min", "0.012", "0.0191"),
        (
            "wrist_pitch_rad = 0.0",
            "wrist_pitch_rad = 2.0",
            "home.wrist_pitch_rad",
            "2",
            "-1.39626 to 1.39626",
        ),
        ("insertion_m = 0.12", "insertion_m = 0.02", "home", "outside the workspace", "inside the workspace"),
        ("insertion_m = 0.0\n", "insertion_m = -0.1\n", "withdraw.insertion_m", "-0.1", "0 to 0.24"),
        ("name = \"pitch\"", "name = \"yaw\"", "link.pitch.name", "yaw", "pitch"),
    ] {
        let message = refusal(from, to);
        for part in [field, value, allowed] {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    }
}

/// Goal: a field that is missing or misspelt is refused by name, never replaced by a default.
#[test]
fn a_missing_or_unknown_field_is_refused() {
    assert!(refusal("jerk_m_s3_max = 800.0\n", "").contains("jerk_m_s3_max"));
    assert!(refusal("jerk_m_s3_max", "jerk_m_s3").contains("jerk_m_s3"));
    assert!(refusal("source = ", "sauce = ").contains("sauce"));
    assert!(refusal("[withdraw]", "[withdrawal]").contains("withdrawal"));
}
