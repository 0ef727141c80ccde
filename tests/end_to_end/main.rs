//! Every end-to-end test, in one binary.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod layering;
mod line;
mod live;
