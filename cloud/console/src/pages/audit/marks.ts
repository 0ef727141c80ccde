/**
 * What the auditor leaves out of an export: entries from and to, or all of a kind, in the words of `farhand-audit redact`. **Nothing is
 * marked without which the rest would not hold.** Pure.
 */
import { computed, signal } from "@preact/signals";
import { type Index } from "../../bundle/index";

export type Mark = { readonly first: number; readonly last: number } | { readonly kind: string };

const NEEDED = new Set(["opening", "restarted", "closed"]);
const REDACTED = "redacted";

export class Marks {
  readonly list = signal<readonly Mark[]>([]);
  /** Where a span begins whose end is not marked yet. */
  readonly begun = signal<number | undefined>(undefined);

  constructor(private readonly index: Index) {}

  /** By leaf: 1 if it is to be left out. */
  readonly out = computed(() => {
    const { kind, kinds } = this.index;
    const whole = kinds.map((one) => this.list.value.some((mark) => "kind" in mark && mark.kind === one));
    const out = Uint8Array.from(kind, (one) => (whole[one] ? 1 : 0));
    for (const mark of this.list.value) if ("first" in mark) out.fill(1, mark.first, mark.last + 1);
    return out.map((marked, leaf) => (this.#kindOf(leaf) === REDACTED ? 0 : marked));
  });

  /** How many of each kind, the most first. */
  readonly counts = computed(() => {
    const counts = this.index.kinds.map(() => 0);
    this.out.value.forEach((marked, leaf) => (counts[this.index.kind[leaf] ?? 0]! += marked));
    const named = this.index.kinds.map((kind, i): [string, number] => [kind, counts[i] ?? 0]);
    return named.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  });

  readonly total = computed(() => this.counts.value.reduce((sum, [, count]) => sum + count, 0));

  /** As the server reads them. */
  get words(): string {
    return this.list.value.map((mark) => ("kind" in mark ? mark.kind.replaceAll(" ", "-") : `${mark.first}-${mark.last}`)).join(",");
  }

  /** The kind of an entry that may be left out. */
  kindOf(leaf: number): string | undefined {
    const kind = this.#kindOf(leaf);
    return NEEDED.has(kind) || kind === REDACTED ? undefined : kind;
  }

  /** Marks it, or takes that very mark away. */
  toggle(mark: Mark): void {
    const others = this.list.value.filter((one) => !isSame(one, mark));
    this.list.value = others.length < this.list.value.length ? others : [...others, mark];
  }

  has(mark: Mark): boolean {
    return this.list.value.some((one) => isSame(one, mark));
  }

  /** One end of a span, then the other: all between them is marked but what is needed. */
  edge(leaf: number): void {
    const begun = this.begun.value;
    this.begun.value = begun === undefined ? leaf : undefined;
    if (begun === undefined) return;
    const [from, to] = [Math.min(begun, leaf), Math.max(begun, leaf)];
    let first = from;
    const spans: Mark[] = [];
    for (let at = from; at <= to + 1; at++) {
      if (at <= to && !NEEDED.has(this.#kindOf(at))) continue;
      if (first < at) spans.push({ first, last: at - 1 });
      first = at + 1;
    }
    this.list.value = [...this.list.value.filter((one) => !spans.some((span) => isSame(one, span))), ...spans];
  }

  #kindOf(leaf: number): string {
    return this.index.kinds[this.index.kind[leaf] ?? 0] ?? REDACTED;
  }
}

/** In words, for a person. */
export function saidOf(mark: Mark): string {
  if ("kind" in mark) return `every ${mark.kind}`;
  const [first, last] = [mark.first, mark.last].map((leaf) => leaf.toLocaleString("en-GB"));
  return first === last ? `entry ${first}` : `entries ${first} to ${last}`;
}

/** "12 × kit state, 2 × frame with its picture". */
export function counted(counts: readonly (readonly [string, number])[]): string {
  return counts.map(([kind, count]) => `${count.toLocaleString("en-GB")} × ${kind}${kind === "frame" ? " with its picture" : ""}`).join(", ");
}

function isSame(a: Mark, b: Mark): boolean {
  if ("kind" in a) return "kind" in b && a.kind === b.kind;
  return "first" in b && a.first === b.first && a.last === b.last;
}
