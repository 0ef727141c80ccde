//! A rigid pose as it travels.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::F64};

use crate::kind::{Malformed, bounded};

/// No target of a patient-side arm lies farther from its remote centre, in any axis.
pub const POSITION_M_MAX: f64 = 1.0;
const NORM_ERROR_MAX: f64 = 1e-3;

/// Pose of a tool's tip in the kit's frame, the base frame of its first arm (origin at the remote centre of motion): metres, and a unit
/// quaternion `w, x, y, z`. CRTK's `_cp`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    pub position_m: [f64; 3],
    pub orientation_wxyz: [f64; 4],
}

impl Default for Pose {
    fn default() -> Self {
        Self { position_m: [0.0; 3], orientation_wxyz: [1.0, 0.0, 0.0, 0.0] }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct PoseBytes {
    position_m: [F64; 3],
    orientation_wxyz: [F64; 4],
}

impl From<Pose> for PoseBytes {
    fn from(pose: Pose) -> Self {
        Self {
            position_m: pose.position_m.map(F64::new),
            orientation_wxyz: pose.orientation_wxyz.map(F64::new),
        }
    }
}

impl TryFrom<PoseBytes> for Pose {
    type Error = Malformed;

    fn try_from(bytes: PoseBytes) -> Result<Self, Malformed> {
        let position_m = bytes.position_m.map(F64::get);
        for value in position_m {
            bounded("position_m", value, -POSITION_M_MAX, POSITION_M_MAX)?;
        }
        let orientation_wxyz = bytes.orientation_wxyz.map(F64::get);
        let norm = orientation_wxyz.iter().map(|c| c * c).sum::<f64>().sqrt();
        bounded("orientation norm", norm, 1.0 - NORM_ERROR_MAX, 1.0 + NORM_ERROR_MAX)?;
        Ok(Self { position_m, orientation_wxyz: orientation_wxyz.map(|c| c / norm) })
    }
}
