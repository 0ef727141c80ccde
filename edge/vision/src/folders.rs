//! Pictures with labels in a folder, laid out as public data sets are; one picture at a time, as there may be thousands.

mod cholecseg8k;
mod endovis;
mod labelled;

use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use self::endovis::Colours;
pub use self::labelled::{Labelled, NOT_LABELLED, Part, Seen, Verdict};
use crate::{
    labelme::{LABELME_BYTES_MAX, LabelMe, LabelMeError},
    rgb::Rgb,
};

/// Pictures in a folder.
const PICTURES_MAX: usize = 20_000;
/// Entries in one directory.
const ENTRIES_MAX: usize = 100_000;

/// How pictures and labels lie beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `NAME.png` with `NAME.json`, LabelMe's polygons. Whatever is labelled is an instrument.
    LabelMe,
    /// EndoVis 2018, robotic scene segmentation: `SEQUENCE/left_frames/NAME.png` with `SEQUENCE/labels/NAME.png`.
    EndoVis,
    /// CholecSeg8k: `VIDEO/CLIP/frame_K_endo.png` with `frame_K_endo_watershed_mask.png`.
    CholecSeg8k,
}

impl Layout {
    /// Classes beside instruments taken as one that its labels tell apart.
    #[must_use]
    pub const fn tells(self) -> &'static [Part] {
        match self {
            Self::LabelMe => &[],
            Self::EndoVis => &[Part::Tissue, Part::Shaft, Part::Wrist, Part::Jaws, Part::Organ],
            Self::CholecSeg8k => &[Part::Tissue, Part::Vessel, Part::Organ],
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::LabelMe => "no picture (.png) with labels (.json) of the same name",
            Self::EndoVis => "no picture SEQUENCE/left_frames/NAME.png with labels SEQUENCE/labels/NAME.png",
            Self::CholecSeg8k => {
                "no picture VIDEO/CLIP/frame_K_endo.png with labels frame_K_endo_watershed_mask.png"
            }
        }
    }
}

/// Why a folder can't be judged by.
#[derive(Debug, Error)]
pub enum FolderError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    Labels { path: PathBuf, why: LabelMeError },
    #[error("{}: a picture of {width} x {height}, its labels are of {} x {}", path.display(), labels[0], labels[1])]
    Size { path: PathBuf, width: usize, height: usize, labels: [usize; 2] },
    #[error("{}: the colour {}, {}, {} at ({}, {}) stands for no class of {set}", path.display(), rgb[0], rgb[1], rgb[2], at[0], at[1])]
    Colour { path: PathBuf, rgb: [u8; 3], at: [usize; 2], set: &'static str },
    #[error("{}: {wanted}", path.display())]
    Empty { path: PathBuf, wanted: &'static str },
    #[error("{}: {count} files, at most {max} are read", path.display())]
    TooMany { path: PathBuf, count: usize, max: usize },
}

/// Pictures and where their labels are.
#[derive(Debug)]
pub struct Folder {
    layout: Layout,
    colours: Colours,
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    name: String,
    /// Of pictures that are judged together.
    row: String,
    image: PathBuf,
    labels: PathBuf,
    follows: bool,
}

impl Folder {
    /// Finds the pictures that have labels. LabelMe's may lie in another folder.
    ///
    /// # Errors
    /// [`FolderError`], with the file and what is wrong with it.
    pub fn open(layout: Layout, images: &Path, labels: Option<&Path>) -> Result<Self, FolderError> {
        let mut colours = Colours::default();
        let pairs = match layout {
            Layout::LabelMe => labelme_pairs(images, labels.unwrap_or(images))?,
            Layout::EndoVis => {
                colours = Colours::beside(images)?;
                endovis::pairs(images)?
            }
            Layout::CholecSeg8k => cholecseg8k::pairs(images)?,
        };
        match pairs.len() {
            0 => Err(FolderError::Empty { path: images.to_owned(), wanted: layout.wanted() }),
            1..=PICTURES_MAX => Ok(Self { layout, colours, pairs }),
            count => Err(FolderError::TooMany { path: images.to_owned(), count, max: PICTURES_MAX }),
        }
    }

    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many pictures there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Reads them, one after the other.
    ///
    /// # Errors
    /// Each [`FolderError`], with the file and what is wrong with it.
    pub fn pictures(&self) -> impl Iterator<Item = Result<Labelled, FolderError>> + '_ {
        self.pairs.iter().map(|pair| self.read(pair))
    }

    fn read(&self, pair: &Pair) -> Result<Labelled, FolderError> {
        let picture = Rgb::read_png(&pair.image)?;
        let (truth, labels) = match self.layout {
            Layout::LabelMe => labelme(&pair.labels)?,
            Layout::EndoVis => by_colour(&pair.labels, "EndoVis 2018 (nor of its labels.json)", |rgb| {
                self.colours.part(rgb)
            })?,
            Layout::CholecSeg8k => by_colour(&pair.labels, "CholecSeg8k", cholecseg8k::part)?,
        };
        let (width, height) = (picture.width, picture.height);
        if labels != [width, height] {
            return Err(FolderError::Size { path: pair.image.clone(), width, height, labels });
        }
        let Pair { name, row, follows, .. } = pair;
        Ok(Labelled { name: name.clone(), row: row.clone(), picture, truth, follows: *follows })
    }
}

