/** Small algebra of rotations and poses: quaternions w, x, y, z, and 3-vectors. */
import { type Pose, type Quaternion, type Vec3 } from "../wire/pose";

export function multiply([aw, ax, ay, az]: Quaternion, [bw, bx, by, bz]: Quaternion): Quaternion {
  return [
    aw * bw - ax * bx - ay * by - az * bz,
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
  ];
}

export function normalized(q: Quaternion): Quaternion {
  const norm = Math.hypot(...q);
  return [q[0] / norm, q[1] / norm, q[2] / norm, q[3] / norm];
}

/** A turn about a vector by its length in rad. */
export function turn(axisRad: Vec3): Quaternion {
  const angle = Math.hypot(...axisRad);
  if (angle === 0) return [1, 0, 0, 0];
  const s = Math.sin(angle / 2) / angle;
  return [Math.cos(angle / 2), axisRad[0] * s, axisRad[1] * s, axisRad[2] * s];
}

/** `a`, turned by `q`. */
export function rotated(q: Quaternion, a: Vec3): Vec3 {
  const axis: Vec3 = [q[1], q[2], q[3]];
  const across = times(cross(axis, a), 2);
  return add(add(a, times(across, q[0])), cross(axis, across));
}

/** The smallest turn that brings the direction of `from` to that of `to`. */
export function between(from: Vec3, to: Vec3): Quaternion {
  const across = cross(from, to);
  const sine = length(across);
  return sine === 0 ? [1, 0, 0, 0] : turn(times(across, Math.atan2(sine, dot(from, to)) / sine));
}

/** `b_from_c` by `a_from_b` is `a_from_c`. */
export function composed(a: Pose, b: Pose): Pose {
  return { positionM: placed(a, b.positionM), orientationWxyz: normalized(multiply(a.orientationWxyz, b.orientationWxyz)) };
}

/** A point of `b`'s frame in `a`'s, by `a_from_b`. */
export function placed({ positionM, orientationWxyz }: Pose, point: Vec3): Vec3 {
  return add(positionM, rotated(orientationWxyz, point));
}

/** Angle between two orientations, in degrees. */
export function degreesBetween(a: Quaternion, b: Quaternion): number {
  const dot = Math.abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]);
  return (2 * Math.acos(Math.min(1, dot)) * 180) / Math.PI;
}

export function add(a: Vec3, b: Vec3): Vec3 {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function subtract(a: Vec3, b: Vec3): Vec3 {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

export function times(a: Vec3, factor: number): Vec3 {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

export function length(a: Vec3): number {
  return Math.hypot(...a);
}

export function dot(a: Vec3, b: Vec3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vec3, b: Vec3): Vec3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
