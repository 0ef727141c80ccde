//! A session's opening, checked: what the kit needs to see before it arms (P12), and what a verifier starts from.
//!
//! Invariant (global): **a [`VerifiedOpening`] exists only if a quorum committed the opening, the consent and an unbroken
//! chain of custody that ends in this kit being paired with this edge box, and a hospital of the trust root opened it.**
//! Its fields are private, it can't be decoded, and [`verify_opening`] is the only way to make one.

use farhand_wire::{PublicKey, Role, SessionId};
use minicbor::{Decode, Encode};

use crate::{
    Cbor, Consent, Custody, CustodyStep, Event, Hash, LedgerId, Malformed, Member, Opening, Position,
    ProofError, Proven, ROSTER_MAX, TransactionProof, TrustRoot, Utc, cbor::within,
};

/// From sealed to paired.
const CUSTODY_MIN: usize = 7;
/// With a kit that was tested again and again.
const CUSTODY_MAX: usize = 64;

/// All proofs that an opening needs, in one message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpeningEvidence {
    #[n(0)]
    pub opening: TransactionProof,
    #[n(1)]
    pub consent: TransactionProof,
    /// From the kit's sealing to its pairing, every step.
    #[n(2)]
    pub custody: Vec<TransactionProof>,
}

impl Cbor for OpeningEvidence {
    const WHAT: &'static str = "opening evidence";
    const BYTES_MAX: usize = 1024 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        within("custody proofs", self.custody.len() as u64, 0, CUSTODY_MAX as u64)?;
        [&self.opening, &self.consent].into_iter().chain(&self.custody).try_for_each(Cbor::check)
    }
}

/// An opening that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedOpening {
    ledger: LedgerId,
    opening: Opening,
    hash: Hash,
    opened: Utc,
    position: Position,
}

/// The session's opening, if the evidence proves it under `trust`.
pub fn verify_opening(evidence: &OpeningEvidence, trust: &TrustRoot) -> Result<VerifiedOpening, ProofError> {
    let proven = evidence.opening.check(trust)?;
    let Event::SessionOpened(opening) = &proven.transaction.event else {
        return Err(proven.unexpected("a session's opening"));
    };
    by_hospital("the opening", &proven, trust)?;
    check_roster(opening)?;
    check_consent(&evidence.consent.check(trust)?, opening, &proven, trust)?;
    check_custody(&evidence.custody, opening, &proven, trust)?;
    Ok(VerifiedOpening {
        ledger: trust.ledger(),
        opening: opening.clone(),
        hash: proven.hash,
        opened: proven.transaction.at,
        position: proven.position,
    })
}

impl VerifiedOpening {
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    #[must_use]
    pub fn session(&self) -> SessionId {
        self.opening.session
    }

    /// The people.
    #[must_use]
    pub fn roster(&self) -> &[Member] {
        &self.opening.roster
    }

    /// The person with that key.
    #[must_use]
    pub fn member(&self, key: PublicKey) -> Option<&Member> {
        self.opening.roster.iter().find(|member| member.key == key)
    }

    /// The edge box's device key.
    #[must_use]
    pub fn edge(&self) -> PublicKey {
        self.opening.edge
    }

    /// The kit's device key.
    #[must_use]
    pub fn kit(&self) -> PublicKey {
        self.opening.kit
    }

    /// SHA-256 of the limits that the kit must run with.
    #[must_use]
    pub fn limits_digest(&self) -> Hash {
        self.opening.limits_digest
    }

    /// SHA-256 of the arm's file.
    #[must_use]
    pub fn arm_digest(&self) -> Hash {
        self.opening.arm_digest
    }

    /// Hash of the opening transaction.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Hash of the consent transaction.
    #[must_use]
    pub fn consent(&self) -> Hash {
        self.opening.consent
    }

    /// Hash of the last custody transaction.
    #[must_use]
    pub fn custody(&self) -> Hash {
        self.opening.custody
    }

    /// When, by the hospital's clock.
    #[must_use]
    pub fn opened(&self) -> Utc {
        self.opened
    }

    /// The opening with one more person, if `proof` shows that a hospital added them later.
    pub fn with_addition(mut self, proof: &TransactionProof, trust: &TrustRoot) -> Result<Self, ProofError> {
        let proven = proof.check(trust)?;
        let Event::RosterAdded(addition) = &proven.transaction.event else {
            return Err(proven.unexpected("an addition to a roster"));
        };
        by_hospital("the addition to the roster", &proven, trust)?;
        same_session("the addition to the roster", addition.session, self.session())?;
        after("the addition to the roster", proven.position, self.position)?;
        self.opening.roster.push(addition.member.clone());
        check_roster(&self.opening)?;
        Ok(self)
    }
}

