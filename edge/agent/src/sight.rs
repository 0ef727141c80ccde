//! Sight: what the net sees in the pictures, told beside them.
//!
//! **Invariants (local).** Nothing waits for it: it takes a picture when it is done with the one before, on a thread of its own that
//! stands back behind all others. Whatever goes wrong here turns sight off, with the reason on record, and nothing else.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use farhand_video::{Tap, Tapped, VideoError};
use farhand_vision::{Executor, FrameError, Model, ModelError, Nv12, Traits};
use farhand_wire::{
    EdgeTick, Overlay,
    overlay::{Class, Doubt, Seen},
};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use thiserror::Error;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use crate::{VisionConfig, desk::Desk, relay::Input};

/// Sight, as switch entries name it.
pub const VISION: &str = "vision";

/// What sight stands back by where the system knows nothing better: more than encoding, which stands back behind commands.
const NICER: i32 = 15;
/// Whether the edge box still runs is looked at as often.
const LOOK_UP: Duration = Duration::from_millis(500);
/// While nobody wants to see, whether somebody does is asked as often.
const UNWANTED: Duration = Duration::from_millis(100);
/// After a doubt, pictures in a row that must be beyond it.
const SURE_AGAIN: u32 = 5;

/// Why sight is off.
#[derive(Debug, Error)]
enum Blind {
    #[error("the model {}: {source}", name(path))]
    File { path: PathBuf, source: io::Error },
    #[error("the model {}: {source}", name(path))]
    Model { path: PathBuf, source: ModelError },
    #[error("the net: {0}")]
    Net(#[from] candle_core::Error),
    #[error("no thread for it: {0}")]
    Thread(#[from] ThreadPoolBuildError),
    #[error("the picture: {0}")]
    Picture(#[from] VideoError),
    #[error("the picture: {0}")]
    Frame(#[from] FrameError),
}

/// Without its folder, which is nobody's business at a console.
fn name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}

/// Looks at pictures as long as the edge box runs.
pub(crate) struct Sight {
    desk: Weak<Desk>,
    tap: Tap,
    /// What it looks at is what the left eye sees: half of each picture.
    stereo: bool,
    pause: Duration,
    executor: Executor,
    /// By their numbers among the model's.
    classes: Vec<Option<Class>>,
    nv12: Vec<u8>,
    trust: Trust,
}

/// **Looks at pictures from now on**, on a thread of its own, until the edge box ends.
pub(crate) fn start(config: VisionConfig, desk: &Arc<Desk>, tap: Tap, stereo: bool) {
    let desk = Arc::downgrade(desk);
    let runs = desk.clone();
    let looks = move || {
        let why = match one_core()
            .and_then(|pool| pool.install(|| Sight::open(&config, desk.clone(), tap, stereo)?.look()))
        {
            Ok(()) => return,
            Err(why) => why.to_string(),
        };
        blind(&desk, why);
    };
    let started = thread::Builder::new().name("sight".to_owned()).spawn(looks);
    if let Err(error) = started {
        blind(&runs, format!("no thread for it: {error}"));
    }
}

/// There is no sight from now on.
fn blind(desk: &Weak<Desk>, why: String) {
    tracing::warn!(why, "no sight");
    desk.upgrade().iter().for_each(|desk| desk.no_sight(&why));
    switched(desk, false, why);
}

/// The net's work stays on this thread.
fn one_core() -> Result<ThreadPool, Blind> {
    stand_back();
    Ok(ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?)
}

/// This thread has what the others leave (`SCHED_IDLE`): whoever else wakes up goes first, at once.
fn stand_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::warn!(?error, "sight does not stand back here: it is only nicer than the rest");
        let _ = rustix::process::nice(NICER);
    }
}

/// Told, and on record once the session is open.
fn switched(desk: &Weak<Desk>, on: bool, reason: String) {
    while let Some(desk) = desk.upgrade() {
        if *desk.signs.open.borrow() {
            return desk.handle(Input::Switched { what: VISION, on, reason });
        }
        drop(desk);
        thread::sleep(LOOK_UP);
    }
}

impl Sight {
    fn open(config: &VisionConfig, desk: Weak<Desk>, tap: Tap, stereo: bool) -> Result<Self, Blind> {
        let path = || config.model.clone();
        let bytes = fs::read(&config.model).map_err(|source| Blind::File { path: path(), source })?;
        let model = Model::read_known(&bytes, &config.sha256)
            .map_err(|source| Blind::Model { path: path(), source })?;
        let card = model.card();
        let executor = Executor::fastest(&model, card.height, card.width)?;
        let classes = card.classes.iter().map(|name| Class::named(name)).collect();
        let words = format!("model {} {}", hex::encode(model.digest()), executor.choice());
        tracing::info!(words, "sight");
        switched(&desk, true, words);
        let pause = Duration::from_secs_f64(1.0 / f64::from(config.rate_hz_max.clamp(1, 60)));
        Ok(Self { desk, tap, stereo, pause, executor, classes, nv12: Vec::new(), trust: Trust::default() })
    }

