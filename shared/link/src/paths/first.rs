//! The first to arrive counts: a pure machine.
//!
//! **Invariants (local):** a number is first at most once; one that is not yet known and at most [`WINDOW`] behind the newest
//! is always first. What lies farther back is worth nothing any more, and is not told apart.
//!
//! **Why this suppresses nothing genuine.** The number stands inside a QUIC packet of the authenticated peer, so only that
//! peer can spend it, and it could as well not have sent the datagram. What the datagram holds is judged after this, by
//! whoever takes it, exactly as over one path.

/// Numbers remembered behind the newest: at a thousand datagrams a second, a path that is four seconds slower than another.
const WINDOW: u64 = 4096;
const BITS: u64 = u64::BITS as u64;
const WORDS: usize = (WINDOW / BITS) as usize;

/// Which numbers came (after RFC 6479).
#[derive(Debug)]
pub struct FirstHeard {
    newest: Option<u64>,
    /// Bit `number % WINDOW`, for the newest and those less than [`WINDOW`] before it.
    seen: [u64; WORDS],
}

impl Default for FirstHeard {
    fn default() -> Self {
        Self::new()
    }
}

impl FirstHeard {
    /// None came yet.
    #[must_use]
    pub fn new() -> Self {
        Self { newest: None, seen: [0; WORDS] }
    }

    /// Whether this number comes for the first time.
    pub fn take(&mut self, number: u64) -> bool {
        match self.newest {
            Some(newest) if number <= newest => {
                if newest - number >= WINDOW {
                    return false;
                }
            }
            newest => self.advance(newest, number),
        }
        let (word, bit) = place(number);
        let first = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        first
    }

    /// Forgets the numbers whose places the newer ones take.
    fn advance(&mut self, newest: Option<u64>, number: u64) {
        match newest {
            Some(newest) if number - newest < WINDOW => (newest + 1..=number).for_each(|passed| {
                let (word, bit) = place(passed);
                self.seen[word] &= !bit;
            }),
            _ => self.seen = [0; WORDS],
        }
        self.newest = Some(number);
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / BITS) as usize, 1 << (at % BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn near(to: u64) -> impl Strategy<Value = u64> {
        let spread = 2 * WINDOW;
        prop_oneof![9 => to.saturating_sub(spread)..=to.saturating_add(spread), 1 => any::<u64>()]
    }

    proptest! {
        /// Goal: whatever the order, a number counts once, and every one within the window counts.
        #[test]
        fn a_number_counts_once(numbers in proptest::collection::vec(near(1_000_000), 1..2000)) {
            let (mut heard, mut model, mut newest) = (FirstHeard::new(), BTreeSet::new(), 0);
            for number in numbers {
                let in_window = number >= newest || newest - number < WINDOW;
                let first = heard.take(number);
                prop_assert_eq!(first, in_window && model.insert(number), "{} after {}", number, newest);
                newest = newest.max(number);
            }
        }
    }

    /// Goal: two paths, one behind the other by almost the window, give each number once.
    #[test]
    fn a_slow_path_adds_nothing_twice() {
        let mut heard = FirstHeard::new();
        let behind = WINDOW - 1;
        let firsts = (0..20_000u64)
            .map(|now| {
                let fast = heard.take(now);
                let slow = now >= behind && heard.take(now - behind);
                usize::from(fast) + usize::from(slow)
            })
            .sum::<usize>();
        assert_eq!(firsts, 20_000);
    }

    #[test]
    fn the_ends_of_the_number_range_are_numbers() {
        let mut heard = FirstHeard::new();
        assert!(heard.take(0) && !heard.take(0));
        assert!(heard.take(u64::MAX) && !heard.take(u64::MAX));
        assert!(heard.take(u64::MAX - WINDOW + 1) && !heard.take(u64::MAX - WINDOW) && !heard.take(0));
    }
}
