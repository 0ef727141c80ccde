//! `farhand vision train`: draws pictures and learns from them at the same time.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use farhand_scene::{Class, Split};
use farhand_vision::{Architecture, Batch, CandleExec, Card, Confusion, Schedule, Trainer};

use crate::progress;

use super::{
    augment,
    curve::{Curve, Point},
    eval,
    samples::{CLASSES, HEIGHT, Sample, Sampler, WIDTH, best},
};

/// Channels and blocks at each scale: 9 ms a pass on one core of 2024.
const ARCHITECTURE: Architecture =
    Architecture { widths: [24, 48, 96, 160], blocks: [1, 2, 3, 3], classes: CLASSES };
/// Rare classes count for more; for the overlap, all count the same.
const CLASS_WEIGHTS: [f32; CLASSES] = [1.0, 1.2, 1.5, 1.5, 1.5, 0.8];
const DECAY: f32 = 1e-4;
/// Pictures that are at hand at a time: each is seen several times, varied anew.
const POOL: usize = 512;
/// New ones, each step: drawing is not to take the processor from learning.
const NEW_A_STEP: usize = 2;
/// Of them, before learning begins.
const POOL_FIRST: usize = 64;
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Batches from look to look at what was not learnt from.
const LOOK_EVERY: u64 = 250;
/// Pictures of instruments, tissues and severities that were not learnt from.
const HELD_OUT: usize = 64;
const HELD_OUT_SEED: u64 = 0x5eed_0ff5;

/// Learns from the simulator's pictures as they are drawn. A run that was interrupted goes on where it was.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model goes here; beside it the run, as FILE.run, and how it goes, as FILE.csv and FILE.svg.
    #[arg(long, value_name = "FILE", default_value = "segmentation.safetensors")]
    out: PathBuf,
    /// Begins with what this model knows, in place of weights at random.
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Greatest learning rate; less is wanted where a model goes on.
    #[arg(long, default_value_t = 3e-3)]
    rate: f32,
    /// Batches to learn from.
    #[arg(long, default_value_t = 4000)]
    steps: u64,
    /// Pictures a batch.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nothing varied but what is in the picture and where the camera stands: a control, to see what varying the rest is good for.
    /// A run that goes on must be told so again.
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let state = arguments.out.with_extension("run");
    let mut trainer = begin(arguments, &state)?;
    let progress = progress::bar(arguments.steps, "{bar:30} {pos}/{len} {msg}  {elapsed} and {eta} to go");
    progress.set_position(trainer.steps());
    let mut held_out = Sampler::new(HELD_OUT_SEED, Split::held_out())?;
    let held_out: Vec<Sample> = (0..HELD_OUT).map(|_| held_out.next()).collect::<Result<_, _>>()?;
    let drawn = draw(arguments.seed.wrapping_add(trainer.steps()), arguments.plain)?;
    let mut pool = Pool { samples: Vec::new(), drawn, next: 0, plain: arguments.plain };
    let mut random = fastrand::Rng::with_seed(arguments.seed ^ trainer.steps());
    let mut curve = Curve::beside(&arguments.out, trainer.steps())?;
    let (mut saved, mut mean) = (Instant::now(), None);
    while trainer.steps() < trainer.schedule().steps {
        pool.fill()?;
        let loss = trainer.learn(&pool.batch(arguments.batch.into(), &mut random))?;
        let smooth = mean.map_or(loss, |mean| 0.98 * mean + 0.02 * loss);
        mean = Some(smooth);
        progress.set_position(trainer.steps());
        progress.set_message(format!("loss {smooth:.3}"));
        if trainer.steps().is_multiple_of(LOOK_EVERY) {
            curve.add(Point::new(trainer.steps(), smooth, &judge(&trainer, &held_out)?))?;
        }
        if saved.elapsed() > SAVE_EVERY {
            save(&state, &trainer.to_bytes())?;
            saved = Instant::now();
        }
    }
    progress.finish_and_clear();
    save(&state, &trainer.to_bytes())?;
    let model = trainer.model()?;
    save(&arguments.out, &model.to_bytes())?;
    tell(arguments, &trainer, &judge(&trainer, &held_out)?)
}

