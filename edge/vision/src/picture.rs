//! A camera's frame as the net takes it. What is here is the definition; the graphics device's shader must say the same.

use thiserror::Error;

/// Every channel of a picture, from 0 to 1, less this ...
pub const MEAN: f32 = 0.5;
/// ... over this, is what the net takes.
pub const SPREAD: f32 = 0.25;
/// Pixels of a frame's side; sums over a frame then fit into 32 bits.
pub const FRAME_SIDE_MAX: usize = 4096;

/// A frame in NV12, BT.709 in limited range: brightness pixel by pixel, then blue's and red's difference, a pair for four pixels.
///
/// **Invariant (local):** sides are even and at most [`FRAME_SIDE_MAX`], and there are as many bytes as they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nv12<'a> {
    width: usize,
    height: usize,
    bytes: &'a [u8],
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("a frame of {width} x {height}; sides must be even, from 2 to {FRAME_SIDE_MAX}")]
    Size { width: usize, height: usize },
    #[error("a frame of {width} x {height} has {expected} bytes, here are {seen}")]
    Length { width: usize, height: usize, expected: usize, seen: usize },
}

impl<'a> Nv12<'a> {
    /// Without padding between rows.
    ///
    /// # Errors
    /// [`FrameError`], with what was expected and what is there.
    pub fn new(width: usize, height: usize, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let side = |side: usize| side.is_multiple_of(2) && (2..=FRAME_SIDE_MAX).contains(&side);
        if !side(width) || !side(height) {
            return Err(FrameError::Size { width, height });
        }
        let (expected, seen) = (width * height * 3 / 2, bytes.len());
        if seen != expected {
            return Err(FrameError::Length { width, height, expected, seen });
        }
        Ok(Self { width, height, bytes })
    }

    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Red, green and blue one after the other, `height` rows of `width`: brightness and colour are averaged over each pixel's area, then
    /// turned to RGB from 0 to 1, less [`MEAN`], over [`SPREAD`].
    #[must_use]
    pub fn picture(&self, height: usize, width: usize) -> Vec<f32> {
        let (luma, chroma) = self.bytes.split_at(self.width * self.height);
        let luma = shrink::<1>(luma, (self.height, self.width), (height, width));
        let chroma = shrink::<2>(chroma, (self.height / 2, self.width / 2), (height, width));
        let mut picture = vec![0.0; 3 * height * width];
        let (red, rest) = picture.split_at_mut(height * width);
        let (green, blue) = rest.split_at_mut(height * width);
        for (at, ([y], c)) in luma.iter().zip(&chroma).enumerate() {
            let rgb = rgb(*y, *c).map(|value| (value - MEAN) / SPREAD);
            (red[at], green[at], blue[at]) = (rgb[0], rgb[1], rgb[2]);
        }
        picture
    }
}

/// From 0 to 1 (ITU-R BT.709-6, limited range of 8 bits).
fn rgb(y: f32, [blue, red]: [f32; 2]) -> [f32; 3] {
    let (y, blue, red) = ((y - 16.0) * 1.164_384, blue - 128.0, red - 128.0);
    let rgb = [y + 1.792_741 * red, y - 0.213_249 * blue - 0.532_909 * red, y + 2.112_402 * blue];
    rgb.map(|value| (value / 255.0).clamp(0.0, 1.0))
}

/// What a pixel lies over in a line, and how much of that.
type Parts = Vec<(usize, u64)>;

/// Mean over each pixel's area, of `N` bytes a pixel.
fn shrink<const N: usize>(
    bytes: &[u8],
    (height, width): (usize, usize),
    (out_height, out_width): (usize, usize),
) -> Vec<[f32; N]> {
    let (rows, columns) = (parts(height, out_height), parts(width, out_width));
    let pixels = bytes.as_chunks::<N>().0;
    let pixel = |row: &Parts, column: &Parts| {
        let mut sums = [0; N];
        for (y, tall) in row {
            let mut line = [0; N];
            for (x, wide) in column {
                let pixel = pixels[y * width + x];
                line.iter_mut().zip(pixel).for_each(|(sum, byte)| *sum += u64::from(byte) * wide);
            }
            sums.iter_mut().zip(line).for_each(|(sum, line)| *sum += line * tall);
        }
        sums.map(|sum| sum as f32 / (height * width) as f32)
    };
    rows.iter().flat_map(|row| columns.iter().map(move |column| pixel(row, column))).collect()
}

/// Of each of `out` pixels in a line of `side`, its parts, counted so that a pixel of the line is `out` wide and one of the result `side`.
fn parts(side: usize, out: usize) -> Vec<Parts> {
    let parts = |pixel: usize| {
        let (from, to) = (pixel * side, (pixel + 1) * side);
        let over = from / out..to.div_ceil(out);
        over.map(|at| (at, (((at + 1) * out).min(to) - (at * out).max(from)) as u64)).collect()
    };
    (0..out).map(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: bytes that are no frame are refused with what was expected.
    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(Nv12::new(3, 2, &[0; 9]), Err(FrameError::Size { width: 3, height: 2 }));
        assert_eq!(Nv12::new(0, 2, &[]), Err(FrameError::Size { width: 0, height: 2 }));
        assert_eq!(Nv12::new(4098, 2, &[0; 12294]), Err(FrameError::Size { width: 4098, height: 2 }));
        let short = FrameError::Length { width: 2, height: 2, expected: 6, seen: 5 };
        assert_eq!(Nv12::new(2, 2, &[0; 5]), Err(short));
    }

    /// Goal: BT.709's own colours come out as they are, in every pixel, whatever the sizes.
    #[test]
    fn colours_are_what_they_are() {
        let colours = [
            ([16, 128, 128], [0.0, 0.0, 0.0]),
            ([235, 128, 128], [1.0, 1.0, 1.0]),
            ([63, 102, 240], [1.0, 0.0, 0.0]),
            ([32, 240, 118], [0.0, 0.0, 1.0]),
        ];
        for ([y, blue, red], expected) in colours {
            let mut bytes = vec![y; 6 * 4];
            bytes.extend([blue, red].repeat(3 * 2));
            let picture = Nv12::new(6, 4, &bytes).unwrap().picture(5, 7);
            for (at, value) in picture.iter().enumerate() {
                let seen = value * SPREAD + MEAN;
                assert!((seen - expected[at / 35]).abs() < 0.012, "{y} {blue} {red}: {seen}");
            }
        }
    }

    /// Goal: whatever the sizes, each pixel of the frame counts as much as any other.
    #[test]
    fn no_pixel_counts_twice() {
        for (side, out) in [(2, 1), (6, 4), (7, 3), (3, 7), (720, 160), (2, 33), (5, 5)] {
            let mut counted = vec![0; side];
            parts(side, out).iter().flatten().for_each(|(at, part)| counted[*at] += part);
            assert_eq!(counted, vec![out as u64; side], "{side} to {out}");
        }
    }
}
