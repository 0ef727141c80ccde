//! Who may say what in a session: the roster, the session keys that its people endorsed, and who was granted control.
//! The edge box asks before it records, the verifier when it reads: one rule.

use std::collections::BTreeMap;

use farhand_wire::{LeaseToken, PublicKey, Role, Said, SessionId, Statement};
use thiserror::Error;

use crate::VerifiedOpening;

/// Session keys and leases that are remembered; a session has a handful.
const REMEMBERED_MAX: usize = 4096;

/// Everybody in a session.
#[derive(Clone, Debug)]
pub struct People {
    opening: VerifiedOpening,
    /// Session keys, and the role of whoever endorsed each.
    endorsed: BTreeMap<PublicKey, Role>,
    holders: BTreeMap<LeaseToken, PublicKey>,
}

/// Why a statement is not its author's to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTheirs {
    /// It was made for another session.
    #[error("a statement of session {seen}, this is {expected}")]
    Session { seen: SessionId, expected: SessionId },
    /// Its author has no such right.
    #[error("{what} by {seen}, who may not say so")]
    Author { what: &'static str, seen: PublicKey },
    /// One token, one holder.
    #[error("token {} was granted to {seen} and to {expected}", token.0)]
    TwoHolders { token: LeaseToken, seen: PublicKey, expected: PublicKey },
    /// More session keys or leases than any session has.
    #[error("more {what} than any session has")]
    TooMany { what: &'static str },
}

impl People {
    /// Those whom the opening names.
    #[must_use]
    pub fn new(opening: VerifiedOpening) -> Self {
        Self { opening, endorsed: BTreeMap::new(), holders: BTreeMap::new() }
    }

    /// What they were named by.
    #[must_use]
    pub fn opening(&self) -> &VerifiedOpening {
        &self.opening
    }

    /// The same people and those of an opening with additions.
    pub fn add(&mut self, opening: VerifiedOpening) {
        self.opening = opening;
    }

    /// The role in which that key speaks.
    #[must_use]
    pub fn role(&self, key: PublicKey) -> Option<Role> {
        match key {
            key if key == self.opening.edge() => Some(Role::Edge),
            key if self.is_kit(key) => Some(Role::Kit),
            key => self.opening.member(key).map(|m| m.role).or_else(|| self.endorsed.get(&key).copied()),
        }
    }

    /// Whether that key is the kit's.
    #[must_use]
    pub fn is_kit(&self, key: PublicKey) -> bool {
        key == self.opening.kit()
    }

    /// Whether that key is one of a surgeon's session keys.
    #[must_use]
    pub fn is_surgeons_session_key(&self, key: PublicKey) -> bool {
        self.endorsed.get(&key) == Some(&Role::Surgeon)
    }

    /// Whom the kit granted that token.
    #[must_use]
    pub fn holder(&self, token: LeaseToken) -> Option<PublicKey> {
        self.holders.get(&token).copied()
    }

    /// Whether the author may make that statement.
    pub fn may_say(&self, author: PublicKey, statement: &Statement) -> Result<(), NotTheirs> {
        let (seen, expected) = (statement.session, self.opening.session());
        if seen != expected {
            return Err(NotTheirs::Session { seen, expected });
        }
        let (what, may) = match &statement.said {
            Said::Endorse { .. } => ("endorsement", self.opening.member(author).is_some()),
            Said::LeaseGrant { .. } => ("lease", self.is_kit(author)),
            Said::Notice { .. } | Said::Refused { .. } => ("the kit's statement", self.is_kit(author)),
            _ => ("statement", self.role(author).is_some()),
        };
        if !may {
            return Err(NotTheirs::Author { what, seen: author });
        }
        self.has_room(&statement.said)
    }

    fn has_room(&self, said: &Said) -> Result<(), NotTheirs> {
        match said {
            Said::Endorse { .. } if self.endorsed.len() >= REMEMBERED_MAX => {
                Err(NotTheirs::TooMany { what: "endorsements" })
            }
            Said::LeaseGrant { transcript } => {
                let (token, seen) = (transcript.token, transcript.holder);
                match self.holder(token) {
                    Some(expected) if expected != seen => {
                        Err(NotTheirs::TwoHolders { token, seen, expected })
                    }
                    None if self.holders.len() >= REMEMBERED_MAX => {
                        Err(NotTheirs::TooMany { what: "leases" })
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Takes a statement that its author may make.
    pub fn learn(&mut self, author: PublicKey, said: &Said) {
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
}