/// People only, each once, at least one to operate and one at the bedside; and two machines that are neither.
fn check_roster(opening: &Opening) -> Result<(), ProofError> {
    let count = |wanted: Role| opening.roster.iter().filter(|member| member.role == wanted).count();
    let machines = count(Role::Edge) + count(Role::Kit);
    for (what, seen, min, max) in [
        ("surgeons", count(Role::Surgeon), 1, ROSTER_MAX),
        ("people at the bedside", count(Role::Bedside), 1, ROSTER_MAX),
        ("machines among the people", machines, 0, 0),
        ("people", opening.roster.len(), 2, ROSTER_MAX),
    ] {
        if !(min..=max).contains(&seen) {
            return Err(ProofError::Roster { what, seen, min, max });
        }
    }
    let mut keys: Vec<PublicKey> = opening.roster.iter().map(|member| member.key).collect();
    keys.extend([opening.edge, opening.kit]);
    keys.sort();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ProofError::SameKey { seen: pair[0] }),
        None => Ok(()),
    }
}

fn check_consent(
    proven: &Proven,
    opening: &Opening,
    opened: &Proven,
    trust: &TrustRoot,
) -> Result<(), ProofError> {
    let Event::Consent(Consent { session, given, .. }) = proven.transaction.event else {
        return Err(proven.unexpected("a consent"));
    };
    by_hospital("the consent", proven, trust)?;
    same_session("the consent", session, opening.session)?;
    refers("the consent", proven.hash, opening.consent)?;
    after("the opening", opened.position, proven.position)?;
    if given { Ok(()) } else { Err(ProofError::ConsentWithdrawn) }
}

/// Every step is proven, of this kit, in order, and names the one before; the last one is what the opening names.
fn check_custody(
    proofs: &[TransactionProof],
    opening: &Opening,
    opened: &Proven,
    trust: &TrustRoot,
) -> Result<(), ProofError> {
    let seen = proofs.len();
    if !(CUSTODY_MIN..=CUSTODY_MAX).contains(&seen) {
        return Err(ProofError::CustodyLength { seen, min: CUSTODY_MIN, max: CUSTODY_MAX });
    }
    let mut newest: Option<(Proven, Custody)> = None;
    for proof in proofs {
        let proven = proof.check(trust)?;
        let Event::Custody(custody) = &proven.transaction.event else {
            return Err(proven.unexpected("a custody step"));
        };
        let custody = custody.clone();
        check_step(&proven, &custody, newest.as_ref(), opening)?;
        newest = Some((proven, custody));
    }
    let (last, custody) = newest.expect("at least seven steps were counted");
    refers("the last custody step", last.hash, opening.custody)?;
    after("the opening", opened.position, last.position)?;
    match custody.step {
        CustodyStep::Paired { edge } => {
            same_key("the edge box that the kit is paired with", edge, opening.edge)
        }
        seen => Err(ProofError::CustodyEnd { seen }),
    }
}

fn check_step(
    proven: &Proven,
    custody: &Custody,
    newest: Option<&(Proven, Custody)>,
    opening: &Opening,
) -> Result<(), ProofError> {
    same_key("the custody step", custody.kit, opening.kit)?;
    if matches!(custody.step, CustodyStep::SelfTested | CustodyStep::Paired { .. }) {
        same_key("the kit's own word", proven.author, opening.kit)?;
    }
    let (sequence, seen) = (custody.sequence, custody.step);
    let Some((before, previous)) = newest else {
        return check_first_step(custody);
    };
    let expected = previous.sequence.saturating_add(1);
    if sequence != expected {
        return Err(ProofError::CustodySequence { seen: sequence, expected });
    }
    if !seen.may_follow(previous.step) || seen == CustodyStep::Sealed {
        return Err(ProofError::CustodyOrder { sequence, seen, previous: Some(previous.step) });
    }
    refers("the custody step before", custody.previous, before.hash)?;
    after("the custody step", proven.position, before.position)
}

/// A kit has lives before this one; this chain begins where it was sealed.
fn check_first_step(custody: &Custody) -> Result<(), ProofError> {
    let (sequence, seen) = (custody.sequence, custody.step);
    if seen != CustodyStep::Sealed {
        return Err(ProofError::CustodyOrder { sequence, seen, previous: None });
    }
    if sequence == 1 {
        refers("the custody step before the first", custody.previous, Hash::ZERO)
    } else {
        Ok(())
    }
}

fn by_hospital(what: &'static str, proven: &Proven, trust: &TrustRoot) -> Result<(), ProofError> {
    let (seen, epoch) = (proven.author, proven.position.epoch);
    if trust.is_hospital(seen, epoch) { Ok(()) } else { Err(ProofError::Author { what, seen }) }
}

fn same_session(what: &'static str, seen: SessionId, expected: SessionId) -> Result<(), ProofError> {
    if seen == expected { Ok(()) } else { Err(ProofError::Session { what, seen, expected }) }
}

fn same_key(what: &'static str, seen: PublicKey, expected: PublicKey) -> Result<(), ProofError> {
    if seen == expected { Ok(()) } else { Err(ProofError::Key { what, seen, expected }) }
}

fn refers(what: &'static str, seen: Hash, expected: Hash) -> Result<(), ProofError> {
    if seen == expected { Ok(()) } else { Err(ProofError::Reference { what, seen, expected }) }
}

fn after(what: &'static str, seen: Position, after: Position) -> Result<(), ProofError> {
    if seen > after { Ok(()) } else { Err(ProofError::Order { what, seen, after }) }
}
