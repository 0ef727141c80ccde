//! The aircraft as a pilot meets it, over messages alone.

use mavlink::dialects::common::*;
use mavlink::{MavlinkVersion, Message, MessageData};
use proptest::prelude::*;

use super::*;

const PILOT: Peer = Peer { system: 255, component: 190 };
const STEP_US: u64 = 20_000;

/// An aircraft, its clock, and everything it has said.
struct Bench {
    aircraft: Aircraft,
    now_us: u64,
    said: Vec<MavMessage>,
}

impl Bench {
    fn new() -> Self {
        let config = AircraftConfig { speedup: 5.0, ..AircraftConfig::default() };
        Self { aircraft: Aircraft::new(config).unwrap(), now_us: 0, said: Vec::new() }
    }

    fn tell(&mut self, message: MavMessage) {
        self.now_us += STEP_US;
        self.said.extend(self.aircraft.step(self.now_us, &[Received { from: PILOT, message }]));
    }

    /// Orders, and gives the first answer that is final.
    fn order(&mut self, command: MavCmd, p: [f32; 7]) -> MavResult {
        self.said.clear();
        let [param1, param2, param3, param4, param5, param6, param7] = p;
        self.tell(MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
            param1,
            param2,
            param3,
            param4,
            param5,
            param6,
            param7,
            command,
            target_system: SYSTEM_ID,
            target_component: COMPONENT_ID,
            confirmation: 0,
        }));
        for _ in 0..200 {
            let last = self.said.iter().rev().find_map(|message| match message {
                MavMessage::COMMAND_ACK(ack) if ack.command == command => Some(ack.result),
                _ => None,
            });
            match last {
                Some(MavResult::MAV_RESULT_IN_PROGRESS) | None => self.wait(0.02),
                Some(result) => return result,
            }
        }
        unreachable!("no answer to {command:?}")
    }

    /// Lets link time pass while the pilot's heartbeat goes on.
    fn wait(&mut self, seconds: f64) {
        for _ in 0..(seconds * 1e6) as u64 / STEP_US {
            self.tell(MavMessage::HEARTBEAT(HEARTBEAT_DATA::default()));
        }
    }

    fn wait_until(&mut self, what: impl Fn(&Truth) -> bool) -> Truth {
        for _ in 0..600 {
            if what(&self.aircraft.truth()) {
                return self.aircraft.truth();
            }
            self.wait(0.5);
        }
        unreachable!("never came: {:?}", self.aircraft.truth())
    }

    fn arm_and_take_off(&mut self) {
        assert_eq!(
            self.order(MavCmd::MAV_CMD_COMPONENT_ARM_DISARM, one(1.0)),
            MavResult::MAV_RESULT_ACCEPTED
        );
        let up = [0., 0., 0., 0., 0., 0., 488.0 + 20.0];
        assert_eq!(self.order(MavCmd::MAV_CMD_NAV_TAKEOFF, up), MavResult::MAV_RESULT_ACCEPTED);
        self.wait_until(|truth| truth.altitude_m > 19.0);
    }

    fn upload(&mut self, kind: MavMissionType, items: &[MISSION_ITEM_INT_DATA]) -> Option<MavMissionResult> {
        self.said.clear();
        let count = items.len() as u16;
        self.tell(MavMessage::MISSION_COUNT(MISSION_COUNT_DATA {
            count,
            mission_type: kind,
            ..Default::default()
        }));
        for (seq, item) in items.iter().enumerate() {
            let item = MISSION_ITEM_INT_DATA { seq: seq as u16, mission_type: kind, ..item.clone() };
            self.tell(MavMessage::MISSION_ITEM_INT(item));
        }
        self.mission_ack()
    }

    fn mission_ack(&self) -> Option<MavMissionResult> {
        self.said.iter().rev().find_map(|message| match message {
            MavMessage::MISSION_ACK(ack) => Some(ack.mavtype),
            _ => None,
        })
    }

    fn said_text(&self, words: &str) -> bool {
        self.said.iter().any(|message| match message {
            MavMessage::STATUSTEXT(text) => text.text.to_str().is_ok_and(|text| text.contains(words)),
            _ => false,
        })
    }
}

