//! The evidence's records, proofs and session log.

use std::sync::OnceLock;

use farhand_ledger::{
    Batch, BatchHeader, Cbor, Certificate, CustodyAnswer, CustodyRequest, DisplayReport, Entry, Hash, Header,
    KitSegment, LOG_HEAD_BYTES, Manifest, OpeningEvidence, Records, Segment, SessionLog, SurgeonSegment,
    Transaction, TransactionProof, TrustRoot, merkle, verify_opening,
};
use farhand_wire::Signed;

use crate::stage::{SESSION, canonical, evidence, key, pieces, public, trust};

/// Records that stand alone, by the first byte.
pub(crate) fn records(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 8 {
        0 => drop(canonical::<Entry>(bytes)),
        1 => drop(canonical::<Manifest>(bytes)),
        2 => drop(canonical::<CustodyAnswer>(bytes)),
        3 => drop(canonical::<BatchHeader>(bytes)),
        4 => batch(bytes),
        5 => transaction(bytes),
        6 => trust_root(bytes),
        _ => block(bytes),
    }
}

fn block(bytes: &[u8]) {
    if let Ok(header) = Header::read(bytes) {
        assert_eq!(header.to_bytes(), bytes);
    }
    if let Ok(certificate) = Certificate::read(bytes) {
        assert_eq!(certificate.to_bytes(), bytes);
        let _ = certificate.check(trust());
    }
}

fn batch(bytes: &[u8]) {
    let Some(batch) = canonical::<Batch>(bytes) else { return };
    assert_eq!(merkle::root(&batch.leaves()), batch.root());
}

fn transaction(bytes: &[u8]) {
    let Some(transaction) = canonical::<Transaction>(bytes) else { return };
    if let Ok(signed) = transaction.sign(&key(1)) {
        let authored = Transaction::open(&signed).expect("what was signed is opened");
        assert_eq!((authored.author, authored.transaction), (public(1), transaction));
    }
}

fn trust_root(bytes: &[u8]) {
    let Ok(root) = TrustRoot::read(bytes) else { return };
    assert_eq!(root.to_bytes(), bytes);
    let power: u64 = root.validators().iter().map(|validator| validator.power).sum();
    assert!(root.quorum() * 3 > power * 2 && root.quorum() <= power);
}

/// Proofs, by the first byte: whatever holds is of what the five keys have committed.
pub(crate) fn proofs(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 3 {
        0 => canonical(bytes).iter().for_each(no_forgery),
        1 => {
            let Some(shown) = canonical::<OpeningEvidence>(bytes) else { return };
            let opening = verify_opening(&shown, trust());
            assert!(opening.is_err() || opening.is_ok_and(|opening| opening.session() == SESSION));
        }
        _ => canonical(bytes).iter().for_each(|ask: &CustodyRequest| ask.proofs.iter().for_each(no_forgery)),
    }
}

fn no_forgery(proof: &TransactionProof) {
    static COMMITTED: OnceLock<Vec<Hash>> = OnceLock::new();
    let committed = COMMITTED.get_or_init(|| {
        let OpeningEvidence { opening, consent, custody } = evidence();
        custody.iter().chain([opening, consent]).map(|proof| Hash::of(&proof.transaction)).collect()
    });
    if let Ok(proven) = proof.check(trust()) {
        assert!(committed.contains(&proven.hash), "proven, and never committed: {proof:?}");
    }
}

/// What surgeon, kit and browser sign, as a body under a right signature.
pub(crate) fn segments(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 3 {
        0 => segment::<SurgeonSegment>(bytes),
        1 => segment::<KitSegment>(bytes),
        _ => segment::<DisplayReport>(bytes),
    }
}

fn segment<S: Segment>(bytes: &[u8]) {
    let signed = Signed::new(S::DOMAIN, &key(1), bytes.to_vec()).to_bytes();
    if let Ok((author, segment)) = S::open(&signed) {
        assert_eq!(author, public(1));
        assert_eq!(segment.sign(&key(1)).ok(), Some(signed), "{} has two encodings", S::WHAT);
    }
    let other = Signed::new(b"farhand/v1 other\0", &key(1), bytes.to_vec()).to_bytes();
    assert!(S::open(&other).is_err(), "signed as something else");
}

/// A session's log: the first byte says whether the file is as it came, or of leaves whose checks are right.
pub(crate) fn log(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let file = if which % 2 == 0 { bytes.to_vec() } else { log_of(bytes) };
    let Ok(recovered) = SessionLog::recover(&file, None) else { return };
    let valid = &file[..recovered.valid_bytes];
    assert!(valid.len() >= LOG_HEAD_BYTES);
    assert_eq!(recovered.torn.is_some(), valid.len() < file.len(), "what is left out is told");
    let again = SessionLog::recover(valid, None).expect("a log that was cut is whole");
    assert_eq!((again.log.size(), again.log.root()), (recovered.log.size(), recovered.log.root()));
    let mut records = Records::new(valid).expect("a log that was cut is a log");
    for (number, (entry, leaf)) in records.by_ref().enumerate() {
        assert_eq!(entry.number, number as u64);
        assert_eq!(merkle::leaf_hash(&entry.to_bytes()), leaf);
    }
    assert_eq!(records.torn(), None);
}

/// A log whose records are whole, whatever their leaves are.
pub(crate) fn log_of(bytes: &[u8]) -> Vec<u8> {
    let mut file = SessionLog::new(SESSION).head().to_vec();
    for (_, leaf) in pieces(bytes) {
        file.extend((leaf.len() as u32).to_le_bytes());
        file.extend(&merkle::leaf_hash(leaf).0[..8]);
        file.extend(leaf);
    }
    file
}
