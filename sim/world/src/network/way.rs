//! What becomes of each packet on one direction of a line: when it comes out, or that it is lost, sent twice or damaged.
//!
//! Invariants (local): the same seed and the same packets give the same fates; while a line keeps order, none comes out before
//! one that went in earlier, but those that it holds back; what waits for a line's rate is never longer than its queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use super::Series;

/// What a line does to messages. Shares are of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    pub delay_ms: f64,
    /// Added evenly from zero to this; more than the distance between messages reorders them, unless order is kept.
    pub jitter_ms: f64,
    pub loss: f64,
    pub duplication: f64,
    pub corruption: f64,
    /// Nothing gets through.
    pub partition: bool,
    /// Loss that comes in runs, besides [`Impairment::loss`].
    pub burst: Option<Burst>,
    /// Nothing gets through now and then.
    pub outages: Option<Outages>,
    /// Packets wait for each other.
    pub rate: Option<Rate>,
    /// What went in first comes out first, as a radio's link layer sees to it.
    pub in_order: bool,
    /// Some are overtaken all the same.
    pub held_back: Option<HeldBack>,
}

impl Impairment {
    /// A line that does nothing to anything.
    pub const NONE: Self = Self {
        delay_ms: 0.0,
        jitter_ms: 0.0,
        loss: 0.0,
        duplication: 0.0,
        corruption: 0.0,
        partition: false,
        burst: None,
        outages: None,
        rate: None,
        in_order: false,
        held_back: None,
    };
}

/// Gilbert's and Elliott's two states, a step a packet: in the good one nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// From good to bad.
    pub begins: f64,
    /// From bad to good.
    pub ends: f64,
    /// In the bad state.
    pub loss: f64,
}

/// Nothing gets through for the first `for_ms` of every `every_ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outages {
    pub every_ms: u32,
    pub for_ms: u32,
}

/// What a line carries, and what may wait before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub kbit_s: u32,
    /// A packet that finds more than this waiting is lost.
    pub queue_bytes_max: u32,
}

/// A share of packets comes later than those behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldBack {
    pub share: f64,
    pub by_ms: f64,
}

/// A packet as it comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    pub at_us: u64,
    pub damaged: bool,
}

/// One direction of a line. It holds no packets, only what it needs to judge the next.
#[derive(Clone, Debug)]
pub struct Way {
    pub impairment: Impairment,
    rng: Rng,
    /// Delays that change with time, and where in them this line began.
    series: Option<(Series, u64)>,
    bursting: bool,
    /// All that went in before has left the queue by then.
    queue_empty_us: u64,
    newest_out_us: u64,
}

impl Way {
    #[must_use]
    pub fn new(seed: u64, impairment: Impairment) -> Self {
        let rng = Rng::with_seed(seed);
        Self { impairment, rng, series: None, bursting: false, queue_empty_us: 0, newest_out_us: 0 }
    }

    /// Delayed besides as `series` says, from its `begin_us` on.
    #[must_use]
    pub fn with_series(mut self, series: Series, begin_us: u64) -> Self {
        self.series = Some((series, begin_us));
        self
    }

    /// A packet of so many bytes goes in: what comes out, and when. At most two, none if it is lost.
    pub fn pass(&mut self, now_us: u64, bytes: usize) -> impl Iterator<Item = Fate> + use<> {
        let mut fates = [None, None];
        if !self.is_lost(now_us)
            && let Some(leaves_us) = self.leave_queue(now_us, bytes)
        {
            let twice = self.rng.f64() < self.impairment.duplication;
            for fate in fates.iter_mut().take(if twice { 2 } else { 1 }) {
                let damaged = self.rng.f64() < self.impairment.corruption;
                *fate = Some(Fate { at_us: self.out_us(now_us, leaves_us), damaged });
            }
        }
        fates.into_iter().flatten()
    }

    /// What the way itself takes now, apart from its queue.
    pub(super) fn delay_us(&mut self, now_us: u64) -> u64 {
        let line = self.impairment;
        let changing_us =
            self.series.as_ref().map_or(0, |(series, begin_us)| series.at(begin_us.saturating_add(now_us)));
        ((line.delay_ms + self.rng.f64() * line.jitter_ms) * 1e3) as u64 + changing_us
    }

    fn is_lost(&mut self, now_us: u64) -> bool {
        let line = self.impairment;
        if line.partition || line.outages.is_some_and(|outages| outages.is_on(now_us)) {
            return true;
        }
        self.rng.f64() < line.loss || line.burst.is_some_and(|burst| self.burst(burst))
    }

    fn burst(&mut self, burst: Burst) -> bool {
        let turns = if self.bursting { burst.ends } else { burst.begins };
        self.bursting ^= self.rng.f64() < turns;
        self.bursting && self.rng.f64() < burst.loss
    }

