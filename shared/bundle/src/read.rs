//! Reads a bundle: where its parts lie, then leaf by leaf and proof by proof.
//!
//! Nothing that is read here is believed: [`verify`](crate::verify()) writes all of it again and compares. So this
//! reader looks only at what it needs to find its way, and bounds it.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read},
    sync::OnceLock,
};

use farhand_ledger::{Cbor, ENTRY_BYTES_MAX, Manifest, TransactionProof, verify::Leaf};
use mcap::{
    McapError,
    records::{AttachmentIndex, Record, op},
};
use thiserror::Error;

use crate::{
    encode::{
        CHUNK_BYTES, LEAVES_CHANNEL, MANIFEST_NAME, MESSAGE_BYTES_MAX, PROOFS_NAME, VIDEO_CHANNEL,
        redacted_hash, unit,
    },
    source::{Section, Source},
};

/// No record of the container is longer, attachments apart: a chunk just below its limit, and one message.
pub const RECORD_BYTES_MAX: usize = CHUNK_BYTES as usize + MESSAGE_BYTES_MAX + 64 * 1024;
/// Footer with its head, and the magic behind it.
const END_BYTES: u64 = FOOTER_BYTES + MAGIC_BYTES;
const FOOTER_BYTES: u64 = 9 + 20;
const MAGIC_BYTES: u64 = mcap::MAGIC.len() as u64;
/// What an attachment has behind its data: a CRC.
const ATTACHMENT_TAIL_BYTES: u64 = 4;
/// A chunk's two times, size, CRC, compression (none: an empty string) and size again; then its records.
const CHUNK_HEAD_BYTES: usize = 8 + 8 + 8 + 4 + 4 + 8;

/// Where it stands, how long it is, its two times and the size of its data; then its name and its media type.
const ATTACHMENT_INDEX_HEAD_BYTES: usize = 8 + 8 + 8 + 8 + 8;

/// Why a file is not read as a bundle.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("it does not end as an MCAP file: it is none, or it is cut off")]
    NotMcap,
    #[error("it is an MCAP file, but no bundle: {what}")]
    NotABundle { what: &'static str },
    #[error("the container is broken at byte {at}: {what}")]
    Broken { at: u64, what: String },
}

/// A bundle, opened.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    bytes: u64,
    manifest: Vec<u8>,
    /// Where content begins to be something else than chunks.
    chunks_end: u64,
    /// Where the attachment's data begins and ends.
    proofs: (u64, u64),
}

impl<S: Source> Reader<S> {
    /// Finds the parts of a bundle.
    pub fn open(source: S) -> Result<Self, Unreadable> {
        let bytes = source.size()?;
        let summary = find_summary(&source, bytes)?;
        let [manifest_index, proofs_index] = find_attachments(&source, summary, bytes)?;
        let (at, end) = data(&manifest_index, MANIFEST_NAME, summary)?;
        if end - at > Manifest::BYTES_MAX as u64 {
            return Err(Unreadable::NotABundle { what: "its manifest is too long" });
        }
        let proofs = data(&proofs_index, PROOFS_NAME, summary)?;
        let mut manifest = Vec::new();
        Section::new(&source, at, end).read_to_end(&mut manifest)?;
        Ok(Self { bytes, manifest, chunks_end: manifest_index.offset, proofs, source })
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The [`Manifest`] as bytes.
    #[must_use]
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The proof of the sealing, as bytes.
    pub fn seal(&self) -> Result<Vec<u8>, Unreadable> {
        let mut proofs = ProofReader::new(&self.source, self.proofs);
        proofs.next()?.ok_or(Unreadable::NotABundle { what: "it has no proof of its seal" })
    }

    /// The proofs of the checkpoints, in order.
    #[must_use]
    pub fn checkpoints(&self) -> Proofs<'_, S> {
        Proofs { reader: ProofReader::new(&self.source, self.proofs), begun: false, fault: None }
    }

    /// The leaves with what belongs to them, in order.
    #[must_use]
    pub fn contents(&self) -> Contents<'_, S> {
        let section = Section::new(&self.source, MAGIC_BYTES, self.chunks_end);
        Contents { records: Records { section }, chunk: Vec::new(), walk: Walk::default(), next: None }
    }

    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Proof records of the checkpoints, as they stand in the file, and how many bytes they have.
    pub(crate) fn checkpoint_records(&self) -> Result<(impl Read + '_, u64), Unreadable> {
        let seal = crate::proof_record(&self.seal()?).len() as u64;
        let (at, end) = self.proofs;
        let at = (at + seal).min(end);
        Ok((Section::new(&self.source, at, end), end - at))
    }
}

