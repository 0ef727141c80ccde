//! Cameras on a network, and of this machine: each as GStreamer itself would be one.

use std::net::UdpSocket;

use crate::tools::{
    PATIENCE, Sender, assert_one_stream, assert_sendable, decode, event, next_unit, start, units, wait_until,
};
use farhand_video::annexb::{NalType, NalUnits, nal_type};
use farhand_video::{
    AccessUnit, BITRATE_KBIT_S, Capture, Event, Output, Outputs, Settings, Source, Tap, VideoError,
};
use gstreamer::glib;
use gstreamer_rtsp_server as rtsp;
use gstreamer_rtsp_server::prelude::*;

const CAMERA: &str = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
                      x264enc tune=zerolatency key-int-max=10";

fn patient() -> Settings {
    Settings { start_ms_max: 20_000, ..Settings::default() }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn over_rtp(port: u16, width: u32) -> Sender {
    Sender::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width={width},height=240,framerate=30/1 ! \
         x264enc tune=zerolatency key-int-max=10 ! rtph264pay pt=96 config-interval=-1 ! udpsink host=127.0.0.1 port={port}"
    ))
}

/// Goal: H.264 over RTP from another sender is taken in.
#[test]
fn h264_over_rtp_is_taken_in() {
    let port = free_port();
    let _sender = over_rtp(port, 320);
    let (_capture, mut outputs) = start(&Source::Rtp { port }, &patient());
    let seen = units(&mut outputs, 10);
    assert_sendable(&seen, 1);
    assert_eq!(decode(&seen).len(), 10);
}

/// Of the parameter sets that a key frame brings: 100 is high, 66 the encoder's own.
fn profile(unit: &AccessUnit) -> Option<u8> {
    NalUnits::new(&unit.data).find(|nal| nal_type(nal) == NalType::SPS).map(|sps| sps[1])
}

/// Units until one is a key frame of this profile.
fn until_key_of(wanted: u8, outputs: &mut Outputs) -> Vec<AccessUnit> {
    let mut seen = Vec::new();
    while seen.last().and_then(profile) != Some(wanted) {
        seen.push(next_unit(outputs));
        assert!(seen.len() < 200, "no key frame of profile {wanted}");
    }
    seen
}

/// Goal: a camera's own pictures are sent as they come, without a second encoding. Whatever needs an encoder gets one from the next
/// picture on, a key frame first: one that is asked for, a line that carries less, a smaller picture. A receiver sees one stream.
#[test]
fn a_cameras_own_pictures_are_sent_as_they_come() {
    const HIGH: u8 = 100;
    const OWN: u8 = 66;
    let port = free_port();
    let _sender = over_rtp(port, 320);
    let tap = Tap::default();
    let settings = Settings { tap: Some(tap.clone()), ..patient() };
    let (capture, mut outputs) = start(&Source::Rtp { port }, &settings);
    let mut all = until_key_of(HIGH, &mut outputs);
    let look = std::thread::spawn(move || tap.next(PATIENCE).unwrap());
    all.extend(units(&mut outputs, 15));
    assert!(capture.counters().passed >= 15);

    capture.force_key_unit();
    let asked = until_key_of(OWN, &mut outputs);
    assert!(asked.len() <= 4, "a key frame after {} pictures", asked.len());
    all.extend(asked);
    all.extend(until_key_of(HIGH, &mut outputs));

    capture.set_bitrate_kbit_s(*BITRATE_KBIT_S.start());
    all.extend(until_key_of(OWN, &mut outputs));
    let encoded = units(&mut outputs, 15);
    assert!(encoded.iter().all(|unit| profile(unit) != Some(HIGH)));
    all.extend(encoded);
    capture.set_bitrate_kbit_s(4000);
    all.extend(until_key_of(HIGH, &mut outputs));

    capture.set_size_max(Some((160, 120)));
    let smaller = all.len();
    all.extend(until_key_of(OWN, &mut outputs));
    all.extend(units(&mut outputs, 5));

    assert_one_stream(&all, 1);
    let pictures = decode(&all);
    assert_eq!(pictures.len(), all.len());
    assert!(pictures[..smaller].iter().all(|picture| picture.width == 320));
    assert_eq!(pictures.last().unwrap().width, 160);
    let seen = look.join().unwrap();
    assert!(
        all.iter().any(|unit| (unit.pts_90khz, unit.capture_us) == (seen.rtp_timestamp, seen.capture_us))
    );
}

