//! What becomes a leaf: a pure machine, without clock, file or thread.
//!
//! **A log that this machine made holds, whatever was handed to it** (local): as far as the verifier's rules can be kept here,
//! a thing that would break them is refused, counted and named, and numbers that are missing are declared before those
//! that follow them. What somebody else signed wrongly about the world (a verdict, a picture's hash) is kept as it came: that is
//! evidence.

mod chains;
mod commands;
mod frames;
mod log;
mod refused;

use farhand_ledger::{
    BadLog, BadTransaction, Cbor, Checkpoint, Closing, DisplayReport, Entry, FrameEntry, Gap, Hash,
    KitSegment, Numbered, OpeningEvidence, People, REASON_BYTES_MAX, Segment, SurgeonSegment, TrustRoot,
    What, verify_opening,
};
use farhand_wire::{
    Command, EdgeTick, FrameId, KitBootId, KitState, LeaseToken, PublicKey, Said, SessionId, Signed,
    Statement, Watermark,
};

pub(crate) use self::refused::Refused;
use self::{chains::Chains, commands::Commands, frames::Frames, log::Log};
use crate::{queue::Lost, recorded::Passed};

/// Between clock leaves, µs of the edge box's clock.
const CLOCK_EVERY_US: u64 = 10_000_000;
/// Between checkpoints, likewise.
const CHECKPOINT_EVERY_US: u64 = 100_000;

/// What the machine must know beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) session: SessionId,
    /// Whose record it is: the edge box's device key.
    pub(crate) edge: PublicKey,
    pub(crate) trust: TrustRoot,
    /// Fresh and random, of this run alone: the leaves' salts come from it.
    pub(crate) seed: [u8; 32],
}

/// The session's record, as far as it has been taken.
#[derive(Debug)]
pub(crate) struct Machine {
    context: Context,
    log: Log,
    people: Option<People>,
    /// Of the opening evidence.
    opening: Hash,
    chains: Chains,
    commands: Commands,
    frames: Frames,
    counts: Closing,
    closed: bool,
    /// The log was found on disk: says so before anything else, and why.
    restarted: Option<String>,
    clock_at: Option<EdgeTick>,
    checkpoint_at: Option<EdgeTick>,
    /// Something happened that is not to wait for the next checkpoint's time.
    event: bool,
    pub(crate) refused: u64,
    pub(crate) refusal: Option<String>,
    /// Records for the file that nobody has taken yet.
    out: Vec<u8>,
}

impl Machine {
    pub(crate) fn new(context: Context) -> Self {
        Self {
            log: Log::new(context.session, context.seed),
            context,
            people: None,
            opening: Hash::ZERO,
            chains: Chains::default(),
            commands: Commands::default(),
            frames: Frames::default(),
            counts: Closing::default(),
            closed: false,
            restarted: None,
            clock_at: None,
            checkpoint_at: None,
            event: false,
            refused: 0,
            refusal: None,
            out: Vec::new(),
        }
    }

    /// Takes a leaf that is on disk already.
    pub(crate) fn replay(&mut self, entry: &Entry, leaf: Hash) -> Result<(), BadLog> {
        let (seen, expected) = (entry.number, self.log.size());
        if seen != expected {
            return Err(BadLog::Number { seen, expected });
        }
        self.log.replay(entry, leaf);
        self.learn(&entry.what);
        Ok(())
    }

    /// All that was on disk has been replayed: goes on from there. `signed` is the newest checkpoint that was signed.
    pub(crate) fn resume(&mut self, reason: &str, signed: Option<&Checkpoint>) {
        if let Some(signed) = signed {
            self.log.checkpointed(signed);
        }
        self.restarted = (self.size() > 0 && !self.closed).then(|| cut(reason));
        self.event = false;
        self.clock_at = None;
    }

    /// Takes one thing that passed at `at`. Refusals are counted here.
    pub(crate) fn take(&mut self, at: EdgeTick, passed: Passed) -> Result<(), Refused> {
        self.restart(at);
        let taken = self.try_take(at, passed);
        if let Err(why) = &taken
            && !why.is_repetition()
        {
            self.refused += 1;
            self.refusal = Some(why.to_string());
        }
        taken
    }

