//! Figures over time as SVG: steps, one for each bin, so that nothing is drawn that was not counted.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::page::Page;
use crate::{
    story::{Mark, MarkKind},
    time::rfc3339,
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 42.0;
/// Lines across; times below.
const TICKS_MAX: usize = 5;
const TIMES_MAX: u64 = 8;
/// Marks that a plot has room for.
const MARKS_MAX: usize = 60;
/// Widths of a step between times, in s.
const STEPS_S: [u64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];

/// One line of a plot.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) label: &'static str,
    /// How it is drawn: `a` to `d`.
    pub(crate) class: &'static str,
    /// For each bin.
    pub(crate) values: Vec<Option<f64>>,
}

/// What all plots of a session have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis<'a> {
    pub(crate) origin_us: u64,
    pub(crate) width_s: u64,
    pub(crate) bins: usize,
    pub(crate) marks: &'a [Mark],
}

/// A plot.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    pub(crate) title: &'static str,
    /// Of the axis at the left: quantity and unit.
    pub(crate) unit: &'static str,
    pub(crate) caption: String,
    pub(crate) series: Vec<Series>,
    /// Names of whole numbers from 0, where they stand for something.
    pub(crate) names: &'static [&'static str],
    pub(crate) axis: Axis<'a>,
}

impl Plot<'_> {
    pub(crate) fn write(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        page.html("<figure class=\"plot\">\n<h3>")?.html(self.title)?.html("</h3>\n")?;
        page.html("<svg viewBox=\"0 0 960 210\" role=\"img\" aria-label=\"")?;
        page.html(self.title)?.text(format_args!(". {}", self.caption))?.html("\">\n")?;
        self.write_values(page)?;
        self.write_times(page)?;
        self.write_marks(page)?;
        for series in &self.series {
            page.html("<path class=\"series ")?.html(series.class)?.html("\" d=\"")?;
            page.text(self.path(&series.values))?.html("\"/>\n")?;
        }
        page.html("</svg>\n<figcaption>")?;
        for series in self.series.iter().filter(|_| self.names.is_empty()) {
            page.html(
                "<span class=\"key\"><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"series ",
            )?;
            page.html(series.class)?
                .html("\" d=\"M0 4H28\"/></svg>")?
                .html(series.label)?
                .html("</span> ")?;
        }
        page.text(&self.caption)?.html("</figcaption>\n</figure>\n").map(drop)
    }

    /// The greatest value on the axis, and the step between lines.
    fn scale(&self) -> (f64, f64) {
        if !self.names.is_empty() {
            return ((self.names.len() - 1) as f64, 1.0);
        }
        let values = self.series.iter().flat_map(|series| series.values.iter().flatten());
        let max = values.fold(0.0, |max: f64, value| max.max(*value));
        let step = nice((max / TICKS_MAX as f64).max(1e-3));
        ((max / step).ceil().max(1.0) * step, step)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.scale().0 * (HEIGHT - TOP - BOTTOM)
    }

    fn x(&self, since_s: f64) -> f64 {
        let span_s = (self.axis.bins.max(1) as u64 * self.axis.width_s) as f64;
        LEFT + since_s.clamp(0.0, span_s) / span_s * (WIDTH - LEFT - RIGHT)
    }

    fn write_values(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        let (max, step) = self.scale();
        let lines = (max / step).round() as u32;
        for value in (0..=lines).map(|line| f64::from(line) * step) {
            let y = self.y(value);
            line(page, "grid", (LEFT, y), (WIDTH - RIGHT, y))?;
            let name =
                self.names.get(value as usize).map_or_else(|| number(value), |name| (*name).to_owned());
            label(page, "end", (LEFT - 8.0, y + 4.5), &name)?;
        }
        label(page, "start", (0.0, 12.0), self.unit)
    }

    fn write_times(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        let origin_s = self.axis.origin_us.div_ceil(1_000_000);
        let span_s = self.axis.bins.max(1) as u64 * self.axis.width_s;
        let fits = |step: &&u64| span_s / **step <= TIMES_MAX;
        let step = STEPS_S.iter().find(fits).copied().unwrap_or((span_s / TIMES_MAX).max(1));
        let first = origin_s.next_multiple_of(step);
        for second in (0..=TIMES_MAX).map(|n| first + n * step).take_while(|s| *s <= origin_s + span_s) {
            let since_s = second as f64 - self.axis.origin_us as f64 / 1e6;
            let (x, y) = (self.x(since_s), HEIGHT - BOTTOM);
            line(page, "tick", (x, y), (x, y + 5.0))?;
            label(page, "middle", (x, y + 20.0), &clock(second))?;
        }
        label(page, "end", (WIDTH - RIGHT, HEIGHT - 4.0), "time, UTC")
    }

    fn write_marks(&self, page: &mut Page<impl Write>) -> io::Result<()> {
        for mark in self.axis.marks.iter().take(MARKS_MAX) {
            let Some((class, letter)) = look(mark.kind) else { continue };
            let x = self.x(mark.utc_us.saturating_sub(self.axis.origin_us) as f64 / 1e6);
            line(page, class, (x, TOP - 4.0), (x, HEIGHT - BOTTOM))?;
            label(page, "middle", (x, TOP - 8.0), letter)?;
        }
        Ok(())
    }

    /// Steps; a bin without a value is a hole.
    fn path(&self, values: &[Option<f64>]) -> String {
        let mut path = String::new();
        let mut pen_down = false;
        for (index, value) in values.iter().enumerate() {
            let begin_s = (index as u64 * self.axis.width_s) as f64;
            let (from, to) = (self.x(begin_s), self.x(begin_s + self.axis.width_s as f64));
            if let Some(value) = value {
                let (pen, y) = (if pen_down { 'L' } else { 'M' }, self.y(*value));
                // Writing into a string does not fail.
                let _ = write!(path, "{pen}{from:.1} {y:.1}H{to:.1}");
            }
            pen_down = value.is_some();
        }
        path
    }
}

