//! Vectors about a ledger whose keepers change: who holds which trust root, and ends that are none.

use ed25519_dalek::{Signer as _, SigningKey};
use farhand_bundle::proof_record;
use farhand_ledger::{
    Batch, Binding, Cbor, Certificate, CommitProof, Endorsement, Epoch, EpochEnd, Event, Header, Manifest,
    Member, RosterAddition, TransactionProof, What, five_keys::FiveKeys, merkle, vote_payload,
};
use farhand_wire::{PublicKey, Role};

use super::{Set, begin, begun, good};
use crate::{
    audit::minus_one,
    sessions::{
        bundle, of_three_epochs,
        theatre::{EDGE, SESSION, Session, Theatre, at, key, public},
    },
};

/// The ledger of all others, and the end of its first epoch, which stands behind the good session.
const EPOCHS_TRUST: &str = "epochs.trust";

/// The same, and the second epoch has another hospital.
const HOSPITALS_TRUST: &str = "hospitals.trust";

/// As few as may say that an epoch ends.
fn quorum(old: &[SigningKey], _: &[SigningKey]) -> Vec<SigningKey> {
    old[..4].to_vec()
}

pub(super) fn epochs(set: &mut Set) {
    let mut keys = good().keys;
    let mut old = keys.clone();
    let end = keys.next_epoch(at(20), 1, quorum).unwrap();
    set.file(EPOCHS_TRUST, keys.trust().to_bytes());
    lead_on(set);
    // As an ordinary transaction: so the old keys stay on their chain.
    old.commit(at(20), vec![end.transaction]).unwrap();
    behind_the_end(set, old);
    hospitals(set);
    no_ends(set);
}

/// What holds, whoever knows more of the two: the verifier or the bundle.
fn lead_on(set: &mut Set) {
    let across = bundle(&across(|_, _| {}));
    set.bundle(
        "epoch-end",
        across,
        0,
        &[],
        "the epoch ends in mid-session; whoever verifies knows the first",
    );
    set.vector("epoch-end", None, 3, &[], "the same without a trust root");
    set.vector("epoch-end", Some(EPOCHS_TRUST), 0, &[], "the same, and whoever verifies knows the second");
    set.vector("good", Some(EPOCHS_TRUST), 0, &[], "the trust root knows an epoch that the bundle does not");
    let later = bundle(&of_three_epochs());
    set.bundle("three-epochs", later, 0, &[], "opened in the second epoch, sealed in the third");
    set.bundle(
        "many-epochs",
        bundle(&of_many_epochs()),
        0,
        &[],
        "after thirty epochs: a manifest of some length",
    );
    set.bundle("epoch-unknown", bundle(&ignorant()), 1, &["opening"], "an epoch that nobody has heard of");
    set.vector("epoch-unknown", Some(EPOCHS_TRUST), 0, &[], "the same under a trust root that knows it");
    let mut elsewhere = begun();
    elsewhere.keys.next_epoch(at(20), 2, quorum).unwrap();
    set.bundle(
        "epoch-elsewhere",
        bundle(&elsewhere.close()),
        0,
        &[],
        "the first epoch ends, two validators leave",
    );
    set.vector(
        "epoch-elsewhere",
        Some(EPOCHS_TRUST),
        1,
        &["other-ledger"],
        "the same, and whoever verifies knows that it ended otherwise",
    );
}

fn of_many_epochs() -> Session {
    let mut keys = FiveKeys::new([8; 32]);
    (0..30).for_each(|_| drop(keys.next_epoch(at(0), 1, quorum).unwrap()));
    let mut theatre = Theatre::open_on(keys);
    begin(&mut theatre);
    let session = theatre.close();
    assert!(session.manifest.len() > 65_536);
    session
}

/// Of the second epoch, by an edge box that brings the first alone.
fn ignorant() -> Session {
    let mut keys = good().keys;
    let genesis = keys.trust().to_bytes();
    keys.next_epoch(at(20), 1, quorum).unwrap();
    let mut theatre = Theatre::open_on(keys);
    theatre.manifest = Some(Manifest::new(SESSION, genesis, Binding::Link, vec![]).to_bytes());
    begin(&mut theatre);
    theatre.close()
}

