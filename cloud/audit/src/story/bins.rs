//! Figures over time, second by second, in memory that does not grow with the session.
//!
//! Invariant (local): there are never more than [`BINS_MAX`] bins. When time runs past the last one, pairs are merged and
//! a bin covers twice the time, so that nothing that was counted is lost.

use std::collections::BTreeMap;

use farhand_wire::Mode;

/// Twenty minutes at a second each; an hour at four.
pub(crate) const BINS_MAX: usize = 1200;
const SECOND_US: u64 = 1_000_000;

/// What can be put together from two stretches of time.
pub(crate) trait Merge: Default {
    fn merge(&mut self, later: Self);
}

/// Bins of equal width, the first of which begins with the session.
#[derive(Clone, Debug)]
pub(crate) struct Bins<T> {
    origin_us: u64,
    width_us: u64,
    bins: Vec<T>,
}

impl<T: Merge> Bins<T> {
    pub(crate) fn new(origin_us: u64) -> Self {
        Self { origin_us, width_us: SECOND_US, bins: Vec::new() }
    }

    /// The bin of a moment. Times before the first one count as the first.
    pub(crate) fn at(&mut self, utc_us: u64) -> &mut T {
        let since_us = utc_us.saturating_sub(self.origin_us);
        while since_us / self.width_us >= BINS_MAX as u64 {
            self.widen();
        }
        let index = (since_us / self.width_us) as usize;
        if self.bins.len() <= index {
            self.bins.resize_with(index + 1, T::default);
        }
        &mut self.bins[index]
    }

    fn widen(&mut self) {
        let mut merged = Vec::with_capacity(BINS_MAX);
        let mut bins = std::mem::take(&mut self.bins).into_iter();
        while let Some(mut first) = bins.next() {
            if let Some(later) = bins.next() {
                first.merge(later);
            }
            merged.push(first);
        }
        self.bins = merged;
        self.width_us = self.width_us.saturating_mul(2);
    }

    pub(crate) fn origin_us(&self) -> u64 {
        self.origin_us
    }

    pub(crate) fn width_s(&self) -> u64 {
        self.width_us / SECOND_US
    }

    /// In order, without holes.
    pub(crate) fn all(&self) -> &[T] {
        &self.bins
    }
}

/// What is drawn of a stretch of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    /// In the surgeon's signed lists.
    pub(crate) sent: u64,
    /// By the kit's signed verdicts.
    pub(crate) taken_in: u64,
    pub(crate) refused: u64,
    pub(crate) frames: u64,
    pub(crate) frame_bytes: u64,
    /// From capture to display, in µs.
    pub(crate) glass: Spread,
    /// As the kit reckoned it when it took a command in, in ms.
    pub(crate) command_age_ms: Option<f32>,
    pub(crate) picture_age_ms: Option<f32>,
    /// The most severe one.
    pub(crate) mode: Option<Mode>,
}

impl Merge for Second {
    fn merge(&mut self, later: Self) {
        self.sent += later.sent;
        self.taken_in += later.taken_in;
        self.refused += later.refused;
        self.frames += later.frames;
        self.frame_bytes += later.frame_bytes;
        self.glass.merge(later.glass);
        self.mode = self.mode.max(later.mode);
        later.command_age_ms.into_iter().for_each(|age| raise(&mut self.command_age_ms, age));
        later.picture_age_ms.into_iter().for_each(|age| raise(&mut self.picture_age_ms, age));
    }
}

/// Keeps the greater one. What is not a number is not kept.
pub(crate) fn raise(greatest: &mut Option<f32>, value: f32) {
    if value.is_finite() && greatest.is_none_or(|greatest| value > greatest) {
        *greatest = Some(value);
    }
}

/// A distribution of times in µs: classes whose width is a 64th of their value, and the greatest value exactly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    classes: BTreeMap<u16, u64>,
    count: u64,
    max_us: u64,
}

/// Values below are their own class.
const EXACT: u64 = 64;

impl Spread {
    pub(crate) fn add(&mut self, us: u64) {
        *self.classes.entry(class(us)).or_default() += 1;
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The value that this share of all lie at or below: at most 1/64 too high, and never above the greatest.
    pub(crate) fn quantile_us(&self, share: f64) -> Option<u64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let class = self.classes.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        class.map(|(class, _)| top_of(*class).min(self.max_us))
    }

    pub(crate) fn max_us(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_us)
    }
}

impl Merge for Spread {
    fn merge(&mut self, later: Self) {
        for (class, count) in later.classes {
            *self.classes.entry(class).or_default() += count;
        }
        self.count += later.count;
        self.max_us = self.max_us.max(later.max_us);
    }
}

fn class(us: u64) -> u16 {
    if us < EXACT {
        return us as u16;
    }
    let shift = us.ilog2() - EXACT.ilog2();
    // Between 64 and 127: the leading bit and the six that follow.
    (u64::from(shift) * EXACT + (us >> shift)) as u16
}

/// The greatest value of a class.
fn top_of(class: u16) -> u64 {
    let class = u64::from(class);
    if class < EXACT {
        return class;
    }
    let shift = (class - EXACT) / EXACT;
    let lead = class - shift * EXACT;
    (((u128::from(lead) + 1) << shift) - 1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every value falls into a class that reaches at most 1/64 above it, the greatest there is too.
    #[test]
    fn classes_are_narrow() {
        let values = (0..63).flat_map(|bit| [1u64 << bit, (1 << bit) + (1 << bit) / 3, (2 << bit) - 1]);
        for us in values.chain([0, u64::MAX]) {
            let top = top_of(class(us));
            assert!(top >= us && top - us <= us / 64, "{us}: {top}");
        }
    }

    /// Goal: quantiles are those of the values, whether they were put in one by one or merged.
    #[test]
    fn quantiles_survive_merging() {
        let (mut low, mut high) = (Spread::default(), Spread::default());
        (1..=50).for_each(|ms| low.add(ms * 1000));
        (51..=100).for_each(|ms| high.add(ms * 1000));
        low.merge(high);
        let (median, p95) = (low.quantile_us(0.5).unwrap(), low.quantile_us(0.95).unwrap());
        assert!((50_000..=50_800).contains(&median) && (95_000..=96_500).contains(&p95), "{median} {p95}");
        assert_eq!((low.max_us(), low.count()), (Some(100_000), 100));
        assert_eq!(Spread::default().quantile_us(0.5), None);
    }

    /// Goal: however late something happens, the bins stay few and nothing that was counted is lost.
    #[test]
    fn bins_widen_and_lose_nothing() {
        let mut bins = Bins::<Second>::new(5_000_000);
        for second in 0..10_000 {
            bins.at(5_000_000 + second * SECOND_US).sent += 1;
        }
        bins.at(u64::MAX).sent += 1;
        bins.at(0).sent += 1;
        assert!(bins.all().len() <= BINS_MAX);
        assert_eq!(bins.all().iter().map(|bin| bin.sent).sum::<u64>(), 10_002);
    }
}
