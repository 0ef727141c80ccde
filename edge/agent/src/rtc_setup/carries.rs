//! What a connection carries, by the other side's reports on what arrived and when (transport-wide congestion control).
//!
//! Google's congestion control (draft-ietf-rmcat-gcc) is the library's. It takes a queue that grows slowly for the line's own delay,
//! and every picture then comes late; so [`Queue`] looks at how much later packets arrive than the swiftest did.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rtc::interceptor::{
    BandwidthEstimator, CongestionControlBuilder, EstimatorStats, Gcc, PacketReport, Registry, Slot,
    TwccSenderBuilder,
};
use tokio::sync::Notify;

/// What is believed of a connection that said nothing yet, and the most and least that is, in bit/s. With less there is no picture.
const FIRST: f64 = 5_000_000.0;
const MOST: f64 = 50_000_000.0;
const LEAST: f64 = 300_000.0;
/// Reports come every 50 to 250 ms while packets do. After a longer silence receivers have given up what was on its way.
const SILENCE: Duration = Duration::from_millis(400);

/// Beyond this a queue is drained; below the second it is empty enough.
const QUEUE_MS_MAX: f64 = 80.0;
const QUEUE_MS_GONE: f64 = 25.0;
/// Of what arrives, so much is sent meanwhile.
const DRAINING: f64 = 0.7;
/// A queue that is drained is shorter after this by at least that share. One that is not is a line that has become longer.
const DRAINS_WITHIN: Duration = Duration::from_secs(5);
const DRAINED: f64 = 0.2;
/// Once it is drained, more may be sent with each report.
const GROWS: f64 = 1.01;
/// Arrivals are counted over this time.
const COUNTED: Duration = Duration::from_millis(500);

/// What one connection carries. Shared by those who ask and the connection itself.
#[derive(Debug)]
pub(crate) struct Carries {
    kbit_s: AtomicU32,
    /// The line speaks again after a silence.
    pub(crate) back: Notify,
    heard: Mutex<Option<Instant>>,
}

impl Default for Carries {
    fn default() -> Self {
        let kbit_s = AtomicU32::new((FIRST / 1e3) as u32);
        Self { kbit_s, back: Notify::new(), heard: Mutex::default() }
    }
}

impl Carries {
    /// In kbit/s, headers and all.
    pub(crate) fn kbit_s(&self) -> u32 {
        self.kbit_s.load(Relaxed)
    }

    /// The interceptors that find it out: they number what leaves, and hear what became of it.
    pub(super) fn measured_in(self: Arc<Self>, registry: Registry) -> Registry {
        let estimator = Told::new(self);
        registry
            .with(Slot::TwccSender, TwccSenderBuilder::new().build())
            .with(Slot::CongestionControl, CongestionControlBuilder::new(estimator).build())
    }

    fn report(&self, now: Instant, bit_s: f64) {
        self.kbit_s.store((bit_s / 1e3) as u32, Relaxed);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = heard.replace(now);
        if before.is_some_and(|before| now.saturating_duration_since(before) > SILENCE) {
            self.back.notify_one();
        }
    }
}

/// An estimate, and who is told of it.
struct Told {
    gcc: Gcc,
    queue: Queue,
    to: Arc<Carries>,
}

impl Told {
    fn new(to: Arc<Carries>) -> Self {
        Self { gcc: Gcc::new(FIRST, LEAST, MOST), queue: Queue::default(), to }
    }
}

impl BandwidthEstimator for Told {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        self.gcc.on_reports(now, reports);
        self.queue.see(now, reports);
        if reports.iter().any(|report| report.arrived) {
            self.to.report(now, self.target_bitrate());
        }
    }

    fn target_bitrate(&self) -> f64 {
        self.gcc.target_bitrate().min(self.queue.bit_s_max).max(LEAST)
    }

    fn stats(&self) -> EstimatorStats {
        self.gcc.stats()
    }
}

