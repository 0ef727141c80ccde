//! Takes leaves, or pictures, out of a bundle, so that everything else can still be verified.

use std::{collections::BTreeSet, fmt, io::Write, str::FromStr};

use farhand_ledger::{
    Entry, What,
    verify::{Leaf, redact as hash_of},
};
use thiserror::Error;

use crate::{Reader, Source, Unreadable, WriteError, Writer};

/// So much is marked at once.
pub const MARKS_MAX: usize = 1024;
/// Kinds that may be taken out. The opening, the closing and restarts may not: nothing would hold without them.
pub const KINDS: [&str; 15] = [
    "command",
    "surgeon-segment",
    "kit-segment",
    "frame",
    "display-report",
    "statement",
    "kit-state",
    "overlay",
    "engagement",
    "region",
    "switch",
    "gap",
    "clock",
    "proof",
    "personal",
];
const PICTURES: &str = "pictures";

/// What to take out. It is written as marks with commas between them, `12,40-45,kit-state,pictures`: leaves by number, all
/// of a kind, all pictures. Of pictures, what their leaves say of them stays; a frame goes with its picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Redaction {
    /// Leaves from and to.
    pub spans: BTreeSet<(u64, u64)>,
    /// Of [`KINDS`].
    pub kinds: BTreeSet<&'static str>,
    pub pictures: bool,
}

/// Why marks are none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadMarks {
    #[error("\"{mark}\" is no leaf (12), no leaves from-to (40-45), nor \"pictures\" or one of {}", KINDS.join(", "))]
    Unknown { mark: String },
    #[error("\"{mark}\" ends before it begins")]
    Backwards { mark: String },
    #[error("{seen} marks, at most {MARKS_MAX} are taken: mark leaves from-to, or all of a kind")]
    TooMany { seen: usize },
}

impl Redaction {
    /// Whether everything stays.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn mark(&mut self, mark: &str) -> Result<(), BadMarks> {
        let (first, last) = mark.split_once('-').unwrap_or((mark, mark));
        if let Some(kind) = KINDS.iter().find(|kind| **kind == mark) {
            self.kinds.insert(kind);
        } else if mark == PICTURES {
            self.pictures = true;
        } else if let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) {
            if last < first {
                return Err(BadMarks::Backwards { mark: mark.to_owned() });
            }
            self.spans.insert((first, last));
        } else {
            return Err(BadMarks::Unknown { mark: mark.to_owned() });
        }
        Ok(())
    }

    fn takes(&self, number: u64, leaf: &[u8]) -> bool {
        let of_kind = || Entry::read(leaf).is_ok_and(|entry| self.kinds.contains(kind(&entry.what)));
        self.spans.iter().any(|&(first, last)| (first..=last).contains(&number))
            || (!self.kinds.is_empty() && of_kind())
    }
}

/// Leaves by number.
impl FromIterator<u64> for Redaction {
    fn from_iter<I: IntoIterator<Item = u64>>(leaves: I) -> Self {
        Self { spans: leaves.into_iter().map(|leaf| (leaf, leaf)).collect(), ..Self::default() }
    }
}

impl FromStr for Redaction {
    type Err = BadMarks;

    fn from_str(marks: &str) -> Result<Self, BadMarks> {
        let seen = marks.split(',').count();
        if seen > MARKS_MAX {
            return Err(BadMarks::TooMany { seen });
        }
        let mut redaction = Self::default();
        marks.split(',').try_for_each(|mark| redaction.mark(mark.trim()))?;
        Ok(redaction)
    }
}

/// The same redaction has the same marks.
impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans = self.spans.iter().map(|(first, last)| format!("{first}-{last}"));
        let words = self.kinds.iter().copied().chain(self.pictures.then_some(PICTURES)).map(str::to_owned);
        f.write_str(&spans.chain(words).collect::<Vec<_>>().join(","))
    }
}

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// Leaves that are redacted now and were not before.
    pub leaves: u64,
    pub pictures: u64,
}

/// Why nothing was taken out. What was written by then is no bundle.
#[derive(Debug, Error)]
pub enum BadRedaction {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("there is no leaf {leaf}, the bundle has {leaves}")]
    NoLeaf { leaf: u64, leaves: u64 },
    #[error("leaf {leaf} {what}: without it the rest does not hold, leave it unmarked")]
    Needed { leaf: u64, what: &'static str },
}

