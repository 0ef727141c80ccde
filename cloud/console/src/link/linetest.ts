/**
 * A line, measured as an operation would use it, and held against the session's limits. Pure: time is an argument.
 *
 * Probes go out as commands do, 125 a second over every path, and the edge box answers each; the first answer counts, as the
 * first copy of a command does. What the browser itself did to the figures, by standing still, is measured beside them.
 */
import { type Limits } from "../trust/limits";

export const PROBE_MS = 8;
/** The kit says where it stands a hundred times a second, so a command's echo is up to this much older than the line. */
const STATE_MS = 10;
/** So many times a minute the tool may come to hold for a moment: chosen. */
const HOLDS_A_MINUTE_MAX = 2;
/** Pictures a second, and the longest that one may stand: chosen. */
const PICTURES_S_MIN = 20;
const FREEZE_MS_MAX = 500;
/** A browser that stands still for longer is too slow to operate with: the tool would hold. */
const BROWSER_MS_MAX = 50;
/** Between two looks of a browser that keeps up. */
const STAND_MS = 20;
/** A probe without an answer for this long is lost. */
const LOST_MS = 2000;

export type Verdict = "pass" | "slower" | "fail";

export interface Finding {
  readonly what: string;
  readonly seen: number | undefined;
  readonly limit: number | undefined;
  readonly unit: string;
  readonly verdict: Verdict;
  /** What it means, and what to do. */
  readonly why: string;
}

export interface Result {
  readonly verdict: Verdict;
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

/** What is asked of the line: the kit's limits, by their names in the opening. */
interface Asked {
  readonly ageMs: number;
  readonly fullMs: number;
  readonly pictureMs: number;
  readonly holdMs: number;
  readonly pauseMs: number;
}

export class LineTest {
  readonly #sent = new Map<bigint, number>();
  readonly #roundTripsMs: number[] = [];
  readonly #answersMs: number[] = [];
  readonly #agesMs: number[] = [];
  readonly #picturesMs: number[] = [];
  #probes = 0;
  #ticksMs: number;
  /** When the browser itself stood still, from and to. */
  readonly #stands: (readonly [number, number])[] = [];
  #pathsMin = Number.POSITIVE_INFINITY;

  constructor(private readonly beganMs: number) {
    this.#ticksMs = beganMs;
  }

