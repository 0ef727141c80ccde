//! Peg transfer: six rings go from the pegs of one side to those of the other.
//!
//! After the FLS and MISTELS task (Derossis et al. 1998; SAGES): six objects, twelve pegs, cut off after 300 s, and an error for
//! an object that is let go where it cannot be taken up again. Shortened: one arm has no hand to pass to, and the rings go one
//! way only, as in the one-handed form that is used for robots (Lum et al. 2009). Drops that can be taken up again are counted, too.

use fastrand::Rng;
use nalgebra::{Isometry3, Point2, Point3, Rotation2, Vector3};

use super::{
    BOARD_RADIUS_M, Drill, Errors, Hand, Mark, Marks, Mistake, Next, Objects, Progress, Rod, RodKind,
    WIDE_RAD, by_way_of,
    jaws::{Change, Jaws},
    ring::{HOLE_M, RADIUS_M, Ring, TUBE_M},
    to_take,
};

const RINGS: usize = 6;
const PEG_RADIUS_M: f64 = 0.0009;
const PEG_HEIGHT_M: f64 = 0.006;
/// The pegs of the one side; the other's lie opposite.
const COLUMNS_M: [f64; 2] = [0.0075, 0.0165];
const ROWS_M: [f64; 3] = [-0.009, 0.0, 0.009];
/// The whole board is turned by up to this much either way.
const TURN_RAD: f64 = 0.2;
/// A ring's middle is so far aside of a peg that it stands around, at most.
const PLAY_M: f64 = HOLE_M - PEG_RADIUS_M;
/// Pulled farther aside, it slips out of the jaws.
const PULL_M: f64 = PLAY_M + 0.001;
/// Where a scripted hand carries it, and itself: clear of the pegs.
const CARRY_M: f64 = PEG_HEIGHT_M + 0.0025;

#[derive(Debug)]
pub(super) struct PegTransfer {
    /// The first six are where the rings begin.
    pegs: [Point2<f64>; 2 * RINGS],
    rings: [(Ring, On); RINGS],
    jaws: Jaws,
    shortest_m: f64,
}

/// What a ring rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Peg(usize),
    Board,
    /// In the jaws, and still around the peg that it stood on.
    Jaws {
        around: Option<usize>,
    },
    /// Outside the field: nobody can take it up.
    Nothing,
}

impl PegTransfer {
    pub(super) fn new(seed: u64, start: &Hand) -> Self {
        let mut rng = Rng::with_seed(seed);
        let turned = Rotation2::new(TURN_RAD * (2.0 * rng.f64() - 1.0));
        let side = if rng.bool() { 1.0 } else { -1.0 };
        let pegs = std::array::from_fn(|peg| {
            let x_m = COLUMNS_M[peg % 2] * if peg < RINGS { -side } else { side };
            turned * Point2::new(x_m, ROWS_M[peg / 2 % 3])
        });
        let rings = std::array::from_fn(|ring| (lying(pegs[ring]), On::Peg(ring)));
        let mut transfer = Self { pegs, rings, jaws: Jaws::default(), shortest_m: 0.0 };
        transfer.shortest_m = transfer.shortest_from(start);
        transfer
    }

    /// Straight to each ring, off its peg, straight over, and down; in the order of their numbers.
    fn shortest_from(&self, start: &Hand) -> f64 {
        let lift_m = PEG_HEIGHT_M - TUBE_M;
        let mut at = start.at();
        let mut way_m = 0.0;
        for (number, (ring, _)) in self.rings.iter().enumerate() {
            let from = self.grip(ring, start);
            let over = self.pegs[RINGS + number] - self.pegs[number];
            way_m += (from - at).norm() + 2.0 * lift_m + over.norm();
            at = from + Vector3::new(over.x, over.y, 0.0);
        }
        way_m
    }

    /// On the rim, where the jaws as they are turned close across it.
    fn grip(&self, ring: &Ring, hand: &Hand) -> Point3<f64> {
        let across = hand.base_from_end * Vector3::y();
        let flat = Vector3::new(across.x, across.y, 0.0).try_normalize(1e-3).unwrap_or_else(Vector3::x);
        ring.centre() + flat * RADIUS_M
    }

    fn is_transferred(on: On) -> bool {
        matches!(on, On::Peg(peg) if peg >= RINGS)
    }

    fn is_free(&self, peg: usize) -> bool {
        self.rings.iter().all(|(_, on)| *on != On::Peg(peg))
    }

    /// Let go here, it falls: on a peg, on the board, or out of the field.
    fn fall(&mut self, number: usize, errors: &mut Errors) {
        let at = self.rings[number].0.centre().xy();
        let under = |peg: &usize| (self.pegs[*peg] - at).norm() <= PLAY_M && self.is_free(*peg);
        let ring = &self.rings[number];
        let around = if let On::Jaws { around } = ring.1 { around } else { None };
        self.rings[number] = match around.or_else(|| (0..2 * RINGS).find(under)) {
            Some(peg) => (lying(self.pegs[peg]), On::Peg(peg)),
            None if at.coords.norm() <= BOARD_RADIUS_M => {
                errors.note(Mistake::Dropped);
                (lying(at), On::Board)
            }
            None => {
                errors.note(Mistake::Lost);
                (lying(at), On::Nothing)
            }
        };
    }

