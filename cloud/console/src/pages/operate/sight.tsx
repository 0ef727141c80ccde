/** Lines around what the net sees, over the picture that it saw it in. */
import { useEffect, useRef } from "preact/hooks";
import { type Surgeon } from "../../control/surgeon";
import { type Sighting, type Wanted, shows } from "../../video/sight";
import { type Contour, SeenClass } from "../../wire/overlay";
import { type Place, placeOfPicture, samePlace } from "./place";

/** Dark beside the line, so that it shows on bright tissue. */
const EDGE = "rgb(0 0 0 / 40%)";
const EDGE_PX = 1.5;

type Look = readonly [colour: string, px: number];

/** Colour, and how wide: jaws are what matters most. */
const LOOKS: Readonly<Partial<Record<SeenClass, Look>>> = {
  [SeenClass.Shaft]: ["--sight-tool", 1],
  [SeenClass.Wrist]: ["--sight-tool", 1.25],
  [SeenClass.Jaws]: ["--sight-tool", 2],
  [SeenClass.Vessel]: ["--sight-vessel", 1.5],
};
/** A vessel that the page tells of. */
const NEAR: Look = ["--sight-vessel-near", 3.5];

interface Pen {
  readonly colour: string;
  readonly px: number;
}

const POINT_MAX = 65535;
/** How far the canvas reaches beyond what is drawn: lines move a little from picture to picture. */
const AROUND_PX = 48;
const NOWHERE: Place = { left: 0, top: 0, width: 0, height: 0 };

export function Sight({ surgeon }: { readonly surgeon: Surgeon }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const wanted = surgeon.wanted.value;
  useEffect(() => (canvas.current === null || wanted === "off" ? undefined : draw(canvas.current, surgeon, wanted)), [wanted, surgeon]);
  return <canvas class="outlines" ref={canvas} aria-hidden="true" />;
}

/** Draws at the screen's own rate, where something changed, until the returned function is called, which leaves nothing behind. */
function draw(canvas: HTMLCanvasElement, surgeon: Surgeon, wanted: Wanted): () => void {
  const context = canvas.getContext("2d");
  if (context === null) return () => undefined;
  const styles = getComputedStyle(canvas);
  const penOf = ([colour, px]: Look): Pen => ({ colour: styles.getPropertyValue(colour), px });
  const pens = new Map(Object.entries(LOOKS).map(([seen, look]) => [Number(seen), penOf(look)]));
  const near = penOf(NEAR);
  let handle = 0;
  let drawn: Sighting["overlay"] | undefined;
  let before: Place | undefined;
  let covered = NOWHERE;
  const step = () => {
    handle = requestAnimationFrame(step);
    const [overlay, place] = [surgeon.sight.over(surgeon.frames.newest)?.overlay, placeOfPicture(canvas)];
    // A canvas that is touched is put together with the picture anew.
    if (overlay === drawn && (overlay === undefined || samePlace(place, before))) return;
    [drawn, before] = [overlay, place];
    const lines = (overlay?.contours ?? []).flatMap((contour) => {
      const pen = surgeon.vessels.means(contour) ? near : pens.get(contour.class);
      return pen !== undefined && shows(wanted, contour.class) ? [{ points: pointsOf(contour, place), pen }] : [];
    });
    covered = cover(canvas, lines.flatMap(({ points }) => points), place, covered);
    for (const { points, pen } of lines) stroke(context, points, covered, pen);
  };
  step();
  return () => {
    cancelAnimationFrame(handle);
    canvas.hidden = true;
  };
}

type Points = readonly (readonly [x: number, y: number])[];

/** In points of the place that the picture lies in. */
function pointsOf({ points }: Contour, { left, top, width, height }: Place): Points {
  const pairs = Array.from({ length: points.length >> 1 }, (_, i) => [points[2 * i] ?? 0, points[2 * i + 1] ?? 0] as const);
  return pairs.map(([x, y]) => [left + (x / POINT_MAX) * width, top + (y / POINT_MAX) * height]);
}

/**
 * Clears the canvas, and sees to it that it covers these points and not much more: whatever it covers is put together with every picture.
 * It keeps its place while it can, because another one makes the browser lay out the page.
 */
function cover(canvas: HTMLCanvasElement, points: Points, picture: Place, before: Place): Place {
  canvas.hidden = points.length === 0;
  if (canvas.hidden) return before;
  const [left, width] = stretch(points.map(([x]) => x), picture.left, picture.width);
  const [top, height] = stretch(points.map(([, y]) => y), picture.top, picture.height);
  const inside = left >= before.left && top >= before.top && left + width <= before.left + before.width && top + height <= before.top + before.height;
  if (inside && 3 * width * height > before.width * before.height) {
    canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
    return before;
  }
  const px = (length: number) => `${length / devicePixelRatio}px`;
  Object.assign(canvas.style, { marginLeft: px(left), marginTop: px(top), width: px(width), height: px(height) });
  // Setting its size clears it, too.
  Object.assign(canvas, { width, height });
  return { left, top, width, height };
}

/** From the least to the greatest and some more, but not beyond the picture: where it begins, and how long it is. */
function stretch(values: readonly number[], from: number, length: number): readonly [from: number, length: number] {
  const begin = Math.floor(Math.max(Math.min(...values) - AROUND_PX, from));
  return [begin, Math.ceil(Math.min(Math.max(...values) + AROUND_PX, from + length)) - begin];
}

function stroke(context: CanvasRenderingContext2D, points: Points, { left, top }: Place, { colour, px }: Pen): void {
  const path = new Path2D();
  for (const [x, y] of points) path.lineTo(x - left, y - top);
  path.closePath();
  context.lineJoin = "round";
  for (const [wide, style] of [[px + EDGE_PX, EDGE], [px, colour]] as const) {
    context.lineWidth = wide * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(path);
  }
}
