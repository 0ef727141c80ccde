//! The arm's file: what is read, and how a bad one is refused.

use farhand_motion::ArmModel;
use sha2::{Digest, Sha256};

const FILE: &str = include_str!("../arms/psm_large_needle_driver.toml");

fn refusal(from: &str, to: &str) -> String {
    let changed = FILE.replacen(from, to, 1);
    assert_ne!(changed, FILE, "nothing to replace: {from}");
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