/// A session that somebody joins after its epoch has ended; `behind` has the keys of before as they were right then.
fn across(behind: impl FnOnce(&mut Theatre, &mut FiveKeys)) -> Session {
    let mut theatre = begun();
    theatre.checkpoint();
    let mut old = theatre.keys.clone();
    let end = theatre.keys.next_epoch(at(theatre.now_ms), 1, quorum).unwrap();
    old.commit(at(theatre.now_ms), vec![end.transaction]).unwrap();
    let proof = joins(&mut theatre.keys, 98);
    theatre.record(What::Proof { proof });
    behind(&mut theatre, &mut old);
    theatre.checkpoint();
    theatre.close()
}

fn joins(keys: &mut FiveKeys, number: u8) -> Vec<u8> {
    let signed = addition(keys, keys.hospital(), number);
    keys.commit(at(5), vec![signed]).unwrap().remove(0).to_bytes()
}

fn addition(keys: &FiveKeys, hospital: &SigningKey, number: u8) -> Vec<u8> {
    let member = Member { key: public(number), role: Role::Field, pseudonym: format!("person {number}") };
    keys.sign(hospital, at(5), Event::RosterAdded(RosterAddition { session: SESSION, member })).unwrap()
}

/// What the old keys commit when their epoch has ended. `old` has those of the good session, who went on by themselves.
fn behind_the_end(set: &mut Set, old: FiveKeys) {
    let joined = across(|theatre, old| {
        let proof = joins(old, 99);
        theatre.record(What::Proof { proof });
    });
    let what = "somebody joins on the old chain, behind its end";
    set.bundle("behind-end", bundle(&joined), 1, &["transaction"], what);
    let mut keys_of_before = None;
    let mut sealed = across(|_, old| keys_of_before = Some(old.clone()));
    sealed.seal = again(&sealed.seal, &mut keys_of_before.unwrap());
    set.bundle("behind-end-seal", bundle(&sealed), 1, &["seal-proof"], "the same with the seal");
    let mut forked = Theatre::open_on(old);
    begin(&mut forked);
    let what = "a session that the old keys made when their epoch had ended; who knows of no end can't tell";
    set.bundle("behind-end-whole", bundle(&forked.close()), 0, &[], what);
    set.vector(
        "behind-end-whole",
        Some(EPOCHS_TRUST),
        1,
        &["opening"],
        "the same, and whoever verifies can tell",
    );
}

/// The transaction of that proof, committed by others.
fn again(proof: &[u8], keys: &mut FiveKeys) -> Vec<u8> {
    let TransactionProof { transaction, .. } = TransactionProof::read(proof).unwrap();
    keys.commit(at(20), vec![transaction]).unwrap().remove(0).to_bytes()
}

/// The second epoch has another hospital. The bundles are of the first, and bring what was committed in the second.
fn hospitals(set: &mut Set) {
    let keys = good().keys;
    let first = keys.trust().newest().clone();
    let (came, left) = (key(40), keys.hospital().clone());
    let hospitals = vec![PublicKey(came.verifying_key().to_bytes())];
    let second = Epoch::new(first.ledger(), 1, 2, first.validators().to_vec(), hospitals).unwrap();
    let added_by = |hospital: &SigningKey| {
        let mut theatre = begun();
        let signed = addition(&theatre.keys, hospital, 98);
        let proof = commit_in(&second, theatre.keys.validators(), signed);
        theatre.record(What::Proof { proof });
        theatre.close()
    };
    let end = end_to(&mut added_by(&came).keys, &second, &second).to_bytes();
    set.file(HOSPITALS_TRUST, [keys.trust().to_bytes(), proof_record(&end)].concat());
    for (file, hospital, exit, findings, what) in [
        (
            "hospital-came",
            &came,
            0,
            &[][..],
            "somebody is added by the hospital of the epoch in which that stands",
        ),
        ("hospital-left", &left, 1, &["transaction"][..], "somebody is added by a hospital that has left"),
    ] {
        set.file(&format!("{file}.mcap"), bundle(&added_by(hospital)));
        set.vector(file, Some(HOSPITALS_TRUST), exit, findings, what);
    }
}

