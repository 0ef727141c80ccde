//! EndoVis 2018, robotic scene segmentation (Allan et al. 2020): labels as colours, by `labels.json` where it lies beside them.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{FolderError, NOT_LABELLED, Pair, Part, bounded, file, folders_inside, inside, name_of};

const LEGEND: &str = "labels.json";
const LEGEND_BYTES_MAX: usize = 64 << 10;

/// The release's own colours. The probe and the suction are instruments whose parts nobody named; clamps, left in the body and held by
/// no arm, are neither instrument nor tissue and do not count; thread and needle are what is worked with, as the simulator's beads are.
const CLASSES: [(&str, [u8; 3], u8); 12] = [
    ("background-tissue", [0, 0, 0], Part::Tissue.id()),
    ("instrument-shaft", [0, 255, 0], Part::Shaft.id()),
    ("instrument-clasper", [0, 255, 255], Part::Jaws.id()),
    ("instrument-wrist", [125, 255, 12], Part::Wrist.id()),
    ("kidney-parenchyma", [255, 55, 0], Part::Organ.id()),
    ("covered-kidney", [24, 55, 125], Part::Tissue.id()),
    ("thread", [187, 155, 25], Part::Tissue.id()),
    ("clamps", [0, 255, 125], NOT_LABELLED),
    ("suturing-needle", [255, 255, 125], Part::Tissue.id()),
    ("suction-instrument", [123, 15, 175], Part::Instrument.id()),
    ("small-intestine", [124, 155, 5], Part::Tissue.id()),
    ("ultrasound-probe", [12, 255, 141], Part::Instrument.id()),
];
/// Names that some copies have.
const OTHER_NAMES: [(&str, &str); 2] =
    [("background", "background-tissue"), ("intestine", "small-intestine")];

/// Which colour is which class.
#[derive(Debug)]
pub(super) struct Colours(Vec<([u8; 3], u8)>);

#[derive(Deserialize)]
struct Entry {
    name: String,
    color: [u8; 3],
}

impl Default for Colours {
    fn default() -> Self {
        Self(CLASSES.iter().map(|(_, colour, part)| (*colour, *part)).collect())
    }
}

impl Colours {
    /// The folder's own, where it has some; else the release's.
    pub(super) fn beside(images: &Path) -> Result<Self, FolderError> {
        let path = images.join(LEGEND);
        if !path.exists() {
            return Ok(Self::default());
        }
        bounded(&path, LEGEND_BYTES_MAX)?;
        let bytes = fs::read(&path).map_err(|error| file(&path, error))?;
        let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|error| file(&path, error))?;
        let part = |entry: &Entry| {
            let other = OTHER_NAMES.iter().find(|(other, _)| *other == entry.name);
            let name = other.map_or(entry.name.as_str(), |(_, name)| name);
            let known = CLASSES.iter().find(|(known, ..)| *known == name);
            let part = known.map(|(.., part)| (entry.color, *part));
            part.ok_or_else(|| file(&path, format!("{:?} is no class of EndoVis 2018", entry.name)))
        };
        entries.iter().map(part).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn part(&self, rgb: [u8; 3]) -> Option<u8> {
        self.0.iter().find(|(colour, _)| *colour == rgb).map(|(_, part)| *part)
    }
}

/// Of every sequence in the folder, or of the one that it is.
pub(super) fn pairs(images: &Path) -> Result<Vec<Pair>, FolderError> {
    let mut sequences = folders_inside(images)?;
    sequences.insert(0, images.to_owned());
    let mut pairs = Vec::new();
    for sequence in sequences.iter().filter(|sequence| sequence.join("left_frames").is_dir()) {
        let row = name_of(sequence);
        for image in inside(&sequence.join("left_frames"), "png")? {
            let labels = sequence.join("labels").join(name_of(&image));
            if labels.exists() {
                let name = format!("{row}-{}", name_of(&image.with_extension("")));
                // Two a second: too far apart to speak of flicker.
                pairs.push(Pair { name, row: row.clone(), image, labels, follows: false });
            }
        }
    }
    Ok(pairs)
}
