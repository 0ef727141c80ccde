//! All that passes between consoles, kit and record. Pure: time is an argument.
//!
//! **Invariants (local).** What comes from outside is parsed once, here, and within its bound, or it is counted and changes
//! nothing. Whatever passes is recorded before it goes on: [`Output::Record`] always comes before the outputs that send
//! the same thing. The relay holds no key and permits nothing: it can drop or delay, never forge.
//!
//! **A command counts once**: whatever comes under a number that came before, over whichever path, is dropped before it is
//! recorded or relayed, so that record and kit know one of each. Only the holder of that lease can spend its numbers, and it could
//! as well not have sent the command.
//!
//! **An e-stop always passes**, from any console and over either channel, also when nothing is recorded any more; a repeated
//! press is recorded once.

mod forbidden;
mod messages;
mod paths;
mod people;
mod ticks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use farhand_ledger::{DisplayReport, FrameEntry, KitSegment, Segment, SurgeonSegment, VerifiedOpening};
use farhand_link::FirstHeard;
use farhand_wire::{
    ClockPing, ClockPong, Command, EdgeTick, FrameMark, FrameRecord, Kind, KitNotice, KitState, LeaseToken,
    PicturesVia, PressId, PublicKey, Role, STATEMENT_BYTES_MAX, Said, SightWanted, Statement, Watermark,
    state_flags,
};
use forbidden::Forbidden;
use paths::PathTallies;

use crate::meeting::Guest;
pub use messages::{Channel, ConsoleId, Counters, Input, Output, Passed, Route};
pub use people::{People, SESSION_KEYS_MAX};
pub use ticks::KitTicks;

/// No message between console and edge box is longer: a signed statement, with kind and version before it.
pub const MESSAGE_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 2;
/// Consoles connected at once; a newer one by the same session key takes the place of the older.
pub const CONSOLES_MAX: usize = 16;
/// E-stop presses remembered, so that repetitions are known; a person presses a few times.
pub const PRESSES_MAX: usize = 1024;
/// That a surgeon wants to see what the net sees, as switch entries name it.
const SHOWN_SIGHT: &str = "vision-shown";
/// Lease tokens remembered with whom the kit gave them to.
const LEASES_MAX: usize = 64;

/// Why a message changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ignored {
    Malformed,
    Misplaced,
    Unauthorised,
    OtherSession,
    /// Nothing is wrong: another path was faster.
    Copy,
}

impl From<farhand_wire::Malformed> for Ignored {
    fn from(_: farhand_wire::Malformed) -> Self {
        Self::Malformed
    }
}

/// The relay's state.
#[derive(Debug, Default)]
pub struct Relay {
    session: Option<Session>,
    consoles: BTreeMap<ConsoleId, Console>,
    ticks: KitTicks,
    kit_is_there: bool,
    sealed: bool,
    sight_wanted: bool,
    counters: Counters,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Session {
    people: People,
    /// The message that shows the kit the opening.
    shown: Bytes,
    presses: BTreeSet<PressId>,
    leases: BTreeMap<LeaseToken, Lease>,
    last_notice: Option<Bytes>,
    forbidden: Forbidden,
    /// Sent again with the next one, in case it was lost.
    last_mark: Option<FrameMark>,
    armed: bool,
    closed: bool,
}

/// Whom the kit gave it to, and which of its commands have come.
#[derive(Debug)]
struct Lease {
    holder: PublicKey,
    came: FirstHeard,
}

#[derive(Debug)]
struct Console {
    role: Role,
    session_key: PublicKey,
    paths: PathTallies,
    /// As long as it says nothing else.
    wants_sight: bool,
}

impl Relay {
    /// Nobody is connected, no session is open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// **Takes one thing that happened; then [`Relay::poll`] until it has no more.**
    pub fn handle(&mut self, now: EdgeTick, input: Input) {
        match input {
            Input::Opened { opening, evidence } => self.opened(*opening, evidence),
            Input::ConsoleCame { console, guest, vouched } => self.console_came(console, guest, vouched),
            Input::ConsoleListens { console } => self.console_listens(console),
            Input::ConsoleLeft { console } => self.console_left(console),
            Input::PathCame { console, path, vouched } => self.path_came(console, path, vouched),
            Input::PathLeft { console, path, rtt_ms } => self.path_left(console, path, rtt_ms),
            Input::OwnStatement { signed } => self.record(Passed::Statement { signed }),
            Input::FromConsole { console, path, channel, message } => {
                let taken = self.console_said(now, console, path, channel, message);
                self.count(taken);
            }
            Input::KitCame => self.kit_came(),
            Input::KitLeft => self.kit_left(),
            Input::FromKit { route, message } => {
                let taken = self.kit_said(now, route, message);
                self.count(taken);
            }
            Input::CustodyAsked { ask } => {
                self.send_kit(Route::Reliable, Kind::CustodyAsk.wrap(&ask).into());
            }
            Input::Frame { entry, unit } => self.frame(entry, unit),
            Input::Durable { watermark, to_everybody } => self.durable(watermark, to_everybody),
            Input::Switched { what, on, reason } => self.record(Passed::Switch { what, on, reason }),
            Input::Sealed => self.sealed = true,
        }
    }

