//! One attempt at an exercise: its clock runs from the first move until it is done.

use nalgebra::Point3;

use super::peg_transfer::PegTransfer;
use super::reach::Reach;
use super::ring_on_wire::RingOnWire;
use super::suturing_path::SuturingPath;
use super::{Drill, Errors, Exercise, Hand, Mark, Marks, Object, Objects, Place, Report, Rod, Score, Track};

/// Not done by then is not done: the cut-off of the MISTELS and FLS peg transfer.
pub const CUTOFF_S: u32 = 300;
/// The time begins when the jaws' end is this far from its start.
const START_M: f64 = 0.003;
/// A [`Track`] has a sample in so many ms.
pub(super) const SAMPLE_MS: u32 = 10;

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The jaws have not left their start, or not been there yet.
    Waiting,
    Running,
    Done,
    /// [`CUTOFF_S`] have passed.
    CutOff,
}

impl Phase {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::CutOff => "cut off",
        }
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u32,
    pub of: u32,
}

/// What there is to know of an attempt at a moment. Base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub exercise: Exercise,
    pub seed: u64,
    pub phase: Phase,
    pub progress: Progress,
    /// What comes next, for a person.
    pub step: &'static str,
    /// The same for a scripted hand, which need not look farther ahead.
    pub next: Hand,
    pub holds: bool,
    pub errors: Errors,
    pub time_s: f64,
    /// The shortest way that the jaws' end can do it in, from where the time begins.
    pub shortest_m: f64,
}

impl Standing {
    /// How it went so far, on this way; with a score once it is over.
    #[must_use]
    pub fn report(&self, track: &Track) -> Report {
        let measures = track.measures(self.time_s, self.shortest_m);
        let score = match self.phase {
            Phase::Done => Some(Score::of(self.exercise, &measures, &self.errors)),
            Phase::CutOff => Some(Score::NONE),
            Phase::Waiting | Phase::Running => None,
        };
        Report {
            exercise: self.exercise,
            seed: self.seed,
            phase: self.phase,
            progress: self.progress,
            measures,
            errors: self.errors,
            score,
        }
    }
}

/// An exercise under way.
#[derive(Debug)]
pub struct Attempt {
    exercise: Exercise,
    seed: u64,
    place: Place,
    drill: Box<dyn Drill>,
    errors: Errors,
    phase: Phase,
    /// The jaws have been at their start.
    ready: bool,
    ms: u32,
    /// In the board's frame.
    pub(super) hand: Hand,
}

impl Attempt {
    /// Laid out, before the first move. Where the objects lie comes from the seed.
    #[must_use]
    pub fn new(exercise: Exercise, seed: u64, place: Place) -> Self {
        let start = place.start.seen_from(&place.base_from_board.inverse());
        let drill: Box<dyn Drill> = match exercise {
            Exercise::Reach => Box::new(Reach::new(seed, &start)),
            Exercise::PegTransfer => Box::new(PegTransfer::new(seed, &start)),
            Exercise::RingOnWire => Box::new(RingOnWire::new(seed, &start)),
            Exercise::SuturingPath => Box::new(SuturingPath::new(seed, &start)),
        };
        let (errors, phase) = (Errors::default(), Phase::Waiting);
        Self { exercise, seed, place, drill, errors, phase, ready: false, ms: 0, hand: start }
    }

    /// One millisecond. While the time runs it gives a place of the jaws' end for a [`Track`] now and then.
    pub fn step(&mut self, hand: &Hand) -> Option<Point3<f64>> {
        self.hand = hand.seen_from(&self.place.base_from_board.inverse());
        let away_m = (hand.at() - self.place.start.at()).norm();
        match self.phase {
            Phase::Waiting if self.ready && away_m > START_M => self.phase = Phase::Running,
            Phase::Waiting => {
                self.ready |= away_m < START_M;
                return None;
            }
            Phase::Running => {}
            Phase::Done | Phase::CutOff => return None,
        }
        self.drill.step(&self.hand, &mut self.errors);
        let sampled = self.ms.is_multiple_of(SAMPLE_MS).then(|| hand.at());
        self.ms += 1;
        let Progress { done, of } = self.drill.progress();
        if done == of {
            self.phase = Phase::Done;
        } else if self.ms >= CUTOFF_S * 1_000 {
            self.phase = Phase::CutOff;
        }
        sampled
    }

    #[must_use]
    pub fn exercise(&self) -> Exercise {
        self.exercise
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::CutOff)
    }

    #[must_use]
    pub fn holds(&self) -> bool {
        self.drill.holds()
    }

    /// What stays where it is.
    #[must_use]
    pub fn rods(&self) -> Vec<Rod> {
        let base_from_board = &self.place.base_from_board;
        let moved = |rod: Rod| {
            let path_m = rod.path_m.iter().map(|at| base_from_board * at).collect();
            Rod { path_m, ..rod }
        };
        self.drill.rods().into_iter().map(moved).collect()
    }

    #[must_use]
    pub fn objects(&self) -> Objects {
        let base_from_board = &self.place.base_from_board;
        self.drill.objects().map(|object| {
            let object = object?;
            Some(Object { base_from_object: base_from_board * object.base_from_object, ..object })
        })
    }

    #[must_use]
    pub fn marks(&self) -> Marks {
        let base_from_board = &self.place.base_from_board;
        let moved = |mark: Mark| Mark { centre_m: base_from_board * mark.centre_m, ..mark };
        self.drill.marks().map(|mark| mark.map(moved))
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        let next = self.drill.next(&self.hand);
        let hand = next.hand.seen_from(&self.place.base_from_board);
        let (step, next) = if self.is_over() {
            // It stays where it is.
            ("Done: let go and rest", self.hand.seen_from(&self.place.base_from_board))
        } else {
            (next.words, hand)
        };
        Standing {
            exercise: self.exercise,
            seed: self.seed,
            phase: self.phase,
            progress: self.drill.progress(),
            step,
            next,
            holds: self.drill.holds(),
            errors: self.errors,
            time_s: f64::from(self.ms) / 1e3,
            shortest_m: self.drill.shortest_m() - START_M,
        }
    }
}
