//! The surgeon, scripted: takes control, grasps the bead, presses the e-stop, clears it with the bedside, moves again, and
//! closes. Reports what was received.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use farhand_agent::peer::{Peer, PeerSender};
use farhand_ledger::{Chain, DisplayReport, Hash, SEGMENT_ITEMS_MAX, Segment as _, Shown, SurgeonSegment};
use farhand_wire::{
    ClockPong, Command, FrameId, FrameRecord, Kind, KitTick, LeaseToken, Mode, Role, Sequence, Watermark,
    state_flags,
};
use farhand_world::exercise::{CUTOFF_S, Hand, ScriptedHand};
use farhand_world::{Console, Keys, Person, Sent};

use super::{Seat, clock::Clock, truth};

const TICK: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_millis(100);
/// A file that was played has ended when nothing came for so long.
const VIDEO_END: Duration = Duration::from_secs(2);
/// How long things take at most, one after the other.
const STEP: Duration = Duration::from_secs(60);
/// And an exercise, with its beginning.
const EXERCISE: Duration = Duration::from_secs(CUTOFF_S as u64 + 30);
/// Without one command applied for so long, the line is one that the kit refuses.
const REFUSED: Duration = Duration::from_secs(15);
/// The tool moves again for this long after the stop was cleared.
const MOVE_AGAIN: Duration = Duration::from_secs(2);
/// After closing, pictures come until the record is sealed; none for so long, and that was the last.
const LAST_PICTURE: Duration = Duration::from_millis(700);
/// The kit must say that the operation is closed within this.
const CLOSE: Duration = Duration::from_secs(10);

/// What the surgeon goes by.
#[derive(Debug)]
pub(super) struct Script {
    /// The world's truth: what the surgeon would see.
    pub(super) truth: PathBuf,
    /// A file is played once, and its end closes the session.
    pub(super) video: bool,
    /// What the truth says there is to do is done, and no bead taken.
    pub(super) exercises: bool,
}

/// What the surgeon's console saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Hashes of whole pictures as they were received, by the pictures' numbers.
    pub(crate) pictures: BTreeMap<FrameId, (Hash, Hash)>,
    /// The edge box's own word on them.
    pub(super) records: BTreeMap<FrameId, FrameRecord>,
    pub(super) commands: u64,
    /// When each command left, in µs of the console's clock.
    pub(crate) sent_us: BTreeMap<(LeaseToken, Sequence), u64>,
    /// The kit's clock behind the console's, µs: by the state that came fastest, so too much by that state's way.
    pub(crate) kit_behind_us: Option<i128>,
    /// From capture to the last packet's arrival, µs.
    pub(crate) arrived_us: Vec<u64>,
    pub(crate) grasped: bool,
    /// The bead was taken, or the exercise done.
    pub(super) done: bool,
    /// From the operation's beginning.
    pub(crate) grasped_after: Option<Duration>,
    /// The kit ever let the hand at the tool.
    pub(super) engaged: bool,
    /// Connections that were lost, and made anew.
    pub(crate) reconnected: u32,
    pub(super) stops: u64,
    /// What the edge box called durable, under each token.
    pub(super) durable: BTreeMap<LeaseToken, Sequence>,
    /// Sent when the edge box's program ended, and not called durable: after the one, up to the other.
    pub(super) unsure: Vec<(LeaseToken, Sequence, Sequence)>,
    /// Commands applied under the newest state, by the kit's own count.
    pub(super) applied: u64,
}

/// How far the script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Reaches and holds, until told to go on.
    Practise,
    /// Until the bead is grasped, or the exercise done.
    Grasp,
    /// The e-stop is pressed, and the kit must say so.
    Stop,
    /// Both clear it.
    Clear,
    MoveAgain {
        since: Instant,
    },
    /// Until the file has been played.
    Watch,
    Close {
        since: Instant,
    },
    /// The kit has closed it; the last pictures are on their way.
    Leave {
        since: Instant,
    },
    Closed,
}