/// Where the summary begins.
fn find_summary<S: Source>(source: &S, bytes: u64) -> Result<u64, Unreadable> {
    let at = bytes.checked_sub(END_BYTES).ok_or(Unreadable::NotMcap)?;
    let mut end = [0; END_BYTES as usize];
    Section::new(source, at, bytes).read_exact(&mut end)?;
    let (footer, magic) = end.split_at(FOOTER_BYTES as usize);
    if magic != mcap::MAGIC || footer[0] != op::FOOTER {
        return Err(Unreadable::NotMcap);
    }
    match mcap::parse_record(op::FOOTER, &footer[9..]) {
        Ok(Record::Footer(footer)) if (MAGIC_BYTES..=at).contains(&footer.summary_start) => {
            Ok(footer.summary_start)
        }
        Ok(_) => Err(Unreadable::NotABundle { what: "it has no summary" }),
        Err(error) => Err(broken(at, &error)),
    }
}

/// The two attachments that the summary lists.
fn find_attachments<S: Source>(
    source: &S,
    summary: u64,
    bytes: u64,
) -> Result<[AttachmentIndex; 2], Unreadable> {
    let mut records = Records { section: Section::new(source, summary, bytes - END_BYTES) };
    let (mut body, mut found) = (Vec::new(), Vec::new());
    while let Some((opcode, at)) = records.next(&mut body)? {
        if opcode != op::ATTACHMENT_INDEX {
            continue;
        }
        strings_fit(&body, ATTACHMENT_INDEX_HEAD_BYTES, 2, at)?;
        match mcap::parse_record(opcode, &body) {
            Ok(Record::AttachmentIndex(index)) if found.len() < 2 => found.push(index),
            Ok(_) => return Err(Unreadable::NotABundle { what: "it has more than two attachments" }),
            Err(error) => return Err(broken(at, &error)),
        }
    }
    found.try_into().map_err(|_| Unreadable::NotABundle { what: "it has no manifest or no proofs" })
}

/// Where an attachment's data begins and ends.
fn data(index: &AttachmentIndex, name: &str, summary: u64) -> Result<(u64, u64), Unreadable> {
    let end = index.offset.checked_add(index.length).filter(|end| *end <= summary);
    let end = end.and_then(|end| end.checked_sub(ATTACHMENT_TAIL_BYTES));
    let begin = end.and_then(|end| end.checked_sub(index.data_size)).filter(|at| *at > index.offset);
    match begin.zip(end) {
        Some(place) if index.name == name => Ok(place),
        _ => Err(Unreadable::NotABundle { what: "an attachment is not where it should be" }),
    }
}

/// The strings that begin at `from` lie within their record: the parser would allocate whatever length one announces.
fn strings_fit(record: &[u8], from: usize, count: usize, at: u64) -> Result<(), Unreadable> {
    let mut rest = record.get(from..);
    for _ in 0..count {
        let announced = rest.and_then(|rest| rest.split_first_chunk::<4>());
        rest = announced.and_then(|(length, rest)| rest.get(u32::from_le_bytes(*length) as usize..));
    }
    let what = || "a string is longer than its record".to_owned();
    rest.map(drop).ok_or_else(|| Unreadable::Broken { at, what: what() })
}

fn broken(at: u64, error: &McapError) -> Unreadable {
    Unreadable::Broken { at, what: error.to_string() }
}

/// Records of a stretch of the container.
#[derive(Debug)]
struct Records<'a, S> {
    section: Section<'a, S>,
}

