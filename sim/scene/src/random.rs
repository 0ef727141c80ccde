//! A small seeded generator and value noise: the tissue of a seed is the same on every machine.
//!
//! It is no source of secrets, and not the simulator's own generator either: it only paints.

/// SplitMix64 (Steele, Lea and Flood 2014): one addition and a few mixing steps a number.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// One of them, or none of none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let number = self.next_u64() % from.len().max(1) as u64;
        from.get(number as usize)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * unit(self.next_u64())
    }
}

/// Smooth noise in `[-1, 1]` with features about one unit wide.
pub(crate) fn value_noise(seed: u64, x: f64, y: f64) -> f64 {
    let (cell_x, cell_y) = (x.floor(), y.floor());
    let (u, v) = (fade(x - cell_x), fade(y - cell_y));
    let at = |dx: f64, dy: f64| lattice(seed, (cell_x + dx) as i64, (cell_y + dy) as i64);
    let low = at(0.0, 0.0) + (at(1.0, 0.0) - at(0.0, 0.0)) * u;
    let high = at(0.0, 1.0) + (at(1.0, 1.0) - at(0.0, 1.0)) * u;
    2.0 * (low + (high - low) * v) - 1.0
}

fn lattice(seed: u64, x: i64, y: i64) -> f64 {
    let key = seed
        ^ (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    unit(mix(key))
}

fn fade(t: f64) -> f64 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
