//! Pictures of RGB, as files and as the net takes them.

use std::{
    fs::File,
    io::{BufReader, BufWriter},
    ops::Range,
    path::Path,
};

use crate::{
    folders::{FolderError, bounded, file},
    graph::Shape,
    picture::{MEAN, SPREAD},
};

const PIXELS_MAX: usize = 16 << 20;
const PNG_BYTES_MAX: usize = 64 << 20;

/// A picture of RGB, 3 bytes a pixel, row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

impl Rgb {
    /// A PNG file of any kind, as eight bits of red, green and blue.
    ///
    /// # Errors
    /// [`FolderError::File`] for a file that is none or is too large.
    pub fn read_png(path: &Path) -> Result<Self, FolderError> {
        bounded(path, PNG_BYTES_MAX)?;
        let opened = BufReader::new(File::open(path).map_err(|error| file(path, error))?);
        let mut decoder = png::Decoder::new(opened);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(|error| file(path, error))?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        if width.saturating_mul(height) > PIXELS_MAX {
            return Err(file(path, format!("{width} x {height} pixels, at most {PIXELS_MAX} are read")));
        }
        let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
        let info = reader.next_frame(&mut bytes).map_err(|error| file(path, error))?;
        bytes.truncate(info.buffer_size());
        let channels = info.color_type.samples();
        let rgb = |pixel: &[u8]| match *pixel {
            [r, g, b, ..] => [r, g, b],
            [grey, ..] => [grey; 3],
            [] => [0; 3],
        };
        Ok(Self { width, height, bytes: bytes.chunks_exact(channels).flat_map(rgb).collect() })
    }

    /// As the net takes it: red, green and blue one after the other, in its size, each pixel the mean over its area, by what all pictures
    /// are measured by.
    #[must_use]
    pub fn planes(&self, to: Shape) -> Vec<f32> {
        let mut planes = Vec::with_capacity(to.len());
        for channel in 0..3 {
            for y in 0..to.height {
                let rows = span(y, self.height, to.height);
                for x in 0..to.width {
                    let columns = span(x, self.width, to.width);
                    let pixels = rows.clone().flat_map(|y| columns.clone().map(move |x| (x, y)));
                    let value = |(x, y)| u32::from(self.bytes[(y * self.width + x) * 3 + channel]);
                    let count = rows.len() * columns.len();
                    let mean = pixels.map(value).sum::<u32>() as f32 / count as f32;
                    planes.push((mean / 255.0 - MEAN) / SPREAD);
                }
            }
        }
        planes
    }

    /// # Errors
    /// [`FolderError::File`] if it can't be written.
    pub fn write_png(&self, path: &Path) -> Result<(), FolderError> {
        let target = BufWriter::new(File::create(path).map_err(|error| file(path, error))?);
        let side = |side: usize| u32::try_from(side).map_err(|error| file(path, error));
        let mut encoder = png::Encoder::new(target, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(|error| file(path, error))?;
        writer.write_image_data(&self.bytes).map_err(|error| file(path, error))
    }
}

/// Pixels of a line that one of fewer stands for.
fn span(at: usize, from: usize, to: usize) -> Range<usize> {
    let first = at * from / to;
    first..((at + 1) * from / to).max(first + 1).min(from.max(1))
}
