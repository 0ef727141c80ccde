//! `farhand-validator`: makes a ledger on one machine, runs one of its validators, says how it is, changes who keeps it.

#[path = "main/epoch.rs"]
mod epoch;

use std::{
    io::{self, Write as _},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use farhand_link::DeviceId;
use farhand_validator::{
    ConfigError, Fault, LocalPlan, Status, ValidatorConfig,
    fault::EXIT_RETIRED,
    join::{self, Joining},
    make_local_ledger, run_validator, status,
    supervise::{Supervisor, attended},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
};

/// One validator of Farhand's evidence ledger.
///
/// A ledger is kept by five or more validators, each by another organisation, each with its own key and its own data
/// folder. A transaction is on the ledger once more than two thirds of them have voted for it; the proof of that can be
/// checked by anybody who holds the ledger's genesis file.
#[derive(Debug, Parser)]
#[command(name = "farhand-validator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a whole ledger on this machine: keys, genesis file, and a configuration for each validator.
    ///
    /// For a trial. In earnest each organisation makes its own key with `join`, and only public keys meet in the genesis
    /// file. Then run each validator: farhand-validator supervise --config OUT/validator-1/validator.toml
    Init {
        /// Where the validators keep their data, a folder each.
        #[arg(long, value_name = "D")]
        dir: PathBuf,
        /// How many; five are the fewest, for of four one crash would stop the ledger.
        #[arg(long, default_value_t = 5)]
        validators: usize,
        /// Where keys, genesis.trust and configurations go.
        #[arg(long)]
        out: PathBuf,
        /// Address to listen on.
        #[arg(long, default_value = "127.0.0.1")]
        listen: IpAddr,
        /// First UDP port; two a validator. 0 takes what is free.
        #[arg(long, default_value_t = 7710)]
        port: u16,
    },
    /// Set up one organisation's validator: its own key first, then, once all agree on a genesis file, its configuration.
    ///
    /// Without --genesis it makes the key and says what to send to the others. With it, and with the others' keys and
    /// addresses, it writes DIR/validator.toml. Run then, the validator gets the ledger's whole history from the others,
    /// with every batch, and checks each block's certificate and each transaction by itself before it votes.
    Join {
        /// The validator's own folder: key, genesis, configuration, data.
        #[arg(long)]
        dir: PathBuf,
        /// As it came from the others; compare its SHA-256 with theirs.
        #[arg(long, value_name = "FILE", requires_all = ["peer", "peer_listen", "client_listen"])]
        genesis: Option<PathBuf>,
        /// Another validator: its key (64 hexadecimal digits) and where it listens for validators. Once for each.
        #[arg(long, value_name = "KEY@IP:PORT", value_parser = parse_peer)]
        peer: Vec<(DeviceId, SocketAddr)>,
        /// Where this one listens for validators.
        #[arg(long, value_name = "IP:PORT")]
        peer_listen: Option<SocketAddr>,
        /// Where this one listens for clients.
        #[arg(long, value_name = "IP:PORT")]
        client_listen: Option<SocketAddr>,
    },
    /// Make the genesis file of a new ledger from public keys: what validators, kits and auditors keep.
    Genesis {
        /// Public key of a validator, as its `join` says it. Once for each; five are the fewest.
        #[arg(long, value_name = "KEY", required = true)]
        validator: Vec<DeviceId>,
        /// Public key of a hospital, which grants roles and opens sessions. Once for each.
        #[arg(long, value_name = "KEY", required = true)]
        hospital: Vec<DeviceId>,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Run one validator until it is told to stop (SIGINT, SIGTERM) or can't go on.
    ///
    /// Exit codes: 0 told to stop; 1 could not start; 74 the disk failed; 75 a fault that a restart mends (a stalled
    /// height, a dead thread); 76 its epoch ended, it goes on in the next one when started again; 77 the ledger goes on
    /// without it. Nothing starts it again; `supervise` does.
    Run {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Stop when standard input ends, too.
        #[arg(long)]
        until_input_ends: bool,
    },
    /// Run one validator in a process of its own, and start it again whenever that one ends, until told to stop.
    ///
    /// At once if it was not well (75) or its epoch ended (76); not at all if the ledger goes on without it (77); every 30 seconds while its disk fails (74); after any other end a second later,
    /// and ever later, to a minute, if it dies soon each time. One that hangs is killed first.
    Supervise {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Change who keeps the ledger: propose the next epoch, endorse it, end this one.
    ///
    /// One organisation proposes and sends the file to the others. Each looks at it and endorses it with its validator's key.
    /// Once the endorsements of a quorum are there, anyone of them ends the epoch: that goes onto the ledger like any transaction,
    /// and every validator goes on in the next epoch by itself. All of the ledger's history stays, and stays provable.
    Epoch {
        #[command(subcommand)]
        step: epoch::Step,
    },
    /// Say how the validator of a configuration is. Exit codes: 0 healthy; 1 not running; 2 running, but not well.
    Status {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let done = match Cli::parse().command {
        Command::Init { dir, validators, out, listen, port } => {
            init(&LocalPlan { data: dir, out, validators, listen, first_port: port, clients: Vec::new() })
        }
        Command::Join { dir, genesis, peer, peer_listen, client_listen } => {
            match (genesis, peer_listen, client_listen) {
                (Some(genesis), Some(peer_listen), Some(client_listen)) => {
                    set_up(&Joining { dir, genesis, peer_listen, client_listen, peers: peer })
                }
                _ => show_key(&dir),
            }
        }
        Command::Genesis { validator, hospital, out } => genesis(&out, &validator, &hospital),
        Command::Run { config, until_input_ends } => run(&config, until_input_ends),
        Command::Supervise { config } => supervise(config),
        Command::Epoch { step } => step.take(),
        Command::Status { config, json } => show_status(&config, json),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "farhand-validator: {error:#}"); // nobody to tell if that fails
        match error.downcast_ref() {
            Some(ConfigError::Retired { .. }) => ExitCode::from(EXIT_RETIRED),
            _ => ExitCode::FAILURE,
        }
    })
}

fn init(plan: &LocalPlan) -> anyhow::Result<ExitCode> {
    let made = make_local_ledger(plan)?;
    let mut out = io::stdout().lock();
    writeln!(out, "ledger {} with {} validators", made.trust.ledger(), made.configs.len())?;
    writeln!(out, "genesis {} (SHA-256 {})", made.genesis.display(), made.trust.fingerprint())?;
    writeln!(out, "Run each of them:")?;
    for config in &made.configs {
        writeln!(out, "  farhand-validator supervise --config {}", config.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_peer(text: &str) -> anyhow::Result<(DeviceId, SocketAddr)> {
    let (key, addr) = text.split_once('@').context("a peer is KEY@IP:PORT")?;
    Ok((key.parse()?, addr.parse()?))
}

fn show_key(dir: &Path) -> anyhow::Result<ExitCode> {
    let key = join::own_key(dir)?.id();
    let mut out = io::stdout().lock();
    writeln!(out, "{key}")?;
    writeln!(
        out,
        "This is the public key of the validator in {}. Send it to the others, with",
        dir.display()
    )?;
    writeln!(
        out,
        "the address that it will listen at. Once you have the genesis file, run this again with --genesis."
    )?;
    Ok(ExitCode::SUCCESS)
}

fn genesis(path: &Path, validators: &[DeviceId], hospitals: &[DeviceId]) -> anyhow::Result<ExitCode> {
    let trust = join::make_genesis(path, validators, hospitals)?;
    let mut out = io::stdout().lock();
    writeln!(out, "ledger {} with {} validators", trust.ledger(), trust.validators().len())?;
    writeln!(out, "genesis {} (SHA-256 {})", path.display(), trust.fingerprint())?;
    Ok(ExitCode::SUCCESS)
}

fn set_up(plan: &Joining) -> anyhow::Result<ExitCode> {
    let config = join::join(plan)?;
    let mut out = io::stdout().lock();
    writeln!(out, "Name those who may submit under [[clients]] in {0}, and run it:", config.display())?;
    writeln!(out, "  farhand-validator supervise --config {}", config.display())?;
    Ok(ExitCode::SUCCESS)
}

fn run(path: &Path, until_input_ends: bool) -> anyhow::Result<ExitCode> {
    let config = ValidatorConfig::load(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let fault = runtime.block_on(run_until_told(config, until_input_ends))?;
    runtime.shutdown_background(); // after a fault of the store a thread may be parked for ever
    Ok(fault.map_or(ExitCode::SUCCESS, |fault| ExitCode::from(fault.exit_code())))
}

async fn run_until_told(config: ValidatorConfig, until_input_ends: bool) -> anyhow::Result<Option<Fault>> {
    let told = told()?;
    let input_ended =
        async { if until_input_ends { input_ended().await } else { std::future::pending().await } };
    let _file_too_large = error_instead_of_death()?;
    tokio::pin!(told, input_ended);
    let handle = tokio::select! {
        handle = run_validator(config) => handle?,
        () = &mut told => return Ok(None), // while it gets what it missed
        () = &mut input_ended => return Ok(None),
    };
    tracing::info!(id = %handle.id(), peers = %handle.peer_addr(), clients = %handle.client_addr(), "runs");
    tokio::select! {
        fault = handle.faulted() => {
            std::mem::forget(handle); // its threads are stuck or dead, and the process ends
            return Ok(Some(fault));
        }
        () = &mut told => {}
        () = &mut input_ended => {}
    }
    tracing::info!("stops");
    handle.stop().await;
    Ok(None)
}

fn supervise(path: PathBuf) -> anyhow::Result<ExitCode> {
    let data_dir = ValidatorConfig::load(&path)?.data_dir;
    let program = std::env::current_exe().context("this program can't find itself")?;
    let supervisor = Supervisor {
        name: path.display().to_string(),
        begin: move || attended(&program).args(["run", "--until-input-ends", "--config"]).arg(&path).spawn(),
        data_dir: Some(data_dir),
        pid: watch::Sender::default(),
        kill: Arc::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        supervisor.run(told()?).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// SIGINT or SIGTERM.
fn told() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Standard input ends when whoever started this does, however that happens.
async fn input_ended() {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink()); // an error is an end, too
        let _ = end.send(()); // told by a signal already
    });
    let _ = ended.await; // either way
}

/// A file that may not grow (RLIMIT_FSIZE) is an error of the store, which is said, instead of a silent death.
fn error_instead_of_death() -> anyhow::Result<Signal> {
    const SIGXFSZ: i32 = 25;
    signal(SignalKind::from_raw(SIGXFSZ)).context("could not handle SIGXFSZ")
}

fn show_status(path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let status = status::read(&ValidatorConfig::load(path)?.data_dir)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&status)?)?;
    } else {
        write!(out, "{}", in_words(&status))?;
    }
    Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn in_words(status: &Status) -> String {
    let health = if status.healthy { "healthy" } else { status.problem.as_str() };
    let height = status.height.map_or("none committed yet".to_owned(), |height| height.to_string());
    format!(
        "{health}\nepoch {}, height {height}, {} ms ago, view {}\n{} of {} other validators connected, {} transactions wait\n",
        status.epoch,
        status.since_commit_ms,
        status.view,
        status.peers_connected,
        status.peers,
        status.transactions_waiting
    )
}
