//! From a picture's capture to its last packet at a console, and to its being shown in Chromium, beside GStreamer's webrtcsink.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{
    Arguments, Bar, Figure, Measured, Samples, in_a_browser, load, percentile_ms, recording, session,
};

/// What is measured beside Farhand: a package of its own, built when it is wanted.
const PEER: &str = "tests/webrtcsink/Cargo.toml";
const PEER_TARGET: &str = "target/webrtcsink";
const PEER_PROGRAM: &str = "target/webrtcsink/release/farhand-webrtcsink";
/// What Debian has for it: how it is looked for, and the package.
const PEER_NEEDS: [(&str, &[&str], &str); 2] = [
    ("pkg-config", &["--exists", "gstreamer-webrtc-1.0"], "libgstreamer-plugins-bad1.0-dev"),
    ("gst-inspect-1.0", &["nicesink"], "gstreamer1.0-nice"),
];

pub(super) fn video(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let outcome = session(arguments, runtime, folder.path())?;
    let mut arrived_us = outcome.surgeon.arrived_us.clone();
    arrived_us.sort_unstable();
    let arrived = |name, share| Figure { name, value: percentile_ms(&arrived_us, share), bar: None };
    let mut figures = vec![arrived("arrived_ms_p50", 0.50), arrived("arrived_ms_p95", 0.95)];
    let mut load = load(&outcome);
    let source = recording(arguments)?;
    match in_a_browser::<Shown>("shown.mjs", &[&source]) {
        Ok(shown) => {
            load = format!("{load}; shown: {} of {} over {} s", shown.browser, shown.source, shown.watched_s);
            figures.extend(shown.figures());
        }
        Err(error) => tracing::warn!("no figures of a browser: {error:#}"),
    }
    match beside_webrtcsink(&source) {
        Ok(beside) => {
            load = format!("{load}; beside webrtcsink: {} segments in turns", beside.segments.len());
            figures.extend(beside.figures());
        }
        Err(error) => tracing::warn!("no figures of webrtcsink: {error:#}"),
    }
    Ok(Measured { figures, load, samples: Samples::Us(arrived_us) })
}

fn beside_webrtcsink(source: &str) -> anyhow::Result<Beside> {
    ensure!(source.starts_with("file:"), "it is given a recording only, and this is {source}");
    let missing: Vec<&str> = PEER_NEEDS
        .into_iter()
        .filter(|(program, told, _)| !succeeds(Command::new(program).args(*told)))
        .map(|(_, _, package)| package)
        .collect();
    ensure!(
        missing.is_empty(),
        "run apt-get install --no-install-recommends {}, and then this again",
        missing.join(" ")
    );
    build_the_peer()?;
    in_a_browser("beside.mjs", &[source, PEER_PROGRAM])
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Takes some minutes once; cargo says how far it is.
fn build_the_peer() -> anyhow::Result<()> {
    ensure!(Path::new(PEER).exists(), "there is no {PEER} here; start this in the project's folder");
    let built = Command::new("cargo")
        .args(["build", "--release", "--locked", "--manifest-path", PEER, "--target-dir", PEER_TARGET])
        .stdout(Stdio::null())
        .status()
        .context("cargo could not be started")?;
    ensure!(built.success(), "cargo could not build {PEER}, and says above why");
    Ok(())
}

/// What `tests/browser/shown.mjs` saw in Debian's Chromium.
#[derive(Debug, Deserialize)]
struct Shown {
    source: String,
    browser: String,
    watched_s: u64,
    called_ms: Vec<f64>,
    shown_ms: Vec<f64>,
}

impl Shown {
    fn figures(self) -> [Figure; 4] {
        let (called, shown) = (sorted_us(self.called_ms.iter()), sorted_us(self.shown_ms.iter()));
        let figure = |name, us: &[u64], share, bar| Figure { name, value: percentile_ms(us, share), bar };
        [
            figure("called_ms_p50", &called, 0.50, Some(Bar::AtMost(25.0))),
            figure("called_ms_p95", &called, 0.95, Some(Bar::AtMost(40.0))),
            figure("shown_ms_p50", &shown, 0.50, None),
            figure("shown_ms_p95", &shown, 0.95, None),
        ]
    }
}

/// What `tests/browser/beside.mjs` saw: ages by the stamp in the pixels.
#[derive(Debug, Deserialize)]
struct Beside {
    segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
struct Segment {
    of: Sender,
    ages_ms: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sender {
    Farhand,
    Webrtcsink,
    /// With its input as it comes, which holds every picture back.
    Plain,
}

impl Beside {
    fn figures(&self) -> [Figure; 8] {
        let of = |sender| {
            let segments = self.segments.iter().filter(move |segment| segment.of == sender);
            let us = sorted_us(segments.flat_map(|segment| &segment.ages_ms));
            [0.50, 0.95].map(|share| percentile_ms(&us, share))
        };
        let ([our_p50, our_p95], [their_p50, their_p95]) = (of(Sender::Farhand), of(Sender::Webrtcsink));
        let [plain_p50, plain_p95] = of(Sender::Plain);
        let figure = |name, value, bar| Figure { name, value, bar };
        [
            figure("farhand_stamp_ms_p50", our_p50, None),
            figure("farhand_stamp_ms_p95", our_p95, None),
            figure("webrtcsink_ms_p50", their_p50, None),
            figure("webrtcsink_ms_p95", their_p95, None),
            figure("webrtcsink_plain_ms_p50", plain_p50, None),
            figure("webrtcsink_plain_ms_p95", plain_p95, None),
            figure("ratio_p50", our_p50 / their_p50, Some(Bar::AtMost(1.0))),
            figure("ratio_p95", our_p95 / their_p95, Some(Bar::AtMost(1.0))),
        ]
    }
}

fn sorted_us<'a>(ms: impl Iterator<Item = &'a f64>) -> Vec<u64> {
    let mut us: Vec<u64> = ms.map(|ms| (ms.max(0.0) * 1e3) as u64).collect();
    us.sort_unstable();
    us
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each sender's figures are of all its segments and of nobody else's, and a ratio below 1 is Farhand's.
    #[test]
    fn farhand_is_held_against_webrtcsink() {
        let segment = |of, ages_ms: [f64; 2]| Segment { of, ages_ms: ages_ms.to_vec() };
        let segments = vec![
            segment(Sender::Farhand, [10.0, 20.0]),
            segment(Sender::Webrtcsink, [40.0, 100.0]),
            segment(Sender::Plain, [60.0, 70.0]),
            segment(Sender::Farhand, [15.0, 30.0]),
            segment(Sender::Webrtcsink, [30.0, 60.0]),
        ];
        let figures = Beside { segments }.figures();
        assert_eq!(figures.map(|figure| figure.value), [15.0, 30.0, 40.0, 100.0, 60.0, 70.0, 0.375, 0.3]);
    }
}