    /// What to do next. After each input there are at most a few things for each console and each endorsement.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn count(&mut self, taken: Result<(), Ignored>) {
        let counter = match taken {
            Ok(()) => return,
            Err(Ignored::Malformed) => &mut self.counters.malformed,
            Err(Ignored::Misplaced) => &mut self.counters.misplaced,
            Err(Ignored::Unauthorised) => &mut self.counters.unauthorised,
            Err(Ignored::OtherSession) => &mut self.counters.other_session,
            Err(Ignored::Copy) => &mut self.counters.copies,
        };
        *counter += 1;
    }

    fn opened(&mut self, opening: VerifiedOpening, evidence: Bytes) {
        if self.session.is_some() {
            return;
        }
        self.session = Some(Session {
            people: People::new(opening),
            shown: Kind::Opening.wrap(&evidence).into(),
            presses: BTreeSet::new(),
            leases: BTreeMap::new(),
            last_notice: None,
            forbidden: Forbidden::default(),
            last_mark: None,
            armed: false,
            closed: false,
        });
        self.record(Passed::Opened { evidence });
        if self.kit_is_there {
            self.greet_kit();
        }
    }

    fn console_came(&mut self, console: ConsoleId, guest: Guest, vouched: Bytes) {
        let Some(session) = &mut self.session else { return self.dismiss(console) };
        match session.people.endorse(guest.session_key, guest.role, &guest.endorsement) {
            people::Endorsed::Before => {}
            people::Endorsed::Now => {
                self.record(Passed::Statement { signed: guest.endorsement.clone() });
                self.introduce(&guest.endorsement);
                self.send_kit(Route::Reliable, guest.endorsement);
            }
            people::Endorsed::TooMany => return self.dismiss(console),
        }
        self.record(Passed::Statement { signed: vouched });
        let reason = format!("{} ({:?})", guest.pseudonym, guest.role);
        self.record(Passed::Switch { what: "console", on: true, reason });
        self.make_room(guest.session_key);
        let Guest { role, session_key, .. } = guest;
        self.consoles
            .insert(console, Console { role, session_key, paths: PathTallies::default(), wants_sight: true });
        self.tell_sight();
    }

    fn make_room(&mut self, session_key: PublicKey) {
        let same = self.consoles.iter().find(|(_, other)| other.session_key == session_key);
        let full = self.consoles.len() >= CONSOLES_MAX;
        let leaves = same.or_else(|| full.then(|| self.consoles.first_key_value()).flatten());
        if let Some(console) = leaves.map(|(id, _)| *id) {
            self.dismiss(console);
            self.console_left(console);
        }
    }

    fn dismiss(&mut self, console: ConsoleId) {
        self.outputs.push_back(Output::Dismiss { console });
    }

    /// Whoever is here learns who speaks for whom: control is handed to a key.
    fn introduce(&mut self, endorsement: &Bytes) {
        self.send_all(endorsement);
    }

