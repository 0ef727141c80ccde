//! How wrong scores are, and where to.
//!
//! Two measures in one: cross entropy, which looks at every pixel by itself, and one minus the overlap (soft Jaccard, Rahman and Wang
//! 2016), which counts a thin class for as much as a wide one.

/// Class weights and sizes; labels are one byte a pixel.
#[derive(Clone, Debug)]
pub(crate) struct Loss<'a> {
    /// How much a pixel of each class counts for the cross entropy.
    pub(crate) weights: &'a [f32],
    /// Pixels of a picture.
    pub(crate) plane: usize,
}

/// Of one class, over a whole batch.
#[derive(Clone, Copy, Debug, Default)]
struct Overlap {
    both: f64,
    either: f64,
    labelled: bool,
}

impl Loss<'_> {
    /// The mean cross entropy over all pixels by their weights, and the mean lack of overlap of the classes that the labels have;
    /// with its gradient by the scores. A label without a class does not count.
    pub(crate) fn of(&self, scores: &[f32], labels: &[u8]) -> (f32, Vec<f32>) {
        let shares = self.shares(scores);
        let overlaps = self.overlaps(&shares, labels);
        let count = overlaps.iter().filter(|overlap| overlap.labelled).count().max(1) as f64;
        let missing = |overlap: &Overlap| 1.0 - overlap.both / overlap.either.max(f64::MIN_POSITIVE);
        let apart = overlaps.iter().filter(|overlap| overlap.labelled).map(missing).sum::<f64>() / count;

        let weight_sum: f64 = labels.iter().filter_map(|label| self.weight(*label)).map(f64::from).sum();
        let scale = if weight_sum > 0.0 { 1.0 / weight_sum } else { 0.0 };
        let mut entropy = 0.0;
        let mut gradient = vec![0.0; scores.len()];
        self.each_pixel(labels, |at, label, weight| {
            entropy -= f64::from(weight) * f64::from(shares[at(label)].max(f32::MIN_POSITIVE)).ln();
            let classes = 0..self.weights.len();
            // By the share of each class, then by its score.
            let slope = |class: usize| {
                let Overlap { both, either, labelled } = overlaps[class];
                let by_share = if class == label { -1.0 / either } else { both / (either * either) };
                if labelled { by_share / count } else { 0.0 }
            };
            let mean: f64 = classes.clone().map(|class| slope(class) * f64::from(shares[at(class)])).sum();
            for class in classes {
                let share = f64::from(shares[at(class)]);
                let wanted = f64::from(u8::from(class == label));
                let of_entropy = scale * f64::from(weight) * (share - wanted);
                gradient[at(class)] = (of_entropy + share * (slope(class) - mean)) as f32;
            }
        });
        ((entropy * scale + apart) as f32, gradient)
    }

    fn weight(&self, label: u8) -> Option<f32> {
        self.weights.get(usize::from(label)).copied()
    }

    /// For every labelled pixel: where a class's value of it lies, its label, and the label's weight.
    fn each_pixel(&self, labels: &[u8], mut each: impl FnMut(&dyn Fn(usize) -> usize, usize, f32)) {
        for (pixel, label) in labels.iter().enumerate() {
            let Some(weight) = self.weight(*label) else { continue };
            let first = pixel / self.plane * self.weights.len() * self.plane + pixel % self.plane;
            each(&|class| first + class * self.plane, usize::from(*label), weight);
        }
    }

    /// Softmax over the classes of each pixel.
    fn shares(&self, scores: &[f32]) -> Vec<f32> {
        let mut shares = scores.to_vec();
        for picture in shares.chunks_exact_mut(self.weights.len() * self.plane) {
            for pixel in 0..self.plane {
                let places = (pixel..picture.len()).step_by(self.plane);
                let greatest = places.clone().map(|at| picture[at]).fold(f32::NEG_INFINITY, f32::max);
                places.clone().for_each(|at| picture[at] = (picture[at] - greatest).exp());
                let sum: f32 = places.clone().map(|at| picture[at]).sum();
                places.for_each(|at| picture[at] /= sum);
            }
        }
        shares
    }

    fn overlaps(&self, shares: &[f32], labels: &[u8]) -> Vec<Overlap> {
        let mut overlaps = vec![Overlap::default(); self.weights.len()];
        self.each_pixel(labels, |at, label, _| {
            for (class, overlap) in overlaps.iter_mut().enumerate() {
                let share = f64::from(shares[at(class)]);
                if class == label {
                    overlap.both += share;
                    overlap.either += 1.0;
                    overlap.labelled = true;
                } else {
                    overlap.either += share;
                }
            }
        });
        overlaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the gradient is the loss's slope, and a label without a class has none.
    #[test]
    fn the_gradient_is_the_slope() {
        let loss = Loss { weights: &[1.0, 2.5, 0.5], plane: 4 };
        let scores: Vec<f32> = (0..24).map(|i| ((i * 37 % 11) as f32 - 5.0) / 3.0).collect();
        let labels = [0, 1, 2, 255, 1, 1, 0, 2];
        let (_, gradient) = loss.of(&scores, &labels);
        for at in 0..scores.len() {
            let moved = |by: f32| {
                let mut scores = scores.clone();
                scores[at] += by;
                f64::from(loss.of(&scores, &labels).0)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(gradient[at])).abs() < 1e-4, "{at}: {slope} {}", gradient[at]);
        }
        assert!([3, 7, 11].iter().all(|at| gradient[*at] == 0.0));
    }

    /// Goal: who is sure and right has nothing to learn; a class that nobody labelled asks for no overlap.
    #[test]
    fn right_is_no_loss() {
        let loss = Loss { weights: &[1.0; 3], plane: 2 };
        let (right, _) = loss.of(&[30.0, 0.0, 0.0, 30.0, 0.0, 0.0], &[0, 1]);
        let (wrong, _) = loss.of(&[0.0, 30.0, 30.0, 0.0, 0.0, 0.0], &[0, 1]);
        assert!(right < 1e-6, "{right}");
        assert!(wrong > 20.0, "{wrong}");
    }
}
