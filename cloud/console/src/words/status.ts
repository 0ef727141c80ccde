/**
 * What the frame around the picture says, and why: one look, one word, one line with both numbers. Pure; the most severe
 * thing wins. Red is kept for e-stop and FAULT.
 */
import { type ControlView, type LetGo } from "../control/machine";
import { type LinkState } from "../link/connector";
import { inWords } from "../wire/rejection";
import { type KitState, Mode, StateFlag } from "../wire/state";
import { type KitNotice } from "../wire/statement";

export type Look = "viewing" | "armed" | "engaged" | "holding" | "stopped";

export interface Status {
  readonly look: Look;
  readonly word: string;
  readonly why: string;
}

export interface Facts {
  readonly link: LinkState;
  readonly notice: { readonly said: KitNotice; readonly ageMs: number } | undefined;
  /** Only while this page holds control. */
  readonly state: { readonly said: KitState; readonly ageMs: number } | undefined;
  readonly control: ControlView;
  readonly asking: boolean;
  /** Name of the arm where the hand is, if the kit has several. */
  readonly arm?: string | undefined;
  /** Name of whoever holds control, if it is not this page. */
  readonly holder: string | undefined;
  /** How old the newest picture is; undefined where there is none, or none was shown yet. */
  readonly pictureAgeMs?: number | undefined;
  /** Name of the sealed bundle. */
  readonly sealed?: string | undefined;
}

/** The kit sends states at 100 Hz and notices at least four times a second. */
const STATE_MS_MAX = 300;
const NOTICE_MS_MAX = 1500;
/** A picture that stands for longer is not video. */
const PICTURE_MS_MAX = 1000;

export function statusOf(facts: Facts): Status {
  return common(facts) ?? (facts.control.holdsControl ? inControl(facts) : watching(facts));
}

/** What comes before everything else, at either place. */
export function common(facts: Facts): Status | undefined {
  return pressed(facts) ?? stopped(facts) ?? closed(facts) ?? line(facts) ?? kitSilent(facts) ?? frozen(facts);
}

function pressed({ control }: Facts): Status | undefined {
  const waitingMs = control.unacknowledgedStopMs;
  if (waitingMs === undefined) return undefined;
  const why = `Stop pressed ${seconds(waitingMs)} ago, repeated every 50 ms: the kit has not confirmed it yet.`;
  return { look: "stopped", word: "Stopping", why };
}

function stopped({ notice, state }: Facts): Status | undefined {
  const mode = Math.max(notice?.said.mode ?? 0, state?.said.mode ?? 0);
  if (mode < Mode.Stopped) return undefined;
  // The notice says whose fault it is.
  const own = state?.said.reason ? inWords(state.said.reason) : "";
  const reason = notice?.said.mode === Mode.Stopped && notice.said.reason !== "" ? notice.said.reason : own;
  const flags = (notice?.said.flags ?? 0) | (state?.said.flags ?? 0);
  const word = (flags & StateFlag.EStop) !== 0 ? "Stopped" : "Fault";
  return { look: "stopped", word, why: because(word, reason, "Two people clear it, one of them at the bedside.") };
}

function closed({ notice, sealed }: Facts): Status | undefined {
  if (notice?.said.closed !== true) return undefined;
  const record = sealed === undefined ? "Its record is being sealed." : `Its record is sealed: ${sealed}.`;
  return { look: "viewing", word: "Closed", why: `The operation is over. Nothing arms the kit again in this session. ${record}` };
}

function line({ link, notice }: Facts): Status | undefined {
  switch (link.is) {
    case "connected":
      return undefined;
    case "untrusted":
      return { look: "holding", word: "Not trusted", why: `${upper(link.why)}. Nothing was connected. Tell whoever runs this site.` };
    case "edge-offline":
      return { look: "holding", word: "No edge box", why: "The edge box at the bedside is not online. This page connects when it comes." };
    case "cloud-unreachable":
      return { look: "holding", word: "No server", why: "The server that introduces this page to the edge box can't be reached. Trying again." };
    case "refused":
      return { look: "holding", word: "Refused", why: `The edge box refused: ${link.why} Trying again.` };
    case "connecting":
      return { look: "holding", word: "No connection", why: `${notice ? "The connection to the edge box is lost. Connecting again." : "Connecting to the edge box."} Without commands the kit holds by itself.` };
  }
}

function kitSilent({ notice, state, control }: Facts): Status | undefined {
  if (notice === undefined) return { look: "holding", word: "No kit", why: "Connected to the edge box. Waiting for the kit's first word." };
  const heardMs = Math.min(notice.ageMs, state?.ageMs ?? Number.POSITIVE_INFINITY);
  if (control.holdsControl && state !== undefined && state.ageMs > STATE_MS_MAX) {
    return { look: "holding", word: "Holding", why: `No word from the kit for ${seconds(state.ageMs)}, limit ${seconds(STATE_MS_MAX)}.` };
  }
  if (heardMs <= NOTICE_MS_MAX) return undefined;
  return { look: "holding", word: "No kit", why: `No word from the kit for ${seconds(heardMs)}, limit ${seconds(NOTICE_MS_MAX)}.` };
}

