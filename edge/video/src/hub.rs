//! Where the threads of one capture meet: the source's, the encoder's and the watch. All that is decided is decided in
//! [`Gate`], [`Timeline`] and here under one lock; no thread holds it while it waits for anything but the hub itself.
//!
//! Invariants (local): one frame is inside the encoder at a time, more only where the encoder has shown that it needs more
//! before it gives one; while the consumer has not taken a frame, the next is not chosen, so that it is the newest. A frame that
//! went on as it came is encoded by nobody, nor is any that was taken before it: frames are sent in the order they were taken in.

use crate::gate::{Gate, Next, Policy};
use crate::output::Event;
use crate::pass::{Coded, Pass, Way};
use crate::settings::Settings;
use crate::tap::Tap;
use crate::timeline::{FrameTime, IN_FLIGHT_MAX, Timeline, UnknownTime};
use gstreamer as gst;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An encoder that gives nothing for this long is fed the next frame: it may want several before its first.
const ENCODER_PATIENCE: Duration = Duration::from_millis(200);
/// An encoder that gives nothing for this long has failed.
pub(crate) const ENCODER_SILENT_MS_MAX: u64 = 3_000;

/// A raw frame with the times that it was taken at.
#[derive(Debug)]
pub(crate) struct RawPicture {
    pub sample: gst::Sample,
    pub capture: Instant,
    /// Its time on the source's own clock.
    pub running: Duration,
}

/// How many frames went where. `captured = dropped + passed + encoded + swallowed + those under way`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Came from the source.
    pub captured: u64,
    /// Given up before the encoder, in favour of newer ones.
    pub dropped: u64,
    /// Went on as the camera had encoded them.
    pub passed: u64,
    /// Came out of the encoder.
    pub encoded: u64,
    /// Went into the encoder and never came out.
    pub swallowed: u64,
}

/// What is remembered of frames that came encoded, until they are decoded.
const CODED_MAX: usize = 64;

/// The hub is closed: the capture is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    changed: Condvar,
}

/// A frame that came encoded.
#[derive(Debug, Clone, Copy)]
struct Came {
    /// By the source's clock.
    running: Duration,
    capture: Instant,
    /// If it went on as it came.
    sent: Option<FrameTime>,
}

#[derive(Debug)]
struct State {
    gate: Gate<RawPicture>,
    timeline: Timeline,
    tap: Option<Tap>,
    pass: Pass,
    /// The newest frames that came encoded.
    coded: VecDeque<Came>,
    /// The newest that went on as it came.
    newest_passed: Option<FrameTime>,
    passed: u64,
    /// The receiver's last picture is not the encoder's own: the next one refers to none.
    begins_anew: bool,
    /// Pictures are being encoded: the consumer knows that the capture has begun.
    feeding: bool,
    first_caps: Option<gst::Caps>,
    captured: u64,
    encoded: u64,
    /// Too near to the one before.
    thinned: u64,
    /// Encoded too late: a newer one had gone on as it came.
    late: u64,
    /// Pictures are let through no nearer to each other.
    apart: Duration,
    /// Smaller ones than the source's are wanted.
    smaller: bool,
    /// When the last one that was let through was taken.
    let_through: Option<Instant>,
    newest_frame: Instant,
    /// When the encoder last took or gave a frame, or the consumer took one.
    encoder_moved: Instant,
    /// Frames that the encoder may hold.
    depth: usize,
    /// An encoded frame waits for the consumer.
    delivering: bool,
    end: Option<Event>,
    closed: bool,
}

/// What the watch sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Health {
    pub newest_frame: Instant,
    /// For how long the encoder has owed a frame.
    pub encoder_silent: Option<Duration>,
    pub started: bool,
    pub ended: bool,
    pub closed: bool,
}