/// What waits on the line. Pure.
#[derive(Debug)]
struct Queue {
    /// Departures count from here.
    began: Option<Instant>,
    /// From departure to arrival, between two clocks that nobody compares: only differences mean anything.
    swiftest_ms: f64,
    draining: Option<Draining>,
    /// Arrival on the receiver's clock, and bytes.
    arrived: VecDeque<(Duration, usize)>,
    bit_s_max: f64,
}

#[derive(Clone, Copy, Debug)]
struct Draining {
    since: Instant,
    /// The queue then.
    before_ms: f64,
    /// What arrives has been counted while there was a queue and nothing else.
    counted: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            began: None,
            swiftest_ms: f64::INFINITY,
            draining: None,
            arrived: VecDeque::new(),
            bit_s_max: f64::INFINITY,
        }
    }
}

impl Queue {
    fn see(&mut self, now: Instant, reports: &[PacketReport]) {
        let Some(first) = reports.first() else { return };
        let began = *self.began.get_or_insert(first.departure);
        let mut swiftest_now_ms = f64::INFINITY;
        for report in reports {
            let Some(arrival) = report.arrival.filter(|_| report.arrived) else { continue };
            let departure = report.departure.saturating_duration_since(began);
            let took_ms = (arrival.as_secs_f64() - departure.as_secs_f64()) * 1e3;
            swiftest_now_ms = swiftest_now_ms.min(took_ms);
            self.arrived.push_back((arrival, report.size));
        }
        if swiftest_now_ms.is_finite() {
            self.swiftest_ms = self.swiftest_ms.min(swiftest_now_ms);
            self.drain(now, swiftest_now_ms - self.swiftest_ms);
        }
    }

    /// `ms`: how long the queue is.
    fn drain(&mut self, now: Instant, ms: f64) {
        let arrives = self.arrives_bit_s();
        let Some(Draining { since, before_ms, counted }) = self.draining else {
            if ms > QUEUE_MS_MAX {
                self.draining = Some(Draining { since: now, before_ms: ms, counted: false });
                self.bit_s_max = arrives * DRAINING;
            } else {
                self.bit_s_max *= GROWS;
            }
            return;
        };
        let lasts = now.saturating_duration_since(since);
        if ms < QUEUE_MS_GONE {
            self.draining = None;
        } else if !counted && lasts > COUNTED {
            self.draining = Some(Draining { since: now, before_ms: ms, counted: true });
            self.bit_s_max = self.bit_s_max.min(arrives * DRAINING);
        } else if lasts > DRAINS_WITHIN {
            let drains = ms < before_ms * (1.0 - DRAINED);
            self.swiftest_ms += if drains { 0.0 } else { ms };
            self.draining = drains.then_some(Draining { since: now, before_ms: ms, counted });
        }
    }

