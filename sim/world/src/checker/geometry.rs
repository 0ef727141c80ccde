//! Distances, written apart from those that the kit keeps out of regions by.

use farhand_wire::Region;

pub(super) fn distance(from: [f64; 3], to: [f64; 3]) -> f64 {
    from.iter().zip(to).map(|(from, to)| (to - from).powi(2)).sum::<f64>().sqrt()
}

/// How deep a point is in a region, mm; negative outside.
pub(super) fn depth_mm(region: &Region, point_mm: [f64; 3]) -> f64 {
    let sub = |a: [f64; 3], b: [f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let mm = |um: [i32; 3]| um.map(|part| f64::from(part) / 1e3);
    match *region {
        Region::Capsule { from_um, to_um, radius_um } => {
            let (from, along) = (mm(from_um), sub(mm(to_um), mm(from_um)));
            let share = (dot(sub(point_mm, from), along) / dot(along, along).max(1e-12)).clamp(0.0, 1.0);
            let foot = [0, 1, 2].map(|axis| from[axis] + share * along[axis]);
            f64::from(radius_um) / 1e3 - distance(foot, point_mm)
        }
        Region::HalfSpace { point_um, outward_millionths } => {
            let outward = outward_millionths.map(f64::from);
            dot(sub(mm(point_um), point_mm), outward) / dot(outward, outward).sqrt()
        }
        Region::Block { centre_um, orientation_wxyz_millionths, half_um } => {
            let away = sub(point_mm, mm(centre_um));
            let [w, x, y, z] = orientation_wxyz_millionths.map(|part| f64::from(part) / 1e6);
            let axes = [
                [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
                [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
                [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)],
            ];
            let inside = [0, 1, 2].map(|axis| f64::from(half_um[axis]) / 1e3 - dot(away, axes[axis]).abs());
            inside.into_iter().fold(f64::INFINITY, f64::min)
        }
    }
}
