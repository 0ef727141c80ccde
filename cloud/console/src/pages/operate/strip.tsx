/** The line: its figures now, and the last 60 s with the limits drawn in. */
import "uplot/dist/uPlot.min.css";
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import { type Surgeon } from "../../control/surgeon";
import { History, HISTORY_S, STEP_MS } from "../../video/history";
import { LineReader, type LineFigures } from "../../video/line";
import { figure } from "../../ui/figures";
import { nowMs } from "../../ui/now";
import { pathInWords } from "../../words/paths";

const MS_MAX = 450;
const NOTHING: LineFigures = { jitterMs: undefined, lossPercent: undefined, bitrateMbitS: undefined, framesPerSecond: undefined };

interface Props {
  readonly surgeon: Surgeon;
}

export function Line({ surgeon }: Props) {
  const now = nowMs.value;
  const newest = surgeon.newestSample;
  const figures = newestFigures.get(surgeon) ?? NOTHING;
  const pictureMax = surgeon.station.proven.limits?.get("picture_age_ms_max");
  const commandMax = surgeon.station.proven.limits?.get("command_age_ms_max");
  const age = surgeon.pictureAgeMs(now);
  const glass = newest ? `${newest.glassToGlassMs.toFixed(0)} ± ${Math.max(1, newest.uncertaintyMs).toFixed(0)} ms` : "–";
  return (
    <footer class="line" aria-label="The line">
      <section>
        <dl class="figures">
          <dt class="ink-glass">Glass to glass</dt>
          <dd>{glass}</dd>
          <dt>Picture age now</dt>
          <dd class={over(age, pictureMax)}>
            {figure(age, "ms")}
            {pictureMax !== undefined && <span class="quiet"> of {pictureMax}</span>}
          </dd>
          <dt class="ink-loop">Loop delay</dt>
          <dd class={over(surgeon.loopMs, commandMax)}>
            {figure(surgeon.loopMs, "ms")}
            {commandMax !== undefined && <span class="quiet"> of {commandMax}</span>}
          </dd>
          <dt class="ink-jitter">Jitter</dt>
          <dd>{figure(figures.jitterMs, "ms", 1)}</dd>
          <dt class="ink-loss">Loss</dt>
          <dd>{figure(figures.lossPercent, "%", 1)}</dd>
          <dt class="ink-bitrate">Bitrate</dt>
          <dd>
            {figure(figures.bitrateMbitS, "Mbit/s", 1)}
          </dd>
          <Paths surgeon={surgeon} />
        </dl>
      </section>
      <Strip surgeon={surgeon} pictureMax={pictureMax} commandMax={commandMax} />
    </footer>
  );
}

/** A mark for each path to the edge box, with its round trip; where one is missing, so in words. */
function Paths({ surgeon }: Props) {
  const paths = surgeon.station.connector.paths(performance.now()).map(pathInWords);
  const alone = paths.length > 1 && paths.filter(({ is }) => is === "stands").length === 1;
  return (
    <>
      <dt>{paths.length > 1 ? "Paths" : "Path"}</dt>
      <dd class="paths" title={paths.map(({ long }) => long).join("; ")}>
        {paths.map(({ is, short }, path) => (
          <span key={path} class="path" data-is={is}>
            {short}
          </span>
        ))}
        {alone && <span class="hidden-but-read">one path</span>}
      </dd>
    </>
  );
}

function over(value: number | undefined, max: number | undefined): string {
  return value !== undefined && max !== undefined && value > max ? "over" : "";
}

/** Read twice a second with the strip; shown with the other figures. */
const newestFigures = new WeakMap<Surgeon, LineFigures>();

interface StripProps extends Props {
  readonly pictureMax: number | undefined;
  readonly commandMax: number | undefined;
}

