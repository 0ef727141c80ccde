/**
 * Where the net sees a vessel near the jaws of an engaged instrument, in the same picture: a person is told, and looks. Pure.
 *
 * Nothing is stopped or limited by it, and its silence means nothing: the net does not see every vessel. One picture does not tell
 * how deep a vessel lies; it is taken to lie as deep as the jaws, so one far behind them is told of as well.
 */
import { type Spot } from "../control/camera";
import { type Contour, SeenClass } from "../wire/overlay";
import { isInPicture, toOutline } from "./outlines";

/** About half the jaws' length, so that from both their ends all of it is watched; and more than arm and picture are apart before `tips.ts` tells. */
export const NEAR_MM = 5;
/** Outlines move from picture to picture: two pixels of what the net scores are 1.7 mm at a usual distance. */
export const CLEAR_MM = 7;
/** Overlays in a row, some third of a second: a single one may be wrong. */
const TURNED_BY = 3;

export interface NearVessel {
  readonly mm: number;
  /** Which it is; undefined: the net sees none. */
  readonly contour: Contour | undefined;
}

/** The vessel nearest to any of these spots, at their depth; undefined: none of them is in the picture. */
export function nearestVessel(spots: readonly (Spot | undefined)[], contours: readonly Contour[], aspect: number): NearVessel | undefined {
  const seen = spots.filter((spot) => spot !== undefined).filter(({ at }) => isInPicture(at, aspect));
  if (seen.length === 0) return undefined;
  const vessels = contours.filter((contour) => contour.class === SeenClass.Vessel);
  const all = seen.flatMap(({ at, heightM }) => vessels.map((contour) => ({ contour, mm: 1000 * heightM * toOutline(at, contour, aspect) })));
  const none: NearVessel = { mm: Number.POSITIVE_INFINITY, contour: undefined };
  return all.reduce((nearest: NearVessel, one) => (one.mm < nearest.mm ? one : nearest), none);
}

/** By the names of arms: whether a person is to be told, and of which outline. */
export class VesselWatch {
  /** Overlays in a row that say other than what is told. */
  readonly #times = new Map<string, number>();
  readonly #raised = new Set<string>();
  readonly #meant = new WeakSet<Contour>();

  /** One overlay's word on an arm; undefined: there is nothing to say of it, and nothing is told. */
  judge(arm: string, nearest: NearVessel | undefined): void {
    if (nearest === undefined) return this.#forget(arm);
    const { mm, contour } = nearest;
    const raised = this.#raised.has(arm);
    const times = (raised ? mm > CLEAR_MM : mm < NEAR_MM) ? (this.#times.get(arm) ?? 0) + 1 : 0;
    if (times < TURNED_BY) this.#times.set(arm, times);
    else if (raised) this.#forget(arm);
    else {
      this.#times.delete(arm);
      this.#raised.add(arm);
    }
    if (contour !== undefined && mm <= CLEAR_MM && this.#raised.has(arm)) this.#meant.add(contour);
  }

  get raised(): readonly string[] {
    return [...this.#raised].sort();
  }

  /** Whether a person was told of this outline. */
  means(contour: Contour): boolean {
    return this.#meant.has(contour);
  }

  reset(): void {
    this.#times.clear();
    this.#raised.clear();
  }

  #forget(arm: string): void {
    this.#times.delete(arm);
    this.#raised.delete(arm);
  }
}
