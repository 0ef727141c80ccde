//! How much later the ticks of the kit's loop begin than an empty loop's.
//!
//! The kit is the one of a whole rehearsed session, a process of its own as in `farhand up`, with a surgeon at it: its figures are
//! what it exports. The empty loop is a process like it (the same pacing, the same priority, nothing in a tick) and runs only in
//! its own segments, which alternate with those of the kit. The kit can't be halted meanwhile, so that the empty loop may be late
//! by a tick of the kit's: the difference is too small by that much at the most, and `took_us_p999` says how much it is.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use farhand_kit::{Pace, before_all_others, keep_pace, lock_memory};

use super::{Arguments, Bar, Figure, Measured, Samples, load, rehearsal};
use crate::{part::Kind, rehearse};

/// Of the kit, and as many of the empty loop.
const SEGMENTS: usize = 7;
const SEGMENT: Duration = Duration::from_secs(10);
/// The surgeon goes on for so long: the segments, and what comes before the first.
const PRACTICE: Duration = SEGMENT.saturating_mul(2 * SEGMENTS as u32 + 3);
/// The kit follows a hand when so many commands were applied.
const APPLIED_MIN: u64 = 500;
const SHARE: f64 = 0.999;
/// A process that has just begun is no measure.
const WARMING: Duration = Duration::from_millis(500);
/// For a session to begin.
const BEGINNING: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn pulse(arguments: &Arguments, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("site");
    let over = Arc::new(AtomicBool::new(false));
    let watch = Watch { sessions: data.join("sessions"), over: over.clone() };
    let watching = thread::spawn(move || watch.segments());
    let outcome = runtime.block_on(rehearse::rehearse(&rehearse::Arguments {
        data: Some(data.clone()),
        practise: PRACTICE.as_secs() as u32,
        ..rehearsal(arguments, folder.path())
    }));
    over.store(true, Relaxed);
    let segments = watching.join().map_err(|_| anyhow::anyhow!("the thread that watches the kit broke"))?;
    let (outcome, segments) = (outcome?, segments?);
    let allocations = allocations(&data.join("sessions"))?;
    let figure = |name, value, bar| Figure { name, value, bar };
    Ok(Measured {
        figures: vec![
            figure("late_us_p999", median(segments.iter().map(|pair| pair.kit.late_us())), None),
            figure("empty_late_us_p999", median(segments.iter().map(|pair| pair.empty.late_us())), None),
            figure(
                "over_empty_us_p999",
                median(segments.iter().map(Pair::over_empty_us)),
                Some(Bar::AtMost(250.0)),
            ),
            figure(
                "over_empty_us_p999_max",
                segments.iter().map(Pair::over_empty_us).fold(f64::MIN, f64::max),
                None,
            ),
            figure("took_us_p999", median(segments.iter().map(|pair| pair.took.percentile_us(SHARE))), None),
            figure("missed", segments.iter().map(|pair| pair.missed as f64).sum(), None),
            figure("allocations", allocations, Some(Bar::AtMost(0.0))),
        ],
        load: format!(
            "{SEGMENTS} segments of {} s of the kit's loop, each before one of an empty loop; medians, over_empty of the differences; \
             {}",
            SEGMENT.as_secs(),
            load(&outcome)
        ),
        samples: Samples::Table(table(&segments)),
    })
}

/// The hidden half: an empty loop's lateness.
pub(super) fn empty(seconds: u64) -> anyhow::Result<Measured> {
    lock_memory();
    let pace = Arc::new(Pace::default());
    let (beats, begin) = (pace.clone(), Instant::now() + WARMING);
    let turns = thread::spawn(move || {
        before_all_others();
        keep_pace(&Pace::default(), || Instant::now() < begin);
        keep_pace(&beats, || Instant::now() < begin + Duration::from_secs(seconds));
    });
    turns.join().map_err(|_| anyhow::anyhow!("the empty loop broke"))?;
    let counts = pace.late.by_us();
    let samples_us = (0..).zip(counts).flat_map(|(us, count)| std::iter::repeat_n(us, count as usize));
    Ok(Measured {
        figures: Vec::new(),
        load: "an empty loop of 1 kHz".to_owned(),
        samples: Samples::Us(samples_us.collect()),
    })
}

