/** A leaf in words: what it is, field by field, every number with its unit. */
import { openDisplayReport, openKitSegment, openSurgeonSegment } from "../../bundle/segment";
import { type Entry, NUMBERED } from "../../bundle/leaf";
import { inWords as placeInWords, proveBytes } from "../../trust/proof";
import { type TrustRoot } from "../../trust/root";
import { fixed } from "../../ui/figures";
import { type Bytes, toHex } from "../../wire/bytes";
import { readCommand } from "../../wire/command";
import { type Pose } from "../../wire/pose";
import { inWords } from "../../wire/rejection";
import { Mode, OperatingState, StateFlag, readKitState } from "../../wire/state";
import { openStatement } from "../../wire/statement";

export type Field = readonly [string, string];

export const MODES = Object.keys(Mode);
const STATES = Object.keys(OperatingState);

/** Throws where it can't be read. `arms`: what the kit calls its arms. */
export async function fieldsOf({ what }: Entry, names: ReadonlyMap<string, string>, arms: readonly string[], trust: TrustRoot): Promise<Field[]> {
  switch (what.is) {
    case "command": {
      const c = readCommand(what.bytes);
      return [
        ["command", `${c.sequence} under token ${c.token}`],
        ...armField(c.arm, arms),
        ["dead-man", c.deadMan ? "held" : "released"],
        ["clutch", c.clutch ? "pressed" : "free"],
        ["target", poseText(c.target)],
        ["jaw", degrees(c.jawRad)],
        ["frame seen", c.frameSeen === 0n ? "none" : `${c.frameSeen}, ${c.frameAgeUs === undefined ? "of unknown age" : ms(c.frameAgeUs / 1000)} old`],
        ["kit tick echoed", `${c.kitTickEchoUs} µs`],
        ["engagement", `${c.engagement} from hold ${c.hold}`],
      ];
    }
    case "kit state":
      return stateFields(what.bytes, arms);
    case "frame": {
      const f = what.frame;
      return [
        ["frame", `${f.frame}${f.keyFrame ? ", a key frame" : ""}`],
        ["captured", `${f.capturedUs} µs by the edge box's clock`],
        ["access unit", `${f.auBytes.toLocaleString("en-GB")} bytes, SHA-256 ${toHex(f.auHash)}`],
        ["picture", `SHA-256 ${toHex(f.pictureHash)}`],
      ];
    }
    case "surgeon segment": {
      const { author, segment } = await openSurgeonSegment(what.signed);
      const [first, last] = [segment.sent[0], segment.sent.at(-1)];
      const listed = first && last ? `${first.sequence} to ${last.sequence}` : "none";
      return [["signed by", who(author, names)], ["segment", String(segment.link.number)], ["token", String(segment.token)], ["commands sent", listed]];
    }
    case "kit segment": {
      const { author, segment } = await openKitSegment(what.signed);
      const refused = segment.verdicts.filter((one) => one.refused);
      return [
        ["signed by", who(author, names)],
        ["segment", String(segment.link.number)],
        ["kit's time", `${segment.fromUs} to ${segment.toUs} µs`],
        ["taken in", String(segment.verdicts.length - refused.length)],
        ...refused.map(({ sequence, refused: why }): Field => ["refused", `${sequence}: ${why ? inWords({ code: why.code, seen: Number(why.seenMilli) / 1000, limit: Number(why.limitMilli) / 1000 }) : ""}`]),
      ];
    }
    case "display report": {
      const { author, segment } = await openDisplayReport(what.signed);
      const shown = segment.shown.map((one) => `${one.frame} (${ms(Number(one.glassToGlassUs) / 1000)})`);
      return [["signed by", who(author, names)], ["segment", String(segment.link.number)], ["frames shown, glass to glass", shown.join(", ") || "none"]];
    }
    case "statement": {
      const { author, said } = await openStatement(what.signed);
      const rest = Object.entries("notice" in said ? said.notice : "transcript" in said ? said.transcript : said);
      const fields = rest.filter(([name]) => name !== "is").map(([name, value]): Field => [spaced(name), plain(value, names)]);
      return [["signed by", who(author, names)], ["says", said.is], ...fields];
    }
    case "proof": {
      const proven = await proveBytes(what.proof, trust);
      return [["by", who(proven.author, names)], ["stands at", placeInWords(proven.position)], ["kind", String(proven.event.kind)]];
    }
    case "gap":
      return [["missing", `${NUMBERED[what.gap.of]} ${what.gap.first} to ${what.gap.last}`], ["why", what.gap.why]];
    case "opening":
      return [["evidence", `${what.evidence.length.toLocaleString("en-GB")} bytes: proofs of opening, consent and custody, checked with the whole bundle`]];
    case "closed":
      return [["counts", what.counts.join(", ")], ["why", what.why]];
    case "clock":
      return [["UTC", `${new Date(Number(what.utc.us) / 1000).toISOString()} ± ${ms(Number(what.utc.uncertaintyUs) / 1000)}`], ["held by", what.source], ["offset", `${what.offsetUs} µs`]];
    default:
      return Object.entries(what).filter(([name]) => name !== "is").map(([name, value]): Field => [spaced(name), plain(value, names)]);
  }
}

