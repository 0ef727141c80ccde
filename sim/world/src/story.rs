//! A session's story: what goes wrong in it, from when to when, told before it begins.
//!
//! Because it is told beforehand it can be cut down afterwards: what breaks a promise with two faults out of eleven is
//! understood sooner ([`Story::shortest`]).

use std::fmt;

use fastrand::Rng;

use crate::{Series, Way, exercise::Exercise, rig::ARM_NAMES};

/// Nothing goes wrong before: the kit is armed and the work has begun.
const CALM_US: u64 = 15_000_000;
/// The operation is closed, or consent withdrawn, this long before the end.
const CLOSED_US: u64 = 6_000_000;
const WITHDRAWN_US: u64 = 10_000_000;
/// From one fault's end to the next one's beginning.
const BETWEEN_US: std::ops::Range<u64> = 2_000_000..9_000_000;
/// Longer than a lease lasts.
const AWAY_US: std::ops::Range<u64> = 10_200_000..14_000_000;

macro_rules! faults {
    ($($name:ident $words:literal)*) => {
        /// Something that goes wrong, or that somebody does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($name,)* }

        impl Fault {
            const EACH: &[Fault] = &[$(Fault::$name,)*];

            /// In a few words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Fault::$name => $words,)* }
            }
        }
    };
}

faults! {
    Lossy "lossy line"
    Slow "slow line"
    Partition "wide area parted"
    PartitionAll "both hops parted"
    PathDies "one of two paths dies"
    Camera "camera stalls"
    PedalStuck "dead-man stuck"
    Unlisting "surgeon's lists stay away"
    EStop "e-stop"
    Restart "kit restarts"
    ArmButton "arm's button"
    CableDead "arm's cable dead"
    CloggedEdge "edge stalls"
    Forger "forger and replayer"
    Disarmed "disarmed at the bedside"
    RecordStalls "record stalls"
    RecordLags "record lags"
    RecordVanishes "watermark vanishes"
    RecordLies "watermark lies"
    EdgeRestart "edge restarts"
    Hasty "hasty hand on a slow line"
    Twisting "wrist turned too fast"
    WayOut "way-out switch, and the line is cut"
    LoopStalls "kit's loop misses deadlines"
    Upset "memory of the kit's motion fails"
    ConsoleRestart "console reloaded"
    StoreFails "kit's disk takes no token"
    KitClock "kit's clock jumps and drifts"
    Tremor "tremor"
    Noise "noisy encoders"
    Drive "drive fails"
    Sluggish "sluggish drives"
    Unhomed "arm loses its zero"
    Confused "console sends nonsense"
    Unreleased "console engages anew under a held dead-man"
    Away "line cut for longer than a lease"
    TakenOver "control given to another after a lease ran out"
    HandedOver "control handed over"
    Obstinate "control handed over, and its former holder goes on"
    Usurper "a surgeon without control asks for everything"
    Conspiracy "two surgeons sign, nobody at the bedside"
    RegionsAppear "regions appear"
    RegionsLifted "regions lifted"
    ClosedBySurgeon "closed by the surgeon"
    ClosedAtTheBedside "closed at the bedside"
    ConsentWithdrawn "consent withdrawn"
}

impl Fault {
    /// Those that come and go; the others have their own time.
    fn is_any_time(self) -> bool {
        !self.is_region() && !self.is_an_end()
    }

    fn is_region(self) -> bool {
        matches!(self, Fault::RegionsAppear | Fault::RegionsLifted)
    }

    fn is_an_end(self) -> bool {
        matches!(self, Fault::ClosedBySurgeon | Fault::ClosedAtTheBedside | Fault::ConsentWithdrawn)
    }

    fn lasts_us(self, rng: &mut Rng) -> u64 {
        rng.u64(match self {
            Fault::Unlisting => 1_500_000..6_000_000,
            Fault::Away | Fault::TakenOver => AWAY_US,
            Fault::Conspiracy | Fault::Unreleased => 4_000_000..8_000_000,
            _ => 100_000..4_000_000,
        })
    }
}

/// A fault in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub fault: Fault,
    pub from_us: u64,
    pub until_us: u64,
    /// Whatever it leaves to chance comes from here.
    pub dice: u64,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |us: u64| us as f64 / 1e6;
        write!(f, "{:.3} s to {:.3} s: {}", s(self.from_us), s(self.until_us), self.fault.name())
    }
}

/// How a session goes.
#[derive(Clone, Debug)]
pub struct Story {
    pub seed: u64,
    pub seconds: u64,
    /// By their beginnings.
    pub troubles: Vec<Trouble>,
    /// Measured delays that the wide area takes, instead of steady ones.
    pub series: Option<Series>,
    /// Towards the edge box and towards the consoles, instead of the two paths of good days.
    pub ways: Option<[Way; 2]>,
    /// What is done instead of taking beads. The session ends with it.
    pub exercise: Option<Exercise>,
    /// How many arms the kit has.
    pub arms: usize,
}

impl Story {
    /// A good line all the way.
    #[must_use]
    pub fn calm(seed: u64, seconds: u64) -> Self {
        Self { seed, seconds, troubles: Vec::new(), series: None, ways: None, exercise: None, arms: 1 }
    }

