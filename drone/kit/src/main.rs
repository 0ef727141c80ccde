//! `farhand-kit`: the robot's agent.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use farhand_kit::{Config, run};
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
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let arguments = Arguments::parse();
    let config = Config::read(&arguments.config).context("the kit does not start")?;
    let kit = run(&config).context("the kit does not start")?;
    while kit.is_alive() {
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            signal = tokio::signal::ctrl_c() => return signal.context("no signal handler"),
        }
    }
    anyhow::bail!("the kit's loop or its gate has ended; start it again, disarmed")
}
