//! The one place in which everything meets: [`Relay`] under a lock that is held for microseconds, and a queue to whoever
//! is not reached at once.
//!
//! Invariants (local): the lock is never held across an await, and nothing done under it can wait, so a command goes from
//! the task that received it to the kit's socket without another task in between; what is recorded is recorded in the order
//! in which it passed. Every queue is bounded, and whoever does not keep up with one that may lose nothing is disconnected.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use farhand_link::{Bond, CloseReason};
use farhand_record::RecordHealth;
use farhand_wire::{Camera, FRAME_RECORD_BYTES, FrameRecord, Kind, Role, Watermark};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::{
    clock::Clock,
    meeting::{CONSOLE_PATHS_MAX, Guest},
    record::Record,
    relay::{CONSOLES_MAX, Channel, ConsoleId, Counters, Input, Output, Relay, Route},
    rtc_setup::Carries,
    together::{Console, Consoles, Hello, Joined, Left, Taken, Written},
};

/// Unreliable messages waiting for one console: what is older than that is worthless.
pub(crate) const CONTROL_QUEUED_MAX: usize = 64;
/// Statements waiting for the kit's word that it has them: half a minute of notices.
pub(crate) const STATEMENTS_QUEUED_MAX: usize = 256;
/// Connections at once, those included that have not said whose they are: every console's paths, twice.
const LINES_MAX: usize = 2 * CONSOLES_MAX * CONSOLE_PATHS_MAX;
/// Pictures waiting for one console. What waits is latency.
pub(crate) const PICTURES_QUEUED_MAX: usize = 8;
/// Of the reason why nothing looks at the pictures.
const WHY_BYTES_MAX: usize = 200;
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

/// How a console is reached over one path.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) control: mpsc::Sender<Bytes>,
    /// A surgeon's.
    pub(crate) pictures: Option<mpsc::Sender<Arc<Picture>>>,
    pub(crate) carries: Arc<Carries>,
    /// Changes when there is a statement to write.
    pub(crate) to_write: Arc<watch::Sender<()>>,
    /// Asks the connection's task to end it.
    pub(crate) dismissed: Arc<Notify>,
}

/// A connection's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) console: ConsoleId,
    pub(crate) path: u8,
    /// The connection's number.
    line: u64,
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
    /// A surgeon wants to see what the net sees.
    pub(crate) sight_wanted: watch::Sender<bool>,
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
    /// What surgeons' consoles are told of it.
    camera: Option<Bytes>,
    next_line: AtomicU64,
    lines: Arc<Semaphore>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    relay: Relay,
    record: Option<Arc<dyn Record>>,
    durable: Option<watch::Receiver<Watermark>>,
    kit: Option<Bond>,
    consoles: Consoles<Line>,
    /// What surgeons' consoles are told where nothing looks at the pictures.
    no_sight: Option<Bytes>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("signs", &self.signs).finish_non_exhaustive()
    }
}

impl Desk {
    /// And the queue of custody answers for the cloud.
    pub(crate) fn new(clock: Clock, camera: Option<Camera>) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (to_cloud, queue) = mpsc::channel(TO_CLOUD_QUEUED_MAX);
        let signs = Signs {
            open: watch::Sender::new(false),
            armed: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            kit_online: watch::Sender::new(false),
            cloud_online: watch::Sender::new(false),
            watched: watch::Sender::new(false),
            sight_wanted: watch::Sender::new(false),
            record: watch::Sender::new(RecordHealth::default()),
            key_frame_wanted: Notify::new(),
        };
        let desk = Self {
            clock,
            signs,
            to_cloud,
            first_frame: AtomicU64::new(1),
            camera: camera.map(|camera| Bytes::from_owner(camera.to_bytes())),
            next_line: AtomicU64::new(1),
            lines: Arc::new(Semaphore::new(LINES_MAX)),
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

    /// Room for one more connection, as long as this is held.
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.lines.clone().try_acquire_owned().ok()
    }

    /// Gives a connection that said hello its place: a console's first, or one more of a console's. `None`: its bond is not
    /// known here.
    pub(crate) fn sit(&self, guest: Guest, vouched: Bytes, hello: Hello, how: Line) -> Option<Seat> {
        let line = self.next_line.fetch_add(1, Relaxed);
        let is_surgeon = guest.role == Role::Surgeon;
        let camera = self.camera.as_ref().filter(|_| is_surgeon);
        let mut inner = self.lock();
        let (console, input) = match inner.consoles.join(guest.session_key, hello, line, how) {
            Joined::Began(console) => (console, Input::ConsoleCame { console, guest, vouched }),
            Joined::Came(console, before) => {
                before.iter().for_each(|before| before.dismissed.notify_one());
                (console, Input::PathCame { console, path: hello.path, vouched })
            }
            Joined::Apart => return None,
        };
        inner.handle(self, input);
        if hello.begins {
            inner.handle(self, Input::ConsoleListens { console });
            let told = camera.cloned().into_iter();
            let told = told.chain(inner.no_sight.clone().filter(|_| is_surgeon)).collect::<Vec<_>>();
            told.into_iter().for_each(|it| inner.send_console(console, Channel::Statements, it));
        }
        Some(Seat { console, path: hello.path, line })
    }