  /** Called every few ms: the µs that the next probe carries, if one is due. `paths`: how many stand. */
  tick(nowMs: number, paths: number): bigint | undefined {
    if (nowMs - this.#ticksMs > STAND_MS) this.#stands.push([this.#ticksMs, nowMs]);
    this.#ticksMs = nowMs;
    this.#pathsMin = Math.min(this.#pathsMin, paths);
    if (nowMs < this.beganMs + this.#probes * PROBE_MS) return undefined;
    // After standing still there is nothing to make up for.
    this.#probes = Math.ceil((nowMs - this.beganMs) / PROBE_MS) + 1;
    const sentUs = BigInt(Math.round(nowMs * 1000));
    this.#sent.set(sentUs, nowMs);
    return sentUs;
  }

  /** An answer came. Of two copies the first counts. */
  answered(sentUs: bigint, nowMs: number): void {
    const sentMs = this.#sent.get(sentUs);
    if (sentMs === undefined) return;
    this.#sent.delete(sentUs);
    this.#roundTripsMs.push(nowMs - sentMs);
    this.#answersMs.push(nowMs);
  }

  /** A picture was shown this old. */
  shown(ageMs: number, nowMs: number): void {
    this.#agesMs.push(ageMs);
    this.#picturesMs.push(nowMs);
  }

  result(nowMs: number, limits: Limits | undefined): Result {
    const asked = askedOf(limits);
    const findings = [...this.#commands(nowMs, asked), ...this.#pictures(nowMs, asked), this.#browser(), this.#paths()];
    const worst = (["fail", "slower"] as const).find((verdict) => findings.some((finding) => finding.verdict === verdict));
    return { verdict: worst ?? "pass", seconds: (nowMs - this.beganMs) / 1000, findings };
  }

  #commands(nowMs: number, { ageMs, fullMs, holdMs, pauseMs }: Asked): Finding[] {
    const [p50, p99] = [0.5, 0.99].map((share) => percentile(this.#roundTripsMs, share)).map((ms) => ms && ms + STATE_MS);
    // What was under way at the beginning and at the end is no silence.
    const trip = percentile(this.#roundTripsMs, 0.5) ?? 0;
    const silences = this.#gaps(this.#answersMs, this.beganMs + trip, nowMs - trip);
    const minutes = (nowMs - this.beganMs) / 60_000;
    const holds = silences.filter((ms) => ms > holdMs).length;
    const lost = [...this.#sent.values()].filter((sentMs) => nowMs - sentMs > LOST_MS).length;
    const slow = p50 !== undefined && p99 !== undefined && p99 > fullMs;
    const share = p99 === undefined ? 0 : Math.max(0, Math.min(1, (ageMs - p99) / (ageMs - fullMs)));
    const age = { what: "Age of a command, 99 of 100", seen: p99, limit: ageMs, unit: "ms" };
    const longest = Math.max(...silences);
    return [
      p99 === undefined
        ? { ...age, verdict: "fail", why: "Nothing came back from the edge box." }
        : p99 > ageMs
          ? { ...age, verdict: "fail", why: `The kit refuses commands older than ${ageMs} ms: the tool would not move. Take a shorter line; a satellite far out is too far.` }
          : slow
            ? { ...age, verdict: "slower", why: `Above ${fullMs} ms the tool is slowed down: here to ${Math.round(share * 100)} of 100. It is safe, and tiring.` }
            : { ...age, verdict: "pass", why: "The tool may be as fast as the arm." },
      {
        what: `Silences above ${holdMs} ms, a minute`,
        seen: holds / minutes,
        limit: HOLDS_A_MINUTE_MAX,
        unit: "",
        verdict: holds / minutes > HOLDS_A_MINUTE_MAX ? "fail" : "pass",
        why: holds === 0 ? "The tool would never hold." : "The tool holds for a moment at each. Use a cable instead of a radio, or a second path.",
      },
      {
        what: "Longest silence",
        seen: longest,
        limit: pauseMs,
        unit: "ms",
        verdict: longest > pauseMs ? "fail" : "pass",
        why: longest > pauseMs ? `Beyond ${pauseMs} ms the operation pauses, until the dead-man is released and pressed again.` : "The operation would not pause.",
      },
      {
        what: "Probes lost",
        seen: (100 * lost) / Math.max(1, lost + this.#roundTripsMs.length),
        limit: undefined,
        unit: "%",
        verdict: "pass",
        why: "A lost command leaves nothing behind: the next one says all. What matters is the silence.",
      },
    ];
  }

  #pictures(nowMs: number, { pictureMs }: Asked): Finding[] {
    const age = percentile(this.#agesMs, 0.95);
    const rate = (1000 * this.#picturesMs.length) / (nowMs - this.beganMs);
    const freeze = Math.max(...this.#gaps(this.#picturesMs, this.beganMs, nowMs));
    return [
      {
        what: "Age of the picture, 95 of 100",
        seen: age,
        limit: pictureMs,
        unit: "ms",
        verdict: age !== undefined && age <= pictureMs ? "pass" : "fail",
        why: age === undefined ? "No picture came." : age > pictureMs ? `The kit refuses commands on a picture older than ${pictureMs} ms.` : "What is seen is fresh enough to act on.",
      },
      {
        what: "Pictures a second",
        seen: rate,
        limit: PICTURES_S_MIN,
        unit: "",
        verdict: rate >= PICTURES_S_MIN ? "pass" : "fail",
        why: rate >= PICTURES_S_MIN ? "Motion is seen as motion." : "The line does not carry the video, or this computer does not keep up with it.",
      },
      {
        what: "Longest stand of the picture",
        seen: freeze,
        limit: FREEZE_MS_MAX,
        unit: "ms",
        verdict: freeze <= FREEZE_MS_MAX ? "pass" : "fail",
        why: freeze <= FREEZE_MS_MAX ? "The picture did not freeze." : "The picture froze: the line loses packets in runs, or stops now and then.",
      },
    ];
  }

  #browser(): Finding {
    const seen = Math.max(0, ...this.#stands.map(([from, to]) => to - from));
    const slow = seen > BROWSER_MS_MAX;
    const why = slow ? "This computer itself stood still for so long, and the tool would have held. Close other programs, or take a faster one; then test again." : "This computer keeps up.";
    return { what: "Longest stand of this browser", seen, limit: BROWSER_MS_MAX, unit: "ms", verdict: slow ? "slower" : "pass", why };
  }

  /** From each moment to the next, the ends included; what the browser slept through is not the line's. */
  #gaps(momentsMs: readonly number[], fromMs: number, toMs: number): number[] {
    const all = [fromMs, ...momentsMs.filter((ms) => ms > fromMs && ms < toMs), toMs];
    const slept = (from: number, to: number) => this.#stands.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)), 0);
    return all.slice(1).map((ms, i) => ms - (all[i] as number) - slept(all[i] as number, ms));
  }

  #paths(): Finding {
    const seen = this.#pathsMin;
    const why = seen > 1 ? "One may die unnoticed." : "If it dies, the tool holds until it is back. A second way to the edge box would be used at once.";
    return { what: "Paths that stood throughout", seen, limit: undefined, unit: "", verdict: seen > 0 ? "pass" : "fail", why };
  }
}

function askedOf(limits: Limits | undefined): Asked {
  const of = (name: string, usual: number) => limits?.get(name) ?? usual;
  return {
    ageMs: of("command_age_ms_max", 300),
    fullMs: of("speed_full_ms_max", 100),
    pictureMs: of("picture_age_ms_max", 400),
    holdMs: of("silence_hold_ms_max", 50),
    pauseMs: of("silence_pause_ms_max", 500),
  };
}

/** The value that this share of all is not above. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
