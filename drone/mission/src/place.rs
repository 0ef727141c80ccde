//! A point on the WGS84 ellipsoid.

use geo::line_measures::{Destination, Distance, Geodesic};
use thiserror::Error;

/// A point on the WGS84 ellipsoid, in degrees: latitude in -90..=90, longitude in -180..=180.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    lat_deg: f64,
    lon_deg: f64,
}

/// Why two numbers are not a place.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum PlaceError {
    #[error("latitude {seen_deg}° is not within -90 to 90°")]
    Latitude { seen_deg: f64 },
    #[error("longitude {seen_deg}° is not within -180 to 180°")]
    Longitude { seen_deg: f64 },
}

impl Place {
    /// Makes a place from degrees; refuses NaN and anything outside the globe.
    pub fn new(lat_deg: f64, lon_deg: f64) -> Result<Self, PlaceError> {
        if !(-90.0..=90.0).contains(&lat_deg) {
            return Err(PlaceError::Latitude { seen_deg: lat_deg });
        }
        if !(-180.0..=180.0).contains(&lon_deg) {
            return Err(PlaceError::Longitude { seen_deg: lon_deg });
        }
        Ok(Self { lat_deg, lon_deg })
    }

    /// From MAVLink's integers, degrees times 10^7.
    pub fn from_e7(lat_e7: i32, lon_e7: i32) -> Result<Self, PlaceError> {
        Self::new(f64::from(lat_e7) * 1e-7, f64::from(lon_e7) * 1e-7)
    }

    pub fn lat_deg(self) -> f64 {
        self.lat_deg
    }

    pub fn lon_deg(self) -> f64 {
        self.lon_deg
    }

    /// To MAVLink's integers (latitude, longitude), degrees times 10^7, about 1 cm.
    pub fn to_e7(self) -> (i32, i32) {
        // The ranges of `new` fit an i32 at this scale: 180e7 < 2^31.
        ((self.lat_deg * 1e7).round() as i32, (self.lon_deg * 1e7).round() as i32)
    }

    /// Metres along the ellipsoid (Karney 2013, as in GeographicLib).
    pub fn distance_m(self, other: Place) -> f64 {
        Geodesic.distance(self.point(), other.point())
    }

    /// The place `distance_m` away on the ellipsoid, leaving at `bearing_deg` clockwise from north.
    pub fn offset(self, bearing_deg: f64, distance_m: f64) -> Result<Place, PlaceError> {
        let there = Geodesic.destination(self.point(), bearing_deg, distance_m);
        Place::new(there.y(), there.x())
    }

    fn point(self) -> geo::Point {
        geo::Point::new(self.lon_deg, self.lat_deg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: distances are the ellipsoid's; the reference is GeographicLib's own worked example, JFK to LHR.
    #[test]
    fn distance_follows_the_ellipsoid() {
        let jfk = Place::new(40.6, -73.8).unwrap();
        let lhr = Place::new(51.6, -0.5).unwrap();
        assert!((jfk.distance_m(lhr) - 5_551_759.4).abs() < 1.0, "{}", jfk.distance_m(lhr));
    }

    /// Goal: nothing outside the globe becomes a place.
    #[test]
    fn numbers_outside_the_globe_are_refused() {
        assert_eq!(Place::new(90.1, 0.0), Err(PlaceError::Latitude { seen_deg: 90.1 }));
        assert_eq!(Place::new(0.0, -180.5), Err(PlaceError::Longitude { seen_deg: -180.5 }));
        assert!(Place::new(f64::NAN, 0.0).is_err());
        assert!(Place::from_e7(i32::MIN, 0).is_err());
    }
}
