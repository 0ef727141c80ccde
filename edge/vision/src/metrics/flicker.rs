//! How steady a net is where nothing changes.

use super::ratio;

/// How often a pixel whose true class is the same in two pictures of one scene is seen as another class in the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flicker {
    classes: usize,
    /// By what it is, what it was taken for, what it was taken for then.
    counts: Vec<u64>,
}

impl Flicker {
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes * classes] }
    }

    /// Counts the pixels whose true class did not change. Those with a byte that is no class, in any, do not count.
    ///
    /// # Panics
    /// If the pictures are not of one size.
    pub fn add(&mut self, truth: [&[u8]; 2], seen: [&[u8]; 2]) {
        let pixels = truth[0].len();
        assert!(truth.iter().chain(&seen).all(|picture| picture.len() == pixels), "pictures of one size");
        for pixel in 0..pixels {
            let [was, is, first, then] =
                [truth[0], truth[1], seen[0], seen[1]].map(|of| usize::from(of[pixel]));
            if was == is && [is, first, then].iter().all(|class| *class < self.classes) {
                self.counts[(is * self.classes + first) * self.classes + then] += 1;
            }
        }
    }

    /// Adds another's counts, of as many classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, more)| *sum += more);
    }

    /// Of the pixels of these classes, taken as one: the share that was seen as another. `None` where there are none.
    #[must_use]
    pub fn share(&self, classes: &[usize]) -> Option<f64> {
        let one = |class: usize| if classes.contains(&class) { None } else { Some(class) };
        let [mut all, mut changed] = [0; 2];
        for (at, count) in self.counts.iter().enumerate() {
            let (truth, first, then) =
                (at / self.classes / self.classes, at / self.classes % self.classes, at % self.classes);
            if classes.contains(&truth) {
                all += count;
                changed += u64::from(one(first) != one(then)) * count;
            }
        }
        ratio(changed, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is seen as another class counts where the truth stayed, by the true class; what moved, and what has no class, does not.
    #[test]
    fn what_changes_where_nothing_does_is_counted() {
        let mut flicker = Flicker::new(3);
        let truth = [[0, 0, 0, 0, 1, 1, 2, 255], [0, 0, 0, 0, 1, 2, 2, 255]];
        let seen = [[0, 0, 1, 2, 1, 1, 2, 0], [0, 1, 1, 2, 1, 2, 2, 1]];
        flicker.add([&truth[0], &truth[1]], [&seen[0], &seen[1]]);
        assert_eq!(flicker.share(&[0]), Some(1.0 / 4.0));
        assert_eq!([flicker.share(&[1]), flicker.share(&[2])], [Some(0.0); 2]); // one that was 1 is 2 now
        assert_eq!(flicker.share(&[0, 1, 2]), Some(0.0)); // all as one can't change
        assert_eq!(Flicker::new(3).share(&[0]), None);
        let mut twice = flicker.clone();
        twice.merge(&flicker);
        assert_eq!(twice.share(&[0]), flicker.share(&[0]));
    }

    /// Goal: parts of one thing may be taken for each other without the thing itself flickering.
    #[test]
    fn parts_taken_as_one_do_not_flicker() {
        let mut flicker = Flicker::new(3);
        flicker.add([&[1, 2, 1], &[1, 2, 1]], [&[1, 2, 1], &[2, 1, 0]]);
        assert_eq!(flicker.share(&[1, 2]), Some(1.0 / 3.0));
        assert_eq!(flicker.share(&[1]), Some(1.0));
    }
}
