//! Pictures: from the source, through the record, to the consoles.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use farhand_ledger::{FrameEntry, Hash};
use farhand_video::{AccessUnit, BITRATE_KBIT_S, Capture, Event, Output, Outputs, Settings, Source};
use farhand_wire::{EdgeTick, FRAME_RECORD_NAME, FrameId, KitTick};
use rtc::rtp::{codec::h264::H264Payloader, packetizer::Payloader};
use tokio::sync::watch;

use crate::{
    TestDelay,
    desk::{Desk, Picture},
    relay::Input,
};

/// RTP payload bytes: with all headers and SRTP's code, within 1280 bytes of IP.
const PAYLOAD_BYTES_MAX: usize = 1188;
/// Key frames cost several times an ordinary one: no more than four a second, however many receivers ask.
const KEY_FRAME_PAUSE: Duration = Duration::from_millis(250);
/// A source that is not there is tried again after this, doubling.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(4);
/// What the lines carry is looked at as often.
const RATE_PAUSE: Duration = Duration::from_millis(250);
/// Of what a line carries, pictures may take so much: the rest is headers, repair, sent again, and everything beside them.
const SHARE: f64 = 0.75;
/// A rate that is so near to the one before is left as it is.
const RATE_STEP: f64 = 0.07;
/// Of a picture that moves, with the encoder at its fastest: below, blocks hide what a surgeon looks for.
const BITS_A_PIXEL: f64 = 0.05;
/// Shares of the sides and of the frame rate, best first: two thirds of the sides are less than half of the pixels.
const FORMS: [(f64, f64); 4] = [(1.0, 1.0), (2.0 / 3.0, 1.0), (0.5, 1.0), (0.5, 0.5)];
/// So many times what a better form needs must be there before it is taken again.
const FORM_ROOM: f64 = 1.3;
const WIDTH_LEAST: u32 = 320;
/// Where no picture may be lost, a console that takes none for this long loses them after all.
const TAKE: Duration = Duration::from_secs(5);

/// The picture, as switch entries name it.
pub const VIDEO: &str = "video";
/// Why a recording's picture is off when all of it has been shown.
pub const PLAYED: &str = "played to its end";

/// What is captured, and when.
#[derive(Debug)]
pub(crate) struct Film {
    pub(crate) desk: Arc<Desk>,
    pub(crate) source: Source,
    pub(crate) settings: Settings,
    /// Only from arming on, or as soon as a surgeon looks.
    pub(crate) on_arming: bool,
    /// A recording has come to its end, or broken before it.
    pub(crate) ended: watch::Sender<bool>,
    /// For tests.
    pub(crate) test_delay: Option<TestDelay>,
    next_frame: u64,
    payloader: H264Payloader,
}

/// Why a capture is over.
enum End {
    Played,
    Broke,
    SessionOver,
}

impl Film {
    pub(crate) fn new(
        desk: Arc<Desk>,
        source: Source,
        settings: Settings,
        on_arming: bool,
        ended: watch::Sender<bool>,
    ) -> Self {
        Self {
            desk,
            source,
            settings,
            on_arming,
            ended,
            test_delay: None,
            next_frame: 1,
            payloader: H264Payloader::default(),
        }
    }

    /// **Captures until the recording is played or the session over; a live source that breaks is started again and again.**
    pub(crate) async fn run(mut self, mut over: watch::Receiver<bool>) {
        self.wait_for_its_time().await;
        self.next_frame = self.desk.first_frame.load(Relaxed);
        let mut pause = RETRY_MIN;
        loop {
            let end = tokio::select! {
                end = self.capture(&mut pause) => end,
                _ = over.wait_for(|over| *over) => End::SessionOver,
            };
            match end {
                End::Played => {
                    self.ended.send_replace(true);
                    return;
                }
                End::SessionOver => return,
                // Played again from its beginning, it would break in the same place.
                End::Broke if self.source.plays_once() => {
                    self.ended.send_replace(true);
                    return;
                }
                End::Broke => tokio::time::sleep(pause).await,
            }
            pause = (2 * pause).min(RETRY_MAX);
        }
    }

