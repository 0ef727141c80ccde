//! What one QUIC connection on the loopback takes for a datagram of a command's size, with the project's TLS and nothing else:
//! what the way from edge box to kit is held against.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use farhand_wire::COMMAND_BYTES;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Figure, Measured, Samples, log::line, percentile_ms};

/// As a mouse of 125 Hz moves.
pub(super) const EVERY: Duration = Duration::from_millis(8);
/// One that has not come by then is lost; on the loopback none is.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn datagrams(seconds: u64) -> anyhow::Result<Measured> {
    let (edge, kit) = line().await?;
    let count = Duration::from_secs(seconds).div_duration_f64(EVERY) as u64;
    let receiver = tokio::spawn(async move {
        let mut arrived = Vec::new();
        while let Ok(Ok(datagram)) = timeout(PATIENCE, kit.1.recv_datagram()).await {
            let number = datagram.first_chunk().map(|number| u64::from_le_bytes(*number));
            arrived.extend(number.map(|number| (number as usize, Instant::now())));
        }
        arrived
    });
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    for number in 0..count {
        ticks.tick().await;
        let mut command = [0; COMMAND_BYTES];
        command[..8].copy_from_slice(&number.to_le_bytes());
        sent.push(Instant::now());
        edge.1.send_datagram(Bytes::copy_from_slice(&command))?;
    }
    let arrived = receiver.await.context("the receiving end broke")?;
    let took = arrived.iter().filter_map(|(number, at)| Some(at.duration_since(*sent.get(*number)?)));
    let mut took_us: Vec<u64> = took.map(|took| took.as_micros() as u64).collect();
    took_us.sort_unstable();
    let figure = |name, share| Figure { name, value: percentile_ms(&took_us, share), bar: None };
    Ok(Measured {
        figures: vec![figure("quinn_ms_p50", 0.50), figure("quinn_ms_p99", 0.99)],
        load: format!("{count} datagrams of {COMMAND_BYTES} bytes, one every {} ms", EVERY.as_millis()),
        samples: Samples::Us(took_us),
    })
}
