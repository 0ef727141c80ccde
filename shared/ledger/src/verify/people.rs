//! Who may say what: the roster, the session keys that its people endorsed, and who was granted control.

use std::collections::BTreeMap;

use farhand_wire::{LeaseToken, LeaseTranscript, PublicKey, Role, Said, Statement};

use super::finding::{Findings, Problem};
use crate::{TransactionProof, TrustRoot, VerifiedOpening};

/// Session keys and leases that are remembered; a session has a handful.
const REMEMBERED_MAX: usize = 4096;

/// Everybody in the session.
#[derive(Debug)]
pub(super) struct People {
    opening: VerifiedOpening,
    /// Session keys, and the role of whoever endorsed each.
    endorsed: BTreeMap<PublicKey, Role>,
    holders: BTreeMap<LeaseToken, PublicKey>,
}

impl People {
    pub(super) fn new(opening: VerifiedOpening) -> Self {
        Self { opening, endorsed: BTreeMap::new(), holders: BTreeMap::new() }
    }

    pub(super) fn opening(&self) -> &VerifiedOpening {
        &self.opening
    }

    /// The role in which that key speaks.
    pub(super) fn role(&self, key: PublicKey) -> Option<Role> {
        match key {
            key if key == self.opening.edge() => Some(Role::Edge),
            key if key == self.opening.kit() => Some(Role::Kit),
            key => self.opening.member(key).map(|m| m.role).or_else(|| self.endorsed.get(&key).copied()),
        }
    }

    /// Whether that key is one of a surgeon's session keys.
    pub(super) fn is_surgeons_session_key(&self, key: PublicKey) -> bool {
        self.endorsed.get(&key) == Some(&Role::Surgeon)
    }

    /// Whom the kit granted that token.
    pub(super) fn holder(&self, token: LeaseToken) -> Option<PublicKey> {
        self.holders.get(&token).copied()
    }

    /// Takes a person who joined later.
    pub(super) fn join(
        &mut self,
        leaf: u64,
        proof: &TransactionProof,
        trust: &TrustRoot,
        findings: &mut Findings,
    ) {
        match self.opening.clone().with_addition(proof, trust) {
            Ok(more) => self.opening = more,
            Err(error) => findings.add(leaf, Problem::Transaction(error)),
        }
    }

    /// Takes a statement, if its author may make one.
    pub(super) fn hear(&mut self, leaf: u64, signed: &[u8], findings: &mut Findings) {
        let (author, statement) = match Statement::open(signed) {
            Ok(opened) => opened,
            Err(error) => return findings.add(leaf, Problem::Signature { what: "statement", error }),
        };
        let (seen, expected) = (statement.session, self.opening.session());
        if seen != expected {
            return findings.add(leaf, Problem::Session { what: "statement", seen, expected });
        }
        if self.role(author).is_none() {
            return findings.add(leaf, Problem::Author { what: "statement", seen: author });
        }
        self.learn(leaf, author, &statement.said, findings);
    }

    fn learn(&mut self, leaf: u64, author: PublicKey, said: &Said, findings: &mut Findings) {
        match said {
            Said::Endorse { session_key } => match self.opening.member(author) {
                Some(member) if self.endorsed.len() < REMEMBERED_MAX => {
                    self.endorsed.insert(*session_key, member.role);
                }
                _ => findings.add(leaf, Problem::Author { what: "endorsement", seen: author }),
            },
            Said::LeaseGrant { transcript } if author == self.opening.kit() => {
                self.grant(leaf, transcript, findings)
            }
            Said::LeaseGrant { .. } | Said::Notice { .. } | Said::Refused { .. }
                if author != self.opening.kit() =>
            {
                findings.add(leaf, Problem::Author { what: "the kit's statement", seen: author });
            }
            _ => {}
        }
    }

    fn grant(&mut self, leaf: u64, transcript: &LeaseTranscript, findings: &mut Findings) {
        let LeaseTranscript { token, holder: seen, .. } = *transcript;
        match self.holder(token) {
            Some(expected) if expected != seen => {
                findings.add(leaf, Problem::TwoHolders { token, seen, expected });
            }
            Some(_) => {}
            None if self.holders.len() < REMEMBERED_MAX => {
                self.holders.insert(token, seen);
            }
            None => findings.add(leaf, Problem::NoLease { token }),
        }
    }
}