function Strip({ surgeon, pictureMax, commandMax }: StripProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const history = new History();
    const plot = new uPlot(options(element, pictureMax, commandMax), history.columns() as uPlot.AlignedData, element);
    const resized = new ResizeObserver(() => plot.setSize(sizeOf(element)));
    resized.observe(element);
    const reader = new LineReader();
    const step = async () => {
      const report = await surgeon.station.connector.stats();
      const figures = report ? reader.read(report) : NOTHING;
      newestFigures.set(surgeon, figures);
      history.push({ ...figures, glassToGlassMs: surgeon.glassWorst.reset(), loopMs: surgeon.loopWorst.reset() });
      plot.setData(history.columns() as uPlot.AlignedData);
    };
    const timer = setInterval(() => void step(), STEP_MS);
    return () => {
      clearInterval(timer);
      resized.disconnect();
      plot.destroy();
    };
  }, [surgeon, pictureMax, commandMax]);
  const limits = [pictureMax && `picture ${pictureMax} ms`, commandMax && `loop ${commandMax} ms`].filter(Boolean).join(", ");
  return (
    <div
      class="strip"
      ref={box}
      role="img"
      aria-label={`The last ${HISTORY_S} seconds of the figures beside. Limits: ${limits || "not known"}.`}
    />
  );
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(100, element.clientWidth), height: Math.max(60, element.clientHeight) };
}

function options(element: HTMLElement, pictureMax: number | undefined, commandMax: number | undefined): uPlot.Options {
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const font = "14px Inter";
  const axis = { stroke: colour("quiet"), font, grid: { stroke: colour("line"), width: 0.5 }, ticks: { show: false } };
  const line = (label: string, scale: string, ink: string) => ({
    label,
    scale,
    stroke: colour(ink),
    width: 1.5,
    points: { show: false },
    spanGaps: false,
  });
  return {
    ...sizeOf(element),
    padding: [4, 0, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: false, range: [-HISTORY_S + 0.5, 0] },
      ms: { range: [0, MS_MAX] },
      percent: { range: [0, 10] },
      rate: { range: (_, __, max) => [0, Math.max(8, Math.ceil(max / 4) * 4)] },
    },
    axes: [
      { ...axis, size: 20, gap: 0, splits: () => [-60, -50, -40, -30, -20, -10, 0], values: (_, at) => at.map((s) => (s === 0 ? "now" : `${s} s`)) },
      { ...axis, scale: "ms", size: 54, gap: 4, splits: () => [0, 100, 200, 300, 400], values: (_, at) => at.map((ms) => (ms > 0 && ms % 200 === 0 ? `${ms} ms` : "")) },
      { ...axis, scale: "rate", side: 1, size: 76, gap: 4, grid: { show: false }, values: (_, at) => at.map((rate, i) => (i === at.length - 1 ? `${rate} Mbit/s` : "")) },
    ],
    series: [
      {},
      line("Glass to glass", "ms", "plot-glass"),
      line("Loop delay", "ms", "plot-loop"),
      line("Jitter", "ms", "plot-jitter"),
      { ...line("Loss", "percent", "plot-loss"), fill: colour("plot-loss") },
      { ...line("Bitrate", "rate", "plot-bitrate"), width: 1 },
    ],
    hooks: {
      draw: [
        (plot) => {
          limitLine(plot, pictureMax, colour("plot-glass"), "picture limit", font);
          limitLine(plot, commandMax, colour("plot-loop"), "loop limit", font);
        },
      ],
    },
  };
}

/** A dashed line at the limit, with its name and value on it. */
function limitLine(plot: uPlot, ms: number | undefined, ink: string, name: string, font: string): void {
  if (ms === undefined) return;
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(ms, "ms", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = ink;
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = font.replace("14px", `${14 * devicePixelRatio}px`);
  ctx.textBaseline = "top";
  ctx.fillText(`${name} ${ms} ms`, bbox.left + 6 * devicePixelRatio, y + 2 * devicePixelRatio);
  ctx.restore();
}
