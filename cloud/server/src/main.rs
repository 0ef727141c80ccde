//! `farhand-cloud`: introduces consoles and the edge box of one session, and serves the console.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use farhand_server::Config;
use tokio::signal::unix::{SignalKind, signal};

/// Farhand's cloud: claims role links, passes signals between consoles and the edge box, serves the console.
///
/// It can't stand between them: both ends check each other's signatures against the session's opening on the ledger.
#[derive(Debug, Parser)]
#[command(name = "farhand-cloud", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one session until told to stop (SIGINT, SIGTERM). Exit codes: 0 told to stop; 1 could not start.
    Run {
        /// TOML with session, listen, edge_listen, device_key, edge, trust_root, opening, console, [[links]].
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let Command::Run { config } = Cli::parse().command;
    match serve(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "farhand-cloud: {error}"); // errors tell their sources; nobody to tell if that fails
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve_until_told(config))
}

async fn serve_until_told(config: Config) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = farhand_server::run(config).await?;
    tracing::info!(http = %running.http_addr(), edge = %running.edge_addr(), id = %running.id(), "runs");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stops");
    running.stop().await;
    Ok(())
}
