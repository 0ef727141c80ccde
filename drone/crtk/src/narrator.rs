//! What is said of an observation, and when.

use farhand_mesh::crtk::{ARMS, STATES};
use farhand_wire::{Observation, OperatingState as Kit, state_flags};

use crate::{
    ArmEntry,
    cdr::{CdrError, encode},
    graph::Endpoint,
    messages::{
        Header, JointState, Message as _, OperatingState, Point, Pose, PoseStamped, Quaternion, RosType, Time,
    },
};

/// The frame of every pose of every arm.
pub const FRAME: &str = "kit";
/// Of the six joints, as the dVRK calls them. An endoscope's arm ends with the fourth.
pub const JOINT_NAMES: [&str; 6] = ["yaw", "pitch", "insertion", "roll", "wrist_pitch", "wrist_yaw"];
const ENDOSCOPE_JOINTS: usize = 4;
const JAW_NAME: &str = "jaw";
/// The operating state is said when it changes, and so often besides: whoever comes late hears it soon.
const STATE_EVERY_NS: u64 = 1_000_000_000;
const NS_A_SECOND: u64 = 1_000_000_000;

/// Turns observations of one arm into messages.
#[derive(Debug)]
pub struct Narrator {
    name: &'static str,
    arm: ArmEntry,
    /// The operating state said last, and when.
    said: Option<((Kit, u8), u64)>,
}

/// One message: which of [`Narrator::endpoints`], and its bytes.
type Saying = (usize, Vec<u8>);

impl Narrator {
    /// Of a kit's arms, in its order.
    pub fn of_all(arms: &[ArmEntry]) -> impl Iterator<Item = Self> {
        ARMS.into_iter().zip(arms).map(|(name, arm)| Self { name, arm: *arm, said: None })
    }

    /// Everything that is published, in the order of [`STATES`]. An endoscope has no jaw.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(String, RosType)> {
        let has = |state: &&str| self.arm == ArmEntry::Instrument || !state.starts_with(JAW_NAME);
        STATES
            .into_iter()
            .filter(has)
            .map(|state| (format!("{}/{state}", self.name), type_of(state)))
            .collect()
    }

    /// What to publish now that this came. `now_ns`: of the machine's clock, since 1970.
    ///
    /// # Errors
    /// [`CdrError`] never, for messages of this size.
    pub fn tell(&mut self, now_ns: u64, seen: &Observation) -> Result<Vec<Saying>, CdrError> {
        let header = Header { stamp: time(now_ns), frame_id: FRAME.to_owned() };
        let names = match self.arm {
            ArmEntry::Instrument => &JOINT_NAMES[..],
            ArmEntry::Endoscope => &JOINT_NAMES[..ENDOSCOPE_JOINTS],
        };
        let mut said = vec![
            encode(&PoseStamped { header: header.clone(), pose: pose(&seen.measured) })?,
            // The arm does not measure how fast its joints are.
            encode(&joints(&header, names, &seen.measured_joints, &[]))?,
            encode(&PoseStamped { header: header.clone(), pose: pose(&seen.setpoint) })?,
            encode(&joints(&header, names, &seen.setpoint_joints, &seen.setpoint_velocity))?,
        ];
        if self.arm == ArmEntry::Instrument {
            let (jaw_rad, rad_s) = ([seen.setpoint_jaw_rad], [seen.setpoint_jaw_velocity_rad_s]);
            said.push(encode(&joints(&header, &[JAW_NAME], &[seen.measured_jaw_rad], &[]))?);
            said.push(encode(&joints(&header, &[JAW_NAME], &jaw_rad, &rad_s))?);
        }
        if self.is_state_due(now_ns, seen) {
            said.push(encode(&operating_state(header, seen))?);
        }
        Ok(said.into_iter().enumerate().collect())
    }

    fn is_state_due(&mut self, now_ns: u64, seen: &Observation) -> bool {
        let state = (seen.operating_state, seen.flags & (state_flags::HOMED | state_flags::AT_REST));
        let recent = |(said, at_ns)| said == state && now_ns.abs_diff(at_ns) < STATE_EVERY_NS;
        if self.said.is_some_and(recent) {
            return false;
        }
        self.said = Some((state, now_ns));
        true
    }
}

fn type_of(state: &str) -> RosType {
    match state {
        "operating_state" => OperatingState::TYPE,
        state if state.ends_with("_cp") => PoseStamped::TYPE,
        _ => JointState::TYPE,
    }
}

/// The endpoint of what is numbered so.
#[must_use]
pub(crate) fn endpoint((topic, ros): &(String, RosType)) -> Endpoint<'_> {
    Endpoint { topic, ros: *ros }
}

fn operating_state(header: Header, seen: &Observation) -> OperatingState {
    let state = match seen.operating_state {
        Kit::Disabled => "DISABLED",
        Kit::Enabled => "ENABLED",
        Kit::Paused => "PAUSED",
        Kit::Fault => "FAULT",
    };
    let has = |flag| seen.flags & flag != 0;
    OperatingState {
        header,
        state: state.to_owned(),
        is_homed: has(state_flags::HOMED),
        is_busy: !has(state_flags::AT_REST),
    }
}

