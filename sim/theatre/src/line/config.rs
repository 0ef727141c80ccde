//! Which line, and between whom: named on the command line, or in a part's TOML file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use farhand_world::{Impairment, Profile, Series, Way};
use serde::{Deserialize, Serialize};

/// Beside the project's folder, where whoever has the traces keeps them.
const TRACES: &str = "../shared/data/network";
const TRACE_BYTES_MAX: u64 = 64 << 20;
const BETWEEN_MAX: usize = 64;

/// The line, as it is chosen.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Choice {
    /// What lies between console and edge box: lan, 5g-urban, 5g-rural, leo, geo.
    ///
    /// lan: a cable. 5g-urban, 5g-rural: cells as they were measured, from the traces where they are at hand, otherwise made up after
    /// their figures; the rural one stalls for seconds. leo, geo: satellites in low and in geostationary orbit; the kit
    /// refuses commands over geo, for they are too old. docs/lines.md says more. The bedside's page is beside the edge
    /// box, and no line is between them.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) link: Option<Profile>,
    /// The folder with the measured 5G round trips [default: ../shared/data/network, if it is there]
    #[arg(long, value_name = "DIR", requires = "link")]
    pub(crate) traces: Option<PathBuf>,
}

/// One line, from one seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
    /// Measured round trips; without it they are made up.
    pub(crate) trace: Option<PathBuf>,
}

/// A proxy's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineConfig {
    /// The profile's name.
    pub(crate) link: String,
    pub(crate) seed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<PathBuf>,
    pub(crate) between: Vec<Between>,
    /// A socket in the file system (datagrams) on which [`Dials`] come, as JSON: whoever may write there turns them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dials: Option<PathBuf>,
}

/// What the line does to packets beside what its profile does, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dials {
    pub(crate) delay_ms: f64,
    /// Added evenly from zero to this.
    pub(crate) jitter_ms: f64,
    pub(crate) loss_percent: f64,
    /// Nothing gets through.
    pub(crate) stalled: bool,
}

/// What is sent to the one comes out at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    pub(crate) listen: SocketAddr,
    pub(crate) to: SocketAddr,
}

impl Choice {
    /// The line that was chosen, with its trace where there is one.
    pub(crate) fn link(&self, seed: u64) -> anyhow::Result<Option<Link>> {
        self.link.map(|profile| Link::find(profile, seed, self.traces.as_deref())).transpose()
    }
}

impl Link {
    /// Looks for the profile's trace: in a folder that was named it must be there.
    pub(crate) fn find(profile: Profile, seed: u64, traces: Option<&Path>) -> anyhow::Result<Self> {
        let folder = traces.unwrap_or(Path::new(TRACES));
        let trace = profile.trace().map(|name| folder.join(name));
        let there = trace.as_ref().is_some_and(|trace| trace.is_file());
        if let Some(trace) = &trace {
            ensure!(
                there || traces.is_none(),
                "there is no {}; without --traces, {profile} is made up after its published figures",
                trace.display()
            );
        }
        let trace = trace.filter(|_| there).map(std::path::absolute).transpose()?;
        Ok(Self { profile, seed, trace })
    }

    /// In words, for whoever reads the figures.
    pub(crate) fn origin(&self) -> &'static str {
        match (self.profile.trace(), &self.trace) {
            (Some(_), Some(_)) => "measured",
            _ => "made up",
        }
    }

    /// Towards the edge box, and towards the console.
    pub(crate) fn ways(&self) -> anyhow::Result<[Way; 2]> {
        Ok(self.profile.ways(self.seed, self.series()?.as_ref()))
    }

    pub(crate) fn series(&self) -> anyhow::Result<Option<Series>> {
        let Some(path) = &self.trace else { return Ok(self.profile.series(self.seed, None)?) };
        let bytes = fs::metadata(path).map_or(0, |file| file.len());
        ensure!(
            bytes <= TRACE_BYTES_MAX,
            "{} has {bytes} bytes, at most {TRACE_BYTES_MAX} are read",
            path.display()
        );
        let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let series = self.profile.series(self.seed, Some(&text));
        series.with_context(|| format!("{} is no trace of round trips", path.display()))
    }
}

impl LineConfig {
    pub(crate) fn new(link: &Link, between: Vec<Between>) -> Self {
        Self {
            link: link.profile.to_string(),
            seed: link.seed,
            trace: link.trace.clone(),
            between,
            dials: None,
        }
    }

    /// Reads and checks the file: the line, whom it joins, and where its dials are turned.
    pub(crate) fn read(path: &Path) -> anyhow::Result<(Link, Vec<Between>, Option<PathBuf>)> {
        let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let config: Self = toml::from_str(&text)
            .with_context(|| format!("{} is not a line's configuration", path.display()))?;
        let profile = config.link.parse().with_context(|| format!("in {}", path.display()))?;
        check(&config.between).with_context(|| format!("in {}", path.display()))?;
        let dials = config.dials.map(|dials| path.parent().unwrap_or(Path::new(".")).join(dials));
        Ok((Link { profile, seed: config.seed, trace: config.trace }, config.between, dials))
    }
}

