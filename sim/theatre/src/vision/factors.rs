//! How well a net does on the simulator's pictures, by what makes them hard, beside what it must beat.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, ensure};
use farhand_scene::{Class, Split};
use farhand_vision::{CandleExec, Figures, Judge, Look, Model, colour_threshold};
use serde_json::{Value, json};

use super::{
    eval::{Arguments, Manner},
    panels::side_by_side,
    rows::rows,
    samples::{CLASSES, HEIGHT, LABEL, Sample, Sampler, WIDTH},
    table::{FIGURES, Table, cell, cells, head, to_json},
};
use crate::progress;

const SEED: u64 = 0x0fac_7025;
/// Pictures of a row that are kept to look at.
const LOOKED_AT: usize = 4;
/// Shaft, wrist and jaws.
const PARTS: [usize; 3] = [1, 2, 3];
/// In the order of the net's classes.
const SHORT: [&str; CLASSES] = ["tissue", "shaft", "wrist", "jaws", "vessel", "organ"];

/// How one row's pictures were seen.
struct Seen {
    what: String,
    /// A group for each class.
    classes: Judge,
    /// Instruments as one, and so for the controls: the colour threshold, and another net.
    whole: Judge,
    colour: Judge,
    against: Option<Judge>,
}

/// A net for pictures of the simulator's size.
struct Eye<'a> {
    model: &'a Model,
    net: CandleExec,
}

/// Judges the model on so many pictures of each row.
pub(super) fn tell(arguments: &Arguments, model: &Model, pictures: u32) -> anyhow::Result<()> {
    let control = arguments.against()?;
    let eye = Eye::new(model)?;
    let against = control.as_ref().map(Eye::new).transpose()?;
    let rows = rows();
    let mut sampler = Sampler::new(SEED, Split::training())?;
    let bar =
        progress::bar(rows.len() as u64 * u64::from(pictures), "{bar:40} {pos}/{len} {msg}, {eta} to go");
    let mut seen = Vec::new();
    for row in rows {
        bar.set_message(row.what.clone());
        let look = || bar.inc(1);
        sampler.begin(SEED, row.split.clone());
        let samples = (0..pictures).map(|_| sampler.next_two(row.change));
        seen.push(judge(&row.what, samples, &eye, against.as_ref(), arguments.overlays.as_deref(), look)?);
    }
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    let tables = [whole_table(&seen, against.is_some()), by_row_table(&seen), by_class_table(&seen)];
    match arguments.manner() {
        Manner::Json => {
            let rows: Vec<Value> = seen.iter().map(Seen::to_json).collect();
            writeln!(out, "{}", json!({ "pictures_a_row": pictures, "rows": rows }))?;
        }
        Manner::Markdown => tables.iter().flatten().try_for_each(|table| table.markdown(&mut out))?,
        Manner::Words => {
            let [whole, _, by_class] = tables;
            whole.iter().chain(&by_class).try_for_each(|table| table.text(&mut out))?;
        }
    }
    Ok(())
}

/// Judges pictures, each with the same a frame later.
fn judge(
    what: &str,
    samples: impl Iterator<Item = anyhow::Result<[Sample; 2]>>,
    eye: &Eye<'_>,
    against: Option<&Eye<'_>>,
    overlays: Option<&Path>,
    looked: impl Fn(),
) -> anyhow::Result<Seen> {
    let mut seen = Seen::new(what, against.is_some());
    for (at, two) in samples.enumerate() {
        let [sample, then] = two?;
        let first = eye.look(&sample)?;
        seen.add(&sample, &first);
        seen.again([&sample, &then], [&first, &eye.look(&then)?]);
        if let Some((judge, eye)) = seen.against.as_mut().zip(against) {
            add_whole(judge, &sample, &eye.look(&sample)?);
        }
        if let Some(folder) = overlays.filter(|_| at < LOOKED_AT) {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let name = format!("{}-{at}.png", what.replace(' ', "-"));
            side_by_side(&sample, &first.classes).write_png(&folder.join(name))?;
        }
        looked();
    }
    Ok(seen)
}

impl<'a> Eye<'a> {
    fn new(model: &'a Model) -> anyhow::Result<Self> {
        let expected: Vec<_> = Class::ALL.iter().take(CLASSES).map(|class| class.name()).collect();
        let seen = &model.card().classes;
        ensure!(*seen == expected, "the model's classes are {seen:?}, the simulator's {expected:?}");
        Ok(Self { model, net: CandleExec::new(model, model.graph(HEIGHT, WIDTH)?)? })
    }

    fn look(&self, sample: &Sample) -> anyhow::Result<Look> {
        let scores = self.net.scores(&sample.planes())?;
        Ok(Look::of(&scores, self.net.graph().output(), &self.model.card().classes))
    }
}

impl Seen {
    fn new(what: &str, against: bool) -> Self {
        let whole = || Judge::new(2, vec![vec![1]]);
        Self {
            what: what.to_owned(),
            classes: Judge::new(CLASSES, (0..CLASSES).map(|class| vec![class]).collect()),
            whole: whole(),
            colour: whole(),
            against: against.then(whole),
        }
    }

