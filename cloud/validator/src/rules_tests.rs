use std::{collections::BTreeMap, sync::LazyLock};

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor as _, Endorsement, Export, Member, RosterAddition, Validator, five_keys::FiveKeys, merkle,
};

use super::*;

static LEDGER: LazyLock<FiveKeys> = LazyLock::new(|| FiveKeys::new([9; 32]));
static HOSPITAL: LazyLock<PublicKey> = LazyLock::new(|| LEDGER.trust().hospitals()[0]);
const SESSION: SessionId = SessionId([1; 16]);
const EDGE: PublicKey = PublicKey([11; 32]);
const KIT: PublicKey = PublicKey([12; 32]);
const FIELD: PublicKey = PublicKey([13; 32]);
const SURGEON: PublicKey = PublicKey([14; 32]);
const AT: Utc = Utc { us: 1_000_000_000, uncertainty_us: 1000 };

/// A chain of blocks of one transaction each.
#[derive(Default)]
struct Chain {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    height: u64,
}

impl ChainState for Chain {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.state.get(key).cloned()
    }
}

impl Chain {
    fn write(&mut self, author: PublicKey, event: Event) -> Result<Hash, Inadmissible> {
        self.write_at(author, AT, event)
    }

    fn write_at(&mut self, author: PublicKey, at: Utc, event: Event) -> Result<Hash, Inadmissible> {
        let transaction = farhand_ledger::Transaction { ledger: LEDGER.trust().ledger(), at, event };
        let hash = Hash::of(&farhand_ledger::Cbor::to_bytes(&transaction));
        self.apply(&Authored { author, transaction, hash }).map(|()| hash)
    }

    fn apply(&mut self, authored: &Authored) -> Result<(), Inadmissible> {
        let rules = Rules::of(LEDGER.trust(), LEDGER.trust().newest());
        let mut draft = Draft::over(self);
        let here = Here { place: Place { epoch: 0, height: self.height, index: 0 }, at: AT };
        rules.apply(&mut draft, here, authored)?;
        let changes: Vec<_> = draft.into_changes().collect();
        self.state.extend(changes);
        self.height += 1;
        Ok(())
    }

    fn granted() -> Self {
        let mut chain = Self::default();
        for (key, role) in [(FIELD, Role::Field), (SURGEON, Role::Surgeon)] {
            chain.write(*HOSPITAL, grant(key, role, AT.us / 1000)).unwrap();
        }
        chain
    }

    fn custody(
        &mut self,
        author: PublicKey,
        sequence: u64,
        step: CustodyStep,
        previous: Hash,
    ) -> Result<Hash, Inadmissible> {
        self.write(author, Event::Custody(Custody { kit: KIT, sequence, step, previous }))
    }

    fn delivered() -> (Self, Hash) {
        use CustodyStep::{Airborne, Landed, Loaded, Paired, Sealed, SelfTested, Unsealed};
        let mut chain = Self::granted();
        let steps = [
            (FIELD, Sealed),
            (FIELD, Loaded),
            (FIELD, Airborne),
            (FIELD, Landed),
            (FIELD, Unsealed),
            (KIT, SelfTested),
            (KIT, Paired { edge: EDGE }),
        ];
        let mut tail = Hash::ZERO;
        for (sequence, (author, step)) in (1..).zip(steps) {
            tail = chain.custody(author, sequence, step, tail).unwrap();
        }
        (chain, tail)
    }

    fn opened() -> Self {
        let (mut chain, custody) = Self::delivered();
        let consent = chain.write(*HOSPITAL, consent(true)).unwrap();
        chain.write(*HOSPITAL, opening(consent, custody)).unwrap();
        chain
    }
}

fn grant(key: PublicKey, role: Role, until_utc_ms: u64) -> Event {
    Event::Grant(Grant { key, role, pseudonym: "one".to_owned(), until_utc_ms })
}

fn consent(given: bool) -> Event {
    Event::Consent(Consent { session: SESSION, commitment: Hash::of(b"form"), given })
}

fn opening(consent: Hash, custody: Hash) -> Event {
    Event::SessionOpened(Opening {
        session: SESSION,
        roster: vec![Member { key: SURGEON, role: Role::Surgeon, pseudonym: "one".to_owned() }],
        edge: EDGE,
        kit: KIT,
        limits_digest: Hash::ZERO,
        arm_digest: Hash::ZERO,
        consent,
        custody,
    })
}

fn checkpoint(first: u64, size: u64) -> Checkpoint {
    let root = |size: u64| if size == 0 { merkle::empty_root() } else { Hash::of(&size.to_le_bytes()) };
    Checkpoint {
        session: SESSION,
        tree_size: size,
        root: root(size),
        previous_root: root(first),
        first_sequence: first,
        last_sequence: size - 1,
    }
}

fn sealing(size: u64) -> Event {
    let root = Hash::of(&size.to_le_bytes());
    Event::Sealed(Sealing {
        session: SESSION,
        tree_size: size,
        root,
        manifest: Hash::ZERO,
        commands: 1,
        frames: 1,
    })
}

