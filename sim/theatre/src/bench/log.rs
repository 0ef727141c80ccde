//! What the record holds up to, and what recording costs whoever hands something over.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use farhand_ledger::{Utc, five_keys::FiveKeys};
use farhand_link::{Connection, DeviceKey, DeviceRole, Endpoint, LinkConfig, Peers, Protocol};
use farhand_record::{Record, RecordConfig, RecordOptions, Recorded, Recorder};
use farhand_wire::EdgeTick;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Bar, Figure, Measured, Samples,
    made_up::{Cast, TOKEN},
    percentile_ms,
};
use crate::site::LOOPBACK;

/// Handed over a second, in bunches of a millisecond's worth.
const ENTRIES_PER_S: u64 = 20_000;
const BUNCH: u64 = 20;
/// Stretches under load, with one at rest before each.
const STRETCHES: u64 = 4;
const STRETCH_S: u64 = 5;
/// Between messages that are relayed meanwhile.
const RELAYED: Duration = Duration::from_millis(2);
const FLAT_OUT: u64 = 150_000;
const BEGAN_US: u64 = 1_000_000;

/// Twenty thousand commands a second onto a real disk, in stretches, beside a relay; then as many as fit.
pub(super) async fn log() -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir_in(".").context("no room for a record in this folder")?;
    let cast = Cast::new(2);
    let mut keys = FiveKeys::new([4; 32]);
    let evidence = cast.open(&mut keys, utc_now())?;
    let config = RecordConfig {
        folder: folder.path().to_owned(),
        session_key: cast.edge.clone(),
        trust: keys.trust().clone(),
        ledger: None,
        software: Vec::new(),
    };
    let (recorder, record) = Record::open_with(config, cast.session, RecordOptions::default())?;
    recorder.record(EdgeTick(BEGAN_US), Recorded::Opened { evidence: &evidence });
    for signed in cast.first_statements() {
        recorder.record(EdgeTick(BEGAN_US), Recorded::Statement { signed: &signed });
    }
    let began = Instant::now();
    let hands = Hands { recorder: Arc::new(recorder), began };
    let (loaded, is_loaded) = watch::channel(Some(false));
    let relay = tokio::spawn(relay(hands.clone(), is_loaded, cast.kit_state()));
    let mut appended = Appended::default();
    for first in (0..STRETCHES).map(|stretch| 1 + stretch * ENTRIES_PER_S * STRETCH_S) {
        sleep(Duration::from_secs(STRETCH_S)).await;
        let sequences = first..first + ENTRIES_PER_S * STRETCH_S;
        let commands = sequences.map(|sequence| cast.command(sequence, 0)).collect();
        loaded.send_replace(Some(true));
        hands.stretch(first, commands, &mut appended).await?;
        loaded.send_replace(Some(false));
    }
    loaded.send_replace(None);
    let relayed = relay.await??;
    let entries_per_s = hands.flat_out(&cast, 1 + STRETCHES * ENTRIES_PER_S * STRETCH_S).await?;
    drop(record);
    appended.durable_us.sort_unstable();
    appended.handed_ns.sort_unstable();
    let Appended { durable_us, handed_ns } = appended;
    let figure = |name, value, bar| Figure { name, value, bar };
    Ok(Measured {
        figures: vec![
            figure("append_ms_p50", percentile_ms(&durable_us, 0.50), None),
            figure("append_ms_p99", percentile_ms(&durable_us, 0.99), Some(Bar::AtMost(5.0))),
            figure("hand_over_us_p99", percentile_ms(&handed_ns, 0.99), None),
            figure("relay_at_rest_ms_p50", percentile_ms(&relayed.at_rest_us, 0.50), None),
            figure("relay_loaded_ms_p50", percentile_ms(&relayed.loaded_us, 0.50), None),
            figure("relay_at_rest_ms_p99", percentile_ms(&relayed.at_rest_us, 0.99), None),
            figure("relay_loaded_ms_p99", percentile_ms(&relayed.loaded_us, 0.99), None),
            figure("entries_per_s", entries_per_s, Some(Bar::AtLeast(20_000.0))),
        ],
        load: format!(
            "append: {ENTRIES_PER_S} commands a second in {STRETCHES} stretches of {STRETCH_S} s, each hashed, and durable \
             (fsync) when it counts; hand over: what the relay waits for one; relay: a message recorded, sent over QUIC and \
             received, in these stretches and in those of rest between; entries: as many as fit, {FLAT_OUT} of them"
        ),
        samples: Samples::Us(durable_us),
    })
}

#[derive(Default)]
struct Appended {
    durable_us: Vec<u64>,
    handed_ns: Vec<u64>,
}

/// Hands over what passes, as the relay does.
#[derive(Clone)]
struct Hands {
    recorder: Arc<Recorder>,
    began: Instant,
}

