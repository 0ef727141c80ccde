//! From a picture's capture to its last packet at a console, and to its being shown in Chromium.

use serde::Deserialize;

use super::{Arguments, Bar, Figure, Measured, Samples, in_a_browser, load, percentile_ms, session};

pub(super) fn video(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let outcome = session(arguments, runtime, folder.path())?;
    let mut arrived_us = outcome.surgeon.arrived_us.clone();
    arrived_us.sort_unstable();
    let arrived = |name, share| Figure { name, value: percentile_ms(&arrived_us, share), bar: None };
    let mut figures = vec![arrived("arrived_ms_p50", 0.50), arrived("arrived_ms_p95", 0.95)];
    let mut load = load(&outcome);
    match in_a_browser::<Shown>("shown.mjs", &[]) {
        Ok(shown) => {
            load = format!("{load}; shown: {} of {} over {} s", shown.browser, shown.source, shown.watched_s);
            figures.extend(shown.figures());
        }
        Err(error) => tracing::warn!("no figures of a browser: {error:#}"),
    }
    Ok(Measured { figures, load, samples: Samples::Us(arrived_us) })
}

/// What `tests/browser/shown.mjs` saw in Debian's Chromium.
#[derive(Debug, Deserialize)]
struct Shown {
    source: String,
    browser: String,
    watched_s: u64,
    shown_ms: Vec<f64>,
}

impl Shown {
    fn figures(self) -> [Figure; 2] {
        let mut us: Vec<u64> = self.shown_ms.iter().map(|ms| (ms.max(0.0) * 1e3) as u64).collect();
        us.sort_unstable();
        [
            Figure { name: "shown_ms_p50", value: percentile_ms(&us, 0.50), bar: Some(Bar::AtMost(25.0)) },
            Figure { name: "shown_ms_p95", value: percentile_ms(&us, 0.95), bar: Some(Bar::AtMost(40.0)) },
        ]
    }
}
