//! Suturing path: a curved needle goes in at a mark, along its own curve, and out at the next mark, again and again along a line.
//!
//! After needle driving through pairs of marks as robotic simulators have it ("dots and needles", "suture sponge" of the da Vinci
//! Skills Simulator; Can Urol Assoc J 7 (2013) E520 lists them), whose errors are missed marks and a needle that is torn through instead of
//! turned. Shortened: one arm, so there is no hand that pulls the needle through: once its point is out at the mark it counts
//! as pulled through. It is in the jaws from the beginning; let go, it lies where it fell until the jaws take it again.

use std::f64::consts::{FRAC_PI_2, PI};

use fastrand::Rng;
use nalgebra::{Isometry3, Matrix3, Point3, Rotation3, UnitQuaternion, Vector3};

use super::{
    Drill, Errors, Hand, Mark, Marks, Mistake, Next, Object, Objects, Progress, Rod, Shape, by_way_of,
    jaws::{Change, Held, Jaws},
    to_take,
};

/// Half a circle; the jaws hold it at this angle behind its point.
const NEEDLE_RADIUS_M: f64 = 0.006;
const GRIP_RAD: f64 = 2.3;
/// The circle's middle is this high over the board while it is driven, which gives bites of 8 mm, 1.5 mm deep.
const MIDDLE_M: f64 = 0.0045;
const BITES: usize = 3;
/// Between bites, and how far the curve they lie along bulges, and how they fan out.
const APART_M: f64 = 0.009;
const BULGE_M: f64 = 0.003;
const FAN_RAD: f64 = 0.15;
const TURN_RAD: f64 = 0.1;
/// In and out so near to the mark, or missed.
const MARK_M: f64 = 0.0015;
/// What of the needle is under the surface keeps so near to the circle that its point should take.
const PATH_M: f64 = 0.001;
/// The point is under the surface, or over it, when it is so by this much.
const THROUGH_M: f64 = 0.0002;
/// It lies between the jaws so near to where it is held.
const GRASP_M: f64 = 0.002;
/// Of the needle's wire.
const WIRE_M: f64 = 0.055 * NEEDLE_RADIUS_M;
/// A scripted hand drives the point from before the one mark to behind the other, so far ahead at a time.
const DRIVE_RAD: f64 = 1.0;
const LEAD_RAD: f64 = 0.14;
/// Where it crosses the board with the needle hanging down.
const CROSS_M: f64 = 0.016;

#[derive(Debug)]
pub(super) struct SuturingPath {
    bites: [Bite; BITES],
    done: usize,
    /// Half a circle in its xy plane, its point at -x.
    needle: Isometry3<f64>,
    end_from_needle: Isometry3<f64>,
    jaws: Jaws,
    point: Where,
    off_path: bool,
    shortest_m: f64,
}

/// Where the needle's point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Out,
    /// It went in at its mark, or elsewhere.
    In {
        at_mark: bool,
    },
}

/// One stitch, from mark to mark.
#[derive(Clone, Copy, Debug)]
struct Bite {
    /// The middle of the circle that the needle should follow.
    middle: Point3<f64>,
    /// From the entry towards the exit, along the board.
    along: Vector3<f64>,
    /// How the jaws are turned with the point at the bottom of the circle.
    upright: UnitQuaternion<f64>,
}

impl Bite {
    fn half_m() -> f64 {
        (NEEDLE_RADIUS_M.powi(2) - MIDDLE_M.powi(2)).sqrt()
    }

    fn entry(&self) -> Point3<f64> {
        self.middle - self.along * Self::half_m() - Vector3::z() * MIDDLE_M
    }

    fn exit(&self) -> Point3<f64> {
        self.middle + self.along * Self::half_m() - Vector3::z() * MIDDLE_M
    }

    /// The needle on its circle, its point so far past the bottom.
    fn needle(&self, past_rad: f64) -> Isometry3<f64> {
        let (sin, cos) = past_rad.sin_cos();
        let point = self.along * sin - Vector3::z() * cos;
        let back = -(self.along * cos + Vector3::z() * sin);
        let axes = Matrix3::from_columns(&[-point, back, (-point).cross(&back)]);
        let turned = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(axes));
        Isometry3::from_parts(self.middle.into(), turned)
    }

    /// How far past the bottom of the circle a point is, by its direction from the middle.
    fn past_rad(&self, point: &Point3<f64>) -> f64 {
        let from_middle = point - self.middle;
        from_middle.dot(&self.along).atan2(-from_middle.z)
    }

    fn off_circle_m(&self, at: &Point3<f64>) -> f64 {
        let from_middle = at - self.middle;
        let aside_m = from_middle.dot(&self.along.cross(&Vector3::z()));
        let in_plane = from_middle - self.along.cross(&Vector3::z()) * aside_m;
        (in_plane.norm() - NEEDLE_RADIUS_M).hypot(aside_m)
    }

    /// The jaws that hold the needle there.
    fn hand(&self, past_rad: f64, end_from_needle: &Isometry3<f64>) -> Hand {
        Hand { base_from_end: self.needle(past_rad) * end_from_needle.inverse(), jaw_rad: 0.0 }
    }
}

