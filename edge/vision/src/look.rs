//! What a net says of a picture, in the picture's own size or in that of the scores.

use crate::{exec::CandleExec, graph::Shape, model::Model, rgb::Rgb};

/// Of each pixel the class that won, its share of all (softmax, from 0 to 1), and the share that instruments have together: classes whose
/// name begins with that word. Row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// In the order of the model's names.
    pub classes: Vec<u8>,
    pub shares: Vec<f32>,
    pub instrument: Vec<f32>,
}

impl Look {
    /// In the scores' own size. The first of equal ones wins.
    #[must_use]
    pub fn of(scores: &[f32], shape: Shape, names: &[String]) -> Self {
        Self::from_shares(&softmax(scores, shape), names)
    }

    /// In the picture's size: shares are stretched along straight lines.
    ///
    /// # Errors
    /// Candle's.
    pub fn at(picture: &Rgb, model: &Model, net: &CandleExec) -> candle_core::Result<Self> {
        let (scores, shape) = (net.scores(&picture.planes(net.graph().input()))?, net.graph().output());
        let stretch = |share: &Vec<f32>| stretched(share, shape, picture.width, picture.height);
        let shares: Vec<_> = softmax(&scores, shape).iter().map(stretch).collect();
        Ok(Self::from_shares(&shares, &model.card().classes))
    }

    fn from_shares(shares: &[Vec<f32>], names: &[String]) -> Self {
        let pixels = shares.first().map_or(0, Vec::len);
        let tools: Vec<_> = shares
            .iter()
            .zip(names)
            .filter(|(_, name)| is_instrument(name))
            .map(|(share, _)| share)
            .collect();
        let better = |pixel: usize, best: usize, class: usize| {
            if shares[class][pixel] > shares[best][pixel] { class } else { best }
        };
        let best = |pixel: usize| (0..shares.len()).fold(0, |best, class| better(pixel, best, class));
        let (classes, won) = (0..pixels).map(|pixel| (best(pixel) as u8, shares[best(pixel)][pixel])).unzip();
        let instrument = |pixel: usize| tools.iter().map(|share| share[pixel]).sum();
        Self { classes, shares: won, instrument: (0..pixels).map(instrument).collect() }
    }
}

/// Whether a class is a part of an instrument, by its name.
pub(crate) fn is_instrument(name: &str) -> bool {
    name.starts_with("instrument")
}

/// Each class's share, class after class.
fn softmax(scores: &[f32], shape: Shape) -> Vec<Vec<f32>> {
    let plane = shape.plane();
    let mut shares: Vec<Vec<f32>> = scores.chunks_exact(plane).map(<[f32]>::to_vec).collect();
    for pixel in 0..plane {
        let greatest = shares.iter().map(|share| share[pixel]).fold(f32::NEG_INFINITY, f32::max);
        shares.iter_mut().for_each(|share| share[pixel] = (share[pixel] - greatest).exp());
        let all: f32 = shares.iter().map(|share| share[pixel]).sum();
        shares.iter_mut().for_each(|share| share[pixel] /= all);
    }
    shares
}

fn stretched(share: &[f32], from: Shape, width: usize, height: usize) -> Vec<f32> {
    let at = |x: usize, y: usize| f64::from(share[y * from.width + x]);
    let place = |at: usize, large: usize, small: usize| {
        let place = ((at as f64 + 0.5) * small as f64 / large as f64 - 0.5).clamp(0.0, (small - 1) as f64);
        (place as usize, (place as usize + 1).min(small - 1), place.fract())
    };
    let columns: Vec<_> = (0..width).map(|x| place(x, width, from.width)).collect();
    let mut large = Vec::with_capacity(width * height);
    for y in 0..height {
        let (upper, lower, down) = place(y, height, from.height);
        large.extend(columns.iter().map(|(left, right, across)| {
            let row = |y| at(*left, y) * (1.0 - across) + at(*right, y) * across;
            (row(upper) * (1.0 - down) + row(lower) * down) as f32
        }));
    }
    large
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["background-tissue", "instrument-shaft", "instrument-wrist"].map(str::to_owned).into()
    }

    /// Goal: the greatest score wins with its share of softmax, the first of equal ones, and parts of an instrument add up.
    #[test]
    fn the_greatest_wins_and_parts_add_up() {
        let scores = [0.0, 0.0, 40.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        let look = Look::of(&scores, Shape::new(3, 1, 3), &names());
        assert_eq!(look.classes, [0, 1, 0]);
        let e = 1.0_f32.exp();
        for (seen, expected) in look.shares.iter().zip([1.0 / 3.0, e / (1.0 + 2.0 * e), 1.0]) {
            assert!((seen - expected).abs() < 1e-6, "{seen}, expected {expected}");
        }
        for (seen, expected) in look.instrument.iter().zip([2.0 / 3.0, 2.0 * e / (1.0 + 2.0 * e), 0.0]) {
            assert!((seen - expected).abs() < 1e-6, "{seen}, expected {expected}");
        }
    }

    /// Goal: shares are stretched along straight lines between the middles of the small pixels, and stay what they are beyond them.
    #[test]
    fn shares_are_stretched_along_straight_lines() {
        let large = stretched(&[0.0, 1.0], Shape::new(1, 1, 2), 4, 2);
        assert_eq!(large, [0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]);
    }
}