fn begin(arguments: &Arguments, state: &Path) -> anyhow::Result<Trainer> {
    if state.exists() {
        let bytes = fs::read(state).with_context(|| state.display().to_string())?;
        return Trainer::resume(&bytes).with_context(|| state.display().to_string());
    }
    let Arguments { steps, rate, .. } = *arguments;
    let schedule = Schedule { steps, rate, decay: DECAY, class_weights: CLASS_WEIGHTS.to_vec() };
    if let Some(from) = &arguments.from {
        return Ok(Trainer::from_model(&eval::read(from)?, schedule)?);
    }
    let classes = Class::ALL.iter().take(CLASSES).map(|class| class.name().to_owned()).collect();
    Ok(Trainer::new(Card::new(ARCHITECTURE, classes, HEIGHT, WIDTH), schedule, arguments.seed)?)
}

/// Draws on a thread of its own, as long as somebody takes it.
fn draw(seed: u64, plain: bool) -> anyhow::Result<Receiver<anyhow::Result<Sample>>> {
    let (give, drawn) = sync_channel(16);
    let work = move || match Sampler::new(seed, Split::training()) {
        Ok(mut sampler) => {
            while give.send(if plain { sampler.next_plain() } else { sampler.next() }).is_ok() {}
        }
        Err(error) => drop(give.send(Err(error))), // nobody takes it any more
    };
    thread::Builder::new().name("samples".to_owned()).spawn(work)?;
    Ok(drawn)
}

/// Pictures at hand; a new one takes the oldest one's place.
struct Pool {
    samples: Vec<Sample>,
    drawn: Receiver<anyhow::Result<Sample>>,
    next: usize,
    plain: bool,
}

impl Pool {
    /// Takes in what was drawn meanwhile, and waits only for the first ones.
    fn fill(&mut self) -> anyhow::Result<()> {
        while self.samples.len() < POOL_FIRST {
            let sample = self.drawn.recv().context("the pictures ended")??;
            self.put(sample);
        }
        for sample in self.drawn.try_iter().take(NEW_A_STEP).collect::<Vec<_>>() {
            self.put(sample?);
        }
        Ok(())
    }

    fn put(&mut self, sample: Sample) {
        if self.samples.len() < POOL {
            self.samples.push(sample);
        } else {
            self.samples[self.next] = sample;
            self.next = (self.next + 1) % POOL;
        }
    }

    fn batch(&self, pictures: usize, random: &mut fastrand::Rng) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..pictures {
            let sample = &self.samples[random.usize(..self.samples.len())];
            let (picture, labels) = if self.plain {
                (sample.planes(), sample.labels.clone())
            } else {
                augment::vary(sample, random)
            };
            batch.pictures.extend(picture);
            batch.labels.extend(labels);
        }
        batch
    }
}

/// On pictures that were not learnt from, varied as those were.
fn judge(trainer: &Trainer, held_out: &[Sample]) -> anyhow::Result<Confusion> {
    let model = trainer.model()?;
    let net = CandleExec::new(&model, model.graph(HEIGHT, WIDTH)?)?;
    let mut random = fastrand::Rng::with_seed(HELD_OUT_SEED);
    let mut confusion = Confusion::new(CLASSES);
    for sample in held_out {
        let (picture, labels) = augment::vary(sample, &mut random);
        confusion.add(&labels, &best(&net.scores(&picture)?));
    }
    Ok(confusion)
}

fn tell(arguments: &Arguments, trainer: &Trainer, confusion: &Confusion) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {} steps", arguments.out.display(), trainer.steps())?;
    writeln!(
        out,
        "overlap (IoU) in {HELD_OUT} pictures of instruments and tissues that were not learnt from:"
    )?;
    let figure = |iou: Option<f64>| iou.map_or("–".to_owned(), |iou| format!("{iou:.3}"));
    for class in Class::ALL.iter().take(CLASSES) {
        writeln!(out, "  {:<20}{}", class.name(), figure(confusion.iou(&[class.id().into()])))?;
    }
    let parts = [Class::InstrumentShaft, Class::InstrumentWrist, Class::InstrumentClasper];
    let instrument = confusion.iou(&parts.map(|part| usize::from(part.id())));
    Ok(writeln!(out, "  {:<20}{}", "instrument", figure(instrument))?)
}

/// Whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, path)).with_context(|| path.display().to_string())
}
