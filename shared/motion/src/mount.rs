//! Where each of a kit's arms stands.

use nalgebra::Isometry3;
use sha2::{Digest, Sha256};

use crate::model::ArmModel;

/// What the digest of a kit's arms begins with, so that it is taken for no other.
const DOMAIN: &[u8] = b"farhand/v1 mounted arms\0";

/// An arm at its place in a kit. The kit's frame is the first arm's base frame.
#[derive(Clone, Debug)]
pub struct Mounted {
    pub model: ArmModel,
    /// Pose of the arm's base in the kit's frame; the identity for the first arm.
    pub kit_from_base: Isometry3<f64>,
}

impl From<ArmModel> for Mounted {
    /// As a kit's first arm stands, at the origin of its frame.
    fn from(model: ArmModel) -> Self {
        Self { model, kit_from_base: Isometry3::identity() }
    }
}

impl Mounted {
    /// SHA-256 of a kit's arms in order: each one's file and mount (translation in metres, then the quaternion's w, x, y,
    /// z; 64-bit floats, little endian). To the bit: a mount written otherwise has another digest.
    pub fn digest_of(arms: &[Mounted]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        for arm in arms {
            hash.update(arm.model.digest());
            let (place, turn) = (&arm.kit_from_base.translation, &arm.kit_from_base.rotation);
            for part in [place.x, place.y, place.z, turn.w, turn.i, turn.j, turn.k] {
                hash.update(part.to_le_bytes());
            }
        }
        hash.finalize().into()
    }
}
