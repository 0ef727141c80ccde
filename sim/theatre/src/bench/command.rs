//! From a movement of the hand to the kit's setpoint.
//!
//! In Chromium, each movement has its own time (`event.timeStamp`), and the command that first brings it has a sequence. By that the
//! session's record says when the edge box had it and in which tick the kit took it in; the setpoint with it leaves in that same tick.
//! All clocks are held against the system's, which all parts share on this machine: the page's by the moments at which `Date.now()`
//! begins another millisecond (to 0.2 ms, for Chromium tells times in steps of 0.1 ms), the edge box's and the kit's by the system's
//! time at their zero, which they say (to some µs). The kit's receipt is the time of its gate's own line in the log.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use farhand_wire::{LeaseToken, Sequence};
use serde::Deserialize;

use super::{
    Arguments, Bar, Figure, Measured, RECORDING, Samples, datagrams, in_a_browser, load, percentile_ms,
    recording, session,
};
use crate::rehearse::{
    Outcome,
    compare::{relayed, taken_in},
};

pub(super) fn command(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let seen = Seen::watch(arguments, folder.path())?;
    let ways = seen.ways(folder.path())?;
    ensure!(!ways.is_empty(), "no movement came to the kit");
    let mut figures = figures(&ways, &seen.datagrams(folder.path())?);
    let outcome = session(arguments, runtime, folder.path())?;
    let mut taken_us = taken_us(&outcome)?;
    taken_us.sort_unstable();
    let everything_on = |name, share| Figure { name, value: percentile_ms(&taken_us, share), bar: None };
    figures
        .extend([everything_on("everything_on_ms_p50", 0.50), everything_on("everything_on_ms_p99", 0.99)]);
    Ok(Measured {
        figures,
        load: format!(
            "applied: {} of {} movements in {} (the kit refused the commands of the others), {} segments of {} s beside live video ({}), \
             {} validators halted, nothing rendered, each segment before one of QUIC datagrams, one every {} ms; everything_on: from a \
             console without a browser, in {}",
            ways.len(),
            seen.commands.iter().map(|sent| sent.moved_ms.len()).sum::<usize>(),
            seen.browser,
            seen.segments,
            seen.segment_s,
            seen.source,
            seen.halted,
            datagrams::EVERY.as_millis(),
            load(&outcome)
        ),
        samples: Samples::Table(table(&ways)),
    })
}

/// What `tests/browser/command.mjs` saw in Debian's Chromium.
#[derive(Debug, Deserialize)]
struct Seen {
    source: String,
    browser: String,
    segments: usize,
    segment_s: u64,
    halted: u32,
    /// Unix time at which the page's clock is 0, by the system's clock, before and after.
    zeros_ms: [f64; 2],
    commands: Vec<Sent>,
}

/// A command that brought movements.
#[derive(Debug, Deserialize)]
struct Sent {
    segment: usize,
    token: u64,
    sequence: u64,
    /// The movements' own times, on the page's clock.
    moved_ms: Vec<f64>,
    sent_ms: f64,
}

/// One movement's way, in µs of Unix time.
#[derive(Clone, Copy, Debug)]
struct Way {
    segment: usize,
    moved: f64,
    sent: f64,
    /// On record at the edge box, and on its way to the kit.
    edge: f64,
    /// Found authentic at the kit.
    kit: f64,
    /// The tick that took it in, and whose setpoint follows it.
    tick: f64,
}

impl Seen {
    fn watch(arguments: &Arguments, out: &Path) -> anyhow::Result<Self> {
        let source = recording(arguments)?;
        let out = out.to_str().context("the temporary folder's name is not text")?;
        let seen: Self = in_a_browser("command.mjs", &[&source, out])?;
        let is_recording = source.contains(RECORDING.rsplit('/').next().unwrap_or_default());
        Ok(if is_recording { Self { source: RECORDING.to_owned(), ..seen } } else { seen })
    }

    fn zero_us(&self) -> f64 {
        (self.zeros_ms[0] + self.zeros_ms[1]) / 2.0 * 1e3
    }

