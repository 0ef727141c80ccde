/**
 * What the net sees, over the picture that it saw it in: overlays and shown frames, matched by RTP timestamp in whichever order they
 * come. Pure.
 *
 * An overlay is never drawn over an older picture than its own. Where a picture has none of its own, the newest before it is drawn for
 * a while, and its age is told; then it is dropped.
 */
import { type Overlay, SeenClass } from "../wire/overlay";
import { type ShownFrame } from "./frames";

/** By then a hand has moved the tool out of its line. */
export const BEHIND_MS_MAX = 250;
const OVERLAYS_MAX = 16;

/** What of it a surgeon wants to see. */
export const SHOWN = ["all", "instruments", "vessels", "off"] as const;
export type Wanted = (typeof SHOWN)[number];

export function next(wanted: Wanted): Wanted {
  return SHOWN[(SHOWN.indexOf(wanted) + 1) % SHOWN.length] ?? "all";
}

/** Whether what is of a class is to be seen. */
export function shows(wanted: Wanted, seen: SeenClass): boolean {
  return wanted === "all" || (wanted !== "off" && (wanted === "vessels") === (seen === SeenClass.Vessel));
}

export interface Sighting {
  readonly overlay: Overlay;
  /** How much older than the shown picture the one is that it belongs to; 0: it is that picture's own. */
  readonly behindMs: number;
}

export class Sight {
  /** By their age, the newest last. */
  #overlays: readonly Overlay[] = [];
  /** Overlays that came, and those of them that only doubt. */
  came = 0;
  doubted = 0;

  take(overlay: Overlay): void {
    this.came += 1;
    if (overlay.doubt !== undefined) this.doubted += 1;
    const others = this.#overlays.filter(({ capturedUs }) => capturedUs !== overlay.capturedUs);
    this.#overlays = [...others, overlay].sort((a, b) => (a.capturedUs < b.capturedUs ? -1 : 1)).slice(-OVERLAYS_MAX);
  }

  /** What belongs over this picture. */
  over(shown: ShownFrame | undefined): Sighting | undefined {
    if (shown === undefined) return undefined;
    const overlay = this.#overlays.filter(({ capturedUs }) => capturedUs <= shown.capturedUs).at(-1);
    if (overlay === undefined) return undefined;
    const behindMs = Number(shown.capturedUs - overlay.capturedUs) / 1000;
    return behindMs <= BEHIND_MS_MAX ? { overlay, behindMs } : undefined;
  }

  /** A new connection: the edge box may have begun anew. */
  reset(): void {
    this.#overlays = [];
  }
}