/// Goal: a session goes from grants to sealing, and only its own order is possible.
#[test]
fn a_session_is_written_from_opening_to_sealing() {
    let mut chain = Chain::opened();
    chain.write(EDGE, Event::Checkpoint(checkpoint(0, 10))).unwrap();
    chain.write(EDGE, Event::Checkpoint(checkpoint(10, 15))).unwrap();
    assert!(matches!(
        chain.write(EDGE, sealing(10)),
        Err(Inadmissible::SealsOther { seen: 10, expected: 15, .. })
    ));
    chain.write(EDGE, sealing(15)).unwrap();
    let late = chain.write(EDGE, Event::Checkpoint(checkpoint(15, 20)));
    assert!(matches!(late, Err(Inadmissible::Sealed { .. })));
    let export = Event::Exported(Export { session: SESSION, bundle: Hash::ZERO, bytes: 1 });
    assert!(matches!(chain.write(EDGE, export.clone()), Err(Inadmissible::NotGranted { .. })));
    chain.write(SURGEON, export).unwrap();
}

/// Goal: a checkpoint that shrinks, forks, skips, or is not by the session's edge box is refused and changes nothing.
#[test]
fn only_the_edge_box_continues_the_log_and_only_forward() {
    let mut chain = Chain::opened();
    chain.write(EDGE, Event::Checkpoint(checkpoint(0, 10))).unwrap();
    let before = chain.state.clone();
    let forks = Checkpoint { previous_root: Hash::of(b"other"), ..checkpoint(10, 12) };
    let skips = Checkpoint { first_sequence: 11, ..checkpoint(10, 12) };
    for (wrong, why) in [
        (Checkpoint { tree_size: 10, ..checkpoint(10, 12) }, "Shrinks"),
        (checkpoint(0, 9), "Shrinks"),
        (forks, "Forks"),
        (skips, "Skips"),
    ] {
        let answer = chain.write(EDGE, Event::Checkpoint(wrong));
        assert!(format!("{answer:?}").contains(why), "{answer:?}");
    }
    let stranger = chain.write(SURGEON, Event::Checkpoint(checkpoint(10, 12)));
    assert_eq!(stranger, Err(Inadmissible::NotTheEdge { author: SURGEON, expected: EDGE }));
    assert_eq!(chain.state, before);
}

/// Goal: a session opens only with consent that still stands, whole custody, and people whom a hospital has granted.
#[test]
fn a_session_opens_only_with_consent_custody_and_grants() {
    let (mut chain, custody) = Chain::delivered();
    let given = chain.write(*HOSPITAL, consent(true)).unwrap();
    let not_hospital = chain.write(SURGEON, opening(given, custody));
    assert_eq!(not_hospital, Err(Inadmissible::NotAHospital { author: SURGEON }));
    assert!(matches!(
        chain.write(*HOSPITAL, opening(given, Hash::ZERO)),
        Err(Inadmissible::CustodyOpen { .. })
    ));
    chain.write(*HOSPITAL, consent(false)).unwrap();
    assert!(matches!(chain.write(*HOSPITAL, opening(given, custody)), Err(Inadmissible::Consent { .. })));
    let again = chain.write_at(*HOSPITAL, Utc { us: 5, uncertainty_us: 1 }, consent(true)).unwrap();
    chain.write(*HOSPITAL, grant(SURGEON, Role::Surgeon, 0)).unwrap();
    assert!(matches!(chain.write(*HOSPITAL, opening(again, custody)), Err(Inadmissible::GrantEnded { .. })));
    chain.write(*HOSPITAL, grant(SURGEON, Role::Surgeon, u64::MAX)).unwrap();
    chain.write(*HOSPITAL, opening(again, custody)).unwrap();
    let stranger = Member { key: EDGE, role: Role::Surgeon, pseudonym: "two".to_owned() };
    let addition = Event::RosterAdded(RosterAddition { session: SESSION, member: stranger });
    assert!(matches!(chain.write(*HOSPITAL, addition), Err(Inadmissible::NotGranted { .. })));
}

