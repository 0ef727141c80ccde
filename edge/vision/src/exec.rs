//! What computes a graph.

mod cpu;

pub use cpu::CandleExec;
pub(crate) use cpu::{Parameters, forward};
