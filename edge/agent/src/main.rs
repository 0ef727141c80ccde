//! `farhand-edge`: the edge box.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use farhand_agent::{Config, run};
use tracing_subscriber::EnvFilter;

/// The edge box at the bedside: shows the surgeon the picture, carries commands to the kit, and records the session.
///
/// It moves nothing and permits nothing: the kit checks every command itself. Research software, not a medical device.
#[derive(Debug, Parser)]
#[command(name = "farhand-edge", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connects to cloud and kit, and serves until it is stopped (SIGINT, SIGTERM).
    Run {
        /// The edge box's configuration (TOML); paths in it are relative to it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rtc=warn,webrtc=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Run { config } => serve(config).await,
    }
}

async fn serve(config: PathBuf) -> anyhow::Result<()> {
    let config = Config::load(&config).context("the edge box does not start")?;
    let edge = run(config).await.context("the edge box does not start")?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("no signal handler")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("no signal handler")?,
        _ = terminate.recv() => {}
    }
    edge.stop().await;
    Ok(())
}
