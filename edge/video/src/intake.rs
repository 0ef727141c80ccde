//! The pipeline from the source to raw 4:2:0 pictures.

use crate::error::{VideoError, debian_package};
use crate::hub::{Closed, RawPicture};
use crate::mp4::{self, Wholeness};
use crate::note::Notes;
use crate::output::{Ends, Event};
use crate::pair::{Eye, Pair};
use crate::pass::Coded;
use crate::settings::Settings;
use crate::source::{RawFrame, Source};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A live frame's age is believed up to this; beyond it the source's clock is taken to be wrong.
const AGE_MAX: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// A recording that is to be looped shows its first picture within this time.
const PREROLL: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// A recording may end this much before its stated length and still be whole: sound is often longer than the picture.
const CUT_MS_MAX: u64 = 500;

/// Takes a stream apart, leaves H.264 as it is and decodes whatever else it holds; [`unpack`] links what comes out.
const UNPACK: &str = "decodebin name=unpack caps=\"video/x-h264;video/x-raw(ANY);audio/x-raw(ANY)\"";

/// 4:2:0 in both its layouts; two eyes have the first, so that they fit together.
const FORMATS: &[&str] = &["I420", "NV12"];

/// H.264 as it is sent: whole access units, parameter sets before every key frame.
const SENDABLE: &str = "video/x-h264,stream-format=byte-stream,alignment=au";

/// The parser of a camera's H.264.
const PARSER: &str = "h264";

/// A running source.
#[derive(Debug)]
pub(crate) struct Intake {
    pipeline: gst::Pipeline,
    shape: gst::Element,
    formats: &'static [&'static str],
    source: Source,
}

/// Where an intake's pictures go.
#[derive(Debug, Clone)]
pub(crate) enum Goes {
    ToTheHub,
    /// By way of what puts two eyes' pictures together.
    ToPair(Arc<Pair>, Eye),
}

impl Goes {
    fn put(&self, ends: &Ends, picture: RawPicture) -> Result<(), Closed> {
        match self {
            Self::ToTheHub => ends.hub.put(picture),
            Self::ToPair(pair, eye) => pair.put(*eye, picture),
        }
    }
}

impl Intake {
    /// Builds the pipeline, not yet started. The end goes to the hub, the pipeline's messages to the notes.
    pub(crate) fn build(
        source: &Source,
        settings: &Settings,
        ends: &Ends,
        goes: &Goes,
    ) -> Result<Self, VideoError> {
        let notes = &ends.notes;
        match source {
            Source::File { path, .. } => check_file(path)?,
            Source::Shm { socket, .. } => check_socket(socket, source)?,
            _ => {}
        }
        let pipeline = launch(&description(source))?;
        configure_head(&pipeline, source, notes)?;
        let shape = named(&pipeline, "shape")?;
        let formats = if matches!(goes, Goes::ToTheHub) { FORMATS } else { &FORMATS[..1] };
        shape.set_property("caps", shape_caps(formats, settings.size_max));
        let sink = app_sink(&pipeline, "raw")?;
        let waits_for_its_time = settings.paced && !source.is_live();
        sink.set_sync(waits_for_its_time);
        sink.set_callbacks(callbacks(source.clone(), ends, goes, &pipeline));
        if pipeline.by_name("unpack").is_some() {
            unpack(&pipeline, ends, matches!(goes, Goes::ToTheHub))?;
        }
        watch_decoder(&pipeline, source, notes)?;
        notes.listen_to_source(&pipeline)?;
        Ok(Self { pipeline, shape, formats, source: source.clone() })
    }

    pub(crate) fn start(&self) -> Result<(), VideoError> {
        if self.is_looped() {
            self.arm_loop()?;
        }
        // Whatever keeps it from starting comes as a message, which says more.
        let _ = self.pipeline.set_state(gst::State::Playing);
        Ok(())
    }

