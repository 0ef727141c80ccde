//! `farhand vision mean`: one model half way between two.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;

use super::eval;

/// Writes the model half way between two of one net: what a net learns when it goes on takes it away from what it knew, and half way
/// it is better on pictures that are unlike those it learnt from.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model that was gone on from.
    first: PathBuf,
    /// What came of it.
    second: PathBuf,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(Arguments { first, second, out }: &Arguments) -> anyhow::Result<()> {
    let mean = eval::read(first)?.mean(&eval::read(second)?)?;
    fs::write(out, mean.to_bytes()).with_context(|| out.display().to_string())?;
    Ok(writeln!(io::stdout(), "{}: {}", out.display(), hex::encode(mean.digest()))?)
}