    /// The connection has ended.
    pub(crate) fn leave(&self, Seat { console, path, line }: Seat, rtt_ms: Option<f64>) {
        let mut inner = self.lock();
        match inner.consoles.leave(console, path, line) {
            Left::Nothing => {}
            Left::Path => {
                inner.handle(self, Input::PathLeft { console, path, rtt_ms });
                // Where the pictures went over it, they go on over another.
                self.signs.key_frame_wanted.notify_one();
            }
            Left::Console => inner.handle(self, Input::ConsoleLeft { console }),
        }
    }

    /// Takes a word of a console's reliable channel; whether it kept to the rule.
    pub(crate) fn take_word(&self, seat: Seat, word: &Bytes) -> bool {
        let mut inner = self.lock();
        let Some(console) = inner.consoles.get_mut(seat.console) else { return true };
        let taken = console.statements.take(word);
        console.lines().for_each(|line| line.to_write.send_replace(()));
        match taken {
            Taken::Broken => false,
            Taken::Nothing => true,
            Taken::Message(message) => {
                let Seat { console, path, .. } = seat;
                let channel = Channel::Statements;
                inner.handle(self, Input::FromConsole { console, path, channel, message });
                true
            }
        }
    }

    /// What goes out next on a console's reliable channel over a path that has come so far.
    pub(crate) fn next_word(&self, console: ConsoleId, written: &mut Written) -> Option<Bytes> {
        self.lock().consoles.get_mut(console)?.statements.next_to_write(written)
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
                    consoles.extend(inner.screen(console));
                    beside = Some(record);
                }
                other => inner.obey(self, other),
            }
        }
        (consoles, beside)
    }

    /// To every console that gets pictures, over the path that they go by. Full: a newer one follows.
    pub(crate) fn beside_pictures(&self, message: &Bytes) {
        let inner = self.lock();
        let screens = inner.consoles.all().filter_map(|console| console.pictures());
        for line in screens.filter(|line| line.pictures.is_some()) {
            drop(line.control.try_send(message.clone()));
        }
    }

    /// What all lines that pictures go by carry, in kbit/s; nothing where none goes out.
    pub(crate) fn carried_kbit_s(&self) -> Option<u32> {
        let inner = self.lock();
        let screens = inner.consoles.all().filter_map(|console| console.pictures());
        screens.filter(|line| line.pictures.is_some()).map(|line| line.carries.kbit_s()).min()
    }

    /// Nothing looks at the pictures: surgeons are told so, those who come later as well.
    pub(crate) fn no_sight(&self, why: &str) {
        let cut = why.floor_char_boundary(WHY_BYTES_MAX);
        let told = Bytes::from(Kind::NoSight.wrap(&why.as_bytes()[..cut]));
        let mut inner = self.lock();
        inner.no_sight = Some(told.clone());
        let surgeons = inner.consoles.ids_where(|line| line.pictures.is_some());
        surgeons.into_iter().for_each(|id| inner.send_console(id, Channel::Statements, told.clone()));
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
            Output::ToPath { console, path, message } => self.send_path(console, path, message),
            Output::PicturesVia { console, path } => {
                if self.consoles.get_mut(console).is_some_and(|console| console.pictures_via(path)) {
                    desk.signs.key_frame_wanted.notify_one();
                }
            }
            Output::SightWanted(wanted) => {
                desk.signs.sight_wanted.send_replace(wanted);
            }
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

    fn send_console(&mut self, id: ConsoleId, channel: Channel, message: Bytes) {
        let Some(console) = self.consoles.get_mut(id) else { return };
        match channel {
            // Full: newer ones follow.
            Channel::Control => {
                console.lines().for_each(|line| drop(line.control.try_send(message.clone())));
            }
            Channel::Statements => {
                if console.statements.say(message) {
                    console.lines().for_each(|line| line.to_write.send_replace(()));
                } else {
                    self.dismiss(id);
                }
            }
        }
    }

    fn send_path(&self, console: ConsoleId, path: u8, message: Bytes) {
        let line = self.consoles.get(console).and_then(|console| console.line(path));
        drop(line.map(|line| line.control.try_send(message))); // full: it would be late
    }

    /// Where a console's pictures go.
    fn screen(&self, console: ConsoleId) -> Option<mpsc::Sender<Arc<Picture>>> {
        self.consoles.get(console)?.pictures()?.pictures.clone()
    }

    fn dismiss(&self, console: ConsoleId) {
        let lines = self.consoles.get(console).into_iter().flat_map(Console::lines);
        lines.for_each(|line| line.dismissed.notify_one());
    }
}
