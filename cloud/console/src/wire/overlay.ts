/** What the edge box sees in a picture (`shared/wire`, `overlay.rs`): contours by class, or why it does not trust what it sees. */
import { Kind, content, layoutFrom } from "./kind";
import { Malformed } from "./malformed";

export const CONTOURS_MAX = 64;
export const CONTOUR_POINTS_MAX = 2048;
const WHY_BYTES_MAX = 200;
const HEAD_BYTES = 16;
const CONTOUR_HEAD_BYTES = 4;
const POINT_BYTES = 4;

export const Doubt = { Unsure: 1, Dark: 2, Glare: 3, Blurred: 4, Strange: 5 } as const;
export type Doubt = (typeof Doubt)[keyof typeof Doubt];

export const SeenClass = { Shaft: 1, Wrist: 2, Jaws: 3, Vessel: 4, Organ: 5 } as const;
export type SeenClass = (typeof SeenClass)[keyof typeof SeenClass];

/** A closed line around what is of one class. */
export interface Contour {
  readonly class: SeenClass;
  /** From the picture's left and from its top, one after the other; 65535 is its whole width or height. */
  readonly points: Uint16Array;
}

export interface Overlay {
  /** The picture's. 90 kHz, wraps at 2^32. */
  readonly rtpTimestamp: number;
  /** µs since the edge box started. */
  readonly capturedUs: bigint;
  /** Why nothing is shown. */
  readonly doubt: Doubt | undefined;
  readonly contours: readonly Contour[];
}

/** Why nothing looks at the pictures. */
export function readNoSight(bytes: Uint8Array): string {
  const words = content(Kind.NoSight, bytes);
  if (words.length > WHY_BYTES_MAX) throw new Malformed(`a reason of ${words.length} bytes`);
  return new TextDecoder("utf-8", { fatal: true }).decode(words);
}

export function readOverlay(bytes: Uint8Array): Overlay {
  const view = layoutFrom(Kind.Overlay, bytes, HEAD_BYTES);
  const [doubt, count] = [view.getUint8(2), view.getUint8(3)];
  if (count > CONTOURS_MAX || (doubt !== 0 && count > 0)) throw new Malformed(`${count} contours, doubt ${doubt}`);
  const contours: Contour[] = [];
  let [at, left] = [HEAD_BYTES, CONTOUR_POINTS_MAX];
  for (let i = 0; i < count; i++) {
    const contour = readContour(view, at, left);
    at += CONTOUR_HEAD_BYTES + POINT_BYTES * (contour.points.length / 2);
    left -= contour.points.length / 2;
    contours.push(contour);
  }
  if (at !== bytes.length) throw new Malformed(`the overlay has ${bytes.length} bytes, expected ${at}`);
  return {
    rtpTimestamp: view.getUint32(4, true),
    capturedUs: view.getBigUint64(8, true),
    doubt: doubt === 0 ? undefined : known(Doubt, "doubt", doubt),
    contours,
  };
}

function readContour(view: DataView, at: number, pointsMax: number): Contour {
  if (at + CONTOUR_HEAD_BYTES > view.byteLength) throw new Malformed("a contour is cut off");
  const count = view.getUint16(at + 2, true);
  const from = at + CONTOUR_HEAD_BYTES;
  if (view.getUint8(at + 1) !== 0) throw new Malformed("a contour's reserved byte is not 0");
  if (count > pointsMax || from + count * POINT_BYTES > view.byteLength) throw new Malformed(`a contour of ${count} points`);
  return {
    class: known(SeenClass, "class", view.getUint8(at)),
    points: Uint16Array.from({ length: 2 * count }, (_, i) => view.getUint16(from + 2 * i, true)),
  };
}

function known<T extends number>(names: Readonly<Record<string, T>>, field: string, value: number): T {
  const found = Object.values(names).find((one) => one === value);
  if (found === undefined) throw new Malformed(`unknown ${field} ${value}`);
  return found;
}
