//! How well a net does on the simulator's pictures, by what makes them hard: one thing at a time.

use std::io::{self, Write as _};

use farhand_scene::{Class, Conditions, Factor, Severity, Split};
use farhand_vision::{CandleExec, Confusion, Model};
use serde_json::{Value, json};

use super::samples::{CLASSES, HEIGHT, Sample, Sampler, WIDTH, best};

const SEED: u64 = 0x0fac_7025;
/// Of each factor.
const SEVERITIES: [u8; 3] = [1, 3, 5];
const INSTRUMENT: [Class; 3] = [Class::InstrumentShaft, Class::InstrumentWrist, Class::InstrumentClasper];

/// What some pictures have in common, and how well the net did on them.
struct Row {
    what: String,
    confusion: Confusion,
}

/// Judges the model on so many pictures of each kind.
pub(super) fn tell(model: &Model, pictures: u32, json: bool) -> anyhow::Result<()> {
    let net = CandleExec::new(model, model.graph(HEIGHT, WIDTH)?)?;
    let mut rows = Vec::new();
    for (what, split) in splits() {
        rows.push(Row {
            what: what.to_owned(),
            confusion: judge(&net, pictures, split, |conditions| conditions)?,
        });
    }
    for factor in Factor::ALL {
        for level in SEVERITIES {
            let alone = |conditions| only(conditions, factor, Severity::new(level));
            let confusion = judge(&net, pictures, Split::training(), alone)?;
            rows.push(Row { what: format!("{} {level}", factor.name()), confusion });
        }
    }
    let mut out = io::stdout().lock();
    if json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        return Ok(writeln!(out, "{}", json!({ "pictures_a_row": pictures, "rows": rows }))?);
    }
    write!(out, "{:<28}{:>12}", "pictures", "instrument")?;
    for class in Class::ALL.iter().take(CLASSES) {
        write!(out, "{:>20}", class.name())?;
    }
    writeln!(out, "{:>12}", "false area")?;
    rows.iter().try_for_each(|row| row.tell(&mut out))
}

fn splits() -> [(&'static str, Split); 5] {
    let (known, unknown) = (Split::training(), Split::held_out());
    [
        ("like those learnt from", known.clone()),
        (
            "unseen instruments",
            Split { kinds: unknown.kinds.clone(), finishes: unknown.finishes.clone(), ..known.clone() },
        ),
        (
            "unseen tissues",
            Split { palettes: unknown.palettes.clone(), tissues: unknown.tissues, ..known.clone() },
        ),
        ("nothing of it seen", unknown),
        ("no instrument", Split { kinds: Vec::new(), ..known }),
    ]
}

/// Nothing wrong but this.
fn only(conditions: Conditions, factor: Factor, severity: Severity) -> Conditions {
    let none = |conditions: Conditions, factor| conditions.with(factor, Severity::NONE);
    Factor::ALL.into_iter().fold(conditions, none).with(factor, severity)
}

fn judge(
    net: &CandleExec,
    pictures: u32,
    split: Split,
    under: impl Fn(Conditions) -> Conditions,
) -> anyhow::Result<Confusion> {
    let mut sampler = Sampler::new(SEED, split)?;
    let mut confusion = Confusion::new(CLASSES);
    for _ in 0..pictures {
        let sample: Sample = sampler.next_under(&under)?;
        confusion.add(&sample.labels, &best(&net.scores(&sample.planes())?));
    }
    Ok(confusion)
}

impl Row {
    fn instrument(&self) -> [usize; 3] {
        INSTRUMENT.map(|part| usize::from(part.id()))
    }

    fn tell(&self, out: &mut impl io::Write) -> anyhow::Result<()> {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        write!(out, "{:<28}{:>12}", self.what, figure(self.confusion.iou(&self.instrument())))?;
        for class in Class::ALL.iter().take(CLASSES) {
            write!(out, "{:>20}", figure(self.confusion.iou(&[class.id().into()])))?;
        }
        Ok(writeln!(out, "{:>12}", figure(self.confusion.false_area(&self.instrument())))?)
    }

    fn to_json(&self) -> Value {
        let classes: serde_json::Map<String, Value> = Class::ALL
            .iter()
            .take(CLASSES)
            .map(|class| (class.name().to_owned(), json!(self.confusion.iou(&[class.id().into()]))))
            .collect();
        let (iou, false_area) =
            (self.confusion.iou(&self.instrument()), self.confusion.false_area(&self.instrument()));
        json!({ "what": self.what, "instrument": iou, "classes": classes, "false_area": false_area })
    }
}
