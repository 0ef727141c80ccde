/** How long to wait before the next try: doubling, with an end, and never all at once. */

const FIRST_MS = 250;
const LAST_MS = 5000;

export class Backoff {
  #tries = 0;

  /** `random` in 0 to 1 spreads the tries of many pages. */
  nextMs(random: number): number {
    const full = Math.min(LAST_MS, FIRST_MS * 2 ** this.#tries);
    this.#tries = Math.min(this.#tries + 1, 10);
    return full * (0.75 + 0.25 * random);
  }

  reset(): void {
    this.#tries = 0;
  }
}
