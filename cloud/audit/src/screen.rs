//! What was on the surgeon's screen when a command was sent: the frame that the command names, and who says what of it.
//!
//! A first pass verifies the whole bundle and finds the command; a second gathers everything that anybody says about
//! command and frame. What they do not agree on is said in words, and the picture is handed out as it was sent, undecoded.

use std::{fmt::Write as _, fs::File, path::Path};

use farhand_bundle::{Content, Reader, Unreadable, verify_and};
use farhand_ledger::{
    DisplayReport, Entry, FrameEntry, Hash, KitSegment, Outcome, Segment, SurgeonSegment, TrustRoot, What,
    verify::Leaf,
};
use farhand_wire::{Command, EdgeTick, LeaseToken, PublicKey, Said, Sequence, Statement};
use serde::Serialize;
use thiserror::Error;

use crate::{
    audit::open,
    following::Following,
    mp4::{NoClip, clip},
    report::{Redactions, Report},
    story::{Story, runs::Reason},
    time::{duration, rfc3339},
    words::verdict,
};

/// Which command is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This one; the token is needed only where several have that number.
    Command { sequence: Sequence, token: Option<LeaseToken> },
    /// The newest that was recorded at that moment, µs of UTC.
    At { utc_us: u64 },
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NoScreen {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("no command {0} is in the log, nor in a list of the surgeon's")]
    NoCommand(Sequence),
    #[error(
        "command {0} was sent, as the surgeon's list in leaf {1} says, and is not in the log: what it named is not known"
    )]
    NotLogged(Sequence, u64),
    #[error("command {sequence} was sent under several tokens, name one: {}", list(tokens))]
    SeveralTokens { sequence: Sequence, tokens: Vec<LeaseToken> },
    #[error("no command was recorded by then")]
    NoneYet,
}

fn list(tokens: &[LeaseToken]) -> String {
    tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The answer. Times of the edge box are UTC in RFC 3339, those of console and kit µs of their own clocks.
#[derive(Clone, Debug, Serialize)]
pub struct Screen {
    /// What came out for the whole bundle: without it the rest is worth nothing.
    pub report: Report,
    pub command: SaidCommand,
    /// `None` if no picture had been seen, or its leaf is not there.
    pub frame: Option<SaidFrame>,
    /// What the display reported of that frame.
    pub shown: Vec<SaidShown>,
    /// In words; empty if all agree.
    pub disagreements: Vec<String>,
    /// Why the picture can't be handed out.
    pub no_picture: Option<String>,
    #[serde(skip)]
    picture: Following,
}

/// A command, as those who handled it say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SaidCommand {
    pub sequence: u64,
    pub token: u64,
    pub leaf: u64,
    /// Who held control under its token.
    pub by: Option<String>,
    /// When the edge box recorded it, and how far that may be off, as the clock's newest leaf says.
    pub utc: String,
    pub uncertainty_us: Option<u64>,
    /// What holds the edge box's clock, as that leaf says.
    pub clock_source: Option<String>,
    /// When it was sent by the console's own clock, from the frame's capture on that clock and the age below.
    pub console_us: Option<u64>,
    pub dead_man: bool,
    pub frame_seen: u64,
    /// The frame's age as the console reported it in the command.
    pub frame_age_us: Option<u32>,
    /// The same from capture to the command's arrival, by the edge box's clock.
    pub frame_age_by_edge_us: Option<u64>,
    /// The leaf of the surgeon's list that has it, and whether with the same hash.
    pub listed_leaf: Option<u64>,
    pub listed_same: Option<bool>,
    /// What the kit says became of it.
    pub kit: Vec<String>,
}

/// The frame that the command names.
#[derive(Clone, Debug, Serialize)]
pub struct SaidFrame {
    pub frame: u64,
    pub leaf: u64,
    pub captured_utc: String,
    pub picture_hash: String,
    /// Whether all pictures from the key frame up to it have the hashes of their leaves; `None` if they are not there.
    pub picture_matches: Option<bool>,
    /// Access units from its key frame up to it.
    pub units: usize,
}