    async fn wait_for_its_time(&self) {
        let signs = &self.desk.signs;
        let mut time = if self.on_arming { signs.armed.subscribe() } else { signs.watched.subscribe() };
        let _ = time.wait_for(|yes| *yes).await; // the desk has the sending end
    }

    async fn capture(&mut self, pause: &mut Duration) -> End {
        let settings = Settings { first_frame_id: self.next_frame, ..self.settings.clone() };
        let source = self.source.clone();
        let started = tokio::task::spawn_blocking(move || Capture::start(&source, &settings)).await;
        let (capture, outputs) = match started {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => return self.broke(&error.to_string()),
            Err(error) => return self.broke(&error.to_string()),
        };
        *pause = RETRY_MIN;
        let capture = Stopping(Some(capture));
        self.show(capture.running(), outputs).await
    }

    async fn show(&mut self, capture: Option<&Capture>, mut outputs: Outputs) -> End {
        let mut keys = KeyFrames::default();
        let desk = self.desk.clone();
        let mut rate = Rate::new(self.settings.bitrate_kbit_s);
        let mut form = Form::default();
        let mut looks = tokio::time::interval(RATE_PAUSE);
        let mut delay = self.test_delay;
        let begins =
            tokio::time::Instant::now() + Duration::from_secs(delay.map_or(0, |delay| delay.after_s.into()));
        loop {
            let due = keys.due(Instant::now());
            tokio::select! {
                output = outputs.next() => match output {
                    Some(Output::Unit(unit)) => self.send(unit).await,
                    Some(Output::Event(Event::Started { width, height, fps, encoder })) => {
                        form = Form::new(width, height, fps);
                        let or_not = if self.source.may_bring_h264() { ", or as the camera encoded it" } else { "" };
                        self.switched(true, format!("{width} x {height} by {encoder}{or_not}"));
                    }
                    Some(Output::Event(Event::Stalled { ms })) => self.switched(false, format!("silent for {ms} ms")),
                    Some(Output::Event(Event::Resumed)) => self.switched(true, "back".into()),
                    Some(Output::Event(Event::EndOfStream)) => {
                        self.switched(false, PLAYED.into());
                        return End::Played;
                    }
                    Some(Output::Event(Event::Stopped(error))) => return self.broke(&error.to_string()),
                    None => return self.broke("the capture has ended"),
                },
                () = tokio::time::sleep_until(begins), if delay.is_some() => {
                    let ms = delay.take().map_or(0, |delay| delay.ms);
                    tracing::warn!(ms, "a test delays the pictures from now on");
                    capture.iter().for_each(|capture| capture.set_test_delay_ms(ms));
                }
                _ = looks.tick() => {
                    let changed = desk.carried_kbit_s().and_then(|carried| rate.follow(carried));
                    if let (Some(kbit_s), Some(capture)) = (changed, capture) {
                        tracing::info!(kbit_s, "the pictures' rate");
                        capture.set_bitrate_kbit_s(kbit_s);
                    }
                    if let (Some(step), Some(capture)) = (form.follow(rate.now_kbit_s), capture) {
                        capture.set_size_max(step.size_max);
                        capture.set_fps_max(step.fps_max);
                        self.switched(true, step.words());
                    }
                }
                () = desk.signs.key_frame_wanted.notified() => keys.want(),
                () = wait(due) => {
                    keys.given(Instant::now());
                    if let Some(capture) = capture {
                        capture.force_key_unit();
                    }
                }
            }
        }
    }

