//! How well classes were seen: overlap by class, and how well edges lie.

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

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How well the edges of two masks lie on each other: the harmonic mean of how much of each lies within `tolerance_px` of the other
/// (boundary F1, Csurka et al. 2013). `None` where neither has an edge.
#[must_use]
pub fn boundary_f1(truth: &[bool], seen: &[bool], width: usize, tolerance_px: usize) -> Option<f64> {
    let (truth, seen) = (edge(truth, width), edge(seen, width));
    let near = |edge: &[bool], of: &[bool]| {
        let wide = widened(of, width, tolerance_px);
        let all = edge.iter().filter(|on| **on).count();
        let hit = edge.iter().zip(&wide).filter(|(on, wide)| **on && **wide).count();
        (all > 0).then(|| hit as f64 / all as f64)
    };
    match (near(&seen, &truth), near(&truth, &seen)) {
        (None, None) => None,
        (Some(precision), Some(recall)) if precision + recall > 0.0 => {
            Some(2.0 * precision * recall / (precision + recall))
        }
        _ => Some(0.0),
    }
}

/// Pixels of the mask beside one that is not, or beside nothing.
fn edge(mask: &[bool], width: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let inside = |x: usize, y: usize| {
        let beside = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        beside.into_iter().all(|(x, y)| x < width && y < height && mask[y * width + x])
    };
    (0..mask.len()).map(|at| mask[at] && !inside(at % width, at / width)).collect()
}

/// The mask with all that is within so many pixels of it, along either axis.
fn widened(mask: &[bool], width: usize, by_px: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let along = |mask: &[bool], length: usize, count: usize, at: &dyn Fn(usize, usize) -> usize| {
        let mut wide = vec![false; mask.len()];
        for line in 0..count {
            for here in (0..length).filter(|here| mask[at(line, *here)]) {
                let to = (here + by_px).min(length - 1);
                (here.saturating_sub(by_px)..=to).for_each(|near| wide[at(line, near)] = true);
            }
        }
        wide
    };
    let rows = along(mask, width, height, &|line, here| line * width + here);
    along(&rows, height, width, &|line, here| here * width + line)
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

    /// Goal: a mask lies on itself, one that is moved by the tolerance does, one that is moved farther does not.
    #[test]
    fn edges_lie_within_the_tolerance() {
        let square = |left: usize| -> Vec<bool> {
            (0..400).map(|at| (left..left + 6).contains(&(at % 20)) && (5..11).contains(&(at / 20))).collect()
        };
        assert_eq!(boundary_f1(&square(4), &square(4), 20, 0), Some(1.0));
        assert_eq!(boundary_f1(&square(4), &square(6), 20, 2), Some(1.0));
        assert!(boundary_f1(&square(4), &square(9), 20, 2).unwrap() < 0.6);
        assert_eq!(boundary_f1(&square(4), &[false; 400], 20, 2), Some(0.0));
        assert_eq!(boundary_f1(&[false; 400], &[false; 400], 20, 2), None);
    }
}
