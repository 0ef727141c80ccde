//! A capture: two pipelines, the hub between them, and the two threads that serve it.

use crate::encode::Encode;
use crate::encoder::Encoder;
use crate::error::VideoError;
use crate::hub::{Counters, ENCODER_SILENT_MS_MAX, Health, Hub};
use crate::intake::{Goes, Intake, broken};
use crate::note::{Note, NoteBox, Notes, notes};
use crate::output::{Ends, Event, Output, Outputs, Port};
use crate::pair::{Eye, Pair};
use crate::settings::{BITRATE_KBIT_S, Settings};
use crate::source::{SIDE_PX, Source};
use crate::stamp;
use crate::watch::{Change, StallWatch};
use gstreamer_video as gst_video;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the watch looks where nothing is due.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// A running source with its encoder. Dropping it stops both.
#[derive(Debug)]
pub struct Capture {
    /// Two for a pair of cameras.
    intakes: Arc<[Intake]>,
    encode: Arc<Encode>,
    hub: Arc<Hub>,
    port: Arc<Port>,
    notes: Notes,
    threads: Vec<JoinHandle<()>>,
}

impl Capture {
    /// Starts a source and waits for its first picture, at most [`Settings::start_ms_max`]; do not call it on
    /// an asynchronous executor's own thread. The first output is [`Event::Started`].
    ///
    /// # Errors
    /// Whatever keeps the source from giving a picture: a file that is missing, empty, cut off, no video or
    /// not decodable; a camera, sender or socket that is not there or silent; no encoder; a setting out of range.
    pub fn start(source: &Source, settings: &Settings) -> Result<(Self, Outputs), VideoError> {
        settings.check()?;
        crate::init()?;
        let encoder = settings.encoder.map_or_else(Encoder::find, |one| Encoder::find_among(&[one]))?;
        let (mut capture, outputs, note_box) = Self::build(source, settings, encoder)?;
        capture.spawn("video-watch", watch(&capture, settings, note_box))?;
        capture.intakes.iter().try_for_each(Intake::start)?;
        let started = capture.first_picture(source, settings)?;
        // The channel is empty and holds at least one.
        let _ = capture.port.send(Output::Event(started));
        capture.spawn("video-feed", feed(&capture, settings))?;
        Ok((capture, outputs))
    }

    /// Would a recording give a picture? Found out without encoding any. A live source is left alone: it may be there later,
    /// and some let only one in.
    ///
    /// # Errors
    /// As [`Capture::start`], for recordings.
    pub fn check_recording(source: &Source) -> Result<(), VideoError> {
        if source.is_live() {
            return Ok(());
        }
        Self::start(source, &Settings::default()).map(|_| ())
    }

    fn build(
        source: &Source,
        settings: &Settings,
        encoder: Encoder,
    ) -> Result<(Self, Outputs, NoteBox), VideoError> {
        let hub = Arc::new(Hub::new(settings, Instant::now()));
        let (notes, note_box) = notes(hub.clone(), source.to_string());
        let (port, outputs) = Port::new(settings.outputs_waiting_max);
        let port = Arc::new(port);
        let ends = Ends::new(hub.clone(), port.clone(), notes.clone(), settings.first_frame_id);
        let intakes = intakes(source, settings, &ends)?;
        let encode = Arc::new(Encode::start(encoder, settings, &ends)?);
        Ok((Self { intakes, encode, hub, port, notes, threads: Vec::new() }, outputs, note_box))
    }

    fn first_picture(&self, source: &Source, settings: &Settings) -> Result<Event, VideoError> {
        let within = Duration::from_millis(u64::from(settings.start_ms_max));
        let caps = self.hub.wait_for_first(Instant::now() + within).map_err(|end| match end {
            Some(Event::Stopped(error)) => error,
            Some(_) => VideoError::NotAVideo {
                source_text: source.to_string(),
                why: "it holds no picture".to_owned(),
            },
            None => VideoError::NoPicture {
                source_text: source.to_string(),
                within_ms: within.as_millis() as u64,
            },
        })?;
        let info = gst_video::VideoInfo::from_caps(&caps).map_err(|error| broken(&error.to_string()))?;
        if settings.stamp && (info.width() as usize) < stamp::WIDTH_MIN {
            let seen = format!("on, with a picture {} pixels wide", info.width());
            return Err(VideoError::BadSetting { name: "stamp", seen, allowed: "off below 256 pixels" });
        }
        Ok(Event::Started {
            width: info.width(),
            height: info.height(),
            fps: f64::from(info.fps().numer()) / f64::from(info.fps().denom()),
            encoder: self.encode.encoder().element(),
        })
    }

    /// The next picture becomes a key frame with its parameter sets: for a receiver that lost its way.
    pub fn force_key_unit(&self) {
        if self.hub.ask_key() {
            self.encode.force_key_unit();
        }
    }

    /// Sets the encoder's rate from the next picture on, brought within [`BITRATE_KBIT_S`]; returns what was set. A camera's own
    /// pictures go on as they came only within it.
    pub fn set_bitrate_kbit_s(&self, kbit_s: u32) -> u32 {
        let kbit_s = kbit_s.clamp(*BITRATE_KBIT_S.start(), *BITRATE_KBIT_S.end());
        self.encode.set_bitrate_kbit_s(kbit_s);
        self.hub.set_carried_kbit_s(kbit_s);
        kbit_s
    }

