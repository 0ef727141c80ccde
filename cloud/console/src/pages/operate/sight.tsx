/** Lines around what the net sees, over the picture that it saw it in. */
import { useEffect, useRef } from "preact/hooks";
import { type Surgeon } from "../../control/surgeon";
import { type Sighting, type Wanted } from "../../video/sight";
import { type Contour, SeenClass } from "../../wire/overlay";
import { type Place, placeOfPicture, samePlace } from "./place";

/** Dark beside the line, so that it shows on bright tissue. */
const EDGE = "rgb(0 0 0 / 40%)";
const EDGE_PX = 1.5;

/** Colour, and how wide: jaws are what matters most. */
const LOOKS: Readonly<Partial<Record<SeenClass, readonly [colour: string, px: number]>>> = {
  [SeenClass.Shaft]: ["--sight-tool", 1],
  [SeenClass.Wrist]: ["--sight-tool", 1.25],
  [SeenClass.Jaws]: ["--sight-tool", 2],
  [SeenClass.Vessel]: ["--sight-vessel", 1.5],
};

interface Pen {
  readonly colour: string;
  readonly px: number;
}

const POINT_MAX = 65535;
/** The canvas grows and shrinks by as much. */
const STEP_PX = 32;

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
  const pens = new Map(Object.entries(LOOKS).map(([seen, [colour, px]]) => [Number(seen), { colour: styles.getPropertyValue(colour), px }]));
  let handle = 0;
  let drawn: Sighting["overlay"] | undefined;
  let before: Place | undefined;
  const step = () => {
    handle = requestAnimationFrame(step);
    const [overlay, place] = [surgeon.sight.over(surgeon.frames.newest)?.overlay, placeOfPicture(canvas)];
    // A canvas that is touched is put together with the picture anew.
    if (overlay === drawn && (overlay === undefined || samePlace(place, before))) return;
    [drawn, before] = [overlay, place];
    const lines = (overlay?.contours ?? []).flatMap((contour) => {
      const pen = pens.get(contour.class);
      return pen !== undefined && isWanted(contour, wanted) ? [{ points: pointsOf(contour, place), pen }] : [];
    });
    const covered = cover(canvas, lines.flatMap(({ points }) => points));
    for (const { points, pen } of lines) stroke(context, points, covered, pen);
  };
  step();
  return () => {
    cancelAnimationFrame(handle);
    cover(canvas, []);
  };
}

function isWanted({ class: seen }: Contour, wanted: Wanted): boolean {
  return wanted === "all" || (wanted === "vessels") === (seen === SeenClass.Vessel);
}

type Points = readonly (readonly [x: number, y: number])[];

/** In points of the place that the picture lies in. */
function pointsOf({ points }: Contour, { left, top, width, height }: Place): Points {
  const pairs = Array.from({ length: points.length >> 1 }, (_, i) => [points[2 * i] ?? 0, points[2 * i + 1] ?? 0] as const);
  return pairs.map(([x, y]) => [left + (x / POINT_MAX) * width, top + (y / POINT_MAX) * height]);
}

/** Makes the canvas no larger than what is drawn, and clears it: whatever it covers is put together with every picture. */
function cover(canvas: HTMLCanvasElement, points: Points): Place {
  const [left = 0, right = 0] = extent(points.map(([x]) => x));
  const [top = 0, bottom = 0] = extent(points.map(([, y]) => y));
  const place = { left, top, width: right - left, height: bottom - top };
  canvas.hidden = points.length === 0;
  const px = (length: number) => `${length / devicePixelRatio}px`;
  Object.assign(canvas.style, { marginLeft: px(left), marginTop: px(top), width: px(place.width), height: px(place.height) });
  // Setting it clears it, too.
  Object.assign(canvas, { width: place.width, height: place.height });
  return place;
}

/** In whole steps, so that the canvas keeps its size for a while; none of none. */
function extent(values: readonly number[]): readonly number[] {
  if (values.length === 0) return [];
  return [Math.floor(Math.min(...values) / STEP_PX - 0.5) * STEP_PX, Math.ceil(Math.max(...values) / STEP_PX + 0.5) * STEP_PX];
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
