//! The kit as a process, under SIGKILL of itself and of its edge box: its log has no hole.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set is a failed test")]

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use farhand_guard::Limits;
use farhand_ledger::{
    Cbor, Chain, Hash, KitSegment, Member, Segment, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_link::{
    Bond, DeviceKey, DeviceRole, Endpoint, LinkConfig, Paths, Peers, Protocol, Route, SearchLimits,
};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{ArmSetpoint, ArmState, Kind, MacKey, PublicKey, Role, SessionId};

const SESSION: SessionId = SessionId([9; 16]);
const CABLE: [u8; 32] = [0x5a; 32];
/// Set for a child that is an edge box: the folder that it works in, and the file that it records to.
const EDGE_FOLDER: &str = "FARHAND_TEST_EDGE_FOLDER";
const EDGE_FILE: &str = "FARHAND_TEST_EDGE_FILE";
/// A machine under load is slow; nothing here is decided by how slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed (SIGKILL) when dropped.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An arm at the other end of the cable, that stands where it is told to.
struct Arm {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Arm {
    fn start(socket: UdpSocket, kit: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            socket.set_nonblocking(true).unwrap();
            let key = MacKey::new(&CABLE);
            let home = ArmModel::psm_large_needle_driver().home().joints.0;
            let mut state = ArmState { setpoint: 0, flags: 0, joints: home, jaw_rad: 0.1 };
            let mut buffer = [0; 256];
            while !stopped.load(Relaxed) {
                while let Ok(length) = socket.recv(&mut buffer) {
                    if let Ok(setpoint) = ArmSetpoint::open(&buffer[..length], &key) {
                        state = ArmState { setpoint: setpoint.number, joints: setpoint.joints, ..state };
                    }
                }
                // A kit that is not there yet hears the next one.
                let _ = socket.send_to(&state.seal(&key), kit);
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A folder with everybody's files, the arm and the kit.
struct Stage {
    folder: tempfile::TempDir,
    _arm: Arm,
    kit: Part,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (listen, cable) = (free(), free());
        let arm = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = |name: &str| DeviceKey::load_or_create(&path.join(name)).unwrap();
        let (edge, kit) = (device("edge.key"), device("kit.key"));
        fs::write(path.join("cable.key"), "5a".repeat(32)).unwrap();
        fs::write(path.join("listen"), listen.to_string()).unwrap();
        let text = format!(
            "key = \"kit.key\"\ndata = \"kit\"\ntrust = \"trust.cbor\"\nlisten = \"{listen}\"\nedge = \"{}\"\n\
             [[arms]]\nname = \"PSM1\"\nmodel = \"psm_large_needle_driver\"\n\
             cable = {{ listen = \"{cable}\", address = \"{}\", key = \"cable.key\" }}\n",
            edge.id(),
            arm.local_addr().unwrap(),
        );
        fs::write(path.join("kit.toml"), text).unwrap();
        open(path, &edge, &kit);
        Self { _arm: Arm::start(arm, cable), kit: start_kit(path), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An edge box as a process, that records to that file.
    fn edge(&self, file: &str) -> Part {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["an_edge_box", "--exact"])
            .env(EDGE_FOLDER, self.folder.path())
            .env(EDGE_FILE, self.file(file))
            .stdout(Stdio::null())
            .spawn();
        Part(child.unwrap())
    }

    /// What is on that record, once there is as much as wanted.
    fn recorded(&self, file: &str, enough: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
        let began = Instant::now();
        loop {
            let segments = read(&self.file(file));
            if enough(&segments) {
                return segments;
            }
            assert!(began.elapsed() < PATIENCE, "{file} has only {} segments", segments.len());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn start_kit(folder: &Path) -> Part {
    let kit = env!("CARGO_BIN_EXE_farhand-kit");
    Part(
        Command::new(kit).arg("--config").arg(folder.join("kit.toml")).stdout(Stdio::null()).spawn().unwrap(),
    )
}

fn open(folder: &Path, edge: &DeviceKey, kit: &DeviceKey) {
    let public = |key: &DeviceKey| PublicKey(*key.id().as_bytes());
    let person = |seed: u8, role| {
        let key = DeviceKey::from_seed(&[seed; 32]);
        Member { key: public(&key), role, pseudonym: format!("p{seed}") }
    };
    let (mut keys, field) = (FiveKeys::new([13; 32]), DeviceKey::from_seed(&[3; 32]));
    let plan = Plan {
        session: SESSION,
        roster: vec![person(1, Role::Surgeon), person(2, Role::Bedside)],
        edge: public(edge),
        kit: kit.signing_key(),
        field: field.signing_key(),
        limits_digest: Hash(Limits::default().digest()),
        arm_digest: Hash(Mounted::digest_of(&[ArmModel::psm_large_needle_driver().into()])),
        at: Utc { us: 1_760_000_000_000_000, uncertainty_us: 1_000 },
    };
    fs::write(folder.join("opening"), keys.open(plan).unwrap().to_bytes()).unwrap();
    fs::write(folder.join("trust.cbor"), keys.trust().to_bytes()).unwrap();
}

/// Records as they were appended; the last may be torn.
fn read(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap_or_default();
    let (mut rest, mut records) = (&bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((record, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            break;
        };
        records.push(record.to_vec());
        rest = after;
    }
    records
}

fn segment(signed: &[u8]) -> KitSegment {
    KitSegment::open(signed).unwrap().1
}

/// The numbers of each run of the kit, oldest first: each from 1, none missing, every one chained to the one before.
fn runs(segments: &[Vec<u8>]) -> Vec<u64> {
    let mut runs: Vec<(_, Chain)> = Vec::new();
    for signed in segments {
        let segment = segment(signed);
        if runs.last().is_none_or(|(boot, _)| *boot != segment.boot) {
            runs.push((segment.boot, Chain::new(SESSION)));
        }
        let (_, chain) = runs.last_mut().unwrap();
        if segment.link.number >= chain.next().number {
            chain.extend(segment.link, signed).unwrap();
        }
    }
    runs.iter().map(|(_, chain)| chain.next().number - 1).collect()
}

/// Goal: an edge box that is killed and comes back gets every segment of the kit's log, those from while it was gone too; a
/// kit that is killed and comes back still has those of its life before, and begins a chain of its own.
#[test]
fn the_kits_log_has_no_hole_whoever_is_killed() {
    let mut stage = Stage::set();
    let edge = stage.edge("first");
    let first = stage.recorded("first", |segments| segments.len() >= 5);
    drop(edge);
    let before = runs(&first)[0];
    thread::sleep(Duration::from_millis(500));

    let edge = stage.edge("second");
    let newest = |segments: &[Vec<u8>]| segments.last().map_or(0, |signed| segment(signed).link.number);
    let second = stage.recorded("second", |segments| newest(segments) > before + 10);
    assert_eq!(runs(&second).len(), 1, "the kit went on");
    assert!(runs(&second)[0] > before + 10);

    drop(edge);
    let last = newest(&second);
    let on_disk = stage.recorded("kit/journal", |messages| messages.len() as u64 > last + 3).len() as u64;
    stage.kit = start_kit_again(&mut stage);
    let edge = stage.edge("third");
    let boot = segment(&second[0]).boot;
    let third = stage.recorded("third", |segments| {
        segments.iter().filter(|signed| segment(signed).boot != boot).count() >= 5
    });
    let runs = runs(&third);
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0] >= on_disk && runs[1] >= 5, "{runs:?}, {on_disk} on the kit's disk");
    drop(edge);
}

fn start_kit_again(stage: &mut Stage) -> Part {
    let _ = stage.kit.0.kill();
    let _ = stage.kit.0.wait();
    start_kit(stage.folder.path())
}

/// Not a test of its own: where the environment says so, this process is an edge box that keeps the kit's segments until
/// it is killed.
#[test]
fn an_edge_box() {
    let (Ok(folder), Ok(file)) = (std::env::var(EDGE_FOLDER), std::env::var(EDGE_FILE)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(keep_segments(Path::new(&folder), File::create(file).unwrap()));
}

async fn keep_segments(folder: &Path, mut file: File) {
    let device = |name: &str| DeviceKey::load_or_create(&folder.join(name)).unwrap();
    let (key, kit) = (device("edge.key"), device("kit.key").id());
    let listen = fs::read_to_string(folder.join("listen")).unwrap().parse().unwrap();
    let peers = Peers::new();
    peers.allow(kit, DeviceRole::Kit).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::bind_connecting(any, &key, peers, Protocol::KIT, LinkConfig::default()).unwrap();
    let routes = vec![Route { endpoint, addr: listen }];
    let mut paths = Paths::connect(routes, kit, 16, SearchLimits::default()).unwrap();
    let opening = Kind::Opening.wrap(&fs::read(folder.join("opening")).unwrap());
    loop {
        let kit = paths.bond().await;
        if kit.send_message(opening.clone().into()).is_ok() {
            keep_until_the_end(&kit, &mut file).await;
        }
    }
}

async fn keep_until_the_end(kit: &Bond, file: &mut File) {
    while let Some(message) = kit.recv_message().await {
        if let Ok(signed) = Kind::KitSegment.content(&message) {
            let record = [&(signed.len() as u32).to_le_bytes()[..], signed].concat();
            file.write_all(&record).unwrap();
        }
    }
}
