//! Verifies a bundle: its leaves and proofs by the ledger's rules, its pictures by the hashes in their leaves, and every
//! other byte by writing the file again.

use std::{
    fmt,
    sync::{
        Mutex, OnceLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Scope, available_parallelism},
};

use farhand_ledger::{
    Entry, FrameEntry, Hash, TrustRoot, What, picture,
    verify::{Frame, Leaf, Report, Verdict, Verifier},
};
use thiserror::Error;

use crate::{
    Content, Reader, Source, Unreadable, WriteError, Writer, compare::Compare, encode, video::is_one_form,
};

/// No more faults of the container are listed; the rest is counted.
pub const FAULTS_MAX: usize = 100;
/// Pictures that wait for a thread to hash them.
const WAITING_MAX: usize = 64;

/// What the container has that its content does not make so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("byte {at} of the file is {seen:#04x}, its content makes it {expected:#04x}")]
    Byte { at: u64, seen: u8, expected: u8 },
    #[error("the file has {seen} bytes, its content makes {expected}")]
    Length { seen: u64, expected: u64 },
    #[error("leaf {leaf}: {what} of frame {frame} has hash {seen}, the leaf says {expected}")]
    Picture { leaf: u64, frame: u64, what: &'static str, seen: Hash, expected: Hash },
    #[error("leaf {leaf}: the access unit of frame {frame} holds bytes that were not sent")]
    Form { leaf: u64, frame: u64 },
    #[error("leaf {leaf} is no frame, and has a picture")]
    Stray { leaf: u64 },
    #[error("what the bundle holds can't be written again: {error}")]
    Writing { error: String },
}

impl Fault {
    /// At which leaf.
    #[must_use]
    pub fn leaf(&self) -> Option<u64> {
        match *self {
            Self::Picture { leaf, .. } | Self::Form { leaf, .. } | Self::Stray { leaf } => Some(leaf),
            Self::Byte { .. } | Self::Length { .. } | Self::Writing { .. } => None,
        }
    }

    /// Its name in `docs/evidence-format.md`, section 12.1: the same for every verifier.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Byte { .. } | Self::Length { .. } | Self::Writing { .. } => "container",
            Self::Picture { .. } => "picture",
            Self::Form { .. } => "picture-form",
            Self::Stray { .. } => "stray-picture",
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// About leaves and proofs.
    pub report: Report,
    /// About the container: first what is about no leaf, then leaf by leaf.
    pub faults: Vec<Fault>,
    /// Faults beyond [`FAULTS_MAX`].
    pub faults_left_out: u64,
    /// Bytes of the file, all of which were compared.
    pub bytes: u64,
    /// Frames whose picture is there.
    pub pictures: u64,
    /// Frames whose leaf is there and whose picture is not.
    pub pictures_left_out: u64,
}

impl Verified {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.faults.is_empty() { self.report.verdict } else { Verdict::DoesNotHold }
    }
}

/// One leaf, as it is passed: for whoever makes a report of its own, or shows how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    pub number: u64,
    /// `None` if it is redacted or can't be read.
    pub entry: Option<&'a Entry>,
    pub redacted: Option<Hash>,
    pub has_picture: bool,
    /// UTC, as log times have it.
    pub utc_us: u64,
    /// Where reading stands in the file, and how long that is.
    pub at_bytes: u64,
    pub bytes: u64,
}

/// Verifies a bundle under `trust`. Without it the best verdict is [`Verdict::Untrusted`].
pub fn verify<S: Source>(reader: &Reader<S>, trust: Option<&TrustRoot>) -> Result<Verified, Unreadable> {
    verify_and(reader, trust, |_| {})
}

/// The same, and shows every leaf to `see`.
pub fn verify_and<S: Source>(
    reader: &Reader<S>,
    trust: Option<&TrustRoot>,
    see: impl FnMut(Passed<'_>),
) -> Result<Verified, Unreadable> {
    let broken = OnceLock::new();
    let faults = Mutex::new(Faults::default());
    let (to_hash, waiting) = sync_channel(WAITING_MAX);
    let waiting = Mutex::new(waiting);
    let seen = std::thread::scope(|scope| {
        start_hashing(scope, &waiting, &faults);
        Pass { reader, faults: &faults, to_hash, see }.run(trust, &broken)
    });
    let (report, pictures, pictures_left_out) = seen?;
    if let Some(error) = broken.into_inner() {
        return Err(error);
    }
    let Faults { mut list, left_out } =
        faults.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Threads find them in any order.
    list.sort_by_key(Fault::leaf);
    let bytes = reader.bytes();
    Ok(Verified { report, faults: list, faults_left_out: left_out, bytes, pictures, pictures_left_out })
}

/// One pass over a bundle.
struct Pass<'a, S, F> {
    reader: &'a Reader<S>,
    faults: &'a Mutex<Faults>,
    to_hash: SyncSender<Picture>,
    see: F,
}