    /// Of each movement that the kit took in.
    fn ways(&self, folder: &Path) -> anyhow::Result<Vec<Way>> {
        let bundle = folder.join("bench.mcap");
        let (relayed, taken) = (relayed(&bundle)?, taken_in(&bundle)?);
        let edge_zero = edge_zero_us(&fs::read_to_string(folder.join("edge.log"))?)?;
        let kit_zero = kit_zero_us(&fs::read_to_string(folder.join("kit.prom"))?)?;
        let came = came_us(&fs::read_to_string(folder.join("kit.log"))?);
        let way = |sent: &Sent, moved_ms: &f64| {
            let command = (LeaseToken(sent.token), Sequence(sent.sequence));
            Some(Way {
                segment: sent.segment,
                moved: self.zero_us() + moved_ms * 1e3,
                sent: self.zero_us() + sent.sent_ms * 1e3,
                edge: edge_zero + relayed.get(&command)?.0 as f64,
                kit: *came.get(&command)?,
                tick: kit_zero + taken.get(&command)?.0 as f64,
            })
        };
        let each = self.commands.iter();
        Ok(each
            .flat_map(|sent| sent.moved_ms.iter().filter_map(|moved| way(sent, moved)).collect::<Vec<_>>())
            .collect())
    }

    /// µs, sorted, by segment.
    fn datagrams(&self, folder: &Path) -> anyhow::Result<Vec<Vec<u64>>> {
        let file = |segment| -> PathBuf { folder.join(format!("datagrams-{segment}.txt")) };
        let read = |segment| -> anyhow::Result<Vec<u64>> {
            let text = fs::read_to_string(file(segment))?;
            Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?)
        };
        (0..self.segments).map(read).collect()
    }
}

fn figures(ways: &[Way], datagrams: &[Vec<u64>]) -> Vec<Figure> {
    let stretch = |took: fn(&Way) -> f64, of: &dyn Fn(&Way) -> bool| {
        sorted(ways.iter().filter(|way| of(way)).map(took))
    };
    let all = |took| stretch(took, &|_| true);
    let applied = all(|way| way.tick - way.moved);
    let relay = all(|way| way.kit - way.edge);
    let mut quinn = datagrams.concat();
    quinn.sort_unstable();
    let over_quinn = datagrams.iter().enumerate().map(|(segment, quinn)| {
        let relay = stretch(|way| way.kit - way.edge, &|way| way.segment == segment);
        percentile_ms(&relay, 0.99) - percentile_ms(quinn, 0.99)
    });
    let mut over_quinn: Vec<f64> = over_quinn.filter(|over| over.is_finite()).collect();
    over_quinn.sort_by(f64::total_cmp);
    let over_quinn = over_quinn.get(over_quinn.len() / 2).copied().unwrap_or(f64::NAN);
    let figure = |name, value, bar| Figure { name, value, bar };
    let both = |names: [&'static str; 2], us: &[u64]| {
        [figure(names[0], percentile_ms(us, 0.50), None), figure(names[1], percentile_ms(us, 0.99), None)]
    };
    let mut figures = vec![
        figure("applied_ms_p50", percentile_ms(&applied, 0.50), Some(Bar::AtMost(4.0))),
        figure("applied_ms_p99", percentile_ms(&applied, 0.99), Some(Bar::AtMost(10.0))),
    ];
    figures.extend(both(["page_ms_p50", "page_ms_p99"], &all(|way| way.sent - way.moved)));
    figures.extend(both(["line_ms_p50", "line_ms_p99"], &all(|way| way.edge - way.sent)));
    figures.extend(both(["relay_ms_p50", "relay_ms_p99"], &relay));
    figures.extend(both(["tick_ms_p50", "tick_ms_p99"], &all(|way| way.tick - way.kit)));
    figures.extend(both(["quinn_ms_p50", "quinn_ms_p99"], &quinn));
    figures.push(figure("relay_over_quinn_ms_p99", over_quinn, Some(Bar::AtMost(1.0))));
    figures
}

/// Whole µs; what the clocks' uncertainty makes negative is 0.
fn sorted(us: impl Iterator<Item = f64>) -> Vec<u64> {
    let mut us: Vec<u64> = us.map(|us| us.max(0.0) as u64).collect();
    us.sort_unstable();
    us
}

/// The edge box's own word on its clock's zero.
fn edge_zero_us(log: &str) -> anyhow::Result<f64> {
    let mut said = log.lines().filter_map(|line| line.split_once("zero_us=")).map(|(_, rest)| rest);
    let zero = said.next().context("the edge box does not say when its clock began")?;
    ensure!(said.next().is_none(), "the edge box began twice");
    Ok(zero.split(' ').next().unwrap_or_default().parse()?)
}

