"""A ROS peer without ROS: Zenoh's own Python client, and `rosbags` for the messages as they are published.

Shares nothing with Farhand but the names of the topics.
"""

import json
import math
import pathlib
import struct
import threading
import time

import zenoh
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

HERE = pathlib.Path(__file__).parent
RMW_ATTACHMENT_BYTES = 33

STORE = get_typestore(Stores.ROS2_JAZZY)
for name in ("OperatingState", "StringStamped"):
    STORE.register(get_types_from_msg((HERE / "crtk_msgs" / f"{name}.msg").read_text(), f"crtk_msgs/msg/{name}"))

POSE, JOINTS = "geometry_msgs/msg/PoseStamped", "sensor_msgs/msg/JointState"
STATES = {
    "measured_cp": POSE,
    "setpoint_cp": POSE,
    "measured_js": JOINTS,
    "setpoint_js": JOINTS,
    "jaw/measured_js": JOINTS,
    "jaw/setpoint_js": JOINTS,
    "operating_state": "crtk_msgs/msg/OperatingState",
}
COMMANDS = {"servo_cp": POSE, "jaw/servo_jp": JOINTS, "state_command": "crtk_msgs/msg/StringStamped"}


def key(topic, typename):
    """As rmw_zenoh names it; the hash is reckoned from the published definition (REP 2011)."""
    package, _, name = typename.split("/")
    return f"0/arm1/{topic}/{package}::msg::dds_::{name}_/{STORE.hash_rihs01(typename)}"


def header(frame="kit"):
    now = time.time_ns()
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=now // 10**9, nanosec=now % 10**9)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def position(pose):
    return (pose.position.x, pose.position.y, pose.position.z)


def distance_mm(one, other):
    return 1e3 * math.dist(one, other)


class Arm:
    """The newest message of each topic, decoded; and what there is to say to the arm."""

    def __init__(self, session):
        self.session = session
        self.lock = threading.Lock()
        self.newest, self.count, self.keys, self.attachments, self.seen = {}, {}, {}, {}, []
        self.number = 0
        self.wrong = []
        self.subscriber = session.declare_subscriber("0/arm1/**", self._take)
        self.publishers = {topic: session.declare_publisher(key(topic, of)) for topic, of in COMMANDS.items()}

    def _take(self, sample):
        path = str(sample.key_expr)
        for topic, typename in STATES.items():
            if path.startswith(f"0/arm1/{topic}/"):
                break
        else:
            return
        try:
            message = STORE.deserialize_cdr(sample.payload.to_bytes(), typename)
        except Exception as error:  # looked at by the test
            self.wrong.append((path, error))
            return
        with self.lock:
            self.newest[topic] = message
            self.count[topic] = self.count.get(topic, 0) + 1
            self.keys[topic] = path
            self.attachments.setdefault(topic, []).append(sample.attachment.to_bytes() if sample.attachment else b"")
            if topic == "measured_cp":
                self.seen.append((time.monotonic(), position(message.pose)))

    def tip(self):
        """Where the tool's tip was measured last, m."""
        return position(self.newest["measured_cp"].pose)

    def state(self):
        return self.newest["operating_state"].state if "operating_state" in self.newest else None

    def path(self, since):
        with self.lock:
            return [seen for seen in self.seen if seen[0] >= since]

    def _put(self, topic, message):
        self.number += 1
        attachment = struct.pack("<qqB16s", self.number, time.time_ns(), 16, b"a python client!")
        self.publishers[topic].put(bytes(STORE.serialize_cdr(message, COMMANDS[topic])), attachment=attachment)

    def say(self, command):
        self._put("state_command", STORE.types["crtk_msgs/msg/StringStamped"](header=header(), string=command))

    def servo_cp(self, at, orientation, frame="kit"):
        point = STORE.types["geometry_msgs/msg/Point"](*at)
        pose = STORE.types["geometry_msgs/msg/Pose"](position=point, orientation=orientation)
        self._put("servo_cp", STORE.types[POSE](header=header(frame), pose=pose))

    def jaw(self, rad):
        import numpy

        array = numpy.array([rad])
        none = numpy.array([])
        self._put("jaw/servo_jp", STORE.types[JOINTS](header=header(), name=["jaw"], position=array, velocity=none, effort=none))


def connect(config, **changes):
    """A session under a Zenoh configuration file; keyword arguments leave out or change TLS's settings."""
    settings = json.loads(pathlib.Path(config).read_text())
    for name, value in changes.items():
        if value is None:
            del settings["transport"]["link"]["tls"][name]
        else:
            settings["transport"]["link"]["tls"][name] = value
    return zenoh.open(zenoh.Config.from_json5(json.dumps(settings)))
