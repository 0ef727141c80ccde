//! Where each author's chain of segments ends.

use std::{cmp::Ordering, collections::BTreeMap};

use farhand_ledger::{Chain, Gap, Link, Numbered};
use farhand_wire::{KitBootId, LeaseToken, PublicKey, SessionId};

use super::refused::Refused;

/// Chains that are remembered, as many as the verifier remembers.
const CHAINS_MAX: usize = 4096;

/// An author's chain of one kind; the kit begins a new one each time its program starts.
pub(super) type ChainKey = (Numbered, PublicKey, KitBootId);

#[derive(Debug, Default)]
pub(super) struct Chains(BTreeMap<ChainKey, Chain>);

impl Chains {
    /// Whether a segment continues its chain; a hole before it is one to be declared.
    pub(super) fn check(
        &self,
        what: &'static str,
        key: ChainKey,
        link: Link,
        gaps: &mut Vec<Gap>,
    ) -> Result<(), Refused> {
        let next = self.0.get(&key).copied().unwrap_or_else(|| Chain::new(link.session)).next();
        let number = link.number;
        match number.cmp(&next.number) {
            Ordering::Less => Err(Refused::Repeated { what, number }),
            Ordering::Equal if link.previous == next.previous => Ok(()),
            Ordering::Equal => Err(Refused::Forks { what, number }),
            Ordering::Greater => {
                let reason = "they did not come to the edge box, or did not fit their chain".to_owned();
                let (of, token, first, last) = (key.0, LeaseToken(0), next.number, number - 1);
                gaps.push(Gap { of, token, first, last, reason });
                Ok(())
            }
        }
    }

    /// Takes a segment that was checked.
    pub(super) fn extend(&mut self, key: ChainKey, link: Link, signed: &[u8]) {
        if self.0.len() >= CHAINS_MAX && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        self.0.entry(key).or_insert_with(|| Chain::new(link.session)).skip_to(link, signed);
    }

    /// Number of the newest segment of the surgeon with that session key; 0 before the first.
    pub(super) fn surgeon_segments(&self, session: SessionId, author: PublicKey) -> u64 {
        let key = (Numbered::SurgeonSegments, author, KitBootId::default());
        self.0.get(&key).copied().unwrap_or_else(|| Chain::new(session)).next().number - 1
    }
}
