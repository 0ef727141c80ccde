//! What sight costs: a pass of the net, and beside live video the processor's time and the pictures' age.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use farhand_vision::{CandleExec, Model, Nv12, WgpuExec};
use rayon::ThreadPoolBuilder;
use serde::Deserialize;

use super::{Arguments, Bar, Figure, Measured, Samples, in_a_browser, percentile_ms, recording};

const PASSES: usize = 60;
/// Of ours and PyTorch's passes, in turns.
const ROUNDS: usize = 9;
/// A Python that has PyTorch.
const TORCH: &str = "target/torch-venv/bin/python";
const NO_TORCH: &str =
    "no ratio to PyTorch: python3 -m venv target/torch-venv && target/torch-venv/bin/pip install torch numpy";
/// The frame that is made small and looked at.
const FRAME: (usize, usize) = (1280, 720);

pub(super) fn vision(arguments: &Arguments) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.safetensors");
    let bytes = crate::vision::model(None)?.context("no model comes with this program")?;
    fs::write(&file, &bytes)?;
    let model = Model::read(&bytes)?;
    let (mut figures, mut load) = passes(&model)?;
    if Path::new(TORCH).exists() {
        let torch = beside_torch(&model, &file, folder.path())?;
        load = format!("{load}; PyTorch {}, {}, scores {:.1e} apart", torch.torch, torch.way, torch.apart);
        figures.extend(torch.figures());
    } else {
        tracing::warn!("{NO_TORCH}");
    }
    let source = recording(arguments)?;
    let seen: Beside = in_a_browser("seen.mjs", &[&source, &file.to_string_lossy()])?;
    load = format!("{load}; beside {} in {}", source.rsplit('/').next().unwrap_or_default(), seen.browser);
    figures.extend(seen.figures());
    Ok(Measured { figures, load, samples: Samples::Us(Vec::new()) })
}

/// On one core, and on what Vulkan finds.
fn passes(model: &Model) -> anyhow::Result<(Vec<Figure>, String)> {
    let (height, width) = (model.card().height, model.card().width);
    let net = CandleExec::new(model, model.graph(height, width)?)?;
    let picture = vec![0.25; net.graph().input().len()];
    let grey: Vec<u8> = vec![128; FRAME.0 * FRAME.1 * 3 / 2];
    let frame = Nv12::new(FRAME.0, FRAME.1, &grey)?;
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    let pass = one.install(|| median_ms(|| net.scores(&picture).map(drop)))?;
    let whole = one.install(|| median_ms(|| net.segment(frame).map(drop)))?;
    let figure = |name, value, bar| Figure { name, value, bar };
    let mut figures = vec![
        figure("pass_ms_p50", pass, Some(Bar::AtMost(25.0))),
        figure("frame_to_classes_ms_p50", whole, None),
    ];
    let mut load = format!("{width} x {height}, {} M products", net.graph().multiplications() / 1_000_000);
    if let Ok(mut device) = WgpuExec::open(model, height, width) {
        figures.push(figure("wgpu_frame_ms_p50", median_ms(|| device.segment(frame).map(drop))?, None));
        load = format!("{load}; wgpu on {}", device.adapter());
    }
    Ok((figures, load))
}

