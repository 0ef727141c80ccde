//! `farhand rehearse`: a whole session without a browser, over the real protocols. Who takes part is scripted: [`field`]
//! flies and brings up the kit, [`bedside`] arms and clears, [`surgeon`] reaches for the bead, grasps it, presses the
//! e-stop, clears it, and closes. Then what was received is held against what was logged, and the bundle is audited.

mod bedside;
mod clock;
pub(crate) mod compare;
mod field;
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
use serde_json::json;

use crate::{
    desk::Desk,
    session::{Plan, Session, check_video, http_address},
    site::{self, LOOPBACK, Site},
    stage::Stage,
    up::{Steps, answers, logs, sealed},
    usage,
};

/// The whole session takes no longer than this, a long video aside.
const SESSION: Duration = Duration::from_secs(300);
const SEALING: Duration = Duration::from_secs(60);

/// Rehearse one whole session without a browser, over the real protocols, from take-off to the sealed bundle.
///
/// Exit status: 0 the session went as it must and its bundle holds; 1 it did not, or the bundle does not hold.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of the simulated world.
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
    /// How much faster than real time the aircraft flies.
    #[arg(long, default_value_t = 50.0)]
    pub(crate) speedup: f64,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) surgeon: surgeon::Seen,
    pub(crate) bundle: PathBuf,
    compared: compare::Compared,
    report: farhand_audit::Report,
    pub(crate) used: Vec<(String, f64)>,
    pub(crate) took: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
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
    let session = Session::make(&site, &arguments.plan()?)?;
    let stage = Stage::start(&site, &session)?;
    let played = tokio::time::timeout(SESSION, play(arguments, &site, &session, &steps)).await;
    let used = usage::of(&stage.processes());
    steps.step("ending every part");
    stage.stop().await;
    steps.done();
    let played = played.unwrap_or_else(|_| bail!("the session was not over after {} s", SESSION.as_secs()));
    if played.is_err() {
        let kept = temporary.keep();
        tracing::error!(folder = %kept.display(), "the session's folder is kept");
    }
    let (surgeon, sealed) = played.with_context(|| logs(&session.folder))?;
    let bundle = keep(arguments, &site, &session, &sealed)?;
    let compared = compare::with_log(&bundle, &surgeon)?;
    let report = farhand_audit::audit(&bundle, Some(&site.trust));
    Ok(Outcome { surgeon, bundle, compared, report, used, took: began.elapsed() })
}

/// Everybody does their part.
async fn play(
    arguments: &Arguments,
    site: &Site,
    session: &Session,
    steps: &Steps,
) -> anyhow::Result<(surgeon::Seen, PathBuf)> {
    let mut desk = Desk::new(site, session);
    steps.step("the ledger's first blocks; the depot seals the kit");
    desk.seal_kit().await?;
    answers(session.http).await?;
    steps.step("the field team dispatches the aircraft, and brings up and pairs the kit");
    let link: RoleLink = session.url(site, Role::Field).parse()?;
    let (opened, delivered) = tokio::join!(desk.open_session(), field::deliver(link, session.id));
    opened.context("the hospital's desk")?;
    delivered.context("the field team")?;

    steps.step("bedside and surgeon connect");
    let bedside = connect(site, session, Role::Bedside).await.context("the bedside's console")?;
    let surgeon = connect(site, session, Role::Surgeon).await.context("the surgeon's console")?;
    steps.step("the operation");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let at_bedside = tokio::spawn(bedside::stand_by(bedside.0, bedside.1, stopped));
    let script = surgeon::Script { truth: session.truth(), video: arguments.video.is_some() };
    let seen = surgeon::operate(surgeon.0, surgeon.1, script).await;
    steps.step("the record is sealed");
    let bundle = tokio::time::timeout(SEALING, sealed(site, session)).await;
    stop.send_replace(true);
    at_bedside.await??;
    Ok((seen?, bundle.context("the record was not sealed in time")?))
}

async fn connect(site: &Site, session: &Session, role: Role) -> anyhow::Result<(Peer, RoleLink)> {
    let link: RoleLink = session.url(site, role).parse()?;
    let settings = PeerSettings { session: Some(session.id), ..PeerSettings::new(LOOPBACK)? };
    Ok((Peer::connect(&link, settings).await?, link))
}

impl Arguments {
    fn plan(&self) -> anyhow::Result<Plan> {
        Ok(Plan {
            listen: http_address(SocketAddr::new(LOOPBACK, 0))?,
            console: PathBuf::from("cloud/console/dist"),
            seed: self.seed,
            speedup: self.speedup,
            video: self.video.clone(),
            video_once: self.video.is_some(),
            stamp: false,
            test_delay: None,
        })
    }
}

/// Where the bundle was wanted, with the genesis beside it.
fn keep(arguments: &Arguments, site: &Site, session: &Session, sealed: &Path) -> anyhow::Result<PathBuf> {
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
            "stops": seen.stops, "bundle": bundle, "trust": trust, "verified": outcome.report.exit == 0,
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
    writeln!(out, "  the bead   {}", if seen.grasped { "grasped" } else { "not grasped" })?;
    writeln!(out, "  e-stops    {} pressed and cleared", seen.stops)?;
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
    fn check(&self) -> anyhow::Result<()> {
        if !self.surgeon.grasped {
            bail!("the bead was not grasped");
        }
        if let Some(why) = &self.compared.video_broke {
            bail!("{why}");
        }
        if !self.compared.all_equal() {
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
