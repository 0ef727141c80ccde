//! `farhand up`: everything runs, and one link for each role is printed.

use std::{
    io::{IsTerminal as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use farhand_agent::TestDelay;
use farhand_wire::Role;
use farhand_world::exercise::Exercise;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
};

use crate::{
    desk::Desk,
    engineer::{self, Engineer},
    line::Choice,
    session::{Plan, Session, check_video, http_address},
    site::{self, Site},
    stage::Stage,
    usage, vision,
};

/// By then the clocks have met.
const TEST_DELAY_AFTER_S: u32 = 10;
/// The cloud must answer within this.
const ANSWER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// Runs every part of an operation on this machine and prints one link for each role.
///
/// Each part is a process of its own: five validators, the mesh's router, the simulated world (arm, camera, aircraft), the
/// kit, the edge box, the cloud and the aircraft's companion. All of them listen on the loopback alone. Keys, ledger and
/// sealed sessions stay in the data folder; each start begins a new session. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Another picture than the simulator's: a file, a camera, a stream.
    ///
    /// PATH or file:PATH (both with ?loop), test, v4l2:DEVICE, rtsp://…, srt://…, rtp:PORT.
    #[arg(long, value_name = "SRC")]
    video: Option<String>,
    /// Where keys, ledger and sessions are kept.
    #[arg(long, value_name = "DIR", default_value = ".farhand")]
    data: PathBuf,
    /// Where browsers connect to. Loopback only: it speaks plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    listen: SocketAddr,
    /// The console as built by `npm run build`.
    #[arg(long, value_name = "DIR", default_value = "cloud/console/dist")]
    console: PathBuf,
    /// Of the simulated world: where the bead lies, what the tissue looks like, what a line loses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much faster than real time the aircraft flies.
    #[arg(long, default_value_t = 10.0)]
    speedup: f64,
    #[command(flatten)]
    line: Choice,
    /// An exercise instead of the bead: reach, peg-transfer, ring-on-wire, suturing-path. Its result is written beside the
    /// session's truth, as exercise.json; docs/exercises.md says what is measured.
    #[arg(long, value_name = "NAME")]
    exercise: Option<Exercise>,
    /// How many arms the kit has: the one that works, a second one, and the endoscope's. Keys 1 to 3 choose one, C held is the
    /// endoscope's.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    arms: u8,
    /// Two surgeons, each with a link of their own, who hand control to each other or take it over.
    #[arg(long, conflicts_with = "crtk")]
    second_surgeon: bool,
    /// The net that sees instruments and tissue in the picture: a file of safetensors, or off. Without this it is the one that
    /// comes with Farhand, over the simulator's picture alone: it is not fit for others yet (docs/vision.md).
    #[arg(long, value_name = "FILE")]
    vision: Option<String>,
    /// Draw each picture's capture time into its corner, for tests of glass-to-glass.
    #[arg(long)]
    stamp: bool,
    /// Hold every picture back by this much, from ten seconds after the camera began, for tests of glass-to-glass.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(..=500))]
    test_delay_ms: Option<u32>,
    /// Let the ROS world watch the arm and move it, as a second surgeon (docs/crtk.md).
    #[arg(long)]
    crtk: bool,
    /// Print one JSON object instead of words: links, folders, processes.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(up(arguments))
}

async fn up(arguments: &Arguments) -> anyhow::Result<()> {
    if !arguments.console.join("index.html").is_file() {
        bail!(
            "the console is not built in {}; run ./up, or: cd cloud/console && npm ci && npm run build",
            arguments.console.display()
        );
    }
    check_video(arguments.video.as_deref()).await?;
    let plan = arguments.plan()?;
    let began = Instant::now();
    let progress = Steps::new(arguments.json);
    progress.step("keys and ledger");
    site::check_folder(&arguments.data)?;
    let site = Site::open_or_make(&arguments.data)?;
    let session = Session::make(&site, &plan)?;
    let stage = Stage::start(&site, &session)?;
    let engineer = engineer::serve(&session, &stage, &plan.console, plan.seed, plan.link.as_ref()).await?;
    let shown = tokio::select! {
        shown = show(arguments, &site, &session, &stage, &engineer, &progress, began) => shown,
        _ = told_to_end() => Ok(()),
    };
    progress.step("ending every part");
    let used = usage::of(&stage.processes());
    stage.stop().await;
    progress.done();
    if !arguments.json {
        usage::print(&used, began.elapsed())?;
    }
    shown
}

