//! Lists that stay small however long a session is: the first of them, the newest of them, and how many lie between.

use std::collections::VecDeque;

/// The first `FIRST` and the newest `NEWEST` items.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<T, const FIRST: usize, const NEWEST: usize> {
    first: Vec<T>,
    newest: VecDeque<T>,
    left_out: u64,
}

impl<T, const FIRST: usize, const NEWEST: usize> Default for Bounded<T, FIRST, NEWEST> {
    fn default() -> Self {
        Self { first: Vec::new(), newest: VecDeque::new(), left_out: 0 }
    }
}

impl<T, const FIRST: usize, const NEWEST: usize> Bounded<T, FIRST, NEWEST> {
    pub(crate) fn push(&mut self, item: T) {
        if self.first.len() < FIRST {
            return self.first.push(item);
        }
        self.newest.push_back(item);
        if self.newest.len() > NEWEST {
            self.newest.pop_front();
            self.left_out += 1;
        }
    }

    /// The last one that was put in, to go on with it.
    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.newest.back_mut().or(self.first.last_mut())
    }

    /// The first ones.
    pub(crate) fn head(&self) -> &[T] {
        &self.first
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.newest)
    }

    /// How many stand between the first ones and the newest ones, and are not listed.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(crate) fn total(&self) -> u64 {
        (self.first.len() + self.newest.len()) as u64 + self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the first and the newest stay, in order, and what is between them is counted.
    #[test]
    fn the_middle_is_counted() {
        let mut list = Bounded::<u64, 2, 3>::default();
        (0..9).for_each(|item| list.push(item));
        assert_eq!(list.head(), [0, 1]);
        assert_eq!((list.left_out(), list.total()), (4, 9));
        *list.last_mut().unwrap() = 80;
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [0, 1, 6, 7, 80]);
    }
}
