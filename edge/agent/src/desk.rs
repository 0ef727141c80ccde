//! The one place in which everything meets: [`Relay`] under a lock that is held for microseconds, and a queue to whoever
//! is not reached at once.
//!
//! Invariants (local): the lock is never held across an await, and nothing done under it can wait, so a command goes from
//! the task that received it to the kit's socket without another task in between; what is recorded is recorded in the order
//! in which it passed. Every queue is bounded, and whoever does not keep up with one that may lose nothing is disconnected.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use farhand_link::{Bond, CloseReason};
use farhand_record::RecordHealth;
use farhand_wire::{FRAME_RECORD_BYTES, FrameRecord, Watermark};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    clock::Clock,
    record::Record,
    relay::{Channel, ConsoleId, Counters, Input, Output, Relay, Route},
};

/// Unreliable messages waiting for one console: what is older than that is worthless.
pub(crate) const CONTROL_QUEUED_MAX: usize = 64;
/// Statements waiting for one console, or for the kit's word that it has them: half a minute of notices.
pub(crate) const STATEMENTS_QUEUED_MAX: usize = 256;
/// Pictures waiting for one console. What waits is latency.
pub(crate) const PICTURES_QUEUED_MAX: usize = 8;
/// Messages waiting for the cloud.
pub(crate) const TO_CLOUD_QUEUED_MAX: usize = 128;

/// One encoded picture on its way to the consoles, packetized once for all of them.
#[derive(Debug)]
pub(crate) struct Picture {
    /// From 1, without holes.
    pub(crate) frame: u64,
    /// Goes out on `frames`, beside it.
    pub(crate) record: [u8; FRAME_RECORD_BYTES],
    pub(crate) rtp_timestamp: u32,
    pub(crate) key_frame: bool,
    /// RTP payloads (RFC 6184), in order.
    pub(crate) payloads: Vec<Bytes>,
}

/// How a console is reached. The channels are there once they are open.
#[derive(Debug, Default)]
pub(crate) struct Port {
    pub(crate) control: Option<mpsc::Sender<Bytes>>,
    pub(crate) statements: Option<mpsc::Sender<Bytes>>,
    pub(crate) pictures: Option<mpsc::Sender<Arc<Picture>>>,
    /// Asks the console's task to end it.
    pub(crate) dismissed: Arc<Notify>,
}

/// What others wait for.
#[derive(Debug)]
pub(crate) struct Signs {
    /// The session is open.
    pub(crate) open: watch::Sender<bool>,
    pub(crate) armed: watch::Sender<bool>,
    /// The kit says that the operation is over.
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) kit_online: watch::Sender<bool>,
    pub(crate) cloud_online: watch::Sender<bool>,
    /// A surgeon's console gets pictures.
    pub(crate) watched: watch::Sender<bool>,
    /// How the record is; the default before the session is open.
    pub(crate) record: watch::Sender<RecordHealth>,
    /// A receiver lost its way, or has just come: the next picture should be a key frame.
    pub(crate) key_frame_wanted: Notify,
}

/// Shared by all tasks.
pub(crate) struct Desk {
    pub(crate) clock: Clock,
    pub(crate) signs: Signs,
    pub(crate) to_cloud: mpsc::Sender<Bytes>,
    /// The number of the first picture, once the session is open.
    pub(crate) first_frame: AtomicU64,
    next_console: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    relay: Relay,
    record: Option<Arc<dyn Record>>,
    durable: Option<watch::Receiver<Watermark>>,
    kit: Option<Bond>,
    consoles: BTreeMap<ConsoleId, Port>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("signs", &self.signs).finish_non_exhaustive()
    }
}

