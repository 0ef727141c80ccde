//! What proofs promise: a good one holds, and nothing else does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use ed25519_dalek::{Signer, SigningKey};
use farhand_ledger::{
    BadCertificate, BadCommit, BadTrust, Batch, Cbor, Certificate, Checkpoint, CheckpointError, Consent,
    Custody, CustodyStep, Event, Hash, Header, LedgerId, Malformed, Member, Opening, OpeningEvidence,
    Position, ProofError, Transaction, TransactionProof, TrustRoot, Utc, Validator,
    five_keys::{FiveKeys, Plan},
    merkle, verify_opening, vote_payload,
};
use farhand_wire::{PublicKey, Role, SessionId};
use proptest::prelude::*;

const AT: Utc = Utc { us: 1_760_000_000_000_000, uncertainty_us: 50_000 };

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

fn person(number: u8, role: Role) -> Member {
    Member { key: public(number), role, pseudonym: format!("person {number}") }
}

const SURGEON: u8 = 1;
const BEDSIDE: u8 = 2;
const FIELD: u8 = 3;
const EDGE: u8 = 4;
const KIT: u8 = 5;

/// A checkpoint committed between two others.
fn some_proof() -> (FiveKeys, TransactionProof) {
    let mut keys = FiveKeys::new([7; 32]);
    let checkpoint = |size: u64| Checkpoint {
        session: SessionId([9; 16]),
        tree_size: size,
        root: Hash::of(&size.to_le_bytes()),
        previous_root: merkle::empty_root(),
        first_sequence: 0,
        last_sequence: size - 1,
    };
    let transactions = [3, 5, 8]
        .map(|size| keys.sign(&key(EDGE), AT, Event::Checkpoint(checkpoint(size))).unwrap())
        .to_vec();
    let proofs = keys.commit(AT, transactions).unwrap();
    (keys, proofs[1].clone())
}

fn some_opening() -> (FiveKeys, OpeningEvidence) {
    let mut keys = FiveKeys::new([8; 32]);
    let plan = Plan {
        session: SessionId([9; 16]),
        roster: vec![person(SURGEON, Role::Surgeon), person(BEDSIDE, Role::Bedside)],
        edge: public(EDGE),
        kit: &key(KIT),
        field: &key(FIELD),
        limits_digest: Hash::of(b"limits"),
        arm_digest: Hash::of(b"arm"),
        at: AT,
    };
    let evidence = keys.open(plan).unwrap();
    (keys, evidence)
}

/// Commits the event in place of the one that `proof` shows.
fn instead(keys: &mut FiveKeys, author: &SigningKey, event: Event) -> TransactionProof {
    let transaction = keys.sign(author, AT, event).unwrap();
    keys.commit(AT, vec![transaction]).unwrap().remove(0)
}

fn opening_of(evidence: &OpeningEvidence) -> Opening {
    match Transaction::open(&evidence.opening.transaction).unwrap().transaction.event {
        Event::SessionOpened(opening) => opening,
        other => panic!("{other:?}"),
    }
}

/// Goal: a proof holds, also after it has travelled, and says who, what, where and when.
#[test]
fn a_proof_holds_and_says_what_was_committed() {
    let (keys, proof) = some_proof();
    let proven = TransactionProof::read(&proof.to_bytes()).unwrap().check(keys.trust()).unwrap();
    assert_eq!(proven.author, public(EDGE));
    assert_eq!(proven.hash, Hash::of(&proof.transaction));
    assert_eq!(proven.position, Position { epoch: 0, height: 1, index: 1 });
    assert_eq!(proven.committed, AT);
    assert!(matches!(proven.transaction.event, Event::Checkpoint(Checkpoint { tree_size: 5, .. })));
}

/// Goal: whichever byte of a proof is changed, it no longer holds.
#[test]
fn every_byte_flip_is_refused() {
    let (keys, proof) = some_proof();
    let good = proof.to_bytes();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            let verdict =
                TransactionProof::read(&bad).map_err(ProofError::from).and_then(|p| p.check(keys.trust()));
            assert!(verdict.is_err(), "byte {at} of {} flipped by {bit:#x} still holds", good.len());
        }
    }
}

