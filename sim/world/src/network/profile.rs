//! Lines by name. `docs/lines.md` says where each figure comes from, and what of it is made up.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;
use thiserror::Error;

use super::{BadSeries, Burst, HeldBack, Impairment, Outages, Rate, Series, Way};

/// Between samples of a made-up series, as in the traces.
const SAMPLE_MS: u64 = 55;
/// A made-up series is as long as the longest stretch that a rehearsal meets of it.
const SERIES_MS: u64 = 120_000;
/// Satellites are handed over at the same seconds of every minute for everybody.
const HANDOVER_MS: u32 = 15_000;

/// A line that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// A cable within one building.
    Lan,
    /// A 5G cell in a city, from a car at 30 km/h.
    Urban5g,
    /// A 5G cell in the country at walking pace, with stalls of up to ten seconds.
    Rural5g,
    /// Satellites in low orbit.
    Leo,
    /// A satellite in geostationary orbit.
    Geo,
}

/// There is no line of that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no line {seen:?}; there are {}", Profile::names())]
pub struct UnknownProfile {
    pub seen: String,
}

impl Profile {
    pub const EACH: [Self; 5] = [Self::Lan, Self::Urban5g, Self::Rural5g, Self::Leo, Self::Geo];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Urban5g => "5g-urban",
            Self::Rural5g => "5g-rural",
            Self::Leo => "leo",
            Self::Geo => "geo",
        }
    }

    /// All of them, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::EACH.map(Self::name).join(", ")
    }

    /// The measured round trips that it replays, by their file's name.
    #[must_use]
    pub fn trace(self) -> Option<&'static str> {
        match self {
            Self::Urban5g => Some("5g_urban_n8_v30.csv"),
            Self::Rural5g => Some("5g_rural_n8_v10.csv"),
            Self::Lan | Self::Leo | Self::Geo => None,
        }
    }

    /// Towards the edge box, and towards the console. The edge box is the one on the radio.
    #[must_use]
    pub fn impairments(self) -> [Impairment; 2] {
        let (line, kbit_s, queue_bytes_max) = match self {
            Self::Lan => (quiet(0.2, 0.1), [1_000_000, 1_000_000], 1 << 20),
            Self::Urban5g => {
                let burst = Some(Burst { begins: 0.000_2, ends: 0.3, loss: 0.5 });
                let held_back = Some(HeldBack { share: 0.000_5, by_ms: 3.0 });
                (Impairment { burst, held_back, ..quiet(0.0, 2.0) }, [100_000, 25_000], 256 << 10)
            }
            Self::Rural5g => {
                let burst = Some(Burst { begins: 0.001, ends: 0.2, loss: 0.5 });
                let held_back = Some(HeldBack { share: 0.001, by_ms: 5.0 });
                (Impairment { burst, held_back, ..quiet(0.0, 4.0) }, [30_000, 8_000], 256 << 10)
            }
            Self::Leo => {
                let burst = Some(Burst { begins: 0.000_5, ends: 0.3, loss: 0.5 });
                let outages = Some(Outages { every_ms: HANDOVER_MS, for_ms: 40 });
                (Impairment { burst, outages, ..quiet(0.0, 4.0) }, [100_000, 15_000], 256 << 10)
            }
            Self::Geo => (quiet(295.0, 8.0), [20_000, 5_000], 512 << 10),
        };
        kbit_s.map(|kbit_s| Impairment { rate: Some(Rate { kbit_s, queue_bytes_max }), ..line })
    }

    /// A series of delays where it has one: the trace's own, or one that is made up after what is published of it.
    ///
    /// # Errors
    /// [`BadSeries`] if `trace` is none.
    pub fn series(self, seed: u64, trace: Option<&str>) -> Result<Option<Series>, BadSeries> {
        match (self, trace) {
            (Self::Urban5g | Self::Rural5g, Some(trace)) => Series::of_round_trips(trace).map(Some),
            (Self::Urban5g, None) => made_up(seed, &URBAN, &URBAN_STALLS).map(Some),
            (Self::Rural5g, None) => made_up(seed, &RURAL, &RURAL_STALLS).map(Some),
            (Self::Leo, _) => handovers(seed).map(Some),
            (Self::Lan | Self::Geo, _) => Ok(None),
        }
    }

    /// Both directions, as [`Profile::impairments`] has them. The seed says where in its series it begins: zero begins at the
    /// start, and both directions are always at the same place.
    #[must_use]
    pub fn ways(self, seed: u64, series: Option<&Series>) -> [Way; 2] {
        let mut rng = Rng::with_seed(seed);
        let begin_us = series.map_or(0, |series| if seed == 0 { 0 } else { rng.u64(0..series.length_us()) });
        self.impairments().map(|impairment| {
            let way = Way::new(rng.u64(..), impairment);
            match series {
                Some(series) => way.with_series(series.clone(), begin_us),
                None => way,
            }
        })
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::EACH
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownProfile { seen: name.to_owned() })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn quiet(delay_ms: f64, jitter_ms: f64) -> Impairment {
    Impairment { delay_ms, jitter_ms, in_order: true, ..Impairment::default() }
}

/// Round trips in ms by the share of moments that they are not above, stalls apart.
type Shares = [(f64, f64)];
/// When, in ms, and the first round trip in it, in ms: what comes during a stall waits for its end, so it takes ever less.
type Stalls = [(u64, u64)];

const URBAN: [(f64, f64); 6] =
    [(0.0, 14.0), (0.5, 18.0), (0.9, 23.0), (0.99, 28.0), (0.999, 60.0), (1.0, 90.0)];
