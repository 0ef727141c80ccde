/**
 * Where the arm says that its tool's jaws turn, against where the net sees instruments: two that know nothing of each other. Pure.
 *
 * A tool that slipped in its holder, a camera that was knocked or a joint that reads wrong moves the one and not the other. Nothing
 * is stopped or limited by it: a person is told, and looks.
 */
import { type PicturePoint } from "../control/camera";
import { type Contour, SeenClass } from "../wire/overlay";
import { isInPicture, toOutline } from "./outlines";

/** In heights of the picture: some 4 mm at a usual distance. */
export const APART_MAX = 0.06;
/** Overlays in a row, about a second and half a second: a single one may be wrong. */
const RAISED_BY = 8;
const LOWERED_BY = 4;
/** Nearer to the picture's edge than this a tool may as well be outside it. */
const MARGIN = 0.04;

/** How far a point lies from the nearest instrument that is seen, 0 within one; undefined: it is not in the picture. */
export function apart(at: PicturePoint, contours: readonly Contour[], aspect: number): number | undefined {
  if (!isInPicture(at, aspect, MARGIN)) return undefined;
  const instruments = contours.filter(({ class: seen }) => seen === SeenClass.Shaft || seen === SeenClass.Wrist || seen === SeenClass.Jaws);
  return Math.min(Number.POSITIVE_INFINITY, ...instruments.map((contour) => toOutline(at, contour, aspect)));
}

/** By the names of arms: whether a person is to be told. */
export class TipWatch {
  readonly #rows = new Map<string, { readonly off: boolean; readonly times: number }>();
  readonly #raised = new Set<string>();

  /** One overlay's word on an arm: how far apart, undefined where nothing can be said. */
  judge(arm: string, distance: number | undefined): void {
    if (distance === undefined) return void this.#rows.delete(arm);
    const off = distance > APART_MAX;
    const row = this.#rows.get(arm);
    const times = row?.off === off ? row.times + 1 : 1;
    this.#rows.set(arm, { off, times });
    if (off && times >= RAISED_BY) this.#raised.add(arm);
    if (!off && times >= LOWERED_BY) this.#raised.delete(arm);
  }

  get raised(): readonly string[] {
    return [...this.#raised].sort();
  }

  reset(): void {
    this.#rows.clear();
    this.#raised.clear();
  }
}