    pub(crate) fn stop(&self) {
        // Going to Null cannot be refused; what remains to be said has been said.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Pictures are made smaller from now on until they fit.
    pub(crate) fn set_size_max(&self, size_max: Option<(u32, u32)>) {
        self.shape.set_property("caps", shape_caps(self.formats, size_max));
    }

    fn is_looped(&self) -> bool {
        matches!(self.source, Source::File { looped: true, .. })
    }

    /// Before the first picture is let out, asks for a segment: its end, unlike the stream's, can be followed by another.
    fn arm_loop(&self) -> Result<(), VideoError> {
        let _ = self.pipeline.set_state(gst::State::Paused);
        match self.pipeline.state(PREROLL) {
            (Ok(_), gst::State::Paused, _) => self.seek(gst::SeekFlags::FLUSH | gst::SeekFlags::SEGMENT),
            // Not ready to play: the reason comes as a message.
            _ => Ok(()),
        }
    }

    /// Plays a looped recording from its beginning.
    pub(crate) fn play_again(&self) -> Result<(), VideoError> {
        self.seek(gst::SeekFlags::SEGMENT)
    }

    fn seek(&self, flags: gst::SeekFlags) -> Result<(), VideoError> {
        let not_loopable = |_| VideoError::NotLoopable { source_text: self.source.to_string() };
        self.pipeline.seek_simple(flags, gst::ClockTime::ZERO).map_err(not_loopable)
    }
}

/// Is there a file, and is it whole as far as its own outline says?
fn check_file(path: &Path) -> Result<(), VideoError> {
    let unreadable =
        |error: std::io::Error| VideoError::Unreadable { path: path.into(), why: error.to_string() };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(VideoError::NotAFile { path: path.into() });
    }
    let file_bytes = metadata.len();
    if file_bytes == 0 {
        return Err(VideoError::EmptyFile { path: path.into() });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    match mp4::wholeness(&mut file, file_bytes).map_err(unreadable)? {
        Wholeness::Whole | Wholeness::NotMp4 => Ok(()),
        Wholeness::NoIndex => Err(VideoError::NoIndex { path: path.into() }),
        Wholeness::Cut { stated_bytes } => {
            Err(VideoError::Truncated { path: path.into(), stated_bytes, file_bytes })
        }
    }
}

/// Is there a socket? GStreamer's own answer would say less.
fn check_socket(socket: &Path, source: &Source) -> Result<(), VideoError> {
    let unavailable = |why: String| VideoError::SourceUnavailable { source_text: source.to_string(), why };
    let metadata = std::fs::metadata(socket).map_err(|error| unavailable(error.to_string()))?;
    if metadata.file_type().is_socket() { Ok(()) } else { Err(unavailable("it is no socket".to_owned())) }
}

/// What is typed by people is not in the description: it is set as a property, so that no path is taken for a command.
fn description(source: &Source) -> String {
    let head = match source {
        Source::File { .. } => "filesrc name=head ! decodebin name=decoder !".to_owned(),
        Source::Shm { frame, .. } => {
            format!("shmsrc name=head is-live=true do-timestamp=true ! {} !", raw_caps(frame))
        }
        Source::Test { size } => format!(
            "videotestsrc is-live=true pattern=smpte horizontal-speed=4 ! video/x-raw,format=I420,width={},height={},framerate={}/1 !",
            size.width, size.height, size.fps
        ),
        Source::V4l2 { .. } => "v4l2src name=head ! decodebin name=decoder !".to_owned(),
        Source::Rtsp { .. } => format!("rtspsrc name=head latency=0 ! {UNPACK}"),
        Source::Srt { .. } => format!("srtsrc name=head ! {UNPACK}"),
        Source::Rtp { .. } => format!(
            "udpsrc name=head \
             caps=\"application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96\" ! \
             rtpjitterbuffer latency=0 ! rtph264depay ! {UNPACK}"
        ),
        Source::Pair { left: one, .. } | Source::Paired { both: one } => return description(one),
    };
    format!("{head} videoconvert name=convert ! videoscale ! capsfilter name=shape ! appsink name=raw")
}

/// All that a converter may ask for is fixed here: nothing upstream could answer.
fn raw_caps(frame: &RawFrame) -> String {
    let (size, format) = (frame.size, frame.format);
    format!(
        "video/x-raw,format={format},width={},height={},framerate={}/1,pixel-aspect-ratio=1/1,\
         interlace-mode=progressive,colorimetry=bt709",
        size.width, size.height, size.fps
    )
}

/// The pictures taken: 4:2:0 with even sides, square pixels, no larger than asked.
fn shape_caps(formats: &[&str], size_max: Option<(u32, u32)>) -> gst::Caps {
    let (width_max, height_max) = size_max.unwrap_or((4096, 4096));
    let even = |max: u32| gst::IntRange::with_step(16, (max & !1) as i32, 2);
    gst::Caps::builder("video/x-raw")
        .field("format", gst::List::new(formats))
        .field("width", even(width_max))
        .field("height", even(height_max))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build()
}

fn configure_head(pipeline: &gst::Pipeline, source: &Source, notes: &Notes) -> Result<(), VideoError> {
    let text = |path: &Path| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(VideoError::Unreadable { path: path.into(), why: "its name is not UTF-8".to_owned() }),
    };
    let (property, value) = match source {
        Source::Test { .. } => return Ok(()),
        Source::Pair { left: one, .. } | Source::Paired { both: one } => {
            return configure_head(pipeline, one, notes);
        }
        Source::Rtp { port } => {
            named(pipeline, "head")?.set_property("port", i32::from(*port));
            return Ok(());
        }
        Source::File { path, .. } => ("location", text(path)?),
        Source::Shm { socket, .. } => ("socket-path", text(socket)?),
        Source::V4l2 { device } => ("device", text(device)?),
        Source::Rtsp { uri } => ("location", uri.clone()),
        Source::Srt { uri } => ("uri", uri.clone()),
    };
    let head = named(pipeline, "head")?;
    head.set_property(property, value);
    if let Source::Shm { frame, .. } = source {
        drop_wrong_sizes(&head, source, frame.bytes(), notes)?;
    }
    Ok(())
}

