//! Real pictures with labels from a folder: how well instruments are seen in them, beside the baseline.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{BufReader, BufWriter},
    ops::Range,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    baseline::colour_threshold,
    exec::CandleExec,
    graph::Shape,
    labelme::{LABELME_BYTES_MAX, LabelMe, LabelMeError},
    metrics::{Confusion, boundary_f1},
    model::Model,
    picture::{MEAN, SPREAD},
};

/// How far an edge may be off, as a share of the picture's diagonal (as DAVIS 2016 has it).
const EDGE_SHARE: f64 = 0.008;
const PIXELS_MAX: usize = 16 << 20;

/// A picture of RGB, 3 bytes a pixel, row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

/// A picture and where its instruments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    pub name: String,
    pub picture: Rgb,
    pub instrument: Vec<bool>,
}

/// How well instruments were seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub confusion: Confusion,
    pub boundary_f1: Option<f64>,
}

/// Why a folder can't be evaluated.
#[derive(Debug, Error)]
pub enum EvaluateError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Labels { path: PathBuf, why: LabelMeError },
    #[error("{}: a picture of {width} x {height}, its labels are of {} x {}", path.display(), labels[0], labels[1])]
    Size { path: PathBuf, width: usize, height: usize, labels: [usize; 2] },
    #[error("{}: no picture (.png) with labels (.json) of the same name", path.display())]
    Empty { path: PathBuf },
}

/// Pictures in one folder, LabelMe's labels in the other or the same, by their names. Whatever is labelled is an instrument.
///
/// # Errors
/// [`EvaluateError`], with the file and what is wrong with it.
pub fn labelled(images: &Path, labels: &Path) -> Result<Vec<Labelled>, EvaluateError> {
    let mut paths: Vec<PathBuf> = fs::read_dir(images)
        .map_err(|error| file(images, error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let Some(name) = path.file_stem().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let beside = labels.join(format!("{name}.json"));
        if beside.exists() {
            all.push(pair(name, &path, &beside)?);
        }
    }
    if all.is_empty() { Err(EvaluateError::Empty { path: images.to_owned() }) } else { Ok(all) }
}

fn pair(name: String, image: &Path, labels: &Path) -> Result<Labelled, EvaluateError> {
    let picture = read_png(image)?;
    let bytes = read_bounded(labels, LABELME_BYTES_MAX)?;
    let read = LabelMe::read(&bytes).map_err(|why| EvaluateError::Labels { path: labels.to_owned(), why })?;
    let (width, height) = (picture.width, picture.height);
    if (read.width, read.height) != (width, height) {
        let labels = [read.width, read.height];
        return Err(EvaluateError::Size { path: image.to_owned(), width, height, labels });
    }
    let instrument = read.mask(|_| 1).iter().map(|class| *class == 1).collect();
    Ok(Labelled { name, picture, instrument })
}

impl Labelled {
    /// How well a mask of this picture's instruments is.
    #[must_use]
    pub fn judge(&self, mask: &[bool]) -> Seen {
        let bytes = |mask: &[bool]| mask.iter().map(|on| u8::from(*on)).collect::<Vec<u8>>();
        let mut confusion = Confusion::new(2);
        confusion.add(&bytes(&self.instrument), &bytes(mask));
        let diagonal = (self.picture.width as f64).hypot(self.picture.height as f64);
        let tolerance_px = (diagonal * EDGE_SHARE).ceil() as usize;
        let boundary_f1 = boundary_f1(&self.instrument, mask, self.picture.width, tolerance_px);
        Seen { confusion, boundary_f1 }
    }

    /// The colour threshold's mask.
    #[must_use]
    pub fn baseline(&self) -> Vec<bool> {
        colour_threshold(&self.picture.bytes)
    }

    /// The picture to look at: green where the mask is right, red where it should not be, blue where it is missing.
    #[must_use]
    pub fn overlay(&self, mask: &[bool]) -> Rgb {
        let mut overlay = self.picture.clone();
        let pixels = overlay.bytes.as_chunks_mut::<3>().0.iter_mut();
        for ((pixel, is), seen) in pixels.zip(&self.instrument).zip(mask) {
            let tint = match (is, seen) {
                (false, false) => continue,
                (true, true) => [60, 220, 90],
                (false, true) => [240, 60, 50],
                (true, false) => [60, 110, 250],
            };
            pixel.iter_mut().zip(tint).for_each(|(of, tint)| *of = of.midpoint(tint));
        }
        overlay
    }
}

impl Rgb {
    /// Where the net sees instruments: classes whose name begins with that word, taken as one. Its scores are smaller than the picture;
    /// their shares are stretched to it along straight lines.
    ///
    /// # Errors
    /// Candle's.
    pub fn instruments(&self, model: &Model, net: &CandleExec) -> candle_core::Result<Vec<bool>> {
        let scores = net.scores(&self.planes(net.graph().input()))?;
        let shape = net.graph().output();
        let share = instrument_shares(&scores, shape.plane(), &model.card().classes);
        let at = |x: usize, y: usize| f64::from(share[y * shape.width + x]);
        let place = |at: usize, from: usize, to: usize| {
            let place = ((at as f64 + 0.5) * to as f64 / from as f64 - 0.5).clamp(0.0, (to - 1) as f64);
            (place as usize, (place as usize + 1).min(to - 1), place.fract())
        };
        let pixel = |index: usize| {
            let (left, right, across) = place(index % self.width, self.width, shape.width);
            let (upper, lower, down) = place(index / self.width, self.height, shape.height);
            let row = |y| at(left, y) * (1.0 - across) + at(right, y) * across;
            row(upper) * (1.0 - down) + row(lower) * down > 0.5
        };
        Ok((0..self.width * self.height).map(pixel).collect())
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
    /// [`EvaluateError::File`] if it can't be written.
    pub fn write_png(&self, path: &Path) -> Result<(), EvaluateError> {
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

/// Of each pixel, how much of it the instruments have.
fn instrument_shares(scores: &[f32], plane: usize, classes: &[String]) -> Vec<f32> {
    let share = |pixel: usize| {
        let score = |class: usize| scores[class * plane + pixel];
        let greatest = (0..classes.len()).map(score).fold(f32::NEG_INFINITY, f32::max);
        let part = |class: usize| (score(class) - greatest).exp();
        let all: f32 = (0..classes.len()).map(part).sum();
        let instruments = (0..classes.len()).filter(|class| classes[*class].starts_with("instrument"));
        instruments.map(part).sum::<f32>() / all
    };
    (0..plane).map(share).collect()
}

fn read_png(path: &Path) -> Result<Rgb, EvaluateError> {
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
    Ok(Rgb { width, height, bytes: bytes.chunks_exact(channels).flat_map(rgb).collect() })
}

fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, EvaluateError> {
    let length = fs::metadata(path).map_err(|error| file(path, error))?.len();
    if length > bytes_max as u64 {
        return Err(file(path, format!("{length} bytes, at most {bytes_max} are read")));
    }
    fs::read(path).map_err(|error| file(path, error))
}

fn file(path: &Path, why: impl Display) -> EvaluateError {
    EvaluateError::File { path: path.to_owned(), why: why.to_string() }
}
