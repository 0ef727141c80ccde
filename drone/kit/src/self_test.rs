//! The kit's self-test: what the loop itself sees, measured in one of its ticks.

use std::fmt;

use arrayvec::ArrayVec;
use farhand_wire::{ArmOf, KitTick};

/// Things looked at of one arm.
pub const SELF_TEST_ITEMS_MAX: usize = 16;

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestItem {
    /// ms since the arm was heard over its cable.
    ArmSilence,
    /// Setpoints, one a ms, that the arm is behind.
    ArmBehind,
    /// The arm braked by itself for want of setpoints: 0 or 1.
    ArmWatchdog,
    /// A drive or an encoder failed: 0 or 1.
    ArmFault,
    /// Its stop button is pressed: 0 or 1.
    ArmButton,
    /// Whether its joints know where they are: 0 or 1, and either will do, but it must be known.
    Homed,
    /// A joint's encoder, in rad or m.
    Joint(u8),
    /// The jaw's, in rad.
    Jaw,
    /// The loop runs with the limits that this kit answers for: 1.
    LimitsDigest,
    /// And with those arms: 1.
    ArmDigest,
}

/// One thing that was measured, and what it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub item: TestItem,
    pub value: f64,
    pub min: f64,
    pub max: f64,
}

/// Everything that was measured of one arm in one tick; a test is one of each. Made by the loop: a loop that stands still makes none.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    pub tick: KitTick,
    pub of: ArmOf,
    pub measured: ArrayVec<Measured, SELF_TEST_ITEMS_MAX>,
    /// SHA-256 of what the loop runs with.
    pub limits_digest: [u8; 32],
    pub arm_digest: [u8; 32],
}

impl Measured {
    /// Not-a-number passes nothing.
    #[must_use]
    pub fn passes(&self) -> bool {
        (self.min..=self.max).contains(&self.value)
    }
}

impl SelfTest {
    /// What failed.
    pub fn failed(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|measured| !measured.passes())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { item, value, min, max } = self;
        write!(f, "{item} is {value:.3}, allowed are {min:.3} to {max:.3}")
    }
}

impl fmt::Display for TestItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ArmSilence => "time since the arm was heard, in ms,",
            Self::ArmBehind => "number of setpoints that the arm is behind",
            Self::ArmWatchdog => "arm braking by itself",
            Self::ArmFault => "fault in the arm",
            Self::ArmButton => "arm's stop button",
            Self::Homed => "arm being homed",
            Self::Joint(joint) => return write!(f, "encoder of joint {joint}"),
            Self::Jaw => "encoder of the jaw",
            Self::LimitsDigest => "agreement with the kit's limits",
            Self::ArmDigest => "agreement with the kit's arms",
        })
    }
}
