//! Each picture is seen several times, never twice the same: what the scene does not vary from frame to frame is varied here.

use farhand_vision::{Rgb, Shape};

use super::samples::{HEIGHT, Sample, WIDTH};

/// Instruments come in more finishes than the simulator has: their pixels are brightened and tinted by so much at most.
const FINISH: f32 = 0.45;

/// A picture as the net takes it, with its labels: turned over, in other colours, blurred and noisy.
pub(super) fn vary(sample: &Sample, random: &mut fastrand::Rng) -> (Vec<f32>, Vec<u8>) {
    let mut picture: Vec<[f32; 3]> =
        sample.rgb.as_chunks::<3>().0.iter().map(|rgb| rgb.map(|c| f32::from(c) / 255.0)).collect();
    let mut labels = sample.labels.clone();
    if random.bool() {
        finish(&mut picture, &labels, random);
    }
    colour(&mut picture, random);
    for _ in 0..[0, 0, 1, 2][random.usize(..4)] {
        picture = blurred(&picture);
    }
    let noise = random.f32() * 0.04;
    for pixel in &mut picture {
        *pixel = pixel.map(|c| c + (random.f32() + random.f32() - 1.0) * noise);
    }
    if random.bool() {
        picture.chunks_mut(WIDTH).for_each(<[_]>::reverse);
        labels.chunks_mut(WIDTH / 2).for_each(<[_]>::reverse);
    }
    if random.bool() {
        picture = picture.chunks(WIDTH).rev().flatten().copied().collect();
        labels = labels.chunks(WIDTH / 2).rev().flatten().copied().collect();
    }
    let bytes = picture.iter().flat_map(|pixel| pixel.map(|c| (c.clamp(0.0, 1.0) * 255.0) as u8)).collect();
    let rgb = Rgb { width: WIDTH, height: HEIGHT, bytes };
    (rgb.planes(Shape::new(3, HEIGHT, WIDTH)), labels)
}

/// Another finish for every kind of part: dull, bright, black, white, a little coloured.
fn finish(picture: &mut [[f32; 3]], labels: &[u8], random: &mut fastrand::Rng) {
    let part = |random: &mut fastrand::Rng| {
        let base = random.f32() * FINISH;
        let contrast = 0.4 + random.f32() * 1.8;
        let tint = [0; 3].map(|_| 1.0 + (random.f32() - 0.5) * 0.25);
        (base, contrast, tint)
    };
    let parts = [part(random), part(random), part(random)];
    for (at, pixel) in picture.iter_mut().enumerate() {
        let label = labels[at / WIDTH / 2 * (WIDTH / 2) + at % WIDTH / 2];
        if let Some((base, contrast, tint)) =
            usize::from(label).checked_sub(1).and_then(|part| parts.get(part))
        {
            for (c, tint) in pixel.iter_mut().zip(tint) {
                *c = (base + *c * contrast) * tint;
            }
        }
    }
}

/// Exposure, white balance, saturation and gamma.
fn colour(picture: &mut [[f32; 3]], random: &mut fastrand::Rng) {
    let around = |random: &mut fastrand::Rng, share: f32| (((random.f32() - 0.5) * 2.0) * share).exp();
    let gain = around(random, 0.4);
    let balance = [0; 3].map(|_| gain * around(random, 0.15));
    let (saturation, gamma) = (around(random, 0.4), around(random, 0.3));
    for pixel in picture {
        let grey = pixel.iter().sum::<f32>() / 3.0;
        for (c, balance) in pixel.iter_mut().zip(balance) {
            *c = ((grey + (*c - grey) * saturation) * balance).max(0.0).powf(gamma);
        }
    }
}

/// The mean over 3 x 3 pixels.
fn blurred(picture: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let near = |at: usize, side: usize| at.saturating_sub(1)..(at + 2).min(side);
    let mean = |at: usize| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let pixels = near(y, HEIGHT).flat_map(|y| near(x, WIDTH).map(move |x| picture[y * WIDTH + x]));
        let (sum, count) = pixels.fold(([0.0; 3], 0.0), |(sum, count): ([f32; 3], f32), pixel| {
            ([sum[0] + pixel[0], sum[1] + pixel[1], sum[2] + pixel[2]], count + 1.0)
        });
        sum.map(|c| c / count)
    };
    (0..picture.len()).map(mean).collect()
}
