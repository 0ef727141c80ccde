//! A line that delays, loses, repeats, reorders and damages what is sent over it, the same way for the same seed.

mod profile;
mod series;
mod way;

pub use profile::{Profile, UnknownProfile};
pub use series::{BadSeries, Series};
pub use way::{Burst, Fate, HeldBack, Impairment, Outages, Rate, UnderWay, Way};

/// A message as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub bytes: Vec<u8>,
    /// Nobody touched it on the way: what a checker knows and a receiver does not.
    pub intact: bool,
}

/// One direction of a line, with what is under way. Reliable messages arrive whole, once and in order, after partitions too.
#[derive(Debug)]
pub struct Line {
    pub impairment: Impairment,
    way: Way,
    under_way: UnderWay<Delivery>,
    reliable: Vec<Vec<u8>>,
    reliable_at_us: u64,
}

impl Line {
    #[must_use]
    pub fn new(seed: u64, impairment: Impairment) -> Self {
        Self::along(Way::new(seed, impairment))
    }

    /// The line that goes this way.
    #[must_use]
    pub fn along(way: Way) -> Self {
        Self {
            impairment: way.impairment,
            way,
            under_way: UnderWay::default(),
            reliable: Vec::new(),
            reliable_at_us: 0,
        }
    }

    /// Delayed besides as `series` says, from its `begin_us` on.
    #[must_use]
    pub fn with_series(mut self, series: Series, begin_us: u64) -> Self {
        self.way = self.way.with_series(series, begin_us);
        self
    }

    /// Sends something that may get lost.
    pub fn send(&mut self, now_us: u64, bytes: &[u8]) {
        self.pass_on(now_us, bytes, true);
    }

    /// Sends on what may have been damaged before.
    pub fn pass_on(&mut self, now_us: u64, bytes: &[u8], intact: bool) {
        for fate in self.way().pass(now_us, bytes.len()) {
            let bytes = damage(bytes, fate.damaged, self.under_way.sent());
            self.under_way.put(fate.at_us, Delivery { bytes, intact: intact && !fate.damaged });
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
        std::iter::from_fn(|| self.under_way.take(now_us)).collect()
    }

    fn flush(&mut self, now_us: u64) {
        if self.impairment.partition {
            return;
        }
        for bytes in std::mem::take(&mut self.reliable) {
            self.reliable_at_us = self.reliable_at_us.max(now_us + self.way().delay_us(now_us));
            self.under_way.put(self.reliable_at_us, Delivery { bytes, intact: true });
        }
    }

    /// As it is now: whoever plays the faults changes it at any time.
    fn way(&mut self) -> &mut Way {
        self.way.impairment = self.impairment;
        &mut self.way
    }
}

fn damage(bytes: &[u8], damaged: bool, sent: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if damaged && !bytes.is_empty() {
        let at = (sent as usize * 31) % bytes.len();
        bytes[at] ^= 1 << (sent % 8);
    }
    bytes
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
