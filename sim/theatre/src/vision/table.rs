//! Figures as tables: for a terminal, or as a model's card has them.

use std::io::{self, Write};

use farhand_vision::Figures;
use serde_json::{Value, json};

/// Heads of what [`cells`] gives.
pub(super) const FIGURES: [&str; 6] = ["IoU", "Dice", "edges F1", "flicker", "calibration", "false area"];

/// Rows of figures under their heads; so many columns at the left are words.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) words: usize,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// One figure. What there was nothing to judge by has a dash.
pub(super) fn cell(figure: Option<f64>) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.3}"))
}

pub(super) fn cells(figures: &Figures) -> Vec<String> {
    let Figures { iou, dice, boundary_f1, flicker, calibration, false_area } = *figures;
    [iou, dice, boundary_f1, flicker, calibration, false_area].map(cell).into()
}

pub(super) fn to_json(figures: &Figures) -> Value {
    let Figures { iou, dice, boundary_f1, flicker, calibration, false_area } = figures;
    json!({
        "iou": iou, "dice": dice, "boundary_f1": boundary_f1, "flicker": flicker, "calibration": calibration,
        "false_area": false_area,
    })
}

/// Words to begin with, then heads.
pub(super) fn head<'a>(words: &[&'a str], figures: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.iter().copied().chain(figures).map(str::to_owned).collect()
}

impl Table {
    /// Columns as wide as what stands in them.
    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.title)?;
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        for line in self.lines() {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let cell =
                    if column < self.words { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                text += if column > 0 { "  " } else { "" };
                text += &cell;
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        writeln!(out)
    }

    pub(super) fn markdown(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.title)?;
        for (at, line) in self.lines().enumerate() {
            writeln!(out, "| {} |", line.join(" | "))?;
            if at == 0 {
                writeln!(out, "|{}", "---|".repeat(line.len()))?;
            }
        }
        writeln!(out)
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        [&self.head].into_iter().chain(&self.rows)
    }

    fn width(&self, column: usize) -> usize {
        self.lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let figures = Figures { iou: Some(0.8964), flicker: Some(0.0), ..Figures::default() };
        let row = [vec!["smoke 3".to_owned()], cells(&figures)].concat();
        Table {
            title: "Instruments".to_owned(),
            words: 1,
            head: head(&["pictures"], FIGURES),
            rows: vec![row],
        }
    }

    /// Goal: columns stand under their heads, and what can't be told is a dash, not a nought.
    #[test]
    fn columns_stand_under_their_heads() {
        let mut out = Vec::new();
        table().text(&mut out).unwrap();
        let expected = "Instruments\n\
             pictures    IoU  Dice  edges F1  flicker  calibration  false area\n\
             smoke 3   0.896     –         –    0.000            –           –\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// Goal: the card's table is Markdown that can be pasted as it is.
    #[test]
    fn a_card_can_be_pasted() {
        let mut out = Vec::new();
        table().markdown(&mut out).unwrap();
        let expected = "Instruments\n\n\
             | pictures | IoU | Dice | edges F1 | flicker | calibration | false area |\n\
             |---|---|---|---|---|---|---|\n\
             | smoke 3 | 0.896 | – | – | 0.000 | – | – |\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
