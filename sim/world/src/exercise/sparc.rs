//! Smoothness of one movement: the spectral arc length, SPARC.

use std::f64::consts::TAU;

use nalgebra::Complex;

/// What lies above is not a hand's.
const CUTOFF_HZ: f64 = 10.0;
/// The spectrum counts up to where it last has this share of its largest value.
const AMPLITUDE_MIN: f64 = 0.05;
/// The profile is padded with zeros to 16 times the next power of two.
const PADDING_LEVEL: u32 = 4;

/// Spectral arc length of a speed profile, without unit and negative; nearer to zero is smoother. `None` where there is no
/// movement.
///
/// After Balasubramanian, Melendez-Calderon, Roby-Brami and Burdet, *On the analysis of movement smoothness*, J NeuroEng
/// Rehabil 12:112 (2015), with its parameters: amplitudes over their largest, up to 10 Hz, from 5 % on.
#[must_use]
pub fn sparc(speed: &[f64], rate_hz: f64) -> Option<f64> {
    let padded = speed.len().checked_next_power_of_two()? << PADDING_LEVEL;
    let step_hz = rate_hz / padded as f64;
    let amplitude = |bin: usize| amplitude(speed, TAU * bin as f64 / padded as f64);
    // No speed is negative, so the largest amplitude is that of frequency zero.
    let largest = amplitude(0);
    let spectrum: Vec<f64> =
        (0..=(CUTOFF_HZ / step_hz) as usize).map(|bin| amplitude(bin) / largest).collect();
    let last = spectrum.iter().rposition(|share| *share >= AMPLITUDE_MIN).filter(|last| *last > 0)?;
    let step = 1.0 / last as f64;
    Some(-spectrum[..=last].windows(2).map(|pair| step.hypot(pair[1] - pair[0])).sum::<f64>())
}

/// Of the profile's Fourier transform at this angle a sample, by Horner's rule.
fn amplitude(speed: &[f64], angle_rad: f64) -> f64 {
    let turn = Complex::from_polar(1.0, -angle_rad);
    speed.iter().rev().fold(Complex::new(0.0, 0.0), |sum, mm_s| sum * turn + mm_s).norm()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 100.0;

    fn profile(speed: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..200).map(|n| speed(f64::from(n) / RATE_HZ - 1.0)).collect()
    }

    fn bell(t: f64) -> f64 {
        (-5.0 * t * t).exp()
    }

    /// Goal: the authors' own example has their value (`smoothness.py` of github.com/siva82kb/SPARC: -1.41403), and two
    /// movements in one and one with tremor have those of a discrete Fourier transform that was summed term by term.
    #[test]
    fn values_are_those_of_the_published_metric() {
        let two = |t: f64| bell(2.0 * (t + 0.5)) + 0.7 * bell(2.0 * (t - 0.5));
        let trembling = |t: f64| bell(t) * (1.0 + 0.5 * (TAU * 6.0 * t).cos());
        for (name, speed, expected) in [
            ("one", profile(bell), -1.41403),
            ("two", profile(two), -2.47849),
            ("trembling", profile(trembling), -2.05181),
        ] {
            let seen = sparc(&speed, RATE_HZ).unwrap();
            assert!((seen - expected).abs() < 5e-6, "{name}: {seen}, expected {expected}");
        }
    }

    #[test]
    fn who_does_not_move_is_neither_smooth_nor_rough() {
        assert_eq!(sparc(&[], RATE_HZ), None);
        assert_eq!(sparc(&[0.0; 50], RATE_HZ), None);
    }
}
