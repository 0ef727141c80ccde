/** The field team's work as the server tells it. Pure. */
import { isRecord } from "../../link/api";
import { type CustodyStep } from "../../trust/custody";
import { type Bytes, fromBase64Url, fromHex } from "../../wire/bytes";

export const CALLS = ["dispatch", "bring-up", "pair"] as const;
export type Call = (typeof CALLS)[number];
export const STATES = ["waiting", "now", "done", "failed"] as const;
export type StepState = (typeof STATES)[number];

/** Which of the kit's steps belong to which button. */
export const STEPS_OF: Readonly<Record<Call, readonly CustodyStep[]>> = {
  dispatch: ["sealed", "loaded", "airborne", "landed"],
  "bring-up": ["unsealed"],
  pair: ["self-tested", "paired"],
};

/** What the field person signs with each button; pairing is signed by the kit itself. */
export const SIGNED_BY: Readonly<Record<Call, CustodyStep | undefined>> = { dispatch: "loaded", "bring-up": "unsealed", pair: undefined };

const STEPS_MAX = 32;
const DETAIL_MAX = 2000;

export interface Step {
  readonly step: string;
  readonly state: StepState;
  /** In words: who signed and where it stands, what happens, or what went wrong and what to do. */
  readonly detail: string;
  /** 0 to 1, where it is known. */
  readonly progress: number | undefined;
}

export interface Flight {
  readonly phase: string;
  readonly latDeg: number;
  readonly lonDeg: number;
  readonly altM: number;
  readonly progress: number;
}

export interface Next {
  readonly call: Call;
  /** To be signed by the field person; undefined: nothing is. */
  readonly transaction: Bytes | undefined;
}

export interface Field {
  /** The kit's device key; undefined: the server did not name one that can be read. */
  readonly kit: Bytes | undefined;
  readonly steps: readonly Step[];
  readonly next: Next | undefined;
  readonly flight: Flight | undefined;
}

/** The server's object, or `undefined` if it is none. */
export function readField(value: unknown): Field | undefined {
  if (!isRecord(value) || !Array.isArray(value["steps"])) return undefined;
  const kit = typeof value["kit"] === "string" ? value["kit"] : "";
  return {
    kit: fromHex(kit, 32) ?? sized(fromBase64Url(kit), 32),
    steps: value["steps"].filter(isRecord).slice(0, STEPS_MAX).flatMap(readStep),
    next: readNext(value["next"]),
    flight: readFlight(value["flight"]),
  };
}

/** The same from an event's text. */
export function readEvent(text: string): Field | undefined {
  try {
    return readField(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function readStep(record: Readonly<Record<string, unknown>>): Step[] {
  const state = STATES.find((one) => one === record["state"]);
  const { step, detail } = record;
  if (state === undefined || typeof step !== "string") return [];
  const progress = number(record["progress"]);
  return [
    {
      step,
      state,
      detail: typeof detail === "string" ? withTimes(detail.slice(0, DETAIL_MAX)) : "",
      progress: progress !== undefined && progress >= 0 && progress <= 1 ? progress : undefined,
    },
  ];
}

/** "1700000000 s UTC" as people read it. */
function withTimes(detail: string): string {
  return detail.replace(/\b(\d{9,10}) s UTC\b/g, (_, s: string) => `${new Date(Number(s) * 1000).toISOString().slice(11, 19)} UTC`);
}

function readNext(value: unknown): Next | undefined {
  if (!isRecord(value)) return undefined;
  const call = CALLS.find((one) => one === value["call"]);
  const { transaction } = value;
  if (call === undefined) return undefined;
  return { call, transaction: typeof transaction === "string" && transaction !== "" ? fromBase64Url(transaction) : undefined };
}

function readFlight(value: unknown): Flight | undefined {
  if (!isRecord(value)) return undefined;
  const [latDeg, lonDeg, altM] = [number(value["lat_deg"]), number(value["lon_deg"]), number(value["alt_m"])];
  if (latDeg === undefined || lonDeg === undefined || altM === undefined) return undefined;
  const phase = typeof value["phase"] === "string" ? value["phase"] : "";
  return { phase, latDeg, lonDeg, altM, progress: Math.min(1, Math.max(0, number(value["progress"]) ?? 0)) };
}

function sized(bytes: Bytes | undefined, length: number): Bytes | undefined {
  return bytes?.length === length ? bytes : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** A button's steps, and what they amount to. */
export function partOf(field: Field, call: Call): { readonly state: StepState; readonly steps: readonly Step[] } {
  const names: readonly string[] = STEPS_OF[call];
  const steps = field.steps.filter(({ step }) => names.includes(step));
  const every = steps.length === names.length && steps.every(({ state }) => state === "done");
  const some = (wanted: StepState) => steps.some(({ state }) => state === wanted);
  return { steps, state: some("failed") ? "failed" : every ? "done" : some("now") ? "now" : "waiting" };
}