    async fn send(&mut self, unit: AccessUnit) {
        self.next_frame = unit.frame_id + 1;
        let input = Input::Frame { entry: entry(&unit), unit: unit.data.clone() };
        let (consoles, Some(beside)) = self.desk.picture(input) else { return };
        let record = beside.to_bytes();
        let sent = farhand_video::with_user_data(&unit.data, FRAME_RECORD_NAME, &record).into();
        let payloads = match self.payloader.payload(PAYLOAD_BYTES_MAX, &sent) {
            Ok(payloads) => payloads,
            Err(error) => return tracing::error!(%error, frame = unit.frame_id, "a picture can't be sent"),
        };
        let picture = Arc::new(Picture {
            frame: unit.frame_id,
            record,
            rtp_timestamp: unit.pts_90khz,
            key_frame: unit.key_frame,
            payloads,
        });
        for console in consoles {
            if self.settings.every_frame {
                let _ = console.send_timeout(picture.clone(), TAKE).await; // gone, or it takes none
            } else {
                let _ = console.try_send(picture.clone()); // it will ask for a key frame
            }
        }
    }

    fn broke(&self, why: &str) -> End {
        tracing::warn!(why, "no pictures");
        self.switched(false, why.to_owned());
        End::Broke
    }

    fn switched(&self, on: bool, reason: String) {
        self.desk.handle(Input::Switched { what: VIDEO, on, reason });
    }
}

fn entry(unit: &AccessUnit) -> FrameEntry {
    FrameEntry {
        frame: FrameId(unit.frame_id),
        rtp_timestamp: unit.pts_90khz,
        captured: EdgeTick(unit.capture_us),
        kit_tick_at_capture: KitTick(0), // the relay knows it
        key_frame: unit.key_frame,
        au_hash: Hash(unit.au_hash),
        picture_hash: Hash(unit.picture_hash),
        au_bytes: unit.data.len() as u64,
    }
}

async fn wait(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Stops a capture on a thread where it may wait for its own threads.
struct Stopping(Option<Capture>);

impl Stopping {
    fn running(&self) -> Option<&Capture> {
        self.0.as_ref()
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let (Some(capture), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || capture.stop());
        }
    }
}

/// The encoder's rate: what the lines carry of it, and no more than is wanted. Pure.
#[derive(Clone, Copy, Debug)]
struct Rate {
    wanted_kbit_s: u32,
    now_kbit_s: u32,
}

impl Rate {
    fn new(wanted_kbit_s: u32) -> Self {
        Self { wanted_kbit_s, now_kbit_s: wanted_kbit_s }
    }

    /// The new rate, where it is another.
    fn follow(&mut self, carried_kbit_s: u32) -> Option<u32> {
        let share = (f64::from(carried_kbit_s) * SHARE) as u32;
        let next = share.max(*BITRATE_KBIT_S.start()).min(self.wanted_kbit_s);
        let apart = f64::from(next.abs_diff(self.now_kbit_s)) / f64::from(self.now_kbit_s);
        // The last step up is taken even if it is a small one.
        let changes = apart > RATE_STEP || (next == self.wanted_kbit_s && next != self.now_kbit_s);
        changes.then(|| {
            self.now_kbit_s = next;
            next
        })
    }
}

/// A picture's size and rate at a bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// `None`: the source's own.
    size_max: Option<(u32, u32)>,
    fps_max: Option<u32>,
}

impl Step {
    fn words(self) -> String {
        let size = self
            .size_max
            .map_or("the camera's own size".to_owned(), |(width, height)| format!("{width} x {height}"));
        self.fps_max.map_or(size.clone(), |fps| format!("{size}, {fps} a second"))
    }
}

/// How large pictures are, and how many: as a line carries less, first smaller ones, then fewer. Pure.
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    width: u32,
    height: u32,
    fps: f64,
    /// Of [`FORMS`].
    at: usize,
}

impl Form {
    fn new(width: u32, height: u32, fps: f64) -> Self {
        // Some cameras do not say.
        Self { width, height, fps: if fps > 0.0 { fps } else { 30.0 }, at: 0 }
    }

