/** A rigid pose as it travels, 56 bytes: metres, then a unit quaternion w, x, y, z. */
import { bounded } from "./kind";

export type Vec3 = readonly [number, number, number];
export type Quaternion = readonly [number, number, number, number];

/**
 * Pose of an arm's tip in the kit's frame, the base frame of its first arm (origin at that arm's remote centre of motion), unless
 * said otherwise. CRTK's `_cp`.
 */
export interface Pose {
  readonly positionM: Vec3;
  readonly orientationWxyz: Quaternion;
}

export const POSITION_M_MAX = 1;
const NORM_ERROR_MAX = 1e-3;

export function writePose(view: DataView, at: number, pose: Pose): void {
  [...pose.positionM, ...pose.orientationWxyz].forEach((value, i) => view.setFloat64(at + 8 * i, value, true));
}

export function readPose(view: DataView, at: number): Pose {
  const float = (i: number) => view.getFloat64(at + 8 * i, true);
  const position = (i: number) => bounded("position_m", float(i), -POSITION_M_MAX, POSITION_M_MAX);
  const positionM: Vec3 = [position(0), position(1), position(2)];
  const norm = Math.hypot(float(3), float(4), float(5), float(6));
  bounded("orientation norm", norm, 1 - NORM_ERROR_MAX, 1 + NORM_ERROR_MAX);
  return { positionM, orientationWxyz: [float(3) / norm, float(4) / norm, float(5) / norm, float(6) / norm] };
}
