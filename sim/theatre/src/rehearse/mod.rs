//! `farhand rehearse`: a whole session without a browser, over the real protocols. Who takes part is scripted: [`field`]
//! flies and brings up the kit, [`bedside`] arms and clears, [`surgeon`] reaches for the bead, grasps it, presses the
//! e-stop, clears it, and closes. Then what was received is held against what was logged, and the bundle is audited.

pub(crate) mod bedside;
mod clock;
pub(crate) mod compare;
pub(crate) mod field;
pub(crate) mod figures;
pub(crate) mod surgeon;
mod truth;

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use farhand_agent::peer::{Peer, PeerSettings, RoleLink};
use farhand_wire::Role;
use farhand_world::exercise::{CUTOFF_S, Exercise};
use serde_json::{Value, json};

use crate::{
    crtk,
    desk::Desk,
    line::{Choice, Link},
    part::Kind,
    session::{Plan, Session, check_video, http_address},
    site::{self, LOOPBACK, Site},
    stage::Stage,
    up::{Steps, answers, logs, sealed},
    usage,
};

/// The whole session takes no longer than this, a long video aside.
const SESSION: Duration = Duration::from_secs(300);
const SEALING: Duration = Duration::from_secs(60);
/// The longest time between two kills of the edge box, and what it may take to come back after each.
const LIFE: Duration = Duration::from_secs(3);
const RETURN: Duration = Duration::from_secs(20);
const CONNECT_TRIES: u32 = 3;

/// Rehearse one whole session without a browser, over the real protocols, from take-off to the sealed bundle.
///
/// Exit status: 0 the session went as it must and its bundle holds; 1 it did not, or the bundle does not hold.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of the simulated world, and of the line.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Another picture than the simulator's. A file is played once, from arming on; its end closes the session.
    #[arg(long, value_name = "SRC")]
    pub(crate) video: Option<String>,
    /// Where the bundle goes; the ledger's genesis goes beside it, as FILE.trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where keys, ledger and session are kept; a temporary folder if it is not given.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) line: Choice,
    /// How much faster than real time the aircraft flies.
    #[arg(long, default_value_t = 50.0)]
    pub(crate) speedup: f64,
    /// Kill the edge box's program (SIGKILL) so many times at random moments before the operation goes on to its end.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) kill_edge: u32,
    /// Reach, grasp and hold for so many seconds before the operation goes on to its end: time for a line to show itself.
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=3600))]
    pub(crate) practise: u32,
    /// The surgeon is whoever commands over ROS (docs/crtk.md). Says in one JSON object where to connect, goes on until standard
    /// input ends, and says in another what came of it.
    #[arg(long, conflicts_with_all = ["video", "kill_edge", "practise", "link"])]
    pub(crate) crtk: bool,
    /// An exercise instead of the bead: reach, peg-transfer, ring-on-wire, suturing-path (docs/exercises.md).
    #[arg(long, value_name = "NAME", conflicts_with = "crtk")]
    pub(crate) exercise: Option<Exercise>,
    /// How many arms the kit has: the one that works, a second one, and the endoscope's.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) arms: u8,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) surgeon: surgeon::Seen,
    pub(crate) bundle: PathBuf,
    pub(crate) figures: figures::Figures,
    link: Option<Link>,
    compared: compare::Compared,
    report: farhand_audit::Report,
    pub(crate) used: Vec<(String, f64)>,
    pub(crate) took: Duration,
    killed: u32,
    /// What the world wrote down of it.
    exercise: Option<Value>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if arguments.crtk {
        return runtime.block_on(crtk::rehearsal::rehearse(arguments));
    }
    let outcome = runtime.block_on(rehearse(arguments))?;
    let (bundle, trust) = (outcome.bundle.clone(), outcome.bundle.with_extension("mcap.trust"));
    tell(arguments, &outcome, &bundle, &trust)?;
    outcome.check()
}

pub(crate) async fn rehearse(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    check_video(arguments.video.as_deref()).await?;
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let data = arguments.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let steps = Steps::new(arguments.json);
    steps.step("keys and ledger");
    site::check_folder(&data)?;
    let site = Site::open_or_make(&data)?;
    let plan = arguments.plan()?;
    let session = Session::make(&site, &plan)?;
    let stage = Stage::start(&site, &session)?;
    let played =
        tokio::time::timeout(arguments.patience(), play(arguments, &site, &session, &stage, &steps)).await;
    let used = usage::of(&stage.processes());
    steps.step("ending every part");
    stage.stop().await;
    steps.done();
    let played = played
        .unwrap_or_else(|_| bail!("the session was not over after {} s", arguments.patience().as_secs()));
    if played.is_err() {
        let kept = temporary.keep();
        tracing::error!(folder = %kept.display(), "the session's folder is kept");
    }
    let (surgeon, sealed) = played.with_context(|| logs(&session.folder))?;
    let bundle = keep(arguments, &site, &session, &sealed)?;
    let compared = compare::with_log(&bundle, &surgeon)?;
    let report = farhand_audit::audit(&bundle, Some(&site.trust));
    Ok(Outcome {
        surgeon,
        figures: figures::of(&bundle)?,
        link: plan.link,
        bundle,
        compared,
        report,
        used,
        took: began.elapsed(),
        killed: arguments.kill_edge,
        exercise: read_exercise(arguments, &session)?,
    })
}

