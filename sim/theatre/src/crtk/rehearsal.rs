//! `farhand rehearse --crtk`: a whole session whose surgeon is the ROS world. Field team and bedside are scripted; the operation
//! lasts until standard input ends, then the bedside closes it, and the bundle is audited like any other.

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use farhand_wire::Role;
use serde_json::json;

use crate::{
    desk::Desk,
    part::Kind,
    rehearse::{Arguments, Seat, bedside, field, keep},
    session::Session,
    site::{self, Site},
    stage::Stage,
    up::{answers, logs, sealed},
};

const SEALING: Duration = Duration::from_secs(60);

pub(crate) async fn rehearse(arguments: &Arguments) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let data = arguments.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    site::check_folder(&data)?;
    let site = Site::open_or_make(&data)?;
    let session = Session::make(&site, &arguments.plan()?)?;
    let stage = Stage::start(&site, &session)?;
    let played = play(&site, &session, &stage).await;
    stage.stop().await;
    if played.is_err() {
        tracing::error!(folder = %temporary.keep().display(), "the session's folder is kept");
    }
    let bundle = keep(arguments, &site, &session, &played.with_context(|| logs(&session.folder))?)?;
    let report = farhand_audit::audit(&bundle, Some(&site.trust));
    say(&json!({
        "name": "rehearse --crtk", "seed": arguments.seed, "bundle": bundle, "verified": report.exit == 0,
        "applied": report.commands.taken_in, "rejected": report.commands.refused,
    }))?;
    if report.exit != 0 {
        bail!("the bundle does not hold; see farhand-audit verify {}", bundle.display());
    }
    Ok(())
}

async fn play(site: &Site, session: &Session, stage: &Stage) -> anyhow::Result<PathBuf> {
    let desk = Desk::new(site, session);
    desk.seal_kit().await?;
    answers(session.http).await?;
    let (opened, delivered) = tokio::join!(
        desk.open_session(),
        field::deliver(session.url(site, Role::Field).parse()?, session.id)
    );
    opened.context("the hospital's desk")?;
    delivered.context("the field team")?;
    let seat = Seat::new(site, session, Role::Bedside)?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let peer = seat.connect().await.context("the bedside's console")?;
    let at_bedside = tokio::spawn(bedside::stand_by(peer, seat.link.clone(), stopped, bedside::End::Close));
    let processes: serde_json::Map<_, _> =
        stage.processes().into_iter().map(|(name, pid)| (name, json!(pid))).collect();
    say(&json!({
        "zenoh": crate::crtk::access(&session.crtk()), "crtk": session.crtk(),
        "router": session.config(Kind::Mesh.name()), "truth": session.truth(), "processes": processes,
    }))?;
    told().await;
    stop.send_replace(true);
    at_bedside.await??;
    let bundle = tokio::time::timeout(SEALING, sealed(site, session)).await;
    bundle.context("the record was not sealed in time")
}

fn say(object: &serde_json::Value) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{object}")?)
}

/// Until standard input ends, or Ctrl-C.
async fn told() {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        while matches!(std::io::stdin().read(&mut [0; 64]), Ok(1..)) {}
        let _ = end.send(()); // told by the signal already
    });
    tokio::select! {
        _ = ended => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
