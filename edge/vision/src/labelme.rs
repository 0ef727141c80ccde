//! Labels as LabelMe writes them: polygons in JSON beside a picture.

use serde::Deserialize;
use thiserror::Error;

/// Bytes of a file; LabelMe may put the picture into it.
pub const LABELME_BYTES_MAX: usize = 32 << 20;
const POINTS_MAX: usize = 100_000;
const SIDE_MAX: usize = 8192;

/// One picture's labels.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LabelMe {
    #[serde(rename = "imageWidth")]
    pub width: usize,
    #[serde(rename = "imageHeight")]
    pub height: usize,
    pub shapes: Vec<Outline>,
}

/// What lies inside a closed line, in pixels from the upper left corner.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Outline {
    pub label: String,
    pub points: Vec<[f64; 2]>,
    #[serde(default)]
    shape_type: String,
}

/// Why a file is none, or not one that is understood.
#[derive(Debug, Error)]
pub enum LabelMeError {
    #[error("{bytes} bytes, at most {LABELME_BYTES_MAX} are read")]
    TooLong { bytes: usize },
    #[error("this is not LabelMe's JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("a picture of {width} x {height}; sides from 1 to {SIDE_MAX} are understood")]
    Size { width: usize, height: usize },
    #[error("{points} points, at most {POINTS_MAX} are read")]
    TooMany { points: usize },
    #[error("a {shape:?} named {label:?}: only polygons are understood")]
    Shape { label: String, shape: String },
}

impl LabelMe {
    /// # Errors
    /// [`LabelMeError`], with what was seen.
    pub fn read(bytes: &[u8]) -> Result<Self, LabelMeError> {
        if bytes.len() > LABELME_BYTES_MAX {
            return Err(LabelMeError::TooLong { bytes: bytes.len() });
        }
        let read: Self = serde_json::from_slice(bytes)?;
        let side = 1..=SIDE_MAX;
        if !side.contains(&read.width) || !side.contains(&read.height) {
            return Err(LabelMeError::Size { width: read.width, height: read.height });
        }
        let points = read.shapes.iter().map(|shape| shape.points.len()).sum();
        if points > POINTS_MAX {
            return Err(LabelMeError::TooMany { points });
        }
        match read.shapes.iter().find(|shape| !matches!(shape.shape_type.as_str(), "" | "polygon")) {
            Some(Outline { label, shape_type, .. }) => {
                Err(LabelMeError::Shape { label: label.clone(), shape: shape_type.clone() })
            }
            None => Ok(read),
        }
    }

    /// A byte for each pixel: what `class` says of the label that its middle lies in, the last one that does; 0 outside of all.
    #[must_use]
    pub fn mask(&self, class: impl Fn(&str) -> u8) -> Vec<u8> {
        let mut mask = vec![0; self.width * self.height];
        for shape in &self.shapes {
            let class = class(&shape.label);
            for (y, row) in mask.chunks_exact_mut(self.width).enumerate() {
                for [from, to] in shape.spans(y as f64 + 0.5) {
                    let first = (from - 0.5).ceil().max(0.0) as usize;
                    let end = ((to - 0.5).ceil().max(0.0) as usize).min(self.width);
                    row.iter_mut().take(end).skip(first).for_each(|pixel| *pixel = class);
                }
            }
        }
        mask
    }
}

impl Outline {
    /// Where the line at this height runs inside.
    fn spans(&self, y: f64) -> Vec<[f64; 2]> {
        let ends = self.points.iter().zip(self.points.iter().cycle().skip(1));
        let mut crossings: Vec<f64> = ends
            .filter(|([_, from], [_, to])| (*from <= y) != (*to <= y))
            .map(|([x, from], [to_x, to])| x + (to_x - x) * (y - from) / (to - from))
            .collect();
        crossings.sort_by(f64::total_cmp);
        crossings.as_chunks::<2>().0.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(shape: &str, points: &str) -> Vec<u8> {
        format!(
            r#"{{"version": "5", "imageWidth": 8, "imageHeight": 6, "imageData": null,
                 "shapes": [{{"label": "hook", "shape_type": "{shape}", "points": {points}}}]}}"#
        )
        .into_bytes()
    }

    /// Goal: pixels whose middle lies inside a polygon are its own, also where it leaves the picture or has a notch.
    #[test]
    fn pixels_inside_are_its_own() {
        let notched = "[[-3, 1], [20, 1], [20, 5], [4, 2], [-3, 5]]";
        let mask = LabelMe::read(&file("polygon", notched)).unwrap().mask(|_| 7);
        let rows: Vec<String> = mask
            .chunks(8)
            .map(|row| row.iter().map(|pixel| if *pixel == 7 { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(rows, ["........", "########", "###....#", "........", "........", "........"]);
    }

    /// Goal: what is no polygon, no size or no JSON is told.
    #[test]
    fn what_is_not_understood_is_told() {
        let circle = LabelMe::read(&file("circle", "[[1, 1], [2, 2]]")).unwrap_err().to_string();
        assert_eq!(circle, r#"a "circle" named "hook": only polygons are understood"#);
        assert!(matches!(LabelMe::read(b"{}"), Err(LabelMeError::Malformed(_))));
        let none = br#"{"imageWidth": 0, "imageHeight": 6, "shapes": []}"#;
        assert!(matches!(LabelMe::read(none), Err(LabelMeError::Size { .. })));
    }
}