/// What a report of the display says of the frame.
#[derive(Clone, Debug, Serialize)]
pub struct SaidShown {
    pub leaf: u64,
    pub by: String,
    /// By the console's own clock.
    pub shown_us: u64,
    pub glass_to_glass_us: u64,
    /// Whether the browser received the picture whose hash is in the frame's leaf.
    pub same_picture: bool,
}

/// Verifies the bundle at `path` and answers. `progress` is told how far it is: bytes passed, of how many.
pub fn screen(
    path: &Path,
    trust: Option<&TrustRoot>,
    asked: Asked,
    mut progress: impl FnMut(u64, u64),
) -> Result<Screen, NoScreen> {
    let reader = open(path)?;
    let (mut story, mut redactions, mut search) =
        (Story::default(), Redactions::default(), Search::new(asked));
    let verified = verify_and(&reader, trust, |passed| {
        if passed.redacted.is_some() {
            redactions.take(passed.number);
        }
        story.take(&passed);
        if let Some(entry) = passed.entry {
            search.take(passed.number, passed.utc_us, entry);
        }
        progress(passed.at_bytes / 2, passed.bytes);
    })?;
    let (leaf, command) = search.found()?;
    let mut gathered = Gathered::new(leaf, command);
    gathered.gather(&reader, &story, |at| progress((reader.bytes() + at) / 2, reader.bytes()))?;
    Ok(gathered.answer(Report::of(&verified, redactions, trust.is_some()), &story))
}

/// Looks for the command.
#[derive(Debug)]
struct Search {
    asked: Asked,
    found: Vec<(u64, Command)>,
    listed: Option<u64>,
}

/// A sequence begins anew with each token, and a session has a handful.
const FOUND_MAX: usize = 64;

impl Search {
    fn new(asked: Asked) -> Self {
        Self { asked, found: Vec::new(), listed: None }
    }

    fn take(&mut self, leaf: u64, utc_us: u64, entry: &Entry) {
        match (&entry.what, self.asked) {
            (What::Command { frame }, Asked::Command { sequence, token }) => {
                let wanted =
                    |one: &Command| one.sequence == sequence && token.is_none_or(|token| one.token == token);
                let command = Command::read(frame).ok().filter(wanted);
                self.found.extend(command.filter(|_| self.found.len() < FOUND_MAX).map(|one| (leaf, one)));
            }
            (What::Command { frame }, Asked::At { utc_us: until }) if utc_us <= until => {
                if let Ok(command) = Command::read(frame) {
                    self.found = vec![(leaf, command)];
                }
            }
            (What::SurgeonSegment { signed }, Asked::Command { sequence, token }) => {
                let Ok((_, segment)) = SurgeonSegment::open(signed) else { return };
                let wanted = token.is_none_or(|token| segment.token == token);
                if wanted && segment.sent.iter().any(|sent| sent.sequence == sequence) {
                    self.listed = Some(leaf);
                }
            }
            _ => {}
        }
    }

    fn found(self) -> Result<(u64, Command), NoScreen> {
        let Asked::Command { sequence, .. } = self.asked else {
            return self.found.into_iter().next().ok_or(NoScreen::NoneYet);
        };
        let mut tokens: Vec<LeaseToken> = self.found.iter().map(|(_, command)| command.token).collect();
        tokens.sort();
        tokens.dedup();
        match (self.found.into_iter().next(), self.listed) {
            (Some(_), _) if tokens.len() > 1 => Err(NoScreen::SeveralTokens { sequence, tokens }),
            (Some(found), _) => Ok(found),
            (None, Some(leaf)) => Err(NoScreen::NotLogged(sequence, leaf)),
            (None, None) => Err(NoScreen::NoCommand(sequence)),
        }
    }
}

/// A report of a frame at another time than the one asked about is said only if it is this far on the wrong side: a browser
/// reports when it expects to show a picture, and sends a command whenever the hand moves.
const CONSOLE_US_MAX: u64 = 50_000;
/// What the console's reckoning may differ from the edge box's, as the verifier has it.
const AGES_DIFFER_US_MAX: u64 = 1_000_000;
/// Reports of other frames that are remembered, those shown around the command.
const SHOWN_MAX: usize = 4096;

