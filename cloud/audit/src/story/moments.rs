//! Which pictures a report shows: the first, the last, and those that the surgeon saw when something happened.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use farhand_ledger::{Hash, Shown};
use farhand_wire::{EdgeTick, FrameId, LeaseToken, Sequence};

use super::runs::Run;

/// Frames that something may still be said about: half a minute of them.
const FRAMES_MAX: usize = 1024;
/// Commands that the kit has not judged yet, and then some: a minute at 250 a second.
const COMMANDS_MAX: usize = 16_384;
/// Of each kind; no report shows more pictures.
const CANDIDATES_MAX: usize = 64;

/// A frame, as its leaf has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameMark {
    pub(crate) leaf: u64,
    pub(crate) utc_us: u64,
    pub(crate) frame: FrameId,
    pub(crate) captured: EdgeTick,
    pub(crate) picture_hash: Hash,
    pub(crate) has_picture: bool,
    /// From being captured to what the picture is shown for, on the edge box's clock.
    pub(crate) age_us: Option<u64>,
    /// The command that names it, where one does.
    pub(crate) named_by: Option<NamedBy>,
    /// What the display reported of it.
    pub(crate) shown: Option<ShownMark>,
}

/// A command that names a frame as the last one seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedBy {
    pub(crate) token: LeaseToken,
    pub(crate) sequence: Sequence,
    /// The frame's age as the console reported it.
    pub(crate) age_us: Option<u32>,
}

/// A report of the display.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownMark {
    pub(crate) leaf: u64,
    /// From capture to display.
    pub(crate) glass_us: u64,
    /// Whether the browser received the picture that was sent.
    pub(crate) is_same: bool,
}

impl FrameMark {
    pub(super) fn take_shown(&mut self, leaf: u64, shown: &Shown) {
        let is_same = shown.picture_hash == self.picture_hash;
        self.shown = Some(ShownMark { leaf, glass_us: shown.glass_to_glass_us, is_same });
    }
}

/// A command, as its leaf has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandMark {
    pub(crate) utc_us: u64,
    pub(crate) recorded: EdgeTick,
    pub(crate) frame_seen: FrameId,
    pub(crate) named: NamedBy,
}

/// What was recorded last: frames and commands that other leaves refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    frames: VecDeque<FrameMark>,
    commands: BTreeMap<(LeaseToken, Sequence), CommandMark>,
    newest_command: Option<CommandMark>,
}

impl Recent {
    pub(crate) fn frame(&mut self, mark: FrameMark) {
        if self.frames.len() >= FRAMES_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(mark);
    }

    pub(crate) fn command(&mut self, mark: CommandMark) {
        self.newest_command = Some(mark);
        if self.commands.len() >= COMMANDS_MAX {
            self.commands.pop_first();
        }
        self.commands.insert((mark.named.token, mark.named.sequence), mark);
    }

    pub(crate) fn judged(&self, token: LeaseToken, sequence: Sequence) -> Option<CommandMark> {
        self.commands.get(&(token, sequence)).copied()
    }

    /// The frame that a command named, and how old it was when the command was recorded.
    pub(crate) fn seen_by(&self, command: CommandMark) -> Option<FrameMark> {
        let frame = self.frames.iter().rev().find(|mark| mark.frame == command.frame_seen)?;
        Some(FrameMark { named_by: Some(command.named), ..aged(*frame, command.recorded) })
    }

    /// What was on the screen at that moment: the frame that the newest command named; the newest frame, if none did.
    pub(crate) fn on_screen(&self, recorded: EdgeTick) -> Option<FrameMark> {
        let named = self.newest_command.and_then(|command| self.seen_by(command));
        named.or_else(|| self.frames.back().copied()).map(|frame| aged(frame, recorded))
    }

    pub(crate) fn shown(&mut self, leaf: u64, shown: &Shown) {
        let frame = self.frames.iter_mut().rev().find(|mark| mark.frame == shown.frame);
        frame.into_iter().for_each(|mark| mark.take_shown(leaf, shown));
    }
}

