//! What a capture gives: encoded frames and events, in the order in which they came about, through one bounded channel.

use crate::annexb::{self, AnnexBError, NalType, NalUnits};
use crate::error::VideoError;
use crate::hub::Hub;
use crate::note::Notes;
use crate::timeline::FrameTime;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One encoded frame, ready for an RTP payloader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Counts from [`crate::Settings::first_frame_id`] without gaps: frames are only ever lost before they get a number.
    pub frame_id: u64,
    /// The RTP timestamp: presentation time in milliseconds since the epoch × 90, modulo 2^32.
    pub pts_90khz: u32,
    /// When the raw picture was taken, or as near to that as the source tells.
    pub capture: Instant,
    /// The same in µs since [`crate::Settings::epoch`]: the tick that a stamp carries.
    pub capture_us: u64,
    /// An IDR picture, with its SPS and PPS before it.
    pub key_frame: bool,
    /// Annex B, without delimiters and filler.
    pub data: Bytes,
    /// SHA-256 over the NAL units in `data`, each preceded by its length (u32, big endian).
    pub au_hash: [u8; 32],
    /// The same over the units of type 1 to 5 only.
    pub picture_hash: [u8; 32],
}

/// Something a person or the console should know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first picture is there. `fps` is zero where the source does not say.
    Started { width: u32, height: u32, fps: f64, encoder: &'static str },
    /// The source has been silent for this long. It may come back.
    Stalled { ms: u64 },
    /// It came back.
    Resumed,
    /// The recording was played to its end: the last thing that is sent.
    EndOfStream,
    /// No further frame will come: the last thing that is sent.
    Stopped(VideoError),
}

/// One thing out of the channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Unit(AccessUnit),
    Event(Event),
}

/// Why nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    #[error("nothing came in time")]
    TimedOut,
    #[error("the capture has ended")]
    Ended,
}

/// The receiving end. Ends after [`Event::EndOfStream`], [`Event::Stopped`] or [`crate::Capture::stop`].
#[derive(Debug)]
pub struct Outputs {
    receiver: flume::Receiver<Output>,
}

impl Outputs {
    /// Waits without a thread; `None` is the end.
    pub async fn next(&mut self) -> Option<Output> {
        self.receiver.recv_async().await.ok()
    }

    /// Waits for at most this long.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Output, RecvError> {
        self.receiver.recv_timeout(timeout).map_err(|error| match error {
            flume::RecvTimeoutError::Timeout => RecvError::TimedOut,
            flume::RecvTimeoutError::Disconnected => RecvError::Ended,
        })
    }
}

/// How long a sender waits before it looks again whether the capture was stopped.
const STOP_LOOK: Duration = Duration::from_millis(20);

/// The sending end. Waits while the consumer is behind, and no longer once the capture is stopped.
#[derive(Debug)]
pub(crate) struct Port {
    sender: Mutex<Option<flume::Sender<Output>>>,
    finished: AtomicBool,
}

/// The consumer is gone or the capture was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortClosed;

impl Port {
    pub(crate) fn new(waiting_max: usize) -> (Self, Outputs) {
        let (sender, receiver) = flume::bounded(waiting_max);
        (Self { sender: Mutex::new(Some(sender)), finished: AtomicBool::new(false) }, Outputs { receiver })
    }

    pub(crate) fn send(&self, mut output: Output) -> Result<(), PortClosed> {
        loop {
            let sender = crate::lock(&self.sender).clone().ok_or(PortClosed)?;
            match sender.send_timeout(output, STOP_LOOK) {
                Ok(()) => return Ok(()),
                Err(flume::SendTimeoutError::Timeout(unsent)) => output = unsent,
                Err(flume::SendTimeoutError::Disconnected(_)) => return Err(PortClosed),
            }
        }
    }

    /// Whether one more would be taken at once.
    pub(crate) fn has_room(&self) -> bool {
        crate::lock(&self.sender).as_ref().is_some_and(|sender| !sender.is_full())
    }

    /// Sends the last thing. Of several ends only the first is sent.
    pub(crate) fn finish(&self, event: Event) {
        if !self.finished.swap(true, Ordering::AcqRel) {
            // A consumer that is gone needs no last word.
            let _ = self.send(Output::Event(event));
            self.close();
        }
    }

    pub(crate) fn close(&self) {
        crate::lock(&self.sender).take();
    }
}

/// What sends frames: the encoder's callbacks, and the source's where a camera's own go on as they came.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub hub: Arc<Hub>,
    pub port: Arc<Port>,
    pub notes: Notes,
    packer: Arc<Mutex<Packer>>,
}

impl Ends {
    pub(crate) fn new(hub: Arc<Hub>, port: Arc<Port>, notes: Notes, first_frame_id: u64) -> Self {
        Self { hub, port, notes, packer: Arc::new(Mutex::new(Packer::new(first_frame_id))) }
    }