    fn console_listens(&mut self, console: ConsoleId) {
        let Some(session) = self.session.as_ref().filter(|_| self.consoles.contains_key(&console)) else {
            return;
        };
        let said = session.forbidden.in_force().into_iter().chain(&session.last_notice);
        let known = session.people.endorsements().chain(said).cloned();
        for message in known.collect::<Vec<_>>() {
            self.send_console(console, Channel::Statements, message);
        }
    }

    fn console_left(&mut self, console: ConsoleId) {
        if let Some(left) = self.consoles.remove(&console) {
            let reason = format!("{:?} {}", left.role, left.session_key);
            self.record(Passed::Switch { what: "console", on: false, reason });
            self.tell_sight();
        }
    }

    fn path_came(&mut self, console: ConsoleId, path: u8, vouched: Bytes) {
        let Some(of) = self.consoles.get_mut(&console) else { return self.dismiss(console) };
        of.paths.begin(path);
        let reason = format!("path {path} of {:?} {}", of.role, of.session_key);
        self.record(Passed::Statement { signed: vouched });
        self.record(Passed::Switch { what: "console-path", on: true, reason });
    }

    fn path_left(&mut self, console: ConsoleId, path: u8, rtt_ms: Option<f64>) {
        let Some(of) = self.consoles.get(&console) else { return };
        let how = of.paths.in_words(path, rtt_ms);
        let reason = format!("path {path} of {:?} {}: {how}", of.role, of.session_key);
        self.record(Passed::Switch { what: "console-path", on: false, reason });
    }