fn one(first: f32) -> [f32; 7] {
    [first, 0., 0., 0., 0., 0., 0.]
}

fn waypoint(lat_deg: f64, lon_deg: f64, up_m: f32) -> MISSION_ITEM_INT_DATA {
    MISSION_ITEM_INT_DATA {
        command: MavCmd::MAV_CMD_NAV_WAYPOINT,
        frame: MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT,
        x: (lat_deg * 1e7) as i32,
        y: (lon_deg * 1e7) as i32,
        z: up_m,
        ..Default::default()
    }
}

fn fence_around_home(half_deg: f64) -> Vec<MISSION_ITEM_INT_DATA> {
    let home = AircraftConfig::default();
    let corner = |n: f64, e: f64| MISSION_ITEM_INT_DATA {
        command: MavCmd::MAV_CMD_NAV_FENCE_POLYGON_VERTEX_INCLUSION,
        frame: MavFrame::MAV_FRAME_GLOBAL,
        param1: 4.0,
        ..waypoint(home.home_lat_deg + n * half_deg, home.home_lon_deg + e * half_deg, 0.0)
    };
    vec![corner(-1., -1.), corner(-1., 1.), corner(1., 1.), corner(1., -1.)]
}

const MISSION: MavMissionType = MavMissionType::MAV_MISSION_TYPE_MISSION;
const FENCE: MavMissionType = MavMissionType::MAV_MISSION_TYPE_FENCE;

/// Goal: up to the ordered height above the sea, hold there, return, land at home, motors off.
#[test]
fn it_takes_off_holds_returns_and_stops_its_motors() {
    let mut bench = Bench::new();
    bench.arm_and_take_off();
    bench.wait(2.0);
    assert_eq!(bench.aircraft.truth().mode, Mode::Hold);
    assert!((bench.aircraft.truth().altitude_m - 20.0).abs() < 0.5);
    let denied = bench.order(MavCmd::MAV_CMD_COMPONENT_ARM_DISARM, one(0.0));
    assert_eq!(denied, MavResult::MAV_RESULT_TEMPORARILY_REJECTED, "not in the air");
    assert_eq!(bench.order(MavCmd::MAV_CMD_NAV_RETURN_TO_LAUNCH, one(0.0)), MavResult::MAV_RESULT_ACCEPTED);
    let down = bench.wait_until(|truth| !truth.armed);
    assert!(down.on_ground);
}

/// Goal: an aircraft that is armed and left alone stops its motors; it does not wait armed for ever.
#[test]
fn armed_and_left_alone_it_disarms() {
    let mut bench = Bench::new();
    bench.order(MavCmd::MAV_CMD_COMPONENT_ARM_DISARM, one(1.0));
    bench.wait(5.0);
    assert!(bench.aircraft.truth().armed);
    bench.wait(6.0);
    assert!(!bench.aircraft.truth().armed);
}

/// Goal: leaving the geofence brings it home and says so.
#[test]
fn leaving_the_fence_brings_it_home() {
    let mut bench = Bench::new();
    assert_eq!(bench.upload(FENCE, &fence_around_home(0.001)), Some(MavMissionResult::MAV_MISSION_ACCEPTED));
    bench.arm_and_take_off();
    let away = [-1., 0., 0., 0., 47.41, 8.545_594, 508.0];
    assert_eq!(bench.order(MavCmd::MAV_CMD_DO_REPOSITION, away), MavResult::MAV_RESULT_ACCEPTED);
    let back = bench.wait_until(|truth| truth.mode == Mode::Return);
    assert!((back.lat_deg - 47.397_742) > 0.001, "{back:?}");
    assert!(bench.said_text("geofence breached"));
    let down = bench.wait_until(|truth| !truth.armed);
    assert!((down.lat_deg - 47.397_742).abs() < 1e-5);
}

