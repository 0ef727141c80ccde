//! Three tables, RFC 4180, units in the names of columns. Commands have the kit's verdict beside them, frames what the
//! display said. A cell that a spreadsheet would take for a formula begins with an apostrophe.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use csv::Writer;
use farhand_bundle::Passed;
use farhand_ledger::{DisplayReport, FrameEntry, KitSegment, Segment, What};
use farhand_wire::{Command, FrameId, LeaseToken, Sequence};

use super::{CameOut, Tables, waiting::Waiting};
use crate::{
    files::finish,
    show::{Line, line_of},
    story::{
        Story,
        runs::{Reason, reason_name},
    },
    time::rfc3339,
    words::plain,
};

pub(super) const COMMANDS: &str = "commands.csv";
pub(super) const FRAMES: &str = "frames.csv";
pub(super) const EVENTS: &str = "events.csv";
pub(super) const VERIFICATION: &str = "verification.json";

const COMMAND_HEADS: [&str; 30] = [
    "leaf",
    "utc",
    "utc_uncertainty_us",
    "edge_clock_us",
    "token",
    "command",
    "arm",
    "dead_man",
    "clutch",
    "engagement",
    "hold",
    "target_x_mm",
    "target_y_mm",
    "target_z_mm",
    "target_qw",
    "target_qx",
    "target_qy",
    "target_qz",
    "jaw_rad",
    "frame_seen",
    "frame_age_ms",
    "kit_tick_echo_us",
    "verdict",
    "reason",
    "reason_seen",
    "reason_limit",
    "reason_in_words",
    "verdict_kit_tick_us",
    "verdict_leaf",
    "verdicts",
];
const FRAME_HEADS: [&str; 17] = [
    "leaf",
    "utc",
    "utc_uncertainty_us",
    "edge_clock_us",
    "frame",
    "captured_edge_clock_us",
    "kit_tick_at_capture_us",
    "rtp_timestamp_90khz",
    "key_frame",
    "access_unit_bytes",
    "picture_in_bundle",
    "access_unit_sha256",
    "picture_sha256",
    "shown_console_clock_us",
    "glass_to_glass_ms",
    "shown_picture_matches",
    "shown_leaf",
];
const EVENT_HEADS: [&str; 7] =
    ["leaf", "utc", "utc_uncertainty_us", "kind", "signed_by_key", "signed_by", "what"];

/// Where the verdict stands in a row of a command.
const VERDICT: usize = 22;
/// Where the display's word stands in a row of a frame.
const SHOWN: usize = 13;
const PICTURE_HASH: usize = 12;

type Row = Vec<String>;

/// The tables under way.
pub(super) struct Csv {
    commands: Writer<BufWriter<File>>,
    frames: Writer<BufWriter<File>>,
    events: Writer<BufWriter<File>>,
    verification: BufWriter<File>,
    /// Commands, and how many verdicts each has.
    judged: Waiting<(LeaseToken, Sequence), (Row, u64)>,
    shown: Waiting<FrameId, Row>,
}

impl Csv {
    pub(super) fn new([commands, frames, events, verification]: [BufWriter<File>; 4]) -> io::Result<Self> {
        Ok(Self {
            commands: begun(commands, &COMMAND_HEADS)?,
            frames: begun(frames, &FRAME_HEADS)?,
            events: begun(events, &EVENT_HEADS)?,
            verification,
            judged: Waiting::new(),
            shown: Waiting::new(),
        })
    }

    fn take_command(&mut self, passed: &Passed<'_>, at: Head, frame: &[u8]) -> io::Result<()> {
        // One that can't be read has a row too, and the verifier's finding.
        let command = Command::read(frame).ok();
        let key = command.as_ref().map_or_else(Default::default, |command| (command.token, command.sequence));
        let row = command_row(at.cells(passed), command.as_ref());
        match self.judged.push(key, (row, 0)) {
            Some(row) => self.write_command(row),
            None => Ok(()),
        }
    }

    fn write_command(&mut self, (mut row, verdicts): (Row, u64)) -> io::Result<()> {
        row.resize(COMMAND_HEADS.len() - 1, String::new());
        row.push(verdicts.to_string());
        write(&mut self.commands, &row)
    }

    /// The first verdict stands in the row. A command that came over two paths has a second one: refused as old.
    fn take_verdicts(&mut self, leaf: u64, signed: &[u8], story: &Story) {
        let Some(segment) = KitSegment::open(signed).ok().filter(|(author, _)| story.is_kit(author)) else {
            return;
        };
        let segment = segment.1;
        for verdict in &segment.verdicts {
            let Some((row, verdicts)) = self.judged.get_mut(&(segment.token, verdict.sequence)) else {
                continue;
            };
            *verdicts += 1;
            if *verdicts > 1 {
                continue;
            }
            let said = Reason::of(verdict.outcome);
            row.truncate(VERDICT);
            row.push(if said.is_some() { "refused" } else { "taken in" }.to_owned());
            row.extend(said.map_or_else(|| vec![String::new(); 4], reason_cells));
            row.extend([verdict.tick.0.to_string(), leaf.to_string()]);
        }
    }

    fn take_frame(&mut self, passed: &Passed<'_>, at: Head, frame: &FrameEntry) -> io::Result<()> {
        match self.shown.push(frame.frame, frame_row(passed, at, frame)) {
            Some(row) => self.write_frame(row),
            None => Ok(()),
        }
    }

    fn write_frame(&mut self, mut row: Row) -> io::Result<()> {
        row.resize(FRAME_HEADS.len(), String::new());
        write(&mut self.frames, &row)
    }

