//! Ring on wire: a ring is taken, and led along a bent wire without touching it.
//!
//! After "ring and rail" of robotic simulators (da Vinci Skills Simulator; Can Urol Assoc J 7 (2013) E520 lists it) and the ring on a wire of
//! steadiness tests. Shortened: one ring, one way, one arm, and the ring need not turn with the wire: it is wide enough.

use fastrand::Rng;
use nalgebra::{Isometry3, Point3, UnitQuaternion, Vector3};

use super::{
    Drill, Errors, Hand, Mark, Marks, Mistake, Next, Objects, Progress, Rod, RodKind,
    jaws::{Change, Jaws},
    ring::{HOLE_M, RADIUS_M, Ring, TUBE_M},
    to_take,
};

const WIRE_RADIUS_M: f64 = 0.0006;
/// The wire goes from this far on one side to as far on the other, this high; it bends sideways and up.
const HALF_M: f64 = 0.016;
const HIGH_M: f64 = 0.008;
const SIDEWAYS_M: f64 = 0.004;
const UP_M: f64 = 0.0015;
const PIECES: usize = 96;
/// The ring begins this far from the one end and is to come this near to the other.
const END_M: f64 = 0.002;
/// The ring's middle farther from the wire than its hole reaches, by so much: it slips out of the jaws.
const PULL_M: f64 = 0.0015;
/// The ring is clear of the wire when this is between them.
const CLEAR_M: f64 = 0.0002;
/// In one step the ring goes no farther along the wire.
const AHEAD_M: f64 = 0.003;
/// How far a scripted hand looks ahead, and how high it crosses the board.
const LEAD_M: f64 = 0.0025;
const CROSS_M: f64 = 0.016;
/// Progress is told in so many parts.
const PARTS: u32 = 10;

#[derive(Debug)]
pub(super) struct RingOnWire {
    wire: Wire,
    ring: Ring,
    jaws: Jaws,
    /// Where on the wire the ring is.
    along_m: f64,
    /// Since it was taken it has been clear of the wire; and it is.
    was_clear: bool,
    touching: bool,
    shortest_m: f64,
}

impl RingOnWire {
    pub(super) fn new(seed: u64, start: &Hand) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut either = || if rng.bool() { 1.0 } else { -1.0 };
        let wire = Wire::new(either(), either(), rng.f64() * std::f64::consts::TAU);
        let ring = wire.hanging(END_M);
        let way_m = wire.length_m() - 2.0 * END_M;
        let shortest_m = (start.at() - top(&ring)).norm() + way_m;
        Self {
            wire,
            ring,
            jaws: Jaws::default(),
            along_m: END_M,
            was_clear: false,
            touching: true,
            shortest_m,
        }
    }

    fn end_m(&self) -> f64 {
        self.wire.length_m() - END_M
    }

    fn is_done(&self) -> bool {
        self.along_m >= self.end_m()
    }

    fn carry(&mut self, hand: &Hand, errors: &mut Errors) {
        let Some(held) = self.jaws.held else { return };
        self.ring = Ring { pose: hand.base_from_end * held.end_from_object };
        self.along_m = self.wire.through(&self.ring, self.along_m);
        let (at, tangent) = self.wire.at(self.along_m);
        let aside_m = (at - self.ring.centre()).norm();
        // A wire that goes through askew takes more of the hole.
        let straight = self.ring.axis().dot(&tangent).abs().max(0.1);
        let gap_m = HOLE_M - WIRE_RADIUS_M / straight - aside_m;
        if gap_m < -PULL_M {
            self.jaws.lose();
            self.drop_ring(errors);
            return;
        }
        self.feel(gap_m, errors);
    }

    /// Hanging on the wire it touches it. Only what touches after it was clear is a mistake.
    fn feel(&mut self, gap_m: f64, errors: &mut Errors) {
        if gap_m < 0.0 {
            if !self.touching && self.was_clear {
                errors.note(Mistake::Touched);
            }
            self.touching = true;
        } else if gap_m > CLEAR_M {
            (self.was_clear, self.touching) = (true, false);
        }
        if self.touching && self.was_clear {
            errors.goes_on(Mistake::Touched);
        }
    }

    fn drop_ring(&mut self, errors: &mut Errors) {
        errors.note(Mistake::Dropped);
        self.ring = self.wire.hanging(self.along_m);
        (self.was_clear, self.touching) = (false, true);
    }
}

/// Where the jaws take it.
fn top(ring: &Ring) -> Point3<f64> {
    ring.centre() + Vector3::z() * RADIUS_M
}

impl Drill for RingOnWire {
    fn rods(&self) -> Vec<Rod> {
        let foot = |at: &Point3<f64>| Point3::new(at.x, at.y, 0.0);
        let (first, last) = (self.wire.points[0], self.wire.points[PIECES]);
        let path_m = [&[foot(&first)], &self.wire.points[..], &[foot(&last)]].concat();
        vec![Rod::board(), Rod { kind: RodKind::Wire, path_m, radius_m: WIRE_RADIUS_M }]
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects::default();
        objects[0] = Some(self.ring.object(self.holds()));
        objects
    }

    fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        let end = self.wire.points[PIECES];
        marks[0] =
            Some(Mark { centre_m: Point3::new(end.x, end.y, 0.0), radius_m: RADIUS_M, next: self.holds() });
        marks
    }

    fn step(&mut self, hand: &Hand, errors: &mut Errors) {
        let between = self.ring.is_between(hand).then_some((0, self.ring.pose));
        if let Some(Change::LetGo(_)) = self.jaws.step(hand, between, errors) {
            self.drop_ring(errors);
        }
        self.carry(hand, errors);
    }

    fn holds(&self) -> bool {
        self.jaws.held.is_some()
    }

    fn progress(&self) -> Progress {
        let share = (self.along_m - END_M) / (self.end_m() - END_M);
        let done = if self.is_done() { PARTS } else { (share.max(0.0) * f64::from(PARTS)) as u32 };
        Progress { done: done.min(PARTS - u32::from(!self.is_done())), of: PARTS }
    }

    fn next(&self, hand: &Hand) -> Next {
        if !self.holds() {
            let grip = hand.moved_to(top(&self.ring));
            let hand = to_take(hand, &grip, self.jaws.are_around(0), CROSS_M);
            return Next { words: "Grasp the ring from above", hand };
        }
        // First clear of the wire, then along it.
        let along_m = if self.was_clear { self.along_m + LEAD_M } else { self.along_m };
        let goal = self.wire.at(along_m).0;
        let hand = hand.moved_to(hand.at() + (goal - self.ring.centre())).with_jaw(0.0);
        Next { words: "Lead the ring along the wire, without touching it", hand }
    }

    fn shortest_m(&self) -> f64 {
        self.shortest_m
    }
}

/// A bent line, in straight pieces.
#[derive(Debug)]
struct Wire {
    points: [Point3<f64>; PIECES + 1],
    /// From the beginning to each point.
    along_m: [f64; PIECES + 1],
}

impl Wire {
    /// It begins on this side, bends this way first, and rises and falls from this phase on.
    fn new(side: f64, bend: f64, phase_rad: f64) -> Self {
        let points: [Point3<f64>; PIECES + 1] = std::array::from_fn(|n| {
            let turn_rad = n as f64 / PIECES as f64 * std::f64::consts::TAU;
            let x_m = side * HALF_M * (turn_rad / std::f64::consts::PI - 1.0);
            let y_m = bend * SIDEWAYS_M * turn_rad.sin();
            Point3::new(x_m, y_m, HIGH_M + UP_M * (turn_rad + phase_rad).sin())
        });
        let mut along_m = [0.0; PIECES + 1];
        for n in 0..PIECES {
            along_m[n + 1] = along_m[n] + (points[n + 1] - points[n]).norm();
        }
        Self { points, along_m }
    }

    fn length_m(&self) -> f64 {
        self.along_m[PIECES]
    }

    fn piece(&self, along_m: f64) -> usize {
        self.along_m.partition_point(|end_m| *end_m <= along_m).clamp(1, PIECES) - 1
    }

    /// The place so far along it, and which way it goes there.
    fn at(&self, along_m: f64) -> (Point3<f64>, Vector3<f64>) {
        let along_m = along_m.clamp(0.0, self.length_m());
        let piece = self.piece(along_m);
        let tangent = (self.points[piece + 1] - self.points[piece]).normalize();
        (self.points[piece] + tangent * (along_m - self.along_m[piece]), tangent)
    }

    /// Where it goes through the ring, near to where it did; where it does not, the nearest to its middle.
    fn through(&self, ring: &Ring, near_m: f64) -> f64 {
        const STEPS: u32 = 24;
        let step_m = 2.0 * AHEAD_M / f64::from(STEPS);
        let places = (0..=STEPS).map(|n| near_m - AHEAD_M + f64::from(n) * step_m);
        let places = Vec::from_iter(places.filter(|m| (0.0..=self.length_m()).contains(m)));
        let before = |along_m: f64| ring.axis().dot(&(self.at(along_m).0 - ring.centre()));
        let crossing = |pair: &[f64]| {
            let (from, to) = (before(pair[0]), before(pair[1]));
            (from * to <= 0.0 && from != to).then(|| pair[0] + (pair[1] - pair[0]) * from / (from - to))
        };
        let crossings = places.windows(2).filter_map(crossing);
        let nearest = crossings.min_by(|one, other| (one - near_m).abs().total_cmp(&(other - near_m).abs()));
        let aside_m = |along_m: &f64| (self.at(*along_m).0 - ring.centre()).norm();
        let closest = || places.iter().copied().min_by(|one, other| aside_m(one).total_cmp(&aside_m(other)));
        nearest.or_else(closest).unwrap_or(near_m)
    }

    /// A ring that hangs on it there: upright, its axis along x.
    fn hanging(&self, along_m: f64) -> Ring {
        let at = self.at(along_m).0 - Vector3::z() * (RADIUS_M - TUBE_M - WIRE_RADIUS_M);
        let upright = UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f64::consts::FRAC_PI_2);
        Ring { pose: Isometry3::from_parts(at.into(), upright) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a place along the wire is found again by a ring around it, wherever it is and however it is moved aside.
    #[test]
    fn a_ring_is_where_the_wire_goes_through_it() {
        let wire = Wire::new(1.0, -1.0, 0.3);
        for percent in 5..95 {
            let along_m = wire.length_m() * f64::from(percent) / 100.0;
            let mut ring = wire.hanging(along_m);
            ring.pose.translation.vector = wire.at(along_m).0.coords + Vector3::new(0.0, 0.0007, -0.0007);
            let found_m = wire.through(&ring, along_m - 0.001);
            assert!((found_m - along_m).abs() < 5e-5, "{percent} %: {found_m} for {along_m}");
        }
    }
}
