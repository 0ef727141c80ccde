//! What a net must beat: instruments are grey where tissue is red.

/// Darker than this, colour says nothing.
const VALUE_MIN: u8 = 38;

/// Pixels of little colour, in a picture of RGB, 3 bytes a pixel. The threshold on saturation parts the picture's own histogram best
/// (Otsu 1979), so nothing is tuned to any data.
#[must_use]
pub fn colour_threshold(rgb: &[u8]) -> Vec<bool> {
    let pixels = rgb.as_chunks::<3>().0;
    let mut histogram = [0_u64; 256];
    for pixel in pixels.iter().filter(|pixel| value(pixel) >= VALUE_MIN) {
        histogram[usize::from(saturation(pixel))] += 1;
    }
    let threshold = otsu(&histogram);
    pixels.iter().map(|pixel| value(pixel) >= VALUE_MIN && saturation(pixel) <= threshold).collect()
}

fn value(pixel: &[u8; 3]) -> u8 {
    pixel.iter().copied().max().unwrap_or(0)
}

fn saturation(pixel: &[u8; 3]) -> u8 {
    let (most, least) = (value(pixel), pixel.iter().copied().min().unwrap_or(0));
    if most == 0 { 0 } else { (u16::from(most - least) * 255 / u16::from(most)) as u8 }
}

/// The greatest value of the lower part, so that the two parts' means lie as far apart as they can, by their sizes.
fn otsu(histogram: &[u64; 256]) -> u8 {
    let all: u64 = histogram.iter().sum();
    let sum: u64 = (0..).zip(histogram).map(|(value, count)| value * count).sum();
    let (mut below, mut sum_below, mut best) = (0, 0, (0.0, 0));
    for (value, count) in (0_u8..=255).zip(histogram) {
        below += count;
        sum_below += u64::from(value) * count;
        let above = all - below;
        if below == 0 || above == 0 {
            continue;
        }
        let apart = sum_below as f64 / below as f64 - (sum - sum_below) as f64 / above as f64;
        let between = below as f64 * above as f64 * apart * apart;
        if between > best.0 {
            best = (between, value);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: grey on red is found, black is not, whatever share of the picture it is.
    #[test]
    fn grey_on_red_is_found() {
        for share in [10, 50, 90] {
            let colours = (0..100).map(|at| match at {
                0 => [10, 10, 10],
                at if at < share => [150, 145, 140],
                _ => [180, 60, 50],
            });
            let rgb: Vec<u8> = colours.flatten().collect();
            let found = colour_threshold(&rgb);
            assert!((0..100).all(|at| found[at] == (1..share).contains(&at)), "{share}");
        }
    }
}