/// The surgeon at a console, over one connection after the other.
pub(super) struct Operation {
    seat: Seat,
    peer: Peer,
    sender: PeerSender,
    script: Script,
    console: Console,
    /// In an exercise: the hand, and where it goes next.
    hand: (ScriptedHand, Option<Hand>),
    clock: Clock,
    reports: Chain,
    unreported: Vec<Shown>,
    /// Signed lists that the edge box has not called durable, by number.
    unacknowledged: BTreeMap<u64, Vec<u8>>,
    /// Pictures whose record has not come yet, by RTP timestamp.
    waiting: BTreeMap<u32, (Hash, Hash, u64)>,
    act: (Act, Instant),
    newest_picture: Instant,
    newest_tick: KitTick,
    began: Instant,
    seen: Seen,
}

impl Operation {
    pub(super) async fn begin(seat: Seat, script: Script) -> anyhow::Result<Self> {
        let peer = seat.connect().await.context("the surgeon's console")?;
        let sender = peer.sender();
        let opening = peer.opening();
        let keys = Keys { link: seat.link.key.clone(), session: sender.session_key().clone() };
        let person = Person::new(keys, Role::Surgeon, opening.session());
        Ok(Self {
            console: Console::new(person, opening.session(), opening.kit(), random()?),
            hand: (ScriptedHand::default(), None),
            reports: Chain::new(opening.session()),
            unreported: Vec::new(),
            unacknowledged: BTreeMap::new(),
            waiting: BTreeMap::new(),
            clock: Clock::new(),
            act: (Act::Grasp, Instant::now()),
            newest_picture: Instant::now(),
            newest_tick: KitTick(0),
            seen: Seen::default(),
            began: Instant::now(),
            sender,
            peer,
            seat,
            script,
        })
    }

    /// **Operates until the kit says that the operation is closed.**
    pub(super) async fn operate(mut self) -> anyhow::Result<Seen> {
        self.act = (Act::Grasp, Instant::now());
        self.run(None).await?;
        self.report().await?;
        self.peer.close().await;
        Ok(self.seen)
    }

    /// Reaches and holds for so long.
    pub(super) async fn practise(&mut self, time: Duration) -> anyhow::Result<()> {
        self.act = (Act::Practise, Instant::now());
        self.run(Some(Instant::now() + time)).await
    }

    /// The edge box's program ended, or the connection to it did: its clock may have begun anew, and what it has not called
    /// durable is sent again.
    pub(super) async fn meet_again(&mut self) -> anyhow::Result<()> {
        let peer = self.seat.connect().await.context("the surgeon's console, again")?;
        (self.sender, self.peer) = (peer.sender(), peer);
        if let Some(&(token, sent)) = self.seen.sent_us.keys().next_back() {
            let durable = self.seen.durable.get(&token).copied().unwrap_or_default();
            self.seen.unsure.push((token, durable, sent));
        }
        self.clock.forget_edge();
        self.waiting.clear();
        self.unreported.clear();
        for list in self.unacknowledged.values() {
            self.sender.send_statement(list).await?;
        }
        Ok(())
    }

