//! The simulator's pictures to look at: the picture, what it shows, what was seen.

use farhand_vision::Rgb;

use super::samples::{CLASSES, HEIGHT, LABEL, Sample, WIDTH};

/// Tissue, shaft, wrist, jaws, vessel, organ; docs/vision.md names them.
const COLOURS: [[u8; 3]; CLASSES] =
    [[64, 64, 64], [60, 220, 90], [250, 200, 40], [60, 110, 250], [240, 60, 50], [170, 90, 200]];

/// Three panels side by side.
pub(super) fn side_by_side(sample: &Sample, seen: &[u8]) -> Rgb {
    let mut bytes = Vec::with_capacity(sample.rgb.len() * 3);
    for (y, row) in sample.rgb.chunks_exact(WIDTH * 3).enumerate() {
        bytes.extend_from_slice(row);
        for labels in [&sample.labels[..], seen] {
            let label = |x: usize| usize::from(labels[y / LABEL * (WIDTH / LABEL) + x / LABEL]);
            bytes.extend((0..WIDTH).flat_map(|x| COLOURS.get(label(x)).copied().unwrap_or_default()));
        }
    }
    Rgb { width: WIDTH * 3, height: HEIGHT, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the panels stand in their order, each pixel of a class in its colour, and no two classes share one.
    #[test]
    fn panels_stand_in_their_order() {
        let plane = WIDTH * HEIGHT / LABEL / LABEL;
        let mut sample = Sample { rgb: vec![9; WIDTH * HEIGHT * 3], labels: vec![0; plane] };
        sample.labels[plane - 1] = 4;
        let mut seen = vec![0; plane];
        seen[0] = 2;
        let panels = side_by_side(&sample, &seen);
        let pixel = |x: usize, y: usize| &panels.bytes[(y * panels.width + x) * 3..][..3];
        assert_eq!((panels.width, panels.height), (WIDTH * 3, HEIGHT));
        assert_eq!([pixel(0, 0), pixel(WIDTH, 0)], [&[9; 3], &COLOURS[0]]);
        assert_eq!([pixel(WIDTH * 2 - 1, HEIGHT - 1), pixel(WIDTH * 2, 1)], [&COLOURS[4], &COLOURS[2]]);
        assert!(COLOURS.iter().enumerate().all(|(at, colour)| !COLOURS[..at].contains(colour)));
    }
}
