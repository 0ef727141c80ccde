//! The kit: its gate, who may order what, and its files.

use std::sync::OnceLock;

use farhand_guard::Verifier;
use farhand_kit::{ClosedStore, FromGate, Gate, Identity, JournalFile, Past, ToCore, TokenStore};
use farhand_ledger::{Hash, VerifiedOpening, verify_opening};
use farhand_wire::{Kind, MacKey, Signed, Statement};

use crate::stage::{BOOT, SESSION, canonical, evidence, folder, key, pieces, public, trust};
use crate::wire::{has_code, sealed};

fn identity() -> Identity {
    Identity {
        key: key(5),
        boot: BOOT,
        edge: public(4),
        trust: trust().clone(),
        limits_digest: Hash::of(b"limits").0,
        arm_digest: Hash::of(b"arm").0,
        arms: Vec::new(),
        seed: [7; 32],
        past: Past::default(),
    }
}

/// A kit that has just started: no session opens but the ledger's, no command and no order goes through before a lease.
pub(crate) fn gate(bytes: &[u8]) {
    let mut gate = Gate::new(identity());
    let mut refused = 0;
    for (_, message) in pieces(bytes) {
        let taken = gate.take(message, |out| {
            let order = matches!(out, FromGate::Core(ToCore::Order(_)));
            assert!(!matches!(out, FromGate::Core(ToCore::Command(_))), "a command without a lease");
            assert!(!order || Statement::open(message).is_ok(), "an order that nobody signed");
        });
        refused += u64::from(taken.is_err());
        assert_eq!(gate.unauthentic(), refused, "what is refused is counted");
        if taken.is_ok()
            && let Ok(shown) = Kind::Opening.content(message)
        {
            let opening = canonical(shown).map(|shown| verify_opening(&shown, trust()));
            assert!(matches!(opening, Some(Ok(opening)) if opening.session() == SESSION));
        }
    }
}

/// An open session under a lease: nothing is authentic without the lease's code, or the signature of somebody who may.
pub(crate) fn verifier(bytes: &[u8]) {
    static OPENING: OnceLock<VerifiedOpening> = OnceLock::new();
    let opening = OPENING.get_or_init(|| verify_opening(evidence(), trust()).expect("the stage is sound"));
    let lease = MacKey::new(&[1; 32]);
    let mut verifier = Verifier::new(opening, BOOT);
    verifier.adopt(lease.clone());
    for (how, content) in pieces(bytes) {
        let message = match how % 4 {
            0 => content.to_vec(),
            1 => sealed(content, &lease),
            2 => Signed::new(b"farhand/v1 statement\0", &key(1), content.to_vec()).to_bytes(),
            _ => Signed::new(b"farhand/v1 statement\0", &key(77), content.to_vec()).to_bytes(),
        };
        assert!(verifier.command(&message).is_err() || has_code(&message, &lease));
        let Ok(said) = verifier.statement(&message) else { continue };
        let (author, statement) = Statement::open(&message).expect("what is believed is signed");
        assert_eq!(statement.session, SESSION);
        assert!(said.is_none_or(|order| order.author() == author));
    }
}

/// What is on the kit's disk: a torn log opens as far as it is whole, and anything else is read as it was written.
pub(crate) fn files(bytes: &[u8]) {
    let mut pieces = pieces(bytes).map(|(_, content)| content);
    let mut next = || pieces.next().unwrap_or_default();
    let [token, closed, journal, old] = [next(), next(), next(), next()];
    let names = ["lease-token", "closed-sessions", "journal", "journal.old"];
    let kept = [(names[0], token), (names[1], closed), (names[2], journal), (names[3], old)];
    let folder = folder(&kept);
    let path = folder.path();
    if let Ok(store) = TokenStore::open(path) {
        let text = String::from_utf8_lossy(token);
        assert_eq!(text.trim().parse(), Ok(store.highest().0));
    }
    if let Ok(store) = ClosedStore::open(path) {
        let text: String = store.closed().iter().map(|session| format!("{session}\n")).collect();
        let lines =
            String::from_utf8_lossy(closed).lines().map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(text, lines.to_ascii_lowercase(), "sessions as they were written");
    }
    let Ok((_, messages)) = JournalFile::open(path) else { return };
    let length: usize = messages.iter().map(|message| message.len() + 4).sum();
    assert!(length <= journal.len() + old.len());
    let again = JournalFile::open(path).map(|(_, again)| again);
    assert_eq!(again.ok(), Some(messages), "a repaired log is whole");
}
