//! The capture instant, drawn into the picture itself: in test mode this proves the glass-to-glass figure, for it
//! travels through encoder, network and decoder with the pixels and nothing else can have carried it.
//!
//! # Layout
//! The stamp is a grid of square blocks in the picture's top left corner, [`COLUMNS`] = 32 blocks wide and
//! [`ROWS`] = 2 blocks high, row by row from the left: 64 bits, the most significant first. A white block is a one
//! (luma 235), a black block a zero (luma 16). Both chroma planes are neutral (128) below the blocks, so that a
//! reader of RGB may take any one channel.
//!
//! - Bits 63 to 16 are the tick: 48 bits, the capture instant in µs since the edge's clock began, modulo 2^48.
//! - Bits 15 to 0 are the check: CRC-16/IBM-3740 (polynomial 0x1021, initial value 0xFFFF, nothing reflected, no final
//!   XOR, also called CCITT-FALSE) over the tick's six bytes, big endian. `"123456789"` gives 0x29B1.
//!
//! A block is `max(8, floor(width / 320) * 8)` pixels wide and high, where `width` is the coded picture's width:
//! 32 at 1280, 48 at 1920, 16 at 640, 8 below. It is a multiple of 8 so that block edges lie on transform edges.
//! The picture must be at least [`WIDTH_MIN`] wide and two blocks high.
//!
//! # Reading
//! For block `(column, row)` take the mean of the luma in its middle half, the square from `block / 4` to
//! `block * 3 / 4` on both axes; above 127 is a one. Then compute the check. Where it differs, there is no
//! stamp in this picture, or it could not be read: use no part of it.

/// Blocks beside one another.
pub const COLUMNS: usize = 32;
/// Rows of blocks.
pub const ROWS: usize = 2;
/// The narrowest picture that holds a stamp, in pixels: 32 blocks of 8.
pub const WIDTH_MIN: usize = 256;
/// Ticks are counted modulo this: 2^48 µs are nine years.
pub const TICK_MODULUS: u64 = 1 << 48;

const BLACK: u8 = 16;
const WHITE: u8 = 235;
const NEUTRAL: u8 = 128;

/// Why a stamp could not be drawn or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The picture has no room for it.
    #[error(
        "a stamp needs a picture of at least {width_min}x{height_min} pixels, this one has {width}x{height}"
    )]
    PictureTooSmall { width: usize, height: usize, width_min: usize, height_min: usize },
    /// The blocks say one check, their tick gives another: not a stamp, or spoilt on the way.
    #[error("the stamp reads {tick_us} µs with check {seen:#06x}, which should be {expected:#06x}")]
    CheckDiffers { tick_us: u64, seen: u16, expected: u16 },
}

/// A plane of 8-bit samples, `stride` bytes a row.
#[derive(Debug)]
pub struct Plane<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
}

/// The side of one block in luma pixels, for a picture of this width.
pub fn block_px(width: usize) -> usize {
    (width / 320 * 8).max(8)
}

/// The 64 bits of a stamp: tick and check.
pub fn code(tick_us: u64) -> u64 {
    let tick_us = tick_us % TICK_MODULUS;
    tick_us << 16 | u64::from(check(tick_us))
}

/// Draws the stamp for `tick_us` into the luma plane of a picture `width` pixels wide.
pub fn draw_luma(luma: Plane<'_>, width: usize, tick_us: u64) -> Result<(), StampError> {
    let block = room(luma.data.len(), luma.stride, width)?;
    let code = code(tick_us);
    for bit in 0..COLUMNS * ROWS {
        let value = if code >> (63 - bit) & 1 == 1 { WHITE } else { BLACK };
        let (column, row) = (bit % COLUMNS, bit / COLUMNS);
        for y in row * block..(row + 1) * block {
            let start = y * luma.stride + column * block;
            luma.data[start..start + block].fill(value);
        }
    }
    Ok(())
}

/// Makes a 4:2:0 chroma plane neutral below the stamp. `bytes_per_sample` is 1 for a plane of one component, 2 where
/// both lie interleaved (NV12).
pub fn clear_chroma(chroma: Plane<'_>, width: usize, bytes_per_sample: usize) {
    let block = block_px(width);
    let row_bytes = COLUMNS * block / 2 * bytes_per_sample;
    for row in chroma.data.chunks_mut(chroma.stride).take(ROWS * block / 2) {
        let end = row_bytes.min(row.len());
        row[..end].fill(NEUTRAL);
    }
}

/// Reads the tick in µs, modulo 2^48, from the luma plane of a decoded picture `width` pixels wide.
pub fn read_stamp(luma: &[u8], stride: usize, width: usize) -> Result<u64, StampError> {
    let block = room(luma.len(), stride, width)?;
    let code = (0..COLUMNS * ROWS).fold(0u64, |code, bit| {
        let (x, y) = (bit % COLUMNS * block, bit / COLUMNS * block);
        code << 1 | u64::from(middle_mean(luma, stride, x, y, block) > 127)
    });
    let (tick_us, seen) = (code >> 16, code as u16);
    match check(tick_us) {
        expected if expected == seen => Ok(tick_us),
        expected => Err(StampError::CheckDiffers { tick_us, seen, expected }),
    }
}

