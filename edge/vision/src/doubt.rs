//! When not to trust what is seen. Measures of a frame and of what the net says of it, each with the limit beyond which nothing is
//! shown; docs/vision.md says what they came to on which pictures.

use farhand_wire::overlay::Doubt;

use crate::{picture::Nv12, segment::Segmentation};

/// Of the winner's share: below it a pixel is not decided.
const DECIDED: u8 = 153;
/// Of all pixels, as many may be undecided.
const UNDECIDED_MAX: f64 = 0.25;
/// Mean brightness, from 0 to 255 in limited range.
const BRIGHTNESS: std::ops::RangeInclusive<f64> = 28.0..=205.0;
/// Mean step of brightness over [`STEP`] pixels of 1280.
const EDGES_MIN: f64 = 1.2;
/// Mean share of colour that is green or blue above red: no tissue is.
const COLD_MAX: f64 = 0.35;
/// Every so many rows are looked at.
const ROWS: usize = 8;
/// A 160th of the width: finer than what the net sees, coarser than noise.
const STEP: usize = 160;

/// What a frame is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traits {
    /// Mean brightness, from 16 to 235.
    pub brightness: f64,
    /// Mean step of brightness from one place to the next.
    pub edges: f64,
    /// Share of the picture whose colour is no tissue's and no metal's.
    pub cold: f64,
}

impl Traits {
    /// Of some of a frame's rows.
    #[must_use]
    pub fn of(frame: Nv12<'_>) -> Self {
        let (width, height) = (frame.width(), frame.height());
        let (luma, chroma) = frame.bytes().split_at(width * height);
        let step = (width / STEP).max(1);
        let (mut sum, mut steps, mut counted) = (0_u64, 0_u64, 0_u64);
        for row in luma.chunks_exact(width).step_by(ROWS) {
            let mut means = row.chunks_exact(step).map(mean);
            let mut before = means.next().unwrap_or(0);
            for value in means {
                sum += value;
                steps += value.abs_diff(before);
                counted += 1;
                before = value;
            }
        }
        let (mut cold, mut pairs) = (0_u64, 0_u64);
        for row in chroma.chunks_exact(width).step_by(ROWS) {
            for [blue, red] in row.as_chunks::<2>().0.iter().step_by(4) {
                cold += u64::from(i16::from(*blue) - 128 > 12 || i16::from(*red) - 128 < -12);
                pairs += 1;
            }
        }
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        Self {
            brightness: share(sum, counted) / 16.0,
            edges: share(steps, counted) / 16.0,
            cold: share(cold, pairs),
        }
    }

    /// What speaks against looking at such a frame at all.
    #[must_use]
    pub fn doubt(&self) -> Option<Doubt> {
        if self.brightness < *BRIGHTNESS.start() {
            Some(Doubt::Dark)
        } else if self.brightness > *BRIGHTNESS.end() {
            Some(Doubt::Glare)
        } else if self.edges < EDGES_MIN {
            Some(Doubt::Blurred)
        } else if self.cold > COLD_MAX {
            Some(Doubt::Strange)
        } else {
            None
        }
    }
}

/// In sixteenths.
fn mean(part: &[u8]) -> u64 {
    part.iter().map(|value| u64::from(*value)).sum::<u64>() * 16 / part.len() as u64
}

impl Segmentation {
    /// Share of the pixels that no class has clearly won.
    #[must_use]
    pub fn undecided(&self) -> f64 {
        let undecided = self.shares.iter().filter(|share| **share < DECIDED).count();
        undecided as f64 / self.shares.len().max(1) as f64
    }

    /// What speaks against showing it.
    #[must_use]
    pub fn doubt(&self) -> Option<Doubt> {
        (self.undecided() > UNDECIDED_MAX).then_some(Doubt::Unsure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 640;
    const HEIGHT: usize = 360;

    /// Brightness by the column, one colour.
    fn frame(luma: impl Fn(usize) -> u8, colour: [u8; 2]) -> Vec<u8> {
        let rows = (0..HEIGHT).flat_map(|_| (0..WIDTH).map(&luma));
        rows.chain(colour.repeat(WIDTH * HEIGHT / 4)).collect()
    }

    fn doubt(bytes: &[u8]) -> Option<Doubt> {
        Traits::of(Nv12::new(WIDTH, HEIGHT, bytes).unwrap()).doubt()
    }

    /// Goal: what is dark, glaring, without edges or of a colour that no tissue has is named; what looks like tissue is not.
    #[test]
    fn what_is_no_picture_of_tissue_is_named() {
        let red = [110, 150];
        let folds =
            |dark: u8, bright: u8| move |x: usize| if (x / 20).is_multiple_of(2) { dark } else { bright };
        assert_eq!(doubt(&frame(folds(80, 140), red)), None);
        assert_eq!(doubt(&frame(folds(16, 24), red)), Some(Doubt::Dark));
        assert_eq!(doubt(&frame(folds(210, 235), red)), Some(Doubt::Glare));
        assert_eq!(doubt(&frame(|_| 110, red)), Some(Doubt::Blurred));
        assert_eq!(doubt(&frame(|x| 100 + (x / 20) as u8, red)), Some(Doubt::Blurred));
        assert_eq!(doubt(&frame(folds(80, 140), [180, 100])), Some(Doubt::Strange));
    }

    /// Goal: small frames are measured like large ones.
    #[test]
    fn traits_do_not_hang_on_the_size() {
        let of = |width: usize, height: usize| {
            let luma = (0..height)
                .flat_map(|_| (0..width).map(|x| if (x * 32 / width).is_multiple_of(2) { 60 } else { 160 }));
            let bytes: Vec<u8> = luma.chain([120; 2].repeat(width * height / 4)).collect();
            Traits::of(Nv12::new(width, height, &bytes).unwrap())
        };
        let (small, large) = (of(320, 180), of(1280, 720));
        assert!((small.brightness - large.brightness).abs() < 1.0, "{small:?} {large:?}");
        assert!((small.edges - large.edges).abs() < 0.1 * large.edges, "{small:?} {large:?}");
    }

    /// Goal: a net that has not made up its mind about a quarter of the picture is not believed.
    #[test]
    fn a_net_that_is_not_sure_is_not_believed() {
        let seen = |undecided: usize| Segmentation {
            height: 10,
            width: 10,
            classes: vec![1; 100],
            shares: (0..100).map(|at| if at < undecided { 120 } else { 250 }).collect(),
        };
        assert_eq!(seen(25).doubt(), None);
        assert_eq!(seen(26).doubt(), Some(Doubt::Unsure));
    }
}
