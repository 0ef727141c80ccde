//! Whether a net is right as often as it says.

/// Equal parts of a share from 0 to 1, as Guo et al. 2017 take them.
const BINS: usize = 15;

/// The expected calibration error (Guo et al. 2017): pixels are put into bins by how sure the net was of the class that won (its share
/// of softmax), and each bin's mean share is held against how often it was right.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// By the class that was seen.
    bins: Vec<[Bin; BINS]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    pixels: u64,
    right: u64,
    shares: f64,
}

impl Calibration {
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { bins: vec![Default::default(); classes] }
    }

    /// Counts the pixels of a picture. Those with a byte that is no class, in either, do not count.
    ///
    /// # Panics
    /// If they are not as many.
    pub fn add(&mut self, truth: &[u8], seen: &[u8], shares: &[f32]) {
        assert!(truth.len() == seen.len() && seen.len() == shares.len(), "pictures of one size");
        let classes = self.bins.len();
        for ((truth, seen), share) in truth.iter().zip(seen).zip(shares) {
            let Some(bins) = self.bins.get_mut(usize::from(*seen)) else { continue };
            if usize::from(*truth) < classes {
                let at = ((share * BINS as f32) as usize).min(BINS - 1);
                bins[at].pixels += 1;
                bins[at].right += u64::from(truth == seen);
                bins[at].shares += f64::from(*share);
            }
        }
    }

    /// Adds another's counts, of as many classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bins.len(), other.bins.len());
        let more = other.bins.iter().flatten();
        self.bins.iter_mut().flatten().zip(more).for_each(|(bin, more)| bin.merge(more));
    }

    /// Of the pixels that were seen as one of these classes: how far a share is from how often the very class is right, the mean over
    /// the bins by their pixels. `None` where there are none.
    #[must_use]
    pub fn error(&self, classes: &[usize]) -> Option<f64> {
        let mut pooled = [Bin::default(); BINS];
        for bins in classes.iter().filter_map(|class| self.bins.get(*class)) {
            pooled.iter_mut().zip(bins).for_each(|(bin, more)| bin.merge(more));
        }
        let pixels: u64 = pooled.iter().map(|bin| bin.pixels).sum();
        let off: f64 = pooled.iter().map(|bin| (bin.shares - bin.right as f64).abs()).sum();
        (pixels > 0).then(|| off / pixels as f64)
    }
}

impl Bin {
    fn merge(&mut self, more: &Self) {
        self.pixels += more.pixels;
        self.right += more.right;
        self.shares += more.shares;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(seen: Option<f64>, expected: f64) {
        assert!((seen.unwrap() - expected).abs() < 1e-6, "{seen:?}, expected {expected}");
    }

    /// Goal: the error is what is counted by hand: nothing where half of what is half sure is right, the whole share where nothing is,
    /// bins by their pixels, and a bin's own excess is not made good by another's.
    #[test]
    fn the_error_is_what_is_counted_by_hand() {
        let mut even = Calibration::new(2);
        even.add(&[0, 1], &[0, 0], &[0.5, 0.5]);
        close(even.error(&[0]), 0.0);

        let mut wrong = Calibration::new(2);
        wrong.add(&[0, 0], &[1, 1], &[0.75, 0.75]);
        close(wrong.error(&[1]), 0.75);

        // Three that are sure and right (off by 0 each), one of a third that is wrong (off by a third).
        let mut both = Calibration::new(3);
        both.add(&[0, 0, 0, 1], &[0, 0, 0, 0], &[1.0, 1.0, 1.0, 1.0 / 3.0]);
        close(both.error(&[0]), 1.0 / 12.0);

        // 0.6 and right is too little by 0.4, 0.9 and wrong too much by 0.9: of two bins, so they do not cancel.
        let mut apart = Calibration::new(2);
        apart.add(&[0, 1], &[0, 0], &[0.6, 0.9]);
        close(apart.error(&[0]), (0.4 + 0.9) / 2.0);
        // In one bin they do.
        let mut together = Calibration::new(2);
        together.add(&[0, 1], &[0, 0], &[0.62, 0.64]);
        close(together.error(&[0]), (1.26 - 1.0) / 2.0);
    }

    /// Goal: each class seen has an error of its own, all together one, and pixels without a class have none.
    #[test]
    fn each_class_has_its_own() {
        let mut seen = Calibration::new(3);
        seen.add(&[0, 0, 255], &[0, 1, 1], &[1.0, 0.8, 0.8]);
        close(seen.error(&[0]), 0.0);
        close(seen.error(&[1]), 0.8);
        assert_eq!(seen.error(&[2]), None);
        close(seen.error(&[0, 1, 2]), 0.4);
        let mut twice = seen.clone();
        twice.merge(&seen);
        assert_eq!(twice.error(&[0, 1]), seen.error(&[0, 1]));
        assert_eq!(twice.bins[1].iter().map(|bin| bin.pixels).sum::<u64>(), 2);
    }
}