fn aged(frame: FrameMark, recorded: EdgeTick) -> FrameMark {
    FrameMark { age_us: recorded.0.checked_sub(frame.captured.0), ..frame }
}

/// Pictures that a report may show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    first: Option<FrameMark>,
    last: Option<FrameMark>,
    stops: Vec<FrameMark>,
    hand_overs: Vec<FrameMark>,
    /// Moments beyond those that are remembered.
    left_out: u64,
}

/// A picture to be shown, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) mark: FrameMark,
    pub(crate) why: Vec<String>,
}

impl Moments {
    pub(crate) fn frame(&mut self, mark: FrameMark) {
        if mark.has_picture {
            self.first.get_or_insert(mark);
            self.last = Some(mark);
        }
    }

    pub(crate) fn stop(&mut self, mark: Option<FrameMark>) {
        remember(&mut self.stops, mark, &mut self.left_out);
    }

    pub(crate) fn hand_over(&mut self, mark: Option<FrameMark>) {
        remember(&mut self.hand_overs, mark, &mut self.left_out);
    }

    /// The command is the first that names the first picture, or the newest that names the last.
    pub(crate) fn named(&mut self, frame: FrameId, named: NamedBy) {
        let first = self.first.as_mut().filter(|mark| mark.frame == frame && mark.named_by.is_none());
        let last = self.last.as_mut().filter(|mark| mark.frame == frame);
        first.into_iter().chain(last).for_each(|mark| mark.named_by = Some(named));
    }

    pub(crate) fn shown(&mut self, leaf: u64, shown: &Shown) {
        let all =
            self.stops.iter_mut().chain(&mut self.hand_overs).chain(&mut self.first).chain(&mut self.last);
        all.filter(|mark| mark.frame == shown.frame).for_each(|mark| mark.take_shown(leaf, shown));
    }

    /// At most `max` pictures in the order of their leaves, and how many moments are not among them. The first and the
    /// last picture come before e-stops, those before hand-overs, and those before refusals, the longest run first.
    pub(crate) fn choose<'a>(&self, runs: impl Iterator<Item = &'a Run>, max: usize) -> (Vec<Chosen>, u64) {
        let mut longest: Vec<&Run> = runs.collect();
        longest.sort_by_key(|run| std::cmp::Reverse(run.count));
        let ends = [(self.first, "First picture"), (self.last, "Last picture")];
        let ends = ends.into_iter().filter_map(|(mark, why)| Some((mark?, why.to_owned())));
        let stops = self.stops.iter().map(|mark| (*mark, "E-stop".to_owned()));
        let hand_overs = self.hand_overs.iter().map(|mark| (*mark, "Control changes hands".to_owned()));
        let refusals = longest.into_iter().filter_map(|run| Some((run.picture?, refusal_words(run))));
        let mut chosen: BTreeMap<u64, Chosen> = BTreeMap::new();
        let mut left_out = self.left_out;
        for (mark, why) in ends.chain(stops).chain(hand_overs).chain(refusals) {
            let room = chosen.len() < max;
            match chosen.entry(mark.leaf) {
                Entry::Occupied(mut one) => one.get_mut().why.push(why),
                Entry::Vacant(place) if room => {
                    place.insert(Chosen { mark, why: vec![why] });
                }
                Entry::Vacant(_) => left_out += 1,
            }
        }
        (chosen.into_values().collect(), left_out)
    }
}

fn refusal_words(run: &Run) -> String {
    match run.count {
        1 => format!("Command {} is refused: {}", run.first, run.said_first.words()),
        count => format!("{count} commands are refused from {} on: {}", run.first, run.said_first.words()),
    }
}

fn remember(marks: &mut Vec<FrameMark>, mark: Option<FrameMark>, left_out: &mut u64) {
    match mark {
        Some(mark) if marks.len() < CANDIDATES_MAX => marks.push(mark),
        Some(_) => *left_out += 1,
        None => {}
    }
}
