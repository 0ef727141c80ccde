//! Is an MP4 file whole? Found out before anything plays: a recording that was cut off would otherwise start and end too
//! early without a word. Only the boxes on the outermost level are looked at (ISO/IEC 14496-12, 4.2); what is not MP4
//! is left to GStreamer. Reads 16 bytes a box and at most [`BOXES_MAX`] boxes.

use std::io::{self, Read, Seek, SeekFrom};

/// Outermost boxes looked at. A fragmented recording has two for each fragment.
const BOXES_MAX: usize = 100_000;

/// What the outermost boxes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wholeness {
    /// The first box is no MP4 box.
    NotMp4,
    /// Every box is inside the file and there is an index.
    Whole,
    /// A box reaches beyond the end of the file.
    Cut { stated_bytes: u64 },
    /// There is no index (`moov`): the recorder never finished.
    NoIndex,
}

/// Walks the outermost boxes of a file `file_bytes` long.
pub(crate) fn wholeness(file: &mut (impl Read + Seek), file_bytes: u64) -> io::Result<Wholeness> {
    let mut at = 0;
    let mut has_index = false;
    for index in 0..BOXES_MAX {
        if at == file_bytes {
            break;
        }
        let Some(header) = box_at(file, at, file_bytes)? else {
            return Ok(if index == 0 { Wholeness::NotMp4 } else { Wholeness::Cut { stated_bytes: at + 8 } });
        };
        if index == 0 && !FIRST_BOXES.contains(&header.kind) {
            return Ok(Wholeness::NotMp4);
        }
        has_index |= header.kind == *b"moov";
        at = at.saturating_add(header.bytes);
        if at > file_bytes {
            return Ok(Wholeness::Cut { stated_bytes: at });
        }
    }
    Ok(if has_index { Wholeness::Whole } else { Wholeness::NoIndex })
}

/// Kinds that an MP4 or QuickTime file may begin with.
const FIRST_BOXES: [[u8; 4]; 7] = [*b"ftyp", *b"moov", *b"mdat", *b"free", *b"skip", *b"wide", *b"pnot"];

struct BoxHeader {
    kind: [u8; 4],
    bytes: u64,
}

/// The box header at `at`, or nothing where there is no room for one or its length is less than its header's.
fn box_at(file: &mut (impl Read + Seek), at: u64, file_bytes: u64) -> io::Result<Option<BoxHeader>> {
    file.seek(SeekFrom::Start(at))?;
    let Some([a, b, c, d, e, f, g, h]) = read_8(file)? else { return Ok(None) };
    let kind = [e, f, g, h];
    let (header_bytes, bytes) = match u32::from_be_bytes([a, b, c, d]) {
        // Zero: to the end of the file. One: a 64-bit length follows.
        0 => (8, file_bytes - at),
        1 => match read_8(file)? {
            Some(long) => (16, u64::from_be_bytes(long)),
            None => return Ok(None),
        },
        bytes => (8, u64::from(bytes)),
    };
    Ok((bytes >= header_bytes).then_some(BoxHeader { kind, bytes }))
}

/// The next eight bytes, or nothing at the end of the file.
fn read_8(file: &mut impl Read) -> io::Result<Option<[u8; 8]>> {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn boxed(kind: &[u8; 4], content_bytes: usize) -> Vec<u8> {
        [&(content_bytes as u32 + 8).to_be_bytes()[..], kind, &vec![7; content_bytes]].concat()
    }

    fn seen(bytes: &[u8]) -> Wholeness {
        wholeness(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    /// Goal: a whole file is told from one that was cut anywhere, and from one that is no MP4.
    #[test]
    fn a_cut_file_is_told_from_a_whole_one() {
        let whole = [boxed(b"ftyp", 16), boxed(b"moov", 40), boxed(b"mdat", 100)].concat();
        assert_eq!(seen(&whole), Wholeness::Whole);
        assert_eq!(seen(&whole[..whole.len() - 1]), Wholeness::Cut { stated_bytes: whole.len() as u64 });
        assert_eq!(seen(&whole[..30]), Wholeness::Cut { stated_bytes: 32 });
        assert_eq!(seen(&[boxed(b"ftyp", 16), boxed(b"mdat", 100)].concat()), Wholeness::NoIndex);
        assert_eq!(seen(b"Just a text, long enough."), Wholeness::NotMp4);
        assert_eq!(seen(b""), Wholeness::NoIndex);
    }

    /// Goal: the two special lengths of the standard are read as it says.
    #[test]
    fn lengths_of_zero_and_one_are_read() {
        let long = [&1u32.to_be_bytes()[..], b"moov", &24u64.to_be_bytes(), &[0; 8]].concat();
        let to_end = [&0u32.to_be_bytes()[..], b"mdat", &[0; 99]].concat();
        assert_eq!(seen(&[boxed(b"ftyp", 4), long, to_end].concat()), Wholeness::Whole);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), mp4 in any::<bool>()) {
            if mp4 && bytes.len() > 8 {
                bytes[4..8].copy_from_slice(b"ftyp");
                bytes[..3].fill(0);
            }
            let _ = seen(&bytes);
        }
    }
}
