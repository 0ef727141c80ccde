/** The ghost over the picture: thin lines where the tool will be, while that is not where the picture shows it. */
import { useEffect, useRef } from "preact/hooks";
import { project } from "../../control/camera";
import { type Surgeon } from "../../control/surgeon";
import { fit, placeOfPicture, toPlace } from "./place";

const LINE_PX = 1.5;
/** Dark beside the line, so that it shows on bright tissue. */
const EDGE_PX = 3.5;
const EDGE = "rgb(0 0 0 / 45%)";

export function Ghost({ surgeon }: { readonly surgeon: Surgeon }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const wanted = surgeon.ghost.value && surgeon.camera.value !== undefined && surgeon.view.value.phase === "engaged";
  useEffect(() => (canvas.current === null || !wanted ? undefined : haunt(canvas.current, surgeon)), [wanted, surgeon]);
  return <canvas class="ghost" ref={canvas} aria-hidden="true" />;
}

/** Draws at the screen's own rate until the returned function is called, which leaves nothing behind. */
function haunt(canvas: HTMLCanvasElement, surgeon: Surgeon): () => void {
  const context = canvas.getContext("2d");
  if (context === null) return () => undefined;
  const colour = getComputedStyle(canvas).color;
  const clear = () => context.clearRect(0, 0, canvas.width, canvas.height);
  let [handle, drawn] = [0, false];
  const draw = () => {
    handle = requestAnimationFrame(draw);
    const lines = ghostOf(surgeon);
    // A canvas that is touched is put together with the picture anew.
    if (lines === undefined && !drawn) return;
    fit(canvas);
    clear();
    drawn = lines !== undefined;
    if (lines !== undefined) stroke(context, lines, colour);
  };
  draw();
  return () => {
    cancelAnimationFrame(handle);
    clear();
  };
}

/** The ghost's lines on the canvas, and how plain they are. */
interface Lines {
  readonly alpha: number;
  readonly path: Path2D;
}

function ghostOf(surgeon: Surgeon): Lines | undefined {
  const ghost = surgeon.ghostAt(performance.now());
  if (ghost === undefined || ghost.plainness === 0) return undefined;
  const path = new Path2D();
  for (const [fromM, toM] of ghost.lines) {
    const seen = project(ghost.eye, fromM, toM);
    if (seen === undefined) continue;
    path.moveTo(seen[0].right, seen[0].down);
    path.lineTo(seen[1].right, seen[1].down);
  }
  return { alpha: ghost.plainness, path };
}

function stroke(context: CanvasRenderingContext2D, { alpha, path }: Lines, colour: string): void {
  const drawn = new Path2D();
  drawn.addPath(path, toPlace(placeOfPicture(context.canvas)));
  context.lineCap = "round";
  context.globalAlpha = alpha;
  for (const [px, style] of [[EDGE_PX, EDGE], [LINE_PX, colour]] as const) {
    context.lineWidth = px * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(drawn);
  }
}
