//! The edge box: WebRTC to the consoles, relay to the kit, and the session's record.
//!
//! Two pure machines decide, and drivers obey. [`meeting`] is the edge's side of `docs/signalling.md`: who may connect, and
//! that nobody stands between. [`relay`] is all that passes between consoles, kit and record. Around them: the links to
//! cloud and kit, one or two WebRTC connections to each console, and the capture of pictures. [`run`] starts it all; [`peer`] is a
//! console without a browser.
//!
//! **A command waits for nothing here**: from the data channel's reader to the kit's datagram there is one short lock, no
//! task hand-over, no disk and no log line.

mod clock;
mod cloud;
mod config;
mod console;
mod desk;
mod edge;
mod film;
mod kit;
mod left_over;
pub mod meeting;
pub mod peer;
mod reach;
mod record;
pub mod relay;
mod rtc_setup;
mod sight;
mod signal;
mod together;

pub use config::{
    CameraConfig, Config, ConfigError, ConsolePath, Far, Forwarded, LedgerConfig, PathConfig, SoftwareConfig,
    TestDelay, VideoConfig, VisionConfig,
};
pub use edge::{Ending, RunError, Running, run, run_with};
pub use film::{PLAYED, VIDEO};
pub use record::{Archive, ArchiveError, OpenRecord, Record};
pub use sight::VISION;
pub use signal::{BadSdp, BadSignal, Signal};
