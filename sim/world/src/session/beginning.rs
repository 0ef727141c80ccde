//! What there is before the first millisecond: the kit, and the session's opening.

use ed25519_dalek::SigningKey;
use farhand_guard::Limits;
use farhand_kit::{Identity, Kit, Past};
use farhand_ledger::{
    Cbor, Hash, Member, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_motion::ArmModel;
use farhand_wire::{ArmState, KitBootId, LeaseToken, Role};

use super::SESSION;
use crate::people::public;

pub(super) fn kit(
    key: &SigningKey,
    boot: u8,
    trust: &TrustRoot,
    model: &ArmModel,
    measured: ArmState,
    highest: LeaseToken,
    past: Past,
) -> Result<Kit, farhand_motion::LimitExceeded> {
    let limits = Limits::default();
    let identity = Identity {
        key: key.clone(),
        boot: KitBootId([boot; 16]),
        edge: public(&SigningKey::from_bytes(&[22; 32])),
        trust: trust.clone(),
        limits_digest: limits.digest(),
        arm_digest: model.digest(),
        seed: [boot ^ 0x55; 32],
        past,
    };
    Kit::new(identity, limits, model, measured, highest)
}

pub(super) fn opening(
    kit: &SigningKey,
    people: &[(farhand_wire::PublicKey, Role)],
    model: &ArmModel,
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
        limits_digest: Hash(Limits::default().digest()),
        arm_digest: Hash(model.digest()),
        at: Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 },
    })?;
    Ok((keys.trust().clone(), evidence.to_bytes()))
}
