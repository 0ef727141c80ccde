//! The area an aircraft may not leave.
//!
//! Invariant (local): a `Geofence` is a simple polygon with 3 to [`FENCE_VERTICES_MAX`]
//! distinct vertices, spanning less than half the globe, so "inside" has one meaning.
//! Edges are straight in latitude and longitude, as autopilots treat them.

use geo::algorithm::validation::Validation;
use geo::{Contains, Coord, Intersects, Line, LineString, Polygon};
use thiserror::Error;

use crate::Place;

/// The most vertices a fence may have; PX4's storage is of the same order.
pub const FENCE_VERTICES_MAX: usize = 64;

/// A fence wider than this, in degrees of longitude, has no clear inside.
const SPAN_DEG_MAX: f64 = 180.0;

/// An inclusion polygon: the aircraft stays inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Geofence {
    vertices: Vec<Place>,
    polygon: Polygon,
}

/// Why vertices do not make a fence.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FenceError {
    #[error("a fence needs 3 to {max} vertices, not {seen}")]
    Vertices { seen: usize, max: usize },
    #[error("the fence spans {seen_deg:.1}° of longitude; it must span less than {max_deg}°")]
    TooWide { seen_deg: f64, max_deg: f64 },
    #[error("the fence's edges touch or cross each other")]
    NotSimple,
}

impl Geofence {
    /// Makes an inclusion fence from its vertices in order; the last joins the first.
    pub fn new(vertices: Vec<Place>) -> Result<Self, FenceError> {
        if !(3..=FENCE_VERTICES_MAX).contains(&vertices.len()) {
            return Err(FenceError::Vertices { seen: vertices.len(), max: FENCE_VERTICES_MAX });
        }
        let origin = vertices[0];
        let ring: Vec<Coord> = vertices.iter().map(|place| unwrapped(origin, *place)).collect();
        check_span(&ring)?;
        let polygon = Polygon::new(LineString::new(ring), vec![]);
        if !polygon.is_valid() {
            return Err(FenceError::NotSimple);
        }
        Ok(Self { vertices, polygon })
    }

    /// The vertices, in order, as given.
    pub fn vertices(&self) -> &[Place] {
        &self.vertices
    }

    /// Whether a place is inside; the edge itself counts as inside.
    pub fn contains(&self, place: Place) -> bool {
        self.polygon.intersects(&self.coord(place))
    }

    /// Whether the whole straight leg stays inside, not only its ends.
    pub fn contains_leg(&self, from: Place, to: Place) -> bool {
        if from == to {
            return self.contains(from);
        }
        let leg = Line::new(self.coord(from), self.coord(to));
        self.polygon.contains(&leg)
    }

    fn coord(&self, place: Place) -> Coord {
        unwrapped(self.vertices[0], place)
    }
}

/// Longitude relative to the origin's, so that a fence across the antimeridian stays in one piece.
fn unwrapped(origin: Place, place: Place) -> Coord {
    let east_deg = (place.lon_deg() - origin.lon_deg() + 540.0).rem_euclid(360.0) - 180.0;
    Coord { x: east_deg, y: place.lat_deg() }
}

fn check_span(ring: &[Coord]) -> Result<(), FenceError> {
    let west = ring.iter().map(|c| c.x).fold(f64::INFINITY, f64::min);
    let east = ring.iter().map(|c| c.x).fold(f64::NEG_INFINITY, f64::max);
    let seen_deg = east - west;
    if seen_deg < SPAN_DEG_MAX {
        return Ok(());
    }
    Err(FenceError::TooWide { seen_deg, max_deg: SPAN_DEG_MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(lat_deg: f64, lon_deg: f64) -> Place {
        Place::new(lat_deg, lon_deg).unwrap()
    }

    /// A "U" open to the north: its two arms are inside, the gap between them is not.
    fn horseshoe() -> Geofence {
        let ring = [(0., 0.), (0., 3.), (3., 3.), (3., 2.), (1., 2.), (1., 1.), (3., 1.), (3., 0.)];
        Geofence::new(ring.iter().map(|(lat, lon)| place(*lat, *lon)).collect()).unwrap()
    }

    /// Goal: a concave fence means what a person would draw, legs included.
    #[test]
    fn a_leg_between_two_inside_points_may_still_leave_the_fence() {
        let fence = horseshoe();
        let (left, right) = (place(2.5, 0.5), place(2.5, 2.5));
        assert!(fence.contains(left) && fence.contains(right));
        assert!(!fence.contains(place(2.5, 1.5)));
        assert!(!fence.contains_leg(left, right));
        assert!(fence.contains_leg(left, place(0.5, 0.5)));
    }

    /// Goal: a fence across the antimeridian is the small area, not the rest of the globe.
    #[test]
    fn a_fence_across_the_antimeridian_is_in_one_piece() {
        let fence =
            Geofence::new(vec![place(-1., 179.), place(-1., -179.), place(1., -179.), place(1., 179.)])
                .unwrap();
        assert!(fence.contains(place(0., 179.9)) && fence.contains(place(0., -179.9)));
        assert!(!fence.contains(place(0., 0.)) && !fence.contains(place(0., 178.)));
    }

    /// Goal: shapes without a clear inside are refused with what was seen.
    #[test]
    fn a_bow_tie_and_a_line_are_refused() {
        let bow_tie = vec![place(0., 0.), place(1., 1.), place(0., 1.), place(1., 0.)];
        assert_eq!(Geofence::new(bow_tie), Err(FenceError::NotSimple));
        let line = vec![place(0., 0.), place(1., 1.)];
        assert_eq!(Geofence::new(line), Err(FenceError::Vertices { seen: 2, max: FENCE_VERTICES_MAX }));
    }

    proptest! {
        /// Goal: for a rectangle, the fence agrees with comparing coordinates.
        #[test]
        fn a_rectangle_contains_exactly_its_ranges(
            south in -80.0..70.0_f64, west in -170.0..160.0_f64,
            lat in -85.0..85.0_f64, lon in -180.0..180.0_f64,
        ) {
            let (north, east) = (south + 8.0, west + 9.0);
            let fence = Geofence::new(vec![
                place(south, west), place(south, east), place(north, east), place(north, west),
            ]).unwrap();
            let inside = (south..=north).contains(&lat) && (west..=east).contains(&lon);
            prop_assert_eq!(fence.contains(place(lat, lon)), inside);
        }
    }
}
