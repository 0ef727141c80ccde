//! Writes a bundle, leaf by leaf.
//!
//! Invariant (global): **the same content makes the same bytes**, on every machine and in every version of this format:
//! whoever reads a bundle writes it again with this very code and compares.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
};

use farhand_ledger::{Entry, Hash, Malformed, What};
use mcap::{McapError, WriteOptions, records::AttachmentHeader, write::NoSeek};
use thiserror::Error;

use crate::{
    encode::{self, *},
    timeline::Timeline,
    video::one_form,
};

/// Why a bundle can't be written.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error("the bundle can't be written: {0}")]
    Container(#[from] McapError),
    #[error("the bundle can't be written: {0}")]
    Io(#[from] io::Error),
    #[error("leaf {leaf}: {error}")]
    Leaf { leaf: u64, error: Malformed },
    #[error("leaf {leaf} is no frame and brings an access unit")]
    NotAFrame { leaf: u64 },
    #[error("leaf {leaf} brings an access unit of {bytes} bytes, at most {max} are allowed")]
    UnitTooLong { leaf: u64, bytes: usize, max: usize },
    #[error("checkpoints' proofs end after {seen} bytes of {expected}")]
    Proofs { seen: u64, expected: u64 },
}

/// A bundle under way. [`Writer::finish`] makes it whole; one that is dropped before is cut off, and no reader takes it.
///
/// Bytes go to `out` a chunk (1 MiB) at a time and are never gone back to, so a pipe will do, and no buffer is needed.
pub struct Writer<W: Write> {
    mcap: mcap::Writer<NoSeek<W>>,
    timeline: Timeline,
    leaves: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a bundle.
    pub fn new(out: W) -> Result<Self, WriteError> {
        let options = WriteOptions::new()
            .compression(None)
            .profile(PROFILE)
            .library(LIBRARY)
            .chunk_size(Some(CHUNK_BYTES))
            .disable_seeking(true);
        let mut mcap = options.create(NoSeek::new(out))?;
        let schema = mcap.add_schema(VIDEO_SCHEMA, PROTOBUF, VIDEO_SCHEMA_BYTES)?;
        let none = BTreeMap::new();
        mcap.add_channel_with_id(LEAVES_CHANNEL, 0, LEAVES_TOPIC, CBOR, &none)?;
        mcap.add_channel_with_id(VIDEO_CHANNEL, schema, VIDEO_TOPIC, PROTOBUF, &none)?;
        Ok(Self { mcap, timeline: Timeline::default(), leaves: 0 })
    }

    /// Appends the next leaf: its bytes, as they are in the tree ([`Entry`]). A frame brings its access unit (Annex B, as
    /// it was sent), of which the leaf has the hashes; where there is none, readers report that the picture is left out.
    /// Nothing is hashed here: [`verify`](crate::verify()) tells whether unit and leaf belong together.
    pub fn leaf(&mut self, leaf: &[u8], unit: Option<&[u8]>) -> Result<(), WriteError> {
        let entry = Entry::read(leaf).map_err(|error| WriteError::Leaf { leaf: self.leaves, error })?;
        self.put(leaf, Some(&entry), unit.map(one_form).as_deref())
    }

    /// Appends the hash of a leaf that is left out.
    pub fn redacted(&mut self, hash: Hash) -> Result<(), WriteError> {
        self.put(&encode::redacted(hash), None, None)
    }

    /// Leaves so far.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Ends the bundle and hands back where it went, flushed but not synced to disk. `manifest` and `seal` are
    /// [`Manifest`](farhand_ledger::Manifest) and the sealing's [`TransactionProof`](farhand_ledger::TransactionProof) as
    /// bytes. `checkpoints` are the proofs of all checkpoints in order, each as [`proof_record`] makes it, and have
    /// `checkpoints_bytes` in all.
    pub fn finish(
        mut self,
        manifest: &[u8],
        seal: &[u8],
        checkpoints: &mut dyn Read,
        checkpoints_bytes: u64,
    ) -> Result<W, WriteError> {
        self.attach_manifest(manifest)?;
        let seal = proof_record(seal);
        self.mcap.start_attachment(
            seal.len() as u64 + checkpoints_bytes,
            self.attachment(PROOFS_NAME, CBOR_SEQUENCE_TYPE),
        )?;
        self.mcap.put_attachment_bytes(&seal)?;
        self.copy(checkpoints, checkpoints_bytes)?;
        self.mcap.finish_attachment()?;
        self.mcap.finish()?;
        Ok(self.mcap.into_inner().into_inner())
    }

    /// UTC of the newest leaf, in µs.
    pub(crate) fn utc_us(&self) -> u64 {
        self.timeline.newest_us()
    }

    /// Appends what stands for a leaf, `entry` if it can be read, and an access unit as it is.
    pub(crate) fn put(
        &mut self,
        message: &[u8],
        entry: Option<&Entry>,
        unit: Option<&[u8]>,
    ) -> Result<(), WriteError> {
        let number = self.leaves;
        let log_us = self.timeline.take(entry);
        self.mcap.write_to_known_channel(&head(LEAVES_CHANNEL, number, log_us, log_us), message)?;
        self.leaves += 1;
        match (unit, entry.map(|entry| &entry.what)) {
            (None, _) => Ok(()),
            (Some(unit), Some(What::Frame(frame))) => {
                let captured_us = self.timeline.utc_us(frame.captured.0);
                self.unit(number, head(VIDEO_CHANNEL, frame.frame.0, log_us, captured_us), captured_us, unit)
            }
            (Some(_), _) => Err(WriteError::NotAFrame { leaf: number }),
        }
    }

    fn unit(
        &mut self,
        leaf: u64,
        head: mcap::records::MessageHeader,
        captured_us: u64,
        unit: &[u8],
    ) -> Result<(), WriteError> {
        if unit.len() > UNIT_BYTES_MAX {
            return Err(WriteError::UnitTooLong { leaf, bytes: unit.len(), max: UNIT_BYTES_MAX });
        }
        Ok(self.mcap.write_to_known_channel(&head, &encode::video(captured_us, unit))?)
    }

    fn attach_manifest(&mut self, manifest: &[u8]) -> Result<(), WriteError> {
        self.mcap.start_attachment(manifest.len() as u64, self.attachment(MANIFEST_NAME, CBOR_TYPE))?;
        self.mcap.put_attachment_bytes(manifest)?;
        Ok(self.mcap.finish_attachment()?)
    }

    fn attachment(&self, name: &str, media_type: &str) -> AttachmentHeader {
        let log_time = self.timeline.newest_us().saturating_mul(1000);
        let (name, media_type) = (name.to_owned(), media_type.to_owned());
        AttachmentHeader { log_time, create_time: log_time, name, media_type }
    }

    fn copy(&mut self, from: &mut dyn Read, expected: u64) -> Result<(), WriteError> {
        let mut buffer = vec![0; 64 * 1024];
        let mut seen = 0;
        while seen < expected {
            let room = buffer.len().min(usize::try_from(expected - seen).unwrap_or(usize::MAX));
            match from.read(&mut buffer[..room])? {
                0 => return Err(WriteError::Proofs { seen, expected }),
                bytes => {
                    self.mcap.put_attachment_bytes(&buffer[..bytes])?;
                    seen += bytes as u64;
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("leaves", &self.leaves).finish_non_exhaustive()
    }
}