/// Goal: no step of custody can be left out, repeated, forked or signed by somebody else.
#[test]
fn custody_is_unbroken() {
    let mut chain = Chain::granted();
    let early = chain.custody(FIELD, 1, CustodyStep::Loaded, Hash::ZERO);
    assert!(matches!(early, Err(Inadmissible::CustodyStep { .. })));
    assert!(matches!(
        chain.custody(KIT, 1, CustodyStep::Sealed, Hash::ZERO),
        Err(Inadmissible::NotGranted { .. })
    ));
    let sealed = chain.custody(FIELD, 1, CustodyStep::Sealed, Hash::ZERO).unwrap();
    assert!(matches!(
        chain.custody(FIELD, 3, CustodyStep::Loaded, sealed),
        Err(Inadmissible::CustodySequence { .. })
    ));
    assert!(matches!(
        chain.custody(FIELD, 2, CustodyStep::Loaded, Hash::ZERO),
        Err(Inadmissible::CustodyForks { .. })
    ));
    assert!(matches!(
        chain.custody(FIELD, 2, CustodyStep::Landed, sealed),
        Err(Inadmissible::CustodyStep { .. })
    ));
    let mut tail = sealed;
    for (sequence, step) in [
        (2, CustodyStep::Loaded),
        (3, CustodyStep::Airborne),
        (4, CustodyStep::Landed),
        (5, CustodyStep::Unsealed),
    ] {
        tail = chain.custody(FIELD, sequence, step, tail).unwrap();
    }
    let by_field = chain.custody(FIELD, 6, CustodyStep::SelfTested, tail);
    assert_eq!(by_field, Err(Inadmissible::NotTheKit { author: FIELD, kit: KIT }));
}

/// Goal: a transaction is written once, on its own ledger, and not before its time.
#[test]
fn a_transaction_is_written_once_on_its_ledger_and_not_from_the_future() {
    let mut chain = Chain::default();
    let event = grant(FIELD, Role::Field, 1);
    chain.write(*HOSPITAL, event.clone()).unwrap();
    let repeated = chain.write(*HOSPITAL, event.clone());
    assert_eq!(repeated, Err(Inadmissible::Repeated { place: Place { epoch: 0, height: 0, index: 0 } }));
    let late = Utc { us: AT.us + AUTHOR_AHEAD_US_MAX + 2001, uncertainty_us: 1000 };
    assert!(matches!(
        chain.write_at(*HOSPITAL, late, event.clone()),
        Err(Inadmissible::FromTheFuture { .. })
    ));
    chain.write_at(*HOSPITAL, Utc { us: late.us - 1, ..late }, event.clone()).unwrap();
    let transaction = farhand_ledger::Transaction { ledger: LedgerId([8; 16]), at: AT, event };
    let other = chain.apply(&Authored { author: *HOSPITAL, transaction, hash: Hash::of(b"other") });
    assert!(matches!(other, Err(Inadmissible::OtherLedger { .. })));
}

/// The epoch after the five keys' own, with others in place of some; all of the old ones that stay endorse it.
fn next(staying: usize, coming: u8, power: u64, chain: u64) -> EpochEnd {
    let ending = LEDGER.trust().newest();
    let new = |number| SigningKey::from_bytes(&[number; 32]);
    let kept = ending.validators().iter().take(staying).copied();
    let come = (1..=coming)
        .map(|number| Validator { key: PublicKey(new(number).verifying_key().to_bytes()), power });
    let hospitals = ending.hospitals().to_vec();
    let next = Epoch::new(ending.ledger(), 1, chain, kept.chain(come).collect(), hospitals).unwrap();
    let keys = LEDGER.validators();
    let endorsements = keys.iter().map(|key| Endorsement::sign(ending, &next, key).into()).collect();
    EpochEnd { previous: ending.hash(), next: next.to_bytes(), endorsements }
}

/// Goal: an epoch ends only for one that these validators can go on with: endorsed by a quorum, of equal votes, on a chain
/// of its own, and with a quorum of those who are there already; and nothing is written behind its end, not even a
/// second end.
#[test]
fn an_epoch_ends_once_and_for_one_that_can_go_on() {
    let mut chain = Chain::granted();
    let end = |end| Event::EpochEnded(end);
    let few = EpochEnd { endorsements: next(4, 1, 1, 77).endorsements[..3].to_vec(), ..next(4, 1, 1, 77) };
    let refused = chain.write(SURGEON, end(few));
    assert!(matches!(refused, Err(Inadmissible::EpochEnd(BadEpochEnd::Quorum { power: 3, quorum: 4 }))));
    let same = chain.write(SURGEON, end(next(4, 1, 1, LEDGER.trust().chain())));
    assert!(matches!(same, Err(Inadmissible::EpochEnd(BadEpochEnd::Chain { .. }))));
    let heavy = chain.write(SURGEON, end(next(5, 2, 2, 77)));
    assert!(matches!(heavy, Err(Inadmissible::Power { seen: 2, .. })));
    let strangers = chain.write(SURGEON, end(next(3, 2, 1, 77)));
    assert!(matches!(strangers, Err(Inadmissible::Staying { staying: 3, quorum: 4 })));
    let more = chain.write(SURGEON, end(next(5, 3, 1, 77)));
    assert!(matches!(more, Err(Inadmissible::Staying { staying: 5, quorum: 6 })));

    chain.write(SURGEON, end(next(5, 2, 1, 77))).unwrap();
    let behind = chain.write(*HOSPITAL, grant(FIELD, Role::Field, 7));
    assert_eq!(behind, Err(Inadmissible::AfterEnd { epoch: 0 }));
    assert_eq!(chain.write(SURGEON, end(next(4, 1, 1, 78))), Err(Inadmissible::AfterEnd { epoch: 0 }));
}