export function stateFields(bytes: Bytes, arms: readonly string[]): Field[] {
  const s = readKitState(bytes);
  const flags = Object.entries(StateFlag).filter(([, bit]) => (s.flags & bit) !== 0).map(([name]) => spaced(name));
  return [
    ...armField(s.arm, arms),
    ["mode", `${MODES[s.mode] ?? s.mode}, ${STATES[s.operatingState] ?? s.operatingState}`.toLowerCase()],
    ["why", s.reason ? inWords(s.reason) : "–"],
    ["flags", flags.join(", ") || "none"],
    ["tip, measured", poseText(s.measured)],
    ["tip, told", poseText(s.setpoint)],
    ["jaw", degrees(s.jawRad)],
    ["lag", `${fixed(s.lagMm, 2)} mm`],
    ["speed cap", `${fixed(s.speedLimitMmS, 0)} mm/s`],
    ["command's age", ms(s.commandAgeMs)],
    ["picture's age", ms(s.pictureAgeMs)],
    ["newest, applied", `${s.newest}, ${s.applied} under token ${s.token}`],
    ["refused so far", String(s.rejected)],
    ["kit tick", `${s.tickUs} µs`],
  ];
}

/** Which arm, where there are several. */
export function armField(arm: number, arms: readonly string[]): Field[] {
  return arms.length > 1 || arm > 0 ? [["arm", `${arm + 1}${arms[arm] === undefined ? "" : `, ${arms[arm]}`}`]] : [];
}

export function poseText({ positionM }: Pose): string {
  return `${positionM.map((m) => fixed(m * 1000, 2)).join("  ")} mm`;
}

export function degrees(rad: number): string {
  return `${fixed((rad * 180) / Math.PI, 1)}°`;
}

export function ms(value: number): string {
  return Number.isFinite(value) && value < 1e9 ? `${fixed(value, 0)} ms` : "–";
}

export function who(key: Bytes, names: ReadonlyMap<string, string>): string {
  const hex = toHex(key);
  return `${names.get(hex) ?? "unknown"} (${hex.slice(0, 16)}…)`;
}

function plain(value: unknown, names: ReadonlyMap<string, string>): string {
  if (value === null || value === undefined) return "none";
  if (value instanceof Uint8Array) return names.get(toHex(value)) ?? toHex(value);
  if (Array.isArray(value)) return value.map((one) => plain(one, names)).join(", ") || "none";
  if (typeof value === "object") return Object.values(value).map((one) => plain(one, names)).join(" ");
  return String(value);
}

/** `frameSeen` → "frame seen". */
function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).trim().toLowerCase();
}
