//! How long commands stay away when one of two paths dies.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use farhand_link::{
    Bond, DeviceKey, DeviceRole, Endpoint, LinkConfig, Paths, Peers, Protocol, Route, SearchLimits,
    trial::Line,
};
use farhand_wire::COMMAND_BYTES;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Bar, Figure, Measured, Samples, percentile_ms, progress};
use crate::site::LOOPBACK;

const TRIALS: u64 = 100;
/// Between commands.
const EVERY: Duration = Duration::from_millis(8);
/// Commands of a trial.
const COMMANDS: u64 = 75;
/// A path is cut so long after the first command, so that there is something before and after.
const CUT_WITHIN_US: std::ops::Range<u64> = 150_000..450_000;
/// How much later the second path brings everything, each way.
const SLOWER: Duration = Duration::from_millis(5);
const MESSAGES_MAX: usize = 16;
const PATIENCE: Duration = Duration::from_secs(20);

/// A hundred times, one of two paths is cut at a random moment: in the even trials the one that brings commands first.
pub(super) async fn paths(seed: u64) -> anyhow::Result<Measured> {
    let mut random = fastrand::Rng::with_seed(seed);
    let bar = progress(TRIALS, "pulling out a path");
    let (mut cut, mut added, mut undisturbed) = (Vec::new(), Vec::new(), Vec::new());
    let mut stage = Stage::set().await?;
    for trial in 0..TRIALS {
        // In the even trials, the path that brings commands first.
        let path = (trial % 2) as usize;
        let cut_after = Duration::from_micros(random.u64(CUT_WITHIN_US));
        let gaps = stage.trial(path, cut_after).await.with_context(|| format!("trial {trial}"))?;
        cut.push(gaps.with_the_cut_us);
        added.push(gaps.added_us);
        undisturbed.extend(gaps.before_us);
        bar.inc(1);
    }
    bar.finish_and_clear();
    for samples in [&mut cut, &mut added, &mut undisturbed] {
        samples.sort_unstable();
    }
    let figure = |name, value, bar| Figure { name, value, bar };
    Ok(Measured {
        figures: vec![
            figure("gap_ms_p50", percentile_ms(&cut, 0.50), None),
            figure("gap_ms_max", percentile_ms(&cut, 1.0), Some(Bar::AtMost(20.0))),
            figure("undisturbed_ms_p50", percentile_ms(&undisturbed, 0.50), None),
            figure("undisturbed_ms_max", percentile_ms(&undisturbed, 1.0), None),
            figure("added_ms_p50", percentile_ms(&added, 0.50), None),
            figure("added_ms_max", percentile_ms(&added, 1.0), None),
        ],
        load: format!(
            "{TRIALS} trials of {COMMANDS} commands, one every {} ms, over two QUIC paths on the loopback, the second {} ms slower each \
             way; one is cut at a random moment, in every other trial the faster. Gap: the longest between two first arrivals from \
             the cut on; undisturbed: each before it; added: by how much they were farther apart than the commands had left",
            EVERY.as_millis(),
            SLOWER.as_millis()
        ),
        samples: Samples::Us(cut),
    })
}

/// Times between what follows one another in one trial.
struct Gaps {
    /// The longest between two first arrivals, from the last before the cut on.
    with_the_cut_us: u64,
    /// The most by which two first arrivals there were farther apart than the command after the first was sent: what the
    /// line did, whatever held up the sender.
    added_us: u64,
    before_us: Vec<u64>,
}

impl Gaps {
    fn between(sent: &[Instant], arrived: &[(u64, Instant)], cut: Instant) -> anyhow::Result<Self> {
        let from = arrived.partition_point(|(_, at)| *at <= cut).saturating_sub(1);
        let gap = |pair: &[(u64, Instant)]| (pair[1].1 - pair[0].1).as_micros() as u64;
        let added = |pair: &[(u64, Instant)]| {
            let number = pair[0].0 as usize;
            let next = sent.get(number + 1).unwrap_or(&sent[number]);
            gap(pair).saturating_sub((*next - sent[number]).as_micros() as u64)
        };
        let after = || arrived[from..].windows(2);
        Ok(Self {
            with_the_cut_us: after().map(gap).max().context("nothing arrived after the cut")?,
            added_us: after().map(added).max().unwrap_or_default(),
            before_us: arrived[..=from].windows(2).map(gap).collect(),
        })
    }
}

