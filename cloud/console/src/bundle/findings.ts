/** What a verifier finds, in words, and where. Bounded: the rest is counted. */

/**
 * `note`: said for completeness. `missing`: may be one of the leaves that are redacted, and a violation where none is.
 * `unreadable`: of a kind that this page does not know. `violation`: something is there that should not be.
 */
export type Severity = "note" | "missing" | "unreadable" | "violation";

/** Where something was found; neither: it is about the whole. */
export interface Place {
  readonly leaf?: number | undefined;
  /** Of the file. */
  readonly byte?: number | undefined;
}

export interface Finding extends Place {
  readonly severity: Severity;
  readonly what: string;
}

const FINDINGS_MAX = 1000;

export class Findings {
  readonly list: Finding[] = [];
  leftOut = 0;
  readonly #counts = { note: 0, missing: 0, unreadable: 0, violation: 0 };

  add(severity: Severity, place: Place, what: string): void {
    this.#counts[severity] += 1;
    if (this.list.length < FINDINGS_MAX) this.list.push({ severity, ...place, what });
    else this.leftOut += 1;
  }

  note(place: Place, what: string): void {
    this.add("note", place, what);
  }

  /** `declared`: the edge box said so in a gap, and it is no fault. */
  missing(place: Place, what: string, declared = false): void {
    if (declared) this.note(place, `${what}; a gap was declared there`);
    else this.add("missing", place, what);
  }

  violation(place: Place, what: string): void {
    this.add("violation", place, what);
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
