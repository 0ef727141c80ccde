//! The faults of the simulator's lines, live: what UDP meets on its way between two real processes. `farhand up --link`,
//! `farhand rehearse --link` and `farhand bench lines` put one between the consoles and the edge box; `farhand line` puts one anywhere.

mod config;
mod proxy;

use std::{
    io::{self, BufRead as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::mpsc::SyncSender,
    thread,
};

use anyhow::Context as _;
use clap::Args;
use farhand_world::Profile;
use serde_json::json;

pub(crate) use config::{Between, Choice, Dials, LineConfig, Link};
use proxy::{Come, Proxy};

/// Put a line between two programs on this machine: UDP in, UDP out, late, in part, or not at all.
///
/// Prints one JSON object, with where it listens, as soon as it does. While it runs it reads its standard input:
/// `stall` (nothing gets through) and `flow` (as before), a line each; its end ends the program.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where one end sends to; port 0 takes a free one. Loopback only.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The other end. Loopback only.
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// lan, 5g-urban, 5g-rural, leo, geo: docs/lines.md says what each is.
    #[arg(long, value_name = "PROFILE")]
    link: Profile,
    /// The folder with the measured 5G round trips [default: ../shared/data/network, if it is there]
    #[arg(long, value_name = "DIR")]
    traces: Option<std::path::PathBuf>,
    /// Where in its series the line begins, and what is lost; 0 begins at the series' start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn command(arguments: &Arguments) -> anyhow::Result<()> {
    let link = Link::find(arguments.link, arguments.seed, arguments.traces.as_deref())?;
    let between = [Between { listen: arguments.listen, to: arguments.to }];
    config::check(&between)?;
    run(&link, &between, None)
}

/// The part of that name, by its configuration.
pub(crate) fn part(path: &Path) -> anyhow::Result<()> {
    let (link, between, dials) = LineConfig::read(path)?;
    run(&link, &between, dials.as_deref())
}

/// **Carries packets until the standard input ends.**
fn run(link: &Link, between: &[Between], dials: Option<&Path>) -> anyhow::Result<()> {
    let proxy = Proxy::bind(between, link.ways()?)?;
    let object = json!({ "listen": proxy.listens()?, "link": link.profile.name(), "seed": link.seed, "from": link.origin() });
    writeln!(io::stdout().lock(), "{object}")?;
    if let Some(path) = dials {
        let (socket, teller) = (bind(path)?, proxy.teller());
        thread::spawn(move || turn(&socket, &teller));
    }
    let teller = proxy.teller();
    thread::spawn(move || obey(&teller));
    proxy.run()
}

fn obey(teller: &SyncSender<Come>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let come = match line.trim() {
            "stall" => Come::Turned(Dials { stalled: true, ..Dials::default() }),
            "flow" => Come::Turned(Dials::default()),
            other => {
                tracing::warn!(seen = other, "not understood; there are stall and flow");
                continue;
            }
        };
        let _ = teller.send(come); // the line has ended
    }
    let _ = teller.send(Come::End); // likewise
}

/// In place of one that a run before this one left.
fn bind(path: &Path) -> anyhow::Result<UnixDatagram> {
    let _ = std::fs::remove_file(path); // there is none at the first start
    UnixDatagram::bind(path).with_context(|| format!("the line's dials can't be at {}", path.display()))
}

fn turn(socket: &UnixDatagram, teller: &SyncSender<Come>) {
    let mut buffer = [0; 1024];
    while let Ok(length) = socket.recv(&mut buffer) {
        let dials = serde_json::from_slice(&buffer[..length]).map_err(anyhow::Error::from);
        match dials.and_then(Dials::checked) {
            Ok(dials) => drop(teller.send(Come::Turned(dials))), // the line has ended
            Err(error) => tracing::warn!(%error, "the dials stay as they are"),
        }
    }
}