fn labelme_pairs(images: &Path, labels: &Path) -> Result<Vec<Pair>, FolderError> {
    let named = |image: PathBuf| {
        let name = image.file_stem()?.to_string_lossy().into_owned();
        let labels = labels.join(format!("{name}.json"));
        labels.exists().then(|| Pair { row: name.clone(), name, image, labels, follows: false })
    };
    Ok(inside(images, "png")?.into_iter().filter_map(named).collect())
}

fn labelme(path: &Path) -> Result<(Vec<u8>, [usize; 2]), FolderError> {
    bounded(path, LABELME_BYTES_MAX)?;
    let bytes = fs::read(path).map_err(|error| file(path, error))?;
    let read = LabelMe::read(&bytes).map_err(|why| FolderError::Labels { path: path.to_owned(), why })?;
    Ok((read.mask(|_| Part::Instrument.id()), [read.width, read.height]))
}

/// Labels that are a picture: each pixel's class by its colour.
fn by_colour(
    path: &Path,
    set: &'static str,
    part: impl Fn([u8; 3]) -> Option<u8>,
) -> Result<(Vec<u8>, [usize; 2]), FolderError> {
    let labels = Rgb::read_png(path)?;
    let pixels = labels.bytes.as_chunks::<3>().0.iter().enumerate();
    let named = |(at, rgb): (usize, &[u8; 3])| {
        let at = [at % labels.width, at / labels.width];
        part(*rgb).ok_or_else(|| FolderError::Colour { path: path.to_owned(), rgb: *rgb, at, set })
    };
    Ok((pixels.map(named).collect::<Result<_, _>>()?, [labels.width, labels.height]))
}

/// What a directory holds, by name.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let listed = fs::read_dir(directory).map_err(|error| file(directory, error))?;
    let paths = listed.take(ENTRIES_MAX + 1).map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<io::Result<_>>().map_err(|error| file(directory, error))?;
    if paths.len() > ENTRIES_MAX {
        let (path, count) = (directory.to_owned(), paths.len());
        return Err(FolderError::TooMany { path, count, max: ENTRIES_MAX });
    }
    paths.sort();
    Ok(paths)
}

fn inside(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, FolderError> {
    let mut paths = entries(directory)?;
    paths.retain(|path| path.extension().is_some_and(|has| has == extension));
    Ok(paths)
}

fn folders_inside(directory: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut paths = entries(directory)?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

/// A path's last part.
fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// That a file has at most so many bytes.
pub(crate) fn bounded(path: &Path, bytes_max: usize) -> Result<(), FolderError> {
    let length = fs::metadata(path).map_err(|error| file(path, error))?.len();
    if length > bytes_max as u64 {
        return Err(file(path, format!("{length} bytes, at most {bytes_max} are read")));
    }
    Ok(())
}

pub(crate) fn file(path: &Path, why: impl Display) -> FolderError {
    FolderError::File { path: path.to_owned(), why: why.to_string() }
}