/// What the second pass gathers.
#[derive(Debug)]
struct Gathered {
    command: Command,
    said: SaidCommand,
    hash: Hash,
    recorded: EdgeTick,
    frame: Option<(u64, u64, FrameEntry, EdgeTick)>,
    has_unit: bool,
    /// The edge box's clock began anew between frame and command.
    restarted: bool,
    shown: Vec<SaidShown>,
    others: std::collections::VecDeque<(u64, u64)>,
    holder: Option<PublicKey>,
    listed_by: Option<PublicKey>,
    following: Following,
    disagreements: Vec<String>,
}

impl Gathered {
    fn new(leaf: u64, command: Command) -> Self {
        let said = SaidCommand {
            sequence: command.sequence.0,
            token: command.token.0,
            leaf,
            dead_man: command.dead_man,
            frame_seen: command.frame_seen.0,
            frame_age_us: command.frame_age_us,
            ..SaidCommand::default()
        };
        Self {
            command,
            said,
            hash: Hash::ZERO,
            recorded: EdgeTick::default(),
            frame: None,
            has_unit: false,
            restarted: false,
            shown: Vec::new(),
            others: std::collections::VecDeque::new(),
            holder: None,
            listed_by: None,
            following: Following::default(),
            disagreements: Vec::new(),
        }
    }

    fn gather(
        &mut self,
        reader: &Reader<File>,
        story: &Story,
        mut progress: impl FnMut(u64),
    ) -> Result<(), Unreadable> {
        let mut contents = reader.contents();
        let mut leaf = 0;
        while let Some(content) = contents.next() {
            self.take(leaf, content?, story);
            progress(contents.at());
            leaf += 1;
        }
        Ok(())
    }

    fn take(&mut self, leaf: u64, content: Content, story: &Story) {
        let Leaf::Whole(bytes) = &content.leaf else { return };
        let Ok(entry) = Entry::read(bytes) else { return };
        let is_before = leaf < self.said.leaf;
        match &entry.what {
            What::Command { frame } if leaf == self.said.leaf => {
                self.hash = Hash::of(frame);
                self.recorded = entry.recorded;
                self.said.utc = rfc3339(content.utc_us);
            }
            What::Clock { utc, source, .. } if is_before => {
                self.said.uncertainty_us = Some(utc.uncertainty_us);
                self.said.clock_source = Some(source.clone());
            }
            What::Restarted { .. } if is_before => self.restarted = self.frame.is_some(),
            What::Frame(frame) => self.take_frame(leaf, content.utc_us, frame, entry.recorded, content.unit),
            What::DisplayReport { signed } => self.take_report(leaf, signed, story),
            What::SurgeonSegment { signed } => self.take_list(leaf, signed),
            What::KitSegment { signed } => self.take_verdicts(leaf, signed, story),
            What::Statement { signed } => self.take_statement(signed, story),
            _ => {}
        }
    }

    fn take_frame(
        &mut self,
        leaf: u64,
        utc_us: u64,
        frame: &FrameEntry,
        recorded: EdgeTick,
        unit: Option<Vec<u8>>,
    ) {
        if self.frame.is_some() || frame.frame > self.command.frame_seen {
            return;
        }
        let is_it = frame.frame == self.command.frame_seen;
        if is_it {
            self.frame = Some((leaf, utc_us, *frame, recorded));
            self.has_unit = unit.is_some();
        }
        if let Some(unit) = unit {
            self.following.take(frame, unit);
        }
    }

    fn take_report(&mut self, leaf: u64, signed: &[u8], story: &Story) {
        let Ok((author, report)) = DisplayReport::open(signed) else { return };
        for shown in &report.shown {
            if shown.frame != self.command.frame_seen {
                self.others.push_back((shown.frame.0, shown.shown_us));
                // Those long before the command were shown before its frame, those long after it say nothing.
                if self.others.len() > SHOWN_MAX && leaf < self.said.leaf {
                    self.others.pop_front();
                }
                self.others.truncate(2 * SHOWN_MAX);
                continue;
            }
            let expected = self.frame.map(|(_, _, frame, _)| frame.picture_hash);
            self.shown.push(SaidShown {
                leaf,
                by: story.who(&author),
                shown_us: shown.shown_us,
                glass_to_glass_us: shown.glass_to_glass_us,
                same_picture: expected == Some(shown.picture_hash),
            });
            if self.holder.is_some_and(|holder| holder != author) {
                let who = story.who(&author);
                self.disagree(format!("the report in leaf {leaf} is by {who}, who did not hold control"));
            }
        }
    }

