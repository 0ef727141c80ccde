//! Takes the hand's tremor out of the joints it asks for.
//!
//! Physiological tremor is a narrow band, 8 to 12 Hz (C. N. Riviere, R. S. Rader, N. V. Thakor, "Adaptive canceling of
//! physiological tremor for improved precision in microsurgery", IEEE Trans. Biomed. Eng. 45(7), 1998). A notch takes that
//! band and leaves slow and fast motion alone; a low-pass as deep would cost three times its delay. Tremor spoils fine work:
//! a tool on its way is given all of its hand, and is not late for it.
//!
//! Invariant: at rest it gives back what it is given, to the last bit.

use std::f64::consts::TAU;

use crate::TICK_S;
use crate::joints::{AXES, Axes, JOINTS};

/// Up to this speed all of the tremor is taken out, and from the other on nothing is.
const WHOLE_MM_S: f64 = 25.0;
const GONE_MM_S: f64 = 75.0;

/// The band that is taken out, from the arm's file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) centre_hz: f64,
    /// Centre by width at half the power. The delay of slow motion is 1 / (2π · centre · quality).
    pub(crate) quality: f64,
}

/// Less than this in the band is none: a hand that has come to rest leaves nothing behind.
const NOTHING_RAD_M: f64 = 1e-7;

/// What is in the band now, to be taken away: a second-order band-pass (R. Bristow-Johnson, "Cookbook formulae for audio
/// equalizer biquad filter coefficients", W3C Note 2021).
#[derive(Clone, Debug)]
pub(crate) struct Tremor {
    gain: f64,
    back: [f64; 2],
    asked: [Axes; 2],
    band: [Axes; 2],
}

impl Tremor {
    pub(crate) fn new(band: Band, position: &Axes) -> Self {
        let angle = TAU * band.centre_hz * TICK_S;
        let alpha = angle.sin() / (2.0 * band.quality);
        let whole = 1.0 + alpha;
        Self {
            gain: alpha / whole,
            back: [2.0 * angle.cos() / whole, -(1.0 - alpha) / whole],
            asked: [*position; 2],
            band: [[0.0; AXES]; 2],
        }
    }

    /// Forgets what it saw, as if the hand had always asked for `position`.
    pub(crate) fn settle(&mut self, position: &Axes) {
        (self.asked, self.band) = ([*position; 2], [[0.0; AXES]; 2]);
    }

    /// What is asked for, without the tremor as far as the tip is slow. The jaw has none.
    pub(crate) fn without(&mut self, asked: &Axes, tip_speed_mm_s: f64) -> Axes {
        let share = ((GONE_MM_S - tip_speed_mm_s) / (GONE_MM_S - WHOLE_MM_S)).clamp(0.0, 1.0);
        let mut band = [0.0; AXES];
        for (i, band) in band.iter_mut().enumerate().take(JOINTS) {
            *band = self.gain * (asked[i] - self.asked[1][i])
                + self.back[0] * self.band[0][i]
                + self.back[1] * self.band[1][i];
            if band.abs() < NOTHING_RAD_M && self.band[0][i].abs() < NOTHING_RAD_M {
                *band = 0.0;
            }
        }
        (self.asked, self.band) = ([*asked, self.asked[0]], [band, self.band[0]]);
        std::array::from_fn(|i| asked[i] - share * band[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAND: Band = Band { centre_hz: 10.0, quality: 0.7 };

    /// How much of a sine of that frequency comes through.
    fn share(hz: f64, tip_speed_mm_s: f64) -> f64 {
        let mut tremor = Tremor::new(BAND, &[0.0; AXES]);
        let out = (0..4_000).map(|tick| {
            tremor.without(&[(TAU * hz * f64::from(tick) * TICK_S).sin(); AXES], tip_speed_mm_s)[0]
        });
        out.skip(3_000).fold(0.0, |most: f64, seen| most.max(seen.abs()))
    }

    /// Goal: the tremor's band is taken out, by ten decibels at its edges; what a hand means comes through, and so does what is
    /// faster than any hand.
    #[test]
    fn tremor_is_taken_out_and_the_hand_is_not() {
        for (hz, most) in [(10.0, 0.01), (8.0, 0.32), (12.0, 0.32)] {
            assert!(share(hz, 10.0) < most, "{hz} Hz: {}", share(hz, 10.0));
        }
        for hz in [0.5, 1.0, 100.0] {
            assert!((share(hz, 10.0) - 1.0).abs() < 0.03, "{hz} Hz: {}", share(hz, 10.0));
        }
        assert_eq!(share(10.0, 100.0), share(10.0, 1e3));
        assert!(share(10.0, 100.0) > 0.99);
    }

    /// Goal: a still hand is given back to the last bit, also after it moved.
    #[test]
    fn a_still_hand_is_left_alone() {
        let still = [0.1, -0.2, 0.13, 0.4, -0.5, 0.6, 0.7];
        let mut tremor = Tremor::new(BAND, &still.map(|rad| rad - 0.05));
        assert!((0..400).fold(true, |_, _| tremor.without(&still, 0.0) == still));
        assert!((0..100).all(|_| tremor.without(&still, 0.0) == still));
    }
}
