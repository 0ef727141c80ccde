/** The timeline: a lane for each kind of thing, the ages below, and the playhead. */
import { useEffect, useRef } from "preact/hooks";
import { LANES, type Lane } from "../../bundle/index";
import { type Mark, type Marks } from "./marks";
import { type Replay } from "./replay";

const LANE_PX = 20;
const AGES_PX = 84;
const LABEL_PX = 112;
const AGE_MS_MAX = 500;
/** The tokens of each lane's colour. Red is for the stop alone. */
const INK: Readonly<Record<Lane, string>> = {
  Armed: "--armed", Engaged: "--engaged", Holding: "--holding", Clamped: "--plot-jitter", "E-stop": "--stop", Refused: "--holding", Control: "--accent", Gaps: "--text",
  Other: "--quiet",
}; // prettier-ignore

export function Lanes({ replay, marks }: { readonly replay: Replay; readonly marks: Marks | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [element, around] = [canvas.current, box.current];
    if (element === null || around === null) return;
    const redraw = () => draw(element, around.clientWidth, replay);
    const resized = new ResizeObserver(redraw);
    resized.observe(around);
    return () => resized.disconnect();
  }, [replay]);
  useEffect(
    () =>
      replay.atUs.subscribe((us) => {
        head.current?.style.setProperty("left", leftOf(replay, us));
      }),
    [replay],
  );
  const point = (event: PointerEvent) => {
    if (event.type === "pointermove" && (event.buttons & 1) === 0) return;
    const place = box.current?.getBoundingClientRect();
    if (place === undefined) return;
    if (event.type === "pointerdown") (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    replay.to(replay.fromUs + ((event.clientX - place.left - LABEL_PX) / (place.width - LABEL_PX)) * (replay.toUs - replay.fromUs));
  };
  const at = replay.atUs.value;
  return (
    <div
      class="lanes"
      ref={box}
      role="slider"
      tabIndex={0}
      aria-label="Moment of the session"
      aria-valuemin={0}
      aria-valuemax={(replay.toUs - replay.fromUs) / 1e6}
      aria-valuenow={(at - replay.fromUs) / 1e6}
      aria-valuetext={new Date(at / 1000).toISOString()}
      onPointerDown={point}
      onPointerMove={point}
    >
      <canvas ref={canvas} />
      {marks?.list.value.map((mark) => "first" in mark && <div key={`${mark.first} ${mark.last}`} class="out" style={placeOf(replay, mark)} />)}
      <div class="playhead" ref={head} />
    </div>
  );
}

function leftOf({ fromUs, toUs }: Replay, us: number): string {
  return `calc(${LABEL_PX}px + (100% - ${LABEL_PX}px) * ${(us - fromUs) / Math.max(toUs - fromUs, 1)})`;
}

/** Where the entries of a mark are. */
function placeOf(replay: Replay, { first, last }: Extract<Mark, { first: number }>): { left: string; right: string } {
  const [from, to] = [first, last].map((leaf) => leftOf(replay, replay.index.utcUs[leaf] ?? replay.fromUs));
  return { left: from ?? "", right: `calc(100% - ${to} - 1px)` };
}

function draw(canvas: HTMLCanvasElement, width: number, { index, fromUs, toUs }: Replay): void {
  const height = LANES.length * LANE_PX + AGES_PX;
  const scale = devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.setProperty("height", `${height}px`);
  const context = canvas.getContext("2d");
  if (context === null) return;
  const style = getComputedStyle(canvas);
  const ink = (name: string) => style.getPropertyValue(name);
  const xOf = (us: number) => LABEL_PX + ((us - fromUs) / Math.max(toUs - fromUs, 1)) * (width - LABEL_PX);
  const ofLeaf = (leaf: number) => xOf(index.utcUs[leaf] ?? fromUs);
  context.scale(scale, scale);
  context.font = `14px ${style.fontFamily}`;
  context.textBaseline = "middle";
  LANES.forEach((lane, row) => {
    const y = row * LANE_PX;
    context.fillStyle = ink("--quiet");
    context.fillText(lane, 0, y + LANE_PX / 2);
    context.fillStyle = ink("--panel");
    context.fillRect(LABEL_PX, y + 2, width - LABEL_PX, LANE_PX - 4);
  });
  for (const { lane, from, to, why } of index.spans) {
    const [x, y] = [ofLeaf(from), LANES.indexOf(lane) * LANE_PX];
    // At rest is no news: it is drawn lighter than a hold with a reason.
    context.globalAlpha = why === "at rest" ? 0.3 : 0.85;
    context.fillStyle = ink(INK[lane]);
    context.fillRect(x, y + 4, Math.max(ofLeaf(to) - x, 1), LANE_PX - 8);
  }
  context.globalAlpha = 1;
  for (const { leaf, lane } of index.happened) {
    context.fillStyle = ink(INK[lane]);
    context.fillRect(ofLeaf(leaf) - 1, LANES.indexOf(lane) * LANE_PX + 2, 2, LANE_PX - 4);
  }
  const top = LANES.length * LANE_PX;
  const yOf = (ms: number) => top + AGES_PX - 4 - (Math.min(ms, AGE_MS_MAX) / AGE_MS_MAX) * (AGES_PX - 12);
  const ages = [["--plot-glass", index.states.pictureAgeMs, "Picture"], ["--plot-loop", index.states.commandAgeMs, "Command"]] as const;
  ages.forEach(([name, values, label], row) => {
    context.fillStyle = context.strokeStyle = ink(name);
    context.fillText(`${label}`, 0, top + 24 + row * 18);
    line(context, index.states.leaf, values, ofLeaf, yOf);
  });
  context.fillStyle = ink("--quiet");
  context.fillText("Age, ms", 0, top + 68);
  context.textAlign = "right";
  for (const ms of [0, 250, 500]) {
    context.fillRect(LABEL_PX, yOf(ms), width - LABEL_PX, 0.5);
    context.fillText(String(ms), LABEL_PX - 6, ms === 0 ? yOf(ms) - 4 : yOf(ms) + 4);
  }
  context.textAlign = "left";
}

/** The worst value of each pixel; ages that are not known are left out. */
function line(context: CanvasRenderingContext2D, leaves: Float64Array, values: Float32Array, xOf: (leaf: number) => number, yOf: (ms: number) => number): void {
  context.beginPath();
  let [x, worst, before] = [-1, 0, -1];
  for (let i = 0; i < leaves.length; i++) {
    const value = values[i] ?? 0;
    if (!Number.isFinite(value) || value > 1e6) continue;
    const here = Math.round(xOf(leaves[i] ?? 0));
    if (here !== x && x >= 0) {
      if (before < 0 || x - before > 8) context.moveTo(x, yOf(worst));
      else context.lineTo(x, yOf(worst));
      before = x;
      worst = 0;
    }
    x = here;
    worst = Math.max(worst, value);
  }
  if (x >= 0) context.lineTo(x, yOf(worst));
  context.stroke();
}
