//! The score of an exercise: its measures against reference levels, less what every error costs.
//!
//! After the task-independent score of CELTS (Cotin et al., *Metrics for Laparoscopic Skills Trainers: The Weakest Link!*, MICCAI
//! 2002; Stylopoulos et al., Surg Endosc 18:782-789, 2004): each measure becomes a z-score against that of the proficient, the
//! z-scores are weighed and taken from a full score, and the outcome is judged beside them. Weights, levels and what errors cost
//! are chosen here; `docs/exercises.md` has them in one table. A site that has measured its own experts puts theirs.

use super::{Errors, Exercise, Measures, Mistake, Phase, Progress};

/// Chosen: from this score on it is passed.
pub const PASS_MARK: f64 = 75.0;
/// Chosen: a measure so many spreads worse than its level has lost all that it could bring.
const Z_MAX: f64 = 4.0;
/// Chosen: what time, detour, movements and roughness bring.
const WEIGHTS: [f64; 4] = [0.4, 0.2, 0.2, 0.2];

/// What the proficient reach in one measure, and by how much one of them differs from another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub reached: f64,
    pub spread: f64,
}

impl Level {
    const fn of(reached: f64, spread: f64) -> Self {
        Self { reached, spread }
    }

    /// How many spreads worse a measure is that is worse the larger it is; nothing is won by being better.
    fn z(self, seen: f64) -> f64 {
        ((seen - self.reached) / self.spread).clamp(0.0, Z_MAX)
    }
}

/// The levels of one exercise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    pub time_s: Level,
    /// The way taken over the shortest.
    pub detour: Level,
    pub movements: Level,
    /// The spectral arc length without its sign.
    pub roughness: Level,
}

impl Levels {
    /// Chosen, all of them.
    #[must_use]
    pub fn of(exercise: Exercise) -> Self {
        let level = Level::of;
        let (time_s, detour, movements, roughness) = match exercise {
            Exercise::Reach => (level(3.0, 2.0), level(1.3, 0.3), level(2.0, 1.0), level(2.4, 0.5)),
            Exercise::PegTransfer => (level(30.0, 15.0), level(1.4, 0.3), level(36.0, 12.0), level(2.6, 0.5)),
            Exercise::RingOnWire => (level(10.0, 5.0), level(1.3, 0.3), level(5.0, 3.0), level(2.6, 0.5)),
            Exercise::SuturingPath => (level(20.0, 10.0), level(1.8, 0.3), level(18.0, 6.0), level(2.6, 0.5)),
        };
        Self { time_s, detour, movements, roughness }
    }
}

/// What one error costs, in points, and every second that it lasts.
fn cost(mistake: Mistake) -> (f64, f64) {
    match mistake {
        // A sixth of the task, as the MISTELS penalty is the share of objects that were not transferred.
        Mistake::Lost => (100.0 / 6.0, 0.0),
        Mistake::Dropped | Mistake::MissedEntry | Mistake::MissedExit => (5.0, 0.0),
        Mistake::MissedGrasp => (2.0, 0.0),
        Mistake::Touched | Mistake::OffPath => (3.0, 2.0),
    }
}

/// From 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Score(f64);

impl Score {
    /// Of what was not done.
    pub const NONE: Self = Self(0.0);

    /// Of an exercise that was done.
    #[must_use]
    pub fn of(exercise: Exercise, measures: &Measures, errors: &Errors) -> Self {
        let levels = Levels::of(exercise);
        let detour = if measures.economy > 0.0 { 1.0 / measures.economy } else { f64::INFINITY };
        let z = [
            levels.time_s.z(measures.time_s),
            levels.detour.z(detour),
            levels.movements.z(f64::from(measures.movements)),
            measures.smoothness.map_or(Z_MAX, |smoothness| levels.roughness.z(-smoothness)),
        ];
        let lost = z.iter().zip(WEIGHTS).map(|(z, weight)| weight * z / Z_MAX).sum::<f64>();
        let cost = Mistake::EACH.iter().map(|mistake| {
            let (each, a_second) = cost(*mistake);
            each * f64::from(errors.count(*mistake)) + a_second * f64::from(errors.lasted_ms(*mistake)) / 1e3
        });
        Self((100.0 * (1.0 - lost) - cost.sum::<f64>()).clamp(0.0, 100.0))
    }

    #[must_use]
    pub fn points(self) -> f64 {
        self.0
    }

    #[must_use]
    pub fn passes(self) -> bool {
        self.0 >= PASS_MARK
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub exercise: Exercise,
    pub seed: u64,
    pub phase: Phase,
    pub progress: Progress,
    pub measures: Measures,
    pub errors: Errors,
    /// Once it is over.
    pub score: Option<Score>,
}

impl Report {
    #[must_use]
    pub fn passes(&self) -> bool {
        self.score.is_some_and(Score::passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_measures() -> impl Strategy<Value = Measures> {
        (0.0..400.0, 0.0..2_000.0, 0.0..=1.0, 0..200u32, proptest::option::of(-12.0..-1.0)).prop_map(
            |(time_s, path_mm, economy, movements, smoothness)| Measures {
                time_s,
                path_mm,
                economy,
                movements,
                smoothness,
            },
        )
    }

    fn any_errors() -> impl Strategy<Value = Errors> {
        proptest::collection::vec((0..Mistake::EACH.len(), 0..2_000u32), 0..8).prop_map(|made| {
            let mut errors = Errors::default();
            for (mistake, ms) in made {
                errors.note(Mistake::EACH[mistake]);
                (0..ms).for_each(|_| errors.goes_on(Mistake::EACH[mistake]));
            }
            errors
        })
    }

    proptest! {
        /// Goal: whatever was done, one error more never makes it better, nor does taking longer, a longer way, another
        /// movement or a rougher one; and a score is one from 0 to 100.
        #[test]
        fn nothing_that_is_worse_raises_a_score(
            exercise in 0..Exercise::EACH.len(),
            measures in any_measures(),
            errors in any_errors(),
            mistake in 0..Mistake::EACH.len(),
        ) {
            let exercise = Exercise::EACH[exercise];
            let score = |measures: &Measures, errors: &Errors| Score::of(exercise, measures, errors).points();
            let before = score(&measures, &errors);
            prop_assert!((0.0..=100.0).contains(&before));
            let (mut once_more, mut longer) = (errors, errors);
            once_more.note(Mistake::EACH[mistake]);
            longer.goes_on(Mistake::EACH[mistake]);
            prop_assert!(score(&measures, &once_more) <= before);
            prop_assert!(score(&measures, &longer) <= before);
            for worse in [
                Measures { time_s: measures.time_s + 1.0, ..measures },
                Measures { economy: measures.economy * 0.9, ..measures },
                Measures { movements: measures.movements + 1, ..measures },
                Measures { smoothness: measures.smoothness.map(|it| it - 0.1), ..measures },
            ] {
                prop_assert!(score(&worse, &errors) <= before);
            }
        }
    }

    /// Goal: every error costs something, of what is not lost already.
    #[test]
    fn every_error_costs_something() {
        let well = Measures { economy: 1.0, smoothness: Some(-1.5), ..Measures::default() };
        for exercise in Exercise::EACH {
            assert_eq!(Score::of(exercise, &well, &Errors::default()).points(), 100.0);
            for mistake in Mistake::EACH {
                let mut errors = Errors::default();
                errors.note(*mistake);
                assert!(Score::of(exercise, &well, &errors).points() < 100.0, "{mistake:?}");
            }
        }
    }
}