fn middle_mean(luma: &[u8], stride: usize, x: usize, y: usize, block: usize) -> u32 {
    let (from, to) = (block / 4, block * 3 / 4);
    let rows = (y + from..y + to).map(|row| &luma[row * stride + x + from..row * stride + x + to]);
    let sum: u32 = rows.flatten().map(|&sample| u32::from(sample)).sum();
    sum / ((to - from) * (to - from)) as u32
}

/// The block's side, if a plane of this many bytes has room for all of them.
fn room(bytes: usize, stride: usize, width: usize) -> Result<usize, StampError> {
    let block = block_px(width);
    let height = bytes.checked_div(stride).unwrap_or(0);
    let height_min = ROWS * block;
    if width < WIDTH_MIN || stride < width || height < height_min {
        return Err(StampError::PictureTooSmall { width, height, width_min: WIDTH_MIN, height_min });
    }
    Ok(block)
}

fn check(tick_us: u64) -> u16 {
    crc16(&tick_us.to_be_bytes()[2..])
}

/// CRC-16/IBM-3740.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(width: usize, stride: usize, height: usize, tick_us: u64) -> Vec<u8> {
        let mut luma = vec![90; stride * height];
        draw_luma(Plane { data: &mut luma, stride }, width, tick_us).unwrap();
        luma
    }

    /// Goal: the check is the published CRC, so that a reader in another language can take a library's.
    #[test]
    fn the_check_is_crc_16_ibm_3740() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    /// Goal: the bits lie where the layout says, so that a reader written from the text alone reads them.
    #[test]
    fn the_blocks_lie_where_the_layout_says() {
        let luma = drawn(1280, 1280, 720, 0x8000_0000_0001);
        let at = |column: usize, row: usize| luma[(row * 32 + 16) * 1280 + column * 32 + 16];
        assert_eq!(at(0, 0), 235, "bit 63 is the tick's highest bit");
        assert_eq!(at(1, 0), 16);
        assert_eq!(at(15, 1), 235, "bit 16 is the tick's lowest bit");
        assert_eq!(at(14, 1), 16);
        let check = (16..32).fold(0u16, |bits, column| bits << 1 | u16::from(at(column, 1) == 235));
        assert_eq!(check, crc16(&[0x80, 0, 0, 0, 0, 1]));
        assert_eq!(luma[1024], 90, "nothing beside the blocks is touched");
        assert_eq!(luma[64 * 1280], 90, "nothing below them either");
    }

    /// Goal: below the blocks a picture is grey, in either layout of the chroma, and keeps its colour elsewhere.
    #[test]
    fn chroma_is_neutral_below_the_blocks_only() {
        for bytes_per_sample in [1, 2] {
            let stride = 320 * bytes_per_sample;
            let mut chroma = vec![77; stride * 180];
            clear_chroma(Plane { data: &mut chroma, stride }, 640, bytes_per_sample);
            let end = 256 * bytes_per_sample;
            assert!(chroma.chunks(stride).take(16).all(|row| row[..end].iter().all(|&sample| sample == 128)));
            assert!(chroma.chunks(stride).take(16).all(|row| row[end..].iter().all(|&sample| sample == 77)));
            assert!(chroma[16 * stride..].iter().all(|&sample| sample == 77));
        }
    }

    /// Goal: a picture without a stamp is not taken for one.
    #[test]
    fn plain_pictures_hold_no_stamp() {
        for value in [0, 16, 90, 128, 235, 255] {
            let seen = read_stamp(&vec![value; 1280 * 64], 1280, 1280);
            assert!(matches!(seen, Err(StampError::CheckDiffers { .. })), "{value}: {seen:?}");
        }
    }

    /// Goal: a picture that is too small is refused with its size and the least one, whichever way it is too small.
    #[test]
    fn a_picture_without_room_is_refused() {
        for (bytes, stride, width) in
            [(255 * 100, 255, 255), (1280 * 63, 1280, 1280), (0, 0, 1280), (64 * 64, 64, 1280)]
        {
            let seen = read_stamp(&vec![0; bytes], stride, width);
            assert!(matches!(seen, Err(StampError::PictureTooSmall { .. })), "{width}: {seen:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_drawn_is_read(tick_us in 0..TICK_MODULUS, width in 256usize..2000, pad in 0usize..40) {
            let (stride, height) = (width + pad, 2 * block_px(width));
            prop_assert_eq!(read_stamp(&drawn(width, stride, height, tick_us), stride, width), Ok(tick_us));
        }

        #[test]
        fn one_spoilt_block_is_noticed(tick_us in 0..TICK_MODULUS, bit in 0usize..64) {
            let mut luma = drawn(640, 640, 32, tick_us);
            let (x, y) = (bit % 32 * 16, bit / 32 * 16);
            for row in y..y + 16 {
                for sample in &mut luma[row * 640 + x..row * 640 + x + 16] {
                    *sample = 251 - *sample;
                }
            }
            let noticed = matches!(read_stamp(&luma, 640, 640), Err(StampError::CheckDiffers { .. }));
            prop_assert!(noticed);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            luma in prop::collection::vec(any::<u8>(), 0..9000), stride in 0usize..600, width in 0usize..600,
        ) {
            let _ = read_stamp(&luma, stride, width);
        }
    }
}