    fn take_shown(&mut self, leaf: u64, signed: &[u8]) {
        let Ok((_, report)) = DisplayReport::open(signed) else { return };
        for shown in &report.shown {
            let Some(row) = self.shown.get_mut(&shown.frame) else { continue };
            let matches = row.get(PICTURE_HASH).is_some_and(|hash| *hash == shown.picture_hash.to_string());
            row.truncate(SHOWN);
            row.extend([
                shown.shown_us.to_string(),
                thousandths(shown.glass_to_glass_us),
                matches.to_string(),
                leaf.to_string(),
            ]);
        }
    }

    fn write_event(&mut self, line: &Line, story: &Story) -> io::Result<()> {
        let name = line.by.as_deref().and_then(|key| story.name_of(key)).unwrap_or_default();
        let key = line.by.clone().unwrap_or_default();
        let (leaf, utc, off) = (line.leaf.to_string(), line.utc.clone(), off_cell(story.uncertainty_us));
        let row = [leaf, utc, off, text(line.kind), key, text(name), text(&line.what)];
        write(&mut self.events, &row)
    }
}

impl Tables for Csv {
    fn take(&mut self, passed: &Passed<'_>, story: &Story) -> io::Result<()> {
        if let Some(line) = line_of(passed) {
            self.write_event(&line, story)?;
        }
        let Some(entry) = passed.entry else { return Ok(()) };
        let at = Head { recorded_us: entry.recorded.0, off_us: story.uncertainty_us };
        match &entry.what {
            What::Command { frame } => self.take_command(passed, at, frame)?,
            What::KitSegment { signed } => self.take_verdicts(passed.number, signed, story),
            What::Frame(frame) => self.take_frame(passed, at, frame)?,
            What::DisplayReport { signed } => self.take_shown(passed.number, signed),
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self, came_out: &CameOut<'_>) -> io::Result<()> {
        while let Some(row) = self.judged.pop() {
            self.write_command(row)?;
        }
        while let Some(row) = self.shown.pop() {
            self.write_frame(row)?;
        }
        for table in [self.commands, self.frames, self.events] {
            finish(table.into_inner().map_err(|error| io::Error::from(error.error().kind()))?)?;
        }
        let mut verification = self.verification;
        let whole = serde_json::json!({ "bundle_sha256": came_out.sha256, "report": came_out.report });
        writeln!(verification, "{whole:#}")?;
        finish(verification)
    }
}

fn begun(file: BufWriter<File>, heads: &[&str]) -> io::Result<Writer<BufWriter<File>>> {
    let mut table = Writer::from_writer(file);
    table.write_record(heads).map_err(io::Error::from)?;
    Ok(table)
}

fn write(table: &mut Writer<BufWriter<File>>, row: &[String]) -> io::Result<()> {
    table.write_record(row).map_err(io::Error::from)
}

/// When a leaf was recorded by the edge box's clock, and how far UTC may be off then.
#[derive(Clone, Copy, Debug)]
struct Head {
    recorded_us: u64,
    off_us: Option<u64>,
}

impl Head {
    fn cells(self, passed: &Passed<'_>) -> Row {
        let (number, utc) = (passed.number.to_string(), rfc3339(passed.utc_us));
        vec![number, utc, off_cell(self.off_us), self.recorded_us.to_string()]
    }
}

fn off_cell(off_us: Option<u64>) -> String {
    off_us.map(|us| us.to_string()).unwrap_or_default()
}

fn command_row(mut row: Row, command: Option<&Command>) -> Row {
    let Some(command) = command else {
        row.resize(VERDICT, String::new());
        return row;
    };
    row.extend([command.token.0, command.sequence.0, command.arm.into()].map(|number| number.to_string()));
    row.extend([command.dead_man, command.clutch].map(|is| is.to_string()));
    row.extend([command.engagement.0, command.hold.0].map(|number| number.to_string()));
    row.extend(command.target.position_m.map(|m| (m * 1000.0).to_string()));
    row.extend(command.target.orientation_wxyz.map(|part| part.to_string()));
    row.extend([command.jaw_rad.to_string(), command.frame_seen.to_string()]);
    row.push(command.frame_age_us.map(|us| thousandths(us.into())).unwrap_or_default());
    row.push(command.kit_tick_echo.0.to_string());
    row
}

fn frame_row(passed: &Passed<'_>, at: Head, frame: &FrameEntry) -> Row {
    let mut row = at.cells(passed);
    row.extend([
        frame.frame.to_string(),
        frame.captured.0.to_string(),
        frame.kit_tick_at_capture.0.to_string(),
        frame.rtp_timestamp.to_string(),
        frame.key_frame.to_string(),
        frame.au_bytes.to_string(),
        passed.has_picture.to_string(),
        frame.au_hash.to_string(),
        frame.picture_hash.to_string(),
    ]);
    row
}

fn reason_cells(said: Reason) -> Row {
    let numbers = [said.seen().to_string(), said.limit().to_string()];
    [vec![reason_name(said.code).to_owned()], numbers.to_vec(), vec![said.words()]].concat()
}

fn thousandths(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// Anybody's text, for a spreadsheet.
fn text(text: &str) -> String {
    let text = plain(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no text is a formula, and the places that are filled in later are the ones that they are named.
    #[test]
    fn cells_are_what_they_say() {
        assert_eq!(
            (text("=1+1"), text("@x"), text("S1")),
            ("'=1+1".to_owned(), "'@x".to_owned(), "S1".to_owned())
        );
        assert_eq!((COMMAND_HEADS[VERDICT], FRAME_HEADS[SHOWN]), ("verdict", "shown_console_clock_us"));
        assert_eq!(FRAME_HEADS[PICTURE_HASH], "picture_sha256");
        assert_eq!(thousandths(23_004), "23.004");
    }
}
