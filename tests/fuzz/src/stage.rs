//! One small world for all targets: a session on a ledger of five keys, as the ledger's own tests have it.

use std::{path::Path, sync::OnceLock};

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor, Hash, Member, OpeningEvidence, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_wire::{KitBootId, PublicKey, Role, SessionId};

pub const SESSION: SessionId = SessionId([9; 16]);
pub const BOOT: KitBootId = KitBootId([5; 16]);

/// Surgeon 1, bedside 2, field 3, edge box 4, kit 5.
#[must_use]
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

#[must_use]
pub fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

/// What everybody has pinned.
pub fn trust() -> &'static TrustRoot {
    &opened().0
}

/// The evidence of the one session that is open.
pub fn evidence() -> &'static OpeningEvidence {
    &opened().1
}

fn opened() -> &'static (TrustRoot, OpeningEvidence) {
    static OPENED: OnceLock<(TrustRoot, OpeningEvidence)> = OnceLock::new();
    OPENED.get_or_init(|| {
        let mut keys = FiveKeys::new([8; 32]);
        let member =
            |number, role| Member { key: public(number), role, pseudonym: format!("person {number}") };
        let plan = Plan {
            session: SESSION,
            roster: vec![member(1, Role::Surgeon), member(2, Role::Bedside)],
            edge: public(4),
            kit: &key(5),
            field: &key(3),
            limits_digest: Hash::of(b"limits"),
            arm_digest: Hash::of(b"arm"),
            at: Utc { us: 1_760_000_000_000_000, uncertainty_us: 2000 },
        };
        let evidence = keys.open(plan).expect("the plan is within all bounds");
        (keys.trust().clone(), evidence)
    })
}

const PIECES_MAX: usize = 64;

/// An input as a series of messages: each a number, a length (u16 LE), and so many bytes, or those that are left.
pub(crate) fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let next = move || {
        let (&[number, low, high], rest) = bytes.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([low, high]));
        let (content, rest) = rest.split_at(length.min(rest.len()));
        bytes = rest;
        Some((number, content))
    };
    std::iter::from_fn(next).take(PIECES_MAX)
}

/// One message of such a series.
#[must_use]
pub fn piece(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a seed's messages are short");
    [&[number][..], &length.to_le_bytes(), content].concat()
}

/// What was read has this one encoding.
pub(crate) fn canonical<T: Cbor>(bytes: &[u8]) -> Option<T> {
    let value = T::read(bytes).ok()?;
    assert!(bytes.len() <= T::BYTES_MAX, "{} of {} bytes", T::WHAT, bytes.len());
    assert_eq!(value.to_bytes(), bytes, "{} has two encodings", T::WHAT);
    Some(value)
}

/// A folder that is gone afterwards, with these files in it.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    files.iter().for_each(|(name, bytes)| put(&folder.path().join(name), bytes));
    folder
}

pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("there is room for a few files");
}