    /// This frame found no room before it came here.
    pub(crate) fn frame_lost(&mut self, frame: FrameId) {
        self.frames.missing_to = self.frames.missing_to.max(frame);
    }

    /// These found no room before they came here: declares them.
    pub(crate) fn lost(&mut self, at: EdgeTick, lost: &Lost) {
        const REASON: &str = "the record was behind and had no room for them";
        self.restart(at);
        for (&token, &(first, last)) in &lost.commands {
            let (of, first, last) = (Numbered::Commands, first.0, last.0);
            self.append_own(at, What::Gap(Gap { of, token, first, last, reason: REASON.to_owned() }));
        }
        if let Some((_, last)) = lost.frames {
            self.frame_lost(last);
        }
        if lost.kit_states + lost.others > 0 {
            let reason = format!("{REASON}: {} kit states, {} others", lost.kit_states, lost.others);
            self.append_own(at, What::Switch { what: "record".to_owned(), on: false, reason });
        }
    }

    /// What time it is: appends a clock leaf if it is time for one.
    pub(crate) fn clock(&mut self, at: EdgeTick, leaf: impl FnOnce() -> What) {
        let due = self.clock_at.is_none_or(|before| at.0.saturating_sub(before.0) >= CLOCK_EVERY_US);
        if due && self.is_open() && self.restarted.is_none() {
            self.clock_at = Some(at);
            self.append_own(at, leaf());
        }
    }

    /// The last leaf, and before it what is known to be missing, and what time it is. Does nothing to a log that is closed.
    pub(crate) fn close(&mut self, at: EdgeTick, clock: What, reason: &str) {
        if !self.is_open() {
            return;
        }
        self.restart(at);
        self.declare_missing(at);
        self.append_own(at, clock);
        let closing = Closing { reason: cut(reason), ..self.counts.clone() };
        self.event = true;
        self.append_own(at, What::Closed(closing));
    }