    fn take_list(&mut self, leaf: u64, signed: &[u8]) {
        let Ok((author, segment)) = SurgeonSegment::open(signed) else { return };
        let sent = segment.sent.iter().find(|sent| sent.sequence == self.command.sequence);
        if let Some(sent) = sent.filter(|_| segment.token == self.command.token) {
            self.said.listed_leaf = Some(leaf);
            self.said.listed_same = Some(sent.hash == self.hash);
            self.listed_by = Some(author);
        }
    }

    fn take_verdicts(&mut self, leaf: u64, signed: &[u8], story: &Story) {
        let Ok((author, segment)) = KitSegment::open(signed) else { return };
        if segment.token != self.command.token || !story.is_kit(&author) {
            return;
        }
        let sequence = self.command.sequence;
        for verdict in segment.verdicts.iter().filter(|one| one.sequence == sequence) {
            let outcome = match Reason::of(verdict.outcome) {
                None => "taken in".to_owned(),
                Some(reason) => format!("refused, {}", reason.words()),
            };
            self.said.kit.push(format!("{outcome} at {} µs of the kit's clock, leaf {leaf}", verdict.tick.0));
            if verdict.outcome == Outcome::TakenIn && verdict.tick < self.command.kit_tick_echo {
                let echo = self.command.kit_tick_echo.0;
                self.disagree(format!(
                    "the kit took it in before {echo} µs of its clock, which the command knows of"
                ));
            }
        }
    }

    fn take_statement(&mut self, signed: &[u8], story: &Story) {
        if let Ok((author, Statement { said: Said::LeaseGrant { transcript }, .. })) = Statement::open(signed)
            && transcript.token == self.command.token
            && story.is_kit(&author)
        {
            self.holder = Some(transcript.holder);
        }
    }

    fn disagree(&mut self, what: String) {
        self.disagreements.push(what);
    }

    fn answer(mut self, report: Report, story: &Story) -> Screen {
        self.said.by = self.holder.or(self.listed_by).map(|key| story.who(&key));
        let capture_us = self.shown.first().map(|one| one.shown_us.saturating_sub(one.glass_to_glass_us));
        let age_us = self.command.frame_age_us.map(u64::from);
        self.said.console_us = capture_us.zip(age_us).map(|(capture, age)| capture.saturating_add(age));
        let frame = self.frame.filter(|_| !self.restarted);
        self.said.frame_age_by_edge_us =
            frame.and_then(|(_, _, frame, _)| self.recorded.0.checked_sub(frame.captured.0));
        self.compare_lists();
        self.compare_frame();
        self.compare_times();
        let is_there = self.has_unit && self.following.ends_in(self.command.frame_seen.0);
        let no_picture = (!is_there).then(|| self.why_no_picture().to_owned());
        let frame = self.frame.map(|(leaf, utc_us, frame, recorded)| SaidFrame {
            frame: frame.frame.0,
            leaf,
            captured_utc: rfc3339((utc_us + frame.captured.0).saturating_sub(recorded.0)),
            picture_hash: frame.picture_hash.to_string(),
            picture_matches: is_there.then_some(self.following.matching),
            units: if is_there { self.following.pictures.len() } else { 0 },
        });
        Screen {
            report,
            command: self.said,
            frame,
            shown: self.shown,
            disagreements: self.disagreements,
            no_picture,
            picture: self.following,
        }
    }

