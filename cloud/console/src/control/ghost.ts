/**
 * The ghost: where the tool will be once the arm has done what this page last told it. The picture shows the tool as it was
 * when the light left it; between the two lies the loop's delay, which the ghost lets the surgeon see instead of fight.
 *
 * Drawn from the commanded pose through the arm's own geometry, closed form. The shaft runs through the arm's remote centre, its
 * base frame's origin, which is where its mount is; the wrist's pitch axis lies on it, {@link PITCH_TO_JAW_AXIS_M} before the axis on which the jaws turn, and the
 * link between the two stands square on the latter. So remote centre, link and jaws' axis share a plane, and the link is what
 * is left of the way to the tip without its part along that axis. Nothing in this asks how the base is turned, so the kit's frame
 * serves for every arm.
 */
import { type Pose, type Vec3 } from "../wire/pose";
import { dot, length, rotated, subtract, times, add } from "./rotation";

/** From the wrist's pitch axis to the jaws' axis, and from there to the jaws' end: `sim/scene/src/instrument.rs` has the sources. */
const PITCH_TO_JAW_AXIS_M = 0.0091;
const JAW_LENGTH_M = 0.0102;
/** So much of the shaft is drawn. */
const SHAFT_M = 0.03;
/** Nearer to what is shown than this the ghost says nothing, and is not drawn; from the second on it is drawn in full. */
const NEAR_M = 0.0004;
const FAR_M = 0.0015;

export type Segment = readonly [Vec3, Vec3];

/** Shaft, link and two jaws as lines in the kit's frame, m, of an arm with its remote centre there. `jawRad`: angle between the jaws. */
export function skeleton({ positionM, orientationWxyz }: Pose, jawRad: number, remoteCentreM: Vec3): readonly Segment[] {
  const hinge = rotated(orientationWxyz, [1, 0, 0]);
  const reach = subtract(positionM, remoteCentreM);
  const square = subtract(reach, times(hinge, dot(reach, hinge)));
  const wrist = subtract(positionM, times(square, PITCH_TO_JAW_AXIS_M / length(square)));
  const shaft = subtract(wrist, remoteCentreM);
  const back = subtract(wrist, times(shaft, SHAFT_M / length(shaft)));
  const half = Math.max(0, jawRad) / 2;
  const jaw = (angle: number): Segment => {
    const end = rotated(orientationWxyz, [0, Math.sin(angle) * JAW_LENGTH_M, Math.cos(angle) * JAW_LENGTH_M]);
    return [positionM, add(positionM, end)];
  };
  return [[back, wrist], [wrist, positionM], jaw(half), jaw(-half)];
}

/** Where closed jaws end. */
export function jawsEnd({ positionM, orientationWxyz }: Pose): Vec3 {
  return add(positionM, rotated(orientationWxyz, [0, 0, JAW_LENGTH_M]));
}

/** How plainly the ghost of `commanded` is drawn while the picture shows the tool at `shown`: from 0, not at all, to 1. */
export function plainness(commanded: Pose, shown: Pose): number {
  const tip = length(subtract(commanded.positionM, shown.positionM));
  const apart = Math.max(tip, length(subtract(jawsEnd(commanded), jawsEnd(shown))));
  return Math.min(1, Math.max(0, (apart - NEAR_M) / (FAR_M - NEAR_M)));
}

/** Longer ago than this no picture was. */
const KEPT_MS = 1500;

/** Where the arm said it was, by when that was heard. */
export class Trail {
  readonly #heard: { readonly pose: Pose; readonly atMs: number }[] = [];

  heard(pose: Pose, atMs: number): void {
    this.#heard.push({ pose, atMs });
    if (this.#heard.length > 2 && atMs - (this.#heard[0]?.atMs ?? atMs) > KEPT_MS) this.#heard.shift();
  }

  /** The newest that was heard by then, or the first of all. */
  at(atMs: number): Pose | undefined {
    return (this.#heard.findLast((heard) => heard.atMs <= atMs) ?? this.#heard[0])?.pose;
  }
}
