//! The arms of a simulated kit and where they stand: two that work, and the endoscope's.
//!
//! The kit's frame is the first arm's base frame: its shaft enters the body at the origin, along -z.

use farhand_motion::{ArmModel, Joints, Mounted};
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, Translation3, UnitQuaternion, Vector3};

/// As CRTK names arms.
pub const ARM_NAMES: [&str; 3] = ["PSM1", "PSM2", "ECM"];
/// The endoscope's, where there is one.
pub const ECM: usize = 2;

/// With its arm at home: where the endoscope ends, what it has in the middle of its picture, and what is up there; kit's frame, mm.
pub const EYE_MM: [f64; 3] = [-58.0, -34.0, -58.0];
pub const LOOKED_AT_MM: [f64; 3] = [0.0, 0.0, -149.0];
pub const UP: [f64; 3] = [0.0, 1.0, 0.0];

/// Where the second arm's shaft enters the body: from the other side of the picture, as far from the work as the first one's.
const SECOND_ENTERS_MM: [f64; 3] = [-110.0, 17.0, -56.5];

/// So many arms of a simulated kit, at most three.
#[must_use]
pub fn arms(count: usize) -> Vec<Mounted> {
    let psm = ArmModel::psm_large_needle_driver;
    let second = || Mounted { model: psm(), kit_from_base: towards_work(SECOND_ENTERS_MM) };
    let arms: [&dyn Fn() -> Mounted; 3] = [&|| psm().into(), &second, &endoscope];
    arms.into_iter().take(count).map(|arm| arm()).collect()
}

/// The endoscope's optical frame (x to the right of the picture, y down, z into it) in its arm's tip frame.
#[must_use]
pub fn tip_from_camera() -> Isometry3<f64> {
    let ecm = endoscope();
    (ecm.kit_from_base * ecm.model.forward(&ecm.model.home().joints)).inverse() * kit_from_camera()
}

/// The optical frame with the endoscope's arm at home; also where the endoscope stands if no arm holds it.
#[must_use]
pub fn kit_from_camera() -> Isometry3<f64> {
    let into = metres(LOOKED_AT_MM) - metres(EYE_MM);
    let into = into.normalize();
    let right = into.cross(&Vector3::from(UP)).normalize();
    let turn = Rotation3::from_matrix_unchecked(Matrix3::from_columns(&[right, into.cross(&right), into]));
    Isometry3::from_parts(metres(EYE_MM).into(), UnitQuaternion::from_rotation_matrix(&turn))
}

/// Of a camera on the endoscope's arm.
#[must_use]
pub fn camera_on(ecm: &Mounted, joints: &Joints) -> Isometry3<f64> {
    ecm.kit_from_base * ecm.model.forward(joints) * tip_from_camera()
}

/// Its shaft lies along the line of sight, and it ends at the eye when it is at home.
fn endoscope() -> Mounted {
    let model = ArmModel::ecm_straight_endoscope();
    let mut kit_from_base = towards_work(EYE_MM);
    let base_from_tip = model.forward(&model.home().joints).translation.vector;
    kit_from_base.translation.vector -= kit_from_base.rotation * base_from_tip;
    Mounted { model, kit_from_base }
}

/// A base at this place whose shaft, straight, points to where the work is.
fn towards_work(at_mm: [f64; 3]) -> Isometry3<f64> {
    let out = metres(at_mm) - metres(LOOKED_AT_MM);
    let turn = UnitQuaternion::face_towards(&out, &Vector3::from(UP));
    Isometry3::from_parts(Translation3::from(metres(at_mm)), turn)
}

fn metres(mm: [f64; 3]) -> Point3<f64> {
    Point3::from(mm) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: at home the endoscope looks where it stood before it had an arm, and both tools are in front of it, apart from
    /// each other.
    #[test]
    fn at_home_everything_is_in_the_picture() {
        let arms = arms(3);
        let camera = camera_on(&arms[ECM], &arms[ECM].model.home().joints);
        assert!((camera.translation.vector - metres(EYE_MM).coords).norm() < 1e-9);
        let seen = arms[..2].iter().map(|arm| {
            let tip = arm.kit_from_base * arm.model.forward(&arm.model.home().joints);
            camera.inverse_transform_point(&tip.translation.vector.into())
        });
        let [first, second] = seen.collect::<Vec<_>>().try_into().unwrap();
        for tip in [first, second] {
            assert!(tip.z > 0.03 && tip.xy().coords.norm() < tip.z, "{tip}");
        }
        assert!(first.x > second.x + 0.01, "{first} {second}");
    }
}
