//! Cameras on a network, and of this machine: each as GStreamer itself would be one.

use std::net::UdpSocket;

use crate::tools::{PATIENCE, Sender, assert_sendable, decode, event, start, units, wait_until};
use farhand_video::{Capture, Event, Output, Settings, Source, VideoError};
use gstreamer::glib;
use gstreamer_rtsp_server as rtsp;
use gstreamer_rtsp_server::prelude::*;

const CAMERA: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! \
                      x264enc tune=zerolatency key-int-max=10";

fn patient() -> Settings {
    Settings { start_ms_max: 20_000, ..Settings::default() }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn over_rtp(port: u16, width: u32) -> Sender {
    Sender::start(&format!(
        "videotestsrc is-live=true ! video/x-raw,width={width},height=240,framerate=30/1 ! \
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
