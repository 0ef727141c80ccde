"""How far the poses that it is given are from those of a robotics library: Modern Robotics (Lynch and Park, Cambridge 2017),
whose forward kinematics multiply exponentials of screws, where ours multiply link tables. Arguments: the arm's file. On
standard input, a JSON object a line: `joints`, and `pose` as a matrix. Says the greatest difference of any number."""

import json
import sys
import tomllib

import modern_robotics as mr
import numpy as np


def screw(rotation, translation):
    """Along and about one axis."""
    return mr.MatrixExp6(mr.VecTose3(np.concatenate([rotation, translation])))


def read(path):
    """The tip's pose with all joints at zero, and the joints' screws in the base frame."""
    with open(path, "rb") as file:
        arm = tomllib.load(file)
    frame, screws = np.eye(4), []
    for link in arm["link"]:
        frame = frame @ screw([link["alpha_rad"], 0, 0], [link["a_m"], 0, 0])
        frame = frame @ screw([0, 0, link["theta_offset_rad"]], [0, 0, link["d_m"]])
        axis, point = frame[:3, 2], frame[:3, 3]
        slides = link["name"] == "insertion"
        screws.append(np.r_[0, 0, 0, axis] if slides else np.r_[axis, np.cross(point, axis)])
    return frame @ np.array(arm["tip"]["link_from_tip"]), np.array(screws).T


def main():
    zero, screws = read(sys.argv[1])
    worst, poses = 0.0, 0
    for line in sys.stdin:
        one = json.loads(line)
        theirs = mr.FKinSpace(zero, screws, np.array(one["joints"]))
        worst = max(worst, np.abs(theirs - np.array(one["pose"])).max())
        poses += 1
    print(json.dumps({"poses": poses, "worst": worst}))


main()
