//! The record against real files, a ledger of five keys, and disks that fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "tests, their helpers included"
)]

mod bench;
mod crash;
mod disk;
mod five_ledger;
mod over_quic;
mod restart;
mod sealing;
mod theatre;
