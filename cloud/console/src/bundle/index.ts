/**
 * What a page needs to find its way in a session: where each leaf stands and when it was, pictures, states, and what happened. A few
 * numbers a leaf (an hour is some 60 MB); **the leaves and pictures themselves stay in the file**.
 */
import { type Role } from "../trust/opening";
import { type Bytes, toHex } from "../wire/bytes";
import { inWords } from "../wire/rejection";
import { type KitState, Mode, StateFlag, readKitState } from "../wire/state";
import { type KitNotice } from "../wire/statement";
import { NUMBERED } from "./leaf";
import { type Session } from "./session";
import { type Passed } from "./verify";

/** What happened, at a leaf. */
export interface Happened {
  readonly leaf: number;
  readonly lane: Lane;
  /** Of what was found wrong: its words as {@link inWords} has them. */
  readonly what: string;
}

export const LANES = ["Armed", "Engaged", "Holding", "Clamped", "E-stop", "Refused", "Control", "Gaps", "Other"] as const;
export type Lane = (typeof LANES)[number];

/** A stretch of a lane, from leaf to leaf. */
export interface Span {
  readonly lane: Lane;
  readonly from: number;
  to: number;
  readonly why: string;
}

export interface Index {
  /** By leaf: UTC in µs, where its message stands in the file, its kind; and all leaf hashes in a row. */
  readonly utcUs: Float64Array;
  readonly at: Float64Array;
  readonly kinds: readonly string[];
  readonly kind: Uint8Array;
  readonly hashes: Uint8Array;
  /** By picture: its leaf, its number, when it was captured, whether it is a key frame, where its bytes stand (0: left out). */
  readonly frames: {
    readonly leaf: Float64Array;
    readonly number: Float64Array;
    readonly capturedUs: Float64Array;
    readonly key: Uint8Array;
    readonly at: Float64Array;
    readonly bytes: Float64Array;
    /** When the surgeon's screen showed it, by the console's reckoning; 0: never, as far as it said. */
    readonly shownUs: Float64Array;
  };
  /** Leaves of commands and of kit states, the arm that each is about, and what the kit reckoned as ages, in ms. */
  readonly commands: { readonly leaf: Float64Array; readonly arm: Uint8Array };
  readonly states: { readonly leaf: Float64Array; readonly arm: Uint8Array; readonly commandAgeMs: Float32Array; readonly pictureAgeMs: Float32Array };
  readonly spans: readonly Span[];
  readonly happened: readonly Happened[];
  /** Each checkpoint's leaves, and where its proof stands. */
  readonly checkpoints: readonly { readonly treeSize: number; readonly at: number }[];
  /** Where the attachment with the proofs begins and ends. */
  readonly proofs: readonly [number, number];
  /** Who is behind each key, in hex. */
  readonly names: ReadonlyMap<string, string>;
  /** What the kit calls its arms, in the order of their numbers. */
  readonly arms: readonly string[];
}

const HAPPENED_MAX = 100_000;

/** Takes leaves as they pass. */
export class Indexer {
  readonly #utcUs: number[] = [];
  readonly #at: number[] = [];
  readonly #kinds: string[] = ["redacted"];
  readonly #kind: number[] = [];
  #hashes = new Uint8Array(32 * 4096);
  readonly #frames = { leaf: [] as number[], number: [] as number[], capturedUs: [] as number[], key: [] as number[], at: [] as number[], bytes: [] as number[] };
  readonly #shownUs = new Map<number, number>();
  readonly #commands = { leaf: [] as number[], arm: [] as number[] };
  readonly #states = { leaf: [] as number[], arm: [] as number[], commandAgeMs: [] as number[], pictureAgeMs: [] as number[] };
  readonly #spans: Span[] = [];
  readonly #open = new Map<Lane, Span>();
  readonly #happened: Happened[] = [];
  /** The newest state of each arm under one token. */
  #arms: (KitState | undefined)[] = [];
  #armNames: readonly string[] = [];
  /** UTC less the edge box's clock, as far as the leaves tell. */
  #offsetUs = 0;

