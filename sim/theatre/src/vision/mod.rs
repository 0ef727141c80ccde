//! `farhand vision`: the net that sees instruments learns from the simulator, and is judged on pictures it never learnt from.

mod augment;
mod curve;
mod eval;
mod factors;
mod folder;
mod mean;
mod panels;
mod rows;
mod samples;
mod table;
mod train;

use anyhow::Context as _;
use clap::{Args, Subcommand};

/// The model that comes with Farhand.
const DELIVERED: &[u8] = include_bytes!("../../../../edge/vision/models/segment-4.safetensors");
/// In place of one: none.
pub(crate) const OFF: &str = "off";

/// The model that was asked for, as a file's bytes: whoever looks with it reads them.
pub(crate) fn model(choice: Option<&str>) -> anyhow::Result<Option<Vec<u8>>> {
    match choice {
        None => Ok(Some(DELIVERED.to_vec())),
        Some(OFF) => Ok(None),
        Some(path) => {
            std::fs::read(path).map(Some).with_context(|| format!("could not read the model {path}"))
        }
    }
}

/// Teaches the net that sees instruments and tissue, and says how well it does.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Arguments),
    Eval(eval::Arguments),
    Mean(mean::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Mean(arguments) => mean::run(arguments),
    }
}
