/** From what the hand does to what the target does: hand increments, scaled, in the camera's view. */
import { type Pose, type Quaternion, type Vec3 } from "../wire/pose";
import { type ViewAxes, kitFromView } from "./camera";
import { add, between, degreesBetween, length, multiply, normalized, rotated, subtract, times, turn } from "./rotation";

/** Tool motion for hand motion. 0.2 is what the dVRK uses. */
export const SCALES = [0.05, 0.1, 0.2, 0.33, 0.5, 1] as const;
export const SCALE_START = 2;
/** The fastest that the target may move, in mm/s; the arm's own cap is above all of them. */
export const SPEEDS_MM_S = [5, 10, 20, 40, 80] as const;
export const SPEED_START = 3;

/** CSS defines a pixel as 1/96 inch. */
const MM_PER_PX = 25.4 / 96;
/** One notch of a wheel is about 100 px: 10 mm of hand. */
const DEPTH_MM_PER_PX = 0.1;
const RAD_PER_PX = (0.2 * Math.PI) / 180;
/** Motion saved up while the hand rested: no more than this much of full speed. */
const SPEED_BURST_MS = 50;
/** The target stays this close to where the arm was told to be; the guard refuses at 10 mm and 15°. */
const LEAD_MM_MAX = 8;
const LEAD_DEG_MAX = 12;

/** What the hand did since the last time, in CSS pixels. */
export interface HandMove {
  readonly rightPx: number;
  readonly downPx: number;
  /** Into the picture. */
  readonly intoPx: number;
  /** Turns the wrist instead of moving it. */
  readonly turning: boolean;
}

/** Lets only so much motion through as the speed allows. What is above it is dropped, never caught up. */
export class SpeedGate {
  #allowedMm = 0;
  #atMs = 0;

  restart(nowMs: number): void {
    this.#allowedMm = 0;
    this.#atMs = nowMs;
  }

  /** The share of a motion of `wantedMm` that may be made now. */
  share(nowMs: number, wantedMm: number, speedMmS: number): number {
    const saved = Math.min(nowMs - this.#atMs, SPEED_BURST_MS) * (speedMmS / 1000);
    this.#allowedMm = Math.min(this.#allowedMm + Math.max(0, saved), (SPEED_BURST_MS * speedMmS) / 1000);
    this.#atMs = nowMs;
    const share = wantedMm <= this.#allowedMm ? 1 : this.#allowedMm / wantedMm;
    this.#allowedMm -= wantedMm * share;
    return share;
  }
}

/** How far the hand asks the target to go, in mm and already scaled, in the kit's frame. */
export function translationMm(move: HandMove, scale: number, view: ViewAxes): Vec3 {
  if (move.turning) return [0, 0, 0];
  const handMm: Vec3 = [move.rightPx * MM_PER_PX, move.downPx * MM_PER_PX, move.intoPx * DEPTH_MM_PER_PX];
  return kitFromView(view, times(handMm, scale));
}

/** The target moved by `mm`, kept from running away from the arm. */
export function moved(target: Pose, mm: Vec3, setpoint: Pose): Pose {
  const from = subtract(target.positionM, setpoint.positionM);
  const to = add(from, times(mm, 1e-3));
  const far = Math.max(LEAD_MM_MAX * 1e-3, length(from));
  const kept = length(to) > far ? times(to, far / length(to)) : to;
  return { ...target, positionM: add(setpoint.positionM, kept) };
}

/** The target turned about the picture's axes, and by the wheel about the line of sight. */
export function turned(target: Pose, move: HandMove, view: ViewAxes, setpoint: Pose): Pose {
  const axis = kitFromView(view, [-move.downPx * RAD_PER_PX, move.rightPx * RAD_PER_PX, move.intoPx * RAD_PER_PX]);
  return near(target, { ...target, orientationWxyz: normalized(multiply(turn(axis), target.orientationWxyz)) }, setpoint);
}

/**
 * The endoscope's tip moved by `mm`. An endoscope has no wrist: its shaft runs through the remote centre, so it turns with it, and
 * by no more than that takes: the picture does not roll.
 */
export function swung(target: Pose, mm: Vec3, remoteCentreM: Vec3, setpoint: Pose): Pose {
  const { positionM } = moved(target, mm, setpoint);
  const swing = between(subtract(target.positionM, remoteCentreM), subtract(positionM, remoteCentreM));
  return near(target, { positionM, orientationWxyz: normalized(multiply(swing, target.orientationWxyz)) }, setpoint);
}

/** The endoscope turned about its shaft, along which it looks: by a drag to the right, or the wheel, clockwise. */
export function rolled(target: Pose, { rightPx, intoPx }: HandMove, remoteCentreM: Vec3, setpoint: Pose): Pose {
  const shaft = subtract(target.positionM, remoteCentreM);
  const roll = turn(times(shaft, ((rightPx + intoPx) * RAD_PER_PX) / length(shaft)));
  return near(target, { ...target, orientationWxyz: normalized(multiply(roll, target.orientationWxyz)) }, setpoint);
}

/** The view's axes after the endoscope was turned from one orientation to another. */
export function carried(view: ViewAxes, [w, x, y, z]: Quaternion, after: Quaternion): ViewAxes {
  const turned = multiply(after, [w, -x, -y, -z]);
  return { right: rotated(turned, view.right), down: rotated(turned, view.down), into: rotated(turned, view.into) };
}

/** `next`, unless it would run away from how the arm is turned. */
function near(target: Pose, next: Pose, { orientationWxyz }: Pose): Pose {
  const [before, after] = [target, next].map((pose) => degreesBetween(pose.orientationWxyz, orientationWxyz));
  return (after ?? 0) > Math.max(LEAD_DEG_MAX, before ?? 0) ? target : next;
}
