//! A ledger whose keepers change: whoever holds its first epoch follows it, and nobody but them says what follows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

mod theatre;

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    BadEpochEnd, BadTrust, Cbor, Checkpoint, Endorsement, Epoch, EpochEnd, Event, Hash, ProofError,
    TransactionProof, TrustRoot,
    five_keys::FiveKeys,
    merkle,
    verify::{Problem, Verdict},
};
use theatre::{EDGE, SESSION, Session, Theatre, at, key};

fn keys() -> FiveKeys {
    FiveKeys::new([8; 32])
}

fn quorum(old: &[SigningKey], _: &[SigningKey]) -> Vec<SigningKey> {
    old[..4].to_vec()
}

fn session_on(keys: FiveKeys) -> Session {
    let mut theatre = Theatre::open_on(keys);
    theatre.work(0);
    theatre.close()
}

/// Goal: with the genesis file alone a session of the first epoch, one of a later one, and one that an end fell into are
/// verified; without what lies between, a later one is not.
#[test]
fn the_first_epoch_leads_to_all_later_ones() {
    let first = keys().trust().clone();
    let before = session_on(keys());
    let mut later = before.keys.clone();
    later.next_epoch(at(0), 1, quorum).unwrap();
    let mut across = Theatre::open_on(later.clone());
    across.work(0);
    across.keys.next_epoch(at(across.now_ms), 1, quorum).unwrap();
    across.work(1);
    let across = across.close();
    later.next_epoch(at(0), 1, quorum).unwrap();
    assert_eq!(later.trust().epochs().count(), 3);
    let after = session_on(later);
    for session in [&before, &across, &after] {
        let report = session.verify(Some(&first));
        assert_eq!(report.verdict, Verdict::Holds, "{:?}", report.findings);
        assert_eq!(report.trust, Some(first.fingerprint()));
    }
    let whole = after.keys.trust();
    assert_eq!(before.verify(Some(whole)).verdict, Verdict::Holds, "who knows more still reads what is old");
    let ignorant = Session { manifest: before.manifest, ..after };
    assert_eq!(ignorant.verify(Some(&first)).verdict, Verdict::DoesNotHold);
}

/// Goal: a file of several epochs reads back as it was; with a changed byte it is another ledger's, or none.
#[test]
fn a_file_of_several_epochs_has_one_reading() {
    let mut keys = keys();
    let first = keys.trust().clone();
    keys.next_epoch(at(0), 1, quorum).unwrap();
    let (trust, bytes) = (keys.trust().clone(), keys.trust().to_bytes());
    assert_eq!(TrustRoot::read(&bytes), Ok(trust.clone()));
    assert_eq!(trust.fingerprint(), first.fingerprint());
    assert!(first.leads_to(&trust) && !trust.leads_to(&first));
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!TrustRoot::read(&changed).is_ok_and(|other| first.leads_to(&other)), "byte {at}");
    }
    assert!(TrustRoot::read(&bytes[..bytes.len() - 1]).is_err());
    let second = trust.newest().to_bytes();
    assert_eq!(TrustRoot::read(&second), Err(BadTrust::Epoch { seen: 1, expected: 0 }));
}

/// Goal: fewer than a quorum of the old set, the new set by itself, and one key twice end nothing; a bundle that says that
/// they did does not hold.
#[test]
fn only_the_old_set_s_quorum_ends_an_epoch() {
    type Endorse = fn(&[SigningKey], &[SigningKey]) -> Vec<SigningKey>;
    type Names = fn(&BadEpochEnd) -> bool;
    let cases: [(&str, u8, Endorse, Names); 4] = [
        (
            "three of five",
            1,
            |old, _| old[..3].to_vec(),
            |error| matches!(error, BadEpochEnd::Quorum { power: 3, quorum: 4 }),
        ),
        ("the new set", 2, |_, new| new.to_vec(), |error| matches!(error, BadEpochEnd::Endorser { .. })),
        (
            "those of the new set who are known",
            2,
            |old, new| old.iter().filter(|key| new.contains(key)).cloned().collect(),
            |error| matches!(error, BadEpochEnd::Quorum { power: 3, quorum: 4 }),
        ),
        (
            "one of them twice",
            1,
            |old, _| [&old[..3], &old[2..3]].concat(),
            |error| matches!(error, BadEpochEnd::Endorser { .. }),
        ),
    ];
    for (who, leave, endorse, names_it) in cases {
        let mut theatre = Theatre::open();
        let end = theatre.keys.next_epoch(at(0), leave, endorse).unwrap().to_bytes();
        let error = theatre.keys.trust().clone().end(&end).unwrap_err();
        assert!(names_it(&error), "{who}: {error}");
        theatre.ends = minicbor::to_vec(minicbor::bytes::ByteVec::from(end)).unwrap();
        let problems = theatre.close().problems();
        let told = |problem: &Problem| matches!(problem, Problem::OwnTrust(BadTrust::End { epoch: 0, .. }));
        assert!(problems.iter().any(told), "{who}: {problems:?}");
    }
}

