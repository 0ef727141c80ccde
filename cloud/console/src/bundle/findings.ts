/** What a verifier finds: its name, in words, and where. Bounded: the rest is counted. */

/**
 * `note`: said for completeness. `missing`: may be one of the leaves that are redacted, and a violation where none is.
 * `unreadable`: of a kind that this page does not know. `violation`: something is there that should not be.
 */
export type Severity = "note" | "missing" | "unreadable" | "violation";

/** All names, the same for every verifier, and what each is (`docs/evidence-format.md`, 12.1). */
export const NAMES = {
  note: ["redacted", "gap", "restarted", "lost-to-edge", "lost-to-kit", "frame-age", "glass-to-glass"],
  missing: [
    "not-opened", "not-closed", "author", "segment-chain", "unseen-frame", "no-lease", "list-hole", "unlisted-command", "unlogged-command", "kit-time", "frame-number",
    "never-sent",
  ],
  unreadable: ["unreadable"],
  violation: [
    "bundle-trust-root", "other-ledger", "manifest-session", "opening", "misplaced", "leaf-number", "recorded", "closing-counts", "checkpoint-proof", "seal-proof",
    "checkpoint-author", "checkpoint-chain", "checkpoint-time", "checkpoint-root", "checkpoint-beyond", "checkpoints-end", "seal", "envelope", "session", "transaction", "wire",
    "command-code", "two-holders", "not-holder", "command-twice", "other-command", "judged-twice", "taken-in-late", "judged-early", "verdict-time", "frame-time",
    "other-picture", "too-many", "container", "picture", "picture-form", "stray-picture",
  ],
} as const satisfies Readonly<Record<Severity, readonly string[]>>; // prettier-ignore

export type Name = (typeof NAMES)[Severity][number];

const SEVERITY = new Map(Object.entries(NAMES).flatMap(([severity, names]) => names.map((name): [Name, Severity] => [name, severity as Severity])));

/** Where something was found; neither: it is about the whole. */
export interface Place {
  readonly leaf?: number | undefined;
  /** Of the file. */
  readonly byte?: number | undefined;
}

/** A fault whose place is known elsewhere. */
export type Fault = readonly [name: Name, what: string];

export interface Finding extends Place {
  readonly severity: Severity;
  readonly name: Name;
  readonly what: string;
}

const FINDINGS_MAX = 1000;
/** Nor more notes, so that they crowd out no fault. */
const NOTES_MAX = 500;

export class Findings {
  readonly list: Finding[] = [];
  leftOut = 0;
  readonly #counts = { note: 0, missing: 0, unreadable: 0, violation: 0 };

  /** `declared`: the edge box said so in a gap, and it is no fault. */
  add(name: Name, place: Place, what: string, declared = false): void {
    const severity = declared ? "note" : (SEVERITY.get(name) ?? "violation");
    this.#counts[severity] += 1;
    const crowds = severity === "note" && this.#counts.note > NOTES_MAX;
    if (this.list.length < FINDINGS_MAX && !crowds) this.list.push({ severity, name, ...place, what: declared ? `${what}; a gap was declared there` : what });
    else this.leftOut += 1;
  }

  /** 0 holds, 1 does not, 2 could not be read in full, 3 holds under the bundle's own trust root alone. */
  exit(redacted: boolean, trusted: boolean): Exit {
    const { missing, unreadable, violation } = this.#counts;
    if (violation > 0 || (missing > 0 && !redacted)) return 1;
    if (unreadable > 0) return 2;
    return trusted ? 0 : 3;
  }
}

export type Exit = 0 | 1 | 2 | 3;

export function whyNot(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
