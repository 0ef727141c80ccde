//! Overlap by class.

use super::ratio;

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Row: what it is; column: what it was taken for.
    counts: Vec<u64>,
}

impl Confusion {
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    /// Counts the pixels of a picture. Those with a byte that is no class, in either, do not count.
    ///
    /// # Panics
    /// If one picture has more pixels than the other.
    pub fn add(&mut self, truth: &[u8], seen: &[u8]) {
        assert_eq!(truth.len(), seen.len(), "two pictures of one size");
        for (truth, seen) in truth.iter().zip(seen) {
            let (truth, seen) = (usize::from(*truth), usize::from(*seen));
            if truth < self.classes && seen < self.classes {
                self.counts[truth * self.classes + seen] += 1;
            }
        }
    }

    /// Adds another's counts, of as many classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, more)| *sum += more);
    }

    /// Pixels in common over pixels of either (Jaccard), of these classes taken as one; `None` where there are none.
    #[must_use]
    pub fn iou(&self, classes: &[usize]) -> Option<f64> {
        let [both, truth, seen] = self.sums(classes);
        ratio(both, truth + seen - both)
    }

    /// Twice the pixels in common over the pixels of both, of these classes taken as one.
    #[must_use]
    pub fn dice(&self, classes: &[usize]) -> Option<f64> {
        let [both, truth, seen] = self.sums(classes);
        ratio(2 * both, truth + seen)
    }

    /// Of the pixels that are none of these classes, the share that was taken for one.
    #[must_use]
    pub fn false_area(&self, classes: &[usize]) -> Option<f64> {
        let [both, truth, seen] = self.sums(classes);
        ratio(seen - both, self.counts.iter().sum::<u64>() - truth)
    }

    /// Pixels that are and were seen as one of the classes; that are; that were seen.
    fn sums(&self, classes: &[usize]) -> [u64; 3] {
        let mut sums = [0; 3];
        for (at, count) in self.counts.iter().enumerate() {
            let (truth, seen) = (at / self.classes, at % self.classes);
            let (truth, seen) = (classes.contains(&truth), classes.contains(&seen));
            sums[0] += u64::from(truth && seen) * count;
            sums[1] += u64::from(truth) * count;
            sums[2] += u64::from(seen) * count;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: overlaps are what is counted by hand, for one class, for two as one, and for none.
    #[test]
    fn overlaps_are_what_is_counted_by_hand() {
        let mut confusion = Confusion::new(3);
        confusion.add(&[0, 0, 1, 1, 2, 2, 255], &[0, 1, 1, 2, 2, 0, 1]);
        assert_eq!(confusion.iou(&[1]), Some(1.0 / 3.0));
        assert_eq!(confusion.iou(&[1, 2]), Some(3.0 / 5.0));
        assert_eq!(confusion.dice(&[1, 2]), Some(6.0 / 8.0));
        assert_eq!(confusion.false_area(&[1, 2]), Some(0.5));
        assert_eq!(Confusion::new(3).iou(&[1]), None);
        let mut twice = confusion.clone();
        twice.merge(&confusion);
        assert_eq!(twice.iou(&[1]), confusion.iou(&[1]));
    }
}
