/** Forbidden regions: marked in the picture, confirmed beside it, and drawn where they lie for as long as they stand. */
import { type RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { BEFORE_M, BEHIND_M, type Mark, REGIONS_MAX, outlineOf } from "../../control/regions";
import { type Surgeon } from "../../control/surgeon";
import { HoldButton } from "../../ui/hold";
import { type PicturePoint } from "../../control/camera";
import { type Region } from "../../wire/statement";
import { fit, placeOfPicture, toPlace } from "./place";

const LINE_PX = 2;
const EDGE_PX = 4;
const EDGE = "rgb(0 0 0 / 45%)";
/** What is not in force yet is dashed. */
const DASH_PX = [8, 6];

interface Props {
  readonly surgeon: Surgeon;
}

/** Over the picture: the regions, and while one is being marked, where the pointer draws. */
export function Regions({ surgeon }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<Mark | undefined>();
  const inForce = surgeon.station.forbidden.value?.regions ?? [];
  const [marking, proposed] = [surgeon.marking.value, surgeon.proposed.value];
  const wanted = marking || proposed !== undefined || inForce.length > 0;
  useEffect(() => (canvas.current === null || !wanted ? undefined : draw(canvas.current, surgeon, drawn)), [wanted, surgeon]);
  return (
    <>
      <canvas class="regions" ref={canvas} aria-hidden="true" />
      {marking && <Marking surgeon={surgeon} canvas={canvas} drawn={drawn} />}
    </>
  );
}

interface Drawn {
  current: Mark | undefined;
}

/** Takes the pointer from the tool for as long as it is there. */
function Marking({ surgeon, canvas, drawn }: Props & { readonly canvas: RefObject<HTMLCanvasElement>; readonly drawn: Drawn }) {
  const layer = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (layer.current !== null && canvas.current !== null) listen(layer.current, canvas.current, surgeon, drawn);
    return () => void (drawn.current = undefined);
  }, [surgeon]);
  return <div class="marking" ref={layer} role="application" aria-label="Draw around what is forbidden" />;
}

/** From where it was pressed to where it is let go. */
function listen(layer: HTMLElement, canvas: HTMLCanvasElement, surgeon: Surgeon, drawn: Drawn): void {
  let middle: PicturePoint | undefined;
  const stop = (event: Event) => event.stopPropagation();
  layer.onpointerdown = (event) => {
    stop(event);
    layer.setPointerCapture(event.pointerId);
    middle = pointOf(event, canvas);
  };
  layer.onpointermove = (event) => {
    stop(event);
    const at = pointOf(event, canvas);
    if (middle !== undefined) drawn.current = { middle, radius: Math.hypot(at.right - middle.right, at.down - middle.down) };
  };
  layer.onpointerup = (event) => {
    stop(event);
    if (drawn.current !== undefined) surgeon.propose(drawn.current);
    middle = drawn.current = undefined;
  };
  layer.onpointercancel = () => (middle = drawn.current = undefined);
}

/** Where the picture lies, whatever the canvas holds: nothing may have been drawn in it before. */
function pointOf(event: PointerEvent, canvas: HTMLCanvasElement): PicturePoint {
  const around = canvas.getBoundingClientRect();
  const { left, top, width, height } = placeOfPicture(canvas);
  const [x, y] = [(event.clientX - around.left) * devicePixelRatio, (event.clientY - around.top) * devicePixelRatio];
  return { right: (x - left - width / 2) / height, down: (y - top - height / 2) / height };
}

