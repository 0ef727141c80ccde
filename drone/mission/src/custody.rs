//! Who held the kit, from the seal to the pairing.
//!
//! Invariants (local):
//! 1. Steps follow each other in one order without a gap, for one kit, and time never runs back. A kit may be tested again,
//!    and must then be paired again.
//! 2. A refused step changes nothing: a wrong message can't break a good chain.
//! 3. A breach is final: a broken chain is never complete again; the kit starts anew, sealed.
//!
//! The machine says what may follow what. That a step was signed by the person it
//! names, and that this person holds the role, is checked before it gets here.

use thiserror::Error;

/// A person's Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonKey(pub [u8; 32]);

/// A kit's Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KitKey(pub [u8; 32]);

/// The stages in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CustodyStage {
    Sealed,
    Loaded,
    Airborne,
    Landed,
    Unsealed,
    SelfTested,
    Paired,
}

impl CustodyStage {
    pub const ALL: [CustodyStage; 7] = [
        CustodyStage::Sealed,
        CustodyStage::Loaded,
        CustodyStage::Airborne,
        CustodyStage::Landed,
        CustodyStage::Unsealed,
        CustodyStage::SelfTested,
        CustodyStage::Paired,
    ];
}

/// One step: this person says that this kit reached this stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodyStep {
    pub stage: CustodyStage,
    pub kit: KitKey,
    pub who: PersonKey,
    /// UTC, microseconds since 1970.
    pub utc_us: u64,
    /// Counts from 0 without a gap.
    pub sequence: u32,
}

/// Something that broke the chain, said by a person: a broken seal, a failed self-test, a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    pub kit: KitKey,
    pub who: PersonKey,
    /// UTC, microseconds since 1970.
    pub utc_us: u64,
    pub sequence: u32,
}

/// Why a step may not follow. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CustodyRefusal {
    #[error("the step is about kit {}, the chain about kit {}", short(.seen), short(.expected))]
    OtherKit { expected: KitKey, seen: KitKey },
    #[error("step {seen} arrived where step {expected} must follow")]
    Sequence { expected: u32, seen: u32 },
    #[error("stage {seen:?} may not follow here; {expected:?} must be next")]
    Stage { expected: CustodyStage, seen: CustodyStage },
    #[error("the step's time {seen_us} µs is before the last step's {latest_us} µs")]
    TimeRanBack { latest_us: u64, seen_us: u64 },
    #[error("the step names nobody: its key is all zero")]
    Nobody,
    #[error("the chain is complete: the kit is paired")]
    Complete,
    #[error("the chain has {steps} steps, at most {max} are allowed; seal the kit again and start anew")]
    TooLong { steps: usize, max: usize },
    #[error("the chain is broken since step {since_sequence}; seal the kit again and start anew")]
    Broken { since_sequence: u32 },
}

/// Steps in one chain, with a kit that was tested again and again.
pub const CUSTODY_STEPS_MAX: usize = 64;

/// The chain of one kit's journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    kit: KitKey,
    steps: Vec<CustodyStep>,
    breach: Option<Breach>,
}

impl Custody {
    /// An empty chain for a kit: only `Sealed` may follow.
    pub fn new(kit: KitKey) -> Self {
        Self { kit, steps: Vec::with_capacity(CustodyStage::ALL.len()), breach: None }
    }

    /// Takes the next step in, or says why it may not follow and changes nothing.
    pub fn admit(&mut self, step: CustodyStep) -> Result<(), CustodyRefusal> {
        let expected = self.check_open(step.stage)?;
        self.check_origin(step.kit, step.who, step.utc_us, step.sequence)?;
        if step.stage != expected && !self.is_tested_again(step.stage) {
            return Err(CustodyRefusal::Stage { expected, seen: step.stage });
        }
        self.steps.push(step);
        Ok(())
    }

    /// Ends the chain. Allowed at any stage, also when complete: a seal found broken late still counts.
    pub fn break_chain(&mut self, breach: Breach) -> Result<(), CustodyRefusal> {
        self.check_unbroken()?;
        self.check_origin(breach.kit, breach.who, breach.utc_us, breach.sequence)?;
        self.breach = Some(breach);
        Ok(())
    }

