//! Who says so: outside bytes become [`Authentic`] here, on the receiving thread, or nothing.

use arrayvec::ArrayVec;
use farhand_ledger::VerifiedOpening;
use farhand_wire::{
    BadSignature, Challenge, Command, KitBootId, LeaseToken, MacKey, PressId, PublicKey, Role, SessionId,
    Statement, Unauthentic,
};
use thiserror::Error;

use crate::ritual::Person;

#[cfg(test)]
#[path = "explore/keys/verify.rs"]
mod explored;

/// People and devices on a session's roster.
const MEMBERS_MAX: usize = 32;
/// Session keys endorsed in one session: a person may come back in a new browser a few times.
const SESSION_KEYS_MAX: usize = 64;

/// Something that was checked to be by whom it says. Only [`Verifier`] makes one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Authentic<T>(T);

impl<T> Authentic<T> {
    /// What was said.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// What somebody on the roster orders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    pub(crate) author: PublicKey,
    pub(crate) person: Person,
    pub(crate) said: Said,
}

/// The statements that the guard answers to. Fixed in size: they cross to the loop without allocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    EStop {
        press: PressId,
    },
    ClearEStop {
        challenge: Challenge,
    },
    Arm {
        challenge: Challenge,
    },
    Disarm,
    Close,
    WithdrawConsent,
    /// So many regions of that version went before it.
    Forbid {
        challenge: Challenge,
        version: u64,
        regions: usize,
    },
    Home {
        challenge: Challenge,
    },
    Withdraw {
        challenge: Challenge,
    },
    LeaseRequest {
        challenge: Challenge,
        x25519: PublicKey,
    },
    LeaseConfirm {
        token: LeaseToken,
        transcript: [u8; 32],
    },
    HandOver {
        token: LeaseToken,
        to: PublicKey,
    },
    TakeOver {
        challenge: Challenge,
        to: PublicKey,
    },
}

impl Authentic<Order> {
    #[must_use]
    pub fn said(&self) -> &Said {
        &self.0.said
    }

    #[must_use]
    pub fn author(&self) -> PublicKey {
        self.0.author
    }
}

/// Why a statement has no say here.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NotAuthorised {
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    #[error("the statement is about session {session}, this is {current}")]
    WrongSession { session: SessionId, current: SessionId },
    #[error("{author} is neither on the session's roster nor endorsed by anybody who is")]
    NotOnRoster { author: PublicKey },
    #[error("the roster's members have endorsed {keys} session keys, limit {max}")]
    TooManySessionKeys { keys: usize, max: usize },
    #[error("the lease was granted by another run of this kit")]
    WrongBoot { boot: KitBootId },
    #[error("the kit takes no such statement from anybody")]
    NotForTheKit,
}

/// Knows a session's roster and the key of its lease.
#[derive(Debug)]
pub struct Verifier {
    session: SessionId,
    boot: KitBootId,
    members: ArrayVec<(PublicKey, Role), MEMBERS_MAX>,
    session_keys: ArrayVec<(PublicKey, u8), SESSION_KEYS_MAX>,
    lease: Option<MacKey>,
}

impl Verifier {
    /// For a session whose opening, consent and custody were proven against the ledger's trust root.
    #[must_use]
    pub fn new(opening: &VerifiedOpening, boot: KitBootId) -> Self {
        let members =
            opening.roster().iter().map(|member| (member.key, member.role)).take(MEMBERS_MAX).collect();
        Self { session: opening.session(), boot, members, session_keys: ArrayVec::new(), lease: None }
    }

    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The keys of members, by their numbers in the guard's bit sets.
    pub fn members(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.members.iter().map(|(key, _)| *key)
    }

    /// From now on commands are those sealed under this key, and no other.
    pub fn adopt(&mut self, console_to_kit: MacKey) {
        self.lease = Some(console_to_kit);
    }

    /// A command sealed by the holder of control.
    pub fn command(&self, bytes: &[u8]) -> Result<Authentic<Command>, Unauthentic> {
        let key = self.lease.as_ref().ok_or(Unauthentic::Code)?;
        Command::open(bytes, key).map(Authentic)
    }

    /// A statement signed by somebody on the roster. `None` if all it did was to endorse a session key.
    pub fn statement(&mut self, bytes: &[u8]) -> Result<Option<Authentic<Order>>, NotAuthorised> {
        let (author, statement) = Statement::open(bytes)?;
        if statement.session != self.session {
            return Err(NotAuthorised::WrongSession { session: statement.session, current: self.session });
        }
        if let farhand_wire::Said::Endorse { session_key } = statement.said {
            return self.endorse(author, session_key).map(|()| None);
        }
        let person = self.person(author).ok_or(NotAuthorised::NotOnRoster { author })?;
        let said = self.order(statement.said)?;
        Ok(Some(Authentic(Order { author, person, said })))
    }

    /// Only a member's own key endorses; a key once endorsed belongs to that member for the session.
    fn endorse(&mut self, author: PublicKey, session_key: PublicKey) -> Result<(), NotAuthorised> {
        let number = self.member(author).ok_or(NotAuthorised::NotOnRoster { author })?;
        if self.person(session_key).is_some() {
            return Ok(());
        }
        self.session_keys.try_push((session_key, number)).map_err(|_| NotAuthorised::TooManySessionKeys {
            keys: SESSION_KEYS_MAX + 1,
            max: SESSION_KEYS_MAX,
        })
    }

    fn member(&self, key: PublicKey) -> Option<u8> {
        self.members.iter().position(|(member, _)| *member == key).map(|number| number as u8)
    }

    fn person(&self, key: PublicKey) -> Option<Person> {
        let endorsed =
            || self.session_keys.iter().find(|(known, _)| *known == key).map(|(_, number)| *number);
        let number = self.member(key).or_else(endorsed)?;
        Some(Person { number, role: self.members[usize::from(number)].1 })
    }

    fn order(&self, said: farhand_wire::Said) -> Result<Said, NotAuthorised> {
        use farhand_wire::Said as Wire;
        Ok(match said {
            Wire::EStop { press } => Said::EStop { press },
            Wire::ClearEStop { challenge } => Said::ClearEStop { challenge },
            Wire::Arm { challenge } => Said::Arm { challenge },
            Wire::Disarm {} => Said::Disarm,
            Wire::Close {} => Said::Close,
            Wire::WithdrawConsent {} => Said::WithdrawConsent,
            Wire::Forbid { challenge, version, regions } => {
                Said::Forbid { challenge, version, regions: regions.len() }
            }
            Wire::Home { challenge } => Said::Home { challenge },
            Wire::Withdraw { challenge } => Said::Withdraw { challenge },
            Wire::LeaseRequest { challenge, x25519 } => Said::LeaseRequest { challenge, x25519 },
            Wire::LeaseConfirm { transcript } if transcript.boot == self.boot => {
                Said::LeaseConfirm { token: transcript.token, transcript: transcript.hash() }
            }
            Wire::LeaseConfirm { transcript } => {
                return Err(NotAuthorised::WrongBoot { boot: transcript.boot });
            }
            Wire::HandOver { token, to } => Said::HandOver { token, to },
            Wire::TakeOver { challenge, to } => Said::TakeOver { challenge, to },
            Wire::Endorse { .. }
            | Wire::Fingerprint { .. }
            | Wire::LeaseGrant { .. }
            | Wire::Notice { .. }
            | Wire::Refused { .. } => return Err(NotAuthorised::NotForTheKit),
        })
    }
}
