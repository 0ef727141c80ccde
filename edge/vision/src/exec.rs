//! What computes a graph.

mod choice;
mod cpu;
mod gpu;

pub use choice::{Agreement, Choice, ChoiceError, Executor, agree};
pub use cpu::CandleExec;
pub(crate) use cpu::{Parameters, forward};
pub use gpu::{GpuError, WgpuExec};
