//! What a net says of a frame, small enough to be read back from a graphics device.

use crate::graph::Shape;

/// Classes that a byte can tell apart.
pub(crate) const CLASSES_MAX: usize = 256;

/// Of each pixel the class with the greatest score, and how sure that is. Row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segmentation {
    pub height: usize,
    pub width: usize,
    /// In the order of the model's names.
    pub classes: Vec<u8>,
    /// The class's share of all (softmax), from 0 to 255.
    pub shares: Vec<u8>,
}

impl Segmentation {
    /// From scores of at most [`CLASSES_MAX`] classes, channel after channel. The first of equal ones wins.
    pub(crate) fn of(scores: &[f32], shape: Shape) -> Self {
        debug_assert!(shape.channels <= CLASSES_MAX && scores.len() == shape.len());
        let judge = |pixel: usize| {
            let score = |class: usize| scores[class * shape.plane() + pixel];
            let better = |best: usize, class: usize| if score(class) > score(best) { class } else { best };
            let best = (0..shape.channels).fold(0, better);
            let all: f32 = (0..shape.channels).map(|class| (score(class) - score(best)).exp()).sum();
            (best as u8, (255.0 / all + 0.5) as u8)
        };
        let (classes, shares) = (0..shape.plane()).map(judge).unzip();
        Self { height: shape.height, width: shape.width, classes, shares }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the greatest score wins, the first of equal ones, and its share is softmax's.
    #[test]
    fn the_greatest_wins() {
        let scores = [0.0, 1.0, -40.0, 0.0, 1.0, 40.0];
        let seen = Segmentation::of(&scores, Shape::new(2, 1, 3));
        assert_eq!((seen.classes, seen.shares), (vec![0, 0, 1], vec![128, 128, 255]));
        let seen = Segmentation::of(&[0.0, 1.0_f32, 0.0], Shape::new(3, 1, 1));
        let share = 255.0 * 1.0_f32.exp() / (1.0_f32.exp() + 2.0);
        assert_eq!((seen.classes, seen.shares), (vec![1], vec![share.round() as u8]));
    }
}
