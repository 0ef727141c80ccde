//! A session's evidence as one MCAP file that opens in Foxglove, Rerun and every MCAP reader.
//!
//! **Every byte of the file is either authenticated or derivable.** Leaves lead to a root that five organisations or
//! more committed, the manifest's hash is in the seal, proofs are signatures, pictures have their hashes in leaves; and
//! all the rest (times, indexes, checksums, schemas, padding) follows from those, so whoever reads a bundle writes it
//! again and compares. No byte can change unnoticed, and a redaction leaves no copy behind. `docs/evidence-format.md`
//! says every byte in prose.
//!
//! To make one: [`Writer`]. To check one: [`verify()`]. To look into one: [`Reader`]. To take leaves out: [`redact()`].
//! Nothing here grows with a session's length, except an index of 100 bytes a megabyte.
//!
//! This crate reads and writes what it is given; it opens no files and asks no clock.

mod compare;
mod encode;
mod read;
mod redact;
mod source;
mod timeline;
mod verify;
mod video;
mod write;

pub use encode::{
    CHUNK_BYTES, LEAVES_TOPIC, LIBRARY, MANIFEST_NAME, PROFILE, PROOFS_NAME, UNIT_BYTES_MAX, VIDEO_TOPIC,
    proof_record,
};
pub use read::{Content, Contents, Proofs, RECORD_BYTES_MAX, Reader, Unreadable};
pub use redact::{BadMarks, BadRedaction, KINDS, MARKS_MAX, Redacted, Redaction, redact, redact_and};
pub use source::Source;
pub use verify::{FAULTS_MAX, Fault, Passed, Verified, verify, verify_and};
pub use write::{WriteError, Writer};
