/** Lines around what the net sees, over the picture that it saw it in. */
import { useEffect, useRef } from "preact/hooks";
import { type Surgeon } from "../../control/surgeon";
import { type Sighting, type Wanted } from "../../video/sight";
import { type Contour, SeenClass } from "../../wire/overlay";
import { type Place, fit, placeOfPicture } from "./place";

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
  const clear = () => context.clearRect(0, 0, canvas.width, canvas.height);
  let handle = 0;
  let drawn: Sighting["overlay"] | undefined;
  const step = () => {
    handle = requestAnimationFrame(step);
    const overlay = surgeon.sight.over(surgeon.frames.newest)?.overlay;
    // A canvas that is touched is put together with the picture anew.
    if (overlay === drawn && !(drawn !== undefined && fit(canvas))) return;
    fit(canvas);
    clear();
    drawn = overlay;
    const place = placeOfPicture(canvas);
    for (const contour of overlay?.contours ?? []) {
      const pen = pens.get(contour.class);
      if (pen !== undefined && isWanted(contour, wanted)) stroke(context, pathOf(contour, place), pen);
    }
  };
  step();
  return () => {
    cancelAnimationFrame(handle);
    clear();
  };
}

function isWanted({ class: seen }: Contour, wanted: Wanted): boolean {
  return wanted === "all" || (wanted === "vessels") === (seen === SeenClass.Vessel);
}

function pathOf({ points }: Contour, { left, top, width, height }: Place): Path2D {
  const path = new Path2D();
  for (let i = 0; i + 1 < points.length; i += 2) {
    path.lineTo(left + ((points[i] ?? 0) / 65535) * width, top + ((points[i + 1] ?? 0) / 65535) * height);
  }
  path.closePath();
  return path;
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, { colour, px }: { readonly colour: string; readonly px: number }): void {
  context.lineJoin = "round";
  for (const [wide, style] of [[px + EDGE_PX, EDGE], [px, colour]] as const) {
    context.lineWidth = wide * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(path);
  }
}
