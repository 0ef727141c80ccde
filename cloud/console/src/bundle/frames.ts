/** Frames without holes, and what the browser says it was shown. */
import { type Bytes, equal } from "../wire/bytes";
import { type Findings, type Place } from "./findings";
import { type Frame } from "./leaf";

/** Frames that a display report may be late by: four minutes at 30 a second. */
const REMEMBERED_MAX = 8192;

export class Frames {
  newest = 0n;
  /** That a report confirmed; and those in reports that came too late to be compared. */
  confirmed = 0;
  unchecked = 0;
  #capturedUs = 0n;
  /** The newest frames' picture hashes, the oldest first. */
  readonly #pictures = new Map<bigint, Bytes>();

  constructor(
    private readonly findings: Findings,
    private readonly declared: (first: bigint, last: bigint) => boolean,
  ) {}

  /** The edge box's clock begins anew. */
  restart(): void {
    this.#capturedUs = 0n;
  }

  take(place: Place, { frame, capturedUs, pictureHash }: Frame): void {
    const expected = this.newest + 1n;
    if (frame !== expected && !(frame > expected && this.declared(expected, frame - 1n))) {
      this.findings.missing(place, `frame ${frame} follows, expected ${expected}`);
    }
    if (capturedUs < this.#capturedUs) this.findings.violation(place, `frame ${frame} was captured before the one before`);
    if (frame > this.newest) this.newest = frame;
    if (capturedUs > this.#capturedUs) this.#capturedUs = capturedUs;
    this.#pictures.set(frame, pictureHash);
    const oldest = this.#oldest();
    if (this.#pictures.size > REMEMBERED_MAX && oldest !== undefined) this.#pictures.delete(oldest);
  }

  shown(place: Place, frame: bigint, hash: Bytes): void {
    const sent = this.#pictures.get(frame);
    if (sent !== undefined) {
      if (equal(sent, hash)) this.confirmed += 1;
      else this.findings.violation(place, `frame ${frame} was shown as another picture than was sent`);
      return;
    }
    const oldest = this.#oldest();
    if (frame > 0n && oldest !== undefined && frame < oldest) this.unchecked += 1;
    else this.findings.missing(place, `frame ${frame} was reported shown and never sent, the newest is ${this.newest}`);
  }

  #oldest(): bigint | undefined {
    return this.#pictures.keys().next().value;
  }
}
