//! A frame's two hashes, over an H.264 access unit in Annex B form (ITU-T H.264 Annex B).
//!
//! Access-unit delimiters (type 9) and filler (type 12) are left out: whoever packetizes them drops them. `au_hash`
//! covers all other NAL units that were sent, `picture_hash` only types 1 to 5, because a browser may see a rewritten
//! parameter set. Before each NAL unit goes its length, u32 big endian.

use sha2::{Digest, Sha256};

use crate::Hash;

const DELIMITER: u8 = 9;
const FILLER: u8 = 12;

/// Hashes of one access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHashes {
    pub au_hash: Hash,
    pub picture_hash: Hash,
}

/// Reckons both hashes of an access unit.
#[must_use]
pub fn hashes(annex_b: &[u8]) -> PictureHashes {
    let (mut whole, mut picture) = (Sha256::new(), Sha256::new());
    for nal in nal_units(annex_b).filter(|nal| is_sent(nal)) {
        let length = (nal.len() as u32).to_be_bytes();
        let covers: &mut [&mut Sha256] = match nal[0] & 0x1f {
            1..=5 => &mut [&mut whole, &mut picture],
            _ => &mut [&mut whole],
        };
        for sha in covers {
            sha.update(length);
            sha.update(nal);
        }
    }
    PictureHashes { au_hash: Hash(whole.finalize().into()), picture_hash: Hash(picture.finalize().into()) }
}

/// Whether a NAL unit is sent, and so hashed and kept: all but delimiters and filler.
#[must_use]
pub fn is_sent(nal: &[u8]) -> bool {
    nal.first().is_some_and(|first| !matches!(first & 0x1f, DELIMITER | FILLER))
}

/// The NAL units between start codes, none of them empty, without the zero bytes that may follow one.
pub fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(annex_b);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(3).position(|three| three == [0, 0, 1]);
        rest = end.map(|end| &bytes[end + 3..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
    .map(|nal| &nal[..nal.len() - nal.iter().rev().take_while(|byte| **byte == 0).count()])
    .filter(|nal| !nal.is_empty())
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    Some(&bytes[at + 3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reckon(nals: &[&[u8]]) -> Hash {
        let prefixed = nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat());
        Hash::of(&prefixed.collect::<Vec<_>>())
    }

    /// Goal: delimiter and filler count in neither hash, parameter sets in one, slices in both; start codes may have three
    /// bytes or four.
    #[test]
    fn each_hash_covers_its_nal_units() {
        let unit = [
            &[0, 0, 0, 1, 9, 0xf0][..],
            &[0, 0, 0, 1, 0x67, 1, 2],
            &[0, 0, 1, 0x68, 3],
            &[0, 0, 0, 1, 0x65, 4, 0, 0, 3, 1],
            &[0, 0, 1, 12, 0xff, 0x80],
            &[0, 0, 1, 0x41, 5, 0],
        ]
        .concat();
        let slices = [&[0x65, 4, 0, 0, 3, 1][..], &[0x41, 5]];
        assert_eq!(hashes(&unit).picture_hash, reckon(&slices));
        assert_eq!(hashes(&unit).au_hash, reckon(&[&[0x67, 1, 2], &[0x68, 3], slices[0], slices[1]]));
    }

    /// Goal: only a start code ends a NAL unit, as edge box and document have it; zero bytes within it are its own.
    #[test]
    fn zero_bytes_within_a_nal_unit_are_its_own() {
        let unit = [0, 0, 1, 0x65, 4, 0, 0, 0, 5, 0, 0, 0, 0, 1, 0x41, 6];
        let nals: Vec<&[u8]> = nal_units(&unit).collect();
        assert_eq!(nals, [&[0x65, 4, 0, 0, 0, 5][..], &[0x41, 6]]);
    }

    /// Goal: bytes without a start code, and nothing at all, are an access unit without NAL units.
    #[test]
    fn no_start_code_is_no_nal_unit() {
        assert_eq!(hashes(&[1, 2, 3]).au_hash, Hash::of(b""));
        assert_eq!(hashes(&[0, 0, 1]).au_hash, Hash::of(b""));
        assert_eq!(hashes(&[]), hashes(&[0, 0]));
    }
}