/// Commits a transaction in block 1 of an epoch.
fn commit_in(epoch: &Epoch, keys: &[SigningKey], transaction: Vec<u8>) -> Vec<u8> {
    let batch = |transactions| Batch::new(epoch.ledger(), at(30), transactions).unwrap();
    let transactions = batch(vec![transaction]);
    let roots = [batch(vec![]).root(), transactions.root(), merkle::empty_root(), merkle::empty_root()];
    let (mut headers, mut newest) = (vec![], Certificate::genesis());
    for (height, data_hash) in (0..).zip(roots) {
        let header = Header { height, justify: newest, data_hash };
        let (chain, view, block) = (epoch.chain(), height + 1, header.hash());
        let vote = vote_payload(chain, view, block, 0);
        let signatures = keys.iter().map(|key| Some(key.sign(&vote).to_bytes())).collect();
        newest = Certificate { chain, view, block, phase: 0, signatures };
        headers.push(header);
    }
    let commit = CommitProof { headers: headers.split_off(1), certificate: newest };
    TransactionProof::new(&transactions, 0, commit).unwrap().to_bytes()
}

/// Ends that are none: a good session brings them along.
fn no_ends(set: &mut Set) {
    type Endorse = fn(&[SigningKey], &[SigningKey]) -> Vec<SigningKey>;
    let endorsed: [(&str, &str, Endorse); 4] = [
        ("end-too-few", "an end that three of five endorsed", |old, _| old[..3].to_vec()),
        ("end-newcomer", "an end that three endorsed, and one who comes", |old, new| {
            let comer = new.iter().find(|key| !old.contains(key)).unwrap();
            let mut all = [&old[..3], std::slice::from_ref(comer)].concat();
            all.sort_by_key(|key| key.verifying_key().to_bytes());
            all
        }),
        ("end-twice", "an end that three endorsed, one of them twice", |old, _| {
            [&old[..3], &old[2..3]].concat()
        }),
        ("end-order", "an end that four endorsed, out of order", |old, _| {
            old[..4].iter().rev().cloned().collect()
        }),
    ];
    for (file, what, endorse) in endorsed {
        brings(set, file, what, |keys| keys.next_epoch(at(5), 1, endorse).unwrap());
    }
    brings(set, "end-other", "an end whose endorsements are of another next epoch", |keys| {
        let (next, other) = (on(keys, 2), on(keys, 3));
        end_to(keys, &next, &other)
    });
    brings(set, "end-chain", "a third epoch on the chain of the first", |keys| {
        keys.next_epoch(at(5), 1, quorum).unwrap();
        let next = on(keys, 1);
        end_to(keys, &next, &next)
    });
    brings(set, "end-quorum", "an end whose proof lacks one signature of a quorum", |keys| {
        let end = keys.clone().next_epoch(at(5), 1, quorum).unwrap().to_bytes();
        TransactionProof::read(&minus_one(&end)).unwrap()
    });
    brings(set, "end-none", "a person joins where an epoch should end", |keys| {
        TransactionProof::read(&joins(keys, 99)).unwrap()
    });
}

fn brings(set: &mut Set, file: &str, what: &str, end: impl FnOnce(&mut FiveKeys) -> TransactionProof) {
    set.happens(file, &["bundle-trust-root"], what, |theatre| {
        theatre.ends = proof_record(&end(&mut theatre.keys).to_bytes());
    });
}

/// What follows if the same people keep the ledger on another chain.
fn on(keys: &FiveKeys, chain: u64) -> Epoch {
    let ending = keys.trust().newest();
    let (validators, hospitals) = (ending.validators().to_vec(), ending.hospitals().to_vec());
    Epoch::new(ending.ledger(), ending.number() + 1, chain, validators, hospitals).unwrap()
}

/// By all validators: `next` follows. What they endorse is another, perhaps.
fn end_to(keys: &mut FiveKeys, next: &Epoch, endorsed: &Epoch) -> TransactionProof {
    let ending = keys.trust().newest().clone();
    let endorse = |key: &SigningKey| Endorsement::sign(&ending, endorsed, key).into();
    let endorsements = keys.validators().iter().map(endorse).collect();
    let end = EpochEnd { previous: ending.hash(), next: next.to_bytes(), endorsements };
    let signed = keys.sign(&key(EDGE), at(5), Event::EpochEnded(end)).unwrap();
    keys.commit(at(5), vec![signed]).unwrap().remove(0)
}
