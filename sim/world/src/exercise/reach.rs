//! Reach and grasp: the bead of [`Task`], on the board.

use fastrand::Rng;
use nalgebra::{Isometry3, Point3};

use super::{Drill, Errors, Hand, Marks, Next, Object, Objects, Progress, Rod, Shape, WIDE_RAD, jaws::Jaws};
use crate::GRASP_MM;

const BEAD_RADIUS_M: f64 = 0.0025;
/// How far from the board's middle it lies, and how high its middle is over it.
const ASIDE_M: std::ops::Range<f64> = 0.008..0.018;
const HIGH_M: f64 = 0.004;

#[derive(Debug)]
pub(super) struct Reach {
    bead: Isometry3<f64>,
    jaws: Jaws,
    shortest_m: f64,
}

impl Reach {
    pub(super) fn new(seed: u64, start: &Hand) -> Self {
        let mut rng = Rng::with_seed(seed);
        let aside_m = ASIDE_M.start + (ASIDE_M.end - ASIDE_M.start) * rng.f64();
        let (sin, cos) = (rng.f64() * std::f64::consts::TAU).sin_cos();
        let at = Point3::new(aside_m * cos, aside_m * sin, HIGH_M);
        // The time ends as soon as the jaws have it, which they may from a little way off.
        let shortest_m = (start.at() - at).norm() - GRASP_MM / 1e3;
        Self { bead: Isometry3::translation(at.x, at.y, at.z), jaws: Jaws::default(), shortest_m }
    }

    fn at(&self) -> Point3<f64> {
        self.bead.translation.vector.into()
    }
}

impl Drill for Reach {
    fn rods(&self) -> Vec<Rod> {
        Vec::new()
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects::default();
        objects[0] = Some(Object {
            shape: Shape::Bead,
            base_from_object: self.bead,
            radius_m: BEAD_RADIUS_M,
            held: self.holds(),
        });
        objects
    }

    fn marks(&self) -> Marks {
        Marks::default()
    }

    fn step(&mut self, hand: &Hand, errors: &mut Errors) {
        let between = (hand.at() - self.at()).norm() <= GRASP_MM / 1e3;
        self.jaws.step(hand, between.then_some((0, self.bead)), errors);
        if let Some(held) = self.jaws.held {
            self.bead = hand.base_from_end * held.end_from_object;
        }
    }

    fn holds(&self) -> bool {
        self.jaws.held.is_some()
    }

    fn progress(&self) -> Progress {
        Progress { done: u32::from(self.holds()), of: 1 }
    }

    fn next(&self, hand: &Hand) -> Next {
        let there = hand.moved_to(self.at());
        let close = self.jaws.are_around(0) && (hand.at() - self.at()).norm() < 0.0005;
        let jaw_rad = if close { 0.0 } else { WIDE_RAD };
        Next { words: "Reach for the bead with open jaws, and close them", hand: there.with_jaw(jaw_rad) }
    }

    fn shortest_m(&self) -> f64 {
        self.shortest_m
    }
}
