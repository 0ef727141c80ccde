/** UTC of the edge box's clock, by the leaves so far (`docs/evidence-format.md`, 14.1). Times never fall. */
import { readOpeningEvidence } from "../trust/opening";
import { type Entry } from "./leaf";

const U64_MAX = 2n ** 64n - 1n;

export class Clock {
  newestUs = 0n;
  /** UTC less the edge box's clock; may be negative. */
  #offsetUs = 0n;

  /** The next leaf's time, in µs of UTC. One that can't be read has the time of the one before. */
  take(entry: Entry | undefined): bigint {
    if (entry === undefined) return this.newestUs;
    const known = this.#knownUs(entry);
    if (known !== undefined) this.#offsetUs = known - entry.recordedUs;
    const time = this.utcUs(entry.recordedUs);
    if (time > this.newestUs) this.newestUs = time;
    return this.newestUs;
  }

  /** UTC of a moment on the edge box's clock. */
  utcUs(edgeUs: bigint): bigint {
    const utc = edgeUs + this.#offsetUs;
    return utc < 0n ? 0n : utc > U64_MAX ? U64_MAX : utc;
  }

  #knownUs({ what }: Entry): bigint | undefined {
    if (what.is === "clock") return what.utc.us;
    if (what.is === "restarted") return this.newestUs;
    if (what.is !== "opening") return undefined;
    try {
      return readOpeningEvidence(what.evidence).opening.batch.at.us;
    } catch {
      return undefined; // what is wrong with it is found when it is checked
    }
  }
}