impl<S: Source> Records<'_, S> {
    /// The next record: its kind, and where it stands; its body goes into `body`.
    fn next(&mut self, body: &mut Vec<u8>) -> Result<Option<(u8, u64)>, Unreadable> {
        if self.section.is_empty() {
            return Ok(None);
        }
        let at = self.section.at();
        let mut head = [0; 9];
        self.fill(&mut head, at)?;
        let [opcode, length @ ..] = head;
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > RECORD_BYTES_MAX {
            let what = format!("a record of {length} bytes, at most {RECORD_BYTES_MAX} are allowed");
            return Err(Unreadable::Broken { at, what });
        }
        body.resize(length, 0);
        self.fill(body, at)?;
        Ok(Some((opcode, at)))
    }

    fn fill(&mut self, buffer: &mut [u8], at: u64) -> Result<(), Unreadable> {
        self.section.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unreadable::Broken { at, what: "a record is cut off".to_owned() },
            _ => error.into(),
        })
    }
}

/// What stands for one leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub leaf: Leaf,
    /// UTC in µs, as the container says: see [`verify`](crate::verify()).
    pub utc_us: u64,
    /// A frame's access unit.
    pub unit: Option<Vec<u8>>,
}

/// The leaves of a bundle, in order. Ends after the first error.
#[derive(Debug)]
pub struct Contents<'a, S> {
    records: Records<'a, S>,
    /// The body of the chunk that is being read.
    chunk: Vec<u8>,
    walk: Walk,
    /// A leaf that waits for its access unit.
    next: Option<(Leaf, u64)>,
}

impl<S: Source> Iterator for Contents<'_, S> {
    type Item = Result<Content, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.message() {
                Ok(Some(Message::Leaf(leaf, utc_us))) => {
                    if let Some((leaf, utc_us)) = self.next.replace((leaf, utc_us)) {
                        return Some(Ok(Content { leaf, utc_us, unit: None }));
                    }
                }
                Ok(Some(Message::Unit(unit))) => {
                    let stray = Unreadable::NotABundle { what: "a picture does not follow its frame" };
                    let content =
                        self.next.take().map(|(leaf, utc_us)| Content { leaf, utc_us, unit: Some(unit) });
                    return Some(content.ok_or(stray));
                }
                Ok(None) => {
                    let last = self.next.take();
                    return last.map(|(leaf, utc_us)| Ok(Content { leaf, utc_us, unit: None }));
                }
                Err(error) => {
                    self.stop();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<S: Source> Contents<'_, S> {
    /// Where reading stands in the file.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.records.section.at()
    }

    fn stop(&mut self) {
        self.next = None;
        self.walk = Walk::default();
        self.records.section = Section::new(self.records.section.source(), 0, 0);
    }

    fn message(&mut self) -> Result<Option<Message>, Unreadable> {
        loop {
            while let Some((opcode, body)) = self.walk.next(&self.chunk)? {
                if opcode == op::MESSAGE {
                    return message(body, self.walk.at()).map(Some);
                }
            }
            if !self.next_chunk()? {
                return Ok(None);
            }
        }
    }

    /// Reads the next chunk, past whatever lies between: indexes and the like have nothing to say.
    fn next_chunk(&mut self) -> Result<bool, Unreadable> {
        self.walk = Walk::default();
        while let Some((opcode, at)) = self.records.next(&mut self.chunk)? {
            if opcode == op::CHUNK {
                self.walk = Walk::new(&self.chunk, at)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A message of one of the two channels.
enum Message {
    /// And when it was logged, in µs.
    Leaf(Leaf, u64),
    Unit(Vec<u8>),
}

fn message(body: &[u8], at: u64) -> Result<Message, Unreadable> {
    let broken = |what: &str| Unreadable::Broken { at, what: what.to_owned() };
    let Ok(Record::Message { header, data }) = mcap::parse_record(op::MESSAGE, body) else {
        return Err(broken("a message is cut off"));
    };
    let leaf = |leaf| Message::Leaf(leaf, header.log_time / 1000);
    match header.channel_id {
        LEAVES_CHANNEL => match redacted_hash(&data) {
            Some(hash) => Ok(leaf(Leaf::Redacted(hash))),
            None if data.len() <= ENTRY_BYTES_MAX => Ok(leaf(Leaf::Whole(data.into_owned()))),
            None => Err(broken("a leaf is too long")),
        },
        VIDEO_CHANNEL => match unit(&data) {
            Some(unit) => Ok(Message::Unit(unit.to_vec())),
            None => Err(broken("a picture is no foxglove.CompressedVideo")),
        },
        _ => Err(Unreadable::NotABundle { what: "it has a channel that no bundle has" }),
    }
}

/// The way through the records of a chunk. Invariant (local): `at` ≤ `end` ≤ the chunk's length, and at first all are 0.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// Where the chunk stands in the file.
    chunk_at: u64,
    at: usize,
    end: usize,
}

impl Walk {
    fn new(chunk: &[u8], chunk_at: u64) -> Result<Self, Unreadable> {
        strings_fit(chunk, CHUNK_HEAD_BYTES - 8 - 4, 1, chunk_at)?;
        match mcap::parse_record(op::CHUNK, chunk) {
            Ok(Record::Chunk { header, data }) if header.compression.is_empty() => {
                let at = CHUNK_HEAD_BYTES;
                Ok(Self { chunk_at, at, end: at + data.len() })
            }
            Ok(_) => Err(Unreadable::NotABundle { what: "it is compressed" }),
            Err(error) => Err(broken(chunk_at, &error)),
        }
    }

    /// The next record in the chunk.
    fn next<'c>(&mut self, chunk: &'c [u8]) -> Result<Option<(u8, &'c [u8])>, Unreadable> {
        let rest = &chunk[self.at..self.end];
        if rest.is_empty() {
            return Ok(None);
        }
        let short = || Unreadable::Broken { at: self.at(), what: "a record is cut off".to_owned() };
        let ([opcode, length @ ..], rest) = rest.split_first_chunk::<9>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|l| *l <= rest.len());
        let length = length.ok_or_else(short)?;
        self.at += 9 + length;
        Ok(Some((*opcode, &rest[..length])))
    }

    /// Where the next record stands in the file, roughly: for errors.
    fn at(&self) -> u64 {
        self.chunk_at + 9 + self.at as u64
    }
}

/// Proofs of checkpoints. Ends at the first that can't be read; [`Proofs::with_fault`] tells why.
pub struct Proofs<'a, S: Source> {
    reader: ProofReader<'a, S>,
    begun: bool,
    fault: Option<&'a OnceLock<Unreadable>>,
}

