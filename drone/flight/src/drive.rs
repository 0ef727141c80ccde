//! Runs the companion over a link, on the calling thread.

use std::time::{Duration, Instant};

use farhand_mission::Mission;

use crate::{Companion, Delivered, FlightError, FlightEvent, FlightLimits, UdpLink};

/// The machine is stepped at least this often.
const TICK: Duration = Duration::from_millis(20);

/// Flies one delivery and returns when it is over. **Blocks until delivered or failed; every wait inside is bounded.**
///
/// `on_event` is called on this thread for each report of progress.
pub fn fly(
    mut link: UdpLink,
    mission: Mission,
    limits: FlightLimits,
    mut on_event: impl FnMut(&FlightEvent),
) -> Result<Delivered, FlightError> {
    let mut companion = Companion::new(mission, limits);
    let start = Instant::now();
    loop {
        let inbox = link.receive(TICK)?;
        let now_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outbox = companion.step(now_us, &inbox);
        outbox.events.iter().for_each(&mut on_event);
        for message in &outbox.messages {
            link.send(message)?;
        }
        if let Some(end) = outbox.end {
            return end;
        }
    }
}
