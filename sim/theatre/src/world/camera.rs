//! The endoscope: draws what it sees at a steady rate, and gives the pictures to whoever reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use farhand_scene::{Scene, SceneSettings};
use farhand_world::exercise::Object;
use gstreamer as gst;

use super::arm::{ArmTruth, Exercised, OtherArm, Shown};
use super::config::CameraEnd;
use super::shm::ShmOut;
use super::stage::Stage;

/// An axis that moved by less, rad or m, is drawn where it was: a fiftieth of a pixel at the default size.
const STILL_RAD_M: f64 = 2e-5;
/// A bead that moved by less, mm, and what an exercise has, m and rad.
const STILL_MM: f64 = 2e-3;
const STILL_M: f64 = 2e-6;
const TURNED_RAD: f64 = 1e-3;

/// **Films until `stop`; a picture that would come too late is left out, never queued.**
pub(crate) fn film(
    stage: &Stage,
    end: &CameraEnd,
    shown: &Shown,
    frames: &AtomicU64,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut film = Film::open(stage, end, shown)?;
    let mut pace = Pace::new(end.fps);
    while !stop.load(Relaxed) {
        film.next(stage, shown)?;
        frames.fetch_add(1, Relaxed);
        pace.wait();
    }
    tracing::info!(skipped = pace.skipped, "the camera stops");
    Ok(())
}

struct Film {
    scene: Scene,
    out: ShmOut,
    drawn: ArmTruth,
    picture: gst::Buffer,
}

impl Film {
    fn open(stage: &Stage, end: &CameraEnd, shown: &Shown) -> anyhow::Result<Self> {
        let settings = SceneSettings { width: end.width, height: end.height, ..SceneSettings::default() };
        let mut scene = Scene::new(settings).context("the camera cannot draw")?;
        tracing::info!(adapter = scene.adapter_name(), "the camera draws");
        let out = ShmOut::open(end, scene.frame_bytes())?;
        let drawn = shown.look();
        let picture = draw(&mut scene, &out, stage, &drawn)?;
        Ok(Self { scene, out, drawn, picture })
    }

    /// The next picture: the last one again where nothing moved.
    fn next(&mut self, stage: &Stage, shown: &Shown) -> anyhow::Result<()> {
        let now = shown.look();
        if looks_different(&self.drawn, &now) {
            self.picture = draw(&mut self.scene, &self.out, stage, &now)?;
            self.drawn = now;
        }
        self.out.give(&self.picture)
    }
}

fn draw(scene: &mut Scene, out: &ShmOut, stage: &Stage, now: &ArmTruth) -> anyhow::Result<gst::Buffer> {
    out.frame(|nv12| scene.render_into(&stage.seen(now), nv12).context("the camera cannot draw"))
}

fn looks_different(before: &ArmTruth, now: &ArmTruth) -> bool {
    let axes = |truth: &ArmTruth| {
        let [a, b, c, d, e, f] = truth.joints.0;
        [a, b, c, d, e, f, truth.jaw_rad]
    };
    let farther = |one: &[f64], other: &[f64], than: f64| {
        one.iter().zip(other).any(|(one, other)| (one - other).abs() > than)
    };
    before.grasped != now.grasped
        || farther(&axes(before), &axes(now), STILL_RAD_M)
        || before.others.iter().zip(&now.others).any(|pair| other_moved(pair, STILL_RAD_M))
        || match (&before.exercise, &now.exercise) {
            (Some(before), Some(now)) => exercise_looks_different(before, now),
            // In an exercise the target is where to go next, and nothing to see.
            _ => farther(&before.target_mm, &now.target_mm, STILL_MM),
        }
}

fn other_moved((before, now): (&Option<OtherArm>, &Option<OtherArm>), than: f64) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before != now };
    let turned = before.joints.0.iter().zip(now.joints.0).any(|(before, now)| (before - now).abs() > than);
    turned || (before.jaw_rad - now.jaw_rad).abs() > than
}

fn exercise_looks_different(before: &Exercised, now: &Exercised) -> bool {
    let moved = |(before, now): (&Option<Object>, &Option<Object>)| match (before, now) {
        (Some(before), Some(now)) => {
            let (from, to) = (before.base_from_object, now.base_from_object);
            before.held != now.held
                || (to.translation.vector - from.translation.vector).norm() > STILL_M
                || from.rotation.angle_to(&to.rotation) > TURNED_RAD
        }
        _ => before != now,
    };
    before.marks != now.marks || before.objects.iter().zip(&now.objects).any(moved)
}

/// A steady clock that waits for the next picture's time.
struct Pace {
    began: Instant,
    period: Duration,
    /// Number of the last picture's time since the beginning.
    at: u64,
    skipped: u64,
}

impl Pace {
    fn new(fps: u32) -> Self {
        Self { began: Instant::now(), period: Duration::from_secs(1) / fps.max(1), at: 0, skipped: 0 }
    }

    fn wait(&mut self) {
        let next = next_time(self.at, self.began.elapsed(), self.period);
        self.skipped += next - self.at - 1;
        self.at = next;
        let due = Duration::from_nanos(next.saturating_mul(self.period.as_nanos() as u64));
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}

/// The number of the next picture's time: times that are past by more than half a period are left out.
fn next_time(at: u64, elapsed: Duration, period: Duration) -> u64 {
    let nearest = (elapsed + period / 2).as_nanos() / period.as_nanos().max(1);
    u64::try_from(nearest).unwrap_or(u64::MAX).max(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: pictures keep their times; what a slow one ran over is left out and not made up for.
    #[test]
    fn a_late_picture_is_left_out_and_not_queued() {
        let period = Duration::from_millis(30);
        let next = |at, elapsed_ms| next_time(at, Duration::from_millis(elapsed_ms), period);
        assert_eq!(next(0, 10), 1, "in time: wait for the next");
        assert_eq!(next(0, 40), 1, "a little late: at once");
        assert_eq!(next(0, 46), 2, "too late: the one after it");
        assert_eq!(next(1, 700), 23, "after a long stop: one picture, not twenty");
        assert_eq!(next(5, 100), 6, "never the same time twice");
    }
}
