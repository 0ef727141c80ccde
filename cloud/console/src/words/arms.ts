/** How one arm stands, in a word. Pure. */
import { type KitState, Mode, StateFlag } from "../wire/state";

export interface ArmWords {
  /** As the frame around the picture would have it; still: nothing to look at. */
  readonly look: "still" | "engaged" | "holding" | "stopped";
  readonly word: string;
}

export function armInWords({ mode, flags }: KitState): ArmWords {
  const has = (flag: number) => (flags & flag) !== 0;
  if (mode === Mode.Stopped) return { look: "stopped", word: has(StateFlag.EStop) ? "Stopped" : "Fault" };
  if (!has(StateFlag.Homed)) return { look: "holding", word: "Not homed" };
  if (mode === Mode.SafeStop) return { look: "holding", word: "Safe stop" };
  if (mode === Mode.Paused) return { look: "holding", word: "Paused" };
  if (!has(StateFlag.Engaged)) return { look: "still", word: has(StateFlag.AtRest) ? "At rest" : "Comes to rest" };
  if (mode === Mode.Holding) return { look: "holding", word: "Holding" };
  if (has(StateFlag.Clamped)) return { look: "engaged", word: "At its edge" };
  return { look: "engaged", word: mode === Mode.Limited ? "Slowly" : "Engaged" };
}
