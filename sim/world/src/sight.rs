//! A surgeon's eye and hand: what is seen late, and what the hand makes of it.
//!
//! The hand goes in submovements: one that should end at the goal and misses it by a share of its length, then, once its
//! outcome has been seen, the next (Meyer et al. 1988, *Psychological Review* 95). Each has the least jerk (Flash and
//! Hogan 1985), and the eye's answer takes a fifth of a second (Carlton 1981: 0.135 to 0.29 s). Over a delay people
//! move and wait: the next one begins only when the tool in the picture stands still again (Ferrell 1965, *IEEE Trans. Human
//! Factors in Electronics* 6). **With a ghost there is nothing to wait for**: it shows where the tool will stand.
//!
//! A model, and no person: it says what waiting costs, not how good the ghost is to look at.

use std::collections::VecDeque;

use fastrand::Rng;

/// From a picture's arrival at the console to the eye: decoding and the screen's next refresh.
const SHOWN_US: u64 = 25_000;
/// From seeing to moving.
const ANSWER_US: u64 = 200_000;
/// A submovement misses by this share of its length, as a standard deviation along each axis: chosen, within what
/// Schmidt et al. 1979 found for movements of 0.2 s.
const MISS: f64 = 0.08;
/// As fast as the hand goes in the mean of a submovement, and the shortest that one takes.
const MEAN_MM_S: f64 = 20.0;
const SHORTEST_US: u64 = 150_000;
/// In two pictures that far apart in time, a tool that went no farther than this stands still.
const STILL_US: u64 = 100_000;
const STILL_MM: f64 = 0.1;
/// Who has not seen the tool move by then looks again.
const NOTHING_US: u64 = 1_500_000;
/// Of a submovement's way, what must be seen before it counts as seen.
const SEEN_SHARE: f64 = 0.3;

/// What the hand does.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Until the eye has answered.
    Answers { until_us: u64 },
    /// Along a submovement, for which so much time has passed.
    Moves { from_mm: [f64; 3], by_mm: [f64; 3], takes_us: u64, passed_us: u64 },
    /// For the picture to show what came of it.
    Waits { since_us: u64, from_mm: [f64; 3], way_mm: f64 },
}

/// An eye on the picture, and a hand that goes by it.
#[derive(Debug)]
pub struct Sight {
    ghost: bool,
    rng: Rng,
    /// Pictures on their way to the eye: when they get there, and where the tool is in them, mm in the arm's base frame.
    coming: VecDeque<(u64, [f64; 3])>,
    seen: VecDeque<(u64, [f64; 3])>,
    act: Act,
}

impl Sight {
    /// `ghost`: the console shows where the tool will be.
    #[must_use]
    pub fn new(ghost: bool, seed: u64) -> Self {
        Self {
            ghost,
            rng: Rng::with_seed(seed),
            coming: VecDeque::new(),
            seen: VecDeque::new(),
            act: Act::Answers { until_us: 0 },
        }
    }

    /// A picture came that shows the tool here.
    pub(crate) fn picture(&mut self, now_us: u64, tool_mm: [f64; 3]) {
        self.coming.push_back((now_us + SHOWN_US, tool_mm));
    }

    /// The hand is on the tool: nothing of before counts.
    pub(crate) fn begin(&mut self, now_us: u64) {
        self.act = Act::Answers { until_us: now_us + ANSWER_US };
    }

    /// Where the tool is, as the surgeon sees it; with a ghost, where it will be.
    pub(crate) fn sees(&self, commanded_mm: [f64; 3]) -> Option<[f64; 3]> {
        if self.ghost { Some(commanded_mm) } else { self.seen.back().map(|(_, tool_mm)| *tool_mm) }
    }

    /// One millisecond: where the hand has the target now. `free`: the target may go farther ahead of the tool.
    pub(crate) fn move_hand(
        &mut self,
        now_us: u64,
        commanded_mm: [f64; 3],
        goal_mm: [f64; 3],
        free: bool,
    ) -> [f64; 3] {
        self.look(now_us);
        match &mut self.act {
            Act::Answers { until_us } => {
                if now_us >= *until_us {
                    self.set_out(commanded_mm, goal_mm);
                }
                commanded_mm
            }
            Act::Moves { from_mm, by_mm, takes_us, passed_us } => {
                *passed_us += if free { 1_000 } else { 0 };
                let share = least_jerk((*passed_us as f64 / *takes_us as f64).min(1.0));
                let at_mm = std::array::from_fn(|axis| from_mm[axis] + by_mm[axis] * share);
                if passed_us >= takes_us {
                    let way_mm = length(*by_mm);
                    self.act = Act::Waits { since_us: now_us, from_mm: *from_mm, way_mm };
                }
                at_mm
            }
            Act::Waits { since_us, from_mm, way_mm } => {
                let nothing = now_us > *since_us + NOTHING_US;
                let far_enough = |tool_mm: &[f64; 3]| distance(*from_mm, *tool_mm) >= SEEN_SHARE * *way_mm;
                let shown = self.seen.back().is_some_and(|(_, tool_mm)| far_enough(tool_mm));
                if self.ghost || nothing || shown && stands_still(&self.seen) {
                    self.act = Act::Answers { until_us: now_us + ANSWER_US };
                }
                commanded_mm
            }
        }
    }

    fn look(&mut self, now_us: u64) {
        while let Some(picture) = self.coming.pop_front_if(|(at_us, _)| *at_us <= now_us) {
            self.seen.push_back(picture);
        }
        while self.seen.get(1).is_some_and(|(at_us, _)| at_us + STILL_US <= now_us) {
            self.seen.pop_front();
        }
    }

    /// For where the goal seems to be from here.
    fn set_out(&mut self, commanded_mm: [f64; 3], goal_mm: [f64; 3]) {
        let Some(seen_mm) = self.sees(commanded_mm) else { return };
        let way_mm = distance(seen_mm, goal_mm);
        let mut by_mm = [0.0; 3];
        for (axis, by_mm) in by_mm.iter_mut().enumerate() {
            *by_mm = goal_mm[axis] - seen_mm[axis] + MISS * way_mm * normal(&mut self.rng);
        }
        let takes_us = ((length(by_mm) / MEAN_MM_S * 1e6) as u64).max(SHORTEST_US);
        self.act = Act::Moves { from_mm: commanded_mm, by_mm, takes_us, passed_us: 0 };
    }
}

fn stands_still(seen: &VecDeque<(u64, [f64; 3])>) -> bool {
    let (Some((first_us, first_mm)), Some((last_us, last_mm))) = (seen.front(), seen.back()) else {
        return false;
    };
    last_us - first_us >= STILL_US / 2 && distance(*first_mm, *last_mm) <= STILL_MM
}

/// How far a movement of least jerk has come after this share of its time.
fn least_jerk(share: f64) -> f64 {
    share.powi(3) * (10.0 - 15.0 * share + 6.0 * share.powi(2))
}

/// Evenly spread numbers add up to a bell (Irwin and Hall).
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn length(a: [f64; 3]) -> f64 {
    distance(a, [0.0; 3])
}

fn distance(from: [f64; 3], to: [f64; 3]) -> f64 {
    from.iter().zip(to).map(|(from, to)| (to - from).powi(2)).sum::<f64>().sqrt()
}