    fn console_said(
        &mut self,
        now: EdgeTick,
        console: ConsoleId,
        path: u8,
        channel: Channel,
        message: Bytes,
    ) -> Result<(), Ignored> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Ignored::Malformed);
        }
        let speaker = self.consoles.get(&console).ok_or(Ignored::Unauthorised)?;
        let (role, key) = (speaker.role, speaker.session_key);
        match (Kind::of(&message)?, channel) {
            (Kind::Command, Channel::Control) if role == Role::Surgeon => {
                let taken = self.command(key, message);
                self.tally(console, path, taken);
                taken
            }
            (Kind::ClockPing, Channel::Control) => self.clock_ping(now, console, path, &message),
            (Kind::PicturesVia, Channel::Statements) if role == Role::Surgeon => {
                let PicturesVia { path } = PicturesVia::read(&message)?;
                self.outputs.push_back(Output::PicturesVia { console, path });
                Ok(())
            }
            (Kind::SightWanted, Channel::Statements) if role == Role::Surgeon => {
                self.wants_sight(console, SightWanted::read(&message)?.wanted);
                Ok(())
            }
            (Kind::Signed, _) => self.statement(channel, message),
            (Kind::SurgeonSegment, Channel::Statements) => {
                let signed = message.slice_ref(Kind::SurgeonSegment.content(&message)?);
                self.by_surgeon::<SurgeonSegment>(key, &signed)?;
                self.record(Passed::SurgeonSegment { signed });
                Ok(())
            }
            (Kind::DisplayReport, Channel::Statements) => {
                let signed = message.slice_ref(Kind::DisplayReport.content(&message)?);
                self.by_surgeon::<DisplayReport>(key, &signed)?;
                self.record(Passed::DisplayReport { signed });
                Ok(())
            }
            _ => Err(Ignored::Misplaced),
        }
    }

    /// It is looked for as long as any surgeon wants it; that one does or does not is on record.
    fn wants_sight(&mut self, console: ConsoleId, wanted: bool) {
        let Some(of) = self.consoles.get_mut(&console) else { return };
        if std::mem::replace(&mut of.wants_sight, wanted) != wanted {
            let reason = format!("{:?} {}", of.role, of.session_key);
            self.record(Passed::Switch { what: SHOWN_SIGHT, on: wanted, reason });
            self.tell_sight();
        }
    }

    fn tell_sight(&mut self) {
        let mut surgeons = self.consoles.values().filter(|console| console.role == Role::Surgeon);
        let wanted = surgeons.any(|console| console.wants_sight);
        if std::mem::replace(&mut self.sight_wanted, wanted) != wanted {
            self.outputs.push_back(Output::SightWanted(wanted));
        }
    }

    /// A command goes on only from whom the kit gave that lease to, so that nobody else can fill the record with what no kit
    /// will judge. Its code is for the kit to check.
    fn command(&mut self, by: PublicKey, frame: Bytes) -> Result<(), Ignored> {
        let command = Command::read(&frame)?;
        let session = self.session.as_mut().filter(|_| !self.sealed).ok_or(Ignored::Misplaced)?;
        if command.session != session.people.session() {
            return Err(Ignored::OtherSession);
        }
        let lease = session.leases.get_mut(&command.token).filter(|lease| lease.holder == by);
        let lease = lease.ok_or(Ignored::Unauthorised)?;
        // The record is sealed soon: what is in it, the surgeon's list and the kit's log must be able to follow.
        if session.closed {
            return Err(Ignored::Misplaced);
        }
        if !lease.came.take(command.sequence.0) {
            return Err(Ignored::Copy);
        }
        self.record(Passed::Command { frame: frame.clone() });
        self.send_kit(Route::Datagram, frame);
        Ok(())
    }

    /// Which path was first with a command, and which brought a copy.
    fn tally(&mut self, console: ConsoleId, path: u8, taken: Result<(), Ignored>) {
        if let Some(console) = self.consoles.get_mut(&console)
            && matches!(taken, Ok(()) | Err(Ignored::Copy))
        {
            console.paths.heard(path, taken.is_ok());
        }
    }

    /// The answer goes back the way that the question came: it measures that path.
    fn clock_ping(
        &mut self,
        now: EdgeTick,
        console: ConsoleId,
        path: u8,
        message: &[u8],
    ) -> Result<(), Ignored> {
        let ping = ClockPing::read(message)?;
        let pong = ClockPong { sent_us: ping.sent_us, edge: now };
        let message = Bytes::copy_from_slice(&pong.to_bytes());
        self.outputs.push_back(Output::ToPath { console, path, message });
        Ok(())
    }

    /// By anybody in the session, whoever's console brings it: a statement is valid by whatever route it comes.
    fn statement(&mut self, channel: Channel, signed: Bytes) -> Result<(), Ignored> {
        let (author, statement) = Statement::open(&signed).map_err(|_| Ignored::Unauthorised)?;
        let session = self.session.as_mut().ok_or(Ignored::Misplaced)?;
        if statement.session != session.people.session() {
            return Err(Ignored::OtherSession);
        }
        session.people.role(author).ok_or(Ignored::Unauthorised)?;
        match statement.said {
            Said::EStop { press } => {
                self.e_stop(press, signed);
                Ok(())
            }
            said if channel == Channel::Statements && is_an_order(&said) && !self.sealed => {
                if let Said::Forbid { version, .. } = said {
                    session.forbidden.ordered(version, signed.clone());
                }
                self.record(Passed::Statement { signed: signed.clone() });
                self.send_kit(Route::Reliable, signed);
                Ok(())
            }
            _ => Err(Ignored::Misplaced),
        }
    }

    /// Each repetition goes both ways: whichever is there first stops the arm.
    fn e_stop(&mut self, press: PressId, signed: Bytes) {
        let Some(session) = &mut self.session else { return };
        if session.presses.len() >= PRESSES_MAX {
            session.presses.pop_first(); // recorded twice is better than not at all
        }
        if session.presses.insert(press) {
            self.record(Passed::Statement { signed: signed.clone() });
        }
        self.send_kit(Route::Datagram, signed.clone());
        self.send_kit(Route::Reliable, signed);
    }

    /// That the surgeon at this console signed it, for this session.
    fn by_surgeon<S: Segment>(&self, key: PublicKey, signed: &[u8]) -> Result<(), Ignored> {
        let session = self.session.as_ref().ok_or(Ignored::Misplaced)?;
        let (author, segment) = S::open(signed).map_err(|_| Ignored::Unauthorised)?;
        if author != key || session.people.session_role(author) != Some(Role::Surgeon) {
            return Err(Ignored::Unauthorised);
        }
        if segment.link().session == session.people.session() { Ok(()) } else { Err(Ignored::OtherSession) }
    }

    fn kit_came(&mut self) {
        self.kit_is_there = true;
        self.ticks.forget();
        self.greet_kit();
    }

    /// The kit learns what it must check itself: the opening, and who speaks for whom.
    fn greet_kit(&mut self) {
        let Some(session) = &mut self.session else { return };
        session.last_mark = None;
        let messages: Vec<Bytes> =
            std::iter::once(&session.shown).chain(session.people.endorsements()).cloned().collect();
        self.record(Passed::Switch { what: "kit", on: true, reason: "connected".into() });
        for message in messages {
            self.send_kit(Route::Reliable, message);
        }
    }

    fn kit_left(&mut self) {
        self.kit_is_there = false;
        self.ticks.forget();
        self.record(Passed::Switch { what: "kit", on: false, reason: "connection lost".into() });
    }

    fn kit_said(&mut self, now: EdgeTick, route: Route, message: Bytes) -> Result<(), Ignored> {
        match (Kind::of(&message)?, route) {
            (Kind::KitState, _) => self.kit_state(now, message),
            (Kind::Signed, Route::Reliable) => self.kit_statement(now, message),
            (Kind::KitSegment, Route::Reliable) => self.kit_segment(&message),
            (Kind::CustodyAnswer, Route::Reliable) => {
                let answer = message.slice_ref(Kind::CustodyAnswer.content(&message)?);
                self.outputs.push_back(Output::ToCloud { custody_answer: answer });
                Ok(())
            }
            _ => Err(Ignored::Misplaced),
        }
    }

    /// To every surgeon: the holder of the lease alone can check its code, and uses it.
    fn kit_state(&mut self, now: EdgeTick, sealed: Bytes) -> Result<(), Ignored> {
        let state = KitState::read(&sealed)?;
        self.ticks.hear(now, state.tick);
        let Some(session) = &self.session else { return Ok(()) };
        if state.session != session.people.session() {
            return Err(Ignored::OtherSession);
        }
        self.record(Passed::KitState { sealed: sealed.clone() });
        self.send_surgeons(Channel::Control, &sealed);
        Ok(())
    }

    fn kit_statement(&mut self, now: EdgeTick, signed: Bytes) -> Result<(), Ignored> {
        let (author, statement) = Statement::open(&signed).map_err(|_| Ignored::Unauthorised)?;
        let Some(session) = &mut self.session else { return Ok(()) };
        if author != session.people.kit() {
            return Err(Ignored::Unauthorised);
        }
        if statement.session != session.people.session() {
            return Err(Ignored::OtherSession);
        }
        self.record(Passed::Statement { signed: signed.clone() });
        match statement.said {
            Said::Notice { notice } => self.notice(now, &notice, &signed),
            Said::LeaseGrant { transcript } => self.leased(transcript.token, transcript.holder),
            Said::Refused { .. } => self.session.iter_mut().for_each(|session| session.forbidden.refused()),
            _ => return Err(Ignored::Misplaced),
        }
        self.send_all(&signed);
        Ok(())
    }

    fn notice(&mut self, now: EdgeTick, notice: &KitNotice, signed: &Bytes) {
        self.ticks.hear(now, notice.tick);
        if let Some(holder) = notice.holder {
            self.leased(notice.token, holder);
        }
        let Some(session) = &mut self.session else { return };
        session.last_notice = Some(signed.clone());
        let latched = session.forbidden.latched(notice.regions);
        let armed = notice.flags & state_flags::ARMED != 0;
        if std::mem::replace(&mut session.armed, armed) != armed {
            self.outputs.push_back(Output::Armed(armed));
        }
        if notice.closed && !std::mem::replace(&mut session.closed, true) {
            self.outputs.push_back(Output::Closed);
        }
        if let Some(order) = latched {
            self.send_all(&order);
        }
    }

    fn leased(&mut self, token: LeaseToken, holder: PublicKey) {
        let Some(session) = &mut self.session else { return };
        let lease = session.leases.entry(token).or_insert_with(|| Lease { holder, came: FirstHeard::new() });
        lease.holder = holder;
        if session.leases.len() > LEASES_MAX {
            session.leases.pop_first();
        }
    }

    fn kit_segment(&mut self, message: &Bytes) -> Result<(), Ignored> {
        let signed = message.slice_ref(Kind::KitSegment.content(message)?);
        let Some(session) = &self.session else { return Ok(()) };
        let (author, segment) = KitSegment::open(&signed).map_err(|_| Ignored::Unauthorised)?;
        if author != session.people.kit() {
            return Err(Ignored::Unauthorised);
        }
        if segment.link.session != session.people.session() {
            return Err(Ignored::OtherSession);
        }
        self.record(Passed::KitSegment { signed });
        Ok(())
    }

    fn frame(&mut self, mut entry: FrameEntry, unit: Bytes) {
        if self.session.is_none() || self.sealed {
            return;
        }
        let heard = self.ticks.at(entry.captured);
        entry.kit_tick_at_capture = heard.unwrap_or_default();
        self.record(Passed::Frame { entry, unit });
        if let Some(kit_tick_at_capture) = heard {
            self.mark(FrameMark { frame: entry.frame, kit_tick_at_capture });
        }
        let record = FrameRecord {
            frame: entry.frame,
            rtp_timestamp: entry.rtp_timestamp,
            captured: entry.captured,
            key_frame: entry.key_frame,
            au_hash: entry.au_hash.0,
            picture_hash: entry.picture_hash.0,
        };
        let surgeons = self.consoles.iter().filter(|(_, console)| console.role == Role::Surgeon);
        self.outputs.extend(surgeons.map(|(console, _)| Output::Picture { console: *console, record }));
    }

    /// A mark that got lost would make its frame unknown until the next: so the next brings it again.
    fn mark(&mut self, mark: FrameMark) {
        let before = self.session.as_mut().and_then(|session| session.last_mark.replace(mark));
        for mark in before.into_iter().chain([mark]) {
            self.send_kit(Route::Datagram, Bytes::copy_from_slice(&mark.to_bytes()));
        }
    }

    fn durable(&mut self, watermark: Watermark, to_everybody: bool) {
        if self.session.is_none() {
            return;
        }
        let message = Bytes::copy_from_slice(&watermark.to_bytes());
        self.send_kit(Route::Datagram, message.clone());
        if to_everybody {
            let consoles = self.consoles.keys();
            self.outputs.extend(consoles.map(|console| Output::ToConsole {
                console: *console,
                channel: Channel::Control,
                message: message.clone(),
            }));
        }
    }

    fn record(&mut self, passed: Passed) {
        if self.session.is_some() && !self.sealed {
            self.outputs.push_back(Output::Record(passed));
        }
    }

    fn send_kit(&mut self, route: Route, message: Bytes) {
        if self.kit_is_there {
            self.outputs.push_back(Output::ToKit { route, message });
        }
    }

    fn send_console(&mut self, console: ConsoleId, channel: Channel, message: Bytes) {
        self.outputs.push_back(Output::ToConsole { console, channel, message });
    }

    fn send_all(&mut self, statement: &Bytes) {
        for console in self.consoles.keys().copied().collect::<Vec<_>>() {
            self.send_console(console, Channel::Statements, statement.clone());
        }
    }

    fn send_surgeons(&mut self, channel: Channel, message: &Bytes) {
        let surgeons = self.consoles.iter().filter(|(_, console)| console.role == Role::Surgeon);
        self.outputs.extend(surgeons.map(|(console, _)| Output::ToConsole {
            console: *console,
            channel,
            message: message.clone(),
        }));
    }
}

/// What people say to the kit; all else is said by devices, or in the meeting.
fn is_an_order(said: &Said) -> bool {
    matches!(
        said,
        Said::ClearEStop { .. }
            | Said::Arm { .. }
            | Said::Disarm {}
            | Said::Home { .. }
            | Said::Withdraw { .. }
            | Said::LeaseRequest { .. }
            | Said::LeaseConfirm { .. }
            | Said::HandOver { .. }
            | Said::TakeOver { .. }
            | Said::Close {}
            | Said::WithdrawConsent {}
            | Said::Forbid { .. }
    )
}

#[cfg(test)]
mod tests;
