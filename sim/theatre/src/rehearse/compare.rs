//! What the surgeon's console received against what the bundle holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

use anyhow::Context as _;
use farhand_agent::{PLAYED, VIDEO};
use farhand_bundle::Reader;
use farhand_ledger::{Entry, KitSegment, Outcome, Segment as _, What, verify::Leaf};
use farhand_wire::{Command, EdgeTick, KitTick, LeaseToken, Sequence};

use super::surgeon::Seen;

/// Pictures, by number.
#[derive(Debug)]
pub(crate) struct Compared {
    /// Received by the console, with both hashes.
    received: usize,
    pub(super) logged: usize,
    /// Received, recorded and logged with the same hashes.
    pub(super) equal: usize,
    /// Received and logged, with another hash in one of the two.
    pub(super) differ: usize,
    /// The edge box's program started again in the middle of the session.
    pub(super) restarts: u64,
    /// Commands that the kit judged, or that were the newest to be called durable, and that the log has not, though the edge
    /// box's program did not end before it could have said that they are durable.
    pub(super) lost: u64,
    /// Why the picture was last switched off, if not because it had been played.
    pub(super) video_broke: Option<String>,
}

impl Compared {
    pub(super) fn all_equal(&self) -> bool {
        self.received == self.equal && self.logged == self.equal && self.equal > 0
    }
}

/// Holds every picture against the log.
pub(super) fn with_log(bundle: &Path, seen: &Seen) -> anyhow::Result<Compared> {
    let (mut logged, mut video_broke, mut restarts) = (BTreeMap::new(), None, 0);
    let (mut commands, mut judged) = (BTreeSet::new(), BTreeSet::new());
    let read = each_entry(bundle, |what| match what {
        What::Frame(entry) => {
            logged.insert(entry.frame, entry);
        }
        What::Switch { what, on, reason } if what == VIDEO => {
            video_broke = (!on && reason != PLAYED).then_some(reason);
        }
        What::Restarted { .. } => restarts += 1,
        What::Command { frame } => {
            commands.extend(Command::read(&frame).map(|command| (command.token, command.sequence)));
        }
        What::KitSegment { signed } => {
            if let Ok((_, segment)) = KitSegment::open(&signed) {
                judged.extend(segment.verdicts.iter().map(|verdict| (segment.token, verdict.sequence)));
            }
        }
        _ => {}
    });
    read.with_context(|| format!("{} can't be read", bundle.display()))?;
    let equal = seen.pictures.iter().filter(|(frame, (au, picture))| {
        let entry = logged.get(frame);
        let record = seen.records.get(frame);
        entry.is_some_and(|entry| entry.au_hash == *au && entry.picture_hash == *picture)
            && record.is_some_and(|record| record.au_hash == au.0 && record.picture_hash == picture.0)
    });
    let equal = equal.count();
    let both = seen.pictures.keys().filter(|frame| logged.contains_key(frame)).count();
    let unsure = |(of, sequence): &(LeaseToken, Sequence)| {
        seen.unsure.iter().any(|(token, after, to)| token == of && after < sequence && sequence <= to)
    };
    let newest =
        seen.durable.iter().filter(|(_, newest)| newest.0 > 0).map(|(token, newest)| (*token, *newest));
    judged.retain(|command| !unsure(command));
    judged.extend(newest);
    Ok(Compared {
        received: seen.pictures.len(),
        equal,
        differ: both - equal,
        logged: logged.len(),
        restarts,
        lost: judged.difference(&commands).count() as u64,
        video_broke,
    })
}

/// When the kit took each command in, by its own signed word.
pub(crate) fn taken_in(bundle: &Path) -> anyhow::Result<BTreeMap<(LeaseToken, Sequence), KitTick>> {
    let mut ticks = BTreeMap::new();
    each_entry(bundle, |what| {
        if let What::KitSegment { signed } = what
            && let Ok((_, segment)) = KitSegment::open(&signed)
        {
            let taken = segment.verdicts.iter().filter(|verdict| verdict.outcome == Outcome::TakenIn);
            ticks.extend(taken.map(|verdict| ((segment.token, verdict.sequence), verdict.tick)));
        }
    })?;
    Ok(ticks)
}

/// When the edge box put each command on record, on its own clock; it goes to the kit next.
pub(crate) fn relayed(bundle: &Path) -> anyhow::Result<BTreeMap<(LeaseToken, Sequence), EdgeTick>> {
    let mut ticks = BTreeMap::new();
    each(bundle, |entry| {
        if let What::Command { frame } = entry.what
            && let Ok(command) = Command::read(&frame)
        {
            ticks.insert((command.token, command.sequence), entry.recorded);
        }
    })?;
    Ok(ticks)
}

/// What every entry that is whole says, in the record's order.
pub(super) fn each_entry(bundle: &Path, mut take: impl FnMut(What)) -> anyhow::Result<()> {
    each(bundle, |entry| take(entry.what))
}

fn each(bundle: &Path, mut take: impl FnMut(Entry)) -> anyhow::Result<()> {
    let reader = Reader::open(File::open(bundle)?)?;
    for content in reader.contents() {
        if let Leaf::Whole(bytes) = content?.leaf
            && let Ok(entry) = Entry::read(&bytes)
        {
            take(entry);
        }
    }
    Ok(())
}
