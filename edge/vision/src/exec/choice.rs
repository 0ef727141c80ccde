//! Which executor runs a net here: the graphics device where it agrees with the processor and is faster, else the processor.
//!
//! **Invariant (local):** a graphics device that disagreed, or failed once, is not asked again.

use std::{
    fmt,
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{CandleExec, GpuError, WgpuExec};
use crate::{model::Model, picture::Nv12, segment::Segmentation};

/// How far scores may lie apart, as a share of the greatest.
const APART_MAX: f32 = 1e-4;
/// Of ten thousand pixels, as many may be of another class.
const DIFFERING_MAX: usize = 1;
/// Sides of the frame that both must agree on: larger than a net's picture, and no multiple of it.
const WIDTH: usize = 322;
const HEIGHT: usize = 182;
/// Passes of each that are timed; one before them warms caches up.
const PASSES: usize = 5;

/// How well two executors agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Greatest difference of scores over the greatest score.
    pub apart: f32,
    /// Pixels of another class.
    pub differing: usize,
    pub pixels: usize,
}

/// Why the graphics device is not used.
#[derive(Debug, Error)]
pub enum ChoiceError {
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error(transparent)]
    Processor(#[from] candle_core::Error),
    #[error(
        "it disagrees with the processor: scores {} of the greatest apart, {} of {} pixels of another class; at most {APART_MAX} and \
         {DIFFERING_MAX} of 10000 are let pass",
        .0.apart, .0.differing, .0.pixels
    )]
    Disagree(Agreement),
    #[error("it takes {graphics_ms:.1} ms a frame, the processor {processor_ms:.1}")]
    Slower { graphics_ms: f64, processor_ms: f64 },
}

/// How an executor was chosen, in figures; its text is for people.
#[derive(Debug)]
pub struct Choice {
    /// Median of a frame's time.
    pub processor_ms: f64,
    /// The device's name, if there is one.
    pub adapter: Option<String>,
    /// Of the graphics device: how well it agrees, and the median of a frame's time.
    pub graphics: Result<(Agreement, f64), ChoiceError>,
}

/// Runs a net on what was chosen.
#[derive(Debug)]
pub struct Executor {
    processor: CandleExec,
    graphics: Option<WgpuExec>,
    choice: Choice,
}

impl Executor {
    /// Opens both for pictures of this size, and keeps the faster one if they agree. A renderer on the processor is not asked: it would
    /// take the processor's time for longer.
    ///
    /// # Errors
    /// The processor's; whatever is wrong with the graphics device is in [`Executor::choice`].
    pub fn fastest(model: &Model, height: usize, width: usize) -> candle_core::Result<Self> {
        let graph = model.graph(height, width).map_err(candle_core::Error::wrap)?;
        let processor = CandleExec::new(model, graph)?;
        let bytes = made_up();
        let processor_ms = median_ms(|| processor.segment(frame(&bytes)).map(drop))?;
        let opened = WgpuExec::open_hardware(model, height, width);
        let adapter = opened.as_ref().ok().map(|graphics| graphics.adapter().to_owned());
        let (graphics, verdict) = match opened {
            Ok(graphics) => weigh(&processor, graphics, processor_ms),
            Err(error) => (None, Err(error.into())),
        };
        Ok(Self { processor, graphics, choice: Choice { processor_ms, adapter, graphics: verdict } })
    }

    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    #[must_use]
    pub fn on_graphics(&self) -> bool {
        self.graphics.is_some()
    }

    /// What the net says of a frame. When the graphics device fails, the processor goes on from this frame.
    ///
    /// # Errors
    /// The processor's.
    pub fn segment(&mut self, frame: Nv12<'_>) -> candle_core::Result<Segmentation> {
        if let Some(graphics) = &mut self.graphics {
            match graphics.segment(frame) {
                Ok(segmentation) => return Ok(segmentation),
                Err(error) => {
                    self.graphics = None;
                    self.choice.graphics = Err(error.into());
                }
            }
        }
        self.processor.segment(frame)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adapter = self.adapter.as_deref().unwrap_or("graphics");
        match &self.graphics {
            Ok((_, ms)) => {
                write!(f, "on {adapter}: {ms:.1} ms a frame, the processor {:.1}", self.processor_ms)
            }
            Err(why) => write!(f, "on the processor, {:.1} ms a frame; {adapter}: {why}", self.processor_ms),
        }
    }
}

/// The graphics device, if it is to be used, and why.
fn weigh(
    processor: &CandleExec,
    mut graphics: WgpuExec,
    processor_ms: f64,
) -> (Option<WgpuExec>, Result<(Agreement, f64), ChoiceError>) {
    let bytes = made_up();
    let verdict = agree(processor, &mut graphics).and_then(|agreement| {
        let graphics_ms = median_ms(|| graphics.segment(frame(&bytes)).map(drop))?;
        let slower = graphics_ms >= processor_ms;
        if slower {
            Err(ChoiceError::Slower { graphics_ms, processor_ms })
        } else {
            Ok((agreement, graphics_ms))
        }
    });
    (verdict.is_ok().then_some(graphics), verdict)
}

/// On a fixed frame that shows nothing: scores of the same picture, and classes of the frame.
///
/// # Errors
/// [`ChoiceError::Disagree`] if they lie too far apart, or what either of them failed with.
pub fn agree(reference: &CandleExec, other: &mut WgpuExec) -> Result<Agreement, ChoiceError> {
    let bytes = made_up();
    let input = reference.graph().input();
    let picture = frame(&bytes).picture(input.height, input.width);
    let (expected, seen) = (reference.scores(&picture)?, other.scores(&picture)?);
    let (expected_classes, seen_classes) =
        (reference.segment(frame(&bytes))?.classes, other.segment(frame(&bytes))?.classes);
    let pairs = expected_classes.iter().zip(&seen_classes);
    let agreement = Agreement {
        apart: apart(&expected, &seen),
        differing: pairs.filter(|(expected, seen)| expected != seen).count(),
        pixels: expected_classes.len(),
    };
    let few = agreement.differing * 10_000 <= agreement.pixels * DIFFERING_MAX;
    // What is no number is not near either.
    if agreement.apart <= APART_MAX && few { Ok(agreement) } else { Err(ChoiceError::Disagree(agreement)) }
}

/// Greatest difference over the greatest value; more than anything if there is no number.
fn apart(expected: &[f32], seen: &[f32]) -> f32 {
    if expected.len() != seen.len() || seen.iter().any(|value| !value.is_finite()) {
        return f32::INFINITY;
    }
    let greatest = expected.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    expected.iter().zip(seen).map(|(expected, seen)| (expected - seen).abs()).fold(0.0, f32::max) / greatest
}

/// Slopes with noise on them, so that neighbours differ and every layer has something to do.
fn made_up() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(709);
    let luma = (0..WIDTH * HEIGHT).map(|at| 16 + (at % WIDTH + at / WIDTH) * 180 / (WIDTH + HEIGHT));
    let chroma = (0..WIDTH * HEIGHT / 2).map(|at| 64 + at * 96 / (WIDTH * HEIGHT / 2));
    luma.chain(chroma).map(|value| value as u8 + random.u8(0..32)).collect()
}

fn frame(bytes: &[u8]) -> Nv12<'_> {
    Nv12::new(WIDTH, HEIGHT, bytes).expect("made up with as many bytes as its even sides say")
}

fn median_ms<E>(mut pass: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    pass()?;
    let mut times = Vec::new();
    for _ in 0..PASSES {
        let began = Instant::now();
        pass()?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times.get(PASSES / 2).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1e3))
}
