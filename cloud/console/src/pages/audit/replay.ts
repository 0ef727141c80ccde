/** The playhead: one moment of a session, and what stood then. Pure but for the clock that it is stepped with. */
import { computed, signal } from "@preact/signals";
import { type Index } from "../../bundle/index";

export const SPEEDS = [1, 4] as const;
/** The picture as it was captured, or the one that the surgeon's screen showed at that moment. */
export type Eye = "captured" | "seen";

export class Replay {
  readonly fromUs: number;
  readonly toUs: number;
  readonly atUs;
  readonly playing = signal<0 | 1 | 4>(0);
  readonly eye = signal<Eye>("captured");

  constructor(readonly index: Index) {
    this.fromUs = index.utcUs[0] ?? 0;
    this.toUs = index.utcUs.at(-1) ?? this.fromUs;
    // Where there is something to see.
    this.atUs = signal(Math.min(Math.max(index.frames.capturedUs[0] ?? this.fromUs, this.fromUs), this.toUs));
  }

  /** The newest leaf at that moment. */
  readonly leaf = computed(() => lastAt(this.index.utcUs, this.atUs.value));
  /** The newest picture that was captured by then. */
  readonly captured = computed(() => lastAt(this.index.frames.capturedUs, this.atUs.value));
  /** The newest picture that the surgeon's screen had shown by then; -1: none. */
  readonly seen = computed(() => {
    const { shownUs } = this.index.frames;
    let picture = this.captured.value;
    while (picture >= 0 && !((shownUs[picture] ?? 0) > 0 && (shownUs[picture] ?? 0) <= this.atUs.value)) picture -= 1;
    return picture;
  });
  readonly picture = computed(() => (this.eye.value === "captured" ? this.captured.value : this.seen.value));
  /** The newest leaf of a command, and of a kit state about the arm that it names; -1: none yet. */
  readonly command = computed(() => this.index.commands.leaf[this.#command.value] ?? -1);
  readonly state = computed(() => {
    const { commands, states } = this.index;
    const arm = commands.arm[this.#command.value] ?? 0;
    let state = lastAt(states.leaf, this.leaf.value);
    while (state >= 0 && states.arm[state] !== arm) state -= 1;
    return states.leaf[state] ?? -1;
  });
  readonly #command = computed(() => lastAt(this.index.commands.leaf, this.leaf.value));

  to(us: number): void {
    this.atUs.value = Math.min(Math.max(us, this.fromUs), this.toUs);
  }

  /** Forwards or back by pictures. */
  step(pictures: number): void {
    const { capturedUs } = this.index.frames;
    const to = Math.min(Math.max(this.captured.value + pictures, 0), capturedUs.length - 1);
    this.playing.value = 0;
    this.to(capturedUs[to] ?? this.atUs.value);
  }

  /** So much time has passed for whoever looks on. */
  pass(us: number): void {
    this.to(this.atUs.value + us * this.playing.value);
    if (this.atUs.value >= this.toUs) this.playing.value = 0;
  }

  /** The first moment at which that leaf is the newest. */
  toLeaf(leaf: number): void {
    this.playing.value = 0;
    this.to(this.index.utcUs[leaf] ?? this.atUs.value);
  }
}

/** Where the last of ascending values that is not above stands; -1: none. */
export function lastAt(values: Float64Array, most: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
