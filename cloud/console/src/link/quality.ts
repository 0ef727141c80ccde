/** How one path is, by pings of its own in the last seconds. Pure. */

/** What is shown covers this long. */
const WINDOW_MS = 10_000;
/** A ping unanswered for this long is lost. */
const LOST_MS = 1000;
/** As RFC 6298 smooths round trips. */
const RTT_GAIN = 1 / 8;
/** As RFC 3550 smooths jitter. */
const JITTER_GAIN = 1 / 16;

export interface PathFigures {
  /** Smoothed round trip; undefined before the first answer. */
  readonly rttMs: number | undefined;
  /** How much one round trip differs from the next, smoothed. */
  readonly jitterMs: number | undefined;
  /** Pings without an answer, of those of the last seconds; undefined before one could be lost. */
  readonly lossPercent: number | undefined;
  /** Since anything came over it. */
  readonly silentMs: number;
}

export class PathGauge {
  /** Pings that are out, or were lost, by what they carry. */
  readonly #out = new Map<bigint, number>();
  /** When answered pings were sent, oldest first. */
  readonly #answered: number[] = [];
  #rttMs: number | undefined;
  #jitterMs: number | undefined;
  #lastMs: number | undefined;

  constructor(private heardMs: number) {}

  pinged(sentUs: bigint, nowMs: number): void {
    this.#forget(nowMs);
    this.#out.set(sentUs, nowMs);
  }

  /** An answer came; one that comes twice, or was never asked for, says nothing. */
  ponged(sentUs: bigint, nowMs: number): void {
    const sentMs = this.#out.get(sentUs);
    if (sentMs === undefined) return;
    this.#out.delete(sentUs);
    this.#answered.push(sentMs);
    const rttMs = nowMs - sentMs;
    if (this.#lastMs !== undefined) this.#jitterMs = smoothed(this.#jitterMs, Math.abs(rttMs - this.#lastMs), JITTER_GAIN);
    this.#lastMs = rttMs;
    this.#rttMs = smoothed(this.#rttMs, rttMs, RTT_GAIN);
  }

  /** Anything at all came. */
  heard(nowMs: number): void {
    this.heardMs = nowMs;
  }

  figures(nowMs: number): PathFigures {
    this.#forget(nowMs);
    const lost = [...this.#out.values()].filter((sentMs) => nowMs - sentMs > LOST_MS).length;
    const all = lost + this.#answered.length;
    const lossPercent = all === 0 ? undefined : (100 * lost) / all;
    return { rttMs: this.#rttMs, jitterMs: this.#jitterMs, lossPercent, silentMs: nowMs - this.heardMs };
  }

  /** What is older than the window. At so many pings a second both lists are short. */
  #forget(nowMs: number): void {
    for (const [sentUs, sentMs] of this.#out) if (nowMs - sentMs > WINDOW_MS) this.#out.delete(sentUs);
    while (this.#answered.length > 0 && nowMs - (this.#answered[0] as number) > WINDOW_MS) this.#answered.shift();
  }
}

function smoothed(before: number | undefined, value: number, gain: number): number {
  return before === undefined ? value : before + gain * (value - before);
}

/**
 * Which path falls silent while another speaks: by what came, not by a clock, so that a page that stood still for a moment sees
 * nothing in it.
 */
export class Race {
  readonly #behind = new Map<number, Map<number, number>>();

  heard(path: number): void {
    this.#behind.set(path, new Map());
    for (const [other, brought] of this.#behind) {
      if (other !== path) brought.set(path, (brought.get(path) ?? 0) + 1);
    }
  }

  begin(path: number): void {
    this.#behind.set(path, new Map());
  }

  end(path: number): void {
    this.#behind.delete(path);
    for (const brought of this.#behind.values()) brought.delete(path);
  }

  /** The path that has brought most since this one brought anything, and how much. */
  ahead(path: number): { readonly path: number; readonly by: number } | undefined {
    const brought = [...(this.#behind.get(path) ?? [])].sort(([, a], [, b]) => b - a)[0];
    return brought && { path: brought[0], by: brought[1] };
  }
}
