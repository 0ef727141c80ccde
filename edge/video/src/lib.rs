//! A source of pictures, encoded as H.264 for the surgeon's browser, with all that the edge must know of every frame:
//! its number, when it was captured, and the two hashes that the ledger and the receiver compare.
//!
//! ```text
//! source → decode → 4:2:0 pictures → gate → stamp → encoder → access units → consumer
//!        │ (a pipeline: intake)       │              (a pipeline: encode)        │
//!        │                            └ the only place where a frame can be lost: before it has a number
//!        └ pass: a camera's own H.264, where it can be shown as it is ─────────────┘
//! ```
//!
//! Two GStreamer pipelines, so that what lies between them is ours: which frame is given up when the encoder or
//! the consumer is behind ([`Settings::every_frame`]), the capture instant that a frame keeps through the encoder, and
//! the delay and stamp that tests use. What decides is pure (`gate`, `pass`, `timeline`, `watch`, [`annexb`], [`stamp`],
//! [`source`]); `capture`, `hub`, `intake` and `encode` drive.
//!
//! What a camera on the network brings as H.264 is sent as it came where nothing in it is out of order and the line carries its
//! rate (`pass`); it is decoded all the same, for who looks at it and for the moment in which it must be encoded anew. Every other
//! source is decoded and encoded again: raw pictures, recordings, which are paced by their decoder, and cameras of this machine.
//!
//! # Promises
//! - [`AccessUnit::frame_id`] has no gaps: no frame is lost after it was encoded.
//! - Every key frame brings its SPS and PPS; no frame is reordered; the profile is constrained baseline, or a camera's own up to high.
//! - A key frame that is asked for is the next frame but one at the latest, whatever a camera does.
//! - At most one raw picture waits (four with `every_frame`, 32 while a test delays), at most
//!   [`Settings::outputs_waiting_max`] encoded ones.
//! - Nothing waits for a consumer longer than [`Capture::stop`] is called.
//!
//! ```no_run
//! use farhand_video::{Capture, Event, Output, Settings};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = "shm:/run/farhand/scene?width=960&height=540&fps=30".parse()?;
//! let (capture, mut outputs) = Capture::start(&source, &Settings::default())?;
//! loop {
//!     match outputs.recv_timeout(std::time::Duration::from_secs(1))? {
//!         Output::Unit(unit) => println!("frame {} of {} bytes", unit.frame_id, unit.data.len()),
//!         Output::Event(Event::EndOfStream | Event::Stopped(_)) => break,
//!         Output::Event(_) => {}
//!     }
//! }
//! # Ok(()) }
//! ```

pub mod annexb;
pub mod source;
pub mod stamp;

mod capture;
mod encode;
mod encoder;
mod error;
mod gate;
mod hub;
mod intake;
mod mp4;
mod note;
mod output;
mod pair;
mod pass;
mod settings;
mod tap;
mod timeline;
mod userdata;
mod watch;

pub use capture::Capture;
pub use encoder::{Encoder, Tried};
pub use error::VideoError;
pub use hub::Counters;
pub use output::{AccessUnit, Event, Output, Outputs, RecvError};
pub use settings::{BITRATE_KBIT_S, Settings};
pub use source::{Source, SourceParseError};
pub use tap::{Tap, Tapped};
pub use userdata::{split_user_data, with_user_data};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Starts GStreamer, once a process.
pub(crate) fn init() -> Result<(), VideoError> {
    gstreamer::init().map_err(|error| VideoError::NoGstreamer { why: error.to_string() })
}

/// What a panicking thread left is still whole: every change under these locks is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
