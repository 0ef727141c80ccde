//! The promises by name, and which of them were broken.

use std::fmt;

use stateright::Property;

use super::{model::Exploration, stage::Stage};

macro_rules! promises {
    ($($number:literal $name:ident $words:literal;)*) => {
        /// One of the invariants that the module's documentation lists, under its number there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Promise {
            $($name = $number,)*
        }

        /// Each of them as something that always holds.
        pub(super) fn properties() -> Vec<Property<Exploration>> {
            vec![$(Property::always(concat!($number, ". ", $words), |_, stage: &Stage| {
                !stage.broken.has(Promise::$name)
            })),*]
        }
    };
}

promises! {
    1 Armed "only an arm that two people armed is moved by a hand";
    2 Ended "what is over is not armed again";
    3 Homed "only an arm that knows where it is is moved by a hand";
    4 Stopped "under a stop nothing moves but the way out";
    5 Cleared "two people clear a stop whose cause is gone";
    6 Latched "a new press latches, a cleared one never again";
    7 Fresh "only a fresh command is applied";
    8 Picture "only a command that answers a fresh picture is applied";
    9 Holder "only the holder of control moves the tool";
    10 Newer "only ever newer commands are taken in";
    11 Pedal "letting go stops the tool";
    12 Silence "silence stops the tool";
    13 Released "after an interruption nothing moves before a release";
    14 StaysPaused "what paused does not go on by itself";
    15 Engaged "an engagement is one unbroken hold, from rest";
    16 Target "the tool goes to the newest applied target, and nowhere else";
    17 Reach "what is too far is not chased";
    18 Recorded "motion is not ahead of its record";
    19 Listed "motion is not ahead of the surgeon's own list";
    20 Punctual "a late loop holds";
    21 Tokens "tokens rise, and are stored before they are granted";
    22 Control "nobody gets control who is not entitled to it";
    23 Errand "the arm moves by itself on a bedside order alone";
    24 WayOut "the arm's own switch is a way out";
    25 Consent "without consent the tool is only drawn out";
    26 Severest "the most severe reason wins";
    27 Reasons "a refusal says what was seen and what the limit is";
    28 Regions "regions are replaced by newer ones alone";
    29 Permits "a permit is what was decided";
    30 Useful "nothing is refused without a reason";
}

/// A set of promises, shown by their numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Broken(u64);

impl Broken {
    pub(super) fn has(self, promise: Promise) -> bool {
        self.0 & (1 << promise as u64) != 0
    }

    pub(super) fn add(&mut self, promise: Promise) {
        self.0 |= 1 << promise as u64;
    }

    pub(super) fn add_if(&mut self, broken: bool, promise: Promise) {
        self.0 |= u64::from(broken) << promise as u64;
    }

    pub(super) fn merge(&mut self, others: Broken) {
        self.0 |= others.0;
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..u64::BITS).filter(|number| self.0 & (1 << number) != 0)).finish()
    }
}
