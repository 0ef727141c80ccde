//! `farhand-edge`: the edge box.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

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
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,rtc=error,rtc_mdns=error,webrtc=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Run { config } = Arguments::parse().command;
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "farhand-edge: {error:#}"); // nobody to tell if that fails
            ExitCode::FAILURE
        }
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