    async fn run(&mut self, until: Option<Instant>) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        let (mut stepped_us, mut looked) = (self.clock.now_us(), Instant::now());
        while self.act.0 != Act::Closed && until.is_none_or(|until| Instant::now() < until) {
            tick.tick().await;
            if !*self.peer.connected().borrow() {
                self.seen.reconnected += 1;
                self.meet_again().await?;
                stepped_us = self.clock.now_us(); // nobody moved a hand meanwhile
            }
            let mut out = Vec::new();
            self.receive(&mut out)?;
            while stepped_us + 1_000 <= self.clock.now_us() {
                stepped_us += 1_000;
                if let (hand, Some(next)) = &mut self.hand {
                    hand.lead(stepped_us, &mut self.console, next);
                }
                self.console.step(stepped_us, &mut out);
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look(&mut out)?;
                self.send_all(std::mem::take(&mut out)).await?;
                self.report().await?;
                self.sender.send_control(&self.clock.ping()).await?;
            }
            self.send_all(out).await?;
        }
        let mut last = Vec::new();
        self.console.list(&mut last);
        self.send_all(last).await
    }

    fn receive(&mut self, out: &mut Vec<Sent>) -> anyhow::Result<()> {
        while let Ok(bytes) = self.peer.statements.try_recv() {
            self.console.receive(&bytes, out);
        }
        while let Ok(bytes) = self.peer.control.try_recv() {
            match Kind::of(&bytes) {
                Ok(Kind::ClockPong) => self.clock.pong(&ClockPong::read(&bytes)?),
                Ok(Kind::Watermark) => self.acknowledged(&Watermark::read(&bytes)?),
                _ => {
                    self.console.receive(&bytes, out);
                    self.note_kit_clock();
                }
            }
        }
        while let Ok(record) = self.peer.frames.try_recv() {
            self.console.receive(&record.to_bytes(), out);
            self.seen.records.insert(record.frame, record);
        }
        while let Ok(picture) = self.peer.pictures.try_recv() {
            self.newest_picture = Instant::now();
            let hashes = (picture.hashes.au_hash, picture.hashes.picture_hash);
            let at_us = self.clock.at_us(picture.received.into_std());
            self.waiting.insert(picture.rtp_timestamp, (hashes.0, hashes.1, at_us));
        }
        self.match_pictures();
        Ok(())
    }

    fn acknowledged(&mut self, mark: &Watermark) {
        let durable = self.seen.durable.entry(mark.token).or_default();
        *durable = mark.newest.max(*durable);
        self.unacknowledged.retain(|number, _| *number > mark.segments);
    }

    /// A picture is known by its RTP timestamp, and its record tells its number.
    fn match_pictures(&mut self) {
        for (frame, record) in self.seen.records.iter().rev().take(64) {
            if let Some((au, picture, shown_us)) = self.waiting.remove(&record.rtp_timestamp) {
                self.seen.pictures.insert(*frame, (au, picture));
                let glass_to_glass_us = self.clock.since_us(record.captured, shown_us);
                self.seen.arrived_us.push(glass_to_glass_us);
                self.unreported.push(Shown {
                    frame: *frame,
                    picture_hash: picture,
                    shown_us,
                    glass_to_glass_us,
                });
            }
        }
    }

    async fn send_all(&mut self, out: Vec<Sent>) -> anyhow::Result<()> {
        for sent in out {
            match sent {
                Sent::Unreliable(bytes) => {
                    self.seen.commands += 1;
                    self.note_sent(&bytes);
                    // Full or closed: the command is lost, as on any line; the segment tells that it was sent.
                    let _ = self.sender.send_control(&bytes).await;
                }
                Sent::Reliable(bytes) => {
                    if let Ok(signed) = Kind::SurgeonSegment.content(&bytes)
                        && let Ok((_, list)) = SurgeonSegment::open(signed)
                    {
                        self.unacknowledged.insert(list.link.number, bytes.clone());
                    }
                    self.sender.send_statement(&bytes).await?;
                }
            }
        }
        Ok(())
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        if let Ok(Command { token, sequence, .. }) = Command::read(bytes) {
            self.seen.sent_us.insert((token, sequence), self.clock.now_us());
        }
    }

    fn note_kit_clock(&mut self) {
        let Some(state) = self.console.state() else { return };
        self.seen.applied = state.applied;
        if state.tick != self.newest_tick {
            self.newest_tick = state.tick;
            let behind_us = i128::from(self.clock.now_us()) - i128::from(state.tick.0);
            self.seen.kit_behind_us =
                Some(self.seen.kit_behind_us.map_or(behind_us, |least| least.min(behind_us)));
        }
    }

    /// Signs what was seen since the last time.
    async fn report(&mut self) -> anyhow::Result<()> {
        for shown in std::mem::take(&mut self.unreported).chunks(SEGMENT_ITEMS_MAX / 4) {
            let report = DisplayReport { link: self.reports.next(), shown: shown.to_vec() };
            let signed = report.sign(self.sender.session_key())?;
            self.reports.extend(report.link, &signed)?;
            self.sender.send_statement(&Kind::DisplayReport.wrap(&signed)).await?;
        }
        Ok(())
    }

    /// Ten times a second: where the bead is, and what comes next.
    fn look(&mut self, out: &mut Vec<Sent>) -> anyhow::Result<()> {
        if let Some(truth) = truth::read(&self.script.truth) {
            self.seen.grasped |= truth.grasped;
            match truth.exercise.as_ref().filter(|_| self.script.exercises) {
                Some(exercise) => {
                    self.hand.1 = Some(exercise.next());
                    self.seen.done |= exercise.is_done();
                }
                None => {
                    self.console.look_at(truth.goal_mm(), truth.grasped);
                    self.seen.done |= truth.grasped;
                }
            }
            if truth.grasped && self.seen.grasped_after.is_none() {
                self.seen.grasped_after = Some(self.began.elapsed());
            }
        }
        self.seen.engaged |= self.is_engaged();
        let (act, since) = self.act;
        let step = if self.script.exercises && act == Act::Grasp { EXERCISE } else { STEP };
        if since.elapsed() > step && !matches!(act, Act::Watch | Act::Practise) {
            bail!("{act:?} took more than {} s; the kit says: {}", step.as_secs(), self.reason());
        }
        let next = self.next(act, out)?;
        if next != act {
            tracing::debug!(?act, ?next, "the script goes on");
            self.act = (next, Instant::now());
        }
        Ok(())
    }

    fn next(&mut self, act: Act, out: &mut Vec<Sent>) -> anyhow::Result<Act> {
        let now_us = self.clock.now_us();
        let stopped = self.console.notice().is_some_and(|notice| notice.mode == Mode::Stopped as u8);
        let closed = self.console.notice().is_some_and(|notice| notice.closed);
        let engaged = self.is_engaged();
        let refused = !self.seen.engaged && self.console.state().is_some() && self.act.1.elapsed() > REFUSED;
        Ok(match act {
            Act::Grasp if refused => {
                self.close(out)?;
                Act::Close { since: Instant::now() }
            }
            Act::Grasp if self.seen.done => {
                self.console.person.press();
                Act::Stop
            }
            Act::Stop => {
                let notice = self.console.notice().cloned();
                match self.console.person.repeat_press(notice.as_ref()) {
                    Some(press) => out.push(Sent::Reliable(press)),
                    None => self.seen.stops += 1,
                }
                if self.console.person.pressing.is_none() { Act::Clear } else { Act::Stop }
            }
            Act::Clear if !stopped && engaged => Act::MoveAgain { since: Instant::now() },
            Act::MoveAgain { since } if since.elapsed() > MOVE_AGAIN => {
                self.console.let_go(now_us);
                Act::Watch
            }
            Act::Watch if !self.script.video || self.newest_picture.elapsed() > VIDEO_END => {
                self.console.let_go(now_us);
                self.close(out)?;
                Act::Close { since: Instant::now() }
            }
            Act::Close { .. } if closed => Act::Leave { since: Instant::now() },
            Act::Leave { since }
                if self.newest_picture.elapsed() > LAST_PICTURE || since.elapsed() > CLOSE =>
            {
                Act::Closed
            }
            Act::Close { since } if since.elapsed() > CLOSE => {
                bail!("the kit did not close: {}", self.reason())
            }
            other => other,
        })
    }

    fn is_engaged(&self) -> bool {
        self.console.state().is_some_and(|state| state.flags & state_flags::ENGAGED != 0)
    }

    fn close(&self, out: &mut Vec<Sent>) -> anyhow::Result<()> {
        let said = self.console.close().context("the surgeon lost control before the end")?;
        out.push(Sent::Reliable(said));
        Ok(())
    }

    fn reason(&self) -> String {
        self.console.notice().map_or("nothing".to_owned(), |notice| format!("{notice:?}"))
    }
}

fn random() -> anyhow::Result<u8> {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(byte[0])
}