impl Hub {
    pub(crate) fn new(settings: &Settings, now: Instant) -> Self {
        let policy = if settings.every_frame { Policy::Every } else { Policy::Newest };
        let state = State {
            gate: Gate::new(policy, settings.test_delay_ms),
            timeline: Timeline::new(settings.epoch),
            tap: settings.tap.clone(),
            pass: Pass::new(
                settings.stamp || settings.every_frame,
                settings.size_max.is_some(),
                settings.bitrate_kbit_s,
            ),
            coded: VecDeque::new(),
            newest_passed: None,
            passed: 0,
            begins_anew: false,
            feeding: false,
            first_caps: None,
            captured: 0,
            encoded: 0,
            thinned: 0,
            apart: Duration::ZERO,
            smaller: settings.size_max.is_some(),
            let_through: None,
            late: 0,
            newest_frame: now,
            encoder_moved: now,
            depth: 1,
            delivering: false,
            end: None,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes a picture from the source; waits while none may be lost and there is no room.
    pub(crate) fn put(&self, mut picture: RawPicture) -> Result<(), Closed> {
        let mut state = self.lock();
        while state.gate.is_full() && !state.closed {
            state = self.wait(state);
        }
        if state.closed {
            return Err(Closed);
        }
        let now = Instant::now();
        state.captured += 1;
        if state.first_caps.is_none() {
            state.first_caps = picture.sample.caps_owned();
        }
        state.newest_frame = now;
        if state.went_on(&mut picture) {
            return Ok(());
        }
        if state.is_too_near(picture.capture) {
            state.thinned += 1;
            return Ok(());
        }
        if state.gate.delays() {
            picture.sample = own_copy(&picture.sample);
        }
        state.gate.put(now, picture);
        self.changed.notify_all();
        Ok(())
    }

    /// A picture as the camera encoded it, before it is decoded: its times, if it is to be sent as it is. `room`: the consumer
    /// would take it at once.
    pub(crate) fn coded(
        &self,
        coded: Coded,
        (capture, running): (Instant, Duration),
        room: bool,
    ) -> Option<FrameTime> {
        let mut state = self.lock();
        let free = room && state.feeding && !state.closed && !state.delivering && !state.gate.delays();
        let before = state.pass.way();
        let sent = match state.pass.next(coded, free) {
            Way::AsItCame => Some(state.timeline.time(capture, running)),
            Way::Encoded => None,
        };
        if state.coded.len() == CODED_MAX {
            state.coded.pop_front();
        }
        // One that comes before its turn was not taken when it came.
        if state.pass.in_order() {
            state.coded.push_back(Came { running, capture, sent });
        }
        match (before, sent) {
            (Way::AsItCame, None) => state.begins_anew = true,
            (Way::Encoded, Some(_)) => tracing::info!("the camera's own pictures are sent as they come"),
            _ => {}
        }
        if sent.is_some() {
            (state.newest_passed, state.passed) = (sent, state.passed + 1);
        }
        sent
    }

    /// No further picture will come; `event` is said once those that wait are through. Of several ends the first counts.
    pub(crate) fn end(&self, event: Event) {
        let mut state = self.lock();
        state.end.get_or_insert(event);
        state.gate.end();
        self.changed.notify_all();
    }

    /// The next picture for the encoder, waiting for it, and whether it is to refer to none before it; `None` when there will be none.
    pub(crate) fn next_picture(&self) -> Option<(RawPicture, FrameTime, bool)> {
        let mut state = self.lock();
        state.feeding = true;
        loop {
            let now = Instant::now();
            if state.closed {
                return None;
            }
            if let Some(patience) = state.encoder_busy(now) {
                state = self.wait_for(state, patience);
                continue;
            }
            state = match state.gate.take(now) {
                Next::Frame(picture) if state.is_behind(picture.capture) => {
                    state.late += 1;
                    state
                }
                Next::Frame(picture) => {
                    let time = state.timeline.enter(picture.capture, picture.running);
                    if let Some(tap) = &state.tap {
                        tap.offer(&picture.sample, time);
                    }
                    state.encoder_moved = now;
                    self.changed.notify_all();
                    let begins_anew = std::mem::take(&mut state.begins_anew);
                    return Some((picture, time, begins_anew));
                }
                Next::At(due) => self.wait_for(state, due.saturating_duration_since(now)),
                Next::Nothing => self.wait(state),
                Next::Ended => return None,
            };
        }
    }

    /// An encoded frame came out and goes to the consumer; `None`: a newer one has gone already.
    pub(crate) fn deliver(&self, pts_us: u64) -> Result<Option<FrameTime>, UnknownTime> {
        let mut state = self.lock();
        let time = state.timeline.leave(pts_us)?;
        if state.newest_passed.is_some_and(|newest| time.pts_us <= newest.pts_us) {
            state.late += 1;
            state.encoder_moved = Instant::now();
            self.changed.notify_all();
            return Ok(None);
        }
        state.delivering = true;
        state.encoded += 1;
        Ok(Some(time))
    }

    /// The consumer took it.
    pub(crate) fn delivered(&self) {
        let mut state = self.lock();
        state.delivering = false;
        state.encoder_moved = Instant::now();
        self.changed.notify_all();
    }

    /// What the first picture looks like, waiting for it until the deadline. Without one, the end that came instead.
    pub(crate) fn wait_for_first(&self, deadline: Instant) -> Result<gst::Caps, Option<Event>> {
        let mut state = self.lock();
        loop {
            if let Some(caps) = &state.first_caps {
                return Ok(caps.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.end.is_some() || left.is_zero() {
                return Err(state.end.clone());
            }
            state = self.wait_for(state, left);
        }
    }

    /// The event that ends this capture, once there is one.
    pub(crate) fn the_end(&self) -> Option<Event> {
        self.lock().end.clone()
    }

    pub(crate) fn set_delay_ms(&self, delay_ms: u32) {
        self.lock().gate.set_delay_ms(delay_ms);
        self.changed.notify_all();
    }

    /// At most so many pictures a second go on to the encoder.
    pub(crate) fn set_fps_max(&self, fps_max: Option<u32>) {
        let mut state = self.lock();
        state.apart = fps_max.map_or(Duration::ZERO, |fps| Duration::from_secs(1) / fps.max(1));
        state.reshape();
    }

    /// Pictures smaller than the camera's are wanted.
    pub(crate) fn set_smaller(&self, smaller: bool) {
        let mut state = self.lock();
        state.smaller = smaller;
        state.reshape();
    }

    pub(crate) fn set_carried_kbit_s(&self, kbit_s: u32) {
        self.lock().pass.set_carried_kbit_s(kbit_s);
    }

    /// A receiver wants a key frame; whether the encoder is to be told.
    pub(crate) fn ask_key(&self) -> bool {
        self.lock().pass.ask_key()
    }

    /// Lets every waiting thread go.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let state = self.lock();
        let owes = state.timeline.in_flight() > 0 && !state.delivering;
        Health {
            // A source that is made to wait is not silent.
            newest_frame: if state.gate.is_full() { now } else { state.newest_frame },
            encoder_silent: owes.then(|| now.saturating_duration_since(state.encoder_moved)),
            started: state.first_caps.is_some(),
            ended: state.end.is_some(),
            closed: state.closed,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let state = self.lock();
        Counters {
            captured: state.captured,
            dropped: state.gate.dropped() + state.thinned + state.late,
            passed: state.passed,
            encoded: state.encoded,
            swallowed: state.timeline.swallowed(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        crate::lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    /// A picture that came encoded was taken when it came so, not when it is decoded. Whether it went on then: it is looked at, and
    /// not encoded.
    fn went_on(&self, picture: &mut RawPicture) -> bool {
        let Some(came) = self.coded.iter().rev().find(|came| came.running == picture.running) else {
            return false;
        };
        picture.capture = came.capture;
        if let (Some(time), Some(tap)) = (came.sent, &self.tap) {
            tap.offer(&picture.sample, time);
        }
        came.sent.is_some()
    }

    /// A newer one went on as it came.
    fn is_behind(&self, capture: Instant) -> bool {
        let newest = self.newest_passed.map(|newest| newest.capture);
        self.pass.way() == Way::AsItCame || newest.is_some_and(|newest| capture <= newest)
    }

    fn reshape(&mut self) {
        let reshaped = self.smaller || !self.apart.is_zero();
        self.pass.set_reshaped(reshaped);
    }

    /// Whether it comes so soon after the one before that it is one too many; a quarter of what they should be apart
    /// is forgiven, for cameras do not keep time to the millisecond.
    fn is_too_near(&mut self, taken: Instant) -> bool {
        let near = self
            .let_through
            .is_some_and(|before| taken.saturating_duration_since(before) < self.apart * 3 / 4);
        if !near {
            self.let_through = Some(taken);
        }
        near
    }

    /// For how long the encoder is still to be left alone; `None` when it may have a frame. An encoder that gives nothing
    /// in that time gets one more.
    fn encoder_busy(&mut self, now: Instant) -> Option<Duration> {
        if self.delivering {
            return Some(ENCODER_PATIENCE);
        }
        if self.timeline.in_flight() < self.depth {
            return None;
        }
        let left = (self.encoder_moved + ENCODER_PATIENCE).saturating_duration_since(now);
        if !left.is_zero() {
            return Some(left);
        }
        if self.depth < IN_FLIGHT_MAX {
            self.depth += 1;
            tracing::debug!(depth = self.depth, "the encoder wants more frames before it gives one");
            return None;
        }
        Some(ENCODER_PATIENCE)
    }
}

/// A copy that holds none of the source's own buffers, which a delayed picture would keep from it.
fn own_copy(sample: &gst::Sample) -> gst::Sample {
    let Some(buffer) = sample.buffer().and_then(|buffer| buffer.copy_deep().ok()) else {
        return sample.clone();
    };
    gst::Sample::builder().buffer(&buffer).caps_if_some(sample.caps_owned().as_ref()).build()
}
