//! A delivery over real UDP on the loopback, faster than real time; and what a broken or hostile link does.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use farhand_flight::{FlightError, FlightLimits, Frames, LinkAddress, Phase, UdpLink, fly};
use farhand_mission::{Mission, Place};
use farhand_world::aircraft::{AircraftConfig, AircraftHandle, Failure, UdpConfig, fly_over_udp};
use mavlink::dialects::common::*;

const KEY: [u8; 32] = [0x5a; 32];

fn listen(key: Option<[u8; 32]>) -> (UdpLink, SocketAddr) {
    let link = UdpLink::open("udp:127.0.0.1:0".parse().unwrap(), key).unwrap();
    let address = link.local_address().unwrap();
    (link, address)
}

fn aircraft(calls: SocketAddr, speedup: f64, signing_key: Option<[u8; 32]>) -> AircraftHandle {
    let config = AircraftConfig { speedup, ..AircraftConfig::default() };
    fly_over_udp(config, &UdpConfig { remotes: vec![calls], signing_key }).unwrap()
}

fn stands_delivered(aircraft: &AircraftHandle) -> bool {
    let truth = aircraft.truth();
    let place = Place::new(truth.lat_deg, truth.lon_deg).unwrap();
    truth.released && !truth.dropped && truth.on_ground && place.distance_m(Mission::trial().delivery()) < 2.0
}

/// Goal: over real sockets, signed, the whole delivery takes seconds and ends where it should,
/// though garbage and forged messages keep arriving at both ends.
#[test]
fn a_signed_delivery_over_udp_survives_forgers() {
    let (link, companion_address) = listen(Some(KEY));
    let aircraft = aircraft(companion_address, 40.0, Some(KEY));
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let (end, phases) = std::thread::scope(|scope| {
        scope.spawn(|| forge(aircraft.address(), &stop));
        let mut phases = Vec::new();
        let end = fly(link, Mission::trial(), FlightLimits::default(), |event| phases.push(event.phase));
        stop.store(true, Ordering::Relaxed);
        (end, phases)
    });
    let delivered = end.unwrap();
    eprintln!("delivered in {:?}, {:.2} m off", begun.elapsed(), delivered.off_m);
    assert!(stands_delivered(&aircraft), "{:?}", aircraft.truth());
    assert_eq!(phases.last(), Some(&Phase::Delivered));
}

/// Sends return and disarm orders without the key, and noise, until told to stop.
fn forge(aircraft: SocketAddr, stop: &AtomicBool) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let order = |command, param2| {
        MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
            command,
            param2,
            target_system: 1,
            target_component: 1,
            ..Default::default()
        })
    };
    let orders = [
        order(MavCmd::MAV_CMD_NAV_RETURN_TO_LAUNCH, 0.0),
        order(MavCmd::MAV_CMD_COMPONENT_ARM_DISARM, 21_196.0),
    ];
    let (mut unsigned, mut wrong) = (Frames::new(None), Frames::new(Some([1; 32])));
    while !stop.load(Ordering::Relaxed) {
        for order in &orders {
            let _ = socket.send_to(&unsigned.encode(order), aircraft);
            let _ = socket.send_to(&wrong.encode(order), aircraft);
        }
        let _ = socket.send_to(&[0xfd; 300], aircraft);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Goal: the two ends of a signed link that hold different keys never meet, and the companion says so in time.
#[test]
fn ends_with_different_keys_never_meet() {
    let (link, companion_address) = listen(Some(KEY));
    let aircraft = aircraft(companion_address, 1.0, Some([3; 32]));
    let limits = FlightLimits { connect_ms_max: 1_500, ..FlightLimits::default() };
    let end = fly(link, Mission::trial(), limits, |_| {});
    assert!(matches!(end, Err(FlightError::NoAircraft { .. })), "{end:?}");
    assert!(!aircraft.truth().armed);
}

/// Goal: a radio that dies in flight is reported, and the aircraft comes home alone.
#[test]
fn a_dead_radio_is_reported_and_the_aircraft_comes_home() {
    let (link, companion_address) = listen(None);
    // Well above the companion's heartbeats, which are a second apart.
    let config = AircraftConfig { speedup: 20.0, link_loss_s: 4, ..AircraftConfig::default() };
    let udp = UdpConfig { remotes: vec![companion_address], signing_key: None };
    let aircraft = fly_over_udp(config, &udp).unwrap();
    let limits = FlightLimits { link_lost_ms: 500, link_give_up_ms: 2_000, ..FlightLimits::default() };
    let end = fly(link, Mission::trial(), limits, |event| {
        if event.phase == Phase::Cruising {
            aircraft.inject(Failure::Telemetry, true);
        }
    });
    assert!(matches!(end, Err(FlightError::LinkLost { .. })), "{end:?}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !aircraft.truth().on_ground && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let truth = aircraft.truth();
    let home = Mission::trial().home().place;
    let off_home_m = Place::new(truth.lat_deg, truth.lon_deg).unwrap().distance_m(home);
    assert!(truth.on_ground && !truth.released && off_home_m < 1.0, "{off_home_m} m: {truth:?}");
}

/// Goal: the program delivers the built-in trial, and speaks JSON a program can follow.
#[test]
fn the_program_delivers_and_speaks_json() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _aircraft = aircraft(port, 40.0, None);
    let output = Command::new(env!("CARGO_BIN_EXE_farhand-flight"))
        .args(["--trial", "--json", "--connect", &LinkAddress::Listen(port).to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (result, events) = lines.split_last().unwrap();
    assert_eq!((&result["kind"], &result["delivered"]), (&"result".into(), &true.into()));
    assert!(result["off_m"].as_f64().unwrap() < 2.0);
    assert!(events.len() > 10 && events.iter().all(|event| event["kind"] == "event"));
}

/// Goal: what can't be used is refused with exit status 2 and a sentence that names it; nothing is flown.
#[test]
fn the_program_names_what_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.plan");
    let plan =
        include_str!("../../mission/plans/trial.plan").replacen("\"command\": 16", "\"command\": 99", 1);
    std::fs::write(&path, plan).unwrap();
    let path = path.to_str().unwrap();
    let cases = [
        (vec!["--plan", path], "item 2: command 99"),
        (vec!["--plan", "/nowhere/x.plan"], "it can't be read"),
        (vec!["--trial", "--key", path], "64 hex digits"),
        (vec!["--trial", "--connect", "serial:/dev/ttyS0"], "is not a link address"),
        (vec![], "--plan"),
    ];
    for (arguments, words) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_farhand-flight")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

/// Goal: a port in use is named, with what to look for.
#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = UdpLink::open(LinkAddress::Listen(address), None).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("the port is in use"), "{error}");
}