    /// Makes pictures smaller, keeping their shape, until they fit; `None` gives the source's own size back. The
    /// first picture of another size is a key frame. Sides are brought within what is taken.
    pub fn set_size_max(&self, size_max: Option<(u32, u32)>) {
        let side = |side: u32| side.clamp(*SIDE_PX.start(), *SIDE_PX.end());
        self.hub.set_smaller(size_max.is_some());
        let each = self.intakes.len() as u32;
        let size_max = size_max.map(|(width, height)| (side(width / each), side(height)));
        self.intakes.iter().for_each(|intake| intake.set_size_max(size_max));
    }

    /// At most so many pictures a second, from now on; `None`: as many as come. Those between are lost before they get a number.
    pub fn set_fps_max(&self, fps_max: Option<u32>) {
        self.hub.set_fps_max(fps_max);
    }

    /// Holds pictures back between capture and encoding, at most 500 ms, their capture instants unchanged. For tests.
    pub fn set_test_delay_ms(&self, delay_ms: u32) {
        self.hub.set_delay_ms(delay_ms);
    }

    /// How many frames went where so far.
    pub fn counters(&self) -> Counters {
        self.hub.counters()
    }

    /// Stops without a last event; the outputs end.
    pub fn stop(self) {}

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), VideoError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(|error| broken(&format!("no thread could be started: {error}")))?);
        Ok(())
    }
}

impl Drop for Capture {
    /// Lets every waiting thread go first, so that none of the steps that follow can wait for a consumer.
    fn drop(&mut self) {
        self.port.close();
        self.hub.close();
        self.notes.quit();
        self.intakes.iter().for_each(Intake::stop);
        self.encode.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the video capture had panicked");
            }
        }
    }
}

/// What opens the source: two pipelines for a pair, which need not know of each other.
fn intakes(source: &Source, settings: &Settings, ends: &Ends) -> Result<Arc<[Intake]>, VideoError> {
    let open = |source: &Source, settings: &Settings, goes| Intake::build(source, settings, ends, &goes);
    match source {
        Source::Pair { left, right } => {
            let pair = Arc::new(Pair::new(ends.hub.clone(), ends.notes.clone()));
            let size_max = settings.size_max.map(|(width, height)| (width / 2, height));
            let of_each = Settings { size_max, ..settings.clone() };
            let eye = |source, eye| open(source, &of_each, Goes::ToPair(pair.clone(), eye));
            Ok([eye(left, Eye::Left)?, eye(right, Eye::Right)?].into())
        }
        Source::Paired { both } => Ok([open(both, settings, Goes::ToTheHub)?].into()),
        one => Ok([open(one, settings, Goes::ToTheHub)?].into()),
    }
}

fn feed(capture: &Capture, settings: &Settings) -> impl FnOnce() + Send + 'static {
    let (encode, hub, notes) = (capture.encode.clone(), capture.hub.clone(), capture.notes.clone());
    let stamped = settings.stamp;
    move || encode.feed(&hub, stamped, &notes)
}

fn watch(capture: &Capture, settings: &Settings, note_box: NoteBox) -> impl FnOnce() + Send + 'static {
    let mut watch = Watch {
        intakes: capture.intakes.clone(),
        hub: capture.hub.clone(),
        port: capture.port.clone(),
        encoder: capture.encode.encoder().element(),
        stall: StallWatch::new(Instant::now(), Duration::from_millis(u64::from(settings.stall_ms))),
        health: capture.hub.health(Instant::now()),
    };
    move || watch.run(&note_box)
}

struct Watch {
    intakes: Arc<[Intake]>,
    hub: Arc<Hub>,
    port: Arc<Port>,
    encoder: &'static str,
    stall: StallWatch,
    health: Health,
}

impl Watch {
    /// **Runs until it is told to quit or the hub is closed: acts on what the pipelines say, and tells of silence.**
    fn run(&mut self, notes: &NoteBox) {
        loop {
            match notes.next(self.pause()) {
                Some(Note::Quit) => return,
                Some(note) => self.act(note),
                None => {}
            }
            let now = Instant::now();
            self.health = self.hub.health(now);
            if self.health.closed {
                return;
            }
            self.look(now);
        }
    }

    fn pause(&self) -> Duration {
        if self.health.ended || !self.health.started {
            return WATCH_PAUSE;
        }
        self.stall.next_look(Instant::now()).min(WATCH_PAUSE)
    }

    fn act(&self, note: Note) {
        match note {
            Note::EncoderFailed(error) => self.encoder_failed(error),
            Note::PlayedOnce => {
                // A recording is never one of two.
                if let Some(Err(error)) = self.intakes.first().map(Intake::play_again) {
                    self.hub.end(Event::Stopped(error));
                }
            }
            Note::Quit => {}
        }
    }

    fn look(&mut self, now: Instant) {
        let silent_ms = self.health.encoder_silent.map_or(0, |silent| silent.as_millis() as u64);
        if silent_ms > ENCODER_SILENT_MS_MAX {
            self.encoder_failed(VideoError::EncoderSilent { encoder: self.encoder, ms: silent_ms });
        }
        if self.health.ended || !self.health.started {
            return;
        }
        let change = self.stall.step(now, self.health.newest_frame);
        if let Some(change) = change {
            // A consumer that is gone needs no warning.
            let _ = self.port.send(Output::Event(match change {
                Change::Stalled { ms } => Event::Stalled { ms },
                Change::Resumed => Event::Resumed,
            }));
        }
    }

    /// Nothing that still waits can be encoded: the last word at once.
    fn encoder_failed(&self, error: VideoError) {
        self.hub.end(Event::Stopped(error.clone()));
        self.port.finish(Event::Stopped(error));
        self.hub.close();
    }
}
