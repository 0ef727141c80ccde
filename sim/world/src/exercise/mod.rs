//! Skill exercises: what is to be done, what was done wrong, and how well it went, so that a site can be certified on its
//! own line before a patient is on the table. `docs/exercises.md` has the definitions, formulas and sources.
//!
//! Pure: the same jaws, a millisecond a step, give the same result. An [`Attempt`] says what lies where, what comes next and
//! which errors were made; a [`Track`] measures the way of the jaws' end; both together make a [`Report`].
//!
//! An exercise is laid out on a board, whose frame has z out of the board, towards the tool, and its origin in the board's
//! middle. Lengths are metres and angles radians.

mod attempt;
mod errors;
mod hand;
mod jaws;
mod peg_transfer;
mod reach;
mod ring;
mod ring_on_wire;
mod score;
mod sparc;
mod suturing_path;
mod track;

use std::fmt;
use std::str::FromStr;

use nalgebra::{Isometry3, Point3, Translation3};
use thiserror::Error;

pub use attempt::{Attempt, CUTOFF_S, Phase, Progress, Standing};
pub use errors::{Errors, Mistake};
pub use hand::ScriptedHand;
pub use score::{Level, Levels, PASS_MARK, Report, Score};
pub use sparc::sparc;
pub use track::{Measures, Track};

/// From the axis on which the jaws turn, the tip frame's origin, to the end of the closed jaws: the dVRK's `L_yaw2ctrlpnt`.
pub const JAW_LENGTH_M: f64 = 0.0102;
/// Of the board, which is round.
pub const BOARD_RADIUS_M: f64 = 0.025;
const BOARD_THICK_M: f64 = 0.012;
/// Most things that the jaws may take, and most places that are marked at a time.
pub const OBJECTS_MAX: usize = 6;
pub const MARKS_MAX: usize = 4;

/// Jaws that are this far open have let go, and these have closed.
const OPEN_RAD: f64 = 0.35;
const CLOSED_RAD: f64 = 0.15;
/// How far a scripted hand opens them.
const WIDE_RAD: f64 = 0.6;

/// An exercise that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exercise {
    /// A bead is taken.
    Reach,
    /// Six rings are brought from six pegs to six others.
    PegTransfer,
    /// A ring is led along a bent wire without touching it.
    RingOnWire,
    /// A needle goes in and out at marks along a curve.
    SuturingPath,
}

/// There is no exercise of that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no exercise {seen:?}; there are {}", Exercise::names())]
pub struct UnknownExercise {
    pub seen: String,
}

impl Exercise {
    pub const EACH: [Self; 4] = [Self::Reach, Self::PegTransfer, Self::RingOnWire, Self::SuturingPath];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::PegTransfer => "peg-transfer",
            Self::RingOnWire => "ring-on-wire",
            Self::SuturingPath => "suturing-path",
        }
    }

    /// All of them, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::EACH.map(Self::name).join(", ")
    }
}

impl FromStr for Exercise {
    type Err = UnknownExercise;

    fn from_str(name: &str) -> Result<Self, UnknownExercise> {
        Self::EACH
            .into_iter()
            .find(|exercise| exercise.name() == name)
            .ok_or_else(|| UnknownExercise { seen: name.to_owned() })
    }
}

impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the jaws are, or shall be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hand {
    /// Pose of the closed jaws' end: origin there, axes those of the tip's frame (z along the jaws, x along the axis on
    /// which they turn).
    pub base_from_end: Isometry3<f64>,
    pub jaw_rad: f64,
}

impl Hand {
    /// The jaws of a tip.
    #[must_use]
    pub fn of_tip(base_from_tip: &Isometry3<f64>, jaw_rad: f64) -> Self {
        Self { base_from_end: base_from_tip * Translation3::new(0.0, 0.0, JAW_LENGTH_M), jaw_rad }
    }

    /// The tip of these jaws, in the base frame.
    #[must_use]
    pub fn base_from_tip(&self) -> Isometry3<f64> {
        self.base_from_end * Translation3::new(0.0, 0.0, -JAW_LENGTH_M)
    }

    fn at(&self) -> Point3<f64> {
        self.base_from_end.translation.vector.into()
    }