/// Shared memory carries no caps: a frame of the wrong size would be read beyond its end or come out as noise.
fn drop_wrong_sizes(
    head: &gst::Element,
    source: &Source,
    expected_bytes: usize,
    notes: &Notes,
) -> Result<(), VideoError> {
    let pad = head.static_pad("src").ok_or_else(|| broken("the shared memory source has no pad"))?;
    let (notes, source_text) = (notes.clone(), source.to_string());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let seen_bytes = info.buffer().map_or(0, |buffer| buffer.size());
        if seen_bytes == expected_bytes {
            return gst::PadProbeReturn::Ok;
        }
        notes.source_failed(VideoError::FrameSize {
            source_text: source_text.clone(),
            seen_bytes,
            expected_bytes,
        });
        gst::PadProbeReturn::Drop
    });
    Ok(())
}

/// Links what [`UNPACK`] gives: H.264 by way of [`pass_by`], what was decoded already at once. Of several pictures the first counts.
fn unpack(pipeline: &gst::Pipeline, ends: &Ends, whole: bool) -> Result<(), VideoError> {
    let input = input(pipeline)?;
    let (ends, weak) = (ends.clone(), pipeline.downgrade());
    named(pipeline, "unpack")?.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade().filter(|pipeline| !has_picture(pipeline, &input)) else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let linked = match caps.structure(0).map(|structure| structure.name().as_str()) {
            Some("video/x-h264") => link_h264(&pipeline, pad, &input, &ends, whole),
            Some("video/x-raw") => pad.link(&input).map(|_| ()).map_err(|error| broken(&error.to_string())),
            _ => Ok(()),
        };
        if let Err(error) = linked {
            ends.notes.source_failed(error);
        }
    });
    Ok(())
}

fn input(pipeline: &gst::Pipeline) -> Result<gst::Pad, VideoError> {
    named(pipeline, "convert")?.static_pad("sink").ok_or_else(|| broken("the converter has no pad"))
}

fn has_picture(pipeline: &gst::Pipeline, input: &gst::Pad) -> bool {
    input.is_linked() || pipeline.by_name(PARSER).is_some()
}