/// Goal: one signature fewer than a quorum is refused, in whichever of the three certificates it is missing.
#[test]
fn one_signature_fewer_than_a_quorum_is_refused() {
    let (keys, good) = some_proof();
    // The last certificate is in no header, so its loss breaks no hash and only the count can catch it.
    let mut proof = good;
    let slot = proof.commit.certificate.signatures.iter_mut().find(|slot| slot.is_some()).unwrap();
    *slot = None;
    let error = BadCertificate::Quorum { power: 3, quorum: 4 };
    let expected = ProofError::Commit(BadCommit::Certificate { height: 3, error });
    assert_eq!(proof.check(keys.trust()), Err(expected));
}

/// Five keys of our own, so that a test can build what no ledger would.
struct Forge {
    keys: Vec<SigningKey>,
    trust: TrustRoot,
}

impl Forge {
    fn new() -> Self {
        let mut keys: Vec<SigningKey> = (21..26).map(key).collect();
        keys.sort_by_key(|key| key.verifying_key().to_bytes());
        let validator =
            |key: &SigningKey| Validator { key: PublicKey(key.verifying_key().to_bytes()), power: 1 };
        let validators = keys.iter().map(validator).collect();
        let trust = TrustRoot::new(LedgerId([1; 16]), 1, validators, vec![public(30)]).unwrap();
        Self { keys, trust }
    }

    fn certify(&self, view: u64, block: Hash, votes: usize) -> Certificate {
        let payload = vote_payload(1, view, block, 0);
        let sign = |(at, key): (usize, &SigningKey)| (at < votes).then(|| key.sign(&payload).to_bytes());
        let signatures = self.keys.iter().enumerate().map(sign).collect();
        Certificate { chain: 1, view, block, phase: 0, signatures }
    }

    /// Block 0 and one block a view; each certified by so many votes.
    fn chain(&self, views: &[u64], votes: &[usize]) -> farhand_ledger::CommitProof {
        let mut headers = vec![];
        let mut justify = Certificate::genesis();
        for (height, (view, votes)) in (0..).zip(views.iter().zip(votes)) {
            let header = Header { height, justify, data_hash: merkle::empty_root() };
            justify = self.certify(*view, header.hash(), *votes);
            headers.push(header);
        }
        farhand_ledger::CommitProof { headers, certificate: justify }
    }
}

/// Goal: the commit rule is exactly three quorums in consecutive views; a gap in views, at either place, or a quorum that
/// is short, in any place, commits nothing.
#[test]
fn only_three_quorums_in_consecutive_views_commit() {
    let forge = Forge::new();
    let commits = |views: &[u64], votes: &[usize]| forge.chain(views, votes).check(&forge.trust).is_ok();
    assert!(commits(&[4, 5, 6], &[4, 4, 4]));
    assert!(commits(&[4, 5, 6], &[5, 4, 5]));
    for views in [[4, 5, 7], [4, 6, 7], [4, 4, 5], [6, 5, 4], [4, 5, 5]] {
        assert!(!commits(&views, &[4, 4, 4]), "{views:?}");
    }
    for votes in [[3, 4, 4], [4, 3, 4], [4, 4, 3]] {
        assert!(!commits(&[4, 5, 6], &votes), "{votes:?}");
    }
}

/// Goal: where a leader failed and views were skipped, a later run of three commits the blocks before it too.
#[test]
fn a_later_run_of_three_commits_its_ancestors() {
    let forge = Forge::new();
    let proof = forge.chain(&[2, 4, 7, 8, 9], &[4; 5]);
    let committed = proof.check(&forge.trust).unwrap();
    assert_eq!((committed.height, committed.block), (0, proof.headers[0].hash()));
}

/// Goal: certificates of another chain or phase are not ours, whoever signed them.
#[test]
fn another_chain_or_phase_is_refused() {
    let forge = Forge::new();
    for (chain, phase) in [(2, 0), (1, 1), (1, 4), (0, 0)] {
        let mut proof = forge.chain(&[4, 5, 6], &[4; 3]);
        let payload = vote_payload(chain, 6, proof.certificate.block, phase);
        proof.certificate.chain = chain;
        proof.certificate.phase = phase;
        proof.certificate.signatures =
            forge.keys.iter().map(|key| Some(key.sign(&payload).to_bytes())).collect();
        assert!(proof.check(&forge.trust).is_err(), "chain {chain} phase {phase}");
    }
}

/// Goal: five other keys prove nothing to somebody who holds this ledger's trust root.
#[test]
fn five_fresh_keys_prove_nothing() {
    let (_, proof) = some_proof();
    let others = FiveKeys::new([6; 32]);
    assert!(matches!(proof.check(others.trust()), Err(ProofError::Commit(BadCommit::Certificate { .. }))));
}

