/**
 * How the camera looks at the arm: the one place that says so. The hand moves in the picture, and the target in the
 * arm's base frame.
 *
 * Until a session says otherwise this is the simulator's endoscope (`sim/scene`, `Camera::looking_at`): an eye at
 * (-58, -34, -58) mm that looks at (0, 0, -149) mm with +y up, both in the base frame. The camera's frame is the optical
 * one: x to the right of the picture, y down, z into it.
 */
import { type Vec3 } from "../wire/pose";
import { add, cross, length, subtract, times } from "./rotation";

/** The camera's axes in the base frame. */
export interface ViewAxes {
  readonly right: Vec3;
  readonly down: Vec3;
  readonly into: Vec3;
}

export function lookingAt(eyeM: Vec3, atM: Vec3, up: Vec3): ViewAxes {
  const into = unit(subtract(atM, eyeM));
  const right = unit(cross(into, up));
  return { right, down: cross(into, right), into };
}

export const SIMULATOR_VIEW = lookingAt([-0.058, -0.034, -0.058], [0, 0, -0.149], [0, 1, 0]);

/** A vector of the picture (right, down, into it) in the base frame. */
export function baseFromView(view: ViewAxes, [right, down, into]: Vec3): Vec3 {
  return add(add(times(view.right, right), times(view.down, down)), times(view.into, into));
}

function unit(a: Vec3): Vec3 {
  return times(a, 1 / length(a));
}
