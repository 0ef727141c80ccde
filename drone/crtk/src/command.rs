//! What a command of the ROS world means. Every byte of it comes from outside: it becomes a type here, once.

use farhand_wire::{POSITION_M_MAX, Pose};
use thiserror::Error;

use crate::{
    cdr::{CdrError, decode},
    graph::Endpoint,
    messages::{JointState, Message as _, PoseStamped, RosType, StringStamped},
    narrator::FRAME,
};

const NORM_ERROR_MAX: f64 = 1e-3;
const JAW_RAD_MAX: f64 = std::f64::consts::PI;

/// A command that is well formed. Whether it moves anything is the guard's to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Where the tool's tip shall be.
    ServoCp(Pose),
    /// How far the jaws shall be open, rad.
    JawServoJp(f64),
    State(StateCommand),
}

/// CRTK's state commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCommand {
    Enable,
    Disable,
    Pause,
    Resume,
    Home,
    Unhome,
}

/// Why it is not followed.
#[derive(Debug, Error)]
pub enum BadCommand {
    #[error(transparent)]
    Cdr(#[from] CdrError),
    #[error("the pose is in the frame \"{seen}\", not in {FRAME}")]
    Frame { seen: String },
    #[error("{what} is {seen}, allowed is {min} to {max}")]
    Range { what: &'static str, seen: f64, min: f64, max: f64 },
    #[error("a jaw has one joint, not {seen}")]
    Joints { seen: usize },
    #[error("there is no state command \"{seen}\"")]
    NoSuchState { seen: String },
}

/// A topic that is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    ServoCp,
    JawServoJp,
    State,
}

impl Topic {
    pub(crate) fn endpoint(self) -> Endpoint<'static> {
        // The surgeon whose place this is operates the kit's first arm.
        let (topic, ros): (_, RosType) = match self {
            Self::ServoCp => ("arm1/servo_cp", PoseStamped::TYPE),
            Self::JawServoJp => ("arm1/jaw/servo_jp", JointState::TYPE),
            Self::State => ("arm1/state_command", StringStamped::TYPE),
        };
        Endpoint { topic, ros }
    }

    /// The command in a message on this topic.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Command, BadCommand> {
        match self {
            Self::ServoCp => servo_cp(&decode(bytes)?).map(Command::ServoCp),
            Self::JawServoJp => jaw_servo_jp(&decode(bytes)?).map(Command::JawServoJp),
            Self::State => state_command(&decode(bytes)?).map(Command::State),
        }
    }
}

fn servo_cp(message: &PoseStamped) -> Result<Pose, BadCommand> {
    let frame = message.header.frame_id.as_str();
    if !frame.is_empty() && frame != FRAME {
        return Err(BadCommand::Frame { seen: frame.chars().take(64).collect() });
    }
    let (p, q) = (message.pose.position, message.pose.orientation);
    let position_m = [p.x, p.y, p.z];
    for metres in position_m {
        within("a coordinate, m,", metres, -POSITION_M_MAX, POSITION_M_MAX)?;
    }
    let orientation = [q.w, q.x, q.y, q.z];
    let norm = orientation.iter().map(|part| part * part).sum::<f64>().sqrt();
    within("the quaternion's norm", norm, 1.0 - NORM_ERROR_MAX, 1.0 + NORM_ERROR_MAX)?;
    Ok(Pose { position_m, orientation_wxyz: orientation.map(|part| part / norm) })
}

fn jaw_servo_jp(message: &JointState) -> Result<f64, BadCommand> {
    let [jaw_rad] = message.position[..] else {
        return Err(BadCommand::Joints { seen: message.position.len() });
    };
    within("the jaw, rad,", jaw_rad, -JAW_RAD_MAX, JAW_RAD_MAX)?;
    Ok(jaw_rad)
}

fn state_command(message: &StringStamped) -> Result<StateCommand, BadCommand> {
    Ok(match message.string.as_str() {
        "enable" => StateCommand::Enable,
        "disable" => StateCommand::Disable,
        "pause" => StateCommand::Pause,
        "resume" => StateCommand::Resume,
        "home" => StateCommand::Home,
        "unhome" => StateCommand::Unhome,
        other => return Err(BadCommand::NoSuchState { seen: other.chars().take(64).collect() }),
    })
}

/// Finite, too: no comparison holds for what is not a number.
fn within(what: &'static str, seen: f64, min: f64, max: f64) -> Result<(), BadCommand> {
    if (min..=max).contains(&seen) { Ok(()) } else { Err(BadCommand::Range { what, seen, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cdr::encode,
        messages::{Header, Point, Pose as RosPose, Quaternion},
    };

    fn there(x: f64, w: f64, frame: &str) -> Result<Command, BadCommand> {
        let pose = RosPose {
            position: Point { x, y: 0.0, z: -0.1 },
            orientation: Quaternion { w, ..Default::default() },
        };
        let header = Header { frame_id: frame.to_owned(), ..Header::default() };
        Topic::ServoCp.read(&encode(&PoseStamped { header, pose }).unwrap())
    }

    /// Goal: a pose is taken in the kit's frame, its quaternion brought to length 1; anything out of bounds is refused with
    /// what was seen.
    #[test]
    fn a_pose_is_bounded_and_in_the_kits_frame() {
        let taken = Pose { position_m: [0.01, 0.0, -0.1], ..Pose::default() };
        assert_eq!(there(0.01, 1.0005, "kit").unwrap(), Command::ServoCp(taken));
        assert_eq!(there(0.01, 1.0, "").unwrap(), Command::ServoCp(taken));
        for bad in [
            there(1.1, 1.0, ""),
            there(f64::NAN, 1.0, ""),
            there(0.0, 0.0, ""),
            there(0.0, f64::INFINITY, ""),
        ] {
            assert!(matches!(bad, Err(BadCommand::Range { .. })), "{bad:?}");
        }
        assert!(matches!(there(0.0, 1.0, "world"), Err(BadCommand::Frame { .. })));
    }

    #[test]
    fn a_jaw_has_one_joint() {
        let read = |position: &[f64]| {
            let message = JointState { position: position.to_vec(), ..JointState::default() };
            Topic::JawServoJp.read(&encode(&message).unwrap())
        };
        assert_eq!(read(&[0.4]).unwrap(), Command::JawServoJp(0.4));
        assert!(matches!(read(&[]), Err(BadCommand::Joints { seen: 0 })));
        assert!(matches!(read(&[9.0]), Err(BadCommand::Range { .. })));
    }

    #[test]
    fn a_state_command_is_one_of_crtks() {
        let read = |string: &str| {
            let message = StringStamped { string: string.to_owned(), ..StringStamped::default() };
            Topic::State.read(&encode(&message).unwrap())
        };
        assert_eq!(read("enable").unwrap(), Command::State(StateCommand::Enable));
        assert!(matches!(read("ENABLE"), Err(BadCommand::NoSuchState { .. })));
    }
}
