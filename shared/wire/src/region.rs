//! Forbidden regions as they travel, in the arm's base frame: whole µm, directions and turns in millionths, for what is signed
//! has no fractions.

use minicbor::{Decode, Encode};

const UM_A_M: f64 = 1e6;
const MILLIONTHS: f64 = 1e6;

/// A convex body that the tool keeps out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Region {
    /// Within the radius of a line; a ball where both ends are the same.
    #[n(0)]
    Capsule {
        #[n(0)]
        from_um: [i32; 3],
        #[n(1)]
        to_um: [i32; 3],
        #[n(2)]
        radius_um: i32,
    },
    /// Behind the plane through the point; the normal points to where the tool may be.
    #[n(1)]
    HalfSpace {
        #[n(0)]
        point_um: [i32; 3],
        #[n(1)]
        outward_millionths: [i32; 3],
    },
    /// A box by its centre, its turn, and half its lengths.
    #[n(2)]
    Block {
        #[n(0)]
        centre_um: [i32; 3],
        #[n(1)]
        orientation_wxyz_millionths: [i32; 4],
        #[n(2)]
        half_um: [i32; 3],
    },
}

/// Metres from whole µm.
#[must_use]
pub fn metres<const N: usize>(um: [i32; N]) -> [f64; N] {
    um.map(|um| f64::from(um) / UM_A_M)
}

/// Whole µm, the nearest; what is farther than µm can say is at their end.
#[must_use]
pub fn micrometres<const N: usize>(metres: [f64; N]) -> [i32; N] {
    metres.map(|metres| (metres * UM_A_M).round() as i32)
}

/// Parts of one from millionths.
#[must_use]
pub fn parts<const N: usize>(millionths: [i32; N]) -> [f64; N] {
    millionths.map(|part| f64::from(part) / MILLIONTHS)
}

/// Millionths, the nearest.
#[must_use]
pub fn millionths<const N: usize>(parts: [f64; N]) -> [i32; N] {
    parts.map(|part| (part * MILLIONTHS).round() as i32)
}