/// Goal: the same validators may keep two ledgers, and a proof on one is none on the other.
#[test]
fn a_proof_on_another_ledger_of_the_same_validators_is_refused() {
    let (keys, proof) = some_proof();
    let trust = keys.trust();
    let other = TrustRoot::new(
        LedgerId([2; 16]),
        trust.chain(),
        trust.validators().to_vec(),
        trust.hospitals().to_vec(),
    );
    assert!(matches!(proof.check(&other.unwrap()), Err(ProofError::Ledger { .. })));
}

/// Goal: a ledger of four is refused with the reason, and so is one in which a single validator is indispensable.
#[test]
fn a_ledger_that_one_crash_would_stop_is_refused() {
    let validators = |powers: &[u64]| {
        (40..)
            .zip(powers)
            .map(|(number, &power)| Validator { key: public(number), power })
            .collect::<Vec<_>>()
    };
    let root = |powers: &[u64]| TrustRoot::new(LedgerId([1; 16]), 1, validators(powers), vec![public(30)]);
    assert_eq!(root(&[1; 4]), Err(BadTrust::Validators { seen: 4, min: 5, max: 64 }));
    assert!(matches!(root(&[4, 1, 1, 1, 1]), Err(BadTrust::Needed { rest: 4, quorum: 6, .. })));
    assert!(matches!(root(&[1, 1, 0, 1, 1]), Err(BadTrust::Power { seen: 0, .. })));
    assert!(root(&[1; 5]).is_ok());
    let twice = [validators(&[1; 5]), validators(&[1])].concat();
    assert!(matches!(
        TrustRoot::new(LedgerId([1; 16]), 1, twice, vec![public(30)]),
        Err(BadTrust::Order { .. })
    ));
    assert_eq!(
        TrustRoot::new(LedgerId([1; 16]), 0, validators(&[1; 5]), vec![public(30)]),
        Err(BadTrust::Chain)
    );
}

/// Goal: a genesis file reads back as it was, and one with a changed byte is another ledger's or none.
#[test]
fn a_genesis_file_has_one_reading() {
    let trust = FiveKeys::new([1; 32]).trust().clone();
    let bytes = trust.to_bytes();
    assert_eq!(TrustRoot::read(&bytes), Ok(trust.clone()));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(
            TrustRoot::read(&changed).is_ok_and(|other| other.fingerprint() != trust.fingerprint())
                || TrustRoot::read(&changed).is_err()
        );
    }
}

/// Goal: a signed transaction is opened as it was said; one more byte, or another domain, and it is not.
#[test]
fn a_transaction_is_what_its_author_signed() {
    let consent = Consent { session: SessionId([1; 16]), commitment: Hash::of(b"form"), given: false };
    let transaction = Transaction { ledger: LedgerId([3; 16]), at: AT, event: Event::Consent(consent) };
    let bytes = transaction.sign(&key(30)).unwrap();
    assert_eq!(Transaction::open(&bytes).unwrap().transaction, transaction);
    assert!(Transaction::open(&[&bytes[..], &[0]].concat()).is_err());
    let statement = farhand_wire::Signed::new(b"farhand/v1 statement\0", &key(30), transaction.to_bytes());
    assert!(Transaction::open(&statement.to_bytes()).is_err());
}

/// Goal: the same value in other CBOR (a longer number, an endless array) is refused: one value, one encoding.
#[test]
fn another_encoding_of_the_same_value_is_refused() {
    let good = Utc { us: 1, uncertainty_us: 2 };
    let batch = Batch::new(LedgerId([3; 16]), good, vec![]).unwrap();
    let bytes = batch.to_bytes();
    assert_eq!(Batch::read(&bytes), Ok(batch));
    let at = bytes.windows(3).position(|three| three == [0x82, 1, 2]).unwrap();
    let longer = [&bytes[..=at], &[0x18, 1], &bytes[at + 2..]].concat();
    let endless = [&bytes[..at], &[0x9f, 1, 2, 0xff], &bytes[at + 3..]].concat();
    for other in [longer, endless] {
        assert_eq!(Batch::read(&other), Err(Malformed::Cbor { what: "batch" }));
    }
}

