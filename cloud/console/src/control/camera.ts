/**
 * How the camera looks at the arm: the one place that says so. The hand moves in the picture, what is drawn over it lies in
 * the picture, and the target in the arm's base frame.
 *
 * The edge box says it (`shared/wire`, `Camera`). The camera's frame is the optical one: x to the right of the picture, y
 * down, z into it; a pinhole without distortion.
 */
import { type Vec3 } from "../wire/pose";
import { type Camera } from "../wire/video";
import { add, cross, length, rotated, subtract, times } from "./rotation";

/** The camera's axes in the base frame. */
export interface ViewAxes {
  readonly right: Vec3;
  readonly down: Vec3;
  readonly into: Vec3;
}

/** A point of the picture: right of its middle and below it, in heights of the picture. */
export interface PicturePoint {
  readonly right: number;
  readonly down: number;
}

/** What is nearer to the eye is not in any picture. */
const NEAR_M = 1e-3;

export function axesOf({ baseFromCamera }: Camera): ViewAxes {
  const axis = (along: Vec3) => rotated(baseFromCamera.orientationWxyz, along);
  return { right: axis([1, 0, 0]), down: axis([0, 1, 0]), into: axis([0, 0, 1]) };
}

export function lookingAt(eyeM: Vec3, atM: Vec3, up: Vec3): ViewAxes {
  const into = unit(subtract(atM, eyeM));
  const right = unit(cross(into, up));
  return { right, down: cross(into, right), into };
}

/** Until the edge box says otherwise the hand moves as the simulator's endoscope looks (`sim/theatre`, `stage.rs`). */
export const SIMULATOR_VIEW = lookingAt([-0.058, -0.034, -0.058], [0, 0, -0.149], [0, 1, 0]);

/** A vector of the picture (right, down, into it) in the base frame. */
export function baseFromView(view: ViewAxes, [right, down, into]: Vec3): Vec3 {
  return add(add(times(view.right, right), times(view.down, down)), times(view.into, into));
}

/** Where a segment of the base frame appears: cut off where it passes the eye, undefined if it lies behind it. */
export function project(camera: Camera, fromM: Vec3, toM: Vec3): readonly [PicturePoint, PicturePoint] | undefined {
  const [from, to] = [seenFrom(camera, fromM), seenFrom(camera, toM)];
  if (from[2] < NEAR_M && to[2] < NEAR_M) return undefined;
  const focal = 0.5 / Math.tan(camera.fovYRad / 2);
  const point = ([x, y, z]: Vec3): PicturePoint => ({ right: (focal * x) / z, down: (focal * y) / z });
  return [point(before(from, to)), point(before(to, from))];
}

function seenFrom({ baseFromCamera }: Camera, pointM: Vec3): Vec3 {
  const [w, x, y, z] = baseFromCamera.orientationWxyz;
  return rotated([w, -x, -y, -z], subtract(pointM, baseFromCamera.positionM));
}

/** `point`, or where the way to it from `other` comes too near to the eye. */
function before(point: Vec3, other: Vec3): Vec3 {
  if (point[2] >= NEAR_M) return point;
  const share = (NEAR_M - other[2]) / (point[2] - other[2]);
  return add(other, times(subtract(point, other), share));
}

function unit(a: Vec3): Vec3 {
  return times(a, 1 / length(a));
}
