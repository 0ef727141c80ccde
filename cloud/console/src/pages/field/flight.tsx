/** Where the aircraft is: the way it came, seen from above, and its height. Lines only. */
import { fixed } from "../../ui/figures";
import { type Flight } from "./model";

const [WIDTH, HEIGHT, EDGE] = [320, 140, 14];
const PROFILE_HEIGHT = 64;
/** A way shorter than this is drawn as if it were so long. */
const SPAN_M_MIN = 50;
const M_PER_DEG = 111_320;

export function FlightView({ track }: { readonly track: readonly Flight[] }) {
  const now = track.at(-1);
  if (now === undefined) return null;
  const way = route(track);
  const [x, y] = way.at(-1) ?? [0, 0];
  const profile = heights(track);
  const [px, py] = profile.at(-1) ?? [0, 0];
  return (
    <section class="flight" aria-label="Flight">
      <p class="where">
        <strong>{now.phase.charAt(0).toUpperCase() + now.phase.slice(1)}</strong>
        <span class="mono">
          {fixed(now.altM, 0)} m up · {(100 * now.progress).toFixed(0)} % of the way
        </span>
      </p>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label="The way from above, north is up">
        <path class="frame" d={`M1 1h${WIDTH - 2}v${HEIGHT - 2}h${2 - WIDTH}z`} />
        <polyline points={points(way)} />
        <circle cx={x} cy={y} r="5" />
        <text x="8" y="20">
          N ↑
        </text>
      </svg>
      <svg viewBox={`0 0 ${WIDTH} ${PROFILE_HEIGHT}`} role="img" aria-label="Height over the way">
        <path class="frame" d={`M0 ${PROFILE_HEIGHT - 1}h${WIDTH}`} />
        <polyline points={points(profile)} />
        <circle cx={px} cy={py} r="5" />
      </svg>
      <p class="mono quiet">
        {fixed(now.latDeg, 5)}°, {fixed(now.lonDeg, 5)}°
      </p>
    </section>
  );
}

type Point = readonly [number, number];

/** A flat map around the way, the same scale in both directions, north up. */
function route(track: readonly Flight[]): Point[] {
  const first = track[0];
  if (first === undefined) return [];
  const east = track.map(({ lonDeg }) => (lonDeg - first.lonDeg) * M_PER_DEG * Math.cos((first.latDeg * Math.PI) / 180));
  const north = track.map(({ latDeg }) => (latDeg - first.latDeg) * M_PER_DEG);
  const [e, n] = [range(east), range(north)];
  const span = Math.max(e.span / (WIDTH - 2 * EDGE), n.span / (HEIGHT - 2 * EDGE), SPAN_M_MIN / WIDTH);
  return track.map((_, i) => [WIDTH / 2 + ((east[i] ?? 0) - e.middle) / span, HEIGHT / 2 - ((north[i] ?? 0) - n.middle) / span]);
}

function heights(track: readonly Flight[]): Point[] {
  const top = Math.max(SPAN_M_MIN, ...track.map(({ altM }) => altM));
  return track.map(({ progress, altM }) => [EDGE + progress * (WIDTH - 2 * EDGE), PROFILE_HEIGHT - 6 - (Math.max(0, altM) / top) * (PROFILE_HEIGHT - 16)]);
}

function range(values: readonly number[]): { readonly middle: number; readonly span: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return { middle: (low + high) / 2, span: high - low };
}

function points(way: readonly Point[]): string {
  return way.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
}
