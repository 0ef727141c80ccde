//! What stands in a bundle, as MCAP records: names, numbers, and messages as bytes. `docs/evidence-format.md` says the
//! same in prose.

use farhand_ledger::{ENTRY_BYTES_MAX, Hash};
use mcap::records::MessageHeader;

/// Of the leaves: every message is one leaf, or the hash of a redacted one.
pub const LEAVES_TOPIC: &str = "/farhand/leaves";
/// Of the pictures: every message is one access unit, in `foxglove.CompressedVideo`.
pub const VIDEO_TOPIC: &str = "/farhand/video";
/// The attachment with the proofs of the seal and of the checkpoints.
pub const PROOFS_NAME: &str = "proofs";
/// The attachment with the manifest.
pub const MANIFEST_NAME: &str = "manifest";
/// In the file's header.
pub const PROFILE: &str = "farhand";
/// In the file's header.
pub const LIBRARY: &str = "farhand bundle v1";
/// A chunk ends with the first message that brings it above this many bytes.
pub const CHUNK_BYTES: u64 = 1024 * 1024;
/// No access unit is longer. The largest that an encoder makes of 4K video have about two million bytes.
pub const UNIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// No message, and no leaf with its head, is longer.
pub(crate) const MESSAGE_BYTES_MAX: usize = UNIT_BYTES_MAX + 4096;
const _: () = assert!(MESSAGE_BYTES_MAX > ENTRY_BYTES_MAX);

pub(crate) const LEAVES_CHANNEL: u16 = 1;
pub(crate) const VIDEO_CHANNEL: u16 = 2;
pub(crate) const CBOR: &str = "cbor";
pub(crate) const PROTOBUF: &str = "protobuf";
pub(crate) const CBOR_TYPE: &str = "application/cbor";
pub(crate) const CBOR_SEQUENCE_TYPE: &str = "application/cbor-seq";
pub(crate) const VIDEO_SCHEMA: &str = "foxglove.CompressedVideo";
/// The schema as a `google.protobuf.FileDescriptorSet`: `foxglove/CompressedVideo.proto` of
/// <https://github.com/foxglove/foxglove-sdk> (MIT) and the `google/protobuf/timestamp.proto` that it imports.
pub(crate) const VIDEO_SCHEMA_BYTES: &[u8] = include_bytes!("compressed_video.binpb");

const FRAME_ID: &str = "endoscope";
const FORMAT: &str = "h264";
/// A CBOR byte string of 32 bytes. No leaf begins so: a leaf is an array.
const REDACTED_HEAD: [u8; 2] = [0x58, 0x20];

/// A proof as it stands in the attachment: a CBOR byte string. The attachment is a sequence of these (RFC 8742).
#[must_use]
pub fn proof_record(proof: &[u8]) -> Vec<u8> {
    let mut record = byte_string_head(proof.len() as u64);
    record.extend(proof);
    record
}

/// The shortest head of a CBOR byte string (RFC 8949 §4.2.1).
fn byte_string_head(length: u64) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    match length {
        0..24 => vec![0x40 + bytes[7]],
        24..0x100 => vec![0x58, bytes[7]],
        0x100..0x1_0000 => [&[0x59], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[0x5a], &bytes[4..]].concat(),
        _ => [&[0x5b], &bytes[..]].concat(),
    }
}

/// The message that stands for a redacted leaf.
pub(crate) fn redacted(hash: Hash) -> Vec<u8> {
    [&REDACTED_HEAD[..], &hash.0].concat()
}

/// The hash in a message that stands for a redacted leaf.
pub(crate) fn redacted_hash(message: &[u8]) -> Option<Hash> {
    message.strip_prefix(&REDACTED_HEAD)?.try_into().ok().map(Hash)
}

/// The head of a message. Times are in µs of UTC.
pub(crate) fn head(channel_id: u16, number: u64, log_us: u64, publish_us: u64) -> MessageHeader {
    MessageHeader {
        channel_id,
        // MCAP has 32 bits here; leaves count on in 64.
        sequence: number as u32,
        log_time: log_us.saturating_mul(1000),
        publish_time: publish_us.saturating_mul(1000),
    }
}

/// A `foxglove.CompressedVideo` of one access unit.
pub(crate) fn video(captured_us: u64, unit: &[u8]) -> Vec<u8> {
    let mut timestamp = Vec::new();
    number_field(&mut timestamp, 1, captured_us / 1_000_000);
    number_field(&mut timestamp, 2, captured_us % 1_000_000 * 1000);
    let mut message = Vec::with_capacity(unit.len() + 64);
    bytes_field(&mut message, 1, &timestamp);
    bytes_field(&mut message, 2, FRAME_ID.as_bytes());
    bytes_field(&mut message, 3, unit);
    bytes_field(&mut message, 4, FORMAT.as_bytes());
    message
}

/// The access unit in a `foxglove.CompressedVideo`. Whether the rest of the message is as it should be is seen when it is
/// written again.
pub(crate) fn unit(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    while let [tag, after @ ..] = rest {
        let (length, after) = varint(after)?;
        let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        match tag {
            0x1a => return Some(bytes),
            0x0a | 0x12 => rest = after,
            _ => return None,
        }
    }
    None
}

/// A number is left out where it is zero, as in every proto3 message.
fn number_field(message: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        message.push(field << 3);
        put_varint(message, value);
    }
}

fn bytes_field(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an access unit comes back out of its message, also an empty one; no bytes from outside make the reader panic.
    #[test]
    fn a_unit_comes_back() {
        for length in [0, 1, 127, 128, 300, 70_000] {
            let bytes = vec![7; length];
            assert_eq!(unit(&video(1_760_000_000_123_456, &bytes)), Some(&bytes[..]));
        }
        let message = video(1_760_000_000_123_456, &[1, 2, 3]);
        for cut in 0..message.len() {
            let _ = unit(&message[..cut]);
            let mut bad = message.clone();
            bad[cut] = 0xff;
            let _ = unit(&bad);
        }
    }

    /// Goal: a proof's head is the shortest there is, as deterministic CBOR wants it.
    #[test]
    fn a_proof_has_the_shortest_head() {
        let heads: [(usize, &[u8]); 5] = [
            (3, &[0x43]),
            (24, &[0x58, 24]),
            (256, &[0x59, 1, 0]),
            (65_535, &[0x59, 255, 255]),
            (65_536, &[0x5a, 0, 1, 0, 0]),
        ];
        for (length, head) in heads {
            let record = proof_record(&vec![0; length]);
            assert!(record.starts_with(head), "{length}");
            assert_eq!(record.len(), head.len() + length);
        }
    }
}
