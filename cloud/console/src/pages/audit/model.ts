/** What the server says of bundles and of their checking (`cloud/audit/src/report.rs`). Pure. */
import { isRecord } from "../../link/api";

export interface Bundle {
  readonly name: string;
  readonly bytes: number;
  readonly sealedAtMs: number | undefined;
}

/** Something in a report by its name, in the order that it came in. */
export interface Entry {
  readonly name: string;
  readonly value: string | readonly Entry[];
}

/** What was found, one line. */
export interface Finding {
  /** `violation`, `unreadable`, `missing` or `note`. */
  readonly severity: string;
  /** As the document names it. */
  readonly name: string;
  readonly leaf: string;
  readonly what: string;
}

/** A part of the report that has a name of its own. */
export interface Part {
  readonly title: string;
  readonly entries: readonly Entry[];
}

export interface Report {
  /** As `farhand-audit verify` ends. */
  readonly exit: 0 | 1 | 2 | 3;
  /** Why the file could not be read at all. */
  readonly unreadable: string;
  /** Fingerprint of the trust root that it was checked under. */
  readonly trustSha256: string;
  readonly findings: readonly Finding[];
  readonly findingsLeftOut: number;
  /** Everything else that it holds: numbers first, then each part. */
  readonly parts: readonly Part[];
}

const BUNDLES_MAX = 10_000;
const LIST_MAX = 1000;
const DEPTH_MAX = 6;

export const VERDICTS = [
  "Holds: nothing was altered, nothing is missing.",
  "Does not hold.",
  "Could not be read in full: no verdict.",
  "Self-consistent, but not trusted: no trust root was given.",
] as const;

/** The same in a column. */
export const SHORT = ["holds", "does not hold", "could not be read", "self-consistent, not trusted"] as const;

/** The newest first. A name that is no plain file name is left out. */
export function readBundles(answer: unknown): Bundle[] | undefined {
  if (!Array.isArray(answer)) return undefined;
  const bundles = answer.filter(isRecord).slice(0, BUNDLES_MAX).flatMap(readBundle);
  return bundles.sort((a, b) => (b.sealedAtMs ?? 0) - (a.sealedAtMs ?? 0));
}

function readBundle({ name, bytes, sealed_at_ms: sealed }: Readonly<Record<string, unknown>>): Bundle[] {
  if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(name)) return [];
  return [{ name, bytes: number(bytes) ?? 0, sealedAtMs: number(sealed) }];
}

/** `undefined` unless it names an outcome that we know: no verdict is better than a guessed one. */
export function readReport(answer: unknown): Report | undefined {
  if (!isRecord(answer)) return undefined;
  const { exit, verdict: _, unreadable, findings, findings_left_out: leftOut, ...rest } = answer;
  if (exit !== 0 && exit !== 1 && exit !== 2 && exit !== 3) return undefined;
  const trust = rest["trust"];
  const sha256 = isRecord(trust) ? trust["sha256"] : undefined;
  const listed = Array.isArray(findings) ? findings.slice(0, LIST_MAX) : [];
  const missing = Array.isArray(findings) ? findings.length - listed.length : 0;
  return {
    exit,
    unreadable: typeof unreadable === "string" ? unreadable : "",
    trustSha256: typeof sha256 === "string" ? sha256 : "",
    findings: listed.map(readFinding),
    findingsLeftOut: missing + (number(leftOut) ?? 0),
    parts: partsOf(rest),
  };
}

function readFinding(finding: unknown): Finding {
  if (!isRecord(finding)) return { severity: "violation", name: "", leaf: "", what: String(finding) };
  const { severity, name, leaf, what } = finding;
  return {
    severity: typeof severity === "string" ? severity : "violation",
    name: typeof name === "string" ? name : "",
    leaf: typeof leaf === "number" ? leaf.toLocaleString("en-GB") : "",
    what: typeof what === "string" ? what : JSON.stringify(finding),
  };
}

function partsOf(rest: Readonly<Record<string, unknown>>): Part[] {
  const named = Object.entries(rest).filter(([, value]) => value !== null);
  const scalars = named.filter(([, value]) => typeof value !== "object");
  const records = named.filter(([, value]) => typeof value === "object");
  const counted = { title: "Counted", entries: scalars.map(([name, value]) => entry(name, value, DEPTH_MAX)) };
  const parts = records.map(([name, value]) => ({ title: title(name), entries: entries(value as object, DEPTH_MAX) }));
  return [...(scalars.length > 0 ? [counted] : []), ...parts];
}

function entry(name: string, value: unknown, depth: number): Entry {
  return { name: words(name), value: shown(value, depth) };
}

function shown(value: unknown, depth: number): string | readonly Entry[] {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return Number.isInteger(value) ? value.toLocaleString("en-GB") : String(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  return depth === 0 ? JSON.stringify(value) : entries(value as object, depth);
}

/** Of a record, or of a list, whose items are numbered from 1. */
function entries(value: object, depth: number): Entry[] {
  const all = Array.isArray(value) ? value.map((one, i): [string, unknown] => [String(i + 1), one]) : Object.entries(value);
  const kept = all.slice(0, LIST_MAX).map(([name, one]) => entry(name, one, depth - 1));
  return all.length <= LIST_MAX ? kept : [...kept, { name: "…", value: `${all.length - LIST_MAX} more` }];
}

/** `surgeon_segments` → "surgeon segments". */
function words(name: string): string {
  return name.replaceAll("_", " ");
}

function title(name: string): string {
  return words(name).replace(/^./, (letter) => letter.toUpperCase());
}

function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