async fn show(
    arguments: &Arguments,
    site: &Site,
    session: &Session,
    stage: &Stage,
    engineer: &Engineer,
    progress: &Steps,
    began: Instant,
) -> anyhow::Result<()> {
    progress.step("the ledger's first blocks; the depot seals the kit");
    let desk = Desk::new(site, session);
    desk.seal_kit().await?;
    progress.step("the console's pages");
    answers(session.http).await.with_context(|| logs(&session.folder))?;
    progress.done();
    if arguments.json {
        print_json(site, session, stage, engineer)?;
    } else {
        print_links(site, session, engineer, began)?;
    }
    desk.open_session().await?;
    say(arguments, "The kit is paired and the session is open: bedside and surgeon can begin.")?;
    let bundle = sealed(site, session).await;
    say(
        arguments,
        &format!(
            "The record is sealed. Check it yourself:\n  farhand-audit verify {} --trust {}",
            bundle.display(),
            site.genesis().display()
        ),
    )?;
    desk.grant_auditor().await?;
    std::future::pending().await
}

impl Arguments {
    fn plan(&self) -> anyhow::Result<Plan> {
        Ok(Plan {
            listen: http_address(self.listen)?,
            console: std::path::absolute(&self.console)?,
            seed: self.seed,
            speedup: self.speedup,
            video: self.video.clone(),
            video_once: false,
            stamp: self.stamp,
            link: self.line.link(self.seed)?,
            test_delay: self.test_delay_ms.map(|ms| TestDelay { ms, after_s: TEST_DELAY_AFTER_S }),
            crtk: self.crtk,
            second_surgeon: self.second_surgeon,
            exercise: self.exercise,
            arms: self.arms.into(),
            model: vision::model(self.vision.as_deref().or(self.video.as_ref().map(|_| vision::OFF)))?,
        })
    }
}

/// Waits until something accepts connections there.
pub(crate) async fn answers(address: SocketAddr) -> anyhow::Result<()> {
    let until = Instant::now() + ANSWER;
    while TcpStream::connect(address).await.is_err() {
        if Instant::now() > until {
            bail!("nothing answers at {address} after {} s", ANSWER.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The session's bundle, once it is there.
pub(crate) async fn sealed(site: &Site, session: &Session) -> PathBuf {
    let path = site.bundles().join(format!("{}.mcap", session.id));
    while !path.is_file() {
        tokio::time::sleep(LOOK).await;
    }
    path
}

pub(crate) fn logs(folder: &Path) -> String {
    format!("what the parts say is in {}", folder.join("logs").display())
}

fn print_links(site: &Site, session: &Session, engineer: &Engineer, began: Instant) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nFarhand runs ({} s). Research software, not a medical device.\n",
        began.elapsed().as_secs()
    )?;
    for (role, who) in [
        (Role::Field, "Field team     dispatch, bring up, pair"),
        (Role::Bedside, "At the bedside arm, stop, clear"),
        (Role::Surgeon, "Surgeon        operate"),
        (Role::Auditor, "Auditor        check the sealed record"),
    ] {
        writeln!(out, "{who}\n  {}\n", session.url(site, role))?;
    }
    if let Some(url) = session.second_url(site) {
        writeln!(out, "Second surgeon operate, when control is handed over\n  {url}\n")?;
    }
    if session.has_crtk {
        let zenoh = crate::crtk::access(&session.crtk());
        writeln!(out, "ROS            watch, and operate as the surgeon S2\n  {}\n", zenoh.display())?;
    }
    writeln!(out, "Engineer       the line, the parts, the proving ground\n  {}\n", engineer.url)?;
    writeln!(
        out,
        "Each link but the engineer's works once, in the browser that opens it first. Begin with the field team's."
    )?;
    writeln!(out, "Session {} in {}. Ctrl-C ends it.", session.id, session.folder.display())?;
    Ok(())
}

fn print_json(site: &Site, session: &Session, stage: &Stage, engineer: &Engineer) -> anyhow::Result<()> {
    let processes: serde_json::Map<String, serde_json::Value> =
        stage.processes().into_iter().map(|(name, pid)| (name, json!(pid))).collect();
    let object = json!({
        "session": session.id.to_string(),
        "operate": session.url(site, Role::Surgeon),
        "bedside": session.url(site, Role::Bedside),
        "field": session.url(site, Role::Field),
        "audit": session.url(site, Role::Auditor),
        "second": session.second_url(site),
        "simulator": engineer.url,
        "folder": session.folder,
        "truth": session.truth(),
        "bundle": site.bundles().join(format!("{}.mcap", session.id)),
        "trust": site.genesis(),
        "processes": processes,
        "zenoh": session.has_crtk.then(|| crate::crtk::access(&session.crtk())),
    });
    writeln!(std::io::stdout().lock(), "{object}")?;
    Ok(())
}

fn say(arguments: &Arguments, words: &str) -> anyhow::Result<()> {
    if !arguments.json {
        writeln!(std::io::stdout().lock(), "{words}")?;
    }
    Ok(())
}

async fn told_to_end() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// One line that says what is being waited for, where somebody watches.
pub(crate) struct Steps(ProgressBar);

impl Steps {
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(LOOK);
        Self(bar)
    }

    pub(crate) fn step(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
