//! AdamW (Loshchilov and Hutter 2019), with its memory at hand, so that learning can be interrupted.

const MOMENTUM: f32 = 0.9;
const SQUARES: f32 = 0.999;
const TINY: f32 = 1e-8;

/// What is remembered of one parameter's gradients.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory {
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// One step's constants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) rate: f32,
    /// Share of the rate by which values shrink.
    pub(crate) decay: f32,
    /// All gradients are multiplied by this first.
    pub(crate) scale: f32,
}

impl Memory {
    pub(crate) fn new(length: usize) -> Self {
        Self { mean: vec![0.0; length], square: vec![0.0; length] }
    }

    pub(crate) fn parts(&self) -> [&[f32]; 2] {
        [&self.mean, &self.square]
    }

    pub(crate) fn parts_mut(&mut self) -> [&mut Vec<f32>; 2] {
        [&mut self.mean, &mut self.square]
    }

    pub(crate) fn update(&mut self, step: Step, values: &mut [f32], gradient: &[f32]) {
        let number = i32::try_from(step.number).unwrap_or(i32::MAX);
        let (mean_share, square_share) = (1.0 - MOMENTUM.powi(number), 1.0 - SQUARES.powi(number));
        let memory = self.mean.iter_mut().zip(&mut self.square);
        for ((value, gradient), (mean, square)) in values.iter_mut().zip(gradient).zip(memory) {
            let gradient = gradient * step.scale;
            *mean = MOMENTUM * *mean + (1.0 - MOMENTUM) * gradient;
            *square = SQUARES * *square + (1.0 - SQUARES) * gradient * gradient;
            let towards = (*mean / mean_share) / ((*square / square_share).sqrt() + TINY);
            *value -= step.rate * (towards + step.decay * *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: it finds the bottom of a bowl that is steep one way and flat the other.
    #[test]
    fn it_finds_the_bottom() {
        let (mut values, mut memory) = ([3.0, -2.0], Memory::new(2));
        for number in 1..=2_000 {
            let gradient = [200.0 * (values[0] - 1.0), 0.02 * (values[1] - 0.5)];
            memory.update(Step { number, rate: 0.02, decay: 0.0, scale: 1.0 }, &mut values, &gradient);
        }
        assert!((values[0] - 1.0).abs() < 1e-2 && (values[1] - 0.5).abs() < 1e-2, "{values:?}");
    }
}
