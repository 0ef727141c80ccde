//! Our reading of blocks and certificates against bytes that real replicas made: five of hotstuff_rs 0.4.0, of which one
//! was cut off, so that views were skipped.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use farhand_ledger::{BadCommit, CommitProof, Hash, Header, LedgerId, TrustRoot, Validator};
use farhand_wire::PublicKey;

const BYTES: &str = include_str!("data/hotstuff_rs-0.4.0.txt");
const CHAIN: u64 = 7;
/// Height of the first header in the file.
const FIRST: u64 = 11;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn lines(kind: &str) -> impl Iterator<Item = Vec<Vec<u8>>> {
    BYTES
        .lines()
        .filter(move |line| line.starts_with(kind))
        .map(|line| line[2..].split(' ').map(hex).collect())
}

fn headers() -> Vec<Header> {
    lines("B ").map(|line| Header::read(&line[0]).unwrap()).collect()
}

fn trust() -> TrustRoot {
    let key = |line: Vec<Vec<u8>>| PublicKey(line[0].as_slice().try_into().unwrap());
    let validators: Vec<Validator> = lines("V ").map(|line| Validator { key: key(line), power: 1 }).collect();
    let hospital = validators[0].key;
    TrustRoot::new(LedgerId([0; 16]), CHAIN, validators, vec![hospital]).unwrap()
}

/// Headers from one height to another, and the certificate of the last, which the next header carries.
fn proof(from: u64, to: u64) -> CommitProof {
    let all = headers();
    let (from, to) = ((from - FIRST) as usize, (to - FIRST) as usize);
    CommitProof { headers: all[from..=to].to_vec(), certificate: all[to + 1].justify.clone() }
}

/// Goal: real headers are read, written back byte for byte, and hash as the replica hashed them.
#[test]
fn real_headers_hash_as_the_replica_hashed_them() {
    for line in lines("B ") {
        let header = Header::read(&line[0]).unwrap();
        assert_eq!(header.to_bytes(), line[0]);
        assert_eq!(header.hash().0.to_vec(), line[1]);
    }
    let views: Vec<(u64, u64)> = headers().iter().map(|h| (h.height, h.justify.view)).collect();
    assert_eq!(views, [(11, 11), (12, 12), (13, 15), (14, 16), (15, 17), (16, 20)]);
}

/// Goal: every certificate of the real chain is a quorum's word under the five keys.
#[test]
fn real_certificates_are_quorums() {
    for header in headers() {
        let checked = header.justify.check(&trust()).map(drop);
        assert_eq!(checked, Ok(()), "in block {}", header.height);
    }
}

/// Goal: block 12 is committed by the certificates of views 15, 16 and 17.
#[test]
fn a_real_run_of_three_commits() {
    assert_eq!(proof(12, 14).check(&trust()).unwrap().height, 12);
}

/// Goal: block 11 has no run of three of its own (12, 15, 16), nor block 13 (16, 17, 20); 11 is committed all the same, as
/// the parent of 12, and 13 is not yet.
#[test]
fn a_real_gap_in_views_commits_through_a_descendant_only() {
    let gap = |seen, expected| Err(BadCommit::View { seen, expected });
    assert_eq!(proof(11, 13).check(&trust()), gap(15, 13));
    assert_eq!(proof(13, 15).check(&trust()), gap(20, 18));
    let committed = proof(11, 14).check(&trust()).unwrap();
    assert_eq!((committed.height, committed.block), (11, proof(11, 14).headers[0].hash()));
}

/// Goal: with any real signature turned off, fewer than a quorum is left.
#[test]
fn a_real_certificate_less_one_signature_is_refused() {
    let good = proof(12, 14);
    for slot in 0..5 {
        let mut bad = good.clone();
        if bad.certificate.signatures[slot].take().is_some() {
            assert!(matches!(bad.check(&trust()), Err(BadCommit::Certificate { height: 14, .. })));
        }
    }
    let mut other = good;
    other.headers[0].data_hash = Hash::ZERO;
    assert!(matches!(other.check(&trust()), Err(BadCommit::Link { height: 12, .. })));
}
