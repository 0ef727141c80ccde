/** Where a point of the picture lies against the outlines in it. Pure. */
import { type PicturePoint } from "../control/camera";
import { type Contour } from "../wire/overlay";

const WHOLE = 65535;

/** Whether it is in the picture, and no nearer to its edge than `margin`, in heights of the picture. */
export function isInPicture({ right, down }: PicturePoint, aspect: number, margin = 0): boolean {
  return Math.abs(right) <= aspect / 2 - margin && Math.abs(down) <= 0.5 - margin;
}

/** How far a point lies from an outline's edge, in heights of the picture, or 0 inside. */
export function toOutline(at: PicturePoint, { points }: Contour, aspect: number): number {
  const polygon = corners(points, aspect);
  let [inside, nearest] = [false, Number.POSITIVE_INFINITY];
  polygon.forEach((from, i) => {
    const to = polygon[(i + 1) % polygon.length] ?? from;
    const crosses = from.down > at.down !== to.down > at.down;
    if (crosses && at.right < from.right + ((at.down - from.down) / (to.down - from.down)) * (to.right - from.right)) inside = !inside;
    nearest = Math.min(nearest, toLine(at, from, to));
  });
  return inside ? 0 : nearest;
}

function corners(points: Contour["points"], aspect: number): PicturePoint[] {
  return Array.from({ length: Math.floor(points.length / 2) }, (_, i) => ({
    right: ((points[2 * i] ?? 0) / WHOLE - 0.5) * aspect,
    down: (points[2 * i + 1] ?? 0) / WHOLE - 0.5,
  }));
}

function toLine(at: PicturePoint, from: PicturePoint, to: PicturePoint): number {
  const [x, y] = [to.right - from.right, to.down - from.down];
  const along = ((at.right - from.right) * x + (at.down - from.down) * y) / (x * x + y * y || 1);
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(at.right - from.right - share * x, at.down - from.down - share * y);
}