/// From a camera's H.264 to raw pictures, past [`pass_by`] where it is a whole picture.
fn link_h264(
    pipeline: &gst::Pipeline,
    from: &gst::Pad,
    to: &gst::Pad,
    ends: &Ends,
    whole: bool,
) -> Result<(), VideoError> {
    let broke = |error: gst::glib::BoolError| broken(&error.to_string());
    let make = |element: &str| {
        let missing =
            |_| VideoError::MissingElement { package: debian_package(element), element: element.to_owned() };
        gst::ElementFactory::make(element).build().map_err(missing)
    };
    let parser = gst::ElementFactory::make("h264parse").name(PARSER).property("config-interval", -1);
    let parser = parser.build().map_err(broke)?;
    let (shape, decoder) = (make("capsfilter")?, make("decodebin")?);
    shape.set_property_from_str("caps", SENDABLE);
    let chain = [&parser, &shape, &decoder];
    pipeline.add_many(chain).map_err(broke)?;
    gst::Element::link_many(chain).map_err(broke)?;
    let (to, notes) = (to.clone(), ends.notes.clone());
    decoder.connect_pad_added(move |_, pad| {
        if let Err(error) = pad.link(&to) {
            notes.source_failed(broken(&error.to_string()));
        }
    });
    let (ends, weak) = (ends.clone(), pipeline.downgrade());
    let coded = shape.static_pad("src").ok_or_else(|| broken("the filter has no pad"))?;
    coded.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let (Some(buffer), Some(pipeline), true) = (info.buffer(), weak.upgrade(), whole) {
            pass_by(&ends, pad, buffer, &pipeline);
        }
        gst::PadProbeReturn::Ok
    });
    for element in chain.into_iter().rev() {
        element.sync_state_with_parent().map_err(broke)?;
    }
    let sink = parser.static_pad("sink").ok_or_else(|| broken("the parser has no pad"))?;
    from.link(&sink).map(|_| ()).map_err(|error| broken(&error.to_string()))
}

/// Sends a picture as the camera encoded it, if that is what is to be done with it. It is decoded in either case.
fn pass_by(ends: &Ends, pad: &gst::Pad, buffer: &gst::Buffer, pipeline: &gst::Pipeline) {
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let running = segment
        .and_then(|event| event.segment().downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()?));
    let sent =
        running.zip(buffer.clone().into_mapped_buffer_readable().ok()).is_some_and(|(running, stream)| {
            let (came, capture) = taken(running, pipeline.current_running_time());
            let after_loss =
                buffer.flags().intersects(gst::BufferFlags::DISCONT | gst::BufferFlags::CORRUPTED);
            let coded = Coded { stream: &stream, came, after_loss };
            let time = ends.hub.coded(coded, (capture, running.into()), ends.port.has_room());
            time.is_none_or(|time| ends.send(Bytes::from_owner(stream), time).is_ok())
        });
    if !sent {
        // What follows may refer to it.
        ends.hub.ask_key();
    }
}

/// A file that holds sound alone links nothing: say so instead of waiting for a picture.
fn watch_decoder(pipeline: &gst::Pipeline, source: &Source, notes: &Notes) -> Result<(), VideoError> {
    let Some(decoder) = pipeline.by_name("decoder").or_else(|| pipeline.by_name("unpack")) else {
        return Ok(());
    };
    let input = input(pipeline)?;
    let (notes, source_text, weak) = (notes.clone(), source.to_string(), pipeline.downgrade());
    decoder.connect_no_more_pads(move |_| {
        if weak.upgrade().is_some_and(|pipeline| !has_picture(&pipeline, &input)) {
            let why = "it holds no picture track".to_owned();
            notes.source_failed(VideoError::NotAVideo { source_text: source_text.clone(), why });
        }
    });
    Ok(())
}

fn callbacks(
    source: Source,
    ends: &Ends,
    goes: &Goes,
    pipeline: &gst::Pipeline,
) -> gst_app::AppSinkCallbacks {
    let (goes, ends, end_hub) = (goes.clone(), ends.clone(), ends.hub.clone());
    // Weak: the pipeline owns the sink that owns these callbacks.
    let (sample_pipeline, end_pipeline) = (pipeline.downgrade(), pipeline.downgrade());
    let is_live = source.is_live();
    let played = Arc::new(std::sync::Mutex::new(gst::ClockTime::ZERO));
    let played_at_end = played.clone();
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            *crate::lock(&played) = stream_end(&sample);
            let clock = sample_pipeline.upgrade().filter(|_| is_live).and_then(|p| p.current_running_time());
            goes.put(&ends, picture(sample, clock)).map_err(|_| gst::FlowError::Flushing)?;
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| {
            let stated = end_pipeline.upgrade().and_then(|p| p.query_duration::<gst::ClockTime>());
            end_hub.end(ending(&source, *crate::lock(&played_at_end), stated));
        })
        .build()
}