    fn why_no_picture(&self) -> &'static str {
        match (self.command.frame_seen.0, self.frame, self.has_unit) {
            (0, ..) => "no picture had been seen",
            (_, None, _) => "the frame's leaf is not in the bundle",
            (.., false) => "it was taken out of the bundle",
            (.., true) => "its key frame, or a picture in between, is missing or too far before it",
        }
    }

    fn compare_lists(&mut self) {
        match (self.said.listed_leaf, self.said.listed_same) {
            (None, _) => self.disagree("no list of the surgeon's has this command".to_owned()),
            (Some(leaf), Some(false)) => {
                self.disagree(format!(
                    "the surgeon's list in leaf {leaf} has another command under this number"
                ));
            }
            _ => {}
        }
        if self.holder.is_none() {
            self.disagree("nobody was granted its token".to_owned());
        } else if self.listed_by.is_some_and(|by| Some(by) != self.holder) {
            self.disagree("it is listed by somebody else than its token's holder".to_owned());
        }
    }

    fn compare_frame(&mut self) {
        let frame = self.command.frame_seen;
        match self.frame {
            None if frame.0 == 0 => {}
            None => self.disagree(format!("frame {frame}, which the command names, is not in the bundle")),
            Some((leaf, ..)) if leaf > self.said.leaf => {
                self.disagree(format!(
                    "frame {frame} was recorded after the command that names it, in leaf {leaf}"
                ));
            }
            Some(_) if self.shown.is_empty() => {
                self.disagree(format!("no report of the display says that frame {frame} was shown"));
            }
            Some(_) => {}
        }
        let others: Vec<u64> =
            self.shown.iter().filter(|one| !one.same_picture).map(|one| one.leaf).collect();
        for leaf in others {
            self.disagree(format!("the display reports another picture as frame {frame}, in leaf {leaf}"));
        }
        if self.frame.is_some() && self.following.ends_in(frame.0) && !self.following.matching {
            self.disagree("the picture, or one before it, does not have the hash of its leaf".to_owned());
        }
    }

    fn compare_times(&mut self) {
        let age_us = self.command.frame_age_us.map(u64::from);
        if let Some((said, by_edge)) = age_us.zip(self.said.frame_age_by_edge_us)
            && said.abs_diff(by_edge) > AGES_DIFFER_US_MAX
        {
            self.disagree(format!(
                "the console says that the frame was {} old, the edge box's clock {}",
                duration(said),
                duration(by_edge)
            ));
        }
        let (Some(sent_us), Some(shown_us)) =
            (self.said.console_us, self.shown.first().map(|one| one.shown_us))
        else {
            return;
        };
        if shown_us > sent_us.saturating_add(CONSOLE_US_MAX) {
            let after = duration(shown_us - sent_us);
            self.disagree(format!(
                "by the console's clock the frame was shown {after} after the command was sent"
            ));
        }
        let between = shown_us.saturating_add(1)..sent_us.saturating_sub(CONSOLE_US_MAX);
        let newer =
            self.others.iter().filter(|(_, shown_us)| between.contains(shown_us)).map(|(frame, _)| *frame);
        if let Some(newer) = newer.filter(|frame| *frame > self.command.frame_seen.0).max() {
            self.disagree(format!(
                "by the console's clock frame {newer} was shown before the command was sent"
            ));
        }
    }
}

impl Screen {
    /// The picture as an MP4 file that ends in it, from its key frame on.
    pub fn mp4(&self) -> Result<Vec<u8>, NoPicture> {
        self.has_picture()?;
        Ok(clip(&self.picture.pictures)?.bytes)
    }

    /// The same as access units in a row (H.264, Annex B), bit for bit as the bundle keeps them.
    pub fn h264(&self) -> Result<Vec<u8>, NoPicture> {
        self.has_picture()?;
        Ok(self.picture.pictures.iter().flat_map(|picture| &picture.unit).copied().collect())
    }

    fn has_picture(&self) -> Result<(), NoPicture> {
        self.no_picture.as_ref().map_or(Ok(()), |why| Err(NoPicture::Missing(why.clone())))
    }

