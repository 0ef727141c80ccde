//! `farhand vision eval`: real pictures with labels, instruments against everything else; or the simulator's, by what makes them hard.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use farhand_vision::{CandleExec, Confusion, Labelled, Model, Seen, labelled};
use serde_json::{Value, json};

use super::factors;

/// The instruments' class in a picture's confusion.
const INSTRUMENT: [usize; 1] = [1];

/// Judges where instruments are seen in labelled pictures: overlap (IoU) with all pixels pooled and by picture, how well edges lie, and
/// how much is seen where nothing is.
///
/// Beside a model stands a threshold on colour, parted by each picture's own histogram. Without a model that is all.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model's file.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Pictures, PNG.
    #[arg(long, value_name = "DIR", required_unless_present = "simulated")]
    images: Option<PathBuf>,
    /// In place of a folder, so many of the simulator's pictures of each kind: like those learnt from, of instruments and tissues that
    /// were not, without an instrument, and each factor alone at three severities.
    #[arg(long, value_name = "N", requires = "model", conflicts_with = "images", value_parser = clap::value_parser!(u32).range(1..))]
    simulated: Option<u32>,
    /// LabelMe's JSON of the same names; without it in the pictures' folder.
    #[arg(long, value_name = "DIR")]
    labels: Option<PathBuf>,
    /// Pictures to look at go here: green where it is right, red where it should not be, blue where it is missing.
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
    /// One JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// One way to see, over all pictures.
struct Verdict {
    who: &'static str,
    each: Vec<(String, Seen)>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let model = arguments.model.as_ref().map(|path| read(path)).transpose()?;
    if let Some((pictures, model)) = arguments.simulated.zip(model.as_ref()) {
        return factors::tell(model, pictures, arguments.json);
    }
    let images = arguments.images.as_ref().context("a folder of pictures is needed: --images DIR")?;
    let pictures = labelled(images, arguments.labels.as_ref().unwrap_or(images))?;
    let mut verdicts = vec![arguments.judge("colour", &pictures, |picture| Ok(picture.baseline()))?];
    if let Some(model) = model {
        let net = CandleExec::new(&model, model.graph(model.card().height, model.card().width)?)?;
        let see = |picture: &Labelled| Ok(picture.picture.instruments(&model, &net)?);
        verdicts.push(arguments.judge("model", &pictures, see)?);
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        let each: serde_json::Map<_, _> =
            verdicts.iter().map(|verdict| (verdict.who.to_owned(), verdict.to_json())).collect();
        return Ok(writeln!(out, "{}", json!({ "images": pictures.len(), "instrument": each }))?);
    }
    writeln!(out, "{:<24}{:>8}{:>10}{:>10}{:>12}", "picture", "seen by", "IoU", "edges F1", "false area")?;
    verdicts.iter().try_for_each(|verdict| verdict.tell(&mut out))
}

pub(super) fn read(path: &Path) -> anyhow::Result<Model> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Model::read(&bytes).with_context(|| path.display().to_string())
}

impl Arguments {
    fn judge(
        &self,
        who: &'static str,
        pictures: &[Labelled],
        see: impl Fn(&Labelled) -> anyhow::Result<Vec<bool>>,
    ) -> anyhow::Result<Verdict> {
        let mut each = Vec::new();
        for picture in pictures {
            let mask = see(picture)?;
            if let Some(folder) = &self.overlays {
                fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
                picture.overlay(&mask).write_png(&folder.join(format!("{}-{who}.png", picture.name)))?;
            }
            each.push((picture.name.clone(), picture.judge(&mask)));
        }
        Ok(Verdict { who, each })
    }
}

impl Verdict {
    fn pooled(&self) -> Confusion {
        let mut pooled = Confusion::new(2);
        self.each.iter().for_each(|(_, seen)| pooled.merge(&seen.confusion));
        pooled
    }

    fn to_json(&self) -> Value {
        let pooled = self.pooled();
        let each: Vec<Value> = self
            .each
            .iter()
            .map(|(name, seen)| {
                let confusion = &seen.confusion;
                json!({
                    "image": name, "iou": confusion.iou(&INSTRUMENT), "boundary_f1": seen.boundary_f1,
                    "false_area": confusion.false_area(&INSTRUMENT),
                })
            })
            .collect();
        json!({ "iou": pooled.iou(&INSTRUMENT), "dice": pooled.dice(&INSTRUMENT), "each": each })
    }

    fn tell(&self, out: &mut impl io::Write) -> anyhow::Result<()> {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        let mut line = |name: &str, confusion: &Confusion, edges: Option<f64>| {
            let iou = figure(confusion.iou(&INSTRUMENT));
            let false_area = figure(confusion.false_area(&INSTRUMENT));
            writeln!(out, "{name:<24}{:>8}{iou:>10}{:>10}{false_area:>12}", self.who, figure(edges))
        };
        for (name, seen) in &self.each {
            line(name, &seen.confusion, seen.boundary_f1)?;
        }
        Ok(line("all pixels", &self.pooled(), None)?)
    }
}