/** The kit refuses commands on a picture that is too old; what it says is added by whoever holds control. */
function frozen({ pictureAgeMs, state }: Facts): Status | undefined {
  if (pictureAgeMs === undefined || pictureAgeMs <= PICTURE_MS_MAX) return undefined;
  const reason = state?.said.reason ? inWords(state.said.reason) : "";
  return { look: "holding", word: "Picture frozen", why: because("", reason, `No new picture for ${seconds(pictureAgeMs)}. What you see is old.`) };
}

function watching({ notice, asking, holder }: Facts): Status {
  const flags = notice?.said.flags ?? 0;
  const viewing = (why: string): Status => ({ look: "viewing", word: "Viewing", why });
  if (asking) return viewing("Asking the kit for control.");
  if (holder !== undefined && (flags & StateFlag.Leased) !== 0) return viewing(`Control is with ${holder}.`);
  if ((flags & StateFlag.Armed) === 0) return viewing("The kit is not armed: two people sign, one of them at the bedside.");
  return viewing("The kit is armed. Take control to operate it.");
}

function inControl({ state, control, arm }: Facts): Status {
  if (state === undefined) return { look: "viewing", word: "Viewing", why: "Control was granted. Waiting for the kit's first state." };
  const { said } = state;
  const [reason, tool] = [said.reason ? inWords(said.reason) : "", arm ?? "the tool"];
  const how = `Hold Space and drag to move ${tool}.`;
  if (control.letGo !== undefined) return holding(`${LET_GO[control.letGo]} Release the dead-man and press it again.`);
  if ((said.flags & StateFlag.Leased) === 0) return holding(because("", reason, "Take control again."));
  if (said.mode === Mode.SafeStop) return safeStop(control.phase === "engaged", reason);
  if (control.phase === "engaged" && said.mode <= Mode.Limited) return engaged(said, tool);
  if (control.phase === "up" && isReady(said)) return { look: "armed", word: "Armed", why: how };
  if (said.mode >= Mode.Paused) return { look: "holding", word: MODES[said.mode] ?? "Paused", why: because("", reason, "") };
  if (control.phase === "engaged" || control.phase === "engaging") return holding(because("", reason, `${upper(tool)} waits for a fresh command.`));
  if (control.phase === "spent") return holding(because("", reason, "Release the dead-man and press it again."));
  if (control.clutch) return holding(`Clutch pressed: the hand is free, ${tool} stays.`);
  if (control.deadMan) return holding(because("", reason, `${upper(tool)} comes to rest.`));
  return { look: "armed", word: "Armed", why: because("", reason, how) };
}

/** The one motion that is left. */
function safeStop(drawing: boolean, reason: string): Status {
  if (drawing) return { look: "holding", word: "Safe stop: the tool is drawn out", why: "Release Space to stop. The jaw keys still work." };
  return { look: "holding", word: "Safe stop", why: because("", reason, "") };
}

function engaged(state: KitState, tool: string): Status {
  const limited = state.mode === Mode.Limited ? `The line is slow: ${tool} moves ${state.speedLimitMmS.toFixed(0)} mm/s at most.` : "";
  const clamped = (state.flags & StateFlag.Clamped) !== 0 ? `At the edge of where ${tool} may go.` : "";
  return { look: "engaged", word: `Engaged: ${tool} follows you`, why: [limited, clamped].filter(Boolean).join(" ") || "Release Space to stop." };
}

function isReady(state: KitState): boolean {
  const needed = StateFlag.Armed | StateFlag.Homed | StateFlag.AtRest;
  return state.mode <= Mode.Holding && (state.flags & needed) === needed;
}

const MODES = ["Free", "Limited", "Holding", "Paused", "Safe stop", "Stopped"];

const LET_GO: Readonly<Record<LetGo, string>> = {
  focus: "This window lost the focus: that is letting go.",
  hidden: "This tab was hidden: that is letting go.",
  pointer: "The pointer was taken away: that is letting go.",
  gamepad: "The gamepad is gone: that is letting go.",
  connection: "The connection broke: that is letting go.",
  stop: "The kit was stopped.",
  control: "Control began anew.",
};

function holding(why: string): Status {
  return { look: "holding", word: "Holding", why };
}

/** "Picture is 420 ms old, limit 400. Release and press again." */
function because(word: string, reason: string, then: string): string {
  const said = reason === "" || reason === word ? "" : `${upper(reason)}.`;
  return [said, then].filter((part) => part !== "").join(" ");
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
