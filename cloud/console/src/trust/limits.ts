/** The limits that the kit runs with, believed only if they are those whose digest the opening names. */
import { equal } from "../wire/bytes";
import { sha256 } from "../wire/mac";
import { type VerifiedOpening } from "./opening";

export type Limits = ReadonlyMap<string, number>;

/** `undefined` if `text` (one `name=value` line each) is not what the opening names. */
export function verifyLimits(text: Uint8Array, opening: VerifiedOpening): Limits | undefined {
  if (!equal(sha256(text), opening.limitsDigest)) return undefined;
  const lines = new TextDecoder().decode(text).split("\n");
  return new Map(lines.filter((line) => line !== "").map((line) => entry(line)));
}

function entry(line: string): [string, number] {
  const at = line.indexOf("=");
  return [line.slice(0, at), Number(line.slice(at + 1))];
}
