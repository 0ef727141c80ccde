/**
 * Forbidden regions as a surgeon marks them in the picture, and as they are drawn over it. Pure.
 *
 * One picture does not tell how far away a thing is, the tool in it does: what is marked is taken to lie about as deep as the end of
 * its jaws. The region reaches from a little before that to well behind it, along the line of sight, so that a hand's error in
 * depth does not leave open what was meant. Where it really lies is drawn, and seen from another side before anybody relies on it.
 */
import { type Vec3 } from "../wire/pose";
import { type Region } from "../wire/statement";
import { type Eye, type PicturePoint, axesOf, kitFromView, project } from "./camera";
import { add, cross, dot, length, rotated, subtract, times } from "./rotation";

/** In force at once: `shared/motion` keeps to no more. */
export const REGIONS_MAX = 8;
/** Before and behind the end of the jaws. */
export const BEFORE_M = 0.005;
export const BEHIND_M = 0.03;
const RADIUS_M = { min: 0.001, max: 0.03 } as const;
/** Smaller is a slip of the hand, in heights of the picture. */
const DRAWN_MIN = 0.008;
/** No tool works nearer to the lens. */
const NEAREST_M = 0.005;
const CORNERS = 24;

/** A circle in the picture, its radius in heights of the picture. */
export interface Mark {
  readonly middle: PicturePoint;
  readonly radius: number;
}

/** What a mark forbids while the end of the jaws is there; undefined: it is too small, or the tool is behind the eye. */
export function regionOf({ middle, radius }: Mark, eye: Eye, jawsEndM: Vec3): Extract<Region, { is: "capsule" }> | undefined {
  const axes = axesOf(eye);
  const depthM = dot(subtract(jawsEndM, eye.kitFromCamera.positionM), axes.into);
  if (radius < DRAWN_MIN || depthM < NEAREST_M) return undefined;
  const heightM = 2 * Math.tan(eye.fovYRad / 2);
  const sight = kitFromView(axes, [middle.right * heightM, middle.down * heightM, 1]);
  const at = (deepM: number) => inUm(add(eye.kitFromCamera.positionM, times(sight, deepM)));
  const radiusM = Math.min(RADIUS_M.max, Math.max(RADIUS_M.min, radius * heightM * depthM));
  return { is: "capsule", fromUm: at(Math.max(NEAREST_M, depthM - BEFORE_M)), toUm: at(depthM + BEHIND_M), radiusUm: Math.round(radiusM * 1e6) };
}

/** Where a region appears: the corners of its outline; undefined for one without an end, and where the eye is too near. */
export function outlineOf(region: Region, eye: Eye): readonly PicturePoint[] | undefined {
  if (region.is === "half-space") return undefined;
  const points = region.is === "block" ? cornersOf(region) : [region.fromUm, region.toUm].flatMap((middle) => rim(inM(middle), region.radiusUm / 1e6, eye));
  const seen = points.map((point) => project(eye, point, point)?.[0]);
  return seen.every((point) => point !== undefined) ? hull(seen) : undefined;
}

/** A ball's silhouette. */
function rim(middleM: Vec3, radiusM: number, eye: Eye): Vec3[] {
  const sight = subtract(middleM, eye.kitFromCamera.positionM);
  const aside = cross(sight, axesOf(eye).down);
  const right = times(aside, radiusM / length(aside));
  const across = cross(sight, right);
  const down = times(across, radiusM / length(across));
  return Array.from({ length: CORNERS }, (_, i) => {
    const angle = (2 * Math.PI * i) / CORNERS;
    return add(middleM, add(times(right, Math.cos(angle)), times(down, Math.sin(angle))));
  });
}

function cornersOf({ centreUm, wxyz, halfUm }: Extract<Region, { is: "block" }>): Vec3[] {
  const [w = 0, x = 0, y = 0, z = 0] = wxyz.map((part) => part / 1e6);
  const norm = Math.hypot(w, x, y, z) || 1;
  const [a, b, c] = inM(halfUm);
  const signs = [-1, 1];
  const corners = signs.flatMap((i) => signs.flatMap((j) => signs.map((k): Vec3 => [i * a, j * b, k * c])));
  return corners.map((corner) => add(inM(centreUm), rotated([w / norm, x / norm, y / norm, z / norm], corner)));
}

/** The points around which a thread would lie (Andrew 1979). */
function hull(points: readonly PicturePoint[]): PicturePoint[] {
  const sorted = [...points].sort((a, b) => a.right - b.right || a.down - b.down);
  const half = (of: readonly PicturePoint[]) => {
    const kept: PicturePoint[] = [];
    for (const point of of) {
      for (let [a, b] = kept.slice(-2); a && b && turnsIn(a, b, point); [a, b] = kept.slice(-2)) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...half(sorted), ...half([...sorted].reverse())];
}

function turnsIn(a: PicturePoint, b: PicturePoint, c: PicturePoint): boolean {
  return (b.right - a.right) * (c.down - a.down) - (b.down - a.down) * (c.right - a.right) <= 0;
}

function inUm(pointM: Vec3): number[] {
  return pointM.map((m) => Math.round(m * 1e6));
}

function inM(um: readonly number[]): Vec3 {
  const [x = 0, y = 0, z = 0] = um;
  return [x / 1e6, y / 1e6, z / 1e6];
}
