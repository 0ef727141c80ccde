//! Where a kit's arms stand, as its opening says it.

use farhand_motion::{ArmModel, Mounted};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use sha2::{Digest, Sha256};

fn kit() -> [Mounted; 2] {
    let turn = UnitQuaternion::new_unchecked(Quaternion::new(0.8, 0.0, 0.6, 0.0));
    [
        Mounted { model: ArmModel::psm_large_needle_driver(), kit_from_base: Isometry3::identity() },
        Mounted {
            model: ArmModel::ecm_straight_endoscope(),
            kit_from_base: Isometry3::from_parts(Translation3::new(-0.1, 0.05, 0.02), turn),
        },
    ]
}

/// Goal: the digest is over the documented bytes, put together here a second time.
#[test]
fn the_digest_is_over_the_documented_bytes() {
    let mut bytes = b"farhand/v1 mounted arms\0".to_vec();
    let [first, second] = kit();
    bytes.extend(first.model.digest());
    bytes.extend([0.0_f64, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0].map(f64::to_le_bytes).concat());
    bytes.extend(second.model.digest());
    bytes.extend([-0.1_f64, 0.05, 0.02, 0.8, 0.0, 0.6, 0.0].map(f64::to_le_bytes).concat());
    assert_eq!(Mounted::digest_of(&kit()), <[u8; 32]>::from(Sha256::digest(bytes)));
}

/// Goal: another arm, order, number or place is another kit.
#[test]
fn whatever_differs_has_another_digest() {
    let [first, second] = kit();
    let mut moved = second.clone();
    moved.kit_from_base.translation.z += 1e-6;
    let other = Mounted { model: ArmModel::psm_large_needle_driver(), ..second.clone() };
    let kits: [&[Mounted]; 6] = [
        &[],
        std::slice::from_ref(&first),
        &[first.clone(), second.clone()],
        &[second, first.clone()],
        &[first.clone(), moved],
        &[first.clone(), other],
    ];
    let digests: std::collections::BTreeSet<_> = kits.map(Mounted::digest_of).into();
    assert_eq!(digests.len(), kits.len());
}