/// Everybody does their part.
async fn play(
    arguments: &Arguments,
    site: &Site,
    session: &Session,
    stage: &Stage,
    steps: &Steps,
) -> anyhow::Result<(surgeon::Seen, PathBuf)> {
    let desk = Desk::new(site, session);
    steps.step("the ledger's first blocks; the depot seals the kit");
    desk.seal_kit().await?;
    answers(session.http).await?;
    steps.step("the field team dispatches the aircraft, and brings up and pairs the kit");
    let link: RoleLink = session.url(site, Role::Field).parse()?;
    let (opened, delivered) = tokio::join!(desk.open_session(), field::deliver(link, session.id));
    opened.context("the hospital's desk")?;
    delivered.context("the field team")?;

    steps.step("bedside and surgeon connect");
    let seats = [Role::Bedside, Role::Surgeon].map(|role| Seat::new(site, session, role));
    let [bedside, surgeon] = seats;
    let (bedside, surgeon) = (bedside?, surgeon?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let stand_by = async || -> anyhow::Result<_> {
        let peer = bedside.connect().await.context("the bedside's console")?;
        Ok(tokio::spawn(bedside::stand_by(peer, bedside.link.clone(), stopped.clone(), bedside::End::Leave)))
    };
    let mut at_bedside = stand_by().await?;
    let script = surgeon::Script {
        truth: session.truth(),
        video: arguments.video.is_some(),
        exercises: arguments.exercise.is_some(),
    };
    let mut operation = surgeon::Operation::begin(surgeon, script).await?;
    if arguments.practise > 0 {
        steps.step(&format!("practice, {} s", arguments.practise));
        operation.practise(Duration::from_secs(arguments.practise.into())).await?;
    }
    let mut rng = fastrand::Rng::with_seed(arguments.seed);
    for kill in 1..=arguments.kill_edge {
        steps.step(&format!("the operation; the edge box is killed, {kill} of {}", arguments.kill_edge));
        operation.practise(LIFE.mul_f64(rng.f64())).await?;
        stage.kill(Kind::Edge.name());
        at_bedside.abort();
        at_bedside = stand_by().await?;
        operation.meet_again().await?;
    }
    steps.step("the operation");
    let seen = operation.operate().await;
    steps.step("the record is sealed");
    let bundle = tokio::time::timeout(SEALING, sealed(site, session)).await;
    stop.send_replace(true);
    at_bedside.await??;
    Ok((seen?, bundle.context("the record was not sealed in time")?))
}

/// A person's place in the session: however often they connect, they sign with the same key.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) link: RoleLink,
    settings: PeerSettings,
}

impl Seat {
    pub(crate) fn new(site: &Site, session: &Session, role: Role) -> anyhow::Result<Self> {
        let settings = PeerSettings { session: Some(session.id), ..PeerSettings::new(LOOPBACK)? };
        Ok(Self { link: session.url(site, role).parse()?, settings })
    }

    /// Tried again while an edge box that was killed still counts as there.
    pub(crate) async fn connect(&self) -> anyhow::Result<Peer> {
        let mut tries = 0;
        loop {
            match Peer::connect(&self.link, self.settings.clone()).await {
                Ok(peer) => return Ok(peer),
                Err(error) if tries == CONNECT_TRIES => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "a console connects again"),
            }
            tries += 1;
        }
    }
}

impl Arguments {
    fn patience(&self) -> Duration {
        let exercise_s = self.exercise.map_or(0, |_| CUTOFF_S);
        SESSION + Duration::from_secs((self.practise + exercise_s).into()) + self.kill_edge * (LIFE + RETURN)
    }

    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        Ok(Plan {
            listen: http_address(SocketAddr::new(LOOPBACK, 0))?,
            console: PathBuf::from("cloud/console/dist"),
            seed: self.seed,
            speedup: self.speedup,
            video: self.video.clone(),
            video_once: self.video.is_some(),
            stamp: false,
            link: self.line.link(self.seed)?,
            test_delay: None,
            crtk: self.crtk,
            second_surgeon: false,
            exercise: self.exercise,
            arms: self.arms.into(),
            model: None,
        })
    }
}

/// How the exercise went, if there was one and it came to an end.
fn read_exercise(arguments: &Arguments, session: &Session) -> anyhow::Result<Option<Value>> {
    let path = session.truth().with_file_name("exercise.json");
    if arguments.exercise.is_none() || !path.is_file() {
        return Ok(None);
    }
    let read = || Ok::<_, anyhow::Error>(serde_json::from_slice(&fs::read(&path)?)?);
    read().map(Some).with_context(|| format!("could not read {}", path.display()))
}