/** Draws at the screen's own rate until the returned function is called, which leaves nothing behind. */
function draw(canvas: HTMLCanvasElement, surgeon: Surgeon, drawn: Drawn): () => void {
  const context = canvas.getContext("2d");
  if (context === null) return () => undefined;
  const colour = getComputedStyle(canvas).color;
  const clear = () => context.clearRect(0, 0, canvas.width, canvas.height);
  let [handle, blank] = [0, true];
  let before: readonly unknown[] = [];
  const step = () => {
    handle = requestAnimationFrame(step);
    const { regions } = surgeon.station.forbidden.peek() ?? {};
    const proposed = surgeon.proposed.peek();
    const marks = [...(regions ?? []), proposed, drawn.current].some((mark) => mark !== undefined);
    const now = [surgeon.frames.newest, regions, proposed, drawn.current];
    // A canvas that is touched is put together with the picture anew, at a cost to the picture.
    if ((blank && !marks) || (!fit(canvas) && now.every((one, i) => one === before[i]))) return;
    [before, blank] = [now, !marks];
    clear();
    const eye = surgeon.eyeAt(performance.now());
    if (eye === undefined) return;
    const stroke = (region: Region, dashed: boolean) => {
      const outline = outlineOf(region, eye);
      if (outline !== undefined) line(context, around(outline), colour, dashed);
    };
    for (const region of regions ?? []) stroke(region, false);
    if (proposed !== undefined) stroke(proposed, true);
    if (drawn.current !== undefined) line(context, circle(drawn.current), colour, true);
  };
  step();
  return () => {
    cancelAnimationFrame(handle);
    clear();
  };
}

function around(outline: readonly PicturePoint[]): Path2D {
  const path = new Path2D();
  for (const { right, down } of outline) path.lineTo(right, down);
  path.closePath();
  return path;
}

function circle({ middle, radius }: Mark): Path2D {
  const path = new Path2D();
  path.arc(middle.right, middle.down, radius, 0, 2 * Math.PI);
  return path;
}

function line(context: CanvasRenderingContext2D, path: Path2D, colour: string, dashed: boolean): void {
  const placed = new Path2D();
  placed.addPath(path, toPlace(placeOfPicture(context.canvas)));
  context.setLineDash(dashed ? DASH_PX.map((px) => px * devicePixelRatio) : []);
  for (const [px, style] of [[EDGE_PX, EDGE], [LINE_PX, colour]] as const) {
    context.lineWidth = px * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(placed);
  }
}

/** Beside the picture: what to do. */
export function RegionsTask({ surgeon }: Props) {
  const { station } = surgeon;
  const version = station.notice.value?.said.regions;
  const regions = version === undefined ? [] : station.forbidden.value?.regions;
  const proposed = surgeon.proposed.value;
  if (surgeon.camera.value === undefined && version === undefined) return null;
  return (
    <section class="task regions">
      <h2>Forbidden regions</h2>
      {regions === undefined && <p>Version {String(version)} is in force, and this page was not told what it holds. It stands.</p>}
      {surgeon.marking.value ? (
        <>
          <p>Press in the middle of what the tools must keep out of, drag to its edge.</p>
          <button class="plain" type="button" onClick={() => surgeon.mark(false)}>
            Not now
          </button>
        </>
      ) : proposed !== undefined ? (
        <>
          <p>
            {((2 * proposed.radiusUm) / 1000).toFixed(0)} mm across, from {BEFORE_M * 1000} mm before the end of the jaws to {BEHIND_M * 1000} mm behind it, as you see it.
          </p>
          <HoldButton label="Forbid it" holding="Hold on to forbid it" act={() => void surgeon.forbid([...(regions ?? []), proposed])} />
          <button class="plain" type="button" onClick={() => surgeon.mark(false)}>
            Take it back
          </button>
        </>
      ) : (
        <>
          {regions !== undefined && regions.length > 0 && <p>{regions.length === 1 ? "One is" : `${regions.length} are`} in force: the tools keep out.</p>}
          {regions !== undefined && regions.length < REGIONS_MAX && (
            <p class="quiet">
              <kbd>M</kbd>, with Space up: draw around what the tools must keep out of.
            </p>
          )}
          {regions !== undefined && regions.length > 1 && <HoldButton label="Lift the newest" holding="Hold on to lift it" act={() => void surgeon.forbid(regions.slice(0, -1))} />}
          {(regions === undefined || regions.length > 0) && <HoldButton label="Lift all" holding="Hold on to lift all" act={() => void surgeon.forbid([])} />}
        </>
      )}
    </section>
  );
}
