/**
 * E-stop presses that the kit has not acknowledged. **Each press is repeated every 50 ms, also over a new connection,
 * until a notice of the kit lists it.** Every press is a new one: a cleared id never latches again.
 */
import { type Bytes, toHex } from "../wire/bytes";

const REPEAT_MS = 50;
/** More presses than this are not repeated one by one: the newest ones stop the arm just as well. */
const PRESSES_MAX = 16;

interface Press {
  readonly id: Bytes;
  readonly sinceMs: number;
  sentMs: number;
}

export class Presses {
  readonly #open = new Map<string, Press>();

  press(nowMs: number, id: Bytes): void {
    if (this.#open.size >= PRESSES_MAX) this.#open.delete(this.#open.keys().next().value as string);
    this.#open.set(toHex(id), { id, sinceMs: nowMs, sentMs: Number.NEGATIVE_INFINITY });
  }

  /** The kit has these. */
  acknowledge(ids: readonly Uint8Array[]): void {
    for (const id of ids) this.#open.delete(toHex(id));
  }

  /** Those that are to be sent now. */
  due(nowMs: number): Bytes[] {
    const due = [...this.#open.values()].filter((press) => nowMs - press.sentMs >= REPEAT_MS);
    for (const press of due) press.sentMs = nowMs;
    return due.map((press) => press.id);
  }

  /** For how long the oldest press has waited for the kit. */
  waitingMs(nowMs: number): number | undefined {
    const since = [...this.#open.values()].map((press) => press.sinceMs);
    return since.length === 0 ? undefined : nowMs - Math.min(...since);
  }
}