impl<'a, S: Source, F: FnMut(Passed<'_>)> Pass<'a, S, F> {
    fn run(
        mut self,
        trust: Option<&TrustRoot>,
        broken: &'a OnceLock<Unreadable>,
    ) -> Result<(Report, u64, u64), Unreadable> {
        let reader = self.reader;
        let bundle = Frame {
            manifest: reader.manifest().to_vec(),
            seal: reader.seal()?,
            checkpoints: reader.checkpoints().with_fault(broken),
        };
        let mut verifier = Verifier::new(bundle, trust);
        let mut again = Again::new(reader);
        let (mut pictures, mut left_out) = (0, 0);
        let mut contents = reader.contents();
        while let Some(content) = contents.next() {
            let content = content?;
            let number = again.leaves();
            let entry = verifier.leaf(&content.leaf);
            again.put(&content, entry.as_ref(), self.faults);
            self.show(number, &content, entry.as_ref(), (again.utc_us(), contents.at()));
            match (entry.map(|entry| entry.what), content.unit) {
                (Some(What::Frame(frame)), Some(unit)) => {
                    pictures += 1;
                    // Nobody stops listening before this pass ends.
                    let _ = self.to_hash.send(Picture { leaf: number, frame, unit });
                }
                (Some(What::Frame(_)), None) => left_out += 1,
                _ => {}
            }
        }
        let report = verifier.finish();
        again.finish(self.faults)?;
        Ok((report, pictures, left_out))
    }

    fn show(
        &mut self,
        number: u64,
        content: &Content,
        entry: Option<&Entry>,
        (utc_us, at_bytes): (u64, u64),
    ) {
        let redacted = match content.leaf {
            Leaf::Redacted(hash) => Some(hash),
            Leaf::Whole(_) => None,
        };
        let (has_picture, bytes) = (content.unit.is_some(), self.reader.bytes());
        (self.see)(Passed { number, entry, redacted, has_picture, utc_us, at_bytes, bytes });
    }
}

/// The bundle, written again.
struct Again<'a, S: Source> {
    reader: &'a Reader<S>,
    /// `None` once it can't be written on.
    writer: Option<Writer<Compare<'a, S>>>,
    leaves: u64,
    utc_us: u64,
}

impl<'a, S: Source> Again<'a, S> {
    fn new(reader: &'a Reader<S>) -> Self {
        let writer = Writer::new(Compare::new(reader.source())).ok();
        Self { reader, writer, leaves: 0, utc_us: 0 }
    }

    fn leaves(&self) -> u64 {
        self.leaves
    }

    fn utc_us(&self) -> u64 {
        self.utc_us
    }

    fn put(&mut self, content: &Content, entry: Option<&Entry>, faults: &Mutex<Faults>) {
        self.leaves += 1;
        let Some(writer) = &mut self.writer else { return };
        let redacted;
        let message = match &content.leaf {
            Leaf::Whole(bytes) => bytes,
            Leaf::Redacted(hash) => {
                redacted = encode::redacted(*hash);
                &redacted
            }
        };
        let put = writer.put(message, entry, content.unit.as_deref());
        self.utc_us = writer.utc_us();
        if let Err(error) = put {
            add(faults, error.into());
            self.writer = None;
        }
    }

    fn finish(self, faults: &Mutex<Faults>) -> Result<(), Unreadable> {
        let Some(writer) = self.writer else { return Ok(()) };
        let (mut checkpoints, bytes) = self.reader.checkpoint_records()?;
        match writer.finish(self.reader.manifest(), &self.reader.seal()?, &mut checkpoints, bytes) {
            Ok(compare) => self.reader.compare_ends(compare, faults),
            Err(error) => add(faults, error.into()),
        }
        Ok(())
    }
}

impl<S: Source> Reader<S> {
    fn compare_ends(&self, compare: Compare<'_, S>, faults: &Mutex<Faults>) {
        let (difference, expected) = compare.finish();
        let seen = self.bytes();
        match difference {
            Some(difference) => match difference.seen {
                Some(seen) => {
                    add(faults, Fault::Byte { at: difference.at, seen, expected: difference.expected })
                }
                None => add(faults, Fault::Length { seen, expected }),
            },
            None if seen != expected => add(faults, Fault::Length { seen, expected }),
            None => {}
        }
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotAFrame { leaf } => Self::Stray { leaf },
            error => Self::Writing { error: error.to_string() },
        }
    }
}

/// A picture to be hashed.
struct Picture {
    leaf: u64,
    frame: FrameEntry,
    unit: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

impl Picture {
    fn check(&self, faults: &Mutex<Faults>) {
        let (leaf, frame) = (self.leaf, self.frame.frame.0);
        if !is_one_form(&self.unit) {
            add(faults, Fault::Form { leaf, frame });
        }
        let seen = picture::hashes(&self.unit);
        for (what, seen, expected) in [
            ("the access unit", seen.au_hash, self.frame.au_hash),
            ("the picture", seen.picture_hash, self.frame.picture_hash),
        ] {
            if seen != expected {
                add(faults, Fault::Picture { leaf, frame, what, seen, expected });
            }
        }
    }
}

/// Starts threads that hash pictures until no more come.
fn start_hashing<'scope>(
    scope: &'scope Scope<'scope, '_>,
    waiting: &'scope Mutex<Receiver<Picture>>,
    faults: &'scope Mutex<Faults>,
) {
    let threads = available_parallelism().map_or(1, |threads| threads.get().saturating_sub(1).clamp(1, 4));
    for _ in 0..threads {
        scope.spawn(move || {
            loop {
                let picture = waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
                match picture {
                    Some(picture) => picture.check(faults),
                    None => return,
                }
            }
        });
    }
}

/// Faults so far, bounded.
#[derive(Debug, Default)]
struct Faults {
    list: Vec<Fault>,
    left_out: u64,
}

fn add(faults: &Mutex<Faults>, fault: Fault) {
    let mut faults = faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if faults.list.len() < FAULTS_MAX {
        faults.list.push(fault);
    } else {
        faults.left_out += 1;
    }
}
