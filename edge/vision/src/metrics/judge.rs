//! All figures of what was seen, picture by picture.

use super::{Calibration, Confusion, Flicker, boundary_f1};

/// How far an edge may be off, as a share of the picture's diagonal (as DAVIS 2016 has it).
const EDGE_SHARE: f64 = 0.008;

/// How well some classes, taken as one, were seen. `None` where there was nothing to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub iou: Option<f64>,
    pub dice: Option<f64>,
    /// Mean over the pictures in which there is an edge.
    pub boundary_f1: Option<f64>,
    pub flicker: Option<f64>,
    /// Expected error of the share with which the class was seen.
    pub calibration: Option<f64>,
    pub false_area: Option<f64>,
}

/// Gathers what was seen of pictures, for groups of classes that are known from the start: each group's edges are looked at by picture.
#[derive(Clone, Debug)]
pub struct Judge {
    groups: Vec<Vec<usize>>,
    confusion: Confusion,
    calibration: Calibration,
    flicker: Flicker,
    /// Of each group: the sum and the number of pictures.
    edges: Vec<(f64, u64)>,
}

impl Judge {
    /// For so many classes, and these groups of them.
    #[must_use]
    pub fn new(classes: usize, groups: Vec<Vec<usize>>) -> Self {
        Self {
            confusion: Confusion::new(classes),
            calibration: Calibration::new(classes),
            flicker: Flicker::new(classes),
            edges: vec![(0.0, 0); groups.len()],
            groups,
        }
    }

    /// Takes in a picture of this width. Pixels whose true byte is no class do not count, nor do they make an edge of what is seen.
    ///
    /// # Panics
    /// If truth and what was seen are not of one size.
    pub fn add(&mut self, truth: &[u8], seen: &[u8], width: usize) {
        self.confusion.add(truth, seen);
        let tolerance_px = ((width as f64).hypot((truth.len() / width) as f64) * EDGE_SHARE).ceil() as usize;
        let known = |truth: &u8| usize::from(*truth) < self.confusion.classes();
        for (group, edges) in self.groups.iter().zip(&mut self.edges) {
            let is = |class: &u8| group.contains(&usize::from(*class));
            let truths: Vec<bool> = truth.iter().map(is).collect();
            let seen: Vec<bool> =
                truth.iter().zip(seen).map(|(truth, seen)| known(truth) && is(seen)).collect();
            if let Some(f1) = boundary_f1(&truths, &seen, width, tolerance_px) {
                *edges = (edges.0 + f1, edges.1 + 1);
            }
        }
    }

    /// How sure the net was of each pixel.
    pub fn sure(&mut self, truth: &[u8], seen: &[u8], shares: &[f32]) {
        self.calibration.add(truth, seen, shares);
    }

    /// The same scene once more.
    pub fn again(&mut self, truth: [&[u8]; 2], seen: [&[u8]; 2]) {
        self.flicker.add(truth, seen);
    }

    /// Adds another's pictures, of the same classes and groups.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.groups, other.groups);
        self.confusion.merge(&other.confusion);
        self.calibration.merge(&other.calibration);
        self.flicker.merge(&other.flicker);
        for (edges, more) in self.edges.iter_mut().zip(&other.edges) {
            *edges = (edges.0 + more.0, edges.1 + more.1);
        }
    }

    /// Over all classes, whichever was seen.
    #[must_use]
    pub fn calibration(&self) -> Option<f64> {
        self.calibration.error(&(0..self.confusion.classes()).collect::<Vec<_>>())
    }

    /// Of a group, by its place.
    ///
    /// # Panics
    /// If there is no such group.
    #[must_use]
    pub fn figures(&self, group: usize) -> Figures {
        let (classes, (edges, pictures)) = (&self.groups[group], self.edges[group]);
        Figures {
            iou: self.confusion.iou(classes),
            dice: self.confusion.dice(classes),
            boundary_f1: (pictures > 0).then(|| edges / pictures as f64),
            flicker: self.flicker.share(classes),
            calibration: self.calibration.error(classes),
            false_area: self.confusion.false_area(classes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each group has its own figures, edges are the mean over the pictures that have some, and what has no label makes no edge.
    #[test]
    fn each_group_has_its_own_figures() {
        let square = |left: usize, class: u8| -> Vec<u8> {
            let inside = |at: usize| (left..left + 6).contains(&(at % 20)) && (5..11).contains(&(at / 20));
            (0..400).map(|at| if inside(at) { class } else { 0 }).collect()
        };
        let mut judge = Judge::new(3, vec![vec![0], vec![1], vec![2], vec![1, 2]]);
        judge.add(&square(4, 1), &square(4, 2), 20); // the whole is right, its part is another
        judge.add(&square(4, 1), &square(12, 1), 20); // nothing of it is
        judge.add(&[0; 400], &[0; 400], 20); // nothing to see
        let [part, whole] = [1, 3].map(|group| judge.figures(group));
        assert_eq!((part.iou, whole.iou), (Some(0.0), Some(36.0 / (72.0 + 36.0))));
        assert_eq!((part.boundary_f1, whole.boundary_f1), (Some(0.0), Some(0.5)));
        assert_eq!((whole.flicker, whole.calibration), (None, None));
        judge.sure(&[0, 1], &[1, 1], &[0.75, 0.25]); // in two bins, each off by 0.75
        assert_eq!((judge.figures(1).calibration, judge.figures(2).calibration), (Some(0.75), None));
        assert_eq!(judge.calibration(), Some(0.75));
        assert_eq!(whole.false_area, Some(36.0 / (1200.0 - 72.0)));

        let mut twice = judge.clone();
        twice.merge(&judge);
        assert_eq!(twice.figures(3), judge.figures(3));

        let mut unlabelled = Judge::new(3, vec![vec![1]]);
        unlabelled.add(&[255; 400], &square(4, 1), 20);
        assert_eq!(unlabelled.figures(0), Figures::default());
    }
}
