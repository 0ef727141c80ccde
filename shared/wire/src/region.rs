//! Forbidden regions as they travel, in the kit's frame: whole µm, directions and turns in millionths, for what is signed
//! has no fractions.

use minicbor::{Decode, Encode};

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

/// Metres from whole µm, or parts of one from millionths.
#[must_use]
pub fn of_millionths<const N: usize>(millionths: [i32; N]) -> [f64; N] {
    millionths.map(|millionths| f64::from(millionths) / MILLIONTHS)
}

/// Whole µm of metres, or millionths of parts, the nearest; what is farther than they can say is at their end.
#[must_use]
pub fn in_millionths<const N: usize>(whole: [f64; N]) -> [i32; N] {
    whole.map(|whole| (whole * MILLIONTHS).round() as i32)
}
