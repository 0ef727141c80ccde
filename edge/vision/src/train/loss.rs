//! How wrong scores are, and where to.

/// Class weights and sizes; labels are one byte a pixel.
#[derive(Clone, Debug)]
pub(crate) struct CrossEntropy<'a> {
    /// How much a pixel of each class counts.
    pub(crate) weights: &'a [f32],
    /// Pixels of a picture.
    pub(crate) plane: usize,
}

impl CrossEntropy<'_> {
    /// The mean over all pixels by their weights, and its gradient by the scores. A label without a class does not count.
    pub(crate) fn of(&self, scores: &[f32], labels: &[u8]) -> (f32, Vec<f32>) {
        let classes = self.weights.len();
        let mut gradient = vec![0.0; scores.len()];
        let (mut sum, mut weight_sum) = (0.0_f64, 0.0_f64);
        let pictures = scores.chunks_exact(classes * self.plane).zip(labels.chunks_exact(self.plane));
        for ((scores, labels), gradient) in pictures.zip(gradient.chunks_exact_mut(classes * self.plane)) {
            for (pixel, label) in labels.iter().enumerate() {
                let Some(&weight) = self.weights.get(usize::from(*label)) else { continue };
                sum += f64::from(weight * self.pixel((scores, *label), pixel, weight, gradient));
                weight_sum += f64::from(weight);
            }
        }
        let scale = if weight_sum > 0.0 { 1.0 / weight_sum } else { 0.0 };
        gradient.iter_mut().for_each(|value| *value *= scale as f32);
        ((sum * scale) as f32, gradient)
    }

    /// Minus the logarithm of the label's share.
    fn pixel(&self, (scores, label): (&[f32], u8), pixel: usize, weight: f32, gradient: &mut [f32]) -> f32 {
        let at = |class: usize| class * self.plane + pixel;
        let classes = 0..self.weights.len();
        let greatest = classes.clone().map(|class| scores[at(class)]).fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = classes.clone().map(|class| (scores[at(class)] - greatest).exp()).sum();
        for class in classes {
            let share = (scores[at(class)] - greatest).exp() / sum;
            let wanted = f32::from(u8::from(class == usize::from(label)));
            gradient[at(class)] = weight * (share - wanted);
        }
        sum.ln() - (scores[at(usize::from(label))] - greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the gradient is the loss's slope, and a label without a class has none.
    #[test]
    fn the_gradient_is_the_slope() {
        let loss = CrossEntropy { weights: &[1.0, 2.5, 0.5], plane: 4 };
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
}
