//! `farhand vision eval`: real pictures with labels, or the simulator's, by what makes them hard.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use farhand_vision::{Folder, Layout, Model};

use super::{factors, folder};

/// Judges what is seen in labelled pictures, instruments as one and class by class: overlap (IoU, Dice), how well edges lie, how steady
/// it is where nothing changes, whether it is right as often as it says, and how much is seen where nothing is.
///
/// Beside a model stands a threshold on colour, parted by each picture's own histogram, and another model if one is named. In a folder
/// without a model the threshold is all.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model's file.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Another model, judged on the same pictures, such as one that was taught with --plain.
    #[arg(long, value_name = "FILE", requires = "model")]
    against: Option<PathBuf>,
    /// Pictures, PNG.
    #[arg(long, value_name = "DIR", required_unless_present = "simulated")]
    images: Option<PathBuf>,
    /// In place of a folder, so many of the simulator's pictures of each kind: like those learnt from, of instruments, tissues, optics
    /// and a renderer that were not, without an instrument, each factor alone at three severities, and two at once.
    #[arg(long, value_name = "N", requires = "model", conflicts_with = "images", value_parser = clap::value_parser!(u32).range(1..))]
    simulated: Option<u32>,
    /// How pictures and labels lie in the folder.
    #[arg(long, value_enum, default_value = "labelme", conflicts_with = "simulated")]
    layout: Laid,
    /// LabelMe's JSON of the same names; without it in the pictures' folder.
    #[arg(long, value_name = "DIR", conflicts_with = "simulated")]
    labels: Option<PathBuf>,
    /// Pictures to look at go here. Of a folder: green where it is right, red where it should not be, blue where it is missing. Of the
    /// simulator, the first four of each row: the picture, what it shows, what was seen.
    #[arg(long, value_name = "DIR")]
    pub(super) overlays: Option<PathBuf>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// Tables in Markdown, as a model's card has them.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Laid {
    /// NAME.png and NAME.json, polygons; whatever is labelled is an instrument.
    Labelme,
    /// EndoVis 2018: SEQUENCE/left_frames/NAME.png and SEQUENCE/labels/NAME.png.
    Endovis,
    /// CholecSeg8k: VIDEO/CLIP/frame_K_endo.png and frame_K_endo_watershed_mask.png.
    #[value(name = "cholecseg8k")]
    CholecSeg8k,
}

/// How figures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Words,
    Json,
    Markdown,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let model = arguments.model.as_ref().map(|path| read(path)).transpose()?;
    if let Some((pictures, model)) = arguments.simulated.zip(model.as_ref()) {
        return factors::tell(arguments, model, pictures);
    }
    let images = arguments.images.as_ref().context("a folder of pictures is needed: --images DIR")?;
    let layout = arguments.layout.layout();
    let labels = arguments.labels.as_deref();
    ensure!(
        labels.is_none() || layout == Layout::LabelMe,
        "--labels is LabelMe's: other layouts say where labels are"
    );
    folder::tell(arguments, &Folder::open(layout, images, labels)?, model.as_ref())
}

pub(super) fn read(path: &Path) -> anyhow::Result<Model> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Model::read(&bytes).with_context(|| path.display().to_string())
}

impl Arguments {
    pub(super) fn against(&self) -> anyhow::Result<Option<Model>> {
        self.against.as_ref().map(|path| read(path)).transpose()
    }

    pub(super) fn manner(&self) -> Manner {
        match (self.json, self.markdown) {
            (true, _) => Manner::Json,
            (false, true) => Manner::Markdown,
            (false, false) => Manner::Words,
        }
    }
}

impl Laid {
    fn layout(self) -> Layout {
        match self {
            Self::Labelme => Layout::LabelMe,
            Self::Endovis => Layout::EndoVis,
            Self::CholecSeg8k => Layout::CholecSeg8k,
        }
    }
}