fn kit_zero_us(metrics: &str) -> anyhow::Result<f64> {
    let zero = metrics.lines().find_map(|line| line.strip_prefix("farhand_kit_start_time_seconds "));
    Ok(zero.context("the kit does not say when its clock began")?.parse::<f64>()? * 1e6)
}

/// When each command was found authentic at the kit's gate, by its log.
fn came_us(log: &str) -> BTreeMap<(LeaseToken, Sequence), f64> {
    let line = |line: &str| {
        let (head, fields) = line.split_once("a command came ")?;
        let at = humantime::parse_rfc3339(head.split_whitespace().next()?).ok()?;
        let at: Duration = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.parse().ok());
        Some(((LeaseToken(field("token=")?), Sequence(field("sequence=")?)), at.as_micros() as f64))
    };
    log.lines().filter_map(line).collect()
}

fn table(ways: &[Way]) -> String {
    let mut text = "segment moved_us sent_us edge_us kit_us tick_us\n".to_owned();
    let from = ways.first().map_or(0.0, |way| way.moved);
    for Way { segment, moved, sent, edge, kit, tick } in ways {
        let [moved, sent, edge, kit, tick] = [moved, sent, edge, kit, tick].map(|at| at - from);
        // A String takes it.
        let _ = writeln!(text, "{segment} {moved:.0} {sent:.0} {edge:.0} {kit:.0} {tick:.0}");
    }
    text
}

/// Without a browser. Too long by the way of the fastest state from kit to console, for by it the two clocks are compared.
fn taken_us(outcome: &Outcome) -> anyhow::Result<Vec<u64>> {
    let behind_us = outcome.surgeon.kit_behind_us.context("the console never heard the kit")?;
    let taken = taken_in(&outcome.bundle)?;
    let sent = outcome.surgeon.sent_us.iter();
    let taken = sent.filter_map(|(command, sent_us)| Some((taken.get(command)?, sent_us)));
    Ok(taken
        .map(|(tick, sent_us)| i128::from(tick.0) + behind_us - i128::from(*sent_us))
        .map(|us| u64::try_from(us).unwrap_or(0))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each part's word on its own clock is understood, and one that began anew is not taken for the one before.
    #[test]
    fn clocks_are_what_the_parts_say() {
        let up = "2026-01-02T03:04:05.000001Z  INFO farhand_agent::edge: the edge box is up device=ab zero_us=1767323045000000\n";
        assert_eq!(edge_zero_us(up).unwrap(), 1_767_323_045_000_000.0);
        assert!(edge_zero_us(&up.repeat(2)).is_err());
        assert_eq!(kit_zero_us("# HELP x\nfarhand_kit_start_time_seconds 1.5\n").unwrap(), 1_500_000.0);
    }

    /// Goal: a command's line in the kit's log gives its time to the µs.
    #[test]
    fn the_kits_log_says_when_a_command_came() {
        let log = "2026-01-02T03:04:05.250001Z TRACE farhand_kit::driver: a command came token=3 sequence=71\n\
                   2026-01-02T03:04:05.300000Z  INFO farhand_kit::driver: kit is up\n";
        let came = came_us(log);
        let expected = ((LeaseToken(3), Sequence(71)), 1_767_323_045_250_001.0);
        assert_eq!(came.into_iter().collect::<Vec<_>>(), [expected]);
    }

    /// Goal: each stretch of the way has its own figure, and relay and datagrams are compared segment by segment.
    #[test]
    fn stretches_add_up_to_the_way() {
        let way = |segment, relay: f64| Way {
            segment,
            moved: 0.0,
            sent: 1_000.0,
            edge: 3_000.0,
            kit: 3_000.0 + relay,
            tick: 4_000.0 + relay,
        };
        let figures =
            figures(&[way(0, 500.0), way(1, 700.0), way(2, 900.0)], &[vec![100], vec![400], vec![100]]);
        let value = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap().value;
        assert_eq!((value("applied_ms_p50"), value("page_ms_p50"), value("line_ms_p99")), (4.7, 1.0, 2.0));
        assert_eq!((value("relay_ms_p99"), value("quinn_ms_p99")), (0.9, 0.4));
        assert_eq!((value("relay_over_quinn_ms_p99") * 10.0).round(), 4.0);
    }
}
