//! `farhand`: runs the whole operation on one machine, and rehearses it.

mod bench;
mod crtk;
mod desk;
mod engineer;
mod exercise;
mod line;
mod part;
mod progress;
mod rehearse;
mod session;
mod site;
mod soak;
mod stage;
mod up;
mod usage;
mod vision;
mod world;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// What is logged unless `RUST_LOG` says otherwise.
const QUIET: &str =
    "info,rtc=error,rtc_dtls=error,rtc_ice=error,rtc_mdns=error,rtc_sctp=error,webrtc=warn,zenoh=warn";

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
    Up(up::Arguments),
    Rehearse(rehearse::Arguments),
    Bench(bench::Arguments),
    Soak(soak::Arguments),
    World(world::Arguments),
    Line(line::Arguments),
    Vision(vision::Arguments),
    #[command(hide = true)]
    Part(part::Arguments),
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| QUIET.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let done = match Arguments::parse().command {
        Command::Up(arguments) => up::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Rehearse(arguments) => rehearse::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Bench(arguments) => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Soak(arguments) => soak::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::World(arguments) => world::command(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Line(arguments) => line::command(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Vision(arguments) => vision::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Part(arguments) => part::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "farhand: {error:#}"); // nobody to tell if that fails
            ExitCode::FAILURE
        }
    }
}