/// How far into the recording this picture lasts.
fn stream_end(sample: &gst::Sample) -> gst::ClockTime {
    let buffer = sample.buffer();
    let stream_time = buffer
        .and_then(|buffer| buffer.pts())
        .and_then(|pts| sample.segment()?.downcast_ref::<gst::ClockTime>()?.to_stream_time(pts));
    let duration = buffer.and_then(|buffer| buffer.duration());
    stream_time.unwrap_or_default().saturating_add(duration.unwrap_or_default())
}

/// The picture with its times. `clock` is the pipeline's running time now, for sources whose frames carry the time at
/// which they were taken; a recording's frame is taken now, when its turn has come.
fn picture(sample: gst::Sample, clock: Option<gst::ClockTime>) -> RawPicture {
    let running = running_time(&sample).unwrap_or_default();
    let (_, capture) = taken(running, clock);
    RawPicture { sample, capture, running: running.into() }
}

/// Now, and when a frame of this running time was taken.
fn taken(running: gst::ClockTime, clock: Option<gst::ClockTime>) -> (Instant, Instant) {
    let now = Instant::now();
    let age =
        clock.map(|clock| clock.saturating_sub(running)).filter(|&age| age <= AGE_MAX).unwrap_or_default();
    (now, now.checked_sub(Duration::from(age)).unwrap_or(now))
}

pub(crate) fn running_time(sample: &gst::Sample) -> Option<gst::ClockTime> {
    let pts = sample.buffer()?.pts()?;
    sample.segment()?.downcast_ref::<gst::ClockTime>()?.to_running_time(pts)
}

/// A recording that ends before its own stated length was cut off.
fn ending(source: &Source, played: gst::ClockTime, stated: Option<gst::ClockTime>) -> Event {
    let (played_ms, stated_ms) = (played.mseconds(), stated.unwrap_or_default().mseconds());
    if source.is_live() {
        let why = "it ended its stream".to_owned();
        return Event::Stopped(VideoError::SourceStopped { source_text: source.to_string(), why });
    }
    if played_ms + CUT_MS_MAX < stated_ms {
        return Event::Stopped(VideoError::CutShort {
            source_text: source.to_string(),
            played_ms,
            stated_ms,
        });
    }
    Event::EndOfStream
}

/// Builds a pipeline; what is missing is named with its package.
pub(crate) fn launch(description: &str) -> Result<gst::Pipeline, VideoError> {
    let mut context = gst::ParseContext::new();
    let built = gst::parse::launch_full(description, Some(&mut context), gst::ParseFlags::FATAL_ERRORS);
    let element = built.map_err(|error| match context.missing_elements().into_iter().next() {
        Some(element) => VideoError::MissingElement { package: debian_package(&element), element },
        None => broken(&error.to_string()),
    })?;
    element.downcast().map_err(|_| broken("the description makes no pipeline"))
}

pub(crate) fn named(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element, VideoError> {
    pipeline.by_name(name).ok_or_else(|| broken(&format!("there is no element {name}")))
}

/// A sink that keeps one buffer and no copy of the last.
pub(crate) fn app_sink(pipeline: &gst::Pipeline, name: &str) -> Result<gst_app::AppSink, VideoError> {
    let sink: gst_app::AppSink =
        named(pipeline, name)?.downcast().map_err(|_| broken(&format!("{name} is no appsink")))?;
    sink.set_max_buffers(1);
    sink.set_drop(false);
    sink.set_enable_last_sample(false);
    sink.set_sync(false);
    Ok(sink)
}

pub(crate) fn broken(why: &str) -> VideoError {
    VideoError::Pipeline { why: why.to_owned() }
}
