//! How long one pass takes: `RAYON_NUM_THREADS=1 cargo run --release -p farhand-vision --example pass`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example that can't go on says so")]

use std::time::Instant;

use farhand_vision::{Architecture, CandleExec, Card, Model};

fn main() {
    let nets = [
        ("probe", [32, 64, 128, 256], [2, 2, 3, 5]),
        ("medium", [24, 48, 96, 160], [1, 2, 3, 3]),
        ("small", [16, 32, 64, 128], [1, 2, 2, 3]),
    ];
    for (name, widths, blocks) in nets {
        let architecture = Architecture { widths, blocks, classes: 6 };
        let card = Card::new(architecture, vec!["one".to_owned(); 6], 160, 256);
        let model = Model::untrained(card, 1).unwrap();
        let graph = model.graph(160, 256).unwrap();
        let (products, picture) = (graph.multiplications(), vec![0.25; graph.input().len()]);
        let net = CandleExec::new(&model, graph).unwrap();
        let mut times: Vec<f64> = (0..30)
            .map(|_| {
                let began = Instant::now();
                net.scores(&picture).unwrap();
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let bytes = model.to_bytes().len();
        println!(
            "{name}: {:.0} M products, {bytes} bytes, median {:.1} ms, best {:.1}",
            products as f64 / 1e6,
            times[15],
            times[0]
        );
    }
}