/// How a mark is drawn, and its letter: red is for e-stops alone.
fn look(kind: MarkKind) -> Option<(&'static str, &'static str)> {
    match kind {
        MarkKind::EStop => Some(("mark stop", "S")),
        MarkKind::HandOver => Some(("mark hand", "C")),
        MarkKind::Gap => Some(("mark gap", "G")),
        MarkKind::Restart => Some(("mark gap", "R")),
        MarkKind::Cleared | MarkKind::Refused => None,
    }
}

fn line(
    page: &mut Page<impl Write>,
    class: &'static str,
    from: (f64, f64),
    to: (f64, f64),
) -> io::Result<()> {
    page.html("<path class=\"")?.html(class)?.html("\" d=\"")?;
    page.text(format_args!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1))?;
    page.html("\"/>\n").map(drop)
}

fn label(page: &mut Page<impl Write>, anchor: &'static str, at: (f64, f64), text: &str) -> io::Result<()> {
    page.html("<text text-anchor=\"")?.html(anchor)?.html("\" x=\"")?;
    page.text(format_args!("{:.1}", at.0))?.html("\" y=\"")?.text(format_args!("{:.1}", at.1))?;
    page.html("\">")?.text(text)?.html("</text>\n").map(drop)
}

/// The next of 1, 2, 5, 10 and so on.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|lead| lead * power).find(|step| *step >= value).unwrap_or(10.0 * power)
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn clock(second: u64) -> String {
    rfc3339(second.saturating_mul(1_000_000)).get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: lines across stand at round numbers.
    #[test]
    fn steps_are_round() {
        for (value, step) in [(0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (32.0, 50.0), (51.0, 100.0), (0.03, 0.05)] {
            assert!((nice(value) - step).abs() < 1e-9, "{value}");
        }
        assert_eq!((number(0.25), number(100.0)), ("0.25".to_owned(), "100".to_owned()));
    }

    /// Goal: a bin without a value is a hole in the line, and no zero.
    #[test]
    fn holes_stay_holes() {
        let values = vec![Some(1.0), None, Some(2.0), Some(2.0)];
        let series = Series { label: "", class: "a", values };
        let axis = Axis { origin_us: 0, width_s: 1, bins: 4, marks: &[] };
        let plot =
            Plot { title: "", unit: "", caption: String::new(), series: vec![series], names: &[], axis };
        let path = plot.path(&plot.series[0].values);
        assert_eq!((path.matches('M').count(), path.matches('H').count()), (2, 3), "{path}");
    }
}