    /// The stage that follows in the order; none when paired or broken. A self-test may also come again.
    pub fn next(&self) -> Option<CustodyStage> {
        if self.breach.is_some() {
            return None;
        }
        let taken = self.steps.last().map_or(0, |last| last.stage as usize + 1);
        CustodyStage::ALL.get(taken).copied()
    }

    /// Whether the kit may arm: every stage taken, nothing broken.
    pub fn is_complete(&self) -> bool {
        self.breach.is_none() && self.steps.last().is_some_and(|last| last.stage == CustodyStage::Paired)
    }

    pub fn kit(&self) -> KitKey {
        self.kit
    }

    pub fn steps(&self) -> &[CustodyStep] {
        &self.steps
    }

    pub fn breach(&self) -> Option<Breach> {
        self.breach
    }

    /// What follows in the order; `wanted` itself where a kit is tested again.
    fn check_open(&self, wanted: CustodyStage) -> Result<CustodyStage, CustodyRefusal> {
        self.check_unbroken()?;
        let (steps, max) = (self.steps.len(), CUSTODY_STEPS_MAX);
        if steps >= max {
            return Err(CustodyRefusal::TooLong { steps, max });
        }
        let again = self.is_tested_again(wanted).then_some(wanted);
        self.next().or(again).ok_or(CustodyRefusal::Complete)
    }

    fn is_tested_again(&self, stage: CustodyStage) -> bool {
        let tested = self.steps.last().is_some_and(|last| last.stage >= CustodyStage::SelfTested);
        tested && stage == CustodyStage::SelfTested
    }

    fn check_unbroken(&self) -> Result<(), CustodyRefusal> {
        match self.breach {
            Some(breach) => Err(CustodyRefusal::Broken { since_sequence: breach.sequence }),
            None => Ok(()),
        }
    }

    fn check_origin(
        &self,
        kit: KitKey,
        who: PersonKey,
        utc_us: u64,
        sequence: u32,
    ) -> Result<(), CustodyRefusal> {
        if kit != self.kit {
            return Err(CustodyRefusal::OtherKit { expected: self.kit, seen: kit });
        }
        if who.0 == [0; 32] {
            return Err(CustodyRefusal::Nobody);
        }
        let expected = self.steps.len() as u32; // at most CUSTODY_STEPS_MAX
        if sequence != expected {
            return Err(CustodyRefusal::Sequence { expected, seen: sequence });
        }
        let latest_us = self.steps.last().map_or(0, |step| step.utc_us);
        if utc_us < latest_us {
            return Err(CustodyRefusal::TimeRanBack { latest_us, seen_us: utc_us });
        }
        Ok(())
    }
}

