//! The library against real GStreamer pipelines: recordings made here, a real one where it is at hand, and live senders.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests, their helpers included")]

mod bench;
mod cameras;
mod faults;
mod live;
mod recording;
mod tap;
mod tools;