/// Goal: what is endorsed must follow: of this ledger, the next number, a chain of its own, from the epoch that there is; and
/// it must be committed by this ledger's validators.
#[test]
fn an_epoch_that_does_not_follow_is_refused() {
    let trust = keys().trust().clone();
    let ending = trust.newest().clone();
    let follow = |ledger, number, chain| {
        let (validators, hospitals) = (ending.validators().to_vec(), ending.hospitals().to_vec());
        Epoch::new(ledger, number, chain, validators, hospitals).unwrap()
    };
    let refused = |next: Epoch, previous: Hash| {
        let mut keys = keys();
        let sign = |key: &SigningKey| Endorsement::sign(&ending, &next, key).into();
        let endorsements = keys.validators()[..4].iter().map(sign).collect();
        let end = EpochEnd { previous, next: next.to_bytes(), endorsements };
        let signed = keys.sign(&key(1), at(0), Event::EpochEnded(end)).unwrap();
        let proof = keys.commit(at(0), vec![signed]).unwrap().remove(0);
        trust.clone().end(&proof.to_bytes()).err()
    };
    let (ledger, hash) = (ending.ledger(), ending.hash());
    let other = FiveKeys::new([1; 32]).trust().ledger();
    assert_eq!(refused(follow(ledger, 1, 2), hash), None);
    assert!(matches!(refused(follow(other, 1, 2), hash), Some(BadEpochEnd::Ledger { .. })));
    assert!(matches!(
        refused(follow(ledger, 2, 2), hash),
        Some(BadEpochEnd::Number { seen: 2, expected: 1 })
    ));
    assert!(matches!(refused(follow(ledger, 1, 1), hash), Some(BadEpochEnd::Chain { seen: 1 })));
    assert!(matches!(refused(follow(ledger, 1, 2), Hash::ZERO), Some(BadEpochEnd::Previous { .. })));

    let end = keys().next_epoch(at(0), 1, quorum).unwrap();
    let mut strangers = FiveKeys::new([1; 32]);
    let theirs = strangers.commit(at(0), vec![end.transaction]).unwrap().remove(0);
    assert!(matches!(trust.clone().end(&theirs.to_bytes()), Err(BadEpochEnd::Proof(_))));
    let checkpoint = a_checkpoint(&mut keys());
    assert!(matches!(trust.clone().end(&checkpoint), Err(BadEpochEnd::Event { epoch: 0, .. })));
}

/// Goal: an epoch is ended on its own chain, whoever endorses it elsewhere: in the one before, even at the very place where that ended.
#[test]
fn an_epoch_ends_on_its_own_chain() {
    let (mut now, mut old) = (keys(), keys());
    now.next_epoch(at(0), 1, quorum).unwrap();
    let end = now.clone().next_epoch(at(0), 1, quorum).unwrap();
    let elsewhere = old.commit(at(0), vec![end.transaction]).unwrap().remove(0);
    let refused = now.trust().clone().end(&elsewhere.to_bytes());
    assert!(matches!(refused, Err(BadEpochEnd::OtherChain { seen: 0, expected: 1 })), "{refused:?}");
}

/// Goal: keys of an epoch that has ended commit nothing more, in whosever hands they are.
#[test]
fn nothing_holds_behind_the_end_of_its_epoch() {
    let mut now = keys();
    let mut old = now.clone();
    let end = now.next_epoch(at(0), 1, quorum).unwrap();
    old.commit(at(0), vec![end.transaction]).unwrap();
    let late = TransactionProof::read(&a_checkpoint(&mut old)).unwrap();
    assert!(late.check(old.trust()).is_ok(), "whoever does not know of the end believes it");
    assert!(matches!(late.check(now.trust()), Err(ProofError::AfterEnd { .. })));
}

fn a_checkpoint(keys: &mut FiveKeys) -> Vec<u8> {
    let checkpoint = Checkpoint {
        session: SESSION,
        tree_size: 1,
        root: Hash::of(b"one"),
        previous_root: merkle::empty_root(),
        first_sequence: 0,
        last_sequence: 0,
    };
    let signed = keys.sign(&key(EDGE), at(1), Event::Checkpoint(checkpoint)).unwrap();
    keys.commit(at(1), vec![signed]).unwrap().remove(0).to_bytes()
}
