//! One part of the operation as a process: what [`crate::stage`] starts. The same libraries as `farhand-edge`,
//! `farhand-cloud` and the others.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use farhand_link::{DeviceId, DeviceKey, DeviceRole};
use farhand_mesh::{Certificate, Router, RouterConfig};
use farhand_validator::ValidatorConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    crtk, line,
    session::RouterFile,
    world::{self, config::WorldConfig},
};

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Validator,
    Mesh,
    World,
    Kit,
    Edge,
    Cloud,
    Flight,
    Line,
    Crtk,
}

/// Runs one part until its standard input ends, or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    kind: Kind,
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Mesh => "mesh",
            Self::World => "world",
            Self::Kit => "kit",
            Self::Edge => "edge",
            Self::Cloud => "cloud",
            Self::Flight => "flight",
            Self::Line => "line",
            Self::Crtk => "crtk",
        }
    }
}

impl Kind {
    /// What keeps time goes before what can wait, where the system lets it: a kit whose arm is silent for 50 ms stops.
    pub(crate) fn niceness(self) -> &'static str {
        match self {
            Self::Kit | Self::World | Self::Line => "-10",
            Self::Edge | Self::Crtk => "-5",
            Self::Validator | Self::Mesh | Self::Cloud | Self::Flight => "0",
        }
    }
}

/// A validator's exit codes are those of `farhand-validator run`: its supervisor asks for them.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = &arguments.config;
    if matches!(arguments.kind, Kind::World | Kind::Line) {
        // Threads of their own, and no runtime.
        if arguments.kind == Kind::World { world_until_told(config) } else { line::part(config) }?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ran = runtime.block_on(async {
        let _file_too_large = error_instead_of_death()?;
        match arguments.kind {
            Kind::Validator => return validator(config).await,
            Kind::Mesh => mesh(config).await,
            Kind::Kit => kit(config).await,
            Kind::Edge => edge(config).await,
            Kind::Cloud => cloud(config).await,
            Kind::Flight => flight(config).await,
            Kind::Crtk => crtk(config).await,
            Kind::World | Kind::Line => Ok(()),
        }?;
        Ok(ExitCode::SUCCESS)
    });
    runtime.shutdown_background(); // a thread may wait for a device that is gone
    ran
}

/// A file that may not grow (RLIMIT_FSIZE) is an error, which is said, instead of a silent death.
fn error_instead_of_death() -> anyhow::Result<Signal> {
    const SIGXFSZ: i32 = 25;
    signal(SignalKind::from_raw(SIGXFSZ)).context("could not handle SIGXFSZ")
}

/// Until whoever started this ends its standard input, or ends itself; or until SIGTERM.
async fn told() -> anyhow::Result<()> {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        read_to_end();
        let _ = end.send(()); // told by the signal already
    });
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = ended => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn read_to_end() {
    let mut nothing = [0; 64];
    while matches!(io::stdin().read(&mut nothing), Ok(1..)) {}
}

fn world_until_told(path: &Path) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        read_to_end();
        told.store(true, Relaxed);
    });
    world::run(WorldConfig::read(path)?, &stop)
}

async fn validator(path: &Path) -> anyhow::Result<ExitCode> {
    let handle = farhand_validator::run_validator(ValidatorConfig::load(path)?).await?;
    tokio::select! {
        fault = handle.faulted() => {
            std::mem::forget(handle); // its threads are stuck or dead, and the process ends
            return Ok(ExitCode::from(fault.exit_code()));
        }
        told = told() => told?,
    }
    handle.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn mesh(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file: RouterFile = toml::from_str(&std::fs::read_to_string(path)?)?;
    let pem = |path: &Path| -> anyhow::Result<Certificate> {
        Ok(Certificate::from_pem(&std::fs::read_to_string(folder.join(path))?)?)
    };
    let device = |(id, role): (&String, &String)| -> anyhow::Result<(DeviceId, DeviceRole)> {
        Ok((id.parse()?, role_of(role).with_context(|| format!("there is no device role {role}"))?))
    };
    let router = Router::open(RouterConfig {
        key: DeviceKey::load(&folder.join(&file.key))?,
        certificate: pem(&file.certificate)?,
        anchor: pem(&file.anchor)?,
        listen: file.listen,
        devices: file.devices.iter().map(device).collect::<anyhow::Result<BTreeMap<_, _>>>()?,
        simulator: file.simulator,
    })
    .await?;
    told().await?;
    router.close().await;
    Ok(())
}

fn role_of(name: &str) -> Option<DeviceRole> {
    match name {
        "edge" => Some(DeviceRole::Edge),
        "cloud" => Some(DeviceRole::Cloud),
        "aircraft" => Some(DeviceRole::Flight),
        "kit" => Some(DeviceRole::Kit),
        "observer" => Some(DeviceRole::Observer),
        "ros" => Some(DeviceRole::Ros),
        _ => None,
    }
}

/// Beside its configuration it leaves how often its loop asked for memory, from the first tick to the last.
async fn kit(path: &Path) -> anyhow::Result<()> {
    farhand_kit::lock_memory();
    let count = path.with_extension("allocations");
    let kit = farhand_kit::run_around(&farhand_kit::Config::read(path)?, move |turns| {
        let used = allocation_counter::measure(turns);
        if let Err(error) = std::fs::write(&count, used.count_total.to_string()) {
            tracing::warn!(%error, "nobody will know what the loop allocated");
        }
    })?;
    let dead = async {
        while kit.is_alive() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = dead => anyhow::bail!("the kit's loop or its gate has ended"),
        told = told() => told,
    }
}

async fn edge(path: &Path) -> anyhow::Result<()> {
    let running = farhand_agent::run(farhand_agent::Config::load(path)?).await?;
    told().await?;
    running.stop().await;
    Ok(())
}

async fn cloud(path: &Path) -> anyhow::Result<()> {
    let running = farhand_server::run(farhand_server::Config::load(path)?).await?;
    told().await?;
    running.stop().await;
    Ok(())
}

async fn flight(path: &Path) -> anyhow::Result<()> {
    let running = farhand_flight::serve(farhand_flight::ServeConfig::load(path)?)?;
    told().await?;
    running.stop().await;
    Ok(())
}

async fn crtk(path: &Path) -> anyhow::Result<()> {
    tokio::select! {
        ran = crtk::part(path) => ran,
        told = told() => told,
    }
}