/// A segment of the kit's, and the empty loop's after it.
struct Pair {
    kit: Times,
    empty: Times,
    took: Times,
    missed: u64,
}

impl Pair {
    fn over_empty_us(&self) -> f64 {
        self.kit.late_us() - self.empty.late_us()
    }
}

/// How many were within each bound, as the kit exports it: cumulative, and all of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Times {
    within: Vec<(u64, u64)>,
    all: u64,
}

impl Times {
    /// Whole µs, under the same bounds.
    fn of(us: &[u64], bounds: &Self) -> Self {
        let within =
            bounds.within.iter().map(|(le, _)| (*le, us.iter().filter(|us| *us < le).count() as u64));
        Self { within: within.collect(), all: us.len() as u64 }
    }

    fn since(&self, before: &Self) -> Self {
        let pairs = self.within.iter().zip(&before.within);
        Self {
            within: pairs.map(|((le, now), (_, then))| (*le, now - then)).collect(),
            all: self.all - before.all,
        }
    }

    /// The least bound that this share is within; infinite above the last.
    fn percentile_us(&self, share: f64) -> f64 {
        let wanted = (self.all as f64 * share).ceil() as u64;
        let bound = self.within.iter().find(|(_, count)| *count >= wanted);
        bound.map_or(f64::INFINITY, |(le, _)| *le as f64)
    }

    fn late_us(&self) -> f64 {
        self.percentile_us(SHARE)
    }
}

/// The kit's own figures at one moment.
#[derive(Debug, Default, PartialEq)]
struct Exported {
    late: Times,
    took: Times,
    missed: u64,
    applied: u64,
}

impl Exported {
    /// From the text format that the kit writes.
    fn read(text: &str) -> anyhow::Result<Self> {
        let mut exported = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').context("a line without a value")?;
            let name = name.strip_prefix("farhand_kit_").context("a figure that is not the kit's")?;
            match name.split_once("_microseconds_") {
                Some(("tick_late", of)) => exported.late.take(of, value.parse()?),
                Some(("tick_took", of)) => exported.took.take(of, value.parse()?),
                _ if name == "ticks_missed_total" => exported.missed = value.parse()?,
                _ if name == "commands_applied_total" => exported.applied = value.parse()?,
                _ => {}
            }
        }
        ensure!(!exported.late.within.is_empty(), "the kit exports no lateness");
        Ok(exported)
    }
}

impl Times {
    fn take(&mut self, of: &str, value: u64) {
        let bound = of.strip_prefix("bucket{le=\"").and_then(|le| le.strip_suffix("\"}"));
        match bound.map(str::parse) {
            Some(Ok(le)) => self.within.push((le, value)),
            None if of == "count" => self.all = value,
            _ => {}
        }
    }
}

/// Looks at the kit of the session that is about to begin.
struct Watch {
    sessions: PathBuf,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn segments(&self) -> anyhow::Result<Vec<Pair>> {
        let file = self.file()?;
        (0..SEGMENTS).map(|_| self.pair(&file)).collect()
    }

    /// The kit's figures, once it follows the surgeon.
    fn file(&self) -> anyhow::Result<PathBuf> {
        let until = Instant::now() + BEGINNING;
        loop {
            self.still(until)?;
            if let Some(path) = of_the_session(&self.sessions, "kit.prom")
                && Exported::read(&fs::read_to_string(&path)?)?.applied >= APPLIED_MIN
            {
                return Ok(path);
            }
            thread::sleep(LOOK);
        }
    }

    fn still(&self, until: Instant) -> anyhow::Result<()> {
        ensure!(!self.over.load(Relaxed), "the session was over before the last segment");
        ensure!(Instant::now() < until, "the kit did not follow the surgeon");
        Ok(())
    }

    fn pair(&self, file: &Path) -> anyhow::Result<Pair> {
        let before = self.fresh(file)?;
        thread::sleep(SEGMENT);
        let after = self.fresh(file)?;
        ensure!(after.applied > before.applied, "no command was applied in a segment of the kit's");
        let kit = after.late.since(&before.late);
        let empty = Times::of(&empty_loop()?, &kit);
        let took = after.took.since(&before.took);
        Ok(Pair { kit, empty, took, missed: after.missed - before.missed })
    }

