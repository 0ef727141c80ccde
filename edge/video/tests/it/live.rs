//! Live sources: what is slow, silent, or gone.

use crate::tools::{PATIENCE, Sender, assert_sendable, decode, event, next_unit, start, units, wait_until};
use farhand_video::stamp::read_stamp;
use farhand_video::{Capture, Event, RecvError, Settings, Source, VideoError};
use gstreamer as gst;
use gstreamer::prelude::*;
use std::path::Path;
use std::time::Instant;

fn camera(socket: &Path, width: u32) -> Sender {
    let sender = Sender::start(&format!(
        "videotestsrc is-live=true name=eye ! video/x-raw,format=NV12,width={width},height=360,framerate=30/1 ! \
         shmsink socket-path={} wait-for-connection=false sync=false shm-size=20000000",
        socket.display()
    ));
    wait_until("the camera's socket", || socket.exists());
    sender
}

fn shm(socket: &Path) -> Source {
    format!("shm:{}?width=640&height=360&fps=30", socket.display()).parse().unwrap()
}

/// Goal: raw frames by shared memory, as the simulator's scene sends them, arrive; when the sender dies, that is said.
#[test]
fn a_camera_by_shared_memory_is_seen_and_its_death_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scene");
    let sender = camera(&socket, 640);
    let (_capture, mut outputs) = start(&shm(&socket), &Settings { stamp: true, ..Settings::default() });
    let seen = units(&mut outputs, 10);
    assert_sendable(&seen, 1);
    let pictures = decode(&seen);
    let read =
        pictures.iter().map(|picture| read_stamp(&picture.luma, picture.stride, picture.width).unwrap());
    assert_eq!(read.collect::<Vec<u64>>(), seen.iter().map(|unit| unit.capture_us).collect::<Vec<u64>>());
    drop(sender);
    let end = event(&mut outputs, |event| matches!(event, Event::Stopped(_)));
    assert!(matches!(end, Event::Stopped(VideoError::SourceStopped { .. })), "{end:?}");
    assert_eq!(outputs.recv_timeout(PATIENCE), Err(RecvError::Ended));
}

/// Goal: frames of another size than agreed are not read as if they were of that size.
#[test]
fn frames_of_another_size_than_agreed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scene");
    let _sender = camera(&socket, 320);
    let error = Capture::start(&shm(&socket), &Settings::default()).map(|_| ()).unwrap_err();
    let expected_bytes = 640 * 360 * 3 / 2;
    let seen_bytes = expected_bytes / 2;
    assert_eq!(
        error,
        VideoError::FrameSize { source_text: shm(&socket).to_string(), seen_bytes, expected_bytes }
    );
}

/// Goal: a capture that follows another goes on where it ended: numbers and RTP timestamps rise across both.
#[test]
fn a_second_capture_goes_on_where_the_first_ended() {
    let epoch = Instant::now();
    let source = "test?width=320&height=240&fps=60".parse().unwrap();
    let (first, mut outputs) = start(&source, &Settings { epoch, ..Settings::default() });
    let mut all = units(&mut outputs, 5);
    first.stop();
    let (_second, mut outputs) =
        start(&source, &Settings { epoch, first_frame_id: 6, ..Settings::default() });
    all.extend(units(&mut outputs, 5));
    assert_sendable(&all, 1);
}

/// Goal: a camera that falls silent and comes back is told as that, once each.
#[test]
fn a_silence_and_its_end_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scene");
    let sender = camera(&socket, 640);
    let (_capture, mut outputs) = start(&shm(&socket), &Settings { stall_ms: 300, ..Settings::default() });
    next_unit(&mut outputs);
    sender.pipeline.set_state(gst::State::Paused).unwrap();
    let stalled = event(&mut outputs, |event| matches!(event, Event::Stalled { .. }));
    assert!(matches!(stalled, Event::Stalled { ms } if ms >= 300), "{stalled:?}");
    sender.pipeline.set_state(gst::State::Playing).unwrap();
    event(&mut outputs, |event| *event == Event::Resumed);
    next_unit(&mut outputs);
}

/// Goal: a consumer that is slow gets the newest picture when it is back, without a gap in the numbers; what it
/// missed was given up before the encoder and is counted.
#[test]
fn a_slow_consumer_gets_the_newest_picture() {
    let source = "test?width=320&height=240&fps=60".parse().unwrap();
    let (capture, mut outputs) = start(&source, &Settings { outputs_waiting_max: 1, ..Settings::default() });
    // One frame waits in the channel and one is on its way there; the next is chosen only when one was taken.
    wait_until("the channel is full", || capture.counters().encoded == 2);
    let dropped = capture.counters().dropped;
    wait_until("frames are given up", || capture.counters().dropped >= dropped + 20);
    let old = units(&mut outputs, 2);
    let fresh = next_unit(&mut outputs);
    assert_eq!(fresh.frame_id, old[1].frame_id + 1);
    let missed = (fresh.capture - old[1].capture).as_millis() * 60 / 1000;
    assert!(missed >= 19, "{missed} frames lie between");
    let counters = capture.counters();
    assert!(counters.captured <= counters.dropped + counters.encoded + 2, "{counters:?}");
}

/// Goal: stopping waits for nobody, also with a consumer that takes nothing.
#[test]
fn stopping_waits_for_no_consumer() {
    let source = "test?width=320&height=240&fps=60".parse().unwrap();
    for every_frame in [false, true] {
        let settings = Settings { outputs_waiting_max: 1, every_frame, ..Settings::default() };
        let (capture, mut outputs) = start(&source, &settings);
        wait_until("the channel is full", || capture.counters().encoded >= 2);
        capture.stop();
        while outputs.recv_timeout(PATIENCE).is_ok() {}
        assert_eq!(outputs.recv_timeout(PATIENCE), Err(RecvError::Ended));
    }
}

/// Goal: a consumer that goes away ends the work, and the capture can still be dropped.
#[test]
fn a_consumer_that_goes_away_ends_the_work() {
    let source = "test?width=320&height=240&fps=60".parse().unwrap();
    let (capture, outputs) = start(&source, &Settings::default());
    drop(outputs);
    wait_until("the first frame finds nobody", || capture.counters().encoded >= 1);
    let encoded = capture.counters().encoded;
    drop(capture);
    assert!(encoded <= 2, "{encoded}");
}
