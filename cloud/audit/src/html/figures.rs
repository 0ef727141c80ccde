//! What is drawn of a session: each figure with where it comes from, for none of them is better than that.

use super::plot::{Axis, Plot, Series};
use crate::story::{
    Mark,
    bins::{Bins, Second},
};

/// Names of the kit's modes, mildest first.
const MODES: &[&str] = &["follows", "slowed", "holds", "paused", "safe stop", "stopped"];

/// All figures, over one axis.
pub(super) fn figures<'a>(bins: &'a Bins<Second>, marks: &'a [Mark]) -> Vec<Plot<'a>> {
    let figures = Figures { bins, marks };
    vec![
        figures.glass(),
        figures.commands(),
        figures.ages(),
        figures.frames(),
        figures.video(),
        figures.modes(),
    ]
}

struct Figures<'a> {
    bins: &'a Bins<Second>,
    marks: &'a [Mark],
}

impl<'a> Figures<'a> {
    fn plot(&self, title: &'static str, unit: &'static str, what: &str, series: Vec<Series>) -> Plot<'a> {
        let (origin_us, width_s) = (self.bins.origin_us(), self.bins.width_s());
        let each = if width_s == 1 { "Each second".to_owned() } else { format!("Each {width_s} seconds") };
        let axis = Axis { origin_us, width_s, bins: self.bins.all().len(), marks: self.marks };
        Plot { title, unit, caption: format!("{each}: {what}"), series, names: &[], axis }
    }

    fn series(
        &self,
        label: &'static str,
        class: &'static str,
        value: impl Fn(&Second) -> Option<f64>,
    ) -> Series {
        Series { label, class, values: self.bins.all().iter().map(value).collect() }
    }

    /// So many a second.
    fn rate(&self, count: u64) -> Option<f64> {
        Some(count as f64 / self.bins.width_s() as f64)
    }

    fn glass(&self) -> Plot<'a> {
        let ms = |us: Option<u64>| us.map(|us| us as f64 / 1000.0);
        let series = vec![
            self.series("p50", "a", |bin| ms(bin.glass.quantile_us(0.5))),
            self.series("p95", "b", |bin| ms(bin.glass.quantile_us(0.95))),
            self.series("greatest", "c", |bin| ms(bin.glass.max_us())),
        ];
        let what = "from capture to the surgeon's display, as the display reported it, at the time of the report. p50 and \
                    p95 are at most 1/64 too high, the greatest is exact.";
        self.plot("Glass to glass", "ms", what, series)
    }

    fn commands(&self) -> Plot<'a> {
        let series = vec![
            self.series("sent", "a", |bin| self.rate(bin.sent)),
            self.series("taken in", "b", |bin| self.rate(bin.taken_in)),
            self.series("refused", "c", |bin| self.rate(bin.refused)),
        ];
        let what = "sent by the surgeon's signed lists, taken in and refused by the kit's, at the time of the lists.";
        self.plot("Commands", "commands a second", what, series)
    }

    fn ages(&self) -> Plot<'a> {
        let series = vec![
            self.series("picture", "a", |bin| bin.picture_age_ms.map(f64::from)),
            self.series("command", "b", |bin| bin.command_age_ms.map(f64::from)),
        ];
        let what = "the greatest age that the kit reckoned when it took a command in, by its states as the edge box \
                    recorded them.";
        self.plot("Age of the newest command and of the picture that it named", "ms", what, series)
    }

    fn frames(&self) -> Plot<'a> {
        let series = vec![self.series("frames", "a", |bin| self.rate(bin.frames))];
        self.plot("Frames", "frames a second", "frames recorded, by the edge box's log.", series)
    }

    fn video(&self) -> Plot<'a> {
        let series =
            vec![self.series("video", "a", |bin| self.rate(bin.frame_bytes).map(|bytes| bytes * 8.0 / 1e6))];
        self.plot("Video", "Mbit/s", "bytes of the access units recorded, as bits.", series)
    }

    fn modes(&self) -> Plot<'a> {
        let series = vec![self.series("mode", "a", |bin| bin.mode.map(|mode| f64::from(mode as u8)))];
        let what = "the most severe mode in the kit's states, as the edge box recorded them.";
        Plot { names: MODES, ..self.plot("Kit's mode", "", what, series) }
    }
}
