//! Annex B byte streams (ITU-T H.264, annex B) as NAL units, and the two hashes of an access unit.
//!
//! Invariant (local): [`NalUnits`] never yields an empty unit nor one that ends in a zero byte, so joining
//! what it yields and splitting that again gives the same units. Work and memory are linear in the input.

use sha2::{Digest, Sha256};

/// The largest access unit taken from an encoder, in bytes. 1080p at 50 Mbit/s has key frames of about 1 MB.
pub const ACCESS_UNIT_BYTES_MAX: usize = 8 << 20;

/// Most NAL units in one access unit: H.264 allows a slice per macroblock row and more; encoders here make under ten.
pub const NAL_UNITS_MAX: usize = 512;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What makes bytes no access unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnexBError {
    /// Longer than [`ACCESS_UNIT_BYTES_MAX`].
    #[error(
        "the access unit has {bytes} bytes, at most {max} are taken; lower the bitrate or the picture size"
    )]
    TooLong { bytes: usize, max: usize },
    /// More units than [`NAL_UNITS_MAX`].
    #[error("the access unit has more than {max} NAL units; set the encoder to fewer slices")]
    TooManyUnits { max: usize },
    /// No coded picture among the units.
    #[error("the access unit of {bytes} bytes holds no coded picture (no NAL unit of type 1 to 5)")]
    NoPicture { bytes: usize },
}

/// A NAL unit's type: the low five bits of its first byte (table 7-1 of the standard).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalType(pub u8);

impl NalType {
    pub const IDR: Self = Self(5);
    pub const SPS: Self = Self(7);
    pub const PPS: Self = Self(8);
    pub const DELIMITER: Self = Self(9);
    pub const FILLER: Self = Self(12);

    /// Types 1 to 5 carry coded slices: the picture itself.
    pub fn is_picture(self) -> bool {
        (1..=5).contains(&self.0)
    }

    /// Delimiters and filler are not sent: the RTP payloader drops them, so no hash may cover them.
    pub fn is_sent(self) -> bool {
        self != Self::DELIMITER && self != Self::FILLER
    }
}

/// The type of a NAL unit as [`NalUnits`] yields it.
pub fn nal_type(unit: &[u8]) -> NalType {
    NalType(unit.first().map_or(0, |byte| byte & 0x1f))
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros. Bytes before the first
/// start code belong to no unit and are passed over.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    rest: &'a [u8],
    plain: bool,
}

impl<'a> NalUnits<'a> {
    pub fn new(stream: &'a [u8]) -> Self {
        match find_start_code(stream) {
            Some(at) => Self { rest: &stream[at + 3..], plain: at == 0 || stream[..at] == [0] },
            None => Self { rest: &[], plain: stream.is_empty() },
        }
    }

    /// So far there was nothing but units behind start codes of three or four bytes: no padding, no empty unit.
    pub fn plain(&self) -> bool {
        self.plain
    }