/// Where the bundle was wanted, with the genesis beside it.
pub(crate) fn keep(
    arguments: &Arguments,
    site: &Site,
    session: &Session,
    sealed: &Path,
) -> anyhow::Result<PathBuf> {
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("farhand-{}.mcap", &session.id.to_string()[..8])),
    };
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).with_context(|| format!("could not write {}", to.display()))
    };
    copy(sealed, &out)?;
    copy(&site.genesis(), &out.with_extension("mcap.trust"))?;
    Ok(out)
}

fn tell(arguments: &Arguments, outcome: &Outcome, bundle: &Path, trust: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let (seen, compared) = (&outcome.surgeon, &outcome.compared);
    if arguments.json {
        let object = json!({
            "name": "rehearse", "seed": arguments.seed, "seconds": outcome.took.as_secs_f64(),
            "frames": seen.pictures.len(), "frames_logged": compared.logged, "frames_equal": compared.equal,
            "commands": seen.commands, "applied": outcome.report.commands.taken_in,
            "rejected": outcome.report.commands.refused, "grasped": seen.grasped,
            "stops": seen.stops, "edge_restarts": compared.restarts, "lost": compared.lost, "bundle": bundle, "trust": trust, "verified": outcome.report.exit == 0,
            "link": outcome.link.as_ref().map(|link| link.profile.name()),
            "link_from": outcome.link.as_ref().map(Link::origin), "reconnected": seen.reconnected,
            "line": outcome.figures.to_json(), "exercise": outcome.exercise,
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let verdict = if outcome.report.exit == 0 { "holds" } else { "DOES NOT HOLD" };
    writeln!(out, "The session took {} s, from take-off to the sealed bundle.", outcome.took.as_secs())?;
    writeln!(
        out,
        "  pictures   {} received, {} logged, {} of them equal",
        seen.pictures.len(),
        compared.logged,
        compared.equal
    )?;
    writeln!(
        out,
        "  commands   {} sent, {} applied, {} rejected",
        seen.commands, outcome.report.commands.taken_in, outcome.report.commands.refused
    )?;
    match &outcome.exercise {
        Some(result) => writeln!(
            out,
            "  {}   {} points{} in {} s; errors: {}",
            result["exercise"].as_str().unwrap_or_default(),
            result["score"],
            if result["passed"] == true { ", passed," } else { ", not passed," },
            result["measures"]["time_s"],
            result["errors"]
        )?,
        None => writeln!(out, "  the bead   {}", if seen.grasped { "grasped" } else { "not grasped" })?,
    }
    writeln!(out, "  e-stops    {} pressed and cleared", seen.stops)?;
    if let Some(link) = &outcome.link {
        writeln!(out, "  the line   {}, {}: {}", link.profile, link.origin(), outcome.figures)?;
    }
    writeln!(out, "  the bundle {verdict}: {}", bundle.display())?;
    writeln!(
        out,
        "Check it yourself: farhand-audit verify {} --trust {}",
        bundle.display(),
        trust.display()
    )?;
    usage::print(&outcome.used, outcome.took)?;
    Ok(())
}

impl Outcome {
    /// From the surgeon's sitting down to the bead in the jaws.
    pub(crate) fn grasped_s(&self) -> Option<f64> {
        self.surgeon.grasped_after.map(|after| after.as_secs_f64())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.figures.applied == 0
            && let Some(why) = self.figures.refused
        {
            bail!("the kit refuses this line: {why}");
        }
        if self.figures.unritual > 0 {
            bail!("the tool moved after {} pauses without release and press", self.figures.unritual);
        }
        if !self.surgeon.done {
            bail!("what there was to do was not done");
        }
        if let Some(why) = &self.compared.video_broke {
            bail!("{why}");
        }
        if self.compared.lost > 0 {
            bail!("{} commands that were called durable are not in the log", self.compared.lost);
        }
        if self.compared.restarts != u64::from(self.killed) {
            bail!(
                "the edge box was killed {} times, and the log says {}",
                self.killed,
                self.compared.restarts
            );
        }
        if self.report.commands.taken_in < self.surgeon.applied {
            bail!(
                "the kit applied {} commands, the log has {}",
                self.surgeon.applied,
                self.report.commands.taken_in
            );
        }
        // A picture that was shown in the last moment of a program that was killed may be missing, never another.
        // And one that the line lost.
        let all_came = self.killed == 0 && self.link.is_none();
        if self.compared.differ > 0 || all_came && !self.compared.all_equal() {
            bail!(
                "{} pictures were received, {} logged, {} are equal",
                self.surgeon.pictures.len(),
                self.compared.logged,
                self.compared.equal
            );
        }
        if self.report.exit != 0 {
            bail!("the bundle does not hold; see farhand-audit verify {}", self.bundle.display());
        }
        Ok(())
    }
}
