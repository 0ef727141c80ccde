//! How the picture holds over a bad line: `tests/browser/held.mjs` looks, here its figures meet their bars.

use serde::Deserialize;

use super::{Bar, Figure, Measured, Samples, in_a_browser};

const SECONDS: &str = "120";
const LINE: &str = "5g-urban";
/// One of the simulator's pictures.
const PICTURE_MS: f64 = 1000.0 / 30.0;

pub(super) fn picture() -> anyhow::Result<Measured> {
    let held: Held = in_a_browser("held.mjs", &[SECONDS, LINE])?;
    let back_ms = held.back_ms.iter().copied().fold(0.0, f64::max);
    let figure = |name, value, bar| Figure { name, value, bar };
    let figures = vec![
        figure("gap_ms_p50", held.gap_ms_p50, None),
        figure("gap_ms_p99", held.gap_ms_p99, None),
        figure("gap_ms_max", held.gap_ms_max, Some(Bar::AtMost(1_000.0))),
        figure("age_ms_p50", held.age_ms_p50, None),
        figure("age_ms_p99", held.age_ms_p99, None),
        figure("age_understated_ms_max", held.understated_ms_max, Some(Bar::AtMost(PICTURE_MS))),
        figure("back_after_outage_ms_max", back_ms, Some(Bar::AtMost(500.0))),
    ];
    let (pictures, outages) = (held.pictures, held.back_ms.len());
    let load = format!(
        "{LINE} for {SECONDS} s, {pictures} pictures of which {} had a stamp that could be read; then {outages} outages of 2 s",
        held.stamped
    );
    Ok(Measured { figures, load, samples: Samples::Us(Vec::new()) })
}

#[derive(Debug, Deserialize)]
struct Held {
    pictures: u64,
    stamped: u64,
    gap_ms_p50: f64,
    gap_ms_p99: f64,
    gap_ms_max: f64,
    age_ms_p50: f64,
    age_ms_p99: f64,
    understated_ms_max: f64,
    back_ms: Vec<f64>,
}