    fn look(&mut self) -> Result<(), Blind> {
        let mut next = Instant::now();
        while let Some(desk) = self.desk.upgrade() {
            let wanted = *desk.signs.sight_wanted.borrow();
            drop(desk);
            if !wanted {
                thread::sleep(UNWANTED);
                continue;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if let Some(picture) = self.tap.next(LOOK_UP) {
                next = Instant::now() + self.pause;
                self.see(picture)?;
            }
        }
        Ok(())
    }

    fn see(&mut self, picture: Tapped) -> Result<(), Blind> {
        let (rtp_timestamp, captured) = (picture.rtp_timestamp, EdgeTick(picture.capture_us));
        let (width, height) = picture.into_nv12(self.stereo, &mut self.nv12)?;
        let frame = Nv12::new(width, height, &self.nv12)?;
        let seen = match Traits::of(frame).doubt() {
            Some(doubt) => Seen::Doubt(doubt),
            None => {
                let seen = self.executor.segment(frame)?;
                seen.doubt().map_or_else(|| Seen::Contours(seen.contours(&self.classes)), Seen::Doubt)
            }
        };
        let (seen, switch) = self.trust.judge(seen);
        if let Some((on, reason)) = switch {
            switched(&self.desk, on, reason.to_owned());
        }
        let overlay = Overlay { rtp_timestamp, captured, seen };
        if let Some(desk) = self.desk.upgrade() {
            desk.beside_pictures(&Bytes::from(overlay.to_bytes()));
        }
        Ok(())
    }
}

/// Doubts at once, and for a while. Pure.
#[derive(Debug, Default)]
struct Trust {
    doubt: Option<Doubt>,
    /// Pictures since the last doubt.
    sure: u32,
}

impl Trust {
    /// What is told of a picture, and the switch that this is, if it is one.
    fn judge(&mut self, seen: Seen) -> (Seen, Option<(bool, &'static str)>) {
        match (seen, self.doubt) {
            (Seen::Doubt(doubt), before) => {
                (self.doubt, self.sure) = (Some(doubt), 0);
                let switch = (before != Some(doubt)).then(|| (false, doubt.words()));
                (Seen::Doubt(doubt), switch)
            }
            (Seen::Contours(_), Some(doubt)) if self.sure + 1 < SURE_AGAIN => {
                self.sure += 1;
                (Seen::Doubt(doubt), None)
            }
            (seen, before) => {
                self.doubt = None;
                (seen, before.map(|_| (true, "sure again")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a doubt counts at once and is said once; what is seen comes back after five pictures without one, not in between.
    #[test]
    fn doubts_count_at_once_and_for_a_while() {
        let mut trust = Trust::default();
        let (sure, unsure) = (|| Seen::Contours(Vec::new()), || Seen::Doubt(Doubt::Unsure));
        assert_eq!(trust.judge(sure()), (sure(), None));
        assert_eq!(trust.judge(unsure()), (unsure(), Some((false, Doubt::Unsure.words()))));
        assert_eq!(trust.judge(unsure()), (unsure(), None));
        for _ in 1..SURE_AGAIN {
            assert_eq!(trust.judge(sure()), (unsure(), None));
        }
        assert_eq!(trust.judge(sure()), (sure(), Some((true, "sure again"))));
        assert_eq!(trust.judge(Seen::Doubt(Doubt::Dark)).1, Some((false, Doubt::Dark.words())));
    }
}
