//! `farhand-kit`: the robot's agent.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use farhand_kit::{Config, lock_memory, run};
use tracing_subscriber::EnvFilter;

/// The robot's agent: keeps the arm within the guard's permission, a thousand times a second.
///
/// It moves nothing until its paired edge box has shown it a session that its trust root proves, and two people, one of
/// them at the bedside, have armed it. Research software, not a medical device.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The kit's configuration (TOML); paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    match serve(&Arguments::parse().config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "farhand-kit: {error:#}"); // nobody to tell if that fails
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Path) -> anyhow::Result<()> {
    let config = Config::read(config).context("the kit does not start")?;
    lock_memory();
    let kit = run(&config).context("the kit does not start")?;
    while kit.is_alive() {
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            signal = tokio::signal::ctrl_c() => return signal.context("no signal handler"),
        }
    }
    anyhow::bail!("the kit's loop or its gate has ended; start it again, disarmed")
}
