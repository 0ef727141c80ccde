//! CholecSeg8k (Hong et al. 2020): clips of Cholec80, labels as bytes of grey.

use std::path::Path;

use super::{FolderError, NOT_LABELLED, Pair, Part, folders_inside, inside, name_of};

const IMAGE: &str = "_endo.png";
const LABELS: &str = "_endo_watershed_mask.png";

/// The class of a watershed mask's byte. The set's paper writes them as colours, such as #313131 for the grasper; the files have the
/// same digits as decimal numbers: 31. The lines between regions, and what was left out, have 255 and 0.
pub(super) fn part([byte, g, b]: [u8; 3]) -> Option<u8> {
    if [byte, byte] != [g, b] {
        return None;
    }
    Some(match byte {
        31 | 32 => Part::Instrument.id(), // grasper, hook: no parts
        33 => Part::Vessel.id(),          // hepatic vein
        21 => Part::Organ.id(),           // liver
        // Liver ligament, abdominal wall, fat, gastrointestinal tract, gallbladder, connective tissue, blood, cystic duct,
        // and the black around the picture, which the simulator calls so, too.
        5 | 11 | 12 | 13 | 22 | 23 | 24 | 25 | 50 => Part::Tissue.id(),
        0 | 255 => NOT_LABELLED,
        _ => return None,
    })
}

/// Of every clip of every video in the folder, or of the video or clip that it is; each clip's pictures by their numbers.
pub(super) fn pairs(images: &Path) -> Result<Vec<Pair>, FolderError> {
    let mut clips = vec![images.to_owned()];
    for video in folders_inside(images)? {
        clips.push(video.clone());
        clips.extend(folders_inside(&video)?);
    }
    let mut pairs = Vec::new();
    for clip in clips {
        pairs.extend(of_clip(&clip)?);
    }
    Ok(pairs)
}

fn of_clip(clip: &Path) -> Result<Vec<Pair>, FolderError> {
    let mut frames: Vec<(u64, String)> = inside(clip, "png")?
        .iter()
        .filter_map(|path| {
            let stem = name_of(path).strip_suffix(IMAGE)?.to_owned();
            Some((stem.rsplit('_').next()?.parse().ok()?, stem))
        })
        .filter(|(_, stem)| clip.join(format!("{stem}{LABELS}")).exists())
        .collect();
    frames.sort();
    let clip_name = name_of(clip);
    let row = clip_name.split('_').next().unwrap_or_default();
    let pair = |(at, (number, stem)): (usize, &(u64, String))| Pair {
        name: format!("{clip_name}-{stem}"),
        row: row.to_owned(),
        image: clip.join(format!("{stem}{IMAGE}")),
        labels: clip.join(format!("{stem}{LABELS}")),
        follows: at > 0 && frames[at - 1].0 + 1 == *number, // 25 a second
    };
    Ok(frames.iter().enumerate().map(pair).collect())
}