/// Goal: the most severe trouble decides, and a milder one that comes later does not undo it.
#[test]
fn the_most_severe_trouble_decides() {
    let mut bench = Bench::new();
    bench.upload(FENCE, &fence_around_home(0.001));
    bench.arm_and_take_off();
    bench.aircraft.inject(Failure::Battery, true);
    bench.wait(0.1);
    assert_eq!(bench.aircraft.truth().mode, Mode::Land);
    bench.aircraft.inject(Failure::Gps, true);
    bench.wait(0.1);
    assert_eq!(bench.aircraft.truth().mode, Mode::Descend);
    bench.aircraft.inject(Failure::Gps, false);
    bench.wait(0.1);
    assert_eq!(bench.aircraft.truth().mode, Mode::Descend);
}

/// Goal: an upload that is broken off, or holds an item that can't be flown, leaves the old mission.
#[test]
fn a_broken_upload_leaves_the_old_mission() {
    let mut bench = Bench::new();
    let good = [waypoint(47.398, 8.546, 20.0), waypoint(47.399, 8.546, 20.0)];
    assert_eq!(bench.upload(MISSION, &good), Some(MavMissionResult::MAV_MISSION_ACCEPTED));
    let unknown = MISSION_ITEM_INT_DATA { command: MavCmd::MAV_CMD_NAV_VTOL_LAND, ..good[0].clone() };
    assert_eq!(bench.upload(MISSION, &[unknown]), Some(MavMissionResult::MAV_MISSION_UNSUPPORTED));
    let nowhere = MISSION_ITEM_INT_DATA { z: f32::NAN, ..good[0].clone() };
    assert_eq!(bench.upload(MISSION, &[nowhere]), Some(MavMissionResult::MAV_MISSION_INVALID_PARAM7));
    bench.said.clear();
    bench.tell(MavMessage::MISSION_COUNT(MISSION_COUNT_DATA { count: 9, ..Default::default() }));
    bench.wait(10.0);
    assert_eq!(bench.mission_ack(), Some(MavMissionResult::MAV_MISSION_OPERATION_CANCELLED));
    assert_eq!(bench.aircraft.store.mission().len(), 2);
}

/// Goal: what was uploaded is what is downloaded.
#[test]
fn a_mission_reads_back_as_it_was_written() {
    let mut bench = Bench::new();
    let good = [waypoint(47.398, 8.546, 20.0), waypoint(47.399, 8.546, 25.5)];
    bench.upload(MISSION, &good);
    bench.said.clear();
    bench.tell(MavMessage::MISSION_REQUEST_LIST(MISSION_REQUEST_LIST_DATA::default()));
    bench.tell(MavMessage::MISSION_REQUEST_INT(MISSION_REQUEST_INT_DATA { seq: 1, ..Default::default() }));
    let count = bench.said.iter().any(|m| matches!(m, MavMessage::MISSION_COUNT(count) if count.count == 2));
    let item = bench.said.iter().find_map(|message| match message {
        MavMessage::MISSION_ITEM_INT(item) => Some((item.seq, item.x, item.z)),
        _ => None,
    });
    assert!(count);
    assert_eq!(item, Some((1, good[1].x, 25.5)));
}

/// Goal: a message for another system or component is not obeyed.
#[test]
fn it_obeys_only_what_is_addressed_to_it() {
    let mut bench = Bench::new();
    let arm = COMMAND_LONG_DATA {
        command: MavCmd::MAV_CMD_COMPONENT_ARM_DISARM,
        param1: 1.0,
        target_system: 2,
        ..Default::default()
    };
    bench.tell(MavMessage::COMMAND_LONG(arm.clone()));
    bench.tell(MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
        target_system: 1,
        target_component: 154,
        ..arm
    }));
    assert!(!bench.aircraft.truth().armed);
}

/// Goal: a configuration out of range is refused by name.
#[test]
fn a_configuration_out_of_range_is_refused_by_name() {
    let config = AircraftConfig { speedup: 0.0, ..AircraftConfig::default() };
    assert_eq!(Aircraft::new(config).unwrap_err().what, "speedup");
    let config = AircraftConfig { payload_kg: f64::NAN, ..AircraftConfig::default() };
    assert_eq!(Aircraft::new(config).unwrap_err().what, "payload in kg");
}