/// The same weights in PyTorch and here, on one core each, in turns.
fn beside_torch(model: &Model, file: &Path, folder: &Path) -> anyhow::Result<Torch> {
    let net = CandleExec::new(model, model.graph(model.card().height, model.card().width)?)?;
    let mut random = fastrand::Rng::with_seed(1);
    let picture: Vec<f32> = (0..net.graph().input().len()).map(|_| random.f32() * 4.0 - 2.0).collect();
    let written = |name: &str, values: &[f32]| {
        let path = folder.join(name);
        fs::write(&path, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
            .map(|()| path)
    };
    let mut python = Command::new(TORCH)
        .arg("tests/vision/torch_pass.py")
        .args([file, &written("picture", &picture)?, &written("scores", &net.scores(&picture)?)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(TORCH)?;
    let (ask, said) = (python.stdin.take(), python.stdout.take());
    let (mut ask, mut said) = ask.zip(said.map(BufReader::new)).context(TORCH)?;
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).map(|_| line).context("tests/vision/torch_pass.py")
    };
    let mut torch: Torch = serde_json::from_str(&line()?).context("tests/vision/torch_pass.py")?;
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    for _ in 0..ROUNDS {
        let ours = one.install(|| median_ms(|| net.scores(&picture).map(drop)))?;
        writeln!(ask).context("tests/vision/torch_pass.py")?;
        torch.rounds.push([ours, line()?.trim().parse()?]);
    }
    drop(ask);
    let status = python.wait().context(TORCH)?;
    anyhow::ensure!(status.success(), "tests/vision/torch_pass.py ended with {status}");
    Ok(torch)
}

/// What `tests/vision/torch_pass.py` printed, and a pass here and there in each round, in ms.
#[derive(Debug, Deserialize)]
struct Torch {
    torch: String,
    way: String,
    apart: f64,
    #[serde(skip)]
    rounds: Vec<[f64; 2]>,
}

impl Torch {
    fn figures(&self) -> [Figure; 3] {
        let figure = |name, value, bar| Figure { name, value, bar };
        let middle_of = |of: fn(&[f64; 2]) -> f64| middle(self.rounds.iter().map(of).collect());
        [
            figure("beside_torch_ms", middle_of(|[ours, _]| *ours), None),
            figure("torch_ms", middle_of(|[_, torch]| *torch), None),
            figure("ratio_to_torch", middle_of(|[ours, torch]| ours / torch), Some(Bar::AtMost(1.0))),
        ]
    }
}

fn median_ms<E>(mut pass: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    pass()?;
    let times: Result<Vec<Duration>, E> = (0..PASSES)
        .map(|_| {
            let began = Instant::now();
            pass().map(|()| began.elapsed())
        })
        .collect();
    let mut us: Vec<u64> = times?.iter().map(|time| time.as_micros() as u64).collect();
    us.sort_unstable();
    Ok(percentile_ms(&us, 0.5))
}

/// What `tests/browser/seen.mjs` saw.
#[derive(Debug, Deserialize)]
struct Beside {
    browser: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    on: bool,
    seconds: f64,
    called_ms_p95: f64,
    overlays: f64,
    doubts: f64,
    looked_s: f64,
    behind_ms: Vec<f64>,
}

impl Beside {
    fn figures(&self) -> Vec<Figure> {
        let on = || self.segments.iter().filter(|segment| segment.on);
        let seconds: f64 = on().map(|segment| segment.seconds).sum();
        let sum = |of: fn(&Segment) -> f64| on().map(of).sum::<f64>();
        let added = self.segments.chunks_exact(2).map(|pair| {
            let later = pair[1].called_ms_p95 - pair[0].called_ms_p95;
            if pair[1].on { later } else { -later }
        });
        let overlays = sum(|segment| segment.overlays);
        let figure = |name, value, bar| Figure { name, value, bar };
        vec![
            figure("looks_hz", overlays / seconds, Some(Bar::AtLeast(8.0))),
            figure("core_percent", 100.0 * sum(|it| it.looked_s) / seconds, Some(Bar::AtMost(40.0))),
            figure("added_ms_p95", middle(added.collect()), Some(Bar::AtMost(3.0))),
            figure("behind_ms_p50", middle(on().flat_map(|it| it.behind_ms.clone()).collect()), None),
            figure("doubted_percent", 100.0 * sum(|it| it.doubts) / overlays, None),
        ]
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what sight adds is told by pairs, whichever of them came first.
    #[test]
    fn pairs_are_compared_whichever_came_first() {
        let segment = |on, called_ms_p95| Segment {
            on,
            seconds: 10.0,
            called_ms_p95,
            overlays: 90.0,
            doubts: 9.0,
            looked_s: 1.0,
            behind_ms: vec![33.0],
        };
        let segments = vec![
            segment(true, 42.0),
            segment(false, 40.0),
            segment(false, 50.0),
            segment(true, 52.5),
            segment(true, 61.0),
            segment(false, 60.0),
        ];
        let figures = Beside { browser: String::new(), segments }.figures();
        let seen: Vec<f64> = figures.iter().map(|figure| figure.value).collect();
        assert_eq!(seen, [9.0, 10.0, 2.0, 33.0, 10.0]);
    }
}