    /// Faults at random. Two strands of them, so that they meet each other.
    #[must_use]
    pub fn troubled(seed: u64, seconds: u64) -> Self {
        let mut teller = Teller { rng: Rng::with_seed(seed), end_us: seconds * 1_000_000, told: Vec::new() };
        teller.strand(CALM_US, Fault::is_any_time);
        teller.strand(CALM_US + 5_000_000, Fault::is_any_time);
        teller.strand(CALM_US / 2, Fault::is_region);
        teller.end();
        teller.told.sort_by_key(|trouble| trouble.from_us);
        Self { troubles: teller.told, ..Self::calm(seed, seconds) }
    }

    /// The session of that number in a soak. Every fourth line is good all the way: there the work must get done. Two kits of
    /// five have all their arms, the others one.
    #[must_use]
    pub fn of_soak(seed: u64, number: u64, seconds: u64) -> Self {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
        let story =
            if number.is_multiple_of(4) { Self::calm(seed, seconds) } else { Self::troubled(seed, seconds) };
        Self { arms: if number % 5 < 2 { ARM_NAMES.len() } else { 1 }, ..story }
    }

    /// Over a line as `series` says.
    #[must_use]
    pub fn over(mut self, series: Series) -> Self {
        self.series = Some(series);
        self
    }

    /// Over one line that goes these ways, towards the edge box and towards the consoles.
    #[must_use]
    pub fn along(mut self, ways: [Way; 2]) -> Self {
        self.ways = Some(ways);
        self
    }

    /// With this to do.
    #[must_use]
    pub fn practising(mut self, exercise: Exercise) -> Self {
        self.exercise = Some(exercise);
        self
    }

    /// The shortest story found that still goes wrong. `goes_wrong` plays one and says when it did, in µs from the beginning.
    pub fn shortest<E>(
        &self,
        mut goes_wrong: impl FnMut(&Story) -> Result<Option<u64>, E>,
    ) -> Result<Story, E> {
        let mut shortest = self.clone();
        let mut piece = shortest.troubles.len();
        while piece > 0 {
            let mut from = 0;
            while from < shortest.troubles.len() {
                let mut without = shortest.clone();
                without.troubles.drain(from..(from + piece).min(shortest.troubles.len()));
                match goes_wrong(&without)? {
                    Some(at_us) => shortest = without.until(at_us),
                    None => from += piece,
                }
            }
            piece /= 2;
        }
        Ok(shortest)
    }

    /// What came after does not belong to it.
    fn until(mut self, at_us: u64) -> Self {
        self.troubles.retain(|trouble| trouble.from_us <= at_us);
        self
    }
}

/// Makes up a story.
struct Teller {
    rng: Rng,
    end_us: u64,
    told: Vec<Trouble>,
}

impl Teller {
    /// One fault after the other.
    fn strand(&mut self, begins_us: u64, which: impl Fn(Fault) -> bool) {
        let which = Vec::from_iter(Fault::EACH.iter().copied().filter(|fault| which(*fault)));
        let mut at_us = begins_us + self.rng.u64(0..5_000_000);
        while at_us < self.end_us {
            let fault = which[self.rng.usize(0..which.len())];
            let until_us = at_us + fault.lasts_us(&mut self.rng);
            self.tell(fault, at_us, until_us);
            at_us = until_us + self.rng.u64(BETWEEN_US);
        }
    }

    /// In the middle of the work, or with somebody's word.
    fn end(&mut self) {
        let (fault, before_us) = match self.rng.u8(0..4) {
            0 => (Fault::ClosedBySurgeon, CLOSED_US),
            1 => (Fault::ClosedAtTheBedside, CLOSED_US),
            2 => (Fault::ConsentWithdrawn, WITHDRAWN_US),
            _ => return,
        };
        self.tell(fault, self.end_us.saturating_sub(before_us), self.end_us);
    }

    fn tell(&mut self, fault: Fault, from_us: u64, until_us: u64) {
        let dice = self.rng.u64(..);
        self.told.push(Trouble { fault, from_us, until_us, dice });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a story that goes wrong because of two faults is cut down to those two, and ends when it did.
    #[test]
    fn only_what_makes_it_go_wrong_is_left() {
        let story = Story::troubled(5, 120);
        let guilty = [story.troubles[3], story.troubles[9]];
        let goes_wrong = |story: &Story| {
            Ok::<_, ()>(guilty.iter().all(|it| story.troubles.contains(it)).then_some(guilty[1].from_us))
        };
        assert_eq!(story.shortest(goes_wrong).unwrap().troubles, guilty);
    }

    /// Goal: a seed tells one story, another one another, and each fault is told by some.
    #[test]
    fn every_fault_is_told_by_some_seed() {
        assert_eq!(Story::troubled(1, 60).troubles, Story::troubled(1, 60).troubles);
        assert_ne!(Story::troubled(1, 60).troubles, Story::troubled(2, 60).troubles);
        let told = Vec::from_iter((0..200).flat_map(|seed| Story::troubled(seed, 60).troubles));
        for fault in Fault::EACH {
            assert!(told.iter().any(|trouble| trouble.fault == *fault), "{}", fault.name());
        }
    }
}