    /// It follows the jaws, unless a peg holds it.
    fn carry(&mut self, hand: &Hand, errors: &mut Errors) {
        let Some(held) = self.jaws.held else { return };
        let ring = Ring { pose: hand.base_from_end * held.end_from_object };
        let low = ring.centre().z < PEG_HEIGHT_M;
        let On::Jaws { around } = self.rings[held.number].1 else { return };
        let aside_m = |peg: usize| (self.pegs[peg] - ring.centre().xy()).norm();
        if let Some(peg) = around.filter(|peg| low && aside_m(*peg) > PULL_M) {
            self.jaws.lose();
            self.rings[held.number] = (lying(self.pegs[peg]), On::Peg(peg));
            errors.note(Mistake::Dropped);
            return;
        }
        let entered = (0..2 * RINGS).find(|peg| aside_m(*peg) <= PLAY_M && self.is_free(*peg));
        let around = if low { around.or(entered) } else { None };
        self.rings[held.number] = (ring, On::Jaws { around });
    }

    /// The peg for the ring in hand, or for the next one.
    fn goal(&self) -> Option<usize> {
        (RINGS..2 * RINGS).find(|peg| self.is_free(*peg))
    }

    fn next_ring(&self) -> Option<usize> {
        let to_do = |on: On| !Self::is_transferred(on) && on != On::Nothing;
        self.rings.iter().position(|(_, on)| to_do(*on))
    }
}

/// Flat on the board, around this place.
fn lying(at: Point2<f64>) -> Ring {
    Ring { pose: Isometry3::translation(at.x, at.y, TUBE_M) }
}

impl Drill for PegTransfer {
    fn rods(&self) -> Vec<Rod> {
        let foot = |peg: &Point2<f64>| Point3::new(peg.x, peg.y, 0.0);
        let rod = |peg| Rod {
            kind: RodKind::Peg,
            path_m: vec![foot(peg), foot(peg) + Vector3::z() * PEG_HEIGHT_M],
            radius_m: PEG_RADIUS_M,
        };
        std::iter::once(Rod::board()).chain(self.pegs.iter().map(rod)).collect()
    }

    fn objects(&self) -> Objects {
        self.rings.map(|(ring, on)| Some(ring.object(matches!(on, On::Jaws { .. }))))
    }

    fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        marks[0] = self.goal().map(|peg| Mark {
            centre_m: Point3::new(self.pegs[peg].x, self.pegs[peg].y, 0.0),
            radius_m: RADIUS_M + TUBE_M,
            next: true,
        });
        marks
    }

    fn step(&mut self, hand: &Hand, errors: &mut Errors) {
        let near = |(_, (ring, on)): &(usize, &(Ring, On))| *on != On::Nothing && ring.is_between(hand);
        let rim_m = |ring: &Ring| ring.rim_distance_m(&hand.at());
        let nearest = self.rings.iter().enumerate().filter(near);
        let nearest = nearest.min_by(|one, other| rim_m(&one.1.0).total_cmp(&rim_m(&other.1.0)));
        let between = nearest.map(|(number, (ring, _))| (number, ring.pose));
        match self.jaws.step(hand, between, errors) {
            Some(Change::Took(number)) => {
                let around = if let On::Peg(peg) = self.rings[number].1 { Some(peg) } else { None };
                self.rings[number].1 = On::Jaws { around };
            }
            Some(Change::LetGo(number)) => self.fall(number, errors),
            None => {}
        }
        self.carry(hand, errors);
    }

    fn holds(&self) -> bool {
        self.jaws.held.is_some()
    }

    fn progress(&self) -> Progress {
        let count = |wanted: fn(On) -> bool| self.rings.iter().filter(|(_, on)| wanted(*on)).count() as u32;
        let (done, lost) = (count(Self::is_transferred), count(|on| on == On::Nothing));
        // Who lost all of them has done nothing.
        Progress { done, of: (RINGS as u32 - lost).max(1) }
    }

    fn next(&self, hand: &Hand) -> Next {
        if let (Some(held), Some(goal)) = (self.jaws.held, self.goal()) {
            let ring = self.rings[held.number].0;
            let off = hand.at() - ring.centre();
            let over = |z_m| hand.moved_to(Point3::new(self.pegs[goal].x, self.pegs[goal].y, z_m) + off);
            let down = over(2.0 * TUBE_M);
            let to = by_way_of(hand, &down, CARRY_M + off.z);
            if (hand.at() - down.at()).norm() < 0.0007 {
                return Next { words: "Open the jaws", hand: hand.with_jaw(WIDE_RAD) };
            }
            let words =
                if to == down { "Lower the ring over the peg" } else { "Carry the ring to the marked peg" };
            return Next { words, hand: to.with_jaw(0.0) };
        }
        let Some(number) = self.next_ring() else {
            return Next { words: "Every ring is where it belongs", hand: *hand };
        };
        let grip = hand.moved_to(self.grip(&self.rings[number].0, hand));
        Next {
            words: "Grasp a ring by its rim",
            hand: to_take(hand, &grip, self.jaws.are_around(number), CARRY_M),
        }
    }

    fn shortest_m(&self) -> f64 {
        self.shortest_m
    }
}
