/** Frames that were shown, with the hash of what the browser received: matched by RTP timestamp, in whichever order. Pure. */
import { type Bytes, equal } from "../wire/bytes";
import { type Shown } from "../wire/segment";
import { type ShownFrame } from "../video/frames";

const WAITING_MAX = 512;

interface Seen {
  readonly frame: ShownFrame;
  readonly glassToGlassMs: number;
}

export class Displayed {
  readonly #hashes = new Map<number, Bytes>();
  readonly #seen = new Map<number, Seen>();
  /** Frames whose picture is the one that the edge box's record names, and those where it is another. */
  asSent = 0;
  other = 0;

  hashed(rtpTimestamp: number, hash: Bytes): Shown | undefined {
    const seen = taken(this.#seen, rtpTimestamp);
    if (seen !== undefined) return this.#match(seen, hash);
    put(this.#hashes, rtpTimestamp, hash);
    return undefined;
  }

  shown(frame: ShownFrame, glassToGlassMs: number): Shown | undefined {
    const hash = taken(this.#hashes, frame.rtpTimestamp);
    if (hash !== undefined) return this.#match({ frame, glassToGlassMs }, hash);
    put(this.#seen, frame.rtpTimestamp, { frame, glassToGlassMs });
    return undefined;
  }

  /** A new connection: timestamps begin anew. */
  reset(): void {
    this.#hashes.clear();
    this.#seen.clear();
  }

  #match({ frame, glassToGlassMs }: Seen, pictureHash: Bytes): Shown {
    if (equal(pictureHash, frame.pictureHash)) this.asSent += 1;
    else this.other += 1;
    return { frame: frame.frame, pictureHash, shownUs: microseconds(frame.shownMs), glassToGlassUs: microseconds(glassToGlassMs) };
  }
}

/** Whole and not negative: clocks that differ by less than they know may show an age below zero. */
function microseconds(ms: number): bigint {
  return BigInt(Math.max(0, Math.round(ms * 1000)));
}

function taken<T>(map: Map<number, T>, key: number): T | undefined {
  const value = map.get(key);
  map.delete(key);
  return value;
}

function put<T>(map: Map<number, T>, key: number, value: T): void {
  if (map.size >= WAITING_MAX) map.delete(map.keys().next().value as number);
  map.set(key, value);
}
