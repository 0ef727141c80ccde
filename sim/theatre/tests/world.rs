//! The world as the other parts meet it: a process that is started, looked at, led, killed and started again.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests: what cannot be set up has failed")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use farhand_motion::ArmModel;
use farhand_scene::{Scene, SceneError, SceneSettings};
use farhand_video::{AccessUnit, Capture, Event, Output, Outputs, Settings, Source};
use farhand_wire::{Action, ArmSetpoint, ArmState, MacKey};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
const KEY: [u8; 32] = [7; 32];

/// A folder with a world's configuration, the kit's end of the cable, and the running world.
struct Rehearsal {
    folder: tempfile::TempDir,
    kit: UdpSocket,
    arm: std::net::SocketAddr,
    number: u64,
    world: Option<Child>,
}

impl Rehearsal {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kit = UdpSocket::bind("127.0.0.1:0").unwrap();
        kit.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let arm = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(folder.path().join("cable.key"), hex::encode(KEY)).unwrap();
        let text = format!(
            "seed = 3\ntruth = \"truth.json\"\n[[arms]]\nlisten = \"{arm}\"\nkit = \"{}\"\ncable_key = \"cable.key\"\n\
             [camera]\nsocket = \"eye\"\nwidth = {WIDTH}\nheight = {HEIGHT}\nfps = 20\n\
             [aircraft]\nremote = \"127.0.0.1:9\"\n",
            kit.local_addr().unwrap()
        );
        std::fs::write(folder.path().join("world.toml"), text).unwrap();
        Self { folder, kit, arm, number: 0, world: None }
    }

    /// Starts the world and waits for its picture's socket to be taken over.
    fn start(&mut self) {
        let world = Command::new(env!("CARGO_BIN_EXE_farhand"))
            .args(["world", "--config"])
            .arg(self.folder.path().join("world.toml"))
            .env("LP_NUM_THREADS", "1")
            .spawn()
            .unwrap();
        let pid = world.id();
        self.world = Some(world);
        wait_until("the world's socket", || memory_of(pid).len() == 1 && self.socket().exists());
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("eye")
    }

    fn pid(&self) -> u32 {
        self.world.as_ref().unwrap().id()
    }

    fn kill(&mut self) {
        let mut world = self.world.take().unwrap();
        world.kill().unwrap();
        world.wait().unwrap();
    }

    /// Tells it to end, as a supervisor does, and waits for that.
    fn end(&mut self) {
        let mut world = self.world.take().unwrap();
        let told = Command::new("kill").args(["-TERM", &world.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(world.wait().unwrap().success());
    }

    fn watch(&self) -> (Capture, Outputs) {
        let source: Source =
            format!("shm:{}?width={WIDTH}&height={HEIGHT}&fps=20", self.socket().display()).parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Capture::start(&source, &Settings::default()) {
                Ok(started) => return started,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn truth(&self) -> serde_json::Value {
        let path = self.folder.path().join("truth.json");
        wait_until("the truth", || path.exists());
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// Is the kit for a while: leads the yaw to this angle, and returns the arm's last state.
    fn lead(&mut self, yaw_rad: f64) -> ArmState {
        let mut joints = ArmModel::psm_large_needle_driver().home().joints.0;
        joints[0] = yaw_rad;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.number += 1;
            let setpoint = ArmSetpoint { number: self.number, action: Action::Move, joints, jaw_rad: 0.5 };
            let _ = self.kit.send_to(&setpoint.seal(&MacKey::new(&KEY)), self.arm);
            let state = self.hear();
            if state.is_some_and(|state| (state.joints[0] - yaw_rad).abs() < 1e-6) {
                return state.unwrap();
            }
            assert!(Instant::now() < deadline, "the arm does not come: {state:?}");
        }
    }

    fn hear(&self) -> Option<ArmState> {
        let mut buffer = [0; 256];
        let length = self.kit.recv(&mut buffer).ok()?;
        ArmState::open(&buffer[..length], &MacKey::new(&KEY)).ok()
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        if let Some(mut world) = self.world.take() {
            let _ = world.kill();
            let _ = world.wait();
            memory_of(world.id()).iter().for_each(|left| drop(std::fs::remove_file(left)));
        }
    }
}

/// Names of the shared memory that GStreamer's sink of a process made.
fn memory_of(pid: u32) -> Vec<PathBuf> {
    let is_its = |name: &str| {
        name.strip_prefix("shmpipe.").and_then(|rest| rest.split('.').next()?.trim().parse().ok())
            == Some(pid)
    };
    let entries = std::fs::read_dir("/dev/shm").unwrap().filter_map(Result::ok);
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_its)).map(|entry| entry.path()).collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn units(outputs: &mut Outputs, count: usize) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    while units.len() < count {
        match outputs.recv_timeout(PATIENCE).unwrap() {
            Output::Unit(unit) => units.push(unit),
            Output::Event(event @ (Event::EndOfStream | Event::Stopped(_))) => panic!("{event:?}"),
            Output::Event(_) => {}
        }
    }
    units
}

/// The luma of each picture.
fn decode(units: &[AccessUnit]) -> Vec<Vec<u8>> {
    let pipeline = gst::parse::launch(
        "appsrc name=in format=time caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse ! \
         avdec_h264 ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out sync=false",
    )
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for unit in units {
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_useconds(u64::from(unit.pts_90khz) * 100 / 9));
        input.push_buffer(buffer).unwrap();
    }
    input.end_of_stream().unwrap();
    let luma = |sample: gst::Sample| sample.buffer().unwrap().map_readable().unwrap().to_vec();
    let pictures = std::iter::from_fn(|| output.pull_sample().ok()).map(luma).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    pictures
}

