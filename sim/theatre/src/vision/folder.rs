//! How well instruments, and what else the labels tell, are seen in a folder's pictures.

use std::{
    fs,
    io::{self, Write as _},
};

use anyhow::Context as _;
use farhand_vision::{CandleExec, Figures, Folder, Labelled, Look, Model, Part, Seen, Verdict};
use serde_json::{Map, Value, json};

use super::{
    eval::{Arguments, Manner},
    table::{FIGURES, Table, cells, head, to_json},
};
use crate::progress;

/// One way to see, over all pictures.
struct Witness<'a> {
    who: &'static str,
    /// None: the colour threshold.
    net: Option<(&'a Model, CandleExec)>,
    rows: Vec<(String, Verdict)>,
}

/// Judges the folder's pictures by the colour threshold, the model if there is one, and the one that it stands against.
pub(super) fn tell(arguments: &Arguments, folder: &Folder, model: Option<&Model>) -> anyhow::Result<()> {
    let control = arguments.against()?;
    let mut witnesses = vec![Witness { who: "colour", net: None, rows: Vec::new() }];
    for (who, model) in [("model", model), ("against", control.as_ref())] {
        let Some(model) = model else { continue };
        let net = CandleExec::new(model, model.graph(model.card().height, model.card().width)?)?;
        witnesses.push(Witness { who, net: Some((model, net)), rows: Vec::new() });
    }
    let bar = progress::bar(folder.len() as u64, "{bar:40} {pos}/{len} pictures, {eta} to go");
    let mut before: Option<(Labelled, Vec<Seen>)> = None;
    for picture in folder.pictures() {
        let picture = picture?;
        let mut seen = Vec::new();
        for (at, witness) in witnesses.iter_mut().enumerate() {
            let now = witness.see(&picture)?;
            arguments.draw(&picture, &now, witness.who)?;
            let was = before.as_ref().map(|(before, was)| (before, &was[at]));
            witness.verdict(&picture.row, folder).add(&picture, &now, was);
            seen.push(now);
        }
        before = Some((picture, seen));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    let tables = [Some(whole_table(&witnesses, folder)), by_class_table(&witnesses, folder)];
    let mut tables = tables.iter().flatten();
    match arguments.manner() {
        Manner::Json => Ok(writeln!(out, "{}", all_to_json(&witnesses, folder))?),
        Manner::Markdown => Ok(tables.try_for_each(|table| table.markdown(&mut out))?),
        Manner::Words => Ok(tables.try_for_each(|table| table.text(&mut out))?),
    }
}

impl Arguments {
    fn draw(&self, picture: &Labelled, seen: &Seen, who: &str) -> anyhow::Result<()> {
        let Some(folder) = &self.overlays else { return Ok(()) };
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(picture.overlay(seen).write_png(&folder.join(format!("{}-{who}.png", picture.name)))?)
    }
}

impl Witness<'_> {
    fn see(&self, picture: &Labelled) -> anyhow::Result<Seen> {
        let Some((model, net)) = &self.net else { return Ok(picture.baseline()) };
        Ok(picture.seen(Look::at(&picture.picture, model, net)?, model))
    }

    /// Of the row; rows come one after the other.
    fn verdict(&mut self, row: &str, folder: &Folder) -> &mut Verdict {
        if self.rows.last().is_none_or(|(last, _)| last != row) {
            self.rows.push((row.to_owned(), Verdict::new(folder.layout().tells())));
        }
        let last = self.rows.len() - 1;
        &mut self.rows[last].1
    }

    fn pooled(&self, folder: &Folder) -> Verdict {
        let mut pooled = Verdict::new(folder.layout().tells());
        self.rows.iter().for_each(|(_, verdict)| pooled.merge(verdict));
        pooled
    }

    /// Instruments as one, and by class where there is a net and the labels tell some.
    fn figures(&self, verdict: &Verdict, folder: &Folder) -> Value {
        let mut all = to_json(&verdict.whole.figures(0));
        let tells = folder.layout().tells();
        if self.net.is_some() && !tells.is_empty() {
            let figures =
                |(at, part): (usize, &Part)| (part.name().to_owned(), to_json(&verdict.parts.figures(at)));
            all["classes"] = Value::Object(tells.iter().enumerate().map(figures).collect());
            all["classes_calibration"] = json!(verdict.parts.calibration());
        }
        all
    }

    fn to_json(&self, folder: &Folder) -> Value {
        let each = |(row, verdict): &(String, Verdict)| {
            let mut figures = self.figures(verdict, folder);
            figures["image"] = json!(row);
            figures
        };
        let mut all = self.figures(&self.pooled(folder), folder);
        all["each"] = self.rows.iter().map(each).collect();
        all
    }
}

fn all_to_json(witnesses: &[Witness<'_>], folder: &Folder) -> Value {
    let each: Map<_, _> =
        witnesses.iter().map(|witness| (witness.who.to_owned(), witness.to_json(folder))).collect();
    json!({ "images": folder.len(), "instrument": each })
}

fn whole_table(witnesses: &[Witness<'_>], folder: &Folder) -> Table {
    let mut rows = Vec::new();
    for witness in witnesses {
        let row = |name: &str, verdict: &Verdict| {
            [vec![name.to_owned(), witness.who.to_owned()], cells(&verdict.whole.figures(0))].concat()
        };
        rows.extend(witness.rows.iter().map(|(name, verdict)| row(name, verdict)));
        rows.push(row("all pixels", &witness.pooled(folder)));
    }
    let title = "Instruments, their parts as one".to_owned();
    Table { title, words: 2, head: head(&["picture", "seen by"], FIGURES), rows }
}

/// Nothing where the labels tell no classes, or nobody looked but the threshold.
fn by_class_table(witnesses: &[Witness<'_>], folder: &Folder) -> Option<Table> {
    let tells = folder.layout().tells();
    let mut rows = Vec::new();
    for witness in witnesses.iter().filter(|witness| witness.net.is_some()) {
        let pooled = witness.pooled(folder);
        let row =
            |name: &str, figures| [vec![name.to_owned(), witness.who.to_owned()], cells(&figures)].concat();
        let figures = tells.iter().enumerate().map(|(at, part)| row(part.name(), pooled.parts.figures(at)));
        rows.extend(figures);
        if !tells.is_empty() {
            rows.push(row("all", Figures { calibration: pooled.parts.calibration(), ..Figures::default() }));
        }
    }
    let title = "By class, all pixels".to_owned();
    (!rows.is_empty()).then(|| Table { title, words: 2, head: head(&["class", "seen by"], FIGURES), rows })
}