fn joints(header: &Header, names: &[&str], position: &[f64], velocity: &[f64]) -> JointState {
    JointState {
        header: header.clone(),
        name: names.iter().map(|name| (*name).to_owned()).collect(),
        position: position.iter().copied().take(names.len()).collect(),
        velocity: velocity.iter().copied().take(names.len()).collect(),
        effort: Vec::new(),
    }
}

fn pose(pose: &farhand_wire::Pose) -> Pose {
    let ([x, y, z], [w, i, j, k]) = (pose.position_m, pose.orientation_wxyz);
    Pose { position: Point { x, y, z }, orientation: Quaternion { x: i, y: j, z: k, w } }
}

/// Good until 2038, as ROS's own.
fn time(ns: u64) -> Time {
    let sec = i32::try_from(ns / NS_A_SECOND).unwrap_or(i32::MAX);
    Time { sec, nanosec: (ns % NS_A_SECOND) as u32 }
}

#[cfg(test)]
mod tests {
    use farhand_wire::Pose as KitPose;

    use super::*;
    use crate::cdr::decode;

    fn seen(flags: u8) -> Observation {
        Observation {
            operating_state: Kit::Enabled,
            flags,
            measured: KitPose { position_m: [0.1, 0.2, 0.3], orientation_wxyz: [0.5, 0.5, -0.5, 0.5] },
            measured_joints: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            setpoint_velocity: [1.0; 6],
            ..Observation::default()
        }
    }

    fn narrator(arm: ArmEntry) -> Narrator {
        Narrator::of_all(&[arm]).next().unwrap()
    }

    /// Goal: an endoscope's arm has four joints, no jaw, and its own topics in the kit's order.
    #[test]
    fn an_endoscope_has_no_jaw() {
        let mut ecm = Narrator::of_all(&[ArmEntry::Instrument, ArmEntry::Endoscope]).nth(1).unwrap();
        let topics: Vec<_> = ecm.endpoints().into_iter().map(|(topic, _)| topic).collect();
        let expected = ["measured_cp", "measured_js", "setpoint_cp", "setpoint_js", "operating_state"];
        assert_eq!(topics, expected.map(|topic| format!("arm2/{topic}")));
        let said = ecm.tell(0, &seen(0)).unwrap();
        assert_eq!(said.len(), topics.len());
        let joints: JointState = decode(&said[3].1).unwrap();
        assert_eq!((joints.name.len(), joints.position.len(), joints.velocity.len()), (4, 4, 4));
        let state: OperatingState = decode(&said[4].1).unwrap();
        assert_eq!(state.state, "ENABLED");
    }

    /// Goal: each topic's bytes are a message of the topic's type, and say what the kit said, the quaternion's scalar last.
    #[test]
    fn an_observation_is_told_in_rosss_words() {
        let said = narrator(ArmEntry::Instrument).tell(1_500_000_000, &seen(state_flags::HOMED)).unwrap();
        let bytes = |topic: &str| {
            let number = STATES.iter().position(|state| *state == topic).unwrap();
            &said.iter().find(|(said, _)| *said == number).unwrap().1
        };
        let measured: PoseStamped = decode(bytes("measured_cp")).unwrap();
        assert_eq!(measured.header.stamp, Time { sec: 1, nanosec: 500_000_000 });
        assert_eq!(measured.header.frame_id, "kit");
        let Pose { position, orientation } = measured.pose;
        assert_eq!(position, Point { x: 0.1, y: 0.2, z: 0.3 });
        assert_eq!(orientation, Quaternion { x: 0.5, y: -0.5, z: 0.5, w: 0.5 });
        let joints: JointState = decode(bytes("measured_js")).unwrap();
        assert_eq!((joints.name[2].as_str(), joints.position[2]), ("insertion", 0.3));
        assert!(joints.velocity.is_empty(), "nobody measured it");
        let joints: JointState = decode(bytes("setpoint_js")).unwrap();
        assert_eq!(joints.velocity, [1.0; 6]);
        let state: OperatingState = decode(bytes("operating_state")).unwrap();
        assert_eq!((state.state.as_str(), state.is_homed, state.is_busy), ("ENABLED", true, true));
    }

    /// Goal: the operating state is said when it changes, and every second; the rest every time.
    #[test]
    fn the_operating_state_is_said_on_change_and_every_second() {
        let mut narrator = narrator(ArmEntry::Instrument);
        let mut count = |ms: u64, flags| narrator.tell(ms * 1_000_000, &seen(flags)).unwrap().len();
        assert_eq!(count(0, 0), 7);
        assert_eq!(count(10, 0), 6);
        assert_eq!(count(20, state_flags::HOMED), 7);
        assert_eq!(count(1_010, state_flags::HOMED), 6);
        assert_eq!(count(1_020, state_flags::HOMED), 7);
    }
}