/// An edge box's end and a kit's, with a line for each path.
struct Stage {
    lines: [Line; 2],
    _paths: [Paths; 2],
    edge: Bond,
    kit: Bond,
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        let (edge_key, kit_key) = (DeviceKey::generate()?, DeviceKey::generate()?);
        let (to_edge, to_kit) = (Peers::new(), Peers::new());
        to_edge.allow(edge_key.id(), DeviceRole::Edge)?;
        to_kit.allow(kit_key.id(), DeviceRole::Kit)?;
        let any = SocketAddr::new(LOOPBACK, 0);
        let listen = || Endpoint::bind(any, &kit_key, to_edge.clone(), Protocol::KIT, LinkConfig::default());
        let kits = [listen()?, listen()?];
        let lines = [
            Line::to(kits[0].local_addr()?, Duration::ZERO).await?,
            Line::to(kits[1].local_addr()?, SLOWER).await?,
        ];
        let route = |line: &Line| -> anyhow::Result<Route> {
            let (peers, config) = (to_kit.clone(), LinkConfig::default());
            let endpoint = Endpoint::bind_connecting(any, &edge_key, peers, Protocol::KIT, config)?;
            Ok(Route { endpoint, addr: line.addr() })
        };
        let routes = lines.iter().map(route).collect::<Result<_, _>>()?;
        let mut kit = Paths::accept(kits.into(), edge_key.id(), MESSAGES_MAX)?;
        let mut edge = Paths::connect(routes, kit_key.id(), MESSAGES_MAX, SearchLimits::default())?;
        let bonds = timeout(PATIENCE, async { (edge.bond().await, kit.bond().await) });
        let (edge_bond, kit_bond) = bonds.await.context("the two ends never met")?;
        Ok(Self { lines, _paths: [edge, kit], edge: edge_bond, kit: kit_bond })
    }

    async fn both_stand(&self) -> anyhow::Result<()> {
        let stand = async {
            while self.edge.paths() < 2 || self.kit.paths() < 2 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, stand).await.context("a path that was mended did not come back")
    }

    /// Cuts that path so long after the start, and mends it at the end.
    async fn trial(&mut self, path: usize, cut_after: Duration) -> anyhow::Result<Gaps> {
        self.both_stand().await?;
        let cut = async {
            sleep(cut_after).await;
            self.lines[path].cut();
            Instant::now()
        };
        let (sent, arrived, cut) = tokio::join!(self.send(), self.arrivals(), cut);
        self.lines[path].mend();
        Gaps::between(&sent?, &arrived?, cut)
    }

    /// When each command left.
    async fn send(&self) -> anyhow::Result<Vec<Instant>> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Vec::with_capacity(COMMANDS as usize);
        for number in 0..COMMANDS {
            ticks.tick().await;
            let mut command = [0; COMMAND_BYTES];
            command[..8].copy_from_slice(&number.to_le_bytes());
            sent.push(Instant::now());
            self.edge.send_datagram(&command)?;
        }
        Ok(sent)
    }

    /// Which command arrived for the first time, and when. Loss is a gap as any other; only the end is waited for.
    async fn arrivals(&self) -> anyhow::Result<Vec<(u64, Instant)>> {
        let mut arrived = Vec::with_capacity(COMMANDS as usize);
        loop {
            let received = timeout(PATIENCE, self.kit.recv_datagram()).await;
            let command = received.context("commands stopped")?.context("the bond is over")?;
            let number = command.first_chunk().map(|number| u64::from_le_bytes(*number));
            arrived.push((number.context("a command without its number")?, Instant::now()));
            ensure!(arrived.len() as u64 <= COMMANDS, "a command arrived twice");
            if number == Some(COMMANDS - 1) {
                return Ok(arrived);
            }
        }
    }
}