/// A place on the needle, so far behind its point, in its own frame.
fn on_needle(behind_rad: f64) -> Point3<f64> {
    let (sin, cos) = (PI - behind_rad).sin_cos();
    Point3::new(NEEDLE_RADIUS_M * cos, NEEDLE_RADIUS_M * sin, 0.0)
}

impl SuturingPath {
    pub(super) fn new(seed: u64, start: &Hand) -> Self {
        let mut rng = Rng::with_seed(seed);
        let turned_rad = TURN_RAD * (2.0 * rng.f64() - 1.0);
        let bulge_m = if rng.bool() { BULGE_M } else { -BULGE_M };
        let bites = std::array::from_fn(|number| bite(number, turned_rad, bulge_m, start));
        let end_from_needle = held_upright(&bites[0]);
        let needle = start.base_from_end * end_from_needle;
        let jaws = Jaws::holding(Held { number: 0, end_from_object: end_from_needle });
        let mut path = Self {
            bites,
            done: 0,
            needle,
            end_from_needle,
            jaws,
            point: Where::Out,
            off_path: false,
            shortest_m: 0.0,
        };
        path.shortest_m = path.shortest_from(start);
        path
    }

    /// Straight to the beginning of each bite, and along it.
    fn shortest_from(&self, start: &Hand) -> f64 {
        let mut at = start.at();
        let mut way_m = 0.0;
        for bite in &self.bites {
            let end = |past_rad| bite.hand(past_rad, &self.end_from_needle).at();
            let begins_rad = (-MIDDLE_M / NEEDLE_RADIUS_M).acos() - PI;
            // The jaws go along an arc as the point does, around the same middle.
            let drive_m = 2.0 * begins_rad.abs() * NEEDLE_RADIUS_M;
            way_m += (end(begins_rad) - at).norm() + drive_m;
            at = end(-begins_rad);
        }
        way_m
    }

    fn point_at(&self) -> Point3<f64> {
        self.needle * on_needle(0.0)
    }

    fn grip_at(&self) -> Point3<f64> {
        self.needle * on_needle(GRIP_RAD)
    }

    fn bite(&self) -> Option<&Bite> {
        self.bites.get(self.done)
    }

    /// The farthest that what is under the surface is off the circle.
    fn off_path_m(&self, bite: &Bite) -> f64 {
        const PLACES: u32 = 16;
        (0..=PLACES)
            .map(|n| self.needle * on_needle(GRIP_RAD * f64::from(n) / f64::from(PLACES)))
            .filter(|at| at.z < 0.0)
            .map(|at| bite.off_circle_m(&at))
            .fold(0.0, f64::max)
    }

    fn follow_point(&mut self, errors: &mut Errors) {
        let Some(bite) = self.bite().copied() else { return };
        let point = self.point_at();
        let aside_m = |mark: Point3<f64>| (point - mark).xy().norm();
        match self.point {
            Where::Out if point.z < -THROUGH_M => {
                let at_mark = aside_m(bite.entry()) <= MARK_M;
                if !at_mark {
                    errors.note(Mistake::MissedEntry);
                }
                (self.point, self.off_path) = (Where::In { at_mark }, false);
            }
            Where::In { at_mark } if point.z > THROUGH_M => {
                self.point = Where::Out;
                let backed_out = aside_m(bite.entry()) < aside_m(bite.exit());
                if !at_mark || backed_out {
                    return;
                }
                if aside_m(bite.exit()) <= MARK_M {
                    self.done += 1;
                } else {
                    errors.note(Mistake::MissedExit);
                }
            }
            Where::In { .. } => self.watch_path(&bite, errors),
            Where::Out => {}
        }
    }

    fn watch_path(&mut self, bite: &Bite, errors: &mut Errors) {
        let off_path = self.off_path_m(bite) > PATH_M;
        if off_path && !self.off_path {
            errors.note(Mistake::OffPath);
        }
        self.off_path = off_path;
        if off_path {
            errors.goes_on(Mistake::OffPath);
        }
    }

