//! Which commands are on record, under each lease token.

use std::collections::BTreeMap;

use farhand_wire::{LeaseToken, Sequence};

/// Tokens that are remembered; a session has a handful.
const TOKENS_MAX: usize = 256;
/// A command that is later than this many others is not told from one that came before: a minute at 250 a second.
const WINDOW: u64 = 16_384;
const WORD_BITS: u64 = u64::BITS as u64;

#[derive(Debug, Default)]
pub(super) struct Commands(BTreeMap<LeaseToken, Sequences>);

/// The sequences of one token.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    pub(super) newest: u64,
    /// One bit for each of the newest, at `sequence % WINDOW`.
    seen: Vec<u64>,
    /// The end of the surgeon's list.
    pub(super) listed: u64,
    /// The edge box's program started again after this one: what followed may be lost.
    pub(super) restarted_after: Option<u64>,
}

impl Commands {
    /// The newest token, and its newest command.
    pub(super) fn newest(&self) -> Option<(LeaseToken, Sequence)> {
        self.0.last_key_value().map(|(token, sequences)| (*token, Sequence(sequences.newest)))
    }

    pub(super) fn of(&self, token: LeaseToken) -> Option<&Sequences> {
        self.0.get(&token)
    }

    pub(super) fn of_mut(&mut self, token: LeaseToken) -> &mut Sequences {
        if self.0.len() >= TOKENS_MAX && !self.0.contains_key(&token) {
            self.0.pop_first();
        }
        self.0.entry(token).or_default()
    }

    /// The command after which some may be missing, if the edge box's program started again under that token.
    pub(super) fn restarted_after_mut(&mut self, token: LeaseToken) -> Option<&mut u64> {
        self.0.get_mut(&token)?.restarted_after.as_mut()
    }

    /// From now on, what was relayed last may be missing.
    pub(super) fn restart(&mut self) {
        self.0.values_mut().for_each(|sequences| sequences.restarted_after = Some(sequences.newest));
    }

    /// By token: commands on record that no list of the surgeon names.
    pub(super) fn unlisted(&self) -> impl Iterator<Item = (LeaseToken, u64, u64)> {
        self.0
            .iter()
            .filter(|(_, sequences)| sequences.newest > sequences.listed)
            .map(|(token, sequences)| (*token, sequences.listed + 1, sequences.newest))
    }
}

impl Sequences {
    /// Whether that command may be new.
    pub(super) fn is_new(&self, sequence: u64) -> bool {
        sequence > self.newest || (self.newest - sequence < WINDOW && !self.has(sequence))
    }

    pub(super) fn insert(&mut self, sequence: u64) {
        self.seen.resize((WINDOW / WORD_BITS) as usize, 0);
        if sequence > self.newest {
            let forgotten = (self.newest + 1..=sequence).take(WINDOW as usize);
            forgotten.for_each(|sequence| self.set(sequence, false));
            self.newest = sequence;
        }
        self.set(sequence, true);
    }

    fn has(&self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, sequence: u64, seen: bool) {
        let (word, bit) = place(sequence);
        if seen {
            self.seen[word] |= bit;
        } else {
            self.seen[word] &= !bit;
        }
    }
}

/// The word and the bit in it. Both are small: the window is.
fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW;
    ((at / WORD_BITS) as usize, 1 << (at % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a command is new once, whether it comes in order, late, or after a leap over the whole window.
    #[test]
    fn a_command_is_new_once() {
        let mut sequences = Sequences::default();
        for sequence in [1, 2, 5, 4, 3, 100_000, 99_999] {
            assert!(sequences.is_new(sequence), "{sequence}");
            sequences.insert(sequence);
            assert!(!sequences.is_new(sequence), "{sequence}");
        }
        assert!(sequences.is_new(100_000 - WINDOW + 1));
        assert!(!sequences.is_new(100_000 - WINDOW), "too late to tell");
    }
}
