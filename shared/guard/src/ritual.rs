//! What takes two people, one of them at the bedside, who sign the same fresh challenge.

use farhand_wire::{Challenge, PublicKey, Role};
use sha2::{Digest, Sha256};

#[cfg(test)]
#[path = "explore/keys/ritual.rs"]
mod explored;

/// People who must sign.
pub(crate) const PEOPLE_NEEDED: usize = 2;

/// A member of the session's roster, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) number: u8,
    pub(crate) role: Role,
}

/// Who has signed one thing under the challenge in force.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signers {
    people: u32,
    bedside: bool,
}

impl Signers {
    pub(crate) fn sign(&mut self, person: Person) {
        self.people |= 1 << (u32::from(person.number) % u32::BITS);
        self.bedside |= person.role == Role::Bedside;
    }

    pub(crate) fn are_enough(self) -> bool {
        self.count() >= PEOPLE_NEEDED && self.bedside
    }

    pub(crate) fn count(self) -> usize {
        self.people.count_ones() as usize
    }

    pub(crate) fn people(self) -> u32 {
        self.people
    }
}

/// The challenge in force and the signatures under it. A new challenge forgets them all.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Rituals {
    seed: [u8; 32],
    number: u64,
    challenge: Challenge,
    pub(crate) arm: Signers,
    pub(crate) clear: Signers,
    pub(crate) take_over: Option<(PublicKey, Signers)>,
}

impl Rituals {
    /// `seed` is secret and new at each start of the kit.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let challenge = challenge(&seed, 0);
        Self {
            seed,
            number: 0,
            challenge,
            arm: Signers::default(),
            clear: Signers::default(),
            take_over: None,
        }
    }

    pub(crate) fn challenge(&self) -> Challenge {
        self.challenge
    }

    /// The challenge was used up, or what it was for is over.
    pub(crate) fn renew(&mut self) {
        let number = self.number + 1;
        *self = Self { number, challenge: challenge(&self.seed, number), ..Self::new(self.seed) };
    }

    /// Counts a signature for handing control to `to`; a different `to` starts over.
    pub(crate) fn sign_take_over(&mut self, to: PublicKey, person: Person) -> Signers {
        let mut signers = match self.take_over {
            Some((named, signers)) if named == to => signers,
            _ => Signers::default(),
        };
        signers.sign(person);
        self.take_over = Some((to, signers));
        signers
    }

    /// Everybody who has signed anything under this challenge, a bit a person.
    pub(crate) fn signed_by(&self) -> u32 {
        self.arm.people() | self.clear.people() | self.take_over.map_or(0, |(_, signers)| signers.people())
    }
}

fn challenge(seed: &[u8; 32], number: u64) -> Challenge {
    let mut hash = Sha256::new();
    hash.update(b"farhand/v1 challenge\0");
    hash.update(seed);
    hash.update(number.to_le_bytes());
    Challenge(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_twice_is_not_two_people() {
        let mut signers = Signers::default();
        signers.sign(Person { number: 1, role: Role::Bedside });
        signers.sign(Person { number: 1, role: Role::Bedside });
        assert!(!signers.are_enough());
        signers.sign(Person { number: 0, role: Role::Surgeon });
        assert!(signers.are_enough());
    }

    #[test]
    fn two_people_far_away_are_not_enough() {
        let mut signers = Signers::default();
        signers.sign(Person { number: 0, role: Role::Surgeon });
        signers.sign(Person { number: 2, role: Role::Surgeon });
        assert!(!signers.are_enough());
    }

    #[test]
    fn a_new_challenge_forgets_signatures() {
        let mut rituals = Rituals::new([1; 32]);
        let before = rituals.challenge();
        rituals.arm.sign(Person { number: 0, role: Role::Bedside });
        rituals.renew();
        assert_ne!(rituals.challenge(), before);
        assert_eq!(rituals.arm.count(), 0);
    }
}
