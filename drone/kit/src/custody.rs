//! The kit's own word on its custody: that its checks passed, and which edge box it obeys.
//!
//! **It signs nothing unless every step before is proven**, under the trust root that it holds, by the ledger's quorum, in
//! the one order, about this kit. What was signed once is answered again, byte for byte, so that asking twice can't
//! put two different steps in one place.

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor, Custody, CustodyAnswer, CustodyRequest, CustodyStep, Event, Hash, KitStep, LedgerId, Malformed,
    Position, ProofError, Proven, REASON_BYTES_MAX, Transaction, TransactionProof, TrustRoot, Utc,
};
use farhand_mission::{CustodyRefusal, CustodyStage, KitKey, PersonKey};
use farhand_wire::{ArmNotice, Kind, PublicKey};
use thiserror::Error;

use crate::{SelfTest, TestItem, self_test::Measured};

/// Answers remembered: a kit signs two steps, and again when it was tested again.
const SIGNED_MAX: usize = 16;

/// Why the kit signs nothing.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NotSigned {
    #[error("the request is not readable: {0}")]
    Malformed(#[from] Malformed),
    #[error("the step is for ledger {seen}, this kit trusts {expected}")]
    Ledger { seen: LedgerId, expected: LedgerId },
    #[error("this kit is paired with edge box {expected}, not with {seen}")]
    Edge { seen: PublicKey, expected: PublicKey },
    #[error("custody step {number}: {why}")]
    Proof { number: usize, why: ProofError },
    #[error("custody step {number} is {seen}, expected a custody step of this kit")]
    NotCustody { number: usize, seen: &'static str },
    #[error("custody step {number} names {seen} as the one before, expected {expected}")]
    Previous { number: usize, seen: Hash, expected: Hash },
    #[error("custody step {number} stands at {seen} on the ledger, expected after {after}")]
    Order { number: usize, seen: Position, after: Position },
    #[error("custody step {number} is this kit's own word, but signed by {seen}")]
    NotOurWord { number: usize, seen: PublicKey },
    #[error("custody step {number}: {why}")]
    Step { number: usize, why: CustodyRefusal },
    #[error("no custody step is proven: the chain begins with the sealing")]
    Empty,
    #[error("a session is open: custody was settled before it")]
    SessionOpen,
    #[error("a self-test is under way: ask again when it is answered")]
    Busy,
    #[error("the self-test failed: {what}")]
    SelfTest { what: String },
}

/// A step that may be signed: who goes before it.
#[derive(Clone, Debug)]
struct Next {
    step: CustodyStep,
    sequence: u64,
    previous: Hash,
    at: Utc,
}

/// What is to be done about a request that holds.
enum Turn {
    /// It was signed before, for the same place in the chain.
    Signed(Vec<u8>),
    UnderWay,
    Next(Next),
}

/// Signs the kit's custody steps.
#[derive(Debug)]
pub(crate) struct Custodian {
    kit: PublicKey,
    edge: PublicKey,
    /// What a self-test that is under way will be signed into.
    testing: Option<Testing>,
    signed: Vec<(CustodyStep, Hash, Vec<u8>)>,
}

/// What came of a request.
pub(crate) enum Asked {
    Answer(CustodyAnswer),
    /// The loop must test itself first.
    SelfTest,
}

/// A self-test on its way, for the step that waits for it.
#[derive(Debug)]
struct Testing {
    next: Next,
    /// Arms so far, in order.
    tested: u8,
    failed: Vec<String>,
}

impl Testing {
    fn takes(&mut self, test: &SelfTest, names: &[ArmNotice], expected: ([u8; 32], [u8; 32])) {
        if test.of.number == 0 {
            (self.tested, self.failed) = (0, Vec::new());
        }
        if test.of.number != self.tested {
            return; // one was lost: whoever asked asks again
        }
        self.tested += 1;
        let name = names.get(usize::from(test.of.number)).filter(|_| test.of.arms > 1);
        let told = |failed: Measured| match name {
            Some(arm) => format!("{}: {failed}", arm.name),
            None => failed.to_string(),
        };
        self.failed.extend(failures(test, expected).map(told));
    }
}

impl Custodian {
    /// `edge`: the box that this kit is configured to obey.
    pub(crate) fn new(kit: PublicKey, edge: PublicKey) -> Self {
        Self { kit, edge, testing: None, signed: Vec::new() }
    }

    /// Takes a request. `settled`: a session is open, and only what was signed before it is answered again.
    pub(crate) fn ask(
        &mut self,
        content: &[u8],
        settled: bool,
        trust: &TrustRoot,
        key: &SigningKey,
    ) -> Result<Asked, NotSigned> {
        let request = CustodyRequest::read(content)?;
        Ok(match self.next(&request, settled, trust) {
            Ok(Turn::Signed(signed)) => Asked::Answer(CustodyAnswer::Signed(signed)),
            // Whatever of the test was lost on its way: it begins again.
            Ok(Turn::UnderWay) => Asked::SelfTest,
            Ok(Turn::Next(next)) if request.step == KitStep::SelfTested => {
                self.testing = Some(Testing { next, tested: 0, failed: Vec::new() });
                Asked::SelfTest
            }
            Ok(Turn::Next(next)) => Asked::Answer(self.sign(next, trust, key)),
            Err(why) => Asked::Answer(refused(request.step, &why)),
        })
    }

    /// The loop has tested one arm, if it was asked to for a request; the answer follows from all of them. `names`: the arms'.
    pub(crate) fn tested(
        &mut self,
        test: &SelfTest,
        names: &[ArmNotice],
        expected: ([u8; 32], [u8; 32]),
        trust: &TrustRoot,
        key: &SigningKey,
    ) -> Option<CustodyAnswer> {
        let testing = self.testing.as_mut()?;
        testing.takes(test, names, expected);
        if testing.tested < test.of.arms {
            return None;
        }
        let Testing { next, failed, .. } = self.testing.take()?;
        if failed.is_empty() {
            return Some(self.sign(next, trust, key));
        }
        Some(refused(KitStep::SelfTested, &NotSigned::SelfTest { what: failed.join("; ") }))
    }

    fn next(&self, request: &CustodyRequest, settled: bool, trust: &TrustRoot) -> Result<Turn, NotSigned> {
        self.is_for_us(request, trust)?;
        let step = match request.step {
            KitStep::SelfTested => CustodyStep::SelfTested,
            KitStep::Paired => CustodyStep::Paired { edge: request.edge },
        };
        let last = request.proofs.last().ok_or(NotSigned::Empty)?;
        let previous = Hash::of(&last.transaction);
        let before =
            |(signed, after, _): &&(CustodyStep, Hash, Vec<u8>)| (*signed, *after) == (step, previous);
        if let Some((_, _, signed)) = self.signed.iter().find(before) {
            return Ok(Turn::Signed(signed.clone()));
        }
        if settled {
            return Err(NotSigned::SessionOpen);
        }
        match &self.testing {
            Some(Testing { next, .. }) if (next.step, next.previous) == (step, previous) => {
                return Ok(Turn::UnderWay);
            }
            Some(_) => return Err(NotSigned::Busy),
            None => {}
        }
        let sequence = self.follows(step, request, trust)?;
        Ok(Turn::Next(Next { step, sequence, previous, at: request.at }))
    }

    fn is_for_us(&self, request: &CustodyRequest, trust: &TrustRoot) -> Result<(), NotSigned> {
        if request.ledger != trust.ledger() {
            return Err(NotSigned::Ledger { seen: request.ledger, expected: trust.ledger() });
        }
        if request.edge != self.edge {
            return Err(NotSigned::Edge { seen: request.edge, expected: self.edge });
        }
        Ok(())
    }

    /// The sequence of `step`, if the proofs show an unbroken chain that it may follow.
    fn follows(
        &self,
        step: CustodyStep,
        request: &CustodyRequest,
        trust: &TrustRoot,
    ) -> Result<u64, NotSigned> {
        let mut chain = ChainCheck::new(self.kit);
        request.proofs.iter().try_for_each(|proof| chain.take(proof, trust))?;
        let number = request.proofs.len();
        chain.admit(number, step, self.kit, request.at)?;
        Ok(chain.newest.map_or(1, |(_, custody)| custody.sequence + 1))
    }

    fn sign(&mut self, next: Next, trust: &TrustRoot, key: &SigningKey) -> CustodyAnswer {
        let Next { step, sequence, previous, at } = next;
        let custody = Custody { kit: self.kit, sequence, step, previous };
        let transaction = Transaction { ledger: trust.ledger(), at, event: Event::Custody(custody) };
        let kit_step = if step == CustodyStep::SelfTested { KitStep::SelfTested } else { KitStep::Paired };
        match transaction.sign(key) {
            Ok(signed) => {
                if self.signed.len() == SIGNED_MAX {
                    self.signed.remove(0);
                }
                self.signed.push((step, previous, signed.clone()));
                CustodyAnswer::Signed(signed)
            }
            Err(why) => refused(kit_step, &why.into()),
        }
    }
}

/// Goes through proven steps, one after the other.
struct ChainCheck {
    kit: PublicKey,
    rules: farhand_mission::Custody,
    first: u64,
    newest: Option<(Proven, Custody)>,
    latest_us: u64,
}

impl ChainCheck {
    fn new(kit: PublicKey) -> Self {
        let rules = farhand_mission::Custody::new(KitKey(kit.0));
        Self { kit, rules, first: 1, newest: None, latest_us: 0 }
    }

    fn take(&mut self, proof: &TransactionProof, trust: &TrustRoot) -> Result<(), NotSigned> {
        let number = self.rules.steps().len();
        let proven = proof.check(trust).map_err(|why| NotSigned::Proof { number, why })?;
        let Event::Custody(custody) = &proven.transaction.event else {
            return Err(NotSigned::NotCustody { number, seen: proven.transaction.event.name() });
        };
        let custody = custody.clone();
        self.links(number, &proven, &custody)?;
        self.step(number, custody.step, custody.kit, custody.sequence, proven.author, proven.transaction.at)?;
        self.newest = Some((proven, custody));
        Ok(())
    }

    /// It names the step before, and stands after it on the ledger.
    fn links(&mut self, number: usize, proven: &Proven, custody: &Custody) -> Result<(), NotSigned> {
        let Some((before, _)) = &self.newest else {
            // A kit has lives before this one; only the very first step has nothing before it.
            self.first = custody.sequence;
            return match (custody.sequence, custody.previous) {
                (1, seen) if seen != Hash::ZERO => {
                    Err(NotSigned::Previous { number, seen, expected: Hash::ZERO })
                }
                _ => Ok(()),
            };
        };
        if custody.previous != before.hash {
            return Err(NotSigned::Previous { number, seen: custody.previous, expected: before.hash });
        }
        if proven.position <= before.position {
            return Err(NotSigned::Order { number, seen: proven.position, after: before.position });
        }
        Ok(())
    }

    /// The step that is to be signed, as if it were there already.
    fn admit(&mut self, number: usize, step: CustodyStep, who: PublicKey, at: Utc) -> Result<(), NotSigned> {
        let sequence = self.first + number as u64;
        self.step(number, step, self.kit, sequence, who, at)
    }

    fn step(
        &mut self,
        number: usize,
        step: CustodyStep,
        kit: PublicKey,
        sequence: u64,
        who: PublicKey,
        at: Utc,
    ) -> Result<(), NotSigned> {
        let ours = matches!(step, CustodyStep::SelfTested | CustodyStep::Paired { .. });
        if ours && who != self.kit {
            return Err(NotSigned::NotOurWord { number, seen: who });
        }
        let utc_us = self.not_before_the_last(at);
        let step = farhand_mission::CustodyStep {
            stage: stage(step),
            kit: KitKey(kit.0),
            who: PersonKey(who.0),
            utc_us,
            sequence: u32::try_from(sequence.wrapping_sub(self.first)).unwrap_or(u32::MAX),
        };
        self.rules.admit(step).map_err(|why| NotSigned::Step { number, why })?;
        self.latest_us = utc_us;
        Ok(())
    }

    /// Clocks of different people: a time that lies before the last, but within its own uncertainty of it, is no step back.
    fn not_before_the_last(&self, at: Utc) -> u64 {
        if at.us.saturating_add(at.uncertainty_us) >= self.latest_us {
            at.us.max(self.latest_us)
        } else {
            at.us
        }
    }
}

fn stage(step: CustodyStep) -> CustodyStage {
    match step {
        CustodyStep::Sealed => CustodyStage::Sealed,
        CustodyStep::Loaded => CustodyStage::Loaded,
        CustodyStep::Airborne => CustodyStage::Airborne,
        CustodyStep::Landed => CustodyStage::Landed,
        CustodyStep::Unsealed => CustodyStage::Unsealed,
        CustodyStep::SelfTested => CustodyStage::SelfTested,
        CustodyStep::Paired { .. } => CustodyStage::Paired,
    }
}

/// What failed, the digests that this kit answers for included.
fn failures(test: &SelfTest, (limits, arm): ([u8; 32], [u8; 32])) -> impl Iterator<Item = Measured> {
    let agrees = |item, agree: bool| Measured { item, value: f64::from(u8::from(agree)), min: 1.0, max: 1.0 };
    let digests = [
        agrees(TestItem::LimitsDigest, test.limits_digest == limits),
        agrees(TestItem::ArmDigest, test.arm_digest == arm),
    ];
    test.failed()
        .copied()
        .chain(digests.into_iter().filter(|it| !it.passes()))
        .collect::<Vec<_>>()
        .into_iter()
}

fn refused(step: KitStep, why: &NotSigned) -> CustodyAnswer {
    let mut why = why.to_string();
    // Words in their bounds, whatever a proof brought with it.
    let end = (0..=REASON_BYTES_MAX.min(why.len())).rev().find(|at| why.is_char_boundary(*at)).unwrap_or(0);
    why.truncate(end);
    CustodyAnswer::Refused { step, why }
}

/// The answer as it travels.
pub(crate) fn message(answer: &CustodyAnswer) -> Vec<u8> {
    Kind::CustodyAnswer.wrap(&answer.to_bytes())
}
