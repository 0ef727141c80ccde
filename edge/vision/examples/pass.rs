//! How long one pass takes, of a picture's scores and from a camera's frame to classes:
//! `RAYON_NUM_THREADS=1 cargo run --release -p farhand-vision --example pass [MODEL]`; without a model of nets that know nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that can't go on says so")]

use std::time::Instant;

use farhand_vision::{Architecture, CandleExec, Card, Executor, Model, Nv12, WgpuExec, agree};

const HEIGHT: usize = 160;
const WIDTH: usize = 256;
const CAMERA_WIDTH: usize = 1280;
const CAMERA_HEIGHT: usize = 720;

fn main() {
    if let Some(file) = std::env::args().nth(1) {
        return time(&Model::read(&std::fs::read(file).unwrap()).unwrap());
    }
    let nets = [
        ("probe", [32, 64, 128, 256], [2, 2, 3, 5]),
        ("medium", [24, 48, 96, 160], [1, 2, 3, 3]),
        ("small", [16, 32, 64, 128], [1, 2, 2, 3]),
    ];
    for (name, widths, blocks) in nets {
        let architecture = Architecture { widths, blocks, classes: 6 };
        let card = Card::new(architecture, vec!["one".to_owned(); 6], HEIGHT, WIDTH);
        let model = Model::untrained(card, 1).unwrap();
        let graph = model.graph(HEIGHT, WIDTH).unwrap();
        let (products, bytes) = (graph.multiplications(), model.to_bytes().len());
        println!("{name}: {:.0} M products, {bytes} bytes", products as f64 / 1e6);
        time(&model);
    }
}

fn time(model: &Model) {
    let candle = CandleExec::new(model, model.graph(HEIGHT, WIDTH).unwrap()).unwrap();
    let picture = vec![0.25; candle.graph().input().len()];
    let bytes: Vec<u8> =
        (0..CAMERA_WIDTH * CAMERA_HEIGHT * 3 / 2).map(|at| (at * 31 % 219 + 16) as u8).collect();
    let frame = Nv12::new(CAMERA_WIDTH, CAMERA_HEIGHT, &bytes).unwrap();
    println!("  processor: scores {}", passes(|| drop(candle.scores(&picture).unwrap())));
    println!("  processor: frame to classes {}", passes(|| drop(candle.segment(frame).unwrap())));
    match WgpuExec::open(model, HEIGHT, WIDTH) {
        Ok(mut wgpu) => {
            let (name, kilobytes) = (wgpu.adapter().to_owned(), wgpu.values_bytes() / 1000);
            println!("  {name}: {kilobytes} kB of values, {:?}", agree(&candle, &mut wgpu));
            println!("  {name}: scores {}", passes(|| drop(wgpu.scores(&picture).unwrap())));
            println!("  {name}: frame to picture {}", passes(|| drop(wgpu.picture(frame).unwrap())));
            println!("  {name}: frame to classes {}", passes(|| drop(wgpu.segment(frame).unwrap())));
        }
        Err(error) => println!("  {error}"),
    }
    println!("  chosen: {}", Executor::fastest(model, HEIGHT, WIDTH).unwrap().choice());
}

fn passes(mut pass: impl FnMut()) -> String {
    let mut times: Vec<f64> = (0..30)
        .map(|_| {
            let began = Instant::now();
            pass();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    format!("median {:.1} ms, best {:.1}", times[15], times[0])
}