fn short(kit: &KitKey) -> String {
    kit.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIT: KitKey = KitKey([7; 32]);
    const NURSE: PersonKey = PersonKey([1; 32]);

    fn step(sequence: u32) -> CustodyStep {
        let stage = CustodyStage::ALL[sequence as usize % 7];
        CustodyStep { stage, kit: KIT, who: NURSE, utc_us: 1_000 + u64::from(sequence), sequence }
    }

    fn chain(steps: u32) -> Custody {
        let mut custody = Custody::new(KIT);
        (0..steps).for_each(|n| custody.admit(step(n)).unwrap());
        custody
    }

    /// Goal: the one right order is complete at its end and not before.
    #[test]
    fn seven_steps_in_order_are_complete() {
        for taken in 0..7 {
            assert!(!chain(taken).is_complete());
            assert_eq!(chain(taken).next(), Some(CustodyStage::ALL[taken as usize]));
        }
        let mut complete = chain(7);
        assert!(complete.is_complete());
        assert_eq!(complete.admit(step(7)), Err(CustodyRefusal::Complete));
    }

    /// Goal: a kit that was paired may be tested again, and is complete only when it was paired again; the chain stays
    /// bounded.
    #[test]
    fn a_kit_tested_again_must_be_paired_again() {
        let mut custody = chain(7);
        let again = |sequence, stage| CustodyStep { stage, ..step(sequence) };
        custody.admit(again(7, CustodyStage::SelfTested)).unwrap();
        assert!(!custody.is_complete());
        assert_eq!(custody.next(), Some(CustodyStage::Paired));
        custody.admit(again(8, CustodyStage::SelfTested)).unwrap();
        custody.admit(again(9, CustodyStage::Paired)).unwrap();
        assert!(custody.is_complete());
        let refusal = CustodyRefusal::Complete;
        assert_eq!(custody.admit(again(10, CustodyStage::Paired)), Err(refusal));
        (10..64).for_each(|n| custody.admit(again(n, CustodyStage::SelfTested)).unwrap());
        let refusal = CustodyRefusal::TooLong { steps: 64, max: 64 };
        assert_eq!(custody.admit(again(64, CustodyStage::SelfTested)), Err(refusal));
    }

    /// Goal: each kind of wrong step has its own refusal, with both values.
    #[test]
    fn each_wrong_step_is_refused_by_name() {
        let other = KitKey([8; 32]);
        let cases = [
            (CustodyStep { kit: other, ..step(2) }, CustodyRefusal::OtherKit { expected: KIT, seen: other }),
            (CustodyStep { who: PersonKey([0; 32]), ..step(2) }, CustodyRefusal::Nobody),
            (CustodyStep { sequence: 1, ..step(2) }, CustodyRefusal::Sequence { expected: 2, seen: 1 }),
            (
                CustodyStep { stage: CustodyStage::Landed, ..step(2) },
                CustodyRefusal::Stage { expected: CustodyStage::Airborne, seen: CustodyStage::Landed },
            ),
            (
                CustodyStep { utc_us: 1_000, ..step(2) },
                CustodyRefusal::TimeRanBack { latest_us: 1_001, seen_us: 1_000 },
            ),
        ];
        for (wrong, refusal) in cases {
            let mut custody = chain(2);
            assert_eq!(custody.admit(wrong), Err(refusal));
            assert_eq!(custody, chain(2), "a refused step changes nothing");
        }
    }

    /// Goal: a breach is final, also after the chain was complete.
    #[test]
    fn a_breach_is_final() {
        for taken in 0..=7 {
            let mut custody = chain(taken);
            let breach = Breach { kit: KIT, who: NURSE, utc_us: 9_000, sequence: taken };
            custody.break_chain(breach).unwrap();
            assert!(!custody.is_complete());
            assert_eq!(custody.next(), None);
            let refusal = CustodyRefusal::Broken { since_sequence: taken };
            assert_eq!(custody.admit(step(taken)), Err(refusal));
            assert_eq!(custody.break_chain(breach), Err(refusal));
        }
    }

    proptest! {
        /// Goal: whatever arrives in whatever order, an admitted chain is a prefix of the one order, with tests and pairings
        /// after it.
        #[test]
        fn any_arrivals_leave_a_prefix_of_the_one_order(
            arrivals in proptest::collection::vec((0u32..9, 0usize..7, 0u64..2_000, any::<bool>()), 0..200),
        ) {
            let mut custody = Custody::new(KIT);
            for (sequence, stage, utc_us, mine) in arrivals {
                let kit = if mine { KIT } else { KitKey([9; 32]) };
                let stage = CustodyStage::ALL[stage];
                let _ = custody.admit(CustodyStep { stage, kit, who: NURSE, utc_us, sequence });
            }
            let stages: Vec<_> = custody.steps().iter().map(|step| step.stage).collect();
            let first = stages.len().min(6);
            prop_assert_eq!(&stages[..first], &CustodyStage::ALL[..first]);
            let follows = |pair: &[CustodyStage]| {
                pair[1] == CustodyStage::SelfTested || pair == [CustodyStage::SelfTested, CustodyStage::Paired]
            };
            prop_assert!(stages.get(5..).unwrap_or_default().windows(2).all(follows));
            prop_assert!(custody.steps().is_sorted_by_key(|step| step.utc_us));
        }
    }
}