impl Desk {
    /// And the queue of custody answers for the cloud.
    pub(crate) fn new(clock: Clock) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (to_cloud, queue) = mpsc::channel(TO_CLOUD_QUEUED_MAX);
        let signs = Signs {
            open: watch::Sender::new(false),
            armed: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            kit_online: watch::Sender::new(false),
            cloud_online: watch::Sender::new(false),
            watched: watch::Sender::new(false),
            record: watch::Sender::new(RecordHealth::default()),
            key_frame_wanted: Notify::new(),
        };
        let desk = Self {
            clock,
            signs,
            to_cloud,
            first_frame: AtomicU64::new(1),
            next_console: AtomicU64::new(1),
            inner: Mutex::default(),
        };
        (Arc::new(desk), queue)
    }

    /// Takes what happened and does what follows, at once.
    pub(crate) fn handle(&self, input: Input) {
        self.lock().handle(self, input);
    }

    /// The session is open, and recorded from now on.
    pub(crate) fn open(&self, record: Arc<dyn Record>, opened: Input) {
        let mut inner = self.lock();
        inner.durable = Some(record.watermark());
        inner.record = Some(record);
        inner.handle(self, opened);
        drop(inner);
        self.signs.open.send_replace(true);
    }

    /// Nothing is recorded any more; whoever held the recorder but this has it back.
    pub(crate) fn seal(&self) {
        let mut inner = self.lock();
        inner.handle(self, Input::Sealed);
        inner.record = None;
    }

    /// What is durable, once the session is open.
    pub(crate) fn durable(&self) -> Option<watch::Receiver<Watermark>> {
        self.lock().durable.clone()
    }

    pub(crate) fn kit_came(&self, bond: Bond) {
        let mut inner = self.lock();
        inner.kit = Some(bond);
        inner.handle(self, Input::KitCame);
        drop(inner);
        self.signs.kit_online.send_replace(true);
    }

    pub(crate) fn kit_left(&self) {
        let mut inner = self.lock();
        inner.kit = None;
        inner.handle(self, Input::KitLeft);
        drop(inner);
        self.signs.kit_online.send_replace(false);
    }

    /// A number for a console, and what tells it to go. It says nothing that counts before [`Input::ConsoleCame`].
    pub(crate) fn new_console(&self) -> (ConsoleId, Arc<Notify>) {
        let console = ConsoleId(self.next_console.fetch_add(1, Relaxed));
        let port = Port::default();
        let dismissed = port.dismissed.clone();
        self.lock().consoles.insert(console, port);
        (console, dismissed)
    }

    /// Sets one of a console's channels.
    pub(crate) fn connect(&self, console: ConsoleId, set: impl FnOnce(&mut Port)) {
        if let Some(port) = self.lock().consoles.get_mut(&console) {
            set(port);
        }
    }

    pub(crate) fn console_left(&self, console: ConsoleId) {
        let mut inner = self.lock();
        inner.consoles.remove(&console);
        inner.handle(self, Input::ConsoleLeft { console });
    }

    /// Takes a picture. It is recorded; then it goes to these consoles, with this beside it.
    pub(crate) fn picture(&self, input: Input) -> (Vec<mpsc::Sender<Arc<Picture>>>, Option<FrameRecord>) {
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.relay.handle(now, input);
        let (mut consoles, mut beside) = (Vec::new(), None);
        while let Some(output) = inner.relay.poll() {
            match output {
                Output::Picture { console, record } => {
                    consoles.extend(inner.consoles.get(&console).and_then(|port| port.pictures.clone()));
                    beside = Some(record);
                }
                other => inner.obey(self, other),
            }
        }
        (consoles, beside)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().relay.counters()
    }

    /// What a panicking task left is still whole: the relay takes each input in one step.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn handle(&mut self, desk: &Desk, input: Input) {
        self.relay.handle(desk.clock.now(), input);
        while let Some(output) = self.relay.poll() {
            self.obey(desk, output);
        }
    }

    fn obey(&mut self, desk: &Desk, output: Output) {
        match output {
            Output::Record(passed) => {
                if let Some(record) = &self.record {
                    record.record(desk.clock.now(), passed.as_recorded());
                }
            }
            Output::ToKit { route, message } => self.send_kit(route, message),
            Output::ToConsole { console, channel, message } => self.send_console(console, channel, message),
            Output::Picture { .. } => {} // only a picture brings one, and that is given out elsewhere
            Output::Dismiss { console } => self.dismiss(console),
            // Full: the cloud asks again.
            Output::ToCloud { custody_answer } => drop(desk.to_cloud.try_send(custody_answer)),
            Output::Armed(armed) => {
                desk.signs.armed.send_replace(armed);
            }
            Output::Closed => {
                desk.signs.closed.send_replace(true);
            }
        }
    }

    fn send_kit(&mut self, route: Route, message: Bytes) {
        let Some(kit) = &self.kit else { return };
        match route {
            // A bond that is over is seen by its own task.
            Route::Datagram => drop(kit.send_datagram(&message)),
            Route::Reliable => {
                if kit.send_message(message).is_err() {
                    kit.close(CloseReason::Busy);
                }
            }
        }
    }

    fn send_console(&mut self, console: ConsoleId, channel: Channel, message: Bytes) {
        let Some(port) = self.consoles.get(&console) else { return };
        match channel {
            // Full or not open yet: newer ones follow.
            Channel::Control => drop(port.control.as_ref().map(|to| to.try_send(message))),
            Channel::Statements => {
                if port.statements.as_ref().is_some_and(|to| to.try_send(message).is_err()) {
                    self.dismiss(console);
                }
            }
        }
    }

    fn dismiss(&mut self, console: ConsoleId) {
        if let Some(port) = self.consoles.get(&console) {
            port.dismissed.notify_one();
        }
    }
}