impl<'a, S: Source> Proofs<'a, S> {
    /// Puts why reading ended early into `fault`.
    #[must_use]
    pub fn with_fault(self, fault: &'a OnceLock<Unreadable>) -> Self {
        Self { fault: Some(fault), ..self }
    }
}

impl<S: Source> Iterator for Proofs<'_, S> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        // The first one is the seal's.
        let seal = if self.begun { Ok(None) } else { self.reader.next() };
        self.begun = true;
        match seal.and_then(|_| self.reader.next()) {
            Ok(proof) => proof,
            Err(error) => {
                // Only the first fault is kept.
                let _ = self.fault.map(|fault| fault.set(error));
                None
            }
        }
    }
}

impl<S: Source> fmt::Debug for Proofs<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// All proofs: a sequence of CBOR byte strings.
struct ProofReader<'a, S: Source> {
    section: BufReader<Section<'a, S>>,
}

impl<'a, S: Source> ProofReader<'a, S> {
    fn new(source: &'a S, (at, end): (u64, u64)) -> Self {
        Self { section: BufReader::with_capacity(64 * 1024, Section::new(source, at, end)) }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.section.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let length = self.length()?;
        let mut proof = vec![0; length];
        self.section.read_exact(&mut proof).map_err(|error| self.cut(error))?;
        Ok(Some(proof))
    }

    /// The length of a byte string. Whether it is said in the shortest way is seen when it is written again.
    fn length(&mut self) -> Result<usize, Unreadable> {
        let [head] = self.take()?;
        let length = match head {
            0x40..=0x57 => u64::from(head - 0x40),
            0x58 => self.take::<1>()?[0].into(),
            0x59 => u16::from_be_bytes(self.take()?).into(),
            0x5a => u32::from_be_bytes(self.take()?).into(),
            _ => return Err(self.broken("no byte string where a proof should be")),
        };
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= TransactionProof::BYTES_MAX)
            .ok_or_else(|| self.broken("a proof is too long"))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let mut bytes = [0; N];
        self.section.read_exact(&mut bytes).map_err(|error| self.cut(error))?;
        Ok(bytes)
    }

    fn cut(&self, error: io::Error) -> Unreadable {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.broken("a proof is cut off"),
            _ => error.into(),
        }
    }

    fn broken(&self, what: &str) -> Unreadable {
        Unreadable::Broken { at: self.section.get_ref().at(), what: what.to_owned() }
    }
}
