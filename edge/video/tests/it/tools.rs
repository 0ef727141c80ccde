//! Recordings, senders and a decoder to test with. Every wait here is bounded.

use farhand_video::annexb::{NalType, NalUnits, nal_type};
use farhand_video::{AccessUnit, Capture, Event, Output, Outputs, Settings, Source};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Frames in a recording made by [`clip`]: 640x360, 25 a second.
pub(crate) const CLIP_FRAMES: u64 = 60;

/// Runs a pipeline to its end.
pub(crate) fn run(description: &str) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let patience = gst::ClockTime::from_seconds(PATIENCE.as_secs());
    let message = pipeline.bus().unwrap().timed_pop_filtered(patience, &wanted).expect("the pipeline hangs");
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{description}: {message:?}");
}

/// A recording with B-frames and rare key frames, as cameras make them and as it cannot be sent.
pub(crate) fn clip(folder: &Path, mux: &str) -> PathBuf {
    let path = folder.join(format!("clip.{mux}"));
    run(&format!(
        "videotestsrc num-buffers={CLIP_FRAMES} pattern=smpte horizontal-speed=3 ! \
         video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! \
         x264enc bframes=3 key-int-max=250 speed-preset=veryfast ! video/x-h264,profile=high ! {mux}mux ! filesink location={}",
        path.display()
    ));
    path
}

/// The real recording, if it is at hand.
pub(crate) fn laparoscopy() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("FARHAND_DATA_SAMPLES").map_or(beside, PathBuf::from);
    Some(folder.join("endoscopy/laparoscopy_720p25_10s.mp4")).filter(|path| path.exists())
}

pub(crate) fn file(path: &Path) -> Source {
    Source::File { path: path.into(), looped: false }
}

/// Every frame, as fast as it goes.
pub(crate) fn offline() -> Settings {
    Settings { every_frame: true, paced: false, ..Settings::default() }
}

pub(crate) fn start(source: &Source, settings: &Settings) -> (Capture, Outputs) {
    let (capture, mut outputs) = Capture::start(source, settings).unwrap();
    let first = outputs.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(first, Output::Event(Event::Started { .. })), "{first:?}");
    (capture, outputs)
}

/// The next frame, whatever events come before it.
pub(crate) fn next_unit(outputs: &mut Outputs) -> AccessUnit {
    loop {
        match outputs.recv_timeout(PATIENCE).unwrap() {
            Output::Unit(unit) => return unit,
            Output::Event(Event::Stalled { .. } | Event::Resumed) => {}
            Output::Event(event) => panic!("{event:?}"),
        }
    }
}

pub(crate) fn units(outputs: &mut Outputs, count: usize) -> Vec<AccessUnit> {
    (0..count).map(|_| next_unit(outputs)).collect()
}

/// Events until one is as wanted; frames are passed over.
pub(crate) fn event(outputs: &mut Outputs, wanted: impl Fn(&Event) -> bool) -> Event {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match outputs.recv_timeout(PATIENCE).unwrap() {
            Output::Event(event) if wanted(&event) => return event,
            _ => {}
        }
    }
    panic!("the event did not come");
}

/// All frames, and the event that ended them.
pub(crate) fn play(source: &Source, settings: &Settings) -> (Vec<AccessUnit>, Event) {
    let (_capture, mut outputs) = start(source, settings);
    let mut units = Vec::new();
    loop {
        match outputs.recv_timeout(PATIENCE).unwrap() {
            Output::Unit(unit) => units.push(unit),
            Output::Event(event @ (Event::EndOfStream | Event::Stopped(_))) => return (units, event),
            Output::Event(_) => {}
        }
    }
}

/// A decoded picture.
pub(crate) struct Picture {
    pub(crate) luma: Vec<u8>,
    pub(crate) stride: usize,
    pub(crate) width: usize,
}

/// What a decoder that shares nothing with the encoder makes of the frames.
pub(crate) fn decode(units: &[AccessUnit]) -> Vec<Picture> {
    let pipeline = gst::parse::launch(
        "appsrc name=in format=time caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse ! \
         avdec_h264 ! videoconvert ! video/x-raw,format=I420 ! appsink name=out sync=false",
    )
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for unit in units {
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_useconds(unit.pts_90khz as u64 * 100 / 9));
        input.push_buffer(buffer).unwrap();
    }
    input.end_of_stream().unwrap();
    let pictures = std::iter::from_fn(|| output.pull_sample().ok()).map(|sample| picture(&sample)).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    pictures
}

fn picture(sample: &gst::Sample) -> Picture {
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info).unwrap();
    let luma = frame.plane_data(0).unwrap().to_vec();
    Picture { luma, stride: frame.plane_stride()[0] as usize, width: info.width() as usize }
}

/// What must hold of any run of frames that were encoded here, from any source and by any encoder.
pub(crate) fn assert_sendable(units: &[AccessUnit], first_id: u64) {
    assert_one_stream(units, first_id);
    units
        .iter()
        .flat_map(|unit| NalUnits::new(&unit.data))
        .filter(|nal| nal_type(nal) == NalType::SPS)
        .for_each(
            // profile_idc 66 with constraint_set1_flag is constrained baseline (A.2.1.1): it has no B slices either.
            |sps| assert!(sps[1] == 66 && sps[2] & 0x40 != 0, "profile {:x} {:x}", sps[1], sps[2]),
        );
}

/// What must hold of any run of frames, also of those that go on as a camera encoded them.
pub(crate) fn assert_one_stream(units: &[AccessUnit], first_id: u64) {
    let ids: Vec<u64> = units.iter().map(|unit| unit.frame_id).collect();
    assert_eq!(ids, (first_id..first_id + units.len() as u64).collect::<Vec<u64>>(), "numbers have no gaps");
    assert!(units.is_sorted_by(|a, b| a.pts_90khz < b.pts_90khz), "RTP timestamps rise");
    assert!(units.is_sorted_by(|a, b| a.capture <= b.capture), "capture instants do not fall");
    assert!(units[0].key_frame);
    units.iter().for_each(assert_unit);
}

fn assert_unit(unit: &AccessUnit) {
    let kinds: Vec<u8> = NalUnits::new(&unit.data).map(|nal| nal_type(nal).0).collect();
    assert!(!kinds.contains(&9) && !kinds.contains(&12), "{kinds:?}");
    assert_eq!(unit.key_frame, kinds.contains(&5), "{kinds:?}");
    assert!(!unit.key_frame || (kinds.contains(&7) && kinds.contains(&8)), "{kinds:?}");
    let slices = NalUnits::new(&unit.data).filter(|nal| matches!(nal_type(nal).0, 1 | 5));
    slices.for_each(|slice| assert_ne!(slice_type(slice) % 5, 1, "a B slice"));
}

/// `slice_type` of a slice header (7.3.3): its second Exp-Golomb number.
fn slice_type(nal: &[u8]) -> u32 {
    let mut bits = nal[1..].iter().take(16).flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut exp_golomb = || {
        let zeros = bits.by_ref().take_while(|&bit| bit == 0).count();
        bits.by_ref().take(zeros).fold(1u32, |value, bit| value << 1 | u32::from(bit)) - 1
    };
    exp_golomb();
    exp_golomb()
}

/// A pipeline that is stopped when the test is over.
pub(crate) struct Sender {
    pub(crate) pipeline: gst::Pipeline,
}

impl Sender {
    pub(crate) fn start(description: &str) -> Self {
        gst::init().unwrap();
        let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Looks until it is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
