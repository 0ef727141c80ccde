//! `farhand vision`: the net that sees instruments learns from the simulator, and is judged on pictures it never learnt from.

mod augment;
mod eval;
mod samples;
mod train;

use clap::{Args, Subcommand};

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
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
    }
}
