//! What waits for the disk, bounded in bytes.
//!
//! **Nobody who records waits for a disk** (local): a lock is held only to push one item or to take all. When there is no room,
//! pictures and kit states give way first, for they are the bulk; what is left has minutes of room. Whatever gave way is
//! remembered, and handed to the writer as [`Item::Lost`] with the rest of its group, so that it is declared. A
//! frame whose picture gave way is still recorded, with its hashes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farhand_wire::{Command, EdgeTick, FrameId, LeaseToken, Sequence};

use crate::recorded::Passed;

/// What an item costs beside the bytes that it holds.
const ITEM_BYTES: usize = 256;
/// Lease tokens of lost commands that are told apart; a session has a handful.
const LOST_TOKENS_MAX: usize = 64;

/// How much may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Beyond this, pictures and kit states find no room.
    pub bulk_bytes_max: usize,
    /// Beyond this, nothing does.
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { bulk_bytes_max: 64 << 20, bytes_max: 96 << 20 }
    }
}

/// Something for the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Passed(Passed),
    /// These found no room, up to here.
    Lost(Lost),
}

/// An item, and when it came: on the edge box's clock, and on this process's.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) at: EdgeTick,
    pub(crate) since: Instant,
    pub(crate) item: Item,
}

/// What found no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The first and the last of each token.
    pub(crate) commands: BTreeMap<LeaseToken, (Sequence, Sequence)>,
    /// The first and the last frame.
    pub(crate) frames: Option<(FrameId, FrameId)>,
    pub(crate) kit_states: u64,
    /// All others. Those with numbers are found missing by their numbers, too.
    pub(crate) others: u64,
}

/// The queue, shared by whoever records and the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: QueueLimits,
    inside: Mutex<Inside>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    items: VecDeque<Queued>,
    bytes: usize,
    /// When the newest thing came, lost or not.
    newest: EdgeTick,
    lost: Lost,
    lost_count: u64,
    closed: Option<Closed>,
}

/// Nothing is taken any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Why the session is over; `None` if only this program ends.
    pub(crate) reason: Option<String>,
}

/// What the writer takes at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) items: VecDeque<Queued>,
    /// Nothing follows.
    pub(crate) closed: Option<Closed>,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { limits, inside: Mutex::default(), arrived: Condvar::new() }
    }

    /// Queues one thing, or remembers that it found no room. Once the queue is closed, nothing is taken: false.
    pub(crate) fn push(&self, at: EdgeTick, passed: Passed) -> bool {
        let mut inside = self.lock();
        if inside.closed.is_some() {
            return false;
        }
        inside.push(self.limits, at, passed);
        self.arrived.notify_one();
        true
    }

    /// Takes all there is, as soon as there is something or the queue is closed, within `wait`.
    pub(crate) fn take(&self, wait: Duration) -> Batch {
        let inside = self.lock();
        let idle = |inside: &mut Inside| inside.items.is_empty() && inside.closed.is_none();
        let (mut inside, _) =
            self.arrived.wait_timeout_while(inside, wait, idle).unwrap_or_else(PoisonError::into_inner);
        inside.declare();
        inside.bytes = 0;
        Batch { items: std::mem::take(&mut inside.items), closed: inside.closed.clone() }
    }

    /// Nothing is taken any more; what waits is still written.
    pub(crate) fn close(&self, reason: Option<String>) {
        self.lock().closed.get_or_insert(Closed { reason });
        self.arrived.notify_all();
    }

    /// Bytes that wait, and things that found no room so far.
    pub(crate) fn load(&self) -> (u64, u64) {
        let inside = self.lock();
        (inside.bytes as u64, inside.lost_count)
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn push(&mut self, limits: QueueLimits, at: EdgeTick, passed: Passed) {
        self.newest = self.newest.max(at);
        let bytes = self.bytes + passed.bytes() + ITEM_BYTES;
        if bytes > limits.bytes_max {
            return self.lose(passed);
        }
        let passed = match passed {
            Passed::Frame { entry, .. } if bytes > limits.bulk_bytes_max => {
                self.lost_count += 1;
                Passed::Frame { entry, unit: Bytes::new() }
            }
            Passed::KitState { .. } if bytes > limits.bulk_bytes_max => return self.lose(passed),
            passed => passed,
        };
        let bytes = passed.bytes() + ITEM_BYTES;
        self.enqueue(at, Item::Passed(passed), bytes);
    }

    fn enqueue(&mut self, at: EdgeTick, item: Item, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back(Queued { at, since: Instant::now(), item });
    }

    /// Queues what was lost behind all that was not: there is room now, for all of it is being taken.
    fn declare(&mut self) {
        if self.lost != Lost::default() {
            let lost = std::mem::take(&mut self.lost);
            self.enqueue(self.newest, Item::Lost(lost), ITEM_BYTES);
        }
    }

    fn lose(&mut self, passed: Passed) {
        self.lost_count += 1;
        let lost = &mut self.lost;
        match passed {
            Passed::Frame { entry, .. } => {
                let first = lost.frames.map_or(entry.frame, |(first, _)| first);
                lost.frames = Some((first, entry.frame));
            }
            Passed::Command { frame } => lost.command(&frame),
            Passed::KitState { .. } => lost.kit_states += 1,
            _ => lost.others += 1,
        }
    }
}

impl Lost {
    fn command(&mut self, frame: &[u8]) {
        let Ok(Command { token, sequence, .. }) = Command::read(frame) else {
            self.others += 1;
            return;
        };
        if self.commands.len() < LOST_TOKENS_MAX || self.commands.contains_key(&token) {
            let range = self.commands.entry(token).or_insert((sequence, sequence));
            *range = (range.0.min(sequence), range.1.max(sequence));
        } else {
            self.others += 1;
        }
    }
}
