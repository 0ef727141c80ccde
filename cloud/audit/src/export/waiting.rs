//! Rows that wait for what is said of them later, in the order in which they came, and not for ever.

use std::collections::{BTreeMap, VecDeque};

/// A minute of commands at 250 a second; ten of frames.
const WAITING_MAX: usize = 16_384;

/// Rows by key. Invariant (local): `places` has, for each key in `rows`, the number of its newest row.
#[derive(Debug)]
pub(super) struct Waiting<K, R> {
    rows: VecDeque<(K, R)>,
    places: BTreeMap<K, u64>,
    /// Rows that are gone.
    passed: u64,
}

impl<K: Ord + Copy, R> Waiting<K, R> {
    pub(super) fn new() -> Self {
        Self { rows: VecDeque::new(), places: BTreeMap::new(), passed: 0 }
    }

    /// Puts a row at the end, and hands back one that has waited long enough.
    pub(super) fn push(&mut self, key: K, row: R) -> Option<R> {
        self.places.insert(key, self.passed + self.rows.len() as u64);
        self.rows.push_back((key, row));
        if self.rows.len() > WAITING_MAX { self.pop() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut R> {
        let place = self.places.get(key)?.checked_sub(self.passed)?;
        self.rows.get_mut(usize::try_from(place).ok()?).map(|(_, row)| row)
    }

    /// The oldest row.
    pub(super) fn pop(&mut self) -> Option<R> {
        let (key, row) = self.rows.pop_front()?;
        if self.places.get(&key) == Some(&self.passed) {
            self.places.remove(&key);
        }
        self.passed += 1;
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: rows come out as they went in, each can be reached until then, and they do not wait for ever.
    #[test]
    fn rows_wait_in_order() {
        let mut waiting = Waiting::new();
        let out: Vec<u64> =
            (0..WAITING_MAX as u64 + 10).filter_map(|key| waiting.push(key, key * 2)).collect();
        assert_eq!(out, (0..10).map(|key| key * 2).collect::<Vec<_>>());
        assert!(waiting.get_mut(&9).is_none());
        *waiting.get_mut(&11).unwrap() = 1;
        assert_eq!((waiting.pop(), waiting.pop()), (Some(20), Some(1)));
        assert_eq!(std::iter::from_fn(|| waiting.pop()).count(), WAITING_MAX - 2);
        assert!(waiting.places.is_empty());
    }
}
