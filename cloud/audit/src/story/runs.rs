//! Refusals in runs, and stretches of the kit's mode: a thousand commands refused for one reason are one line.

use std::collections::BTreeMap;

use farhand_ledger::{KitVerdict, Outcome, Shown};
use farhand_wire::{ARMS_MAX, KitState, LeaseToken, Mode, Rejection, Sequence, state_flags};

use super::{bounded::Bounded, moments::FrameMark};

/// Refusals for one reason that are further apart are two runs.
const APART_US_MAX: u64 = 1_000_000;

/// Commands refused for one reason, one soon after the other.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) token: LeaseToken,
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) first_us: u64,
    pub(crate) last_us: u64,
    pub(crate) first_leaf: u64,
    pub(crate) last_leaf: u64,
    pub(crate) count: u64,
    /// The kit's numbers of the first one and of the last one.
    pub(crate) said_first: Reason,
    pub(crate) said_last: Reason,
    /// The frame that the first one named as seen, and how old it was then.
    pub(crate) picture: Option<FrameMark>,
}

/// A verdict's numbers, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: u32,
    pub(crate) seen_milli: i64,
    pub(crate) limit_milli: i64,
}

impl Reason {
    pub(crate) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::TakenIn => None,
            Outcome::Refused { code, seen_milli, limit_milli } => {
                Some(Self { code, seen_milli, limit_milli })
            }
        }
    }

    pub(crate) fn rejection(self) -> Option<Rejection> {
        Rejection::from_parts(self.code, self.seen(), self.limit()).ok()
    }

    pub(crate) fn seen(self) -> f64 {
        self.seen_milli as f64 / 1000.0
    }

    pub(crate) fn limit(self) -> f64 {
        self.limit_milli as f64 / 1000.0
    }

    /// The reason in the words that the page and the log have too.
    pub(crate) fn words(self) -> String {
        let unknown = || format!("reason {}: {}, limit {}", self.code, self.seen(), self.limit());
        self.rejection().map_or_else(unknown, |rejection| rejection.to_string())
    }
}

/// The reason's name, such as `StalePicture`.
pub(crate) fn reason_name(code: u32) -> &'static str {
    Rejection::from_parts(code, 0.0, 0.0).map_or("unknown", |rejection| rejection.name())
}

/// When, where and on what picture a command was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) utc_us: u64,
    pub(crate) leaf: u64,
    pub(crate) picture: Option<FrameMark>,
}

/// Refusals so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals {
    /// The run of each reason that may go on.
    open: BTreeMap<(LeaseToken, u32), Run>,
    pub(crate) runs: Bounded<Run, 300, 100>,
    /// By reason, all of them.
    pub(crate) totals: BTreeMap<u32, u64>,
}

/// Reasons and tokens at once; a kit has 21 reasons.
const OPEN_MAX: usize = 64;

impl Refusals {
    /// A report may come after the verdict, and comes before the run ends.
    pub(crate) fn shown(&mut self, leaf: u64, shown: &Shown) {
        let pictures = self.open.values_mut().filter_map(|run| run.picture.as_mut());
        pictures.filter(|mark| mark.frame == shown.frame).for_each(|mark| mark.take_shown(leaf, shown));
    }

    pub(crate) fn take(&mut self, token: LeaseToken, verdict: &KitVerdict, said: Reason, place: Place) {
        if self.totals.len() < OPEN_MAX || self.totals.contains_key(&said.code) {
            *self.totals.entry(said.code).or_default() += 1;
        }
        self.close_before(place.utc_us);
        if self.open.len() >= OPEN_MAX {
            self.close_before(u64::MAX);
        }
        let begun = || Run {
            token,
            first: verdict.sequence,
            last: verdict.sequence,
            first_us: place.utc_us,
            last_us: place.utc_us,
            first_leaf: place.leaf,
            last_leaf: place.leaf,
            count: 0,
            said_first: said,
            said_last: said,
            picture: place.picture,
        };
        let run = self.open.entry((token, said.code)).or_insert_with(begun);
        run.count += 1;
        (run.last, run.last_leaf, run.said_last) = (verdict.sequence, place.leaf, said);
        run.last_us = run.last_us.max(place.utc_us);
    }

    /// No more refusals come.
    pub(crate) fn finish(&mut self) {
        self.close_before(u64::MAX);
    }