/// Goal: a checkpoint continues the one before; one that shrinks, forks, skips or is of another session does not.
#[test]
fn a_checkpoint_that_shrinks_forks_or_skips_is_refused() {
    let session = SessionId([1; 16]);
    let root = |size: u64| Hash::of(&size.to_le_bytes());
    let step = |from: u64, to: u64| Checkpoint {
        session,
        tree_size: to,
        root: root(to),
        previous_root: if from == 0 { merkle::empty_root() } else { root(from) },
        first_sequence: from,
        last_sequence: to - 1,
    };
    let before = step(0, 10);
    assert_eq!(before.follows(None), Ok(()));
    assert_eq!(step(10, 12).follows(Some(&before)), Ok(()));
    assert_eq!(step(10, 10).follows(Some(&before)), Err(CheckpointError::Shrinks { seen: 10, above: 10 }));
    assert!(matches!(step(9, 12).follows(Some(&before)), Err(CheckpointError::Forks { .. })));
    let skips = Checkpoint { first_sequence: 11, ..step(10, 12) };
    assert!(matches!(skips.follows(Some(&before)), Err(CheckpointError::Skips { .. })));
    let other = Checkpoint { session: SessionId([2; 16]), ..step(10, 12) };
    assert!(matches!(other.follows(Some(&before)), Err(CheckpointError::Session { .. })));
}

/// Goal: a complete opening is verified, and says who and what, also after it has travelled.
#[test]
fn a_complete_opening_is_verified() {
    let (keys, evidence) = some_opening();
    let evidence = OpeningEvidence::read(&evidence.to_bytes()).unwrap();
    let opening = verify_opening(&evidence, keys.trust()).unwrap();
    assert_eq!((opening.edge(), opening.kit()), (public(EDGE), public(KIT)));
    assert_eq!(opening.session(), SessionId([9; 16]));
    assert_eq!(opening.member(public(BEDSIDE)).unwrap().role, Role::Bedside);
    assert_eq!(opening.member(public(FIELD)), None);
}

/// Goal: custody with a step left out, twice, in another order, of another kit, or cut short is refused.
#[test]
fn broken_custody_is_refused() {
    let (keys, good) = some_opening();
    for at in 0..good.custody.len() {
        let mut short = good.clone();
        short.custody.remove(at);
        assert!(verify_opening(&short, keys.trust()).is_err(), "without step {at}");
        let mut twice = good.clone();
        twice.custody.insert(at, good.custody[at].clone());
        assert!(verify_opening(&twice, keys.trust()).is_err(), "step {at} twice");
        let mut swapped = good.clone();
        swapped.custody.swap(at, (at + 1) % good.custody.len());
        assert!(verify_opening(&swapped, keys.trust()).is_err(), "step {at} swapped");
    }
}

/// Commits a chain of custody in which one step is other than it should be, and an opening that names its end.
fn with_custody(change: impl Fn(u64, &mut SigningKey, &mut Custody)) -> Result<(), ProofError> {
    let (mut keys, mut evidence) = some_opening();
    let mut previous = Hash::ZERO;
    for proof in &mut evidence.custody {
        let Event::Custody(mut custody) = Transaction::open(&proof.transaction).unwrap().transaction.event
        else {
            panic!("not a custody step");
        };
        custody.previous = previous;
        let mut author = if custody.sequence < 6 { key(FIELD) } else { key(KIT) };
        change(custody.sequence, &mut author, &mut custody);
        *proof = instead(&mut keys, &author, Event::Custody(custody));
        previous = Hash::of(&proof.transaction);
    }
    let hospital = keys.hospital().clone();
    let opening = Opening { custody: previous, ..opening_of(&evidence) };
    evidence.opening = instead(&mut keys, &hospital, Event::SessionOpened(opening));
    verify_opening(&evidence, keys.trust()).map(|_| ())
}

/// Goal: custody that a quorum committed is still refused if a step names another before it, another kit, or number, or if
/// somebody else than the kit speaks for the kit.
#[test]
fn committed_custody_that_does_not_hang_together_is_refused() {
    assert_eq!(with_custody(|_, _, _| {}), Ok(()));
    for step in 1..=7 {
        let link = with_custody(|n, _, custody| {
            if n == step {
                custody.previous = Hash::of(b"other")
            }
        });
        assert!(matches!(link, Err(ProofError::Reference { .. })), "link of step {step}: {link:?}");
        let kit = with_custody(|n, _, custody| {
            if n == step {
                custody.kit = public(12)
            }
        });
        assert!(matches!(kit, Err(ProofError::Key { .. })), "kit of step {step}: {kit:?}");
        if step > 1 {
            let number = with_custody(|n, _, custody| {
                if n == step {
                    custody.sequence = 40
                }
            });
            assert!(
                matches!(number, Err(ProofError::CustodySequence { .. })),
                "number of step {step}: {number:?}"
            );
        }
    }
    for step in [6, 7] {
        let author = with_custody(|n, author, _| {
            if n == step {
                *author = key(FIELD)
            }
        });
        assert!(matches!(author, Err(ProofError::Key { .. })), "author of step {step}: {author:?}");
    }
}