    /// The same jaws, turned alike, with their end here.
    fn moved_to(&self, at: Point3<f64>) -> Self {
        let base_from_end = Isometry3::from_parts(at.into(), self.base_from_end.rotation);
        Self { base_from_end, ..*self }
    }

    fn with_jaw(&self, jaw_rad: f64) -> Self {
        Self { jaw_rad, ..*self }
    }

    fn seen_from(&self, frame_from_base: &Isometry3<f64>) -> Self {
        Self { base_from_end: frame_from_base * self.base_from_end, ..*self }
    }
}

/// Where an exercise is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub base_from_board: Isometry3<f64>,
    /// Where the jaws begin, as they point there: the measured time begins when they leave it.
    pub start: Hand,
}

/// The form of an [`Object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A ball of the object's radius.
    Bead,
    /// A ring in the object's xy plane; the radius is to the middle of its tube.
    Ring,
    /// Half a circle of the object's radius in its xy plane, pointed at -x.
    Needle,
}

/// Something that the jaws may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Object {
    pub shape: Shape,
    /// Pose of its middle: in the base frame where an [`Attempt`] says it.
    pub base_from_object: Isometry3<f64>,
    pub radius_m: f64,
    pub held: bool,
}

/// What a [`Rod`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RodKind {
    Board,
    Peg,
    Wire,
}

/// A round rod along a path, which stays where it is. Base frame where an [`Attempt`] says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rod {
    pub kind: RodKind,
    pub path_m: Vec<Point3<f64>>,
    pub radius_m: f64,
}

impl Rod {
    /// The board itself, thick enough to reach into the tissue below.
    fn board() -> Self {
        let path_m = vec![Point3::new(0.0, 0.0, -BOARD_THICK_M), Point3::origin()];
        Self { kind: RodKind::Board, path_m, radius_m: BOARD_RADIUS_M }
    }
}

/// A place that is marked on the board. Base frame where an [`Attempt`] says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    pub centre_m: Point3<f64>,
    pub radius_m: f64,
    /// The one to go to now.
    pub next: bool,
}

pub type Objects = [Option<Object>; OBJECTS_MAX];
pub type Marks = [Option<Mark>; MARKS_MAX];

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Next {
    /// For a person.
    words: &'static str,
    /// For a scripted hand, which need not look farther ahead.
    hand: Hand,
}

/// What an exercise is besides its clock: everything in the board's frame, whose name is `base` in [`Hand`] and [`Object`].
trait Drill: fmt::Debug + Send + Sync {
    fn rods(&self) -> Vec<Rod>;
    fn objects(&self) -> Objects;
    fn marks(&self) -> Marks;
    /// One millisecond: the jaws are here.
    fn step(&mut self, hand: &Hand, errors: &mut Errors);
    fn holds(&self) -> bool;
    fn progress(&self) -> Progress;
    fn next(&self, hand: &Hand) -> Next;
    /// The shortest way that the jaws' end can do it in.
    fn shortest_m(&self) -> f64;
}

/// The way that a scripted hand takes to a place on the board: up, across, and down.
fn by_way_of(hand: &Hand, to: &Hand, high_m: f64) -> Hand {
    /// From so near, sideways, it goes straight there.
    const OVER_M: f64 = 0.0008;
    const SLACK_M: f64 = 0.0005;
    let (at, goal) = (hand.at(), to.at());
    let aside_m = (at - goal).xy().norm();
    let turned = hand.base_from_end.rotation.angle_to(&to.base_from_end.rotation) > 0.05;
    if aside_m <= OVER_M && !turned {
        *to
    } else if at.z < high_m - SLACK_M {
        hand.moved_to(Point3::new(at.x, at.y, high_m)).with_jaw(to.jaw_rad)
    } else {
        to.moved_to(Point3::new(goal.x, goal.y, high_m))
    }
}

/// How a scripted hand takes something at `grip`: over it, down, and the jaws closed once they are open around it.
fn to_take(hand: &Hand, grip: &Hand, around: bool, high_m: f64) -> Hand {
    const THERE_M: f64 = 0.0005;
    if around && (hand.at() - grip.at()).norm() < THERE_M {
        grip.with_jaw(0.0)
    } else {
        by_way_of(hand, &grip.with_jaw(WIDE_RAD), high_m)
    }
}

#[cfg(test)]
mod tests;
