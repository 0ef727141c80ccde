//! The aircraft's own geofence: one inclusion polygon, checked by counting crossings.

use mavlink::dialects::common::{MISSION_ITEM_INT_DATA, MavCmd};

use super::body::Vec3;
use super::ground::Ground;

/// Whether a point is inside the stored inclusion polygons; without any, everywhere is.
pub(super) fn contains(items: &[MISSION_ITEM_INT_DATA], ground: &Ground, point: Vec3) -> bool {
    let mut rest = inclusion_vertices(items);
    while let Some((polygon, after)) = split_polygon(rest) {
        if !inside(polygon, ground, point) {
            return false;
        }
        rest = after;
    }
    true
}

fn inclusion_vertices(items: &[MISSION_ITEM_INT_DATA]) -> &[MISSION_ITEM_INT_DATA] {
    let is_vertex =
        |item: &MISSION_ITEM_INT_DATA| item.command == MavCmd::MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION;
    let count = items.iter().take_while(|item| is_vertex(item)).count();
    &items[..count]
}

/// A vertex's first parameter says how many vertices its polygon has.
fn split_polygon(
    items: &[MISSION_ITEM_INT_DATA],
) -> Option<(&[MISSION_ITEM_INT_DATA], &[MISSION_ITEM_INT_DATA])> {
    let count = items.first()?.param1 as usize;
    (count >= 3).then(|| items.split_at_checked(count))?
}

/// Even-odd rule: a ray to the east crosses the border an odd number of times from inside.
fn inside(polygon: &[MISSION_ITEM_INT_DATA], ground: &Ground, point: Vec3) -> bool {
    let corner =
        |item: &MISSION_ITEM_INT_DATA| ground.point(f64::from(item.x) * 1e-7, f64::from(item.y) * 1e-7, 0.0);
    let nexts = polygon.iter().cycle().skip(1);
    let crossings = polygon.iter().zip(nexts).filter(|(a, b)| crosses(corner(a), corner(b), point)).count();
    crossings % 2 == 1
}

fn crosses(a: Vec3, b: Vec3, point: Vec3) -> bool {
    if (a.north > point.north) == (b.north > point.north) {
        return false;
    }
    let share = (point.north - a.north) / (b.north - a.north);
    point.east < a.east + share * (b.east - a.east)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(north_e7: i32, east_e7: i32, count: f32) -> MISSION_ITEM_INT_DATA {
        MISSION_ITEM_INT_DATA {
            command: MavCmd::MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION,
            param1: count,
            x: north_e7,
            y: east_e7,
            ..Default::default()
        }
    }

    /// Goal: inside is inside, outside on any side is outside, and no fence means everywhere.
    #[test]
    fn a_square_contains_its_middle_and_not_its_neighbours() {
        let ground = Ground::new(0.0, 0.0);
        let corners = [(0, 0), (0, 100_000), (100_000, 100_000), (100_000, 0)];
        let square: Vec<_> = corners.iter().map(|(n, e)| vertex(*n, *e, 4.0)).collect();
        assert!(contains(&square, &ground, ground.point(0.005, 0.005, 0.0)));
        for (lat, lon) in [(0.005, 0.015), (0.005, -0.005), (0.015, 0.005), (-0.005, 0.005)] {
            assert!(!contains(&square, &ground, ground.point(lat, lon, 0.0)), "{lat}, {lon}");
        }
        assert!(contains(&[], &ground, ground.point(5.0, 5.0, 0.0)));
    }
}
