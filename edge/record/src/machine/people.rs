//! Who may say what in this session, as the verifier will see it.

use std::collections::BTreeMap;

use farhand_ledger::VerifiedOpening;
use farhand_wire::{LeaseToken, PublicKey, Role, Said, Statement};

use super::refused::Refused;

/// Session keys and leases that are remembered, as many as the verifier remembers.
const REMEMBERED_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct People {
    opening: VerifiedOpening,
    endorsed: BTreeMap<PublicKey, Role>,
    holders: BTreeMap<LeaseToken, PublicKey>,
}

impl People {
    pub(super) fn new(opening: VerifiedOpening) -> Self {
        Self { opening, endorsed: BTreeMap::new(), holders: BTreeMap::new() }
    }

    pub(super) fn is_kit(&self, key: PublicKey) -> bool {
        key == self.opening.kit()
    }

    pub(super) fn is_surgeons_session_key(&self, key: PublicKey) -> bool {
        self.endorsed.get(&key) == Some(&Role::Surgeon)
    }

    /// Whom the kit granted that token.
    pub(super) fn holder(&self, token: LeaseToken) -> Option<PublicKey> {
        self.holders.get(&token).copied()
    }

    /// Whether the author may make that statement.
    pub(super) fn may_say(&self, author: PublicKey, statement: &Statement) -> Result<(), Refused> {
        let (seen, expected) = (statement.session, self.opening.session());
        if seen != expected {
            return Err(Refused::Session { what: "statement", seen, expected });
        }
        let (what, may) = match &statement.said {
            Said::Endorse { .. } => ("endorsement", self.may_endorse(author)),
            Said::LeaseGrant { transcript } => {
                ("lease", self.may_grant(author, transcript.token, transcript.holder))
            }
            Said::Notice { .. } | Said::Refused { .. } => ("the kit's statement", self.is_kit(author)),
            _ => ("statement", self.knows(author)),
        };
        if may { Ok(()) } else { Err(Refused::Author { what, seen: author }) }
    }

    /// Takes a statement that its author may make.
    pub(super) fn learn(&mut self, author: PublicKey, said: &Said) {
        match said {
            Said::Endorse { session_key } => {
                if let Some(role) = self.opening.member(author).map(|member| member.role) {
                    self.endorsed.insert(*session_key, role);
                }
            }
            Said::LeaseGrant { transcript } => {
                self.holders.insert(transcript.token, transcript.holder);
            }
            _ => {}
        }
    }

    fn knows(&self, key: PublicKey) -> bool {
        key == self.opening.edge()
            || self.is_kit(key)
            || self.opening.member(key).is_some()
            || self.endorsed.contains_key(&key)
    }

    fn may_endorse(&self, author: PublicKey) -> bool {
        self.opening.member(author).is_some() && self.endorsed.len() < REMEMBERED_MAX
    }

    /// One token, one holder.
    fn may_grant(&self, author: PublicKey, token: LeaseToken, holder: PublicKey) -> bool {
        let one_holder = self.holder(token).is_none_or(|before| before == holder);
        self.is_kit(author) && one_holder && self.holders.len() < REMEMBERED_MAX
    }
}