fn mean(luma: &[u8]) -> f64 {
    luma.iter().map(|byte| f64::from(*byte)).sum::<f64>() / luma.len() as f64
}

fn difference(one: &[u8], other: &[u8]) -> f64 {
    let sum: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / one.len() as f64
}

/// Without a Vulkan driver there is no picture to test; said on standard error.
fn cannot_draw() -> bool {
    let none = matches!(Scene::new(SceneSettings::default()), Err(SceneError::NoAdapter { .. }));
    if none {
        #[allow(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: no Vulkan driver");
        }
    }
    none
}

/// Goal: the edge's own capture sees the world, the picture shows the arm move, and the truth tells of it.
#[test]
fn the_picture_is_seen_and_follows_the_arm() {
    if cannot_draw() {
        return;
    }
    let mut rehearsal = Rehearsal::new();
    rehearsal.start();
    let (capture, mut outputs) = rehearsal.watch();
    let still = units(&mut outputs, 30);
    let state = rehearsal.lead(0.25);
    assert!((state.jaw_rad - 0.5).abs() < 1e-3, "{state:?}");
    let moved = units(&mut outputs, 30);
    capture.stop();
    let pictures = decode(&[still, moved].concat());
    assert_eq!(pictures.len(), 60);
    assert!(mean(&pictures[29]) > 40.0, "the picture is dark: {}", mean(&pictures[29]));
    let (noise, motion) =
        (difference(&pictures[19], &pictures[29]), difference(&pictures[29], &pictures[59]));
    assert!(motion > 1.0 && motion > 4.0 * noise, "moved {motion}, still {noise}");
    let truth = rehearsal.truth();
    assert!(truth["frames"].as_u64().unwrap() >= 30 && truth["seed"] == 3, "{truth}");
    assert!(truth["tip_mm"][0].as_f64().unwrap().abs() > 10.0, "{truth}");
    assert_eq!(truth["aircraft"]["armed"], false, "{truth}");
    rehearsal.end();
    assert!(!rehearsal.socket().exists(), "the socket is removed");
}

/// Goal: readers come, go and come back; a world that was killed is started again at the same socket, and nothing of
/// the dead one stays in memory.
#[test]
fn readers_come_back_and_so_does_a_killed_world() {
    if cannot_draw() {
        return;
    }
    let mut rehearsal = Rehearsal::new();
    rehearsal.start();
    for _ in 0..2 {
        let (_capture, mut outputs) = rehearsal.watch();
        units(&mut outputs, 5);
    }
    let killed = rehearsal.pid();
    rehearsal.kill();
    assert_eq!(memory_of(killed).len(), 1, "a killed process cannot tidy up");
    rehearsal.start();
    assert!(memory_of(killed).is_empty(), "the next one does");
    let (_capture, mut outputs) = rehearsal.watch();
    units(&mut outputs, 5);
    assert!((rehearsal.lead(0.1).joints[0] - 0.1).abs() < 1e-6);
    let second = rehearsal.pid();
    rehearsal.end();
    assert!(memory_of(second).is_empty() && !rehearsal.socket().exists());
}

/// Goal: a reader that goes in the middle of being let in ends nothing: the next one sees the picture.
#[test]
fn a_reader_that_goes_at_once_ends_nothing() {
    if cannot_draw() {
        return;
    }
    let mut rehearsal = Rehearsal::new();
    rehearsal.start();
    for _ in 0..3 {
        drop(std::os::unix::net::UnixStream::connect(rehearsal.socket()));
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_until("the picture", || {
        let (_capture, mut outputs) = rehearsal.watch();
        (0..10).all(|_| {
            matches!(
                outputs.recv_timeout(PATIENCE),
                Ok(Output::Unit(_) | Output::Event(Event::Started { .. }))
            )
        })
    });
    rehearsal.end();
}

/// Goal: a second world at the same socket says what is wrong and leaves the first one alone.
#[test]
fn a_second_world_at_the_same_socket_is_refused() {
    if cannot_draw() {
        return;
    }
    let mut rehearsal = Rehearsal::new();
    rehearsal.start();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = rehearsal.folder.path().join("second.toml");
    let text = std::fs::read_to_string(rehearsal.folder.path().join("world.toml")).unwrap();
    std::fs::write(&path, text.replace(&rehearsal.arm.to_string(), &other.to_string())).unwrap();
    let said = refused(&path);
    assert!(said.contains("is in use: is another world running?"), "{said}");
    let (_capture, mut outputs) = rehearsal.watch();
    units(&mut outputs, 5);
    rehearsal.end();
}

fn refused(config: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_farhand"))
        .args(["world", "--config"])
        .arg(config)
        .env("LP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
