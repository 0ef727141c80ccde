"""ghost.json: where the tool's parts are, by the arm's own link table, and where a pinhole sees them. A second hand."""
import json, math, pathlib, random, tomllib

ARM = tomllib.loads((pathlib.Path(__file__).parents[4] / "shared/motion/arms/psm_large_needle_driver.toml").read_text())
EYE, AT, UP, FOV = (-0.058, -0.034, -0.058), (0.0, 0.0, -0.149), (0.0, 1.0, 0.0), 0.75
JAW = 0.0102


def mul(a, b):
    return [[sum(a[i][k] * b[k][j] for k in range(4)) for j in range(4)] for i in range(4)]


def child(link, q):
    """Rx(alpha) Tx(a) Rz(theta) Tz(d): modified Denavit-Hartenberg."""
    slide, turn = (q, 0.0) if link["name"] == "insertion" else (0.0, q)
    ca, sa = math.cos(link["alpha_rad"]), math.sin(link["alpha_rad"])
    t, d = link["theta_offset_rad"] + turn, link["d_m"] + slide
    ct, st = math.cos(t), math.sin(t)
    return [
        [ct, -st, 0, link["a_m"]],
        [st * ca, ct * ca, -sa, -d * sa],
        [st * sa, ct * sa, ca, d * ca],
        [0, 0, 0, 1],
    ]


def place(m, p):
    return [sum(m[i][j] * (*p, 1)[j] for j in range(4)) for i in range(3)]


def quaternion(m):
    w = math.sqrt(max(0, 1 + m[0][0] + m[1][1] + m[2][2])) / 2
    x = math.copysign(math.sqrt(max(0, 1 + m[0][0] - m[1][1] - m[2][2])) / 2, m[2][1] - m[1][2])
    y = math.copysign(math.sqrt(max(0, 1 - m[0][0] + m[1][1] - m[2][2])) / 2, m[0][2] - m[2][0])
    z = math.copysign(math.sqrt(max(0, 1 - m[0][0] - m[1][1] + m[2][2])) / 2, m[1][0] - m[0][1])
    return [w, x, y, z]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def unit(a):
    return [x / math.sqrt(dot(a, a)) for x in a]


def camera():
    into = unit([a - e for a, e in zip(AT, EYE)])
    right = unit(cross(into, UP))
    down = cross(into, right)
    return right, down, into


def seen(p):
    x, y, z = (dot(axis, [a - e for a, e in zip(p, EYE)]) for axis in camera())
    focal = 0.5 / math.tan(FOV / 2)
    return [focal * x / z, focal * y / z]


def pose(rng):
    joints = [rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0.1, 0.16), rng.uniform(-2, 2), rng.uniform(-1.2, 1.2), rng.uniform(-1.2, 1.2)]
    jaw = rng.uniform(0, 1.2)
    frame, wrist = [[float(i == j) for j in range(4)] for i in range(4)], None
    for link, q in zip(ARM["link"], joints):
        frame = mul(frame, child(link, q))
        if link["name"] == "wrist_pitch":
            wrist = place(frame, (0, 0, 0))
    tip = mul(frame, ARM["tip"]["link_from_tip"])
    ends = [place(tip, (0, JAW * math.sin(a), JAW * math.cos(a))) for a in (jaw / 2, -jaw / 2)]
    origin = place(tip, (0, 0, 0))
    return {
        "position_m": origin,
        "orientation_wxyz": quaternion(tip),
        "jaw_rad": jaw,
        "wrist_m": wrist,
        "jaw_ends_m": ends,
        "seen": {"wrist": seen(wrist), "tip": seen(origin), "jaw_ends": [seen(end) for end in ends]},
    }


rng = random.Random(1)
right, down, into = camera()
turn = [[right[i], down[i], into[i]] for i in range(3)]
print(json.dumps({"camera": {"position_m": EYE, "orientation_wxyz": quaternion(turn), "fov_y_rad": FOV}, "poses": [pose(rng) for _ in range(20)]}, indent=1))