    /// What goes with this bitrate, where it is something else.
    fn follow(&mut self, kbit_s: u32) -> Option<Step> {
        let of_all = f64::from(kbit_s) * 1e3
            / (f64::from(self.width) * f64::from(self.height) * self.fps * BITS_A_PIXEL);
        let pixels = |(side, rate): (f64, f64)| side * side * rate;
        // A better one only when there is room for it: what has just become worse is not to come and go.
        let fits = |at: usize| of_all >= pixels(FORMS[at]) * if at < self.at { FORM_ROOM } else { 1.0 };
        let at = (0..FORMS.len()).find(|at| fits(*at)).unwrap_or(FORMS.len() - 1);
        (self.width > 0 && at != self.at).then(|| {
            self.at = at;
            self.step()
        })
    }

    fn step(self) -> Step {
        let (side, rate) = FORMS[self.at];
        let even = |length: u32| ((f64::from(length) * side / 2.0).round() as u32) * 2;
        // Narrower, a stamp in the pixels would not fit.
        let smaller = self.at > 0 && self.width >= 2 * WIDTH_LEAST;
        Step {
            size_max: smaller.then(|| (even(self.width), even(self.height))),
            fps_max: (rate < 1.0).then(|| (self.fps * rate).round() as u32),
        }
    }
}

/// Gives each request for a key frame one, soon, and never two within [`KEY_FRAME_PAUSE`]. Pure.
#[derive(Debug, Default)]
struct KeyFrames {
    wanted: bool,
    last: Option<Instant>,
}

impl KeyFrames {
    fn want(&mut self) {
        self.wanted = true;
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.last.map_or(now, |last| (last + KEY_FRAME_PAUSE).max(now)))
    }

    fn given(&mut self, now: Instant) {
        self.wanted = false;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the rate falls with the line and comes back with it, small changes cost nothing, and more than was wanted is never asked.
    #[test]
    fn the_rate_follows_the_lines() {
        let mut rate = Rate::new(4_000);
        assert_eq!(rate.follow(5_000), None);
        assert_eq!(rate.follow(2_000), Some(1_500));
        assert_eq!(rate.follow(2_050), None);
        assert_eq!(rate.follow(1), Some(100));
        assert_eq!(rate.follow(4_600), Some(3_450));
        assert_eq!(rate.follow(50_000), Some(4_000));
    }

    /// Goal: as a line carries less, pictures become smaller and then fewer; they come back only when there is room; a camera with
    /// few pixels keeps them.
    #[test]
    fn size_and_frame_rate_follow_the_rate() {
        let mut form = Form::new(1280, 720, 30.0);
        let step = |size_max, fps_max| Some(Step { size_max, fps_max });
        assert_eq!(form.follow(4_000), None);
        assert_eq!(form.follow(1_300), step(Some((854, 480)), None));
        assert_eq!(form.follow(1_400), None, "no room yet");
        assert_eq!(form.follow(500), step(Some((640, 360)), None));
        assert_eq!(form.follow(200), step(Some((640, 360)), Some(15)));
        assert_eq!(form.follow(100), None);
        assert_eq!(form.follow(2_500), step(None, None));
        let mut small = Form::new(320, 240, 0.0);
        assert_eq!(small.follow(20).and_then(|step| step.size_max), None);
        assert_eq!(Form::default().follow(1), None, "nothing has come yet");
    }

    /// Goal: many requests cost one key frame, none is forgotten.
    #[test]
    fn requests_within_a_pause_share_one_key_frame() {
        let start = Instant::now();
        let mut keys = KeyFrames::default();
        assert_eq!(keys.due(start), None);
        keys.want();
        assert_eq!(keys.due(start), Some(start));
        keys.given(start);
        keys.want();
        keys.want();
        assert_eq!(keys.due(start), Some(start + KEY_FRAME_PAUSE));
        keys.given(start + KEY_FRAME_PAUSE);
        assert_eq!(keys.due(start + KEY_FRAME_PAUSE), None);
    }
}
