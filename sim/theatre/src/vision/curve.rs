//! How a run goes, as a table and as a picture: the loss, and how well pictures are seen that were not learnt from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use farhand_scene::Class;
use farhand_vision::Confusion;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

const SIZE_PX: (u32, u32) = (960, 420);
const PARTS: [Class; 3] = [Class::InstrumentShaft, Class::InstrumentWrist, Class::InstrumentClasper];

/// What a line shows of each look.
type Figure = fn(&Point) -> f64;

/// One look at a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) step: u64,
    pub(super) loss: f32,
    /// Overlap (IoU) of instruments, their parts as one.
    pub(super) instrument: f64,
    /// Mean of the parts' overlaps.
    pub(super) parts: f64,
}

impl Point {
    pub(super) fn new(step: u64, loss: f32, seen: &Confusion) -> Self {
        let id = |part: Class| usize::from(part.id());
        let parts = PARTS.map(|part| seen.iou(&[id(part)]).unwrap_or(0.0));
        let instrument = seen.iou(&PARTS.map(id)).unwrap_or(0.0);
        Self { step, loss, instrument, parts: parts.iter().sum::<f64>() / parts.len() as f64 }
    }
}

/// A run's looks: FILE.csv, and FILE.svg drawn from it.
#[derive(Debug)]
pub(super) struct Curve {
    table: PathBuf,
    points: Vec<Point>,
}

impl Curve {
    /// Goes on with what stands beside the run, up to the step that the run is at.
    pub(super) fn beside(model: &Path, steps: u64) -> anyhow::Result<Self> {
        let table = model.with_extension("csv");
        let mut points = Vec::new();
        if steps > 0 && table.exists() {
            let read = csv::Reader::from_path(&table)?.deserialize().collect::<Result<Vec<Point>, _>>();
            points = read.with_context(|| table.display().to_string())?;
            points.retain(|point| point.step <= steps);
        }
        Ok(Self { table, points })
    }

    pub(super) fn add(&mut self, point: Point) -> anyhow::Result<()> {
        self.points.push(point);
        let mut table =
            csv::Writer::from_path(&self.table).with_context(|| self.table.display().to_string())?;
        self.points.iter().try_for_each(|point| table.serialize(point))?;
        table.flush()?;
        let picture = self.table.with_extension("svg");
        self.draw(&picture).map_err(|error| anyhow!("{}: {error}", picture.display()))
    }

    fn draw(&self, picture: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(picture, SIZE_PX).into_drawing_area();
        area.fill(&WHITE)?;
        let (left, right) = area.split_horizontally(SIZE_PX.0 / 2);
        let steps = 0..self.points.iter().map(|point| point.step).max().unwrap_or(0).max(1);
        let loss_most = self.points.iter().map(|point| point.loss).fold(0.1, f32::max);
        let mut loss = ChartBuilder::on(&left)
            .caption("loss", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(steps.clone(), 0.0..loss_most)?;
        loss.configure_mesh().x_desc("batches").x_labels(5).light_line_style(TRANSPARENT).draw()?;
        loss.draw_series(LineSeries::new(self.points.iter().map(|point| (point.step, point.loss)), BLUE))?;
        let mut seen = ChartBuilder::on(&right)
            .caption("overlap (IoU), not learnt from", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(steps, 0.0..1.0)?;
        seen.configure_mesh().x_desc("batches").x_labels(5).light_line_style(TRANSPARENT).draw()?;
        let lines: [(&str, Figure, RGBColor); 2] = [
            ("instruments", |point| point.instrument, BLUE),
            ("mean of their parts", |point| point.parts, RED),
        ];
        for (what, of, colour) in lines {
            seen.draw_series(LineSeries::new(
                self.points.iter().map(|point| (point.step, of(point))),
                colour,
            ))?
            .label(what)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        seen.configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .draw()?;
        Ok(area.present()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an interrupted run's table goes on where the run does, and the picture has a line for each figure.
    #[test]
    fn an_interrupted_runs_curve_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("net.safetensors");
        let point = |step| Point { step, loss: 2.0 / (step + 1) as f32, instrument: 0.8, parts: 0.5 };
        let mut first = Curve::beside(&model, 0).unwrap();
        (0..3).for_each(|i| first.add(point(i * 100)).unwrap());
        let mut again = Curve::beside(&model, 150).unwrap();
        again.add(point(160)).unwrap();
        let steps: Vec<u64> =
            Curve::beside(&model, 1_000).unwrap().points.iter().map(|point| point.step).collect();
        assert_eq!(steps, [0, 100, 160]);
        let drawn = std::fs::read_to_string(model.with_extension("svg")).unwrap();
        assert!(drawn.matches("<polyline").count() >= 3, "{drawn}");
        assert!(Curve::beside(&model, 0).unwrap().points.is_empty());
    }
}