    /// Over the last half second of the receiver's.
    fn arrives_bit_s(&mut self) -> f64 {
        let Some(&(last, _)) = self.arrived.back() else { return f64::INFINITY };
        while self.arrived.front().is_some_and(|(at, _)| *at + COUNTED < last) {
            self.arrived.pop_front();
        }
        let bytes: usize = self.arrived.iter().map(|(_, bytes)| bytes).sum();
        bytes as f64 * 8.0 / COUNTED.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::cc_feedback_report::Ecn;

    use super::*;

    const PACKET_BYTES: usize = 1_200;
    const EVERY: Duration = Duration::from_millis(100);

    /// A line of this rate with a deep queue, which is sent as much as it is believed to carry, but no more than an encoder makes.
    struct Bottleneck {
        told: Told,
        carries: Arc<Carries>,
        sent: u64,
        /// When its queue is empty.
        free: Duration,
        longest: Duration,
        /// On the way, besides.
        longer: Duration,
        under_way: VecDeque<PacketReport>,
    }

    impl Bottleneck {
        fn new() -> Self {
            let carries = Arc::<Carries>::default();
            let told = Told::new(carries.clone());
            Self {
                told,
                carries,
                sent: 0,
                free: Duration::ZERO,
                longest: Duration::ZERO,
                longer: Duration::ZERO,
                under_way: VecDeque::new(),
            }
        }

        fn run(&mut self, began: Instant, seconds: std::ops::Range<u64>, line_bit_s: f64) {
            let encoder_bit_s = 4e6;
            for tenth in seconds.start * 10..seconds.end * 10 {
                let from = EVERY * tenth as u32;
                let bit_s = f64::from(self.carries.kbit_s() * 1000).min(encoder_bit_s);
                let count = (bit_s * EVERY.as_secs_f64() / 8.0) as usize / PACKET_BYTES;
                for at in 0..count {
                    let departs = from + EVERY.mul_f64(at as f64 / count as f64);
                    let takes = Duration::from_secs_f64(PACKET_BYTES as f64 * 8.0 / line_bit_s);
                    self.free = self.free.max(departs) + takes;
                    let packet = self.packet(began + departs, self.free + self.longer);
                    self.under_way.push_back(packet);
                }
                self.longest = self.longest.max(self.free.saturating_sub(from + EVERY));
                let here = |packet: &PacketReport| packet.arrival.is_some_and(|at| at <= from + EVERY);
                let count = self.under_way.iter().take_while(|packet| here(packet)).count();
                let reports: Vec<_> = self.under_way.drain(..count).collect();
                self.told.on_reports(began + from + EVERY, &reports);
            }
        }

        fn packet(&mut self, departure: Instant, arrival: Duration) -> PacketReport {
            self.sent += 1;
            PacketReport {
                ssrc: 1,
                id: self.sent,
                rtp_sequence_number: self.sent as u16,
                is_twcc: true,
                twcc_sequence_number: self.sent as u16,
                size: PACKET_BYTES,
                arrived: true,
                departure,
                arrival: Some(arrival),
                ecn: Ecn::default(),
            }
        }
    }

    /// Goal: on a line that carries less than the pictures take, what is told falls to about that; on one that carries more again
    /// it rises.
    #[test]
    fn it_follows_the_line() {
        let (mut line, began) = (Bottleneck::new(), Instant::now());
        line.run(began, 0..5, 20e6);
        let wide = line.carries.kbit_s();
        line.run(began, 5..15, 1.2e6);
        line.longest = Duration::ZERO;
        line.run(began, 15..25, 1.2e6);
        let narrow = line.carries.kbit_s();
        assert!(line.longest < Duration::from_millis(300), "{:?}", line.longest);
        line.run(began, 25..65, 20e6);
        let again = line.carries.kbit_s();
        assert!(wide >= 4_000, "{wide}");
        assert!((600..1_500).contains(&narrow), "{narrow}");
        assert!(again > 3_000, "{again}");
    }

    /// Goal: a line that became longer is no queue: what is told of it comes back soon.
    #[test]
    fn a_longer_line_is_no_queue() {
        let (mut line, began) = (Bottleneck::new(), Instant::now());
        line.run(began, 0..5, 20e6);
        line.longer = Duration::from_millis(200);
        line.run(began, 5..7, 20e6);
        let doubted = line.carries.kbit_s();
        line.run(began, 7..40, 20e6);
        assert!(doubted < 4_000 && line.carries.kbit_s() > 3_000, "{doubted} {}", line.carries.kbit_s());
    }

    /// Goal: the end of a silence is told, once; ordinary reports tell nothing.
    #[test]
    fn the_end_of_a_silence_is_told() {
        let (mut line, began) = (Bottleneck::new(), Instant::now());
        let told =
            |line: &Bottleneck| futures_util::FutureExt::now_or_never(line.carries.back.notified()).is_some();
        line.run(began, 0..2, 20e6);
        assert!(!told(&line));
        line.run(began, 4..6, 20e6);
        assert!(told(&line));
        assert!(!told(&line));
    }
}
