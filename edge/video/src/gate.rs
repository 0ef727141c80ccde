//! The one place where raw frames wait, and where a frame may be given up: before the encoder, never behind it.
//!
//! Invariants (local): at most [`Gate::room`] frames wait; under [`Policy::Newest`] a frame that is handed out is the
//! newest that is due, and every one given up for it is counted; under [`Policy::Every`] none is given up.
//! Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most frames that wait while a test delays the picture: half a second at 60 frames a second.
const WAITING_MAX: usize = 32;
/// Frames that may wait under [`Policy::Every`] without a delay.
const EVERY_WAITING_MAX: usize = 4;
/// The longest delay that a test may ask for; with [`WAITING_MAX`] it bounds the memory held.
pub(crate) const DELAY_MS_MAX: u32 = 500;

/// What happens to a frame when the encoder or the consumer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Live: the newest frame wins, older ones are given up and counted.
    Newest,
    /// Rehearsal: the source waits.
    Every,
}

/// What the gate has for the encoder now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    Frame(T),
    /// A frame waits and is due at this instant.
    At(Instant),
    /// Nothing waits.
    Nothing,
    /// Nothing waits and nothing will come.
    Ended,
}

#[derive(Debug)]
struct Waiting<T> {
    due: Instant,
    frame: T,
}

#[derive(Debug)]
pub(crate) struct Gate<T> {
    policy: Policy,
    delay: Duration,
    waiting: VecDeque<Waiting<T>>,
    dropped: u64,
    ended: bool,
}

impl<T> Gate<T> {
    pub(crate) fn new(policy: Policy, delay_ms: u32) -> Self {
        let mut gate =
            Self { policy, delay: Duration::ZERO, waiting: VecDeque::new(), dropped: 0, ended: false };
        gate.set_delay_ms(delay_ms);
        gate
    }

    /// Frames that come from now on are held this long, at most [`DELAY_MS_MAX`].
    pub(crate) fn set_delay_ms(&mut self, delay_ms: u32) {
        self.delay = Duration::from_millis(u64::from(delay_ms.min(DELAY_MS_MAX)));
    }

    pub(crate) fn delays(&self) -> bool {
        self.delay > Duration::ZERO
    }

    /// Frames given up so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// True while the source must wait before it puts another frame.
    pub(crate) fn is_full(&self) -> bool {
        self.policy == Policy::Every && self.waiting.len() >= self.room()
    }

    /// Takes a frame that the source delivers now. A full gate makes room at the cost of its oldest frame.
    pub(crate) fn put(&mut self, now: Instant, frame: T) {
        while self.waiting.len() >= self.room() {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(Waiting { due: now + self.delay, frame });
    }

    /// No further frame will be put; those that wait still come out.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Hands out the frame that the encoder should have now.
    pub(crate) fn take(&mut self, now: Instant) -> Next<T> {
        if self.policy == Policy::Newest {
            self.give_up_all_but_the_newest_due(now);
        }
        match self.waiting.front() {
            Some(first) if first.due > now => Next::At(first.due),
            Some(_) => self.waiting.pop_front().map_or(Next::Nothing, |first| Next::Frame(first.frame)),
            None if self.ended => Next::Ended,
            None => Next::Nothing,
        }
    }

    fn give_up_all_but_the_newest_due(&mut self, now: Instant) {
        while self.waiting.get(1).is_some_and(|second| second.due <= now) {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    fn room(&self) -> usize {
        match self.policy {
            _ if self.delays() => WAITING_MAX,
            Policy::Newest => 1,
            Policy::Every => EVERY_WAITING_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    /// Goal: live, a slow encoder gets the newest frame, and what it missed is counted.
    #[test]
    fn the_newest_frame_wins_and_the_rest_is_counted() {
        let (start, mut gate) = (Instant::now(), Gate::new(Policy::Newest, 0));
        (1..=5).for_each(|frame| gate.put(start, frame));
        assert_eq!(gate.take(start), Next::Frame(5));
        assert_eq!(gate.dropped(), 4);
        assert_eq!(gate.take(start), Next::Nothing);
    }

    /// Goal: in a rehearsal the source is told to wait, and every frame comes out in order.
    #[test]
    fn every_frame_comes_out_when_none_may_be_lost() {
        let (start, mut gate) = (Instant::now(), Gate::new(Policy::Every, 0));
        for frame in 1..=4 {
            assert!(!gate.is_full());
            gate.put(start, frame);
        }
        assert!(gate.is_full());
        gate.end();
        (1..=4).for_each(|frame| assert_eq!(gate.take(start), Next::Frame(frame)));
        assert_eq!((gate.take(start), gate.dropped()), (Next::Ended, 0));
    }

    /// Goal: a delay holds each frame for as long as asked and loses none at an ordinary rate.
    #[test]
    fn a_delay_holds_each_frame_for_its_time() {
        let (start, mut gate) = (Instant::now(), Gate::new(Policy::Newest, 120));
        gate.put(start, 1);
        gate.put(ms(start, 33), 2);
        assert_eq!(gate.take(ms(start, 100)), Next::At(ms(start, 120)));
        assert_eq!(gate.take(ms(start, 120)), Next::Frame(1));
        assert_eq!(gate.take(ms(start, 121)), Next::At(ms(start, 153)));
        assert_eq!(gate.take(ms(start, 154)), Next::Frame(2));
        assert_eq!(gate.dropped(), 0);
    }

    /// Goal: no delay is longer than the bound, whatever is asked.
    #[test]
    fn the_delay_is_bounded() {
        let (start, mut gate) = (Instant::now(), Gate::new(Policy::Newest, u32::MAX));
        gate.put(start, 1);
        assert_eq!(gate.take(start), Next::At(ms(start, u64::from(DELAY_MS_MAX))));
    }

    proptest! {
        /// Goal: whatever is done to it, the gate keeps its bound, its order, and its account of every frame.
        #[test]
        fn every_frame_is_handed_out_or_counted(
            every in any::<bool>(), delay_ms in 0u32..200, steps in prop::collection::vec((0u64..60, any::<bool>()), 1..200),
        ) {
            let policy = if every { Policy::Every } else { Policy::Newest };
            let (mut now, mut gate) = (Instant::now(), Gate::new(policy, delay_ms));
            let (mut put, mut taken) = (0u64, Vec::new());
            for (passed_ms, is_put) in steps {
                now = ms(now, passed_ms);
                if is_put && !gate.is_full() {
                    put += 1;
                    gate.put(now, put);
                } else if let Next::Frame(frame) = gate.take(now) {
                    taken.push(frame);
                }
                prop_assert!(gate.waiting.len() <= WAITING_MAX);
            }
            prop_assert!(taken.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(put, taken.len() as u64 + gate.dropped() + gate.waiting.len() as u64);
            prop_assert!(!every || gate.dropped() == 0);
        }
    }
}
