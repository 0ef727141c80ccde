//! What the aircraft must do when things go wrong: the most severe answer wins.
//!
//! Invariants (local):
//! 1. The answer is never less severe than what any one present condition asks for.
//! 2. While airborne the answer never becomes milder by itself: a link that comes
//!    back does not call off a return that has begun. Only a person or the ground does.

/// What to do, mildest first, so that the derived order is the order of severity.
/// Names and order follow PX4's failsafe framework (`src/modules/commander/failsafe/framework.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Failsafe {
    /// Fly on.
    #[default]
    None,
    /// Fly on and tell people.
    Warn,
    /// Stop in the air and wait.
    Hold,
    /// Fly home and land there.
    Return,
    /// Land here, steered.
    Land,
    /// Come down without a position.
    Descend,
    /// Stop the motors.
    Terminate,
}

/// Something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    LinkDegraded,
    LinkLost,
    BatteryLow,
    BatteryCritical,
    BatteryEmergency,
    FenceBreached,
    PositionLost,
    PayloadReleasedInFlight,
    DeliverySpotBlocked,
    AttitudeLost,
}

impl Condition {
    pub const ALL: [Condition; 10] = [
        Condition::LinkDegraded,
        Condition::LinkLost,
        Condition::BatteryLow,
        Condition::BatteryCritical,
        Condition::BatteryEmergency,
        Condition::FenceBreached,
        Condition::PositionLost,
        Condition::PayloadReleasedInFlight,
        Condition::DeliverySpotBlocked,
        Condition::AttitudeLost,
    ];

    /// What this condition alone asks for. Chosen here; the defaults of PX4 are milder for the battery.
    pub fn asks_for(self) -> Failsafe {
        match self {
            Condition::LinkDegraded => Failsafe::Warn,
            Condition::DeliverySpotBlocked => Failsafe::Hold,
            Condition::LinkLost
            | Condition::BatteryLow
            | Condition::FenceBreached
            | Condition::PayloadReleasedInFlight => Failsafe::Return,
            Condition::BatteryCritical | Condition::BatteryEmergency => Failsafe::Land,
            Condition::PositionLost => Failsafe::Descend,
            Condition::AttitudeLost => Failsafe::Terminate,
        }
    }
}

/// Remembers how far up the ladder this flight has gone.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    taken: Failsafe,
}

impl Ladder {
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do now, given everything that is wrong now. `airborne` keeps what was taken before.
    pub fn update(&mut self, present: &[Condition], airborne: bool) -> Failsafe {
        let asked = present.iter().map(|condition| condition.asks_for()).max().unwrap_or_default();
        self.taken = if airborne { asked.max(self.latched()) } else { asked };
        self.taken
    }

    /// A person takes over: what was taken is forgotten, what is wrong still counts at the next update.
    pub fn clear(&mut self) {
        self.taken = Failsafe::None;
    }

    /// A warning ends with its cause; whatever changes the flight stays.
    fn latched(&self) -> Failsafe {
        if self.taken > Failsafe::Warn { self.taken } else { Failsafe::None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, subsequence};

    use super::*;

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        subsequence(Condition::ALL.to_vec(), 0..=Condition::ALL.len()).prop_shuffle()
    }

    proptest! {
        /// Goal: the most severe wins, whatever the order, and the answer is one that was asked for.
        #[test]
        fn the_most_severe_wins(present in conditions(), airborne: bool) {
            let taken = Ladder::new().update(&present, airborne);
            prop_assert!(present.iter().all(|condition| taken >= condition.asks_for()));
            let asked = present.iter().any(|condition| taken == condition.asks_for());
            prop_assert!(asked || (present.is_empty() && taken == Failsafe::None));
        }

        /// Goal: one more thing going wrong never makes the answer milder.
        #[test]
        fn one_more_condition_never_makes_it_milder(present in conditions(), pick: Index) {
            let before = Ladder::new().update(&present, true);
            let mut more = present;
            more.push(*pick.get(&Condition::ALL));
            prop_assert!(Ladder::new().update(&more, true) >= before);
        }

        /// Goal: in the air, what has begun is not called off by a condition that goes away.
        #[test]
        fn in_the_air_it_only_climbs(history in proptest::collection::vec(conditions(), 1..20)) {
            let mut ladder = Ladder::new();
            let mut highest = Failsafe::None;
            for present in history {
                let taken = ladder.update(&present, true);
                prop_assert!(taken >= highest);
                highest = if taken > Failsafe::Warn { taken } else { highest };
            }
        }
    }

    /// Goal: the ground and a person are the two ways down the ladder.
    #[test]
    fn the_ground_and_a_person_clear_it() {
        let mut ladder = Ladder::new();
        assert_eq!(ladder.update(&[Condition::LinkLost], true), Failsafe::Return);
        assert_eq!(ladder.update(&[], true), Failsafe::Return);
        ladder.clear();
        assert_eq!(ladder.update(&[], true), Failsafe::None);
        assert_eq!(ladder.update(&[Condition::BatteryCritical], true), Failsafe::Land);
        assert_eq!(ladder.update(&[], false), Failsafe::None);
    }
}
