//! `docs/evidence.cddl` is the contract for whatever is CBOR: what this crate writes must be what it says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

mod theatre;

use cddl_cat::validate_cbor_bytes;
use farhand_ledger::{
    Batch, Cbor, CustodyAnswer, CustodyRequest, Entry, Event, KitStep, LedgerId, OpeningEvidence,
    Transaction, TransactionProof, What,
};
use farhand_wire::Signed;
use theatre::{Session, at};

const CONTRACT: &str = include_str!("../../../docs/evidence.cddl");

fn conforms(rule: &str, bytes: &[u8]) {
    if let Err(error) = validate_cbor_bytes(rule, CONTRACT, bytes) {
        panic!("{rule}: {error}");
    }
}

fn body(signed: &[u8]) -> Vec<u8> {
    Signed::read(signed).unwrap().body
}

fn proof_conforms(bytes: &[u8]) {
    conforms("transaction-proof", bytes);
    conforms("transaction", &body(&TransactionProof::read(bytes).unwrap().transaction));
}

/// Goal: every leaf, segment, transaction, proof, batch, manifest and trust root of a whole session is what the contract
/// says.
#[test]
fn a_whole_session_is_what_the_contract_says() {
    let mut session = Session::good();
    let end = session.keys.next_epoch(at(0), 1, |old, _| old[..4].to_vec()).unwrap();
    proof_conforms(&end.to_bytes());
    conforms("trust-root", &session.keys.trust().newest().to_bytes());
    let Event::EpochEnded(end) = Transaction::open(&end.transaction).unwrap().transaction.event else {
        panic!("an epoch's end is a transaction");
    };
    conforms("endorsement", &body(&end.endorsements[0]));
    conforms("manifest", &session.manifest);
    conforms("trust-root", &session.keys.trust().epochs().next().unwrap().to_bytes());
    conforms("batch", &Batch::new(LedgerId([1; 16]), at(0), vec![vec![0; 98]]).unwrap().to_bytes());
    session.checkpoints.iter().chain([&session.seal]).for_each(|proof| proof_conforms(proof));
    for number in 0..session.leaves.len() {
        conforms("leaf", session.bytes(number));
        match Entry::read(session.bytes(number)).unwrap().what {
            What::Opened { evidence } => {
                conforms("opening-evidence", &evidence);
                let OpeningEvidence { opening, consent, custody } = OpeningEvidence::read(&evidence).unwrap();
                [opening, consent].iter().chain(&custody).for_each(|proof| proof_conforms(&proof.to_bytes()));
            }
            What::SurgeonSegment { signed } => conforms("surgeon-segment", &body(&signed)),
            What::KitSegment { signed } => conforms("kit-segment", &body(&signed)),
            What::DisplayReport { signed } => conforms("display-report", &body(&signed)),
            What::Statement { signed } => conforms("statement", &body(&signed)),
            _ => {}
        }
    }
}

/// Goal: what an edge box asks a kit about its custody, and both answers, are what the contract says, and are read back
/// as they were.
#[test]
fn a_custody_request_and_its_answers_are_what_the_contract_says() {
    let session = Session::good();
    let What::Opened { evidence } = Entry::read(session.bytes(0)).unwrap().what else {
        panic!("the first leaf is the opening");
    };
    let proofs = OpeningEvidence::read(&evidence).unwrap().custody;
    let signed = CustodyAnswer::Signed(proofs[6].transaction.clone());
    let request = CustodyRequest {
        ledger: session.keys.trust().ledger(),
        at: at(5),
        step: KitStep::Paired,
        edge: theatre::public(theatre::EDGE),
        proofs: proofs[..6].to_vec(),
    };
    conforms("custody-request", &request.to_bytes());
    assert_eq!(CustodyRequest::read(&request.to_bytes()).unwrap(), request);
    let refused = CustodyAnswer::Refused { step: KitStep::SelfTested, why: "arm silent".into() };
    for answer in [signed, refused] {
        conforms("custody-answer", &answer.to_bytes());
        assert_eq!(CustodyAnswer::read(&answer.to_bytes()).unwrap(), answer);
    }
    let long = CustodyAnswer::Refused { step: KitStep::Paired, why: "x".repeat(513) };
    assert!(CustodyAnswer::read(&long.to_bytes()).is_err());
}

/// Goal: the contract is not so wide that anything conforms.
#[test]
fn what_is_not_evidence_does_not_conform() {
    let session = Session::good();
    for rule in ["manifest", "trust-root", "transaction-proof", "batch", "opening-evidence", "kit-segment"] {
        assert!(validate_cbor_bytes(rule, CONTRACT, session.bytes(3)).is_err(), "{rule}");
    }
    let mut leaf = session.bytes(3).to_vec();
    assert_eq!(leaf[0], 0x84);
    leaf[0] = 0x83;
    assert!(validate_cbor_bytes("leaf", CONTRACT, &leaf).is_err());
}
