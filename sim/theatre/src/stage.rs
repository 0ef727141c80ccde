//! Runs every part as a process of its own, from this same program, and starts again what dies: what `farhand up` and
//! `farhand rehearse` stand on. A part ends when its standard input does, so nothing outlives this process, however it
//! ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{part::Kind, session::Session, site::Site};

/// A part that dies is started again after this.
const REST: Duration = Duration::from_secs(1);
/// More deaths than this in a minute, and it is left dead.
const DEATHS_MAX: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);
/// A part gets this long to end by itself.
const STOP: Duration = Duration::from_secs(8);

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
    /// Starts validators, mesh, world, kit, edge box, cloud and aircraft's companion.
    pub(crate) fn start(site: &Site, session: &Session) -> anyhow::Result<Self> {
        let others = [Kind::Mesh, Kind::World, Kind::Kit, Kind::Edge, Kind::Cloud, Kind::Flight];
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
        let mut deaths: Vec<Instant> = Vec::new();
        loop {
            let began = self.begin();
            match began {
                Ok((mut child, input)) => {
                    pid.send_replace(child.id());
                    tokio::select! {
                        ended = child.wait() => {
                            tracing::warn!(part = self.name, ?ended, log = %self.log.display(), "a part died");
                        }
                        () = kill.notified() => {
                            let _ = child.kill().await; // it may have ended just now
                            deaths.clear();
                        }
                        () = told(&mut stop) => return end(child, input).await,
                    }
                }
                Err(error) => tracing::error!(part = self.name, %error, "a part does not start"),
            }
            pid.send_replace(None);
            deaths.retain(|at| at.elapsed() < MINUTE);
            deaths.push(Instant::now());
            if deaths.len() > DEATHS_MAX {
                tracing::error!(part = self.name, log = %self.log.display(), "dies again and again; it is left dead");
                return told(&mut stop).await;
            }
            tokio::select! {
                () = tokio::time::sleep(REST) => {}
                () = told(&mut stop) => return,
            }
        }
    }

    fn begin(&self) -> std::io::Result<(Child, Option<ChildStdin>)> {
        let log = log(&self.log)?;
        let mut child = Command::new("nice")
            .args(["-n", self.kind.niceness()])
            .arg(&self.program)
            .args(["part", self.kind.name(), "--config"])
            .arg(&self.config)
            .env("LP_NUM_THREADS", "1") // the picture must not take every core
            .stdin(Stdio::piped())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take();
        Ok((child, input))
    }
}

fn log(path: &Path) -> std::io::Result<File> {
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

/// Its standard input ends, and so does it; or it is made to.
async fn end(mut child: Child, input: Option<ChildStdin>) {
    drop(input);
    if tokio::time::timeout(STOP, child.wait()).await.is_err() {
        let _ = child.kill().await; // it may have ended just now
    }
}