    /// The answer for a person, line by line.
    #[must_use]
    pub fn words(&self) -> String {
        let (command, mut rows) = (&self.command, Rows::default());
        rows.head(format!("Command {} under token {}", command.sequence, command.token));
        rows.row("Sent by", command.by.clone().unwrap_or_else(|| "nobody who may".to_owned()));
        let listed = command.listed_leaf.map(|leaf| format!("in the surgeon's signed list in leaf {leaf}"));
        rows.row("", listed.unwrap_or_else(|| "in no list of the surgeon's".to_owned()));
        rows.row(
            "Console time",
            match command.console_us {
                Some(us) => format!("{us} µs of the console's own clock, from its reports"),
                None => "not known: no report of that frame, or no age in the command".to_owned(),
            },
        );
        let uncertainty = command.uncertainty_us.map_or("unknown".to_owned(), duration);
        let source = command.clock_source.as_deref().unwrap_or("none");
        rows.row(
            "Edge time",
            format!("{} ± {uncertainty} (clock held by: {source}), leaf {}", command.utc, command.leaf),
        );
        rows.row("Dead-man", if command.dead_man { "held" } else { "released" }.to_owned());
        rows.row(
            "Kit",
            match &command.kit[..] {
                [] => "no verdict".to_owned(),
                said => said.join("; "),
            },
        );
        self.write_frame(&mut rows);
        rows.head("Disagreements".to_owned());
        if self.disagreements.is_empty() {
            rows.row("none", "console, edge box, kit and display tell one story".to_owned());
        }
        self.disagreements.iter().for_each(|what| rows.row("", what.clone()));
        format!("{}\n{}", verdict(&self.report), rows.0)
    }

    fn write_frame(&self, rows: &mut Rows) {
        rows.head("On the surgeon's screen".to_owned());
        let Some(frame) = &self.frame else {
            let why = self.no_picture.clone().unwrap_or_default();
            return rows.row("Frame", format!("{}: {why}", self.command.frame_seen));
        };
        rows.row("Frame", format!("{}, captured {}, leaf {}", frame.frame, frame.captured_utc, frame.leaf));
        let age = |us: Option<u64>| us.map_or("unknown".to_owned(), duration);
        let (console, edge) = (self.command.frame_age_us.map(u64::from), self.command.frame_age_by_edge_us);
        rows.row("Age", format!("{}, as the console reported with the command", age(console)));
        rows.row("", format!("{} when the command arrived, by the edge box's clock", age(edge)));
        for shown in &self.shown {
            let picture = if shown.same_picture { "the same picture hash" } else { "ANOTHER picture hash" };
            let (glass, at) = (duration(shown.glass_to_glass_us), shown.shown_us);
            rows.row(
                "Shown",
                format!("{glass} after its capture, at {at} µs of the console's clock, with {picture}"),
            );
            rows.row("", format!("signed by {}, leaf {}", shown.by, shown.leaf));
        }
        if self.shown.is_empty() {
            rows.row("Shown", "no report confirms it".to_owned());
        }
        rows.row("Picture hash", frame.picture_hash.clone());
        rows.row(
            "Picture",
            match (&self.no_picture, frame.picture_matches) {
                (Some(why), _) => format!("not to be had: {why}"),
                (None, Some(true)) => {
                    format!("{} access units from its key frame on, hashes match", frame.units)
                }
                (None, _) => {
                    format!("{} access units from its key frame on, a hash does NOT match", frame.units)
                }
            },
        );
    }
}

/// Why there is no picture to hand out.
#[derive(Debug, Error)]
pub enum NoPicture {
    #[error("there is no picture: {0}")]
    Missing(String),
    #[error("the picture makes no MP4 file ({0}); a name that ends in .h264 takes it as the bundle keeps it")]
    Clip(String),
}

impl From<NoClip> for NoPicture {
    fn from(error: NoClip) -> Self {
        Self::Clip(error.to_string())
    }
}

#[derive(Default)]
struct Rows(String);

impl Rows {
    // Writing into a string does not fail.
    fn head(&mut self, head: String) {
        let _ = writeln!(self.0, "\n{head}");
    }

    fn row(&mut self, name: &str, value: String) {
        let _ = writeln!(self.0, "  {name:<13} {}", crate::plain(&value));
    }
}