/// Goal: an opening that names another end of custody, or another consent, than the one that is proven is refused.
#[test]
fn an_opening_that_refers_elsewhere_is_refused() {
    let changes: [fn(&mut Opening); 2] =
        [|o| o.custody = Hash::of(b"other"), |o| o.consent = Hash::of(b"other")];
    for change in changes {
        let (mut keys, mut evidence) = some_opening();
        let mut opening = opening_of(&evidence);
        change(&mut opening);
        let hospital = keys.hospital().clone();
        evidence.opening = instead(&mut keys, &hospital, Event::SessionOpened(opening));
        assert!(matches!(verify_opening(&evidence, keys.trust()), Err(ProofError::Reference { .. })));
    }
}

/// Goal: a kit that was tested again must be paired again, and then its opening holds with the longer chain.
#[test]
fn a_kit_tested_again_must_be_paired_again() {
    let (mut keys, mut evidence) = some_opening();
    let mut opening = opening_of(&evidence);
    for (sequence, step) in [(8, CustodyStep::SelfTested), (9, CustodyStep::Paired { edge: public(EDGE) })] {
        let previous = Hash::of(&evidence.custody.last().unwrap().transaction);
        let custody = Custody { kit: public(KIT), sequence, step, previous };
        evidence.custody.push(instead(&mut keys, &key(KIT), Event::Custody(custody)));
        opening.custody = Hash::of(&evidence.custody.last().unwrap().transaction);
        let hospital = keys.hospital().clone();
        evidence.opening = instead(&mut keys, &hospital, Event::SessionOpened(opening.clone()));
        assert_eq!(verify_opening(&evidence, keys.trust()).is_ok(), sequence == 9, "after step {sequence}");
    }
}

/// Goal: an opening by somebody else than a hospital, with a roster that can't operate, or with one key for two, is refused
/// however well it is committed.
#[test]
fn an_opening_that_nobody_may_give_is_refused() {
    type Change = fn(&mut Opening);
    let changes: [(&str, Change); 7] = [
        ("no surgeon", |o| o.roster[0].role = Role::Auditor),
        ("nobody at the bedside", |o| o.roster[1].role = Role::Field),
        ("one person for two", |o| o.roster[1].key = o.roster[0].key),
        ("the kit is a person", |o| o.roster[1].key = o.kit),
        ("edge is the kit", |o| o.edge = o.kit),
        ("a machine in the roster", |o| o.roster.push(person(9, Role::Kit))),
        ("paired with another edge box", |o| o.edge = public(10)),
    ];
    let (mut keys, good) = some_opening();
    let hospital = keys.hospital().clone();
    let mut try_with = |author: &SigningKey, opening: Opening| {
        let opening = instead(&mut keys, author, Event::SessionOpened(opening));
        verify_opening(&OpeningEvidence { opening, ..good.clone() }, keys.trust())
    };
    assert!(try_with(&hospital, opening_of(&good)).is_ok());
    assert!(matches!(try_with(&key(SURGEON), opening_of(&good)), Err(ProofError::Author { .. })));
    for (what, change) in changes {
        let mut opening = opening_of(&good);
        change(&mut opening);
        assert!(try_with(&hospital, opening).is_err(), "{what}");
    }
}

/// Goal: without a consent that is given, for this session, by a hospital and before the opening, nothing opens.
#[test]
fn an_opening_without_consent_is_refused() {
    let (mut keys, good) = some_opening();
    let hospital = keys.hospital().clone();
    let given = Consent { session: SessionId([9; 16]), commitment: Hash::of(b"form"), given: true };
    let cases = [
        (hospital.clone(), given.clone(), true),
        (hospital.clone(), Consent { given: false, ..given.clone() }, false),
        (hospital.clone(), Consent { session: SessionId([1; 16]), ..given.clone() }, false),
        (key(SURGEON), given, false),
    ];
    for (author, consent, holds) in cases {
        let consent = instead(&mut keys, &author, Event::Consent(consent));
        let opening = Opening { consent: Hash::of(&consent.transaction), ..opening_of(&good) };
        let opening = instead(&mut keys, &hospital, Event::SessionOpened(opening));
        let evidence = OpeningEvidence { opening, consent, custody: good.custody.clone() };
        assert_eq!(verify_opening(&evidence, keys.trust()).is_ok(), holds);
    }
    // A consent that came after the opening it is referred to by can't be: its hash was not known, but say so anyway.
    let swapped = OpeningEvidence { consent: good.custody[0].clone(), ..good };
    assert!(matches!(verify_opening(&swapped, keys.trust()), Err(ProofError::Event { .. })));
}

