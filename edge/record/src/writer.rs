//! The writer: one thread between the queue and the disk.
//!
//! **Acknowledged is durable** (global): the watermark is told only after both files were synced, pictures first, so that no
//! leaf names a picture that is not there. What failed to become durable is written again from memory, at the same
//! place, until it is: after a failed sync nothing that the page cache says can be believed.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use farhand_ledger::FrameEntry;
use farhand_wire::{EdgeTick, Watermark};
use tokio::sync::watch;

use crate::{
    anchor::Orders,
    clock::ClockWatch,
    health::RecordHealth,
    machine::Machine,
    queue::{Item, Queue, Queued},
    recorded::Passed,
    recover::{Lengths, PICTURE_HEAD_BYTES},
    store::{Part, Store},
};

/// How long the writer sleeps when nothing comes.
const IDLE: Duration = Duration::from_millis(100);
/// Between tries when the disk fails.
const RETRY: Duration = Duration::from_millis(100);
/// Tries after nobody records any more.
const LAST_TRIES_MAX: u32 = 50;

/// What the writer thread works with.
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) machine: Machine,
    pub(crate) store: Box<dyn Store>,
    /// Durable bytes of each file.
    pub(crate) durable: Lengths,
    pub(crate) anchors: Option<Orders>,
    pub(crate) watermark: watch::Sender<Watermark>,
    pub(crate) health: Arc<watch::Sender<RecordHealth>>,
    /// From one sync of the disk to the next, at least: what comes meanwhile shares it.
    pub(crate) group: Duration,
    pub(crate) clock: Arc<ClockWatch>,
    pub(crate) pending: Pending,
    /// The newest time on the edge box's clock, and when that was on this process's.
    pub(crate) newest: Option<(EdgeTick, Instant)>,
}

/// Bytes that are not durable yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    log: Vec<u8>,
    pictures: Vec<u8>,
}

/// What is left when the writer ends.
pub(crate) struct Written {
    pub(crate) machine: Machine,
    /// Why the last of it did not become durable.
    pub(crate) failed: Option<io::Error>,
}

impl Writer {
    /// **Writes what the queue brings until it is closed and empty, then, if a reason was given, the closing leaf.**
    pub(crate) fn run(mut self) -> Written {
        loop {
            let began = Instant::now();
            let batch = self.queue.take(IDLE);
            batch.items.into_iter().for_each(|queued| self.take(queued));
            self.tell_time();
            if let Some(reason) = batch.closed.as_ref().and_then(|closed| closed.reason.as_deref()) {
                self.machine.close(self.edge_now(), self.clock.leaf(), reason);
            }
            let failed = self.commit(batch.closed.is_some());
            if batch.closed.is_some() {
                return Written { machine: self.machine, failed };
            }
            thread::sleep(self.group.saturating_sub(began.elapsed()));
        }
    }

    fn take(&mut self, queued: Queued) {
        let Queued { at, since, item } = queued;
        if self.newest.is_none_or(|(newest, _)| at >= newest) {
            self.newest = Some((at, since));
        }
        match item {
            Item::Passed(Passed::Frame { entry, unit }) => {
                let taken = self.machine.take(at, Passed::Frame { entry, unit: unit.clone() });
                if taken.is_ok() && !unit.is_empty() {
                    self.pending.picture(&entry, &unit);
                }
            }
            Item::Passed(passed) => {
                if let Err(why) = self.machine.take(at, passed) {
                    tracing::debug!(%why, "not recorded"); // counted in the machine, and told with the health
                }
            }
            Item::Lost(lost) => self.machine.lost(at, &lost),
        }
    }

    fn tell_time(&mut self) {
        if self.newest.is_some() {
            let now = self.edge_now();
            self.machine.clock(now, || self.clock.leaf());
        }
    }

    /// What the edge box's clock says now: what it said last, and what has passed since.
    fn edge_now(&self) -> EdgeTick {
        self.newest.map_or(self.machine.recorded(), |(at, since)| {
            EdgeTick(at.0.saturating_add(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)))
        })
    }

    /// Makes all that is pending durable, however long that takes; only when nobody records any more it gives up at last.
    fn commit(&mut self, last: bool) -> Option<io::Error> {
        self.machine.take_records(&mut self.pending.log);
        let mut tries = 0;
        while !self.pending.is_empty() {
            match self.pending.write(self.store.as_mut(), self.durable) {
                Ok(durable) => {
                    self.durable = durable;
                    self.pending.clear();
                }
                Err(error) => {
                    self.tell_behind(&error);
                    tries += 1;
                    if last && tries >= LAST_TRIES_MAX {
                        return Some(error);
                    }
                    thread::sleep(RETRY);
                }
            }
        }
        self.tell_durable();
        self.checkpoint();
        None
    }

    fn tell_durable(&self) {
        let (queued_bytes, lost) = self.queue.load();
        let machine = &self.machine;
        self.health.send_if_modified(|health| {
            let told = RecordHealth {
                leaves: machine.size(),
                behind: None,
                queued_bytes,
                lost,
                refused: machine.refused,
                refusal: machine.refusal.clone(),
                ..health.clone()
            };
            replace(health, told)
        });
        self.watermark.send_if_modified(|mark| replace(mark, machine.watermark()));
    }

    fn tell_behind(&self, error: &io::Error) {
        let behind = format!("the record can't be written, and nothing more is acknowledged: {error}");
        let (queued_bytes, lost) = self.queue.load();
        self.health.send_if_modified(|health| {
            if health.behind.is_none() {
                tracing::error!(%error, "the record can't be written");
            }
            let told = RecordHealth { behind: Some(behind), queued_bytes, lost, ..health.clone() };
            replace(health, told)
        });
    }

    /// All that the machine has made is durable here.
    fn checkpoint(&mut self) {
        let now = self.edge_now();
        if let Some(anchors) = self.anchors.as_ref().filter(|anchors| anchors.have_room())
            && let Some(checkpoint) = self.machine.checkpoint(now)
        {
            anchors.put(checkpoint);
        }
    }
}

impl Pending {
    fn picture(&mut self, entry: &FrameEntry, unit: &[u8]) {
        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
        self.pictures.reserve(PICTURE_HEAD_BYTES + unit.len());
        self.pictures.extend_from_slice(&length.to_le_bytes());
        self.pictures.extend_from_slice(&entry.frame.0.to_le_bytes());
        self.pictures.extend_from_slice(&unit[..length as usize]);
    }

    fn is_empty(&self) -> bool {
        self.log.is_empty() && self.pictures.is_empty()
    }

    fn write(&self, store: &mut dyn Store, durable: Lengths) -> io::Result<Lengths> {
        let parts = [(Part::Pictures, durable.pictures, &self.pictures), (Part::Log, durable.log, &self.log)];
        for (part, at, bytes) in parts.into_iter().filter(|(_, _, bytes)| !bytes.is_empty()) {
            store.write(part, at, bytes)?;
            store.sync(part)?;
        }
        Ok(Lengths {
            log: durable.log + self.log.len() as u64,
            pictures: durable.pictures + self.pictures.len() as u64,
        })
    }

    /// Keeps its room for the next group, unless one that was far larger made it.
    fn clear(&mut self) {
        const KEPT_BYTES_MAX: usize = 4 << 20;
        for bytes in [&mut self.log, &mut self.pictures] {
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES_MAX);
        }
    }
}

fn replace<T: PartialEq>(seen: &mut T, new: T) -> bool {
    let changed = *seen != new;
    *seen = new;
    changed
}
