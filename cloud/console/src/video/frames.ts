/**
 * Which frame is on the screen, and how old it is: frame records and shown frames, matched by RTP timestamp in whichever
 * order they come. Pure.
 */
import { type Bytes } from "../wire/bytes";
import { type FrameRecord } from "../wire/video";
import { type EdgeClock } from "./clock";

const RECORDS_MAX = 512;
const SHOWN_MAX = 64;

/** A frame that was shown, and is known. */
export interface ShownFrame {
  readonly frame: bigint;
  readonly rtpTimestamp: number;
  readonly capturedUs: bigint;
  /** As the edge box's record names it. */
  readonly pictureHash: Bytes;
  /** On this page's clock. */
  readonly shownMs: number;
  /** The same on the edge box's, modulo nothing, if the in-pixel stamp could be read. */
  readonly stampUs: bigint | undefined;
}

interface Shown {
  readonly rtpTimestamp: number;
  readonly shownMs: number;
  readonly stampUs: bigint | undefined;
}

export class FrameMatcher {
  readonly #records = new Map<number, FrameRecord>();
  readonly #shown = new Map<number, Shown>();
  /** Those that were matched: what comes over a second path as well was shown before. */
  readonly #matched = new Map<number, true>();
  #newest: ShownFrame | undefined;
  unmatched = 0;

  get newest(): ShownFrame | undefined {
    return this.#newest;
  }

  record(record: FrameRecord): ShownFrame | undefined {
    if (this.#matched.has(record.rtpTimestamp)) return undefined;
    bounded(this.#records, RECORDS_MAX);
    this.#records.set(record.rtpTimestamp, record);
    const shown = this.#shown.get(record.rtpTimestamp);
    if (shown === undefined) return undefined;
    this.#shown.delete(record.rtpTimestamp);
    return this.#match(record, shown);
  }

  shown(shown: Shown): ShownFrame | undefined {
    if (this.#matched.has(shown.rtpTimestamp)) return undefined;
    const record = this.#records.get(shown.rtpTimestamp);
    if (record !== undefined) return this.#match(record, shown);
    if (this.#shown.size >= SHOWN_MAX) this.unmatched += 1;
    bounded(this.#shown, SHOWN_MAX);
    this.#shown.set(shown.rtpTimestamp, shown);
    return undefined;
  }

  /** A new connection: timestamps begin anew. */
  reset(): void {
    this.#records.clear();
    this.#shown.clear();
    this.#matched.clear();
    this.#newest = undefined;
  }

  #match(record: FrameRecord, { shownMs, stampUs }: Shown): ShownFrame {
    const { frame, rtpTimestamp, capturedUs, pictureHash } = record;
    bounded(this.#matched, RECORDS_MAX);
    this.#matched.set(rtpTimestamp, true);
    const matched = { frame, rtpTimestamp, capturedUs, pictureHash, shownMs, stampUs };
    if (this.#newest === undefined || frame > this.#newest.frame) this.#newest = matched;
    return matched;
  }
}

/** From capture to being shown, in ms. */
export function glassToGlassMs({ shownMs, capturedUs }: ShownFrame, clock: EdgeClock): number {
  return shownMs + clock.offsetMs - Number(capturedUs) / 1000;
}

const STAMP_MODULUS = 1n << 48n;

/** The same by the stamp in the picture itself. */
export function stampMs({ shownMs, stampUs }: ShownFrame, clock: EdgeClock): number | undefined {
  if (stampUs === undefined) return undefined;
  const shownUs = BigInt(Math.round((shownMs + clock.offsetMs) * 1000));
  const ageUs = BigInt.asUintN(48, shownUs - stampUs);
  return Number(ageUs < STAMP_MODULUS / 2n ? ageUs : ageUs - STAMP_MODULUS) / 1000;
}

/** Makes room for one more by dropping the oldest. */
function bounded(map: Map<number, unknown>, max: number): void {
  if (map.size >= max) map.delete(map.keys().next().value as number);
}