    fn close_before(&mut self, now_us: u64) {
        let over = |run: &Run| now_us.saturating_sub(run.last_us) > APART_US_MAX;
        let mut done: Vec<Run> = self.open.values().filter(|run| over(run)).cloned().collect();
        self.open.retain(|_, run| !over(run));
        done.sort_by_key(|run| run.first_us);
        done.into_iter().for_each(|run| self.runs.push(run));
    }
}

/// A stretch in which the kit said that it was in one mode.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) mode: Mode,
    /// Whether a target was clamped to a limit.
    pub(crate) clamped: bool,
    pub(crate) first_us: u64,
    pub(crate) last_us: u64,
    pub(crate) first_leaf: u64,
    pub(crate) states: u64,
    /// The first reason that the kit gave for not moving.
    pub(crate) reason: Option<Rejection>,
    pub(crate) lag_mm_max: f32,
    pub(crate) speed_limit_mm_s_min: f32,
}

/// The kit's modes so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modes {
    pub(crate) stretches: Bounded<Stretch, 200, 100>,
    /// States in which a target was clamped, or a limit slowed the tool.
    pub(crate) clamped: u64,
    /// Of each arm: mode, reason, and whether its target was clamped.
    arms: [Option<(Mode, Option<Rejection>, bool)>; ARMS_MAX],
}

impl Modes {
    /// Takes what the kit says of one arm. The kit is as free as the freest of its arms, for that says whether anything moves: its
    /// mode.
    pub(crate) fn take(&mut self, leaf: u64, utc_us: u64, state: &KitState) -> Mode {
        let clamped = state.flags & state_flags::CLAMPED != 0;
        self.arms[usize::from(state.arm.number)] = Some((state.mode, state.reason, clamped));
        let told = self.arms[..usize::from(state.arm.arms)].iter().flatten();
        let (mode, reason, clamped) = told.min_by_key(|(mode, ..)| *mode).copied().unwrap_or_default();
        self.clamped += u64::from(clamped || mode == Mode::Limited);
        let goes_on = |stretch: &&mut Stretch| (stretch.mode, stretch.clamped) == (mode, clamped);
        match self.stretches.last_mut().filter(goes_on) {
            Some(stretch) => {
                stretch.last_us = utc_us;
                stretch.states += 1;
                stretch.reason = stretch.reason.or(reason);
                stretch.lag_mm_max = stretch.lag_mm_max.max(state.lag_mm);
                stretch.speed_limit_mm_s_min = stretch.speed_limit_mm_s_min.min(state.speed_limit_mm_s);
            }
            None => self.stretches.push(Stretch {
                mode,
                clamped,
                first_us: utc_us,
                last_us: utc_us,
                first_leaf: leaf,
                states: 1,
                reason,
                lag_mm_max: state.lag_mm,
                speed_limit_mm_s_min: state.speed_limit_mm_s,
            }),
        }
        mode
    }
}

#[cfg(test)]
mod tests {
    use farhand_wire::KitTick;

    use super::*;

    fn refuse(refusals: &mut Refusals, sequence: u64, code: u32, utc_us: u64) {
        let outcome = Outcome::Refused { code, seen_milli: 420_000, limit_milli: 400_000 };
        let verdict = KitVerdict { sequence: Sequence(sequence), tick: KitTick(0), outcome };
        let place = Place { utc_us, leaf: sequence, picture: None };
        refusals.take(LeaseToken(1), &verdict, Reason::of(outcome).unwrap(), place);
    }

    /// Goal: refusals for one reason are one run until they are more than a second apart; another reason is another run.
    #[test]
    fn refusals_are_runs() {
        let mut refusals = Refusals::default();
        for (sequence, code, utc_us) in [(1, 3, 0), (2, 3, 1_000_000), (3, 1, 1_000_001), (4, 3, 2_000_001)] {
            refuse(&mut refusals, sequence, code, utc_us);
        }
        refusals.finish();
        let runs: Vec<_> = refusals
            .runs
            .iter()
            .map(|run| (run.said_first.code, run.first.0, run.last.0, run.count))
            .collect();
        assert_eq!(runs, [(3, 1, 2, 2), (1, 3, 3, 1), (3, 4, 4, 1)]);
        assert_eq!(refusals.totals, BTreeMap::from([(1, 1), (3, 3)]));
        let words = refusals.runs.iter().next().unwrap().said_first.words();
        assert_eq!(words, "picture is 420 ms old, limit 400");
    }
}
