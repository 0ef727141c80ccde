//! `farhand world`: the simulated world as one process: the arms on the cables that real arms would have, the endoscope,
//! and the aircraft. Everything stays on the loopback.
//!
//! Each has a thread of its own and none waits for another. If one of them cannot go on, the world ends, so that its
//! death is seen by whoever would see a real one's.

mod arm;
mod camera;
pub(crate) mod config;
mod judge;
mod shm;
pub(crate) mod stage;
mod truth;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use farhand_world::Arm;
use farhand_world::aircraft::{AircraftConfig, AircraftHandle, UdpConfig, fly_over_udp};
use farhand_world::exercise::Attempt;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use arm::{Reach, Shown};
use config::{AircraftEnd, ArmEnd, WorldConfig};
use judge::Judge;
use stage::Stage;
use truth::Truth;

/// How often the truth is written.
const TRUTH_PERIOD: Duration = Duration::from_millis(200);
/// How often the world looks whether it should end.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Runs the simulated world: the arms on their cables, the endoscope's picture, the aircraft; all on the loopback.
///
/// The configuration (TOML) names a seed, for each of one to three arms [[arms]] listen, kit and cable_key, and, where they are wanted, [camera] socket,
/// width, height and fps, [aircraft] remote, signing_key and speedup, truth, a file that says what is so, and exercise, what
/// there is to do instead of taking the bead (docs/exercises.md), with its result in exercise.json beside the truth. It runs
/// until SIGINT or SIGTERM. Without a GPU set LP_NUM_THREADS=1, so that the picture leaves the other cores alone.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The world's configuration; paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn command(arguments: &Arguments) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Whoever set up a log before has the better reason.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let config = WorldConfig::read(&arguments.config).context("the world does not start")?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(&stop).context("no signal handler")?;
    run(config, &stop)
}

/// **Runs the world until `stop` is set or a part of it fails; on return its sockets are closed and removed.**
///
/// # Errors
/// A configuration that is not on the loopback, keys that cannot be read, a socket in use, no Vulkan driver (Debian:
/// `mesa-vulkan-drivers`), no `shmsink` (Debian: `gstreamer1.0-plugins-bad`); and later what keeps a part from going on.
pub(crate) fn run(config: WorldConfig, stop: &AtomicBool) -> anyhow::Result<()> {
    config.check()?;
    let mut stage = Stage::new(config.seed, config.arms.len())?;
    let keys = config.arms.iter().map(ArmEnd::read_key).collect::<Result<Vec<_>, _>>()?;
    let mut arms = arm::arms_at_home(&stage, &keys);
    let attempt = config.exercise()?.map(|exercise| Attempt::new(exercise, config.seed, stage.place()));
    attempt.iter().for_each(|attempt| stage.furnish(attempt));
    let mut reach = Reach::new(stage.clone(), &arms[0]);
    let (judge, measured) = Judge::new(config.truth.as_deref(), config.line.clone());
    if let Some(attempt) = attempt {
        reach = reach.exercising(attempt, measured);
    }
    let aircraft = config.aircraft.as_ref().map(fly).transpose()?;
    let shown = Shown::new(reach.tick(&mut arms));
    let world =
        World { stage, aircraft, shown, frames: AtomicU64::new(0), halt: AtomicBool::new(false), config };
    world.run(arms, reach, judge, stop)
}

/// What the parts share.
#[derive(Debug)]
struct World {
    config: WorldConfig,
    stage: Stage,
    aircraft: Option<AircraftHandle>,
    shown: Shown,
    frames: AtomicU64,
    halt: AtomicBool,
}

type Part<'scope> = ScopedJoinHandle<'scope, anyhow::Result<()>>;

impl World {
    fn run(&self, arms: Vec<Arm>, reach: Reach, mut judge: Judge, stop: &AtomicBool) -> anyhow::Result<()> {
        std::thread::scope(|scope| {
            let mut parts = Vec::new();
            let begun = self.begin(scope, arms, reach, &mut parts);
            let watched = begun.and_then(|()| self.watch(&parts, &mut judge, stop));
            self.halt.store(true, Relaxed);
            parts.into_iter().map(join).fold(watched, Result::and)
        })
    }

    fn begin<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        arms: Vec<Arm>,
        reach: Reach,
        parts: &mut Vec<Part<'scope>>,
    ) -> anyhow::Result<()> {
        let serve = || arm::serve(arms, reach, &self.config.arms, &self.shown, &self.halt);
        parts.push(Builder::new().name("arms".into()).spawn_scoped(scope, serve)?);
        if let Some(end) = &self.config.camera {
            warn_of_many_threads();
            let film = || camera::film(&self.stage, end, &self.shown, &self.frames, &self.halt);
            parts.push(Builder::new().name("camera".into()).spawn_scoped(scope, film)?);
        }
        Ok(())
    }

    /// Writes the truth until there is a reason to end.
    fn watch(&self, parts: &[Part<'_>], judge: &mut Judge, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut due = Instant::now();
        while !stop.load(Relaxed) && !parts.iter().any(ScopedJoinHandle::is_finished) {
            if Instant::now() >= due {
                due = Instant::now() + TRUTH_PERIOD;
                self.write_truth(judge)?;
            }
            std::thread::sleep(LOOK_PERIOD);
        }
        Ok(())
    }

    fn write_truth(&self, judge: &mut Judge) -> anyhow::Result<()> {
        let Some(path) = &self.config.truth else { return Ok(()) };
        let aircraft = self.aircraft.as_ref().map(AircraftHandle::truth);
        let arm = self.shown.look();
        let exercise = arm.exercise.map(|it| judge.look(&it.standing)).transpose()?;
        let truth = Truth::new(&self.stage, &arm, aircraft, self.frames.load(Relaxed));
        truth.with_exercise(exercise).write(path)
    }
}

fn join(part: Part<'_>) -> anyhow::Result<()> {
    let name = part.thread().name().unwrap_or("one").to_owned();
    part.join().unwrap_or_else(|_| Err(anyhow!("the world's {name} thread panicked")))
}

fn fly(end: &AircraftEnd) -> anyhow::Result<AircraftHandle> {
    let config = AircraftConfig { speedup: end.speedup, ..AircraftConfig::default() };
    let udp = UdpConfig { remotes: vec![end.remote], signing_key: end.read_key()? };
    fly_over_udp(config, &udp).context("the aircraft does not start")
}

/// Mesa's renderer reads it once, when it is loaded; a process cannot set it for itself without a restart.
fn warn_of_many_threads() {
    if std::env::var_os("LP_NUM_THREADS").is_none() {
        tracing::warn!(
            "LP_NUM_THREADS is not set: without a GPU, drawing takes turns on all cores; set it to 1"
        );
    }
}

fn stop_on_signals(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let stop = stop.clone();
    Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        stop.store(true, Relaxed);
    })?;
    Ok(())
}