    /// `None`: the queue is full.
    fn leave_queue(&mut self, now_us: u64, bytes: usize) -> Option<u64> {
        let Some(rate) = self.impairment.rate else { return Some(now_us) };
        let us = |bytes: u64| bytes * 8_000 / u64::from(rate.kbit_s.max(1));
        let begins_us = self.queue_empty_us.max(now_us);
        if begins_us - now_us > us(u64::from(rate.queue_bytes_max)) {
            return None;
        }
        self.queue_empty_us = begins_us + us(bytes as u64);
        Some(self.queue_empty_us)
    }

    fn out_us(&mut self, now_us: u64, leaves_us: u64) -> u64 {
        let at_us = leaves_us + self.delay_us(now_us);
        if !self.impairment.in_order {
            return at_us;
        }
        let in_turn_us = at_us.max(self.newest_out_us);
        match self.impairment.held_back {
            Some(held) if self.rng.f64() < held.share => in_turn_us + (held.by_ms * 1e3) as u64,
            _ => {
                self.newest_out_us = in_turn_us;
                in_turn_us
            }
        }
    }
}

impl Outages {
    fn is_on(self, now_us: u64) -> bool {
        now_us % (u64::from(self.every_ms.max(1)) * 1_000) < u64::from(self.for_ms) * 1_000
    }
}

/// What is under way, the earliest first; of those due at once, what went in first.
#[derive(Debug)]
pub struct UnderWay<T> {
    sent: u64,
    heap: BinaryHeap<Reverse<Due<T>>>,
}

#[derive(Debug)]
struct Due<T> {
    at: (u64, u64),
    what: T,
}

impl<T> UnderWay<T> {
    pub fn put(&mut self, at_us: u64, what: T) {
        self.sent += 1;
        self.heap.push(Reverse(Due { at: (at_us, self.sent), what }));
    }

    /// What has come out by now, one at a time.
    pub fn take(&mut self, now_us: u64) -> Option<T> {
        self.next_us().filter(|at_us| *at_us <= now_us)?;
        self.heap.pop().map(|Reverse(due)| due.what)
    }

    /// When the next comes out.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(due)| due.at.0)
    }

    pub fn clear(&mut self) {
        self.heap.clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// So many were put in so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

impl<T> Default for UnderWay<T> {
    fn default() -> Self {
        Self { sent: 0, heap: BinaryHeap::new() }
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(way: &mut Way, now_us: u64, bytes: usize) -> Option<u64> {
        way.pass(now_us, bytes).next().map(|fate| fate.at_us)
    }

    /// Goal: loss comes in runs, as long as its two states make them, and between them nothing is lost.
    #[test]
    fn loss_comes_in_runs() {
        let burst = Burst { begins: 0.01, ends: 0.1, loss: 1.0 };
        let mut way = Way::new(5, Impairment { burst: Some(burst), ..Impairment::default() });
        let lost: Vec<bool> = (0..100_000).map(|_| one(&mut way, 0, 100).is_none()).collect();
        let runs = lost.chunk_by(|one, other| one == other).filter(|run| run[0]).count();
        let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        let length = share * lost.len() as f64 / runs as f64;
        assert!((0.08..0.10).contains(&share), "{share}");
        assert!((9.0..11.0).contains(&length), "{length}");
    }

    /// Goal: a line of 8 kbit/s carries a byte a millisecond; what finds too much waiting is lost, and the queue drains.
    #[test]
    fn a_full_queue_loses_what_comes() {
        let rate = Rate { kbit_s: 8, queue_bytes_max: 250 };
        let mut way = Way::new(1, Impairment { rate: Some(rate), ..Impairment::default() });
        let out: Vec<_> = (0..5).map(|_| one(&mut way, 0, 100)).collect();
        assert_eq!(out, [Some(100_000), Some(200_000), Some(300_000), None, None]);
        assert_eq!(one(&mut way, 100_000, 100), Some(400_000));
    }

    /// Goal: jitter does not turn packets round where order is kept, but for those that are held back.
    #[test]
    fn order_is_kept_but_for_what_is_held_back() {
        let ordered = Impairment { delay_ms: 1.0, jitter_ms: 50.0, in_order: true, ..Impairment::default() };
        let mut way = Way::new(2, ordered);
        let out: Vec<_> = (0..1000).filter_map(|ms| one(&mut way, ms * 1_000, 100)).collect();
        assert!(out.is_sorted());
        way.impairment.held_back = Some(HeldBack { share: 0.1, by_ms: 80.0 });
        let out: Vec<_> = (1000..2000).filter_map(|ms| one(&mut way, ms * 1_000, 100)).collect();
        let overtaken = out.windows(2).filter(|two| two[0] > two[1]).count();
        assert!((50..150).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn an_outage_comes_again_and_again() {
        let outages = Outages { every_ms: 1_000, for_ms: 100 };
        let mut way = Way::new(1, Impairment { outages: Some(outages), ..Impairment::default() });
        let through: Vec<bool> =
            [50, 150, 999, 1_050, 1_100].map(|ms| one(&mut way, ms * 1_000, 1).is_some()).to_vec();
        assert_eq!(through, [false, true, true, false, true]);
    }
}