    /// Records for the file, to be written in this order. Empties the machine's own.
    pub(crate) fn take_records(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.out);
    }

    /// The log as it is, to be signed, if it is time. Only to be asked when all of it is durable.
    pub(crate) fn checkpoint(&mut self, at: EdgeTick) -> Option<Checkpoint> {
        let due =
            self.checkpoint_at.is_none_or(|before| at.0.saturating_sub(before.0) >= CHECKPOINT_EVERY_US);
        if !due && !self.event {
            return None;
        }
        self.checkpoint_at = Some(at);
        self.event = false;
        self.log.checkpoint()
    }

    /// The same, whether it is time or not.
    pub(crate) fn last_checkpoint(&mut self) -> Option<Checkpoint> {
        self.log.checkpoint()
    }

    /// What is durable once all records that were taken are.
    pub(crate) fn watermark(&self) -> Watermark {
        let (token, newest) = self.commands.newest().unwrap_or_default();
        let holder = self.people.as_ref().and_then(|people| people.holder(token));
        let segments = holder.map_or(0, |holder| self.chains.surgeon_segments(self.context.session, holder));
        Watermark { token, newest, segments }
    }

    pub(crate) fn size(&self) -> u64 {
        self.log.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.log.root()
    }

    pub(crate) fn recorded(&self) -> EdgeTick {
        self.log.recorded()
    }

    pub(crate) fn counts(&self) -> &Closing {
        &self.counts
    }

    pub(crate) fn newest_frame(&self) -> FrameId {
        self.frames.newest
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn is_open(&self) -> bool {
        self.people.is_some() && !self.closed
    }

    fn restart(&mut self, at: EdgeTick) {
        if let Some(reason) = self.restarted.take() {
            self.append_own(at, What::Restarted { reason });
        }
    }

    fn try_take(&mut self, at: EdgeTick, passed: Passed) -> Result<(), Refused> {
        let mut gaps = Vec::new();
        let Some(what) = self.check(passed, &mut gaps)? else { return Ok(()) };
        gaps.into_iter().for_each(|gap| self.append_own(at, What::Gap(gap)));
        self.append(at, what)
    }

    fn append(&mut self, at: EdgeTick, what: What) -> Result<(), Refused> {
        let what = self.log.append(at, what, &mut self.out)?;
        self.learn(&what);
        Ok(())
    }

    /// A leaf that the edge box itself has to say.
    fn append_own(&mut self, at: EdgeTick, what: What) {
        if let Err(why) = self.append(at, what) {
            self.refused += 1;
            self.refusal = Some(why.to_string());
        }
    }

    fn declare_missing(&mut self, at: EdgeTick) {
        let unlisted: Vec<_> = self.commands.unlisted().collect();
        for (token, first, last) in unlisted {
            let reason = "the surgeon's list of these never came".to_owned();
            self.append_own(at, What::Gap(Gap { of: Numbered::Commands, token, first, last, reason }));
        }
        if let Some(gap) = self.frames_missing_before(self.frames.missing_to.next()) {
            self.append_own(at, What::Gap(gap));
        }
    }

    /// What the thing is as a leaf, if it may be one, and the gaps to be declared before it. `None`: it is there already.
    fn check(&self, passed: Passed, gaps: &mut Vec<Gap>) -> Result<Option<What>, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        let people = match (passed, &self.people) {
            (Passed::Opened { evidence }, _) => return self.check_opening(evidence),
            (_, None) => return Err(Refused::NotOpened),
            (passed, Some(people)) => (passed, people),
        };
        let (passed, people) = people;
        Ok(Some(match passed {
            Passed::Opened { .. } => return Err(Refused::AnotherOpening),
            Passed::Command { frame } => self.check_command(people, frame)?,
            Passed::KitState { sealed } => self.check_kit_state(sealed)?,
            Passed::Statement { signed } => check_statement(people, signed)?,
            Passed::Frame { entry, .. } => self.check_frame(entry, gaps)?,
            Passed::SurgeonSegment { signed } => self.check_surgeon_segment(people, signed, gaps)?,
            Passed::KitSegment { signed } => self.check_kit_segment(people, signed, gaps)?,
            Passed::DisplayReport { signed } => self.check_display_report(people, signed, gaps)?,
            Passed::Switch { what, on, reason } => What::Switch { what, on, reason: cut(&reason) },
        }))
    }

    fn check_opening(&self, evidence: Vec<u8>) -> Result<Option<What>, Refused> {
        if self.people.is_some() {
            return if Hash::of(&evidence) == self.opening { Ok(None) } else { Err(Refused::AnotherOpening) };
        }
        let opening = verify_opening(&OpeningEvidence::read(&evidence)?, &self.context.trust)
            .map_err(Refused::Opening)?;
        self.check_session("opening", opening.session())?;
        let (seen, expected) = (self.context.edge, opening.edge());
        if seen == expected {
            Ok(Some(What::Opened { evidence }))
        } else {
            Err(Refused::Edge { seen, expected })
        }
    }

    fn check_session(&self, what: &'static str, seen: SessionId) -> Result<(), Refused> {
        let expected = self.context.session;
        if seen == expected { Ok(()) } else { Err(Refused::Session { what, seen, expected }) }
    }

    fn check_command(&self, people: &People, frame: Vec<u8>) -> Result<What, Refused> {
        let Command { session, token, sequence, .. } =
            Command::read(&frame).map_err(|error| Refused::Wire { what: "command", error })?;
        self.check_session("command", session)?;
        if people.holder(token).is_none() {
            return Err(Refused::NoLease { token });
        }
        if self.commands.of(token).is_some_and(|sequences| !sequences.is_new(sequence.0)) {
            return Err(Refused::CommandRepeated { token, sequence });
        }
        Ok(What::Command { frame })
    }

    fn check_kit_state(&self, sealed: Vec<u8>) -> Result<What, Refused> {
        let state = KitState::read(&sealed).map_err(|error| Refused::Wire { what: "kit state", error })?;
        self.check_session("kit state", state.session)?;
        Ok(What::KitState { sealed })
    }

    fn check_frame(&self, entry: FrameEntry, gaps: &mut Vec<Gap>) -> Result<What, Refused> {
        if entry.frame <= self.frames.newest {
            return Err(Refused::Repeated { what: "frame", number: entry.frame.0 });
        }
        gaps.extend(self.frames_missing_before(entry.frame));
        Ok(What::Frame(entry))
    }

    fn frames_missing_before(&self, frame: FrameId) -> Option<Gap> {
        let (first, last) = (self.frames.newest.0 + 1, frame.0.saturating_sub(1));
        let reason =
            "they did not come to the record: it had no room, or the edge box's program started again";
        let (of, token, reason) = (Numbered::Frames, LeaseToken(0), reason.to_owned());
        (first <= last).then_some(Gap { of, token, first, last, reason })
    }

    fn check_surgeon_segment(
        &self,
        people: &People,
        signed: Vec<u8>,
        gaps: &mut Vec<Gap>,
    ) -> Result<What, Refused> {
        let (author, segment) = self.open::<SurgeonSegment>(&signed)?;
        expect_author(SurgeonSegment::WHAT, author, people.is_surgeons_session_key(author))?;
        expect_author("a list of commands", author, people.holder(segment.token) == Some(author))?;
        let key = (Numbered::SurgeonSegments, author, KitBootId::default());
        self.chains.check(SurgeonSegment::WHAT, key, segment.link, gaps)?;
        Ok(What::SurgeonSegment { signed })
    }

    fn check_kit_segment(
        &self,
        people: &People,
        signed: Vec<u8>,
        gaps: &mut Vec<Gap>,
    ) -> Result<What, Refused> {
        let (author, segment) = self.open::<KitSegment>(&signed)?;
        expect_author(KitSegment::WHAT, author, people.is_kit(author))?;
        let key = (Numbered::KitSegments, author, segment.boot);
        self.chains.check(KitSegment::WHAT, key, segment.link, gaps)?;
        gaps.extend(self.lost_in_restart(&segment));
        Ok(What::KitSegment { signed })
    }

    /// Commands that the kit judged, and that were relayed just before the edge box's program ended.
    fn lost_in_restart(&self, segment: &KitSegment) -> Option<Gap> {
        let token = segment.token;
        let sequences = self.commands.of(token)?;
        let after = sequences.restarted_after?;
        let judged = segment.verdicts.iter().map(|verdict| verdict.sequence.0);
        let last = judged.filter(|&sequence| sequence > after && sequences.is_new(sequence)).max()?;
        let reason = "the edge box's program started again before they were on record".to_owned();
        Some(Gap { of: Numbered::Commands, token, first: after + 1, last, reason })
    }

    fn check_display_report(
        &self,
        people: &People,
        signed: Vec<u8>,
        gaps: &mut Vec<Gap>,
    ) -> Result<What, Refused> {
        let (author, report) = self.open::<DisplayReport>(&signed)?;
        expect_author(DisplayReport::WHAT, author, people.is_surgeons_session_key(author))?;
        if let Some(shown) = report.shown.iter().find(|shown| self.frames.is_lost(shown.frame)) {
            return Err(Refused::FrameLost { frame: shown.frame.0 });
        }
        let key = (Numbered::DisplayReports, author, KitBootId::default());
        self.chains.check(DisplayReport::WHAT, key, report.link, gaps)?;
        Ok(What::DisplayReport { signed })
    }

    fn open<S: Segment>(&self, signed: &[u8]) -> Result<(PublicKey, S), Refused> {
        let segment = |error: BadTransaction| Refused::Segment { what: S::WHAT, error };
        let (author, opened) = S::open(signed).map_err(segment)?;
        self.check_session(S::WHAT, opened.link().session)?;
        Ok((author, opened))
    }

    /// What a leaf changes; the same for one that was just made and for one that is read back.
    fn learn(&mut self, what: &What) {
        match what {
            What::Opened { evidence } => self.learn_opening(evidence),
            What::Command { frame } => self.learn_command(frame),
            What::SurgeonSegment { signed } => self.learn_surgeon_segment(signed),
            What::KitSegment { signed } => {
                self.counts.kit_segments += 1;
                self.extend::<KitSegment>(Numbered::KitSegments, signed, |segment| segment.boot);
            }
            What::Frame(entry) => {
                self.counts.frames += 1;
                self.frames.insert(entry.frame);
            }
            What::DisplayReport { signed } => {
                self.counts.display_reports += 1;
                self.extend::<DisplayReport>(Numbered::DisplayReports, signed, |_| KitBootId::default());
            }
            What::Statement { signed } => self.learn_statement(signed),
            What::Gap(gap) => self.learn_gap(gap),
            What::Restarted { .. } => {
                self.commands.restart();
                self.frames.restart();
            }
            What::Closed(_) => self.closed = true,
            What::KitState { .. }
            | What::Overlay { .. }
            | What::Engagement { .. }
            | What::Region { .. }
            | What::Switch { .. }
            | What::Clock { .. }
            | What::Proof { .. }
            | What::Personal { .. } => {}
        }
    }

    fn learn_opening(&mut self, evidence: &[u8]) {
        let verified = OpeningEvidence::read(evidence)
            .ok()
            .and_then(|evidence| verify_opening(&evidence, &self.context.trust).ok());
        self.people = verified.map(People::new);
        self.opening = Hash::of(evidence);
        self.event = true;
    }

    fn learn_command(&mut self, frame: &[u8]) {
        self.counts.commands += 1;
        if let Ok(Command { token, sequence, .. }) = Command::read(frame) {
            self.commands.of_mut(token).insert(sequence.0);
        }
    }

    fn learn_surgeon_segment(&mut self, signed: &[u8]) {
        self.counts.surgeon_segments += 1;
        let segment =
            self.extend::<SurgeonSegment>(Numbered::SurgeonSegments, signed, |_| KitBootId::default());
        if let Some(segment) = segment
            && let Some(last) = segment.sent.last()
        {
            let sequences = self.commands.of_mut(segment.token);
            sequences.listed = sequences.listed.max(last.sequence.0);
        }
    }

    /// Its signature was looked at before it became a leaf.
    fn extend<S: Segment>(&mut self, of: Numbered, signed: &[u8], boot: fn(&S) -> KitBootId) -> Option<S> {
        let envelope = Signed::read(signed).ok()?;
        let segment = S::read(&envelope.body).ok()?;
        self.chains.extend((of, envelope.author, boot(&segment)), segment.link(), signed);
        Some(segment)
    }

    fn learn_statement(&mut self, signed: &[u8]) {
        self.counts.statements += 1;
        if let (Ok((author, statement)), Some(people)) = (Statement::open(signed), &mut self.people) {
            people.learn(author, &statement.said);
            self.event |= is_event(&statement.said);
        }
    }

    fn learn_gap(&mut self, gap: &Gap) {
        match gap.of {
            Numbered::Frames => self.frames.lose(gap.first, gap.last),
            Numbered::Commands => {
                if let Some(after) = self.commands.restarted_after_mut(gap.token) {
                    *after = (*after).max(gap.last);
                }
            }
            Numbered::SurgeonSegments | Numbered::KitSegments | Numbered::DisplayReports => {}
        }
    }
}

fn check_statement(people: &People, signed: Vec<u8>) -> Result<What, Refused> {
    let (author, statement) =
        Statement::open(&signed).map_err(|error| Refused::Signature { what: "statement", error })?;
    people.may_say(author, &statement)?;
    Ok(What::Statement { signed })
}

fn expect_author(what: &'static str, seen: PublicKey, may: bool) -> Result<(), Refused> {
    if may { Ok(()) } else { Err(Refused::Author { what, seen }) }
}

/// What is not to wait for the next checkpoint's time.
fn is_event(said: &Said) -> bool {
    !matches!(
        said,
        Said::Notice { .. } | Said::Refused { .. } | Said::Fingerprint { .. } | Said::LeaseRequest { .. }
    )
}

/// A reason that is not too long.
fn cut(reason: &str) -> String {
    let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|&end| reason.is_char_boundary(end));
    reason[..end.unwrap_or(0)].to_owned()
}
