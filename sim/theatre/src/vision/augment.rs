//! What a camera, a lens, a lamp and an operation do to a picture, at random: so that the net learns what they leave alone.

use farhand_vision::{Rgb, Shape};

use super::samples::{HEIGHT, Sample, WIDTH};

/// Instruments come in more finishes than the simulator has: their pixels are brightened and tinted by so much at most.
const FINISH: f32 = 0.45;

/// A picture as the net takes it, with its labels: turned over, lit, coloured, veiled, blurred and noisy.
pub(super) fn vary(sample: &Sample, random: &mut fastrand::Rng) -> (Vec<f32>, Vec<u8>) {
    let mut picture: Vec<[f32; 3]> =
        sample.rgb.as_chunks::<3>().0.iter().map(|rgb| rgb.map(|c| f32::from(c) / 255.0)).collect();
    let mut labels = sample.labels.clone();
    finish(&mut picture, &labels, random);
    if random.f32() < 0.4 {
        highlights(&mut picture, random);
    }
    colour(&mut picture, random);
    if random.f32() < 0.25 {
        smoke(&mut picture, random);
    }
    vignette(&mut picture, random);
    if random.f32() < 0.4 {
        field_stop(&mut picture, &mut labels, random);
    }
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

/// Wet tissue throws the lamp back, in spots and streaks.
fn highlights(picture: &mut [[f32; 3]], random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..12) {
        let (x, y) = (random.f32() * WIDTH as f32, random.f32() * HEIGHT as f32);
        let (long, short) = (1.0 + random.f32() * 9.0, 0.7 + random.f32() * 2.5);
        let (sin, cos) = (random.f32() * std::f32::consts::TAU).sin_cos();
        let bright = 0.4 + random.f32() * 0.8;
        let reach = (long * 2.5) as usize + 2;
        let span =
            |at: f32, side: usize| (at as usize).saturating_sub(reach)..(at as usize + reach).min(side);
        for (py, px) in span(y, HEIGHT).flat_map(|py| span(x, WIDTH).map(move |px| (py, px))) {
            let (dx, dy) = (px as f32 - x, py as f32 - y);
            let (along, across) = ((dx * cos + dy * sin) / long, (dy * cos - dx * sin) / short);
            let light = bright * (-(along * along + across * across)).exp();
            picture[py * WIDTH + px] = picture[py * WIDTH + px].map(|c| c + light);
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

/// A grey veil that is thicker here than there.
fn smoke(picture: &mut [[f32; 3]], random: &mut fastrand::Rng) {
    let (grey, most) = (0.5 + random.f32() * 0.4, random.f32() * 0.7);
    let waves = [0; 3].map(|_| [random.f32() * 0.05, random.f32() * 0.05, random.f32() * 6.3]);
    for (at, pixel) in picture.iter_mut().enumerate() {
        let (x, y) = ((at % WIDTH) as f32, (at / WIDTH) as f32);
        let sum: f32 = waves.iter().map(|[a, b, c]| (a * x + b * y + c).sin()).sum();
        let thick = most * (0.5 + sum / 6.0);
        *pixel = pixel.map(|c| c + (grey - c) * thick);
    }
}

/// Darker away from the middle of the light.
fn vignette(picture: &mut [[f32; 3]], random: &mut fastrand::Rng) {
    let strength = random.f32() * 0.9;
    let (x, y) = (WIDTH as f32 * (0.35 + random.f32() * 0.3), HEIGHT as f32 * (0.35 + random.f32() * 0.3));
    let far = (WIDTH as f32 / 2.0).hypot(HEIGHT as f32 / 2.0);
    for (at, pixel) in picture.iter_mut().enumerate() {
        let distance = ((at % WIDTH) as f32 - x).hypot((at / WIDTH) as f32 - y) / far;
        let light = 1.0 - strength * (distance * distance).min(1.0);
        *pixel = pixel.map(|c| c * light);
    }
}

/// An endoscope's round edge: beyond it there is no picture.
fn field_stop(picture: &mut [[f32; 3]], labels: &mut [u8], random: &mut fastrand::Rng) {
    let (x, y) = (WIDTH as f32 * (0.45 + random.f32() * 0.1), HEIGHT as f32 * (0.45 + random.f32() * 0.1));
    let radius = (WIDTH as f32 / 2.0).hypot(HEIGHT as f32 / 2.0) * (0.7 + random.f32() * 0.25);
    let dark = random.f32() * 0.06;
    let beyond = |at_x: usize, at_y: usize| (at_x as f32 - x).hypot(at_y as f32 - y) > radius;
    for (at, pixel) in picture.iter_mut().enumerate().filter(|(at, _)| beyond(at % WIDTH, at / WIDTH)) {
        *pixel = [dark; 3];
        labels[at / WIDTH / 2 * (WIDTH / 2) + at % WIDTH / 2] = 0;
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
