//! `farhand`: rehearses the whole operation.

mod soak;
mod world;

use clap::{Parser, Subcommand};

/// A surgeon's hands, carried by air: the rehearsal stage.
///
/// Research software, not a medical device.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Soak(soak::Arguments),
    World(world::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Soak(arguments) => soak::run(&arguments),
        Command::World(arguments) => world::run(&arguments),
    }
}
