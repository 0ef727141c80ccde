/**
 * The edge box's clock, as seen from here. Each ping gives an offset that is wrong by half its round trip at the most;
 * the shortest round trip of the last minute is believed, and its uncertainty is shown with every figure.
 */

const WINDOW_MS = 60_000;
/** Crystals differ by this much at the most: an old sample is worth that much less. */
const DRIFT_PPM = 100;
const SAMPLES_MAX = 512;

interface Sample {
  readonly atMs: number;
  /** Edge clock less this page's, in ms. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

export interface EdgeClock {
  readonly offsetMs: number;
  /** The true offset lies within this many ms to either side. */
  readonly uncertaintyMs: number;
}

export class ClockFilter {
  #samples: Sample[] = [];
  #newest: Sample | undefined;

  /** A pong: both of this page's times and the edge box's, in µs. */
  pong(sentUs: bigint, receivedUs: bigint, edgeUs: bigint): void {
    const roundTripMs = Number(receivedUs - sentUs) / 1000;
    if (roundTripMs < 0) return;
    const middleUs = sentUs + (receivedUs - sentUs) / 2n;
    const sample = { atMs: Number(receivedUs) / 1000, offsetMs: Number(edgeUs - middleUs) / 1000, roundTripMs };
    this.#newest = sample;
    this.#samples = [...this.#samples.slice(1 - SAMPLES_MAX), sample].filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS);
  }

  /** Forgets everything: another connection may be to another run of the edge box. */
  reset(): void {
    this.#samples = [];
    this.#newest = undefined;
  }

  get roundTripMs(): number | undefined {
    return this.#newest?.roundTripMs;
  }

  at(nowMs: number): EdgeClock | undefined {
    const wrong = ({ atMs, roundTripMs }: Sample) => roundTripMs / 2 + (Math.max(0, nowMs - atMs) * DRIFT_PPM) / 1e6;
    const best = this.#samples.reduce<Sample | undefined>(
      (one, other) => (one === undefined || wrong(other) < wrong(one) ? other : one),
      undefined,
    );
    return best && { offsetMs: best.offsetMs, uncertaintyMs: wrong(best) };
  }
}
