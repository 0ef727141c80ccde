//! Every end-to-end test, in one binary.

mod layering;
mod live;
