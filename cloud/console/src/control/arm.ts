/** What this page knows of one arm under the present lease: its newest state, and the engagements that it began there. Pure. */
import { type KitState, Mode, StateFlag } from "../wire/state";

/** An engagement starts from a state that is no older than this. */
const STATE_MS_MAX = 250;

export class Arm {
  #state: KitState | undefined;
  #heardMs = 0;
  #engagement = 0n;
  #hold = 0n;
  /** A state that knows of this command knows that the last engagement is over. */
  #ended = 1n;

  get state(): KitState | undefined {
    return this.#state;
  }

  /** Number of the newest engagement; each arm counts its own. */
  get engagement(): bigint {
    return this.#engagement;
  }

  /** The held setpoint that it started from. */
  get hold(): bigint {
    return this.#hold;
  }

  /** Whether it is newer than what was known. */
  hears(nowMs: number, state: KitState): boolean {
    if (this.#state !== undefined && state.tickUs <= this.#state.tickUs) return false;
    this.#state = state;
    this.#heardMs = nowMs;
    return true;
  }

  /** The state that an engagement may start from now. */
  ready(nowMs: number): KitState | undefined {
    const state = this.#state;
    if (state === undefined || nowMs - this.#heardMs > STATE_MS_MAX || !this.#knowsOfTheEnd(state)) return undefined;
    const needed = StateFlag.AtRest | StateFlag.Armed | StateFlag.Homed | StateFlag.Leased;
    const may = (state.flags & needed) === needed && (state.flags & StateFlag.EStop) === 0;
    return may && (state.mode <= Mode.Holding || state.mode === Mode.SafeStop) ? state : undefined;
  }

  begin(hold: bigint): void {
    this.#engagement += 1n;
    this.#hold = hold;
  }

  /** That command, or any after it, finds the engagement over. */
  end(sequence: bigint): void {
    this.#ended = sequence;
  }

  /** Whether that state has our engagement running. */
  isEngagedIn(state: KitState): boolean {
    return state.engagement === this.#engagement && (state.flags & StateFlag.Engaged) !== 0;
  }

  /** It was engaged, and has not said since that this is over. */
  get mayBeEngaged(): boolean {
    return this.#engagement > 0n && this.#state !== undefined && !this.#knowsOfTheEnd(this.#state);
  }

  #knowsOfTheEnd(state: KitState): boolean {
    return state.newest >= this.#ended && (state.flags & StateFlag.Engaged) === 0;
  }
}