/// Goal: a person whom a hospital adds later joins the roster; one added twice, or by another, does not.
#[test]
fn a_person_may_join_later() {
    let (mut keys, evidence) = some_opening();
    let hospital = keys.hospital().clone();
    let opening = verify_opening(&evidence, keys.trust()).unwrap();
    let addition =
        farhand_ledger::RosterAddition { session: opening.session(), member: person(11, Role::Surgeon) };
    let proof = instead(&mut keys, &hospital, Event::RosterAdded(addition.clone()));
    let more = opening.clone().with_addition(&proof, keys.trust()).unwrap();
    assert_eq!(more.member(public(11)).unwrap().role, Role::Surgeon);
    assert!(matches!(more.with_addition(&proof, keys.trust()), Err(ProofError::SameKey { .. })));
    let proof = instead(&mut keys, &key(SURGEON), Event::RosterAdded(addition));
    assert!(matches!(opening.with_addition(&proof, keys.trust()), Err(ProofError::Author { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Goal: a byte changed anywhere in the evidence of an opening is refused.
    #[test]
    fn a_changed_byte_in_an_opening_is_refused(at in 0usize..20_000, bit in 0u32..8) {
        thread_local!(static GOOD: (FiveKeys, Vec<u8>) = { let (keys, e) = some_opening(); (keys, e.to_bytes()) });
        GOOD.with(|(keys, good)| {
            let mut bad = good.clone();
            let at = at % bad.len();
            bad[at] ^= 1 << bit;
            let verdict = OpeningEvidence::read(&bad).map_err(ProofError::from).and_then(|e| verify_opening(&e, keys.trust()));
            prop_assert!(verdict.is_err(), "byte {at}");
            Ok(())
        })?;
    }

    /// Goal: no bytes from outside make a reader panic.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = (TransactionProof::read(&bytes), OpeningEvidence::read(&bytes), TrustRoot::read(&bytes));
        let _ = (Batch::read(&bytes), Transaction::open(&bytes), <Transaction as Cbor>::read(&bytes));
        let _ = (Header::read(&bytes), Certificate::read(&bytes));
    }

    /// Goal: a good proof that is cut short or has a piece changed for random bytes never panics and never holds.
    #[test]
    fn a_spliced_proof_is_refused(at in 0usize..2000, cut in 0usize..64, piece in prop::collection::vec(any::<u8>(), 0..64)) {
        thread_local!(static GOOD: (FiveKeys, Vec<u8>) = { let (keys, p) = some_proof(); (keys, p.to_bytes()) });
        GOOD.with(|(keys, good)| {
            let at = at % good.len();
            let bad = [&good[..at], &piece[..], &good[(at + cut).min(good.len())..]].concat();
            prop_assume!(bad != *good);
            let verdict = TransactionProof::read(&bad).map_err(ProofError::from).and_then(|p| p.check(keys.trust()));
            prop_assert!(verdict.is_err());
            Ok(())
        })?;
    }
}

/// Goal: a length that promises gigabytes is refused before memory is asked for.
#[test]
fn a_promise_of_gigabytes_allocates_nothing() {
    // Batch: [[ledger, [0, 0], 0], array of 2^62 transactions...
    let header = Batch::new(LedgerId([0; 16]), Utc::default(), vec![]).unwrap().header().to_bytes();
    let promise = [&[0x82][..], &header, &[0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(Batch::read(&promise), Err(Malformed::Cbor { what: "batch" }));
    let certificate = [&vote_payload(1, 1, Hash::ZERO, 0)[..], &u32::MAX.to_le_bytes()].concat();
    assert!(matches!(Certificate::read(&certificate), Err(Malformed::Range { seen: 4_294_967_295, .. })));
    assert!(matches!(Batch::read(&vec![0; 3 << 20]), Err(Malformed::TooLong { .. })));
}
