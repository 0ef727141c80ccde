//! When each frame was captured, kept while it is inside the encoder.
//!
//! Invariants (local): capture instants do not fall; presentation times rise strictly and are whole µs, so that every encoder hands them back
//! unchanged (one carries them in a `timeval`); at most [`IN_FLIGHT_MAX`] frames are known at a time; a frame comes out
//! with the capture instant it went in with, or not at all. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most frames inside the encoder. Those used here hold one; a hardware encoder some.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

const RTP_CLOCK_HZ: u128 = 90_000;

/// What is known of a frame before it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameTime {
    pub capture: Instant,
    /// The capture instant in µs since the edge's clock began.
    pub capture_us: u64,
    pub pts_us: u64,
}

impl FrameTime {
    /// The RTP timestamp: presentation time on the 90 kHz clock, which is milliseconds × 90, modulo 2^32.
    pub(crate) fn pts_90khz(&self) -> u32 {
        (u128::from(self.pts_us) * RTP_CLOCK_HZ / 1_000_000) as u32
    }
}

/// What came back from the encoder is not what went in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownTime {
    pub pts_us: u64,
}

#[derive(Debug)]
pub(crate) struct Timeline {
    epoch: Instant,
    /// Presentation time less the source's own running time, fixed by the first frame.
    offset_us: Option<u64>,
    last_pts_us: Option<u64>,
    last_capture: Option<Instant>,
    in_flight: VecDeque<FrameTime>,
    swallowed: u64,
}

impl Timeline {
    /// `epoch` is the zero of the edge's clock.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            offset_us: None,
            last_pts_us: None,
            last_capture: None,
            in_flight: VecDeque::new(),
            swallowed: 0,
        }
    }

    /// A frame enters the encoder. `running` is its time on the source's own, even clock; the first
    /// frame's presentation time is its capture instant, later ones keep the source's distances.
    pub(crate) fn enter(&mut self, capture: Instant, running: Duration) -> FrameTime {
        let time = self.time(capture, running);
        if self.in_flight.len() == IN_FLIGHT_MAX {
            self.in_flight.pop_front();
            self.swallowed += 1;
        }
        self.in_flight.push_back(time);
        time
    }

    /// The times of a frame that passes the encoder by, as of one that enters.
    pub(crate) fn time(&mut self, capture: Instant, running: Duration) -> FrameTime {
        // None was taken before the one that is shown before it; clocks of sources that put pictures in order may say so.
        let capture = self.last_capture.map_or(capture, |last| capture.max(last));
        self.last_capture = Some(capture);
        let capture_us = as_us(capture.saturating_duration_since(self.epoch));
        let offset_us = *self.offset_us.get_or_insert(capture_us.saturating_sub(as_us(running)));
        // One tick of the 90 kHz clock is 11.1 µs: 12 µs later is a later RTP timestamp.
        let earliest_us = self.last_pts_us.map_or(0, |last_us| last_us + 12);
        let pts_us = (offset_us + as_us(running)).max(earliest_us);
        let time = FrameTime { capture, capture_us, pts_us };
        self.last_pts_us = Some(pts_us);
        time
    }

    /// The frame with this presentation time leaves the encoder. Frames that entered before it and did not come out
    /// were swallowed by the encoder, which puts out in order.
    pub(crate) fn leave(&mut self, pts_us: u64) -> Result<FrameTime, UnknownTime> {
        let at =
            self.in_flight.iter().position(|time| time.pts_us == pts_us).ok_or(UnknownTime { pts_us })?;
        self.swallowed += at as u64;
        self.in_flight.drain(..=at).next_back().ok_or(UnknownTime { pts_us })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Frames that went into the encoder and never came out.
    pub(crate) fn swallowed(&self) -> u64 {
        self.swallowed
    }
}

fn as_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Duration = Duration::from_millis(40);

    /// Goal: the capture instant that went in comes out, and the RTP timestamp keeps the source's even distances
    /// although the capture instants jitter.
    #[test]
    fn a_frame_leaves_with_the_instant_it_came_with() {
        let epoch = Instant::now();
        let mut timeline = Timeline::new(epoch);
        let captured = epoch + Duration::from_millis(1000);
        let first = timeline.enter(captured, Duration::ZERO);
        let second = timeline.enter(captured + Duration::from_millis(43), FRAME);
        assert_eq!((first.capture_us, first.pts_90khz()), (1_000_000, 90_000));
        assert_eq!((second.capture_us, second.pts_90khz()), (1_043_000, 93_600));
        assert_eq!(timeline.leave(first.pts_us), Ok(first));
        assert_eq!(timeline.leave(second.pts_us), Ok(second));
        assert_eq!((timeline.in_flight(), timeline.swallowed()), (0, 0));
    }

    /// Goal: a capture instant that lies before that of the frame before is not believed.
    #[test]
    fn capture_instants_do_not_fall() {
        let epoch = Instant::now();
        let mut timeline = Timeline::new(epoch);
        timeline.enter(epoch + 2 * FRAME, Duration::ZERO);
        assert_eq!(timeline.enter(epoch + FRAME, FRAME).capture, epoch + 2 * FRAME);
        assert_eq!(timeline.time(epoch + 3 * FRAME, 2 * FRAME).capture, epoch + 3 * FRAME);
    }

    /// Goal: a frame that the encoder swallowed is counted, and a time that never went in is an error.
    #[test]
    fn a_swallowed_frame_is_counted_and_a_strange_time_refused() {
        let epoch = Instant::now();
        let mut timeline = Timeline::new(epoch);
        timeline.enter(epoch, Duration::ZERO);
        let second = timeline.enter(epoch + FRAME, FRAME);
        assert_eq!(timeline.leave(17), Err(UnknownTime { pts_us: 17 }));
        assert_eq!(timeline.leave(second.pts_us), Ok(second));
        assert_eq!(timeline.swallowed(), 1);
        assert_eq!(timeline.leave(second.pts_us), Err(UnknownTime { pts_us: second.pts_us }));
    }

    proptest! {
        /// Goal: whatever clock a source has, RTP timestamps differ from frame to frame and rise.
        #[test]
        fn presentation_times_rise_strictly(runs in prop::collection::vec(0u64..1_000_000, 2..100)) {
            let epoch = Instant::now();
            let mut timeline = Timeline::new(epoch);
            let times: Vec<FrameTime> =
                runs.iter().map(|&us| timeline.enter(epoch, Duration::from_micros(us))).collect();
            prop_assert!(times.is_sorted_by(|a, b| a.pts_us < b.pts_us && a.pts_90khz() < b.pts_90khz()));
            prop_assert!(timeline.in_flight() <= IN_FLIGHT_MAX);
        }
    }
}
