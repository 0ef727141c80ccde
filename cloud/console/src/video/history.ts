/** The last 60 s of the line, in steps of half a second, for the strip chart. */

export const HISTORY_S = 60;
export const STEP_MS = 500;
const STEPS = (HISTORY_S * 1000) / STEP_MS;

export const SERIES = ["glassToGlassMs", "loopMs", "jitterMs", "lossPercent", "bitrateMbitS"] as const;
export type Series = (typeof SERIES)[number];
export type Point = Readonly<Record<Series, number | undefined>>;

export class History {
  readonly #points: (Point | undefined)[] = Array.from({ length: STEPS }, () => undefined);

  push(point: Point): void {
    this.#points.push(point);
    this.#points.shift();
  }

  /** Seconds before now, then one list a series; a gap where there was nothing. */
  columns(): (number | null)[][] {
    const seconds = this.#points.map((_, i) => ((i - STEPS + 1) * STEP_MS) / 1000);
    return [seconds, ...SERIES.map((series) => this.#points.map((point) => point?.[series] ?? null))];
  }
}

/** The worst of the values since the last step: what an average would hide. */
export class Worst {
  #worst: number | undefined;

  take(value: number): void {
    if (this.#worst === undefined || value > this.#worst) this.#worst = value;
  }

  reset(): number | undefined {
    const worst = this.#worst;
    this.#worst = undefined;
    return worst;
  }
}