impl Hands {
    fn record(&self, passed: Recorded<'_>) {
        let at_us = BEGAN_US + self.began.elapsed().as_micros() as u64;
        self.recorder.record(EdgeTick(at_us), passed);
    }

    async fn stretch(&self, first: u64, commands: Vec<Vec<u8>>, into: &mut Appended) -> anyhow::Result<()> {
        let total = commands.len();
        let mut marks = self.recorder.watermark();
        let (hands, began) = (self.clone(), Instant::now());
        // A thread of its own, as the relay's is.
        let sender = std::thread::spawn(move || {
            let mut handed = Vec::with_capacity(total);
            for (bunch, frames) in (0u32..).zip(commands.chunks(BUNCH as usize)) {
                let due = began + Duration::from_micros(1_000_000 * BUNCH / ENTRIES_PER_S) * bunch;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                for frame in frames {
                    let before = Instant::now();
                    hands.record(Recorded::Command { frame });
                    handed.push((before, before.elapsed()));
                }
            }
            handed
        });
        let mut durable: Vec<Instant> = Vec::with_capacity(total);
        while durable.len() < total {
            marks.changed().await.context("the record ended")?;
            let mark = *marks.borrow_and_update();
            let now = Instant::now();
            let newest = if mark.token == TOKEN { mark.newest.0 } else { 0 };
            durable.resize((newest + 1).saturating_sub(first).min(total as u64) as usize, now);
        }
        let handed = sender.join().map_err(|_| anyhow::anyhow!("the thread that hands over broke"))?;
        for ((before, took), durable) in handed.into_iter().zip(durable) {
            into.durable_us.push(durable.saturating_duration_since(before).as_micros() as u64);
            into.handed_ns.push(took.as_nanos() as u64);
        }
        Ok(())
    }

    async fn flat_out(&self, cast: &Cast, first: u64) -> anyhow::Result<f64> {
        let last = first + FLAT_OUT - 1;
        let commands: Vec<Vec<u8>> = (first..=last).map(|sequence| cast.command(sequence, 0)).collect();
        let mut marks = self.recorder.watermark();
        let began = Instant::now();
        for frame in &commands {
            self.record(Recorded::Command { frame });
        }
        marks.wait_for(|mark| mark.newest.0 >= last).await.context("the record ended")?;
        let lost = self.recorder.health().borrow().lost;
        ensure!(lost == 0, "{lost} commands found no room: more than the queue holds");
        Ok(FLAT_OUT as f64 / began.elapsed().as_secs_f64())
    }
}

/// Sorted.
#[derive(Default)]
struct Relayed {
    at_rest_us: Vec<u64>,
    loaded_us: Vec<u64>,
}

/// **Records a message, sends it over a link and receives it, until told to end.** `loaded`: whether the record is; none at the
/// end.
async fn relay(
    hands: Hands,
    loaded: watch::Receiver<Option<bool>>,
    sealed: Vec<u8>,
) -> anyhow::Result<Relayed> {
    let (edge, kit) = line().await?;
    let mut ticks = interval(RELAYED);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut relayed = Relayed::default();
    loop {
        ticks.tick().await;
        let Some(is_loaded) = *loaded.borrow() else { break };
        let before = Instant::now();
        hands.record(Recorded::KitState { sealed: &sealed });
        edge.1.send_datagram(Bytes::copy_from_slice(&sealed))?;
        kit.1.recv_datagram().await?;
        let took_us = before.elapsed().as_micros() as u64;
        if is_loaded { relayed.loaded_us.push(took_us) } else { relayed.at_rest_us.push(took_us) }
    }
    relayed.at_rest_us.sort_unstable();
    relayed.loaded_us.sort_unstable();
    Ok(relayed)
}

/// Both ends of a link on the loopback.
pub(super) async fn line() -> anyhow::Result<((Endpoint, Connection), (Endpoint, Connection))> {
    let (edge_key, kit_key) = (DeviceKey::generate()?, DeviceKey::generate()?);
    let allowing = |key: &DeviceKey, role| -> anyhow::Result<Peers> {
        let peers = Peers::new();
        peers.allow(key.id(), role)?;
        Ok(peers)
    };
    let any = SocketAddr::new(LOOPBACK, 0);
    let settings = LinkConfig::default;
    let to_edge = allowing(&edge_key, DeviceRole::Edge)?;
    let kit = Endpoint::bind(any, &kit_key, to_edge, Protocol::KIT, settings())?;
    let to_kit = allowing(&kit_key, DeviceRole::Kit)?;
    let edge = Endpoint::bind_connecting(any, &edge_key, to_kit, Protocol::KIT, settings())?;
    let (connected, accepted) = tokio::join!(edge.connect(kit.local_addr()?, kit_key.id()), kit.accept());
    Ok(((edge, connected?), (kit, accepted.context("nobody connected")?)))
}

pub(super) fn utc_now() -> Utc {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Utc { us: since.as_micros() as u64, uncertainty_us: 2000 }
}
