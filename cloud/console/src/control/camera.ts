/**
 * How the camera looks at the arms: the one place that says so. The hand moves in the picture, what is drawn over it lies in
 * the picture, and the target in the kit's frame.
 *
 * The edge box says how the camera sits (`shared/wire`, `Camera`); where it is follows from where the arm that carries it has its
 * tip. The camera's frame is the optical one: x to the right of the picture, y down, z into it; a pinhole without distortion.
 */
import { type Pose, type Vec3 } from "../wire/pose";
import { type Camera } from "../wire/video";
import { add, composed, cross, length, rotated, subtract, times } from "./rotation";

/** The camera at one moment. */
export interface Eye {
  readonly kitFromCamera: Pose;
  /** Full vertical angle of view. */
  readonly fovYRad: number;
}

/** The camera's axes in the kit's frame. */
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

/** A point as it appears. */
export interface Spot {
  readonly at: PicturePoint;
  /** How much the picture's height is at the point's depth. */
  readonly heightM: number;
}

/** What is nearer to the eye is not in any picture. */
const NEAR_M = 1e-3;

/** Where the camera is while the arm of a number has its tip there; undefined where that is not known. */
export function eyeOf({ arm, parentFromCamera, fovYRad }: Camera, tipOf: (arm: number) => Pose | undefined): Eye | undefined {
  if (arm === undefined) return { kitFromCamera: parentFromCamera, fovYRad };
  const tip = tipOf(arm);
  return tip && { kitFromCamera: composed(tip, parentFromCamera), fovYRad };
}

export function axesOf({ kitFromCamera }: Eye): ViewAxes {
  const axis = (along: Vec3) => rotated(kitFromCamera.orientationWxyz, along);
  return { right: axis([1, 0, 0]), down: axis([0, 1, 0]), into: axis([0, 0, 1]) };
}

export function lookingAt(eyeM: Vec3, atM: Vec3, up: Vec3): ViewAxes {
  const into = unit(subtract(atM, eyeM));
  const right = unit(cross(into, up));
  return { right, down: cross(into, right), into };
}

/** Until the edge box says otherwise the hand moves as the simulator's endoscope looks (`sim/theatre`, `stage.rs`). */
export const SIMULATOR_VIEW = lookingAt([-0.058, -0.034, -0.058], [0, 0, -0.149], [0, 1, 0]);

/** A vector of the picture (right, down, into it) in the kit's frame. */
export function kitFromView(view: ViewAxes, [right, down, into]: Vec3): Vec3 {
  return add(add(times(view.right, right), times(view.down, down)), times(view.into, into));
}

/** Where a segment of the kit's frame appears: cut off where it passes the eye, undefined if it lies behind it. */
export function project(eye: Eye, fromM: Vec3, toM: Vec3): readonly [PicturePoint, PicturePoint] | undefined {
  const [from, to] = [seenFrom(eye, fromM), seenFrom(eye, toM)];
  if (from[2] < NEAR_M && to[2] < NEAR_M) return undefined;
  const focal = 0.5 / Math.tan(eye.fovYRad / 2);
  const point = ([x, y, z]: Vec3): PicturePoint => ({ right: (focal * x) / z, down: (focal * y) / z });
  return [point(before(from, to)), point(before(to, from))];
}

/** Where a point of the kit's frame appears, undefined if it lies behind the eye. */
export function spotOf(eye: Eye, pointM: Vec3): Spot | undefined {
  const at = project(eye, pointM, pointM)?.[0];
  return at && { at, heightM: 2 * Math.tan(eye.fovYRad / 2) * seenFrom(eye, pointM)[2] };
}

function seenFrom({ kitFromCamera }: Eye, pointM: Vec3): Vec3 {
  const [w, x, y, z] = kitFromCamera.orientationWxyz;
  return rotated([w, -x, -y, -z], subtract(pointM, kitFromCamera.positionM));
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