fn eye_over_rtp(port: u16, pattern: &str, height: u32) -> Sender {
    Sender::start(&format!(
        "videotestsrc is-live=true pattern={pattern} ! video/x-raw,format=I420,width=320,height={height},framerate=30/1 ! \
         x264enc tune=zerolatency key-int-max=10 ! rtph264pay pt=96 config-interval=-1 ! udpsink host=127.0.0.1 port={port}"
    ))
}

/// Goal: what two cameras see at one moment is one picture, the left eye's in its left half, also when it is made smaller; whoever looks
/// at it beside its way may have the left eye's alone.
#[test]
fn two_cameras_make_one_picture() {
    let [left, right] = [free_port(), free_port()];
    let _senders = [eye_over_rtp(left, "white", 240), eye_over_rtp(right, "black", 240)];
    let tap = Tap::default();
    let settings = Settings { tap: Some(tap.clone()), ..patient() };
    let (capture, mut outputs) = start(&format!("stereo:rtp:{left}|rtp:{right}").parse().unwrap(), &settings);
    let look = std::thread::spawn(move || tap.next(PATIENCE).unwrap());
    let mut all = units(&mut outputs, 20);
    capture.set_size_max(Some((320, 120)));
    all.extend(units(&mut outputs, 20));
    assert_sendable(&all, 1);
    assert_eq!(capture.counters().passed, 0);
    let pictures = decode(&all);
    assert_eq!((pictures[0].width, pictures.last().unwrap().width), (640, 320));
    for picture in [&pictures[0], pictures.last().unwrap()] {
        let row = &picture.luma[..picture.width];
        let (left, right) = row.split_at(picture.width / 2);
        assert!(left[..left.len() - 8].iter().all(|value| *value > 200), "{left:?}");
        assert!(right[8..].iter().all(|value| *value < 40), "{right:?}");
    }
    let mut nv12 = Vec::new();
    assert_eq!(look.join().unwrap().into_nv12(true, &mut nv12).unwrap(), (320, 240));
    assert!(nv12.len() == 320 * 240 * 3 / 2 && nv12[..320 * 240 - 8].iter().all(|value| *value > 200));
}

/// Goal: two cameras that are not of a kind are named as that.
#[test]
fn two_cameras_of_other_sizes_are_named() {
    let [left, right] = [free_port(), free_port()];
    let _senders = [eye_over_rtp(left, "white", 240), eye_over_rtp(right, "black", 200)];
    let source: Source = format!("stereo:rtp:{left}|rtp:{right}").parse().unwrap();
    let error = Capture::start(&source, &patient()).map(|_| ()).unwrap_err();
    assert_eq!(error, VideoError::EyesDiffer { left: "320 x 240".into(), right: "320 x 200".into() });
}

/// Goal: a camera that brings both eyes side by side is one like any other.
#[test]
fn a_camera_with_both_eyes_goes_on_as_it_came() {
    let port = free_port();
    let _sender = over_rtp(port, 640);
    let (_capture, mut outputs) = start(&format!("stereo:rtp:{port}").parse().unwrap(), &patient());
    assert_one_stream(&until_key_of(100, &mut outputs), 1);
}

/// Goal: what a receiver would have to put in order is encoded again.
#[test]
fn pictures_out_of_order_are_encoded_again() {
    let port = free_port();
    let _sender = Sender::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! x264enc bframes=2 key-int-max=10 ! \
         rtph264pay pt=96 config-interval=-1 ! udpsink host=127.0.0.1 port={port}"
    ));
    let (capture, mut outputs) = start(&Source::Rtp { port }, &patient());
    assert_sendable(&units(&mut outputs, 75), 1);
    assert_eq!(capture.counters().passed, 0);
}

