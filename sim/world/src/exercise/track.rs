//! The way of the jaws' end, and what is measured of it.

use nalgebra::Point3;

use super::attempt::SAMPLE_MS;
use super::sparc;

/// Samples come so often.
const RATE_HZ: f64 = 1_000.0 / SAMPLE_MS as f64;
/// Slower is standing still, and who stood still for so long has ended a movement.
const MOVING_MM_S: f64 = 5.0;
const REST_SAMPLES: usize = 3;
/// What goes no farther is not counted as a movement.
const MOVEMENT_MM_MIN: f64 = 1.0;
/// A longer movement counts as several, so that none takes long to measure: 20 s.
const MOVEMENT_SAMPLES_MAX: usize = 2_000;

/// Measured over the time in which an exercise runs, from the first move until it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    pub time_s: f64,
    pub path_mm: f64,
    /// The shortest way over the way that was taken: 1 is none too long.
    pub economy: f64,
    /// Between one rest and the next.
    pub movements: u32,
    /// The movements' spectral arc length, see [`sparc`](super::sparc()): a mean, in which each counts for its time.
    pub smoothness: Option<f64>,
}

/// The way so far, as samples of it come in.
#[derive(Clone, Debug, Default)]
pub struct Track {
    last: Option<Point3<f64>>,
    path_mm: f64,
    /// Of the movement that goes on, mm/s.
    speeds: Vec<f64>,
    /// How many of the last of them are a rest.
    rested: usize,
    movements: u32,
    /// Over all movements, weighed by their samples; and those samples.
    smoothness: f64,
    weight: f64,
}

impl Track {
    /// Where the jaws' end is, 10 ms after the last time.
    pub fn add(&mut self, at: Point3<f64>) {
        let Some(last) = self.last.replace(at) else { return };
        let moved_mm = (at - last).norm() * 1e3;
        let speed_mm_s = moved_mm * RATE_HZ;
        self.path_mm += moved_mm;
        let moving = speed_mm_s >= MOVING_MM_S;
        if self.speeds.is_empty() && !moving {
            return;
        }
        self.speeds.push(speed_mm_s);
        self.rested = if moving { 0 } else { self.rested + 1 };
        if self.rested >= REST_SAMPLES || self.speeds.len() >= MOVEMENT_SAMPLES_MAX {
            self.end_movement();
        }
    }

    fn end_movement(&mut self) {
        let speeds = std::mem::take(&mut self.speeds);
        self.rested = 0;
        if speeds.iter().sum::<f64>() / RATE_HZ < MOVEMENT_MM_MIN {
            return;
        }
        self.movements += 1;
        if let Some(smoothness) = sparc(&speeds, RATE_HZ) {
            self.smoothness += smoothness * speeds.len() as f64;
            self.weight += speeds.len() as f64;
        }
    }

    /// With the movement that goes on, as if it ended here.
    #[must_use]
    pub fn measures(&self, time_s: f64, shortest_m: f64) -> Measures {
        let mut ended = self.clone();
        ended.end_movement();
        Measures {
            time_s,
            path_mm: self.path_mm,
            economy: if self.path_mm > 0.0 { (shortest_m * 1e3 / self.path_mm).min(1.0) } else { 0.0 },
            movements: ended.movements,
            smoothness: (ended.weight > 0.0).then(|| ended.smoothness / ended.weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Along a line: with the speed of a bell from rest to rest, so far, in so many samples; `rest` samples after it.
    fn stroke(track: &mut Track, from_mm: f64, mm: f64, samples: u32, rest: u32) {
        for n in 0..=samples + rest {
            let t = (f64::from(n) / f64::from(samples)).min(1.0);
            let share = t * t * t * (10.0 + t * (6.0 * t - 15.0)); // minimum jerk
            track.add(Point3::new((from_mm + share * mm) / 1e3, 0.0, 0.0));
        }
    }

    /// Goal: what is measured of a known way is what is known of it.
    #[test]
    fn a_known_way_has_the_measures_that_it_has() {
        let mut track = Track::default();
        stroke(&mut track, 0.0, 30.0, 100, 50);
        stroke(&mut track, 30.0, -30.0, 100, 50);
        let measures = track.measures(3.0, 0.030);
        assert!((measures.path_mm - 60.0).abs() < 1e-9, "{measures:?}");
        assert!((measures.economy - 0.5).abs() < 1e-9, "{measures:?}");
        assert_eq!(measures.movements, 2);
        // A movement of least jerk is about as smooth as any.
        assert!((-1.7..-1.3).contains(&measures.smoothness.unwrap()), "{measures:?}");
    }

    /// Goal: a way in pieces is more movements, and a trembling hand is less smooth.
    #[test]
    fn pieces_and_tremor_show() {
        let mut steady = Track::default();
        stroke(&mut steady, 0.0, 30.0, 300, 50);
        let mut pieces = Track::default();
        (0..10).for_each(|n| stroke(&mut pieces, 3.0 * f64::from(n), 3.0, 30, 20));
        let mut trembling = Track::default();
        for n in 0..400 {
            let t = f64::from(n) / 100.0;
            let at_mm = 7.5 * t + 0.4 * (std::f64::consts::TAU * 6.0 * t).sin();
            trembling.add(Point3::new(at_mm / 1e3, 0.0, 0.0));
        }
        let [steady, pieces, trembling] = [steady, pieces, trembling].map(|track| track.measures(4.0, 0.03));
        assert_eq!((steady.movements, pieces.movements), (1, 10));
        assert!(trembling.smoothness.unwrap() < steady.smoothness.unwrap() - 0.3, "{trembling:?} {steady:?}");
    }
}
