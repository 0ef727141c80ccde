//! Between degrees and metres from home, on a plane that touches the globe there.
//!
//! Good to a few centimetres a kilometre near home; both ways use the same plane,
//! so a target given in degrees is reached in degrees.

use super::body::Vec3;

/// WGS84: semi-major axis in metres and first eccentricity squared.
const SEMI_MAJOR_M: f64 = 6_378_137.0;
const ECCENTRICITY_2: f64 = 6.694_379_990_14e-3;

/// The plane that touches the ellipsoid at home.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ground {
    lat_deg: f64,
    lon_deg: f64,
    m_per_lat_deg: f64,
    m_per_lon_deg: f64,
}

impl Ground {
    pub(super) fn new(lat_deg: f64, lon_deg: f64) -> Self {
        let (sin, cos) = lat_deg.to_radians().sin_cos();
        let bend = 1.0 - ECCENTRICITY_2 * sin * sin;
        let meridian_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / bend.powf(1.5);
        let across_m = SEMI_MAJOR_M / bend.sqrt();
        let radians = 1.0_f64.to_radians();
        // At a pole a degree of longitude has no length; a millimetre keeps the division finite.
        let m_per_lon_deg = (across_m * cos * radians).max(1e-3);
        Self { lat_deg, lon_deg, m_per_lat_deg: meridian_m * radians, m_per_lon_deg }
    }

    /// Degrees to metres north and east of home.
    pub(super) fn point(&self, lat_deg: f64, lon_deg: f64, up: f64) -> Vec3 {
        let east_deg = (lon_deg - self.lon_deg + 540.0).rem_euclid(360.0) - 180.0;
        Vec3 { north: (lat_deg - self.lat_deg) * self.m_per_lat_deg, east: east_deg * self.m_per_lon_deg, up }
    }

    /// Metres from home to (latitude, longitude) in degrees.
    pub(super) fn degrees(&self, point: Vec3) -> (f64, f64) {
        let lon_deg = self.lon_deg + point.east / self.m_per_lon_deg;
        (self.lat_deg + point.north / self.m_per_lat_deg, (lon_deg + 540.0).rem_euclid(360.0) - 180.0)
    }

    /// Metres from home to MAVLink's integers, degrees times 10^7.
    pub(super) fn e7(&self, point: Vec3) -> (i32, i32) {
        let (lat_deg, lon_deg) = self.degrees(point);
        ((lat_deg * 1e7).round() as i32, (lon_deg * 1e7).round() as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: degrees to metres and back is the same place, also across the antimeridian.
    #[test]
    fn there_and_back_is_the_same_place() {
        for (lat, lon) in [(47.4, 8.5), (-33.0, 179.999), (0.0, 0.0)] {
            let ground = Ground::new(lat, lon);
            let there = Vec3 { north: 1_500.0, east: 2_300.0, up: 0.0 };
            let (lat_deg, lon_deg) = ground.degrees(there);
            let back = ground.point(lat_deg, lon_deg, 0.0);
            assert!(there.level_distance_m(back) < 1e-3);
        }
    }

    /// Goal: the scale is the ellipsoid's: one degree of latitude at 45° is 111,132 m (the metre's own history).
    #[test]
    fn a_degree_has_the_ellipsoids_length() {
        let metres = Ground::new(45.0, 7.0).point(46.0, 7.0, 0.0).north;
        assert!((metres - 111_132.0).abs() < 10.0, "{metres}");
    }
}
