//! A line that delays, loses, repeats, reorders and damages what is sent over it, the same way for the same seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

/// What a line does to messages. Shares are of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    pub delay_ms: f64,
    /// Added evenly from zero to this; more than the distance between messages reorders them.
    pub jitter_ms: f64,
    pub loss: f64,
    pub duplication: f64,
    pub corruption: f64,
    /// Nothing gets through.
    pub partition: bool,
}

/// A message as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub bytes: Vec<u8>,
    /// Nobody touched it on the way: what a checker knows and a receiver does not.
    pub intact: bool,
}

/// When it arrives, its number, its bytes, and whether they are whole; the earliest is taken first.
type UnderWay = (u64, u64, Vec<u8>, bool);

/// One direction of a line. Reliable messages arrive whole, once and in order, after partitions too.
#[derive(Debug)]
pub struct Line {
    pub impairment: Impairment,
    rng: Rng,
    sent: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    reliable: Vec<Vec<u8>>,
    reliable_at_us: u64,
}

impl Line {
    #[must_use]
    pub fn new(seed: u64, impairment: Impairment) -> Self {
        let rng = Rng::with_seed(seed);
        Self {
            impairment,
            rng,
            sent: 0,
            under_way: BinaryHeap::new(),
            reliable: Vec::new(),
            reliable_at_us: 0,
        }
    }

    /// Sends something that may get lost.
    pub fn send(&mut self, now_us: u64, bytes: &[u8]) {
        self.pass_on(now_us, bytes, true);
    }

    /// Sends on what may have been damaged before.
    pub fn pass_on(&mut self, now_us: u64, bytes: &[u8], intact: bool) {
        let line = self.impairment;
        if line.partition || self.rng.f64() < line.loss {
            return;
        }
        let copies = if self.rng.f64() < line.duplication { 2 } else { 1 };
        for _ in 0..copies {
            let damaged = self.rng.f64() < line.corruption;
            let at_us = now_us + self.delay_us();
            self.put(at_us, self.damage(bytes, damaged), intact && !damaged);
        }
    }

    /// Sends something that waits for the line to be whole.
    pub fn send_reliably(&mut self, now_us: u64, bytes: Vec<u8>) {
        self.reliable.push(bytes);
        self.flush(now_us);
    }

    /// The connection ends: what was under way is gone.
    pub fn cut(&mut self) {
        self.under_way.clear();
        self.reliable.clear();
    }

    /// Everything that has arrived by now.
    pub fn receive(&mut self, now_us: u64) -> Vec<Delivery> {
        self.flush(now_us);
        let mut arrived = Vec::new();
        while self.under_way.peek().is_some_and(|Reverse((at_us, ..))| *at_us <= now_us) {
            if let Some(Reverse((_, _, bytes, intact))) = self.under_way.pop() {
                arrived.push(Delivery { bytes, intact });
            }
        }
        arrived
    }

    fn flush(&mut self, now_us: u64) {
        if self.impairment.partition {
            return;
        }
        for bytes in std::mem::take(&mut self.reliable) {
            self.reliable_at_us = self.reliable_at_us.max(now_us + self.delay_us());
            self.put(self.reliable_at_us, bytes, true);
        }
    }

    fn put(&mut self, at_us: u64, bytes: Vec<u8>, intact: bool) {
        self.sent += 1;
        self.under_way.push(Reverse((at_us, self.sent, bytes, intact)));
    }

    fn delay_us(&mut self) -> u64 {
        ((self.impairment.delay_ms + self.rng.f64() * self.impairment.jitter_ms) * 1e3) as u64
    }

    fn damage(&self, bytes: &[u8], damaged: bool) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if damaged && !bytes.is_empty() {
            let at = (self.sent as usize * 31) % bytes.len();
            bytes[at] ^= 1 << (self.sent % 8);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is reliable arrives in order after a partition; what is not is gone.
    #[test]
    fn a_partition_delays_what_is_reliable_and_loses_the_rest() {
        let mut line = Line::new(1, Impairment { delay_ms: 2.0, partition: true, ..Impairment::default() });
        line.send(0, b"lost");
        line.send_reliably(0, b"first".to_vec());
        line.send_reliably(0, b"second".to_vec());
        assert_eq!(line.receive(100_000), []);
        line.impairment.partition = false;
        assert_eq!(line.receive(100_000), []);
        let arrived: Vec<_> = line.receive(102_000).into_iter().map(|delivery| delivery.bytes).collect();
        assert_eq!(arrived, [b"first".to_vec(), b"second".to_vec()]);
    }

    #[test]
    fn the_same_seed_loses_the_same_messages() {
        let lossy = Impairment { loss: 0.5, jitter_ms: 5.0, ..Impairment::default() };
        let run = |seed| {
            let mut line = Line::new(seed, lossy);
            (0..100u8).for_each(|n| line.send(0, &[n]));
            line.receive(10_000)
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
        assert!((20..80).contains(&run(3).len()));
    }
}