/// Writes the bundle to `out` without what is to be taken out: a redacted leaf leaves its hash and nothing else.
pub fn redact<S: Source, W: Write>(
    reader: &Reader<S>,
    redaction: &Redaction,
    out: W,
) -> Result<(W, Redacted), BadRedaction> {
    redact_and(reader, redaction, out, |_, _| {})
}

/// The same, and says how far it is: bytes read, of how many.
pub fn redact_and<S: Source, W: Write>(
    reader: &Reader<S>,
    redaction: &Redaction,
    out: W,
    mut progress: impl FnMut(u64, u64),
) -> Result<(W, Redacted), BadRedaction> {
    let mut writer = Writer::new(out)?;
    let mut redacted = Redacted::default();
    let mut contents = reader.contents();
    while let Some(content) = contents.next() {
        let content = content?;
        progress(contents.at(), reader.bytes());
        let number = writer.leaves();
        let unit = content.unit.as_deref().filter(|_| !redaction.pictures);
        let mut goes = false;
        match &content.leaf {
            Leaf::Redacted(hash) => writer.redacted(*hash)?,
            Leaf::Whole(leaf) if redaction.takes(number, leaf) => {
                goes = true;
                needed(number, leaf)?;
                let Leaf::Redacted(hash) = hash_of(leaf) else { continue };
                writer.redacted(hash)?;
                redacted.leaves += 1;
            }
            Leaf::Whole(leaf) => writer.leaf(leaf, unit)?,
        }
        redacted.pictures += u64::from(content.unit.is_some() && (goes || redaction.pictures));
    }
    let leaves = writer.leaves();
    let last = redaction.spans.iter().map(|&(_, last)| last).max();
    if let Some(leaf) = last.filter(|leaf| *leaf >= leaves) {
        return Err(BadRedaction::NoLeaf { leaf, leaves });
    }
    let (mut checkpoints, bytes) = reader.checkpoint_records()?;
    Ok((writer.finish(reader.manifest(), &reader.seal()?, &mut checkpoints, bytes)?, redacted))
}

fn needed(number: u64, leaf: &[u8]) -> Result<(), BadRedaction> {
    let what = match Entry::read(leaf).map(|entry| entry.what) {
        Ok(What::Opened { .. }) => "is the opening",
        Ok(What::Closed(_)) => "is the closing",
        // The clock falls there and nowhere else.
        Ok(What::Restarted { .. }) => "says where the edge box's clock began anew",
        _ => return Ok(()),
    };
    Err(BadRedaction::Needed { leaf: number, what })
}

/// One of [`KINDS`], or nothing for what is needed.
fn kind(what: &What) -> &'static str {
    match what {
        What::Command { .. } => "command",
        What::SurgeonSegment { .. } => "surgeon-segment",
        What::KitSegment { .. } => "kit-segment",
        What::Frame(_) => "frame",
        What::DisplayReport { .. } => "display-report",
        What::Statement { .. } => "statement",
        What::KitState { .. } => "kit-state",
        What::Overlay { .. } => "overlay",
        What::Engagement { .. } => "engagement",
        What::Region { .. } => "region",
        What::Switch { .. } => "switch",
        What::Gap(_) => "gap",
        What::Clock { .. } => "clock",
        What::Proof { .. } => "proof",
        What::Personal { .. } => "personal",
        What::Opened { .. } | What::Restarted { .. } | What::Closed(_) => "",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    /// Goal: marks mean what they say, in one way, and nonsense is refused with what would do.
    #[test]
    fn marks() {
        let redaction: Redaction = "kit-state, 40-42,7,pictures,clock,7-7".parse().unwrap();
        assert_eq!(redaction.to_string(), "7-7,40-42,clock,kit-state,pictures");
        assert_eq!(redaction.to_string().parse(), Ok(redaction));
        assert!(Redaction::default().is_nothing());
        for bad in ["", "a", "5-3", "-", "1-", "closed", "1,,2", "0-18446744073709551616"] {
            assert!(bad.parse::<Redaction>().is_err(), "{bad}");
        }
        let many = |count: usize| vec!["1"; count].join(",").parse::<Redaction>();
        assert!(many(MARKS_MAX).is_ok());
        assert_eq!(many(MARKS_MAX + 1), Err(BadMarks::TooMany { seen: MARKS_MAX + 1 }));
    }
}