impl Dials {
    pub(crate) const DELAY_MS_MAX: f64 = 1_000.0;
    pub(crate) const JITTER_MS_MAX: f64 = 200.0;
    pub(crate) const LOSS_PERCENT_MAX: f64 = 50.0;

    /// The same, if each is within its range.
    pub(crate) fn checked(self) -> anyhow::Result<Self> {
        for (name, value, max) in [
            ("delay_ms", self.delay_ms, Self::DELAY_MS_MAX),
            ("jitter_ms", self.jitter_ms, Self::JITTER_MS_MAX),
            ("loss_percent", self.loss_percent, Self::LOSS_PERCENT_MAX),
        ] {
            ensure!((0.0..=max).contains(&value), "{name} is {value}, allowed is 0 to {max}");
        }
        Ok(self)
    }

    /// The line as its profile has it, and this.
    pub(crate) fn on(&self, usual: Impairment) -> Impairment {
        let through = (1.0 - usual.loss) * (1.0 - self.loss_percent / 100.0);
        Impairment {
            delay_ms: usual.delay_ms + self.delay_ms,
            jitter_ms: usual.jitter_ms + self.jitter_ms,
            loss: 1.0 - through,
            partition: usual.partition || self.stalled,
            ..usual
        }
    }
}

/// A line stays on this machine, whoever made its configuration.
pub(crate) fn check(between: &[Between]) -> anyhow::Result<()> {
    ensure!(
        (1..=BETWEEN_MAX).contains(&between.len()),
        "{} pairs of addresses; 1 to {BETWEEN_MAX} are served",
        between.len()
    );
    for (name, address) in between.iter().flat_map(|one| [("listen", one.listen), ("to", one.to)]) {
        ensure!(address.ip().is_loopback(), "{name} is {address}, allowed is the loopback, as 127.0.0.1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a proxy's file reads back; one that leads off this machine, or names no line, is refused with what is wrong.
    #[test]
    fn a_line_stays_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line.toml");
        let link = Link { profile: Profile::Leo, seed: 3, trace: None };
        let between =
            |to: &str| vec![Between { listen: "127.0.0.2:20000".parse().unwrap(), to: to.parse().unwrap() }];
        let write = |config: &LineConfig| fs::write(&path, toml::to_string(config).unwrap()).unwrap();
        let config = LineConfig::new(&link, between("127.0.0.1:20000"));
        write(&config);
        assert_eq!(LineConfig::read(&path).unwrap(), (link.clone(), between("127.0.0.1:20000"), None));
        write(&LineConfig::new(&link, between("192.0.2.1:20000")));
        assert!(format!("{:#}", LineConfig::read(&path).unwrap_err()).contains("to is 192.0.2.1:20000"));
        write(&LineConfig { link: "6g".into(), ..config });
        assert!(format!("{:#}", LineConfig::read(&path).unwrap_err()).contains("5g-urban"));
    }

    /// Goal: dials add to what the profile does, both losses together, and one turned too far is refused by its name.
    #[test]
    fn dials_add_to_the_profile() {
        let usual = Impairment { delay_ms: 20.0, loss: 0.1, in_order: true, ..Impairment::NONE };
        let dials = Dials { delay_ms: 80.0, jitter_ms: 5.0, loss_percent: 50.0, stalled: false };
        let turned = dials.checked().unwrap().on(usual);
        assert_eq!((turned.delay_ms, turned.jitter_ms, turned.partition), (100.0, 5.0, false));
        assert!((turned.loss - 0.55).abs() < 1e-12 && turned.in_order);
        assert_eq!(Dials::default().on(usual), Impairment { loss: turned_none(usual.loss), ..usual });
        let error = Dials { delay_ms: 1e4, ..dials }.checked().unwrap_err();
        assert_eq!(error.to_string(), "delay_ms is 10000, allowed is 0 to 1000");
        assert!(Dials { jitter_ms: f64::NAN, ..dials }.checked().is_err());
    }

    fn turned_none(loss: f64) -> f64 {
        1.0 - (1.0 - loss)
    }

    /// Goal: the measured lines are replayed where they are at hand. Skipped where they are not.
    #[test]
    fn measured_lines_are_as_they_were_measured() {
        let traces = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/network"));
        for (profile, p50_ms, p99_ms, max_ms) in
            [(Profile::Urban5g, 18, 28, 261), (Profile::Rural5g, 28, 9_209, 10_241)]
        {
            let Ok(link) = Link::find(profile, 1, Some(traces)) else {
                #[allow(clippy::print_stderr, reason = "a skipped test says so")]
                {
                    eprintln!("skipped: {} is not there", traces.display());
                }
                return;
            };
            let series = link.series().unwrap().unwrap();
            let round_trip_ms = |share| 2 * series.percentile_us(share) / 1_000;
            assert_eq!([0.5, 0.99, 1.0].map(round_trip_ms), [p50_ms, p99_ms, max_ms]);
            assert_eq!(link.origin(), "measured");
        }
        let nowhere = Link::find(Profile::Urban5g, 1, Some(Path::new("/nowhere"))).unwrap_err();
        assert!(nowhere.to_string().contains("/nowhere/5g_urban_n8_v30.csv"), "{nowhere}");
    }
}
