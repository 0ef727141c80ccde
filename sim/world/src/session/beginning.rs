//! What there is before the first millisecond: the kit, and the session's opening.

use ed25519_dalek::SigningKey;
use farhand_guard::Limits;
use farhand_kit::{Identity, Kit, Past};
use farhand_ledger::{
    Cbor, Hash, Member, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_motion::Mounted;
use farhand_wire::{ArmState, KitBootId, LeaseToken, Role};

use super::SESSION;
use crate::people::public;

/// What is the kit's own, however often it starts.
pub(super) struct Own<'a> {
    pub(super) key: &'a SigningKey,
    pub(super) trust: &'a TrustRoot,
    pub(super) limits: &'a Limits,
    pub(super) rig: &'a [Mounted],
}

pub(super) fn kit(
    Own { key, trust, limits, rig }: Own<'_>,
    boot: u8,
    measured: &[Option<ArmState>],
    highest: LeaseToken,
    past: Past,
) -> Result<Kit, farhand_motion::LimitExceeded> {
    let identity = Identity {
        key: key.clone(),
        boot: KitBootId([boot; 16]),
        edge: public(&SigningKey::from_bytes(&[22; 32])),
        trust: trust.clone(),
        limits_digest: limits.digest(),
        arm_digest: Mounted::digest_of(rig),
        arms: Vec::new(), // nobody reads what they are
        seed: [boot ^ 0x55; 32],
        past,
    };
    Kit::new(identity, limits.clone(), rig, measured, highest)
}

pub(super) fn opening(
    kit: &SigningKey,
    people: &[(farhand_wire::PublicKey, Role)],
    limits: &Limits,
    rig: &[Mounted],
) -> Result<(TrustRoot, Vec<u8>), farhand_ledger::Malformed> {
    let mut keys = FiveKeys::new([11; 32]);
    let member = |(number, (key, role)): (usize, &(farhand_wire::PublicKey, Role))| Member {
        key: *key,
        role: *role,
        pseudonym: format!("person-{number}"),
    };
    let evidence = keys.open(Plan {
        session: SESSION,
        roster: people.iter().enumerate().map(member).collect(),
        edge: public(&SigningKey::from_bytes(&[22; 32])),
        kit,
        field: &SigningKey::from_bytes(&[23; 32]),
        limits_digest: Hash(limits.digest()),
        arm_digest: Hash(Mounted::digest_of(rig)),
        at: Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 },
    })?;
    Ok((keys.trust().clone(), evidence.to_bytes()))
}
