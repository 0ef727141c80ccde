//! How connected devices behave, over loopback: who gets in, what gets through, and what happens when one dies.
//!
//! Peers that misbehave are plain quinn and rustls, so that what is refused is refused from someone who can do it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // all of it is test code

mod cast;
mod delivery;
mod entry;
mod loss;
mod paths;
