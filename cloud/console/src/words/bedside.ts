/** What the bedside page says of the arms. Pure. */
import { type LinkState } from "../link/connector";
import { type KitNotice } from "../wire/statement";
import { Mode, StateFlag } from "../wire/state";
import { Control } from "../control/machine";
import { type Status, common } from "./status";

const NOBODY = new Control(new Uint8Array(16)).view(0);

export interface BedsideFacts {
  readonly link: LinkState;
  readonly notice: { readonly said: KitNotice; readonly ageMs: number } | undefined;
  /** For how long a press has waited for the kit. */
  readonly unacknowledgedStopMs: number | undefined;
  /** Name of the sealed bundle. */
  readonly sealed?: string | undefined;
}

export function bedsideStatusOf({ link, notice, unacknowledgedStopMs, sealed }: BedsideFacts): Status {
  const control = { ...NOBODY, unacknowledgedStopMs };
  const first = common({ link, notice, state: undefined, control, asking: false, holder: undefined, sealed });
  return first ?? quietly(notice?.said.mode ?? Mode.Holding, notice?.said.flags ?? 0, notice?.said.reason ?? "", (notice?.said.arms.length ?? 1) > 1);
}

function quietly(mode: number, flags: number, reason: string, several: boolean): Status {
  const [arm, it] = several ? ["arms", "them"] : ["arm", "it"];
  const has = (flag: number) => (flags & flag) !== 0;
  if (mode === Mode.SafeStop) {
    const drawing = has(StateFlag.Engaged) || !has(StateFlag.AtRest);
    const why = "Consent was withdrawn. The surgeon, or Withdraw below, draws the tool out; nothing else moves it.";
    return { look: "holding", word: drawing ? "Safe stop: the tool is drawn out" : "Safe stop", why };
  }
  if (has(StateFlag.Engaged)) return { look: "engaged", word: `The surgeon moves the ${arm}`, why: `Keep hands clear of ${it}.` };
  if (!has(StateFlag.AtRest)) return { look: "holding", word: several ? "An arm moves by itself" : "The arm moves by itself", why: `Keep hands clear of ${it}. Stop stops ${it}.` };
  if (!has(StateFlag.Homed)) return { look: "viewing", word: "Not homed", why: several ? "Not every arm knows yet where it is. Home them." : "The arm does not know yet where it is. Home it." };
  if (!has(StateFlag.Armed)) return { look: "viewing", word: "Not armed", why: `Nobody can move the ${arm}.` };
  const why = has(StateFlag.Leased) ? `A surgeon holds control; the ${arm} ${several ? "stand" : "stands"}.` : `The ${arm} may be moved once a surgeon takes control.`;
  return { look: "armed", word: "Armed", why: reason === "" ? why : `${why} ${reason.charAt(0).toUpperCase()}${reason.slice(1)}.` };
}
