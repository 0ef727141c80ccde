//! Who is in the session: its roster, and the session keys that its people endorsed.

use std::collections::BTreeMap;

use bytes::Bytes;
use farhand_ledger::VerifiedOpening;
use farhand_wire::{PublicKey, Role, SessionId};

/// Session keys endorsed in one session; the kit takes no more either.
pub const SESSION_KEYS_MAX: usize = 64;

/// Everybody who may speak.
#[derive(Debug)]
pub struct People {
    opening: VerifiedOpening,
    endorsed: BTreeMap<PublicKey, Role>,
    /// As signed, in the order in which they came.
    endorsements: Vec<Bytes>,
}

/// What became of an endorsement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endorsed {
    /// That key was known.
    Before,
    Now,
    TooMany,
}

impl People {
    pub(super) fn new(opening: VerifiedOpening) -> Self {
        Self { opening, endorsed: BTreeMap::new(), endorsements: Vec::new() }
    }

    pub(super) fn session(&self) -> SessionId {
        self.opening.session()
    }

    pub(super) fn kit(&self) -> PublicKey {
        self.opening.kit()
    }

    /// A key once endorsed belongs to that person for the session.
    pub(super) fn endorse(&mut self, session_key: PublicKey, role: Role, signed: &Bytes) -> Endorsed {
        if self.endorsed.contains_key(&session_key) {
            return Endorsed::Before;
        }
        if self.endorsements.len() >= SESSION_KEYS_MAX {
            return Endorsed::TooMany;
        }
        self.endorsed.insert(session_key, role);
        self.endorsements.push(signed.clone());
        Endorsed::Now
    }

    pub(super) fn endorsements(&self) -> impl Iterator<Item = &Bytes> {
        self.endorsements.iter()
    }

    /// In which role a person's key speaks, be it their own or a session's.
    pub(super) fn role(&self, key: PublicKey) -> Option<Role> {
        self.opening.member(key).map(|member| member.role).or_else(|| self.session_role(key))
    }

    /// Likewise, of session keys alone.
    pub(super) fn session_role(&self, key: PublicKey) -> Option<Role> {
        self.endorsed.get(&key).copied()
    }
}
