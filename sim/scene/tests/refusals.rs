//! What a scene refuses, and in which words.

use std::process::Command;

use farhand_scene::{
    Conditions, FIXTURES_MAX, Fixture, FixtureLook, GOALS_MAX, Scene, SceneError, SceneSettings, SceneState,
    TARGETS_MAX, TOOLS_MAX, TargetShape,
};
use nalgebra::{Point3, Vector3};

mod common;

use common::{scene, state, target};

/// Goal: a size that NV12 cannot have is refused before any device is opened, with the size in the error.
#[test]
fn a_size_that_nv12_cannot_have_is_refused() {
    for (width, height) in [(0, 0), (1282, 720), (1280, 721), (1280, 32), (100_000, 720)] {
        let refused = Scene::new(SceneSettings { width, height, ..SceneSettings::default() }).unwrap_err();
        assert!(
            matches!(refused, SceneError::BadSize { width: w, height: h, .. } if (w, h) == (width, height))
        );
    }
}

/// Goal: the lists of a state are bounded, and the error says by what.
#[test]
fn a_list_beyond_its_limit_is_refused() {
    let bead = target(TargetShape::Sphere, 0.0, 0.0, 0.003);
    let many = SceneState { targets: vec![bead; TARGETS_MAX + 1], ..state() };
    assert_eq!(
        many.check(),
        Err(SceneError::TooMany { what: "targets", given: TARGETS_MAX + 1, max: TARGETS_MAX })
    );
    let goals = vec![state().goals[0]; GOALS_MAX + 1];
    assert!(matches!(
        SceneState { goals, ..state() }.check(),
        Err(SceneError::TooMany { what: "goal zones", .. })
    ));
    assert_eq!(SceneState { targets: vec![bead; TARGETS_MAX], ..state() }.check(), Ok(()));
    let tools = vec![state().tools[0]; TOOLS_MAX + 1];
    assert!(matches!(
        SceneState { tools, ..state() }.check(),
        Err(SceneError::TooMany { what: "tools", given: 4, max: TOOLS_MAX })
    ));
    let fixtures = vec![peg(0.0, 0.001); FIXTURES_MAX + 1];
    assert!(matches!(
        SceneState { fixtures, ..state() }.check(),
        Err(SceneError::TooMany { what: "fixtures", .. })
    ));
}

fn peg(at_m: f64, radius_m: f64) -> Fixture {
    let path_m = vec![Point3::new(at_m, 0.0, -0.15), Point3::new(at_m, 0.0, -0.14)];
    Fixture { path_m, radius_m, look: FixtureLook::Peg }
}

/// Goal: a number that is not a number, or is out of any body, does not reach the device.
#[test]
fn a_number_that_cannot_be_drawn_is_refused() {
    let spoiled: [fn(&mut SceneState); 8] = [
        |s| s.camera.fov_y_rad = f64::NAN,
        |s| s.camera.base_from_camera.translation.vector.x = f64::INFINITY,
        |s| s.tools[0].base_from_tip.translation.vector.y = f64::NAN,
        |s| s.tools[0].rcm_m += Vector3::new(100.0, 0.0, 0.0),
        |s| s.targets[0].radius_m = 0.0,
        |s| s.goals[0].centre_m.z = f64::NAN,
        |s| s.fixtures = vec![peg(f64::NAN, 0.001)],
        |s| s.fixtures = vec![peg(0.0, 0.0)],
    ];
    for (number, spoil) in spoiled.into_iter().enumerate() {
        let mut state = state();
        spoil(&mut state);
        assert!(matches!(state.check(), Err(SceneError::OutOfRange { .. })), "number {number}");
    }
}

/// Goal: conditions that cannot be drawn are refused, too.
#[test]
fn a_look_that_cannot_be_drawn_is_refused() {
    let spoiled: [fn(&mut Conditions); 4] = [
        |c| c.motion_rad = f64::NAN,
        |c| c.look.scale = 0.0,
        |c| c.look.vessels = f64::INFINITY,
        |c| c.look.vessels = 0.0,
    ];
    for (number, spoil) in spoiled.into_iter().enumerate() {
        let mut conditions = Conditions::default();
        assert_eq!(conditions.check(), Ok(()));
        spoil(&mut conditions);
        assert!(matches!(conditions.check(), Err(SceneError::OutOfRange { .. })), "number {number}");
    }
}

/// Goal: a buffer of the wrong size is refused with both sizes, and the scene goes on.
#[test]
fn a_buffer_of_the_wrong_size_is_refused() {
    let Some(mut scene) = scene(128, 64) else { return };
    let refused = scene.render_into(&state(), &mut [0; 100]);
    assert_eq!(refused, Err(SceneError::BufferSize { given: 100, needed: 128 * 64 * 3 / 2 }));
    assert!(scene.render_labels(&state(), &mut [0; 100]).is_err());
    let mut nv12 = vec![0; scene.frame_bytes()];
    assert_eq!(scene.render_into(&state(), &mut nv12), Ok(()));
}

/// Goal: on a machine without a Vulkan driver the error says what to install. A child process is given a driver
/// list that names no driver.
#[test]
fn without_a_driver_the_error_names_the_package() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["opening_without_a_driver", "--exact", "--ignored", "--nocapture"])
        .env("VK_DRIVER_FILES", "/nonexistent/driver.json")
        .env("VK_ICD_FILENAMES", "/nonexistent/driver.json")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
}

/// Run by the test above, in an environment without drivers.
#[test]
#[ignore = "run as a child of another test"]
fn opening_without_a_driver() {
    let refused = Scene::new(SceneSettings::default()).unwrap_err();
    assert!(matches!(refused, SceneError::NoAdapter { .. }), "{refused}");
    assert!(refused.to_string().contains("mesa-vulkan-drivers"), "{refused}");
}
