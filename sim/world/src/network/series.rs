//! One-way delays that change with time, replayed without end.

use std::sync::Arc;

use thiserror::Error;

/// More samples than a day at the traces' own rate.
const SAMPLES_MAX: usize = 2_000_000;
const ROUND_TRIP_MS_MAX: f64 = 60_000.0;
/// A year.
const TIME_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;
const COLUMNS: &str = "t_ms,rtt_ms";

/// Delays over time, read between samples along a straight line. After the last it begins anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// When, and how long one way takes then, in µs; the first at zero.
    samples: Arc<[(u64, u64)]>,
}

/// Why a text is no series of round trips.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadSeries {
    #[error("its first line is {seen:?}, expected {COLUMNS:?}")]
    Columns { seen: String },
    #[error("line {line} is {seen:?}, expected a time and a round trip in ms, such as 55,28")]
    Line { line: usize, seen: String },
    #[error("line {line}: a round trip of {ms} ms, at most {ROUND_TRIP_MS_MAX} is replayed")]
    TooLong { line: usize, ms: f64 },
    #[error("line {line}: {ms} ms is not after the time before it")]
    Backwards { line: usize, ms: u64 },
    #[error("it has {samples} samples; 2 to {SAMPLES_MAX} are replayed")]
    Samples { samples: usize },
}

impl Series {
    /// Measured round trips, as `t_ms,rtt_ms` lines under a line that says so. Half a round trip is taken for each way.
    ///
    /// # Errors
    /// [`BadSeries`], with the line.
    pub fn of_round_trips(text: &str) -> Result<Self, BadSeries> {
        let mut lines = (1..).zip(text.lines());
        let first = lines.next().map_or("", |(_, line)| line.trim());
        if first != COLUMNS {
            return Err(BadSeries::Columns { seen: first.chars().take(64).collect() });
        }
        let mut samples: Vec<(u64, u64)> = Vec::new();
        for (line, text) in lines {
            let (t_ms, rtt_ms) =
                read(text).ok_or_else(|| BadSeries::Line { line, seen: text.chars().take(64).collect() })?;
            if !(0.0..=ROUND_TRIP_MS_MAX).contains(&rtt_ms) {
                return Err(BadSeries::TooLong { line, ms: rtt_ms });
            }
            if samples.last().is_some_and(|(before_us, _)| *before_us >= t_ms * 1_000) {
                return Err(BadSeries::Backwards { line, ms: t_ms });
            }
            samples.push((t_ms * 1_000, (rtt_ms * 500.0) as u64));
        }
        Self::of_samples(samples)
    }

    /// At such times, in µs and rising, one way takes so long.
    ///
    /// # Errors
    /// [`BadSeries::Samples`] if there are too few or too many.
    pub(super) fn of_samples(mut samples: Vec<(u64, u64)>) -> Result<Self, BadSeries> {
        let count = samples.len();
        if !(2..=SAMPLES_MAX).contains(&count) {
            return Err(BadSeries::Samples { samples: count });
        }
        let begin_us = samples[0].0;
        samples.iter_mut().for_each(|(at_us, _)| *at_us -= begin_us);
        Ok(Self { samples: samples.into() })
    }

    /// From its first sample to its last.
    #[must_use]
    pub fn length_us(&self) -> u64 {
        self.samples.last().map_or(1, |(at_us, _)| *at_us)
    }

    /// How long one way takes at that time, in µs.
    #[must_use]
    pub fn at(&self, us: u64) -> u64 {
        let us = us % self.length_us();
        let after = self.samples.partition_point(|(at_us, _)| *at_us <= us);
        // The first sample is at zero and `us` before the last: there is one on either side.
        let ((from_us, from), (to_us, to)) = (self.samples[after - 1], self.samples[after]);
        let share = (us - from_us) as f64 / (to_us - from_us) as f64;
        (from as f64 + (to as f64 - from as f64) * share) as u64
    }

    /// The delay that this share of all moments is not above, in µs.
    #[must_use]
    pub fn percentile_us(&self, share: f64) -> u64 {
        let mut sorted: Vec<u64> = self.samples.iter().map(|(_, delay_us)| *delay_us).collect();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil().clamp(1.0, sorted.len() as f64);
        sorted[rank as usize - 1]
    }
}

fn read(line: &str) -> Option<(u64, f64)> {
    let (t_ms, rtt_ms) = line.split_once(',')?;
    let t_ms = t_ms.trim().parse().ok().filter(|t_ms| *t_ms <= TIME_MS_MAX)?;
    Some((t_ms, rtt_ms.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: half of each round trip, straight between samples, and again from the start after the last.
    #[test]
    fn round_trips_are_halved_and_begin_anew() {
        let series = Series::of_round_trips("t_ms,rtt_ms\n10,20\n60,40\n110,2000\n").unwrap();
        let at = |ms: u64| series.at(ms * 1_000);
        assert_eq!([0, 25, 50, 99, 100, 150].map(at), [10_000, 15_000, 20_000, 980_400, 10_000, 20_000]);
        assert_eq!(series.percentile_us(0.5), 20_000);
    }

    /// Goal: what is no such series is refused with the line and what was expected there.
    #[test]
    fn a_damaged_trace_is_refused_by_line() {
        let read = |rest: &str| Series::of_round_trips(&format!("t_ms,rtt_ms\n{rest}")).unwrap_err();
        assert_eq!(read("0,1\n55"), BadSeries::Line { line: 3, seen: "55".into() });
        assert_eq!(read("0,1\n55,90000"), BadSeries::TooLong { line: 3, ms: 90_000.0 });
        assert!(matches!(read(&format!("{},1", u64::MAX)), BadSeries::Line { line: 2, .. }));
        assert!(matches!(read("0,NaN"), BadSeries::TooLong { line: 2, .. }));
        assert_eq!(read("5,1\n5,1"), BadSeries::Backwards { line: 3, ms: 5 });
        assert_eq!(read("0,1"), BadSeries::Samples { samples: 1 });
        let error = Series::of_round_trips("time,delay").unwrap_err();
        assert_eq!(error.to_string(), "its first line is \"time,delay\", expected \"t_ms,rtt_ms\"");
    }
}