    /// Numbers a frame and hands it to the consumer, waiting for it if need be.
    pub(crate) fn send(&self, data: Bytes, time: FrameTime) -> Result<(), AnnexBError> {
        let unit = crate::lock(&self.packer).pack(data, time)?;
        if self.port.send(Output::Unit(unit)).is_err() {
            self.hub.close();
        }
        Ok(())
    }
}

/// Numbers access units and sees to it that every key frame brings its parameter sets.
#[derive(Debug)]
pub(crate) struct Packer {
    next_id: u64,
    /// The newest SPS and PPS, for encoders that send them only once.
    parameter_sets: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(first_id: u64) -> Self {
        Self { next_id: first_id, parameter_sets: Vec::new() }
    }

    pub(crate) fn pack(&mut self, data: Bytes, time: FrameTime) -> Result<AccessUnit, AnnexBError> {
        let (data, seen) = self.sendable(data)?;
        let unit = AccessUnit {
            frame_id: self.next_id,
            pts_90khz: time.pts_90khz(),
            capture: time.capture,
            capture_us: time.capture_us,
            key_frame: seen.key_frame,
            data,
            au_hash: seen.au_hash,
            picture_hash: seen.picture_hash,
        };
        self.next_id += 1;
        Ok(unit)
    }

    /// The bytes to send: those that came, unless something must go or be added.
    fn sendable(&mut self, data: Bytes) -> Result<(Bytes, annexb::Inspected), AnnexBError> {
        let seen = annexb::inspect(&data)?;
        if seen.parameter_sets {
            self.keep_parameter_sets(&data);
        }
        let lacks_sets = seen.key_frame && !seen.parameter_sets;
        if seen.clean && !lacks_sets {
            return Ok((data, seen));
        }
        let mut rewritten = if lacks_sets { self.parameter_sets.clone() } else { Vec::new() };
        rewritten.extend(annexb::strip(&data));
        let seen = annexb::inspect(&rewritten)?;
        Ok((rewritten.into(), seen))
    }

    fn keep_parameter_sets(&mut self, data: &[u8]) {
        let is_set = |unit: &&[u8]| matches!(annexb::nal_type(unit), NalType::SPS | NalType::PPS);
        self.parameter_sets = annexb::join(NalUnits::new(data).filter(is_set));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Timeline;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const IDR: &[u8] = &[0x65, 0x88, 0x84];
    const DELIMITER: &[u8] = &[0x09, 0xf0];

    fn packed(packer: &mut Packer, units: &[&[u8]]) -> (Bytes, AccessUnit) {
        let now = Instant::now();
        let data = Bytes::from(annexb::join(units.iter().copied()));
        let time = Timeline::new(now).enter(now, Duration::ZERO);
        (data.clone(), packer.pack(data, time).unwrap())
    }

    /// Goal: bytes that need nothing done are handed on, not copied.
    #[test]
    fn clean_bytes_are_handed_on_without_a_copy() {
        let (data, unit) = packed(&mut Packer::new(7), &[SPS, PPS, IDR]);
        assert_eq!(unit.data.as_ptr(), data.as_ptr());
        assert_eq!((unit.frame_id, unit.key_frame), (7, true));
    }

    /// Goal: a key frame that comes without parameter sets gets the newest, and the hash covers them.
    #[test]
    fn a_key_frame_gets_the_parameter_sets_it_lacks() {
        let mut packer = Packer::new(1);
        let (_, first) = packed(&mut packer, &[SPS, PPS, IDR]);
        let (_, second) = packed(&mut packer, &[DELIMITER, IDR]);
        assert_eq!(second.data, annexb::join([SPS, PPS, IDR]));
        assert_eq!((second.au_hash, second.frame_id), (first.au_hash, 2));
    }

    /// Goal: a sender that waits for a slow consumer is let go when the capture stops.
    #[test]
    fn a_waiting_sender_is_let_go_on_close() {
        let (port, mut outputs) = Port::new(1);
        let full = || Output::Event(Event::Resumed);
        port.send(full()).unwrap();
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| port.send(full()));
            port.close();
            assert_eq!(sender.join().unwrap(), Err(PortClosed));
        });
        assert_eq!(outputs.recv_timeout(Duration::ZERO), Ok(full()));
        assert_eq!(outputs.recv_timeout(Duration::ZERO), Err(RecvError::Ended));
    }

    /// Goal: after the last word nothing more is sent.
    #[test]
    fn nothing_follows_the_last_event() {
        let (port, mut outputs) = Port::new(4);
        port.finish(Event::EndOfStream);
        port.finish(Event::Stopped(VideoError::Pipeline { why: "too late".to_owned() }));
        assert_eq!(port.send(Output::Event(Event::Resumed)), Err(PortClosed));
        assert_eq!(outputs.recv_timeout(Duration::ZERO), Ok(Output::Event(Event::EndOfStream)));
        assert_eq!(outputs.recv_timeout(Duration::ZERO), Err(RecvError::Ended));
    }
}
