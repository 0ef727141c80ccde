//! Messages of ROS 2, as published: `std_msgs`, `geometry_msgs` and `sensor_msgs` (ROS 2 Jazzy; the same since Humble), and
//! `crtk_msgs` 1.3.0. Each has the name that DDS knows it by, and the hash of its definition (REP 2011).

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What a message's type is called on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosType {
    pub dds: &'static str,
    pub hash: &'static str,
}

/// A message that is published by itself.
pub trait Message: Serialize + DeserializeOwned {
    const TYPE: RosType;
}

/// `builtin_interfaces/Time`: of the machine's clock (UTC), in ROS's words system time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    pub sec: i32,
    pub nanosec: u32,
}

/// `std_msgs/Header`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub stamp: Time,
    pub frame_id: String,
}

/// `geometry_msgs/Point`, m.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

/// `geometry_msgs/Quaternion`: the scalar comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quaternion {
    pub x: f64,
    pub y: f64,
    pub z: f64,
    pub w: f64,
}

/// `geometry_msgs/Pose`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    pub position: Point,
    pub orientation: Quaternion,
}

/// `geometry_msgs/PoseStamped`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoseStamped {
    pub header: Header,
    pub pose: Pose,
}

impl Message for PoseStamped {
    const TYPE: RosType = RosType {
        dds: "geometry_msgs::msg::dds_::PoseStamped_",
        hash: "RIHS01_10f3786d7d40fd2b54367835614bff85d4ad3b5dab62bf8bca0cc232d73b4cd8",
    };
}

/// `sensor_msgs/JointState`: rad, at insertion m, and both by the second. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JointState {
    pub header: Header,
    pub name: Vec<String>,
    pub position: Vec<f64>,
    pub velocity: Vec<f64>,
    pub effort: Vec<f64>,
}

impl Message for JointState {
    const TYPE: RosType = RosType {
        dds: "sensor_msgs::msg::dds_::JointState_",
        hash: "RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e",
    };
}

/// `crtk_msgs/OperatingState`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatingState {
    pub header: Header,
    /// DISABLED, ENABLED, PAUSED or FAULT.
    pub state: String,
    pub is_homed: bool,
    pub is_busy: bool,
}

impl Message for OperatingState {
    const TYPE: RosType = RosType {
        dds: "crtk_msgs::msg::dds_::OperatingState_",
        hash: "RIHS01_5cc57eea589b217fe5194bf2735b91d4a7f2dd5ac1245ae657f7ea7590c2c80e",
    };
}

/// `crtk_msgs/StringStamped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StringStamped {
    pub header: Header,
    pub string: String,
}

impl Message for StringStamped {
    const TYPE: RosType = RosType {
        dds: "crtk_msgs::msg::dds_::StringStamped_",
        hash: "RIHS01_83efb802e6596e03f69ac322e3231037329946f2bd13ed48874d97f5b8f5db1d",
    };
}
