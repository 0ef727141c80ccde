//! Runs every part as a process of its own, from this same program: what `farhand up` and `farhand rehearse` stand on.
//! Each has a supervisor, by the rules of `farhand-validator supervise`: what dies is started again, and nothing outlives
//! this process, however it ends.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use farhand_validator::{
    ValidatorConfig,
    supervise::{Supervisor, attended},
};
use tokio::{
    process::Child,
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{part::Kind, session::Session, site::Site};

/// All parts of a session, running.
#[derive(Debug)]
pub(crate) struct Stage {
    actors: Vec<Actor>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Actor {
    name: String,
    pid: watch::Receiver<Option<u32>>,
    kill: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Stage {
    /// Starts validators, mesh, world, kit, edge box, cloud and aircraft's companion, and the line and the ROS
    /// world's bridge where there are any.
    pub(crate) fn start(site: &Site, session: &Session) -> anyhow::Result<Self> {
        let line = session.has_line.then_some(Kind::Line);
        let crtk = session.has_crtk.then_some(Kind::Crtk);
        let others = [Kind::Mesh, Kind::World, Kind::Kit, Kind::Edge, Kind::Cloud, Kind::Flight];
        let others = line.into_iter().chain(others).chain(crtk);
        let others = others.map(|kind| (kind.name().to_owned(), kind, session.config(kind.name())));
        Self::play(validators(site).chain(others), &session.folder.join("logs"))
    }

    /// Starts the validators alone.
    pub(crate) fn validators(site: &Site, logs: &Path) -> anyhow::Result<Self> {
        Self::play(validators(site), logs)
    }

    fn play(parts: impl Iterator<Item = Part>, logs: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program can't find itself")?;
        fs::create_dir_all(logs)?;
        let (stop, stopping) = watch::channel(false);
        let actor = |(name, kind, config): Part| {
            let (pid, seen) = watch::channel(None);
            let script = Script {
                program: program.clone(),
                kind,
                config,
                log: logs.join(&name).with_extension("log"),
                name: name.clone(),
            };
            let kill = Arc::new(Notify::new());
            let task = tokio::spawn(script.play(pid, kill.clone(), stopping.clone()));
            Actor { name, pid: seen, kill, task }
        };
        Ok(Self { actors: parts.map(actor).collect(), stop })
    }

    /// Each part's process now, by name.
    pub(crate) fn processes(&self) -> Vec<(String, Option<u32>)> {
        self.actors.iter().map(|actor| (actor.name.clone(), *actor.pid.borrow())).collect()
    }

    /// Each part, for whoever watches them, or kills one now and then.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        let handle = |actor: &Actor| Handle {
            name: actor.name.clone(),
            pid: actor.pid.clone(),
            kill: actor.kill.clone(),
        };
        self.actors.iter().map(handle).collect()
    }

    /// Kills a part's process, as power that fails would. It is started again like any that died, however often.
    pub(crate) fn kill(&self, name: &str) {
        self.actors.iter().filter(|actor| actor.name == name).for_each(|actor| actor.kill.notify_one());
    }

    /// Ends all parts and waits for them.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for actor in self.actors {
            if actor.task.await.is_err() {
                tracing::warn!(part = actor.name, "its supervisor broke");
            }
        }
    }
}

/// A part, seen from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) name: String,
    pid: watch::Receiver<Option<u32>>,
    kill: Arc<Notify>,
}

impl Handle {
    /// Its process now, if it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// As [`Stage::kill`] does.
    pub(crate) fn kill(&self) {
        self.kill.notify_one();
    }
}

/// Name, kind, configuration.
type Part = (String, Kind, PathBuf);

fn validators(site: &Site) -> impl Iterator<Item = Part> {
    let numbered = (1..).zip(site.validator_configs());
    numbered.map(|(number, config)| (format!("validator-{number}"), Kind::Validator, config))
}

/// How one part is started.
struct Script {
    program: PathBuf,
    name: String,
    kind: Kind,
    config: PathBuf,
    log: PathBuf,
}

impl Script {
    /// Plays the part until told to stop.
    async fn play(self, pid: watch::Sender<Option<u32>>, kill: Arc<Notify>, mut stop: watch::Receiver<bool>) {
        let data_dir = match self.kind {
            Kind::Validator => ValidatorConfig::load(&self.config).ok().map(|config| config.data_dir),
            _ => None,
        };
        let name = format!("{} (log {})", self.name, self.log.display());
        let supervisor = Supervisor { name, begin: move || self.begin(), data_dir, pid, kill };
        supervisor.run(told(&mut stop)).await;
    }

    fn begin(&self) -> io::Result<Child> {
        let log = log(&self.log)?;
        attended("nice")
            .args(["-n", self.kind.niceness()])
            .arg(&self.program)
            .args(["part", self.kind.name(), "--config"])
            .arg(&self.config)
            .env("LP_NUM_THREADS", "1") // the picture must not take every core
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }
}

fn log(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Until told to stop, or nobody is left to tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if stop.changed().await.is_err() {
            return;
        }
    }
}
