//! Takes leaves, or pictures, out of a bundle, so that everything else can still be verified.

use std::{collections::BTreeSet, io::Write};

use farhand_ledger::{
    Entry, What,
    verify::{Leaf, redact as hash_of},
};
use thiserror::Error;

use crate::{Reader, Source, Unreadable, WriteError, Writer};

/// What to take out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Numbers of leaves; a frame goes with its picture.
    pub leaves: BTreeSet<u64>,
    /// All pictures; what their leaves say of them stays.
    pub pictures: bool,
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
    #[error("leaf {leaf} {what}: without it nothing can be verified")]
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
        let goes = redaction.leaves.contains(&number);
        match &content.leaf {
            Leaf::Redacted(hash) => writer.redacted(*hash)?,
            Leaf::Whole(leaf) if goes => {
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
    if let Some(leaf) = redaction.leaves.last().copied().filter(|leaf| *leaf >= leaves) {
        return Err(BadRedaction::NoLeaf { leaf, leaves });
    }
    let (mut checkpoints, bytes) = reader.checkpoint_records()?;
    Ok((writer.finish(reader.manifest(), &reader.seal()?, &mut checkpoints, bytes)?, redacted))
}

fn needed(number: u64, leaf: &[u8]) -> Result<(), BadRedaction> {
    let what = match Entry::read(leaf).map(|entry| entry.what) {
        Ok(What::Opened { .. }) => "is the opening",
        Ok(What::Closed(_)) => "is the closing",
        _ => return Ok(()),
    };
    Err(BadRedaction::Needed { leaf: number, what })
}