    /// Let go over the board, it lies flat on it; in the tissue it stays.
    fn fall(&mut self, errors: &mut Errors) {
        errors.note(Mistake::Dropped);
        if self.point == Where::Out {
            let at = self.needle.translation.vector;
            let yaw = self.needle.rotation.euler_angles().2;
            let flat = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), yaw);
            self.needle = Isometry3::from_parts(Point3::new(at.x, at.y, WIRE_M).into(), flat);
        }
    }

    /// The next pose of a hand that has the needle.
    fn drive(&self, bite: &Bite, hand: &Hand) -> Next {
        let past_rad = bite.past_rad(&self.point_at()).clamp(-DRIVE_RAD, DRIVE_RAD);
        let here = bite.hand(past_rad, &self.end_from_needle);
        let off_m = (hand.at() - here.at()).norm();
        let off_rad = hand.base_from_end.rotation.angle_to(&here.base_from_end.rotation);
        if matches!(self.point, Where::In { at_mark: false }) {
            let out = hand.moved_to(hand.at() + Vector3::z() * 0.002);
            return Next { words: "Draw the needle out again", hand: out.with_jaw(0.0) };
        }
        if off_m < 0.0008 && off_rad < 0.12 {
            let ahead = bite.hand((past_rad + LEAD_RAD).min(DRIVE_RAD), &self.end_from_needle);
            return Next { words: "Turn the needle along its curve, to the exit mark", hand: ahead };
        }
        if self.point != Where::Out {
            return Next { words: "Bring the needle back onto its curve", hand: here };
        }
        let begin = bite.hand(-DRIVE_RAD, &self.end_from_needle);
        Next { words: "Bring the needle's point to the entry mark", hand: by_way_of(hand, &begin, CROSS_M) }
    }
}

/// Along a line across the board, which bulges; turned so that the needle's plane stands as the jaws do.
fn bite(number: usize, turned_rad: f64, bulge_m: f64, start: &Hand) -> Bite {
    let place = number as f64 - (BITES - 1) as f64 / 2.0;
    let across = start.base_from_end * Vector3::x();
    let first = Vector3::new(across.x, across.y, 0.0).try_normalize(1e-3).unwrap_or_else(Vector3::x);
    let turn = |rad: f64| UnitQuaternion::from_axis_angle(&Vector3::z_axis(), rad);
    let line = turn(turned_rad + FRAC_PI_2) * first;
    let bulge = turn(turned_rad) * first * (bulge_m * (1.0 - place * place));
    let fan = turn(turned_rad + FAN_RAD * place);
    let middle = Point3::from(line * (APART_M * place) + bulge + Vector3::z() * MIDDLE_M);
    Bite { middle, along: fan * first, upright: fan * start.base_from_end.rotation }
}

/// How the needle lies in jaws that hold it upright, the point at the bottom of its circle.
fn held_upright(bite: &Bite) -> Isometry3<f64> {
    let needle = bite.needle(0.0);
    let end = Isometry3::from_parts((needle * on_needle(GRIP_RAD)).into(), bite.upright);
    end.inverse() * needle
}

impl Drill for SuturingPath {
    fn rods(&self) -> Vec<Rod> {
        vec![Rod::board()]
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects::default();
        objects[0] = Some(Object {
            shape: Shape::Needle,
            base_from_object: self.needle,
            radius_m: NEEDLE_RADIUS_M,
            held: self.holds(),
        });
        objects
    }

    /// Of this bite and of the one after it.
    fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        let inside = matches!(self.point, Where::In { at_mark: true });
        for (pair, bite) in self.bites.iter().skip(self.done).take(2).enumerate() {
            let mark = |centre_m, next| Some(Mark { centre_m, radius_m: MARK_M, next: next && pair == 0 });
            marks[2 * pair] = mark(bite.entry(), !inside);
            marks[2 * pair + 1] = mark(bite.exit(), inside);
        }
        marks
    }

    fn step(&mut self, hand: &Hand, errors: &mut Errors) {
        let between = (hand.at() - self.grip_at()).norm() <= GRASP_M;
        match self.jaws.step(hand, between.then_some((0, self.needle)), errors) {
            // However it lay, it is held as a needle is held.
            Some(Change::Took(number)) => {
                self.jaws = Jaws::holding(Held { number, end_from_object: self.end_from_needle });
            }
            Some(Change::LetGo(_)) => self.fall(errors),
            None => {}
        }
        if self.holds() {
            self.needle = hand.base_from_end * self.end_from_needle;
            self.follow_point(errors);
        }
    }

    fn holds(&self) -> bool {
        self.jaws.held.is_some()
    }

    fn progress(&self) -> Progress {
        Progress { done: self.done as u32, of: BITES as u32 }
    }

    fn next(&self, hand: &Hand) -> Next {
        let Some(bite) = self.bite() else {
            return Next { words: "Every stitch is done", hand: *hand };
        };
        if self.holds() {
            return self.drive(bite, hand);
        }
        let upright = Isometry3::from_parts(self.grip_at().into(), bite.upright);
        let grip = Hand { base_from_end: upright, jaw_rad: 0.0 };
        let hand = to_take(hand, &grip, self.jaws.are_around(0), CROSS_M);
        Next { words: "Take the needle up again", hand }
    }

    fn shortest_m(&self) -> f64 {
        self.shortest_m
    }
}
