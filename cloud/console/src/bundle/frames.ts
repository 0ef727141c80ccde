/** Frames without holes, and what the browser says it was shown. */
import { type Bytes, equal } from "../wire/bytes";
import { type Shown } from "../wire/segment";
import { type Findings, type Place } from "./findings";
import { type Frame } from "./leaf";

/** Frames that a display report may be late by: four minutes at 30 a second. */
const REMEMBERED_MAX = 8192;
/** What the console's reckoning of a picture's age may differ from the edge box's before it is said. */
const AGES_DIFFER_US_MAX = 1_000_000n;

interface Sent {
  readonly pictureHash: Bytes;
  readonly capturedUs: bigint;
  /** Of the edge box's program: the clock of a run before tells nothing. */
  readonly run: number;
}

export class Frames {
  newest = 0n;
  /** That a report confirmed; and those in reports that came too late to be compared. */
  confirmed = 0;
  unchecked = 0;
  #capturedUs = 0n;
  #run = 0;
  /** The newest frames, the oldest first. */
  readonly #sent = new Map<bigint, Sent>();

  constructor(
    private readonly findings: Findings,
    private readonly declared: (first: bigint, last: bigint) => boolean,
  ) {}

  /** The edge box's clock begins anew. */
  restart(): void {
    this.#capturedUs = 0n;
    this.#run += 1;
  }

  /** The edge box declared these missing: what comes next goes on behind them. */
  lose(first: bigint, last: bigint): void {
    if (first === this.newest + 1n) this.newest = last;
  }

  take(place: Place, { frame, capturedUs, pictureHash }: Frame): void {
    const expected = this.newest + 1n;
    if (frame !== expected && !(frame > expected && this.declared(expected, frame - 1n))) {
      this.findings.add("frame-number", place, `frame ${frame} follows, expected ${expected}`);
    }
    if (capturedUs < this.#capturedUs) this.findings.add("frame-time", place, `frame ${frame} was captured before the one before`);
    if (frame > this.newest) this.newest = frame;
    if (capturedUs > this.#capturedUs) this.#capturedUs = capturedUs;
    this.#sent.set(frame, { pictureHash, capturedUs, run: this.#run });
    const oldest = this.#oldest();
    if (this.#sent.size > REMEMBERED_MAX && oldest !== undefined) this.#sent.delete(oldest);
  }

  /** What a report that was recorded at `atUs` says was shown. */
  shown(place: Place, atUs: bigint, { frame, pictureHash, glassToGlassUs }: Shown): void {
    const sent = this.#sent.get(frame);
    const oldest = this.#oldest();
    if (sent !== undefined) {
      if (equal(sent.pictureHash, pictureHash)) this.confirmed += 1;
      else this.findings.add("other-picture", place, `frame ${frame} was shown as another picture than was sent`);
    } else if (frame > 0n && oldest !== undefined && frame < oldest) this.unchecked += 1;
    else this.findings.add("never-sent", place, `frame ${frame} was reported shown and never sent, the newest is ${this.newest}`);
    // A report may come late, but not before what it reports.
    const ageUs = this.otherAgeUs(frame, atUs, glassToGlassUs);
    if (ageUs !== undefined && ageUs < glassToGlassUs) {
      this.findings.add("glass-to-glass", place, `frame ${frame} was shown ${glassToGlassUs} µs after its capture, and reported ${ageUs} µs after it`);
    }
  }

  /** How old that frame was at `atUs` by the edge box's clock, if `saidUs` is something else altogether. */
  otherAgeUs(frame: bigint, atUs: bigint, saidUs: bigint): bigint | undefined {
    const sent = this.#sent.get(frame);
    if (sent?.run !== this.#run) return undefined;
    const ageUs = atUs > sent.capturedUs ? atUs - sent.capturedUs : 0n;
    const differsUs = ageUs > saidUs ? ageUs - saidUs : saidUs - ageUs;
    return differsUs > AGES_DIFFER_US_MAX ? ageUs : undefined;
  }

  #oldest(): bigint | undefined {
    return this.#sent.keys().next().value;
  }
}