/// Goal: inputs that once broke it stay harmless: a step that takes no time while armed, an interval
/// longer than any clock, an item with the highest number there is.
#[test]
fn what_once_broke_it_is_harmless() {
    let mut aircraft = Aircraft::new(AircraftConfig::default()).unwrap();
    aircraft.armed = true;
    aircraft.step(5, &[]);
    aircraft.step(5, &[]);
    assert!(aircraft.truth().lat_deg.is_finite());
    let mut bench = Bench::new();
    let heartbeat = HEARTBEAT_DATA::ID as f32;
    bench.order(MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL, [heartbeat, f32::MAX, 0., 0., 0., 0., 0.]);
    bench.upload(MISSION, &[waypoint(47.398, 8.546, 20.0)]);
    let last = MISSION_ITEM_INT_DATA { seq: u16::MAX, ..waypoint(47.398, 8.546, 20.0) };
    bench.tell(MavMessage::MISSION_ITEM_INT(last));
    bench.wait(2.0);
}

/// Messages the aircraft acts on.
const KINDS: [u32; 14] = [0, 11, 20, 21, 23, 40, 43, 44, 45, 51, 73, 75, 76, 111];
/// Commands it acts on.
const COMMANDS: [MavCmd; 12] = [
    MavCmd::MAV_CMD_COMPONENT_ARM_DISARM,
    MavCmd::MAV_CMD_NAV_TAKEOFF,
    MavCmd::MAV_CMD_NAV_LAND,
    MavCmd::MAV_CMD_NAV_RETURN_TO_LAUNCH,
    MavCmd::MAV_CMD_DO_SET_MODE,
    MavCmd::MAV_CMD_MISSION_START,
    MavCmd::MAV_CMD_DO_SET_MISSION_CURRENT,
    MavCmd::MAV_CMD_DO_REPOSITION,
    MavCmd::MAV_CMD_DO_CHANGE_SPEED,
    MavCmd::MAV_CMD_DO_GRIPPER,
    MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL,
    MavCmd::MAV_CMD_REQUEST_MESSAGE,
];

fn any_parameter() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<f32>(),
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(1.0),
        Just(4.0),
        Just(47.4),
        -1.0..600.0f32
    ]
}

fn any_message() -> impl Strategy<Value = Option<MavMessage>> {
    let raw = (prop::sample::select(&KINDS[..]), prop::collection::vec(any::<u8>(), 0..255))
        .prop_map(|(id, payload)| MavMessage::parse(MavlinkVersion::V2, id, &payload).ok());
    let order = (prop::sample::select(&COMMANDS[..]), prop::array::uniform7(any_parameter())).prop_map(
        |(command, [param1, param2, param3, param4, param5, param6, param7])| {
            Some(MavMessage::COMMAND_LONG(COMMAND_LONG_DATA {
                param1,
                param2,
                param3,
                param4,
                param5,
                param6,
                param7,
                command,
                target_system: 0,
                target_component: 0,
                confirmation: 0,
            }))
        },
    );
    prop_oneof![raw, order]
}

proptest! {
    /// Goal: no messages and no datagrams whatever make it panic, leap, sink into the ground or lose itself.
    #[test]
    fn anything_at_all_leaves_it_somewhere(
        messages in prop::collection::vec((any_message(), 0u64..2_000_000), 0..80),
        datagram in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut aircraft = Aircraft::new(AircraftConfig { speedup: 3.0, ..AircraftConfig::default() }).unwrap();
        aircraft.armed = true;
        let mut now_us = 0;
        for (message, gap_us) in messages {
            now_us += gap_us;
            let inbox: Vec<_> = message.map(|message| Received { from: PILOT, message }).into_iter().collect();
            prop_assert!(aircraft.step(now_us, &inbox).len() < 60);
            let truth = aircraft.truth();
            prop_assert!(truth.lat_deg.is_finite() && truth.lon_deg.is_finite(), "{truth:?}");
            prop_assert!((0.0..20_000.0).contains(&truth.altitude_m), "{truth:?}");
            prop_assert!(truth.speed_m_s < 15.1, "{truth:?}");
        }
        let _ = frames::Frames::new(None, 1).decode(&datagram);
        let _ = frames::Frames::new(Some([1; 32]), 1).decode(&datagram);
    }
}