    /// Cuts the padding off `raw`; a zero before a further start code is that start code's first byte.
    fn trim(&mut self, raw: &'a [u8], is_last: bool) -> &'a [u8] {
        let unit = without_trailing_zeros(raw);
        let zeros_max = if is_last { 0 } else { 1 };
        self.plain &= !unit.is_empty() && raw.len() - unit.len() <= zeros_max;
        unit
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let unit = match find_start_code(self.rest) {
                Some(at) => {
                    let raw = &self.rest[..at];
                    self.rest = &self.rest[at + 3..];
                    self.trim(raw, false)
                }
                None => {
                    let raw = std::mem::take(&mut self.rest);
                    self.trim(raw, true)
                }
            };
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// Index of the next three-byte start code `00 00 01`.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // The third byte decides how far to skip: a byte above one can be in no start code, so three bytes go at once.
    while at + 2 < bytes.len() {
        match bytes[at + 2] {
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &unit[..end]
}

/// NAL units as an Annex B byte stream, a four-byte start code before each.
pub fn join<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = Vec::new();
    for unit in units {
        stream.extend_from_slice(&START_CODE);
        stream.extend_from_slice(unit);
    }
    stream
}

/// One access unit, looked through once: its hashes, and whether its bytes can be sent as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// SHA-256 over all units that are sent, each preceded by its length (u32, big endian).
    pub au_hash: [u8; 32],
    /// The same over units of type 1 to 5 only: what a receiver sees whose SPS was rewritten on the way.
    pub picture_hash: [u8; 32],
    /// It has an IDR slice.
    pub key_frame: bool,
    /// It brings its own SPS and PPS.
    pub parameter_sets: bool,
    /// The bytes hold nothing but sent units with plain start codes, so they need no rewriting.
    pub clean: bool,
}

/// Looks through one access unit in Annex B form.
pub fn inspect(stream: &[u8]) -> Result<Inspected, AnnexBError> {
    if stream.len() > ACCESS_UNIT_BYTES_MAX {
        return Err(AnnexBError::TooLong { bytes: stream.len(), max: ACCESS_UNIT_BYTES_MAX });
    }
    let mut tally = Tally::default();
    let mut units = NalUnits::new(stream);
    for unit in units.by_ref() {
        if tally.units == NAL_UNITS_MAX {
            return Err(AnnexBError::TooManyUnits { max: NAL_UNITS_MAX });
        }
        tally.add(unit);
    }
    tally.finish(stream.len(), units.plain())
}

#[derive(Default)]
struct Tally {
    all: Sha256,
    picture: Sha256,
    types: u32,
    units: usize,
}

impl Tally {
    fn add(&mut self, unit: &[u8]) {
        let kind = nal_type(unit);
        self.types |= 1 << kind.0;
        self.units += 1;
        if kind.is_sent() {
            hash_unit(&mut self.all, unit);
        }
        if kind.is_picture() {
            hash_unit(&mut self.picture, unit);
        }
    }

    fn finish(self, stream_bytes: usize, plain: bool) -> Result<Inspected, AnnexBError> {
        let has = |kind: NalType| self.types & (1 << kind.0) != 0;
        if !(1..=5).any(|kind| has(NalType(kind))) {
            return Err(AnnexBError::NoPicture { bytes: stream_bytes });
        }
        Ok(Inspected {
            key_frame: has(NalType::IDR),
            parameter_sets: has(NalType::SPS) && has(NalType::PPS),
            clean: plain && !has(NalType::DELIMITER) && !has(NalType::FILLER),
            au_hash: self.all.finalize().into(),
            picture_hash: self.picture.finalize().into(),
        })
    }
}

fn hash_unit(hash: &mut Sha256, unit: &[u8]) {
    // Inspected streams are bounded far below 4 GiB, so the length fits.
    hash.update((unit.len() as u32).to_be_bytes());
    hash.update(unit);
}

/// The access unit without delimiters, filler and padding.
pub fn strip(stream: &[u8]) -> Vec<u8> {
    join(NalUnits::new(stream).filter(|unit| nal_type(unit).is_sent()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const IDR: &[u8] = &[0x65, 0x88, 0x84];
    const DELIMITER: &[u8] = &[0x09, 0xf0];
    const FILLER: &[u8] = &[0x0c, 0xff, 0xff, 0x80];

    fn hex(hash: [u8; 32]) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Goal: the two hashes are what another program computes from their description. The expected values
    /// were made by hand with `printf '\x00\x00\x00\x04\x67…' | sha256sum`.
    #[test]
    fn the_hashes_equal_those_computed_by_hand() {
        let seen = inspect(&join([DELIMITER, SPS, PPS, IDR, FILLER])).unwrap();
        assert_eq!(hex(seen.au_hash), "02c57a3ab18362401b526b9f699eecbc15063d2c1eed9a5acfb422bb6fe820dc");
        assert_eq!(
            hex(seen.picture_hash),
            "c4ee021292359b0b3661bf211e13a1b568d6c595e963b6972d6d939ff4670fda"
        );
        assert!(seen.key_frame && seen.parameter_sets && !seen.clean);
    }

    /// Goal: what is stripped is gone from the bytes and changes no hash.
    #[test]
    fn stripping_removes_delimiters_and_filler_and_keeps_the_hashes() {
        let stream = join([DELIMITER, SPS, PPS, IDR, FILLER]);
        let stripped = strip(&stream);
        assert_eq!(stripped, join([SPS, PPS, IDR]));
        let (before, after) = (inspect(&stream).unwrap(), inspect(&stripped).unwrap());
        assert_eq!((before.au_hash, before.picture_hash), (after.au_hash, after.picture_hash));
        assert!(after.clean);
    }

    /// Goal: three-byte start codes are as good as four-byte ones, padding is not passed on as it is.
    #[test]
    fn short_start_codes_are_clean_and_padding_is_not() {
        let short = [&[0, 0, 1][..], SPS, &[0, 0, 1], PPS, &[0, 0, 1], IDR].concat();
        assert!(inspect(&short).unwrap().clean);
        assert!(!inspect(&[&short[..], &[0]].concat()).unwrap().clean);
        assert!(!inspect(&[&[1][..], &short].concat()).unwrap().clean);
        assert!(!inspect(&[&[0, 0, 1][..], SPS, &[0, 0], &join([IDR])].concat()).unwrap().clean);
        assert_eq!(inspect(&short).unwrap().au_hash, inspect(&join([SPS, PPS, IDR])).unwrap().au_hash);
    }

    /// Goal: bytes without a picture, and more than the bounds allow, are refused with the value and the limit.
    #[test]
    fn what_is_no_bounded_picture_is_refused() {
        assert_eq!(inspect(&join([SPS, PPS])), Err(AnnexBError::NoPicture { bytes: 16 }));
        assert_eq!(inspect(b"no start code"), Err(AnnexBError::NoPicture { bytes: 13 }));
        let many = join(std::iter::repeat_n(IDR, NAL_UNITS_MAX + 1));
        assert_eq!(inspect(&many), Err(AnnexBError::TooManyUnits { max: NAL_UNITS_MAX }));
        let long = vec![0; ACCESS_UNIT_BYTES_MAX + 1];
        assert!(matches!(inspect(&long), Err(AnnexBError::TooLong { .. })));
    }

    /// Bytes rich in zeros and ones, so that start codes are met often.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![3 => Just(0u8), 2 => Just(1u8), 2 => any::<u8>()], 0..400)
    }

    /// The splitter as the standard words it, byte by byte: what the fast one is compared with.
    fn split_plainly(stream: &[u8]) -> Vec<Vec<u8>> {
        let starts: Vec<usize> =
            (0..stream.len()).filter(|&at| stream[at..].starts_with(&[0, 0, 1])).collect();
        let ends = starts.iter().skip(1).copied().chain([stream.len()]);
        let units =
            starts.iter().zip(ends).map(|(&start, end)| without_trailing_zeros(&stream[start + 3..end]));
        units.filter(|unit| !unit.is_empty()).map(<[u8]>::to_vec).collect()
    }

    proptest! {
        #[test]
        fn any_bytes_are_inspected_without_a_panic(bytes in stream()) {
            let _ = inspect(&bytes);
            let _ = strip(&bytes);
        }

        #[test]
        fn the_splitter_agrees_with_a_plain_one(bytes in stream()) {
            let units: Vec<Vec<u8>> = NalUnits::new(&bytes).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(units, split_plainly(&bytes));
        }

        #[test]
        fn split_then_join_then_split_is_the_identity(bytes in stream()) {
            let units: Vec<&[u8]> = NalUnits::new(&bytes).collect();
            let joined = join(units.iter().copied());
            let again: Vec<&[u8]> = NalUnits::new(&joined).collect();
            prop_assert_eq!(&again, &units);
            prop_assert_eq!(join(again), joined);
        }

        #[test]
        fn what_was_stripped_is_clean_and_has_the_same_hashes(bytes in stream()) {
            if let Ok(seen) = inspect(&bytes) {
                let after = inspect(&strip(&bytes)).unwrap();
                prop_assert!(after.clean);
                prop_assert_eq!((seen.au_hash, seen.picture_hash), (after.au_hash, after.picture_hash));
            }
        }
    }
}