    fn add(&mut self, sample: &Sample, look: &Look) {
        self.classes.add(&sample.labels, &look.classes, WIDTH / LABEL);
        self.classes.sure(&sample.labels, &look.classes, &look.shares);
        add_whole(&mut self.whole, sample, look);
        self.colour.add(&as_one(&sample.labels), &coloured(sample), WIDTH / LABEL);
    }

    fn again(&mut self, [first, second]: [&Sample; 2], [seen, then]: [&Look; 2]) {
        self.classes.again([&first.labels, &second.labels], [&seen.classes, &then.classes]);
        let truths = [as_one(&first.labels), as_one(&second.labels)];
        let seen = [as_one(&seen.classes), as_one(&then.classes)];
        self.whole.again([&truths[0], &truths[1]], [&seen[0], &seen[1]]);
    }

    fn classes(&self) -> impl Iterator<Item = Figures> {
        (0..CLASSES).map(|class| self.classes.figures(class))
    }

    /// Mean overlap of an instrument's parts.
    fn parts(&self) -> Option<f64> {
        let ious: Vec<f64> = PARTS.iter().filter_map(|part| self.classes.figures(*part).iou).collect();
        (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64)
    }

    fn to_json(&self) -> Value {
        let names = Class::ALL.iter().map(|class| class.name().to_owned());
        let classes: serde_json::Map<_, _> =
            names.zip(self.classes().map(|figures| to_json(&figures))).collect();
        json!({
            "what": self.what, "instrument": to_json(&self.whole.figures(0)), "parts_iou": self.parts(),
            "classes": classes, "calibration": self.classes.calibration(), "colour": to_json(&self.colour.figures(0)),
            "against": self.against.as_ref().map(|judge| to_json(&judge.figures(0))),
        })
    }
}

/// Instruments as one: where a part has won, by how much all parts have together.
fn add_whole(judge: &mut Judge, sample: &Sample, look: &Look) {
    let (truth, seen) = (as_one(&sample.labels), as_one(&look.classes));
    let share = |(seen, share): (&u8, &f32)| if *seen == 1 { *share } else { 1.0 - share };
    let sure: Vec<f32> = seen.iter().zip(&look.instrument).map(share).collect();
    judge.add(&truth, &seen, WIDTH / LABEL);
    judge.sure(&truth, &seen, &sure);
}

fn as_one(classes: &[u8]) -> Vec<u8> {
    classes.iter().map(|class| u8::from(PARTS.contains(&usize::from(*class)))).collect()
}

/// What the colour threshold takes for an instrument: at least half of the picture's pixels in one of the labels'.
fn coloured(sample: &Sample) -> Vec<u8> {
    let mask = colour_threshold(&sample.rgb);
    let near = || (0..LABEL).flat_map(|dy| (0..LABEL).map(move |dx| (dy, dx)));
    let half = |(y, x): (usize, usize)| {
        let on = near().filter(|(dy, dx)| mask[(y * LABEL + dy) * WIDTH + x * LABEL + dx]).count();
        u8::from(on * 2 >= LABEL * LABEL)
    };
    (0..HEIGHT / LABEL).flat_map(|y| (0..WIDTH / LABEL).map(move |x| (y, x))).map(half).collect()
}

fn whole_table(seen: &[Seen], against: bool) -> Option<Table> {
    let controls = ["parts IoU", "colour IoU"].into_iter().chain(against.then_some("against IoU"));
    let row = |seen: &Seen| {
        let others = [seen.parts(), seen.colour.figures(0).iou].map(cell);
        let against = seen.against.as_ref().map(|judge| cell(judge.figures(0).iou));
        let figures = cells(&seen.whole.figures(0));
        [seen.what.clone()].into_iter().chain(figures).chain(others).chain(against).collect()
    };
    Some(Table {
        title: "Instruments: shaft, wrist and jaws as one".to_owned(),
        words: 1,
        head: head(&["pictures"], FIGURES.into_iter().chain(controls)),
        rows: seen.iter().map(row).collect(),
    })
}

fn by_row_table(seen: &[Seen]) -> Option<Table> {
    let row = |seen: &Seen| {
        let classes = seen.classes().map(|figures| cell(figures.iou));
        [seen.what.clone()].into_iter().chain(classes).collect()
    };
    Some(Table {
        title: "Overlap (IoU) by class".to_owned(),
        words: 1,
        head: head(&["pictures"], SHORT),
        rows: seen.iter().map(row).collect(),
    })
}

fn by_class_table(seen: &[Seen]) -> Option<Table> {
    let first = seen.first()?;
    let row = |(name, figures): (&str, Figures)| [vec![name.to_owned()], cells(&figures)].concat();
    let all = Figures { calibration: first.classes.calibration(), ..Figures::default() };
    Some(Table {
        title: format!("By class: {}", first.what),
        words: 1,
        head: head(&["class"], FIGURES),
        rows: SHORT.into_iter().zip(first.classes()).chain([("all", all)]).map(row).collect(),
    })
}