const URBAN_STALLS: [(u64, u64); 2] = [(41_000, 150), (97_000, 260)];
const RURAL: [(f64, f64); 5] = [(0.0, 15.0), (0.5, 26.0), (0.8, 60.0), (0.95, 200.0), (1.0, 320.0)];
const RURAL_STALLS: [(u64, u64); 8] = [
    (12_000, 400),
    (24_000, 1_100),
    (40_000, 600),
    (56_000, 850),
    (72_000, 10_200),
    (90_000, 1_000),
    (101_000, 450),
    (111_000, 2_100),
];

fn made_up(seed: u64, shares: &Shares, stalls: &Stalls) -> Result<Series, BadSeries> {
    let mut rng = Rng::with_seed(seed);
    let mut share = 0.5;
    let one_way = |at_ms: u64| {
        // Near the one before: a radio's state lasts longer than a sample.
        share = 0.7 * share + 0.3 * rng.f64();
        let stalled = stalls.iter().filter(|(begin_ms, _)| at_ms >= *begin_ms);
        let waits_ms = stalled.map(|(begin_ms, ms)| ms.saturating_sub(at_ms - begin_ms)).max().unwrap_or(0);
        let rtt_ms = at_share(shares, spread(share)).max(waits_ms as f64);
        (at_ms * 1_000, (rtt_ms * 500.0) as u64)
    };
    Series::of_samples((0..SERIES_MS).step_by(SAMPLE_MS as usize).map(one_way).collect())
}

/// Averaging has drawn the shares to the middle; this draws them out again, to even ones: a normal distribution of the same
/// spread, by its logistic approximation.
fn spread(share: f64) -> f64 {
    const SPREAD: f64 = 0.1213; // sqrt((1 - 0.7) / (1 + 0.7) / 12)
    1.0 / (1.0 + (-1.702 * (share - 0.5) / SPREAD).exp())
}

fn at_share(shares: &Shares, share: f64) -> f64 {
    let after = shares.partition_point(|(to, _)| *to < share).clamp(1, shares.len() - 1);
    let ((from, from_ms), (to, to_ms)) = (shares[after - 1], shares[after]);
    from_ms + (to_ms - from_ms) * ((share - from) / (to - from)).clamp(0.0, 1.0)
}

/// A one-way delay of 18 to 28 ms that changes at once with every handover.
fn handovers(seed: u64) -> Result<Series, BadSeries> {
    let mut rng = Rng::with_seed(seed);
    let each = (0..SERIES_MS).step_by(HANDOVER_MS as usize).flat_map(|begin_ms| {
        let one_way_us = rng.u64(18_000..28_000);
        [begin_ms, begin_ms + u64::from(HANDOVER_MS) - 1].map(|at_ms| (at_ms * 1_000, one_way_us))
    });
    Series::of_samples(each.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round trips in ms by share, without jitter and queue.
    fn round_trips(series: &Series) -> impl Fn(f64) -> f64 {
        |share| 2.0 * series.percentile_us(share) as f64 / 1e3
    }

    #[test]
    fn a_line_is_found_by_its_name() {
        for profile in Profile::EACH {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        let error = "6g".parse::<Profile>().unwrap_err().to_string();
        assert_eq!(error, "there is no line \"6g\"; there are lan, 5g-urban, 5g-rural, leo, geo");
    }

    /// Goal: where the traces are not at hand, what is made up has their published figures.
    #[test]
    fn made_up_lines_have_the_published_figures() {
        for seed in 0..20 {
            let series = Profile::Urban5g.series(seed, None).unwrap().unwrap();
            let urban = round_trips(&series);
            assert!((17.0..19.5).contains(&urban(0.5)), "{}", urban(0.5));
            assert!((25.0..45.0).contains(&urban(0.99)), "{}", urban(0.99));
            assert!((240.0..=261.0).contains(&urban(1.0)), "{}", urban(1.0));
            let series = Profile::Rural5g.series(seed, None).unwrap().unwrap();
            let rural = round_trips(&series);
            assert!((24.0..40.0).contains(&rural(0.5)), "{}", rural(0.5));
            assert!((3_500.0..6_500.0).contains(&rural(0.95)), "{}", rural(0.95));
            assert!((10_000.0..=10_241.0).contains(&rural(1.0)), "{}", rural(1.0));
        }
    }

    /// Goal: the way up to a satellite and down again: 40 to 60 ms and a step every 15 s; 600 ms, more than the kit takes.
    #[test]
    fn satellites_are_as_far_as_they_are() {
        let series = Profile::Leo.series(3, None).unwrap().unwrap();
        let leo = round_trips(&series);
        assert!(leo(0.0) >= 36.0 && leo(1.0) <= 56.0);
        assert_eq!(series.at(1_000_000), series.at(14_900_000));
        assert_ne!(series.at(14_900_000), series.at(15_100_000));
        let [to_edge, to_console] = Profile::Geo.impairments();
        assert!((580.0..620.0).contains(&(to_edge.delay_ms + to_console.delay_ms)));
    }

    /// Goal: every packet of a second's video and commands finds its fate on every line, the same for the same seed; none
    /// comes out before it went in.
    #[test]
    fn the_same_seed_is_the_same_line() {
        for profile in Profile::EACH {
            let series = profile.series(7, None).unwrap();
            let run = |seed| {
                let [mut way, _] = profile.ways(seed, series.as_ref());
                let sent = (0..20_000u64).map(|n| n * 1_000);
                sent.map(|us| (us, way.pass(us, 1_200).next())).collect::<Vec<_>>()
            };
            assert_eq!(run(1), run(1));
            assert_ne!(run(1), run(2));
            assert!(run(1).iter().all(|(sent_us, fate)| fate.is_none_or(|fate| fate.at_us >= *sent_us)));
            assert!(run(1).iter().filter(|(_, fate)| fate.is_some()).count() > 15_000, "{profile}");
        }
    }
}