/// Goal: a camera that stops and is there again, with pictures of another size, is followed: its silence is told, and its end, and a
/// receiver can begin with the first picture of the other size.
#[test]
fn a_camera_that_restarts_with_another_size_is_followed() {
    let port = free_port();
    let sender = over_rtp(port, 320);
    let (_capture, mut outputs) = start(&Source::Rtp { port }, &patient());
    let mut all = units(&mut outputs, 5);
    drop(sender);
    event(&mut outputs, |event| matches!(event, Event::Stalled { .. }));
    let _other = over_rtp(port, 480);
    let mut resumed = false;
    while !resumed || all.len() < 35 {
        match outputs.recv_timeout(PATIENCE).unwrap() {
            Output::Unit(unit) => all.push(unit),
            Output::Event(event) => resumed |= event == Event::Resumed,
        }
    }
    let widths: Vec<usize> = decode(&all).iter().map(|picture| picture.width).collect();
    assert_eq!(widths.len(), all.len());
    let other = widths.iter().position(|&width| width == 480).expect("pictures of the other size");
    assert!(all[other].key_frame && widths[other..].iter().all(|&width| width == 480), "{widths:?}");
}

/// Goal: a transport stream over SRT is taken in.
#[test]
fn a_transport_stream_over_srt_is_taken_in() {
    let port = free_port();
    let _sender = Sender::start(&format!(
        "{CAMERA} ! mpegtsmux ! srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false"
    ));
    let source = format!("srt://127.0.0.1:{port}?mode=caller").parse().unwrap();
    let (_capture, mut outputs) = start(&source, &patient());
    let seen = units(&mut outputs, 10);
    assert_sendable(&seen, 1);
}

/// An RTSP camera, served on a thread of its own until it is dropped.
struct RtspCamera {
    uri: String,
    main_loop: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RtspCamera {
    fn start() -> Self {
        gstreamer::init().unwrap();
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let (told, port) = std::sync::mpsc::channel();
        let runs = main_loop.clone();
        let serve = move || {
            let factory = rtsp::RTSPMediaFactory::new();
            factory.set_launch(&format!("( {CAMERA} ! rtph264pay name=pay0 pt=96 )"));
            factory.set_shared(true);
            let server = rtsp::RTSPServer::new();
            server.set_address("127.0.0.1");
            server.set_service("0");
            server.mount_points().unwrap().add_factory("/eye", factory);
            let _source = server.attach(Some(&context)).unwrap();
            told.send(server.bound_port()).unwrap();
            runs.run();
            // Who is served would keep the stream alive.
            server.client_filter(Some(&mut |_, _| rtsp::RTSPFilterResult::Remove));
        };
        let thread = Some(std::thread::spawn(serve));
        let uri = format!("rtsp://127.0.0.1:{}/eye", port.recv().unwrap());
        Self { uri, main_loop, thread }
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        wait_until("the camera runs", || self.main_loop.is_running());
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Goal: a camera that speaks RTSP is taken in, its end is told, and one that is there again is taken in again.
#[test]
fn an_rtsp_camera_is_taken_in_and_its_end_told() {
    let camera = RtspCamera::start();
    let source: Source = camera.uri.parse().unwrap();
    let (capture, mut outputs) = start(&source, &patient());
    let seen = units(&mut outputs, 10);
    assert_sendable(&seen, 1);
    assert_eq!(decode(&seen).len(), 10);
    drop(camera);
    event(&mut outputs, |event| matches!(event, Event::Stopped(_) | Event::Stalled { .. }));
    drop(capture);
    let again = RtspCamera::start();
    let next = Settings { first_frame_id: 100, ..patient() };
    let (_capture, mut outputs) = start(&again.uri.parse().unwrap(), &next);
    assert_sendable(&units(&mut outputs, 5), 100);
}

/// Goal: where no camera listens, that is said, with where it was looked for.
#[test]
fn an_rtsp_camera_that_is_not_there_is_named() {
    let source: Source = "rtsp://127.0.0.1:1/eye".parse().unwrap();
    let error = Capture::start(&source, &Settings::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, VideoError::SourceUnavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("rtsp://127.0.0.1:1/eye"), "{error}");
}

/// Goal: a camera of this machine is taken in. GStreamer is one by the kernel's module `v4l2loopback`, whose device
/// `FARHAND_V4L2LOOPBACK` names; without it this is skipped.
#[test]
fn a_camera_of_this_machine_is_taken_in() {
    let Ok(device) = std::env::var("FARHAND_V4L2LOOPBACK") else {
        eprintln!("skipped: FARHAND_V4L2LOOPBACK names no device of v4l2loopback");
        return;
    };
    let _sender = Sender::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=YUY2,width=320,height=240,framerate=30/1 ! v4l2sink device={device}"
    ));
    let (_capture, mut outputs) = start(&Source::V4l2 { device: device.into() }, &patient());
    assert_sendable(&units(&mut outputs, 10), 1);
}