    /// Written after now.
    fn fresh(&self, file: &Path) -> anyhow::Result<Exported> {
        let (old, until) = (fs::metadata(file)?.modified()?, Instant::now() + SEGMENT);
        while fs::metadata(file)?.modified()? == old {
            self.still(until)?;
            thread::sleep(LOOK);
        }
        Exported::read(&fs::read_to_string(file)?)
    }
}

/// A segment of an empty loop in a process like the kit's, µs.
fn empty_loop() -> anyhow::Result<Vec<u64>> {
    let samples = tempfile::NamedTempFile::new()?;
    let seconds = SEGMENT.as_secs().to_string();
    let status = Command::new("nice")
        .args(["-n", Kind::Kit.niceness()])
        .arg(std::env::current_exe()?)
        .args(["bench", "empty-loop", "--seconds", &seconds, "--samples"])
        .arg(samples.path())
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "the empty loop ended with {status}");
    let text = fs::read_to_string(samples.path())?;
    Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?)
}

/// A file of the one session that there is.
fn of_the_session(sessions: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = fs::read_dir(sessions).ok()?.flatten();
    folders.find_map(|folder| Some(folder.path().join(name)).filter(|path| path.exists()))
}

/// On the loop's thread, from its first tick to its last.
fn allocations(sessions: &Path) -> anyhow::Result<f64> {
    let Some(path) = of_the_session(sessions, "kit.allocations") else {
        bail!("the kit did not come to its end: nobody knows what its loop allocated");
    };
    Ok(fs::read_to_string(path)?.trim().parse()?)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(segments: &[Pair]) -> String {
    let mut text = "loop segment late_us_below count\n".to_owned();
    for (number, pair) in segments.iter().enumerate() {
        for (name, times) in [("kit", &pair.kit), ("empty", &pair.empty)] {
            let mut before = 0;
            let bounds = times.within.iter().map(|(le, within)| (le.to_string(), *within));
            for (le, within) in bounds.chain([("inf".to_owned(), times.all)]) {
                if within > before {
                    let _ = writeln!(text, "{name} {number} {le} {}", within - before); // a String takes it
                }
                before = within;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "# HELP farhand_kit_mode What.\n\
        farhand_kit_mode 0\n\
        farhand_kit_commands_applied_total 10\n\
        farhand_kit_ticks_missed_total 1\n\
        farhand_kit_tick_late_microseconds_bucket{le=\"10\"} 100\n\
        farhand_kit_tick_late_microseconds_bucket{le=\"20\"} 150\n\
        farhand_kit_tick_late_microseconds_bucket{le=\"+Inf\"} 151\n\
        farhand_kit_tick_late_microseconds_sum 99\n\
        farhand_kit_tick_late_microseconds_count 151\n";

    /// Goal: what lies between two looks at the kit is one segment, and its percentile is the bound that holds that share.
    #[test]
    fn a_segment_is_what_lies_between_two_looks() {
        let before = Exported::read(EARLIER).unwrap();
        assert_eq!((before.applied, before.missed, before.late.all), (10, 1, 151));
        let mut after = before.late.clone();
        after.within = vec![(10, 1_099), (20, 1_150)];
        after.all = 1_151;
        let segment = after.since(&before.late);
        assert_eq!(segment.within, [(10, 999), (20, 1_000)]);
        assert_eq!((segment.percentile_us(0.999), segment.percentile_us(1.0)), (10.0, 20.0));
        let beyond = Times { all: 2_000, ..segment };
        assert_eq!(beyond.percentile_us(0.999), f64::INFINITY);
    }

    /// Goal: both loops are counted under the same bounds.
    #[test]
    fn the_empty_loop_is_counted_as_the_kit_is() {
        let bounds = Exported::read(EARLIER).unwrap().late;
        let times = Times::of(&[0, 9, 10, 19, 20, 4_000], &bounds);
        assert_eq!(times, Times { within: vec![(10, 2), (20, 4)], all: 6 });
    }
}