  take(leaf: Passed): void {
    const { number, hash, entry, utcUs } = leaf;
    this.#utcUs.push(Number(utcUs));
    this.#at.push(leaf.at);
    this.#kind.push(this.#kindOf(entry?.what.is ?? "redacted"));
    if (number * 32 >= this.#hashes.length) this.#grow();
    this.#hashes.set(hash, number * 32);
    if (entry) this.#offsetUs = Number(utcUs - entry.recordedUs);
    this.#see(leaf);
  }

  index(session: Session, proofs: readonly [number, number]): Index {
    for (const span of this.#open.values()) span.to = this.#at.length - 1;
    const frames = this.#frames;
    return {
      utcUs: Float64Array.from(this.#utcUs),
      at: Float64Array.from(this.#at),
      kinds: this.#kinds,
      kind: Uint8Array.from(this.#kind),
      hashes: this.#hashes.slice(0, 32 * this.#at.length),
      frames: {
        leaf: Float64Array.from(frames.leaf),
        number: Float64Array.from(frames.number),
        capturedUs: Float64Array.from(frames.capturedUs),
        key: Uint8Array.from(frames.key),
        at: Float64Array.from(frames.at),
        bytes: Float64Array.from(frames.bytes),
        shownUs: Float64Array.from(frames.number, (one) => this.#shownUs.get(one) ?? 0),
      },
      commands: { leaf: Float64Array.from(this.#commands.leaf), arm: Uint8Array.from(this.#commands.arm) },
      states: {
        leaf: Float64Array.from(this.#states.leaf),
        arm: Uint8Array.from(this.#states.arm),
        commandAgeMs: Float32Array.from(this.#states.commandAgeMs),
        pictureAgeMs: Float32Array.from(this.#states.pictureAgeMs),
      },
      spans: this.#spans,
      happened: this.#happened,
      checkpoints: session.anchors?.places ?? [],
      proofs,
      names: namesIn(session),
      arms: this.#armNames,
    };
  }

  #see({ number, entry, opened, unit, utcUs }: Passed): void {
    if (entry === undefined) return;
    const { what } = entry;
    switch (what.is) {
      case "command":
        this.#commands.leaf.push(number);
        this.#commands.arm.push(armOf(what.bytes));
        return;
      case "frame": {
        const frames = this.#frames;
        frames.leaf.push(number);
        frames.number.push(Number(what.frame.frame));
        frames.capturedUs.push(Number(what.frame.capturedUs) + this.#offsetUs);
        frames.key.push(what.frame.keyFrame ? 1 : 0);
        frames.at.push(unit?.at ?? 0);
        frames.bytes.push(unit?.bytes.length ?? 0);
        return;
      }
      case "kit state":
        return this.#state(number, what.bytes);
      case "kit segment":
        if (opened.is === "kit segment") {
          for (const { sequence, refused } of opened.signed.segment.verdicts) {
            if (refused === undefined) continue;
            const { code, seenMilli, limitMilli } = refused;
            this.#add(number, "Refused", `command ${sequence}: ${inWords({ code, seen: Number(seenMilli) / 1000, limit: Number(limitMilli) / 1000 })}`);
          }
        }
        return;
      case "display report":
        if (opened.is === "display report") {
          for (const { frame, glassToGlassUs } of opened.signed.segment.shown) {
            const at = this.#frames.number.lastIndexOf(Number(frame));
            if (at >= 0) this.#shownUs.set(Number(frame), (this.#frames.capturedUs[at] ?? Number(utcUs)) + Number(glassToGlassUs));
          }
        }
        return;
      case "statement":
        if (opened.is !== "statement") return this.#add(number, "Other", "a statement that nobody signed");
        if (opened.statement.said.is === "notice") return this.#notice(number, opened.statement.said.notice);
        return this.#add(number, LANE_OF[opened.statement.said.is] ?? "Control", opened.statement.said.is);
      case "gap":
        return this.#add(number, "Gaps", `${NUMBERED[what.gap.of]} ${what.gap.first} to ${what.gap.last} are missing: ${what.gap.why}`);
      case "restarted":
        return this.#add(number, "Gaps", `the edge box's program started again: ${what.why}`);
      case "switch":
        return this.#add(number, "Other", `${what.name} switched ${what.on ? "on" : "off"}: ${what.why}`);
      case "engagement":
        return this.#add(number, "Engaged", `engagement ${what.engagement} from hold ${what.hold}`);
      case "opening":
        return this.#add(number, "Other", "session opened");
      case "closed":
        return this.#add(number, "Other", `session closed: ${what.why}`);
      case "proof":
        return this.#add(number, "Other", "a committed transaction");
      case "region":
        return this.#add(number, "Other", `forbidden regions, version ${what.version}`);
      default:
        return;
    }
  }

  #state(leaf: number, bytes: Bytes): void {
    let state;
    try {
      state = readKitState(bytes);
    } catch {
      return; // it is among the findings
    }
    this.#states.leaf.push(leaf);
    this.#states.arm.push(state.arm);
    this.#states.commandAgeMs.push(state.commandAgeMs);
    this.#states.pictureAgeMs.push(state.pictureAgeMs);
    if (this.#arms.some((arm) => arm && arm.token !== state.token)) this.#arms = [];
    this.#arms[state.arm] = state;
    if (this.#armNames.length < state.arms) this.#armNames = Array.from({ length: state.arms }, (_, arm) => this.#armNames[arm] ?? `arm ${arm + 1}`);
    const { mode, flags, reason } = ofAll(state, this.#arms);
    this.#lanes(leaf, mode, flags, reason ? inWords(reason) : "");
  }

  /** Between leases the kit's notices say how it stands. */
  #notice(leaf: number, { mode, flags, reason, arms }: KitNotice): void {
    this.#armNames = arms.map(({ name }) => name);
    this.#lanes(leaf, mode, flags, reason);
  }

  #lanes(leaf: number, mode: number, flags: number, why: string): void {
    this.#span("Armed", leaf, (flags & StateFlag.Armed) !== 0, "");
    this.#span("Engaged", leaf, (flags & StateFlag.Engaged) !== 0, "");
    this.#span("Clamped", leaf, (flags & StateFlag.Clamped) !== 0, "");
    this.#span("E-stop", leaf, (flags & StateFlag.EStop) !== 0, "");
    this.#span("Holding", leaf, mode >= Mode.Holding, kindOfReason(why) || "at rest");
  }

  #span(lane: Lane, leaf: number, on: boolean, why: string): void {
    const open = this.#open.get(lane);
    if (open && on && open.why === why) return;
    if (open) {
      open.to = leaf;
      this.#open.delete(lane);
    }
    if (!on || this.#spans.length >= HAPPENED_MAX) return;
    const span: Span = { lane, from: leaf, to: leaf, why };
    this.#spans.push(span);
    this.#open.set(lane, span);
  }

  #add(leaf: number, lane: Lane, what: string): void {
    if (this.#happened.length < HAPPENED_MAX) this.#happened.push({ leaf, lane, what });
  }

  #kindOf(is: string): number {
    const known = this.#kinds.indexOf(is);
    return known >= 0 ? known : this.#kinds.push(is) - 1;
  }

  #grow(): void {
    const grown = new Uint8Array(this.#hashes.length * 2);
    grown.set(this.#hashes);
    this.#hashes = grown;
  }
}

const LANE_OF: Readonly<Record<string, Lane>> = {
  "e-stop": "E-stop", "clear-e-stop": "E-stop", arm: "Armed", disarm: "Armed", home: "Other", withdraw: "Other", fingerprint: "Other", endorse: "Other", close: "Other",
}; // prettier-ignore

/** The arm that a command is about, which may be no command in all else. */
function armOf(command: Uint8Array): number {
  return command[3] ?? 0;
}

/** The kit as a whole, as its notices say it: as free as the freest of its arms, and engaged if one is. */
function ofAll(newest: KitState, arms: readonly (KitState | undefined)[]): Pick<KitState, "mode" | "flags" | "reason"> {
  const known = arms.filter((arm) => arm !== undefined);
  const { mode, reason } = known.reduce((freest, arm) => (arm.mode < freest.mode ? arm : freest));
  const any = StateFlag.Engaged | StateFlag.Clamped;
  return { mode, reason, flags: known.reduce((flags, arm) => flags | (arm.flags & any), newest.flags) };
}

/** The reason without its numbers, which change from state to state. */
function kindOfReason(why: string): string {
  return why.replace(/[\d.]+/g, "…");
}

function namesIn({ people }: Session): Map<string, string> {
  const names = new Map<string, string>();
  if (people === undefined) return names;
  const byRole = new Map<Role, string>();
  for (const { key, role, pseudonym } of people.members) {
    names.set(toHex(key), `${pseudonym}, ${role}`);
    byRole.set(role, pseudonym);
  }
  for (const [key, role] of people.sessionKeys) names.set(key, `${byRole.get(role) ?? "?"}, ${role}`);
  names.set(toHex(people.opening.edge), "edge box");
  names.set(toHex(people.opening.kit), "kit");
  return names;
}
