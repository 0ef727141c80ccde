/** Leaves of a session's log (`docs/evidence-format.md`, 8). A kind that is not known can't be read: nothing is skipped. */
import { PROOF_BYTES_MAX, type Utc, readUtc } from "../trust/proof";
import { type Bytes } from "../wire/bytes";
import { Fields, fromCbor } from "../wire/cbor";
import { COMMAND_BYTES } from "../wire/command";
import { Malformed } from "../wire/malformed";
import { SIGNED_BYTES_MAX } from "../wire/signed";
import { KIT_STATE_BYTES } from "../wire/state";

const LEAF_BYTES_MAX = 1_052_672;
const OPENING_BYTES_MAX = 1024 * 1024;
const REGION_BYTES_MAX = 65_536;
/** What a clock may be off by: a day. */
const OFFSET_US_MAX = 86_400_000_000n;
const NAME_BYTES_MAX = 64;
const REASON_BYTES_MAX = 512;

export interface Frame {
  readonly frame: bigint;
  readonly rtpTimestamp: number;
  /** On the edge box's clock. */
  readonly capturedUs: bigint;
  readonly kitTickUs: bigint;
  readonly keyFrame: boolean;
  readonly auHash: Bytes;
  readonly pictureHash: Bytes;
  readonly auBytes: bigint;
}

/** What numbers may be missing of. */
export const NUMBERED = ["commands", "frames", "surgeon segments", "kit segments", "display reports"] as const;

export interface Gap {
  /** Index in {@link NUMBERED}. */
  readonly of: number;
  readonly token: bigint;
  readonly first: bigint;
  readonly last: bigint;
  readonly why: string;
}

/** How many there are: commands, frames, surgeon segments, kit segments, display reports, statements. */
export type Counts = readonly [bigint, bigint, bigint, bigint, bigint, bigint];

export type What =
  | { readonly is: "opening"; readonly evidence: Bytes }
  | { readonly is: "command"; readonly bytes: Bytes }
  | { readonly is: "surgeon segment" | "kit segment" | "display report" | "statement"; readonly signed: Bytes }
  | { readonly is: "frame"; readonly frame: Frame }
  | { readonly is: "kit state"; readonly bytes: Bytes }
  | { readonly is: "overlay"; readonly frame: bigint; readonly model: Bytes; readonly overlay: Bytes }
  | { readonly is: "engagement"; readonly token: bigint; readonly engagement: bigint; readonly hold: bigint; readonly first: bigint }
  | { readonly is: "region"; readonly version: bigint; readonly snapshot: Bytes }
  | { readonly is: "switch"; readonly name: string; readonly on: boolean; readonly why: string }
  | { readonly is: "gap"; readonly gap: Gap }
  | { readonly is: "clock"; readonly utc: Utc; readonly source: string; readonly offsetUs: bigint }
  | { readonly is: "proof"; readonly proof: Bytes }
  | { readonly is: "personal"; readonly commitment: Bytes }
  | { readonly is: "restarted"; readonly why: string }
  | { readonly is: "closed"; readonly counts: Counts; readonly why: string };

export interface Entry {
  readonly salt: Bytes;
  readonly number: bigint;
  readonly recordedUs: bigint;
  readonly what: What;
}

export function readLeaf(bytes: Uint8Array): Entry {
  const f = new Fields("leaf", fromCbor("leaf", bytes, LEAF_BYTES_MAX), 4);
  return { salt: f.bytes(16), number: f.u64(), recordedUs: f.u64(), what: readWhat(f.record("what is recorded")) };
}

/** Fields behind the kind's number. */
const COUNTS = [1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 2, 3, 1, 3, 1, 1, 1, 1];

function readWhat(f: Fields): What {
  const kind = Number(f.u64());
  const count = COUNTS[kind];
  if (count === undefined) throw new Malformed(`leaf is of kind ${kind}, which this page does not know`);
  if (f.length !== count + 1) throw new Malformed(`leaf of kind ${kind} has ${f.length - 1} fields, expected ${count}`);
  switch (kind) {
    case 0:
      return { is: "opening", evidence: bounded(f, OPENING_BYTES_MAX) };
    case 1:
      return { is: "command", bytes: f.bytes(COMMAND_BYTES) };
    case 2:
      return { is: "surgeon segment", signed: bounded(f, SIGNED_BYTES_MAX) };
    case 3:
      return { is: "kit segment", signed: bounded(f, SIGNED_BYTES_MAX) };
    case 4:
      return { is: "frame", frame: readFrame(f.record("frame", 8)) };
    case 5:
      return { is: "display report", signed: bounded(f, SIGNED_BYTES_MAX) };
    case 6:
      return { is: "statement", signed: bounded(f, SIGNED_BYTES_MAX) };
    case 7:
      return { is: "kit state", bytes: f.bytes(KIT_STATE_BYTES) };
    case 8:
      return { is: "overlay", frame: f.u64(), model: f.bytes(32), overlay: f.bytes(32) };
    case 9:
      return { is: "engagement", token: f.u64(), engagement: f.u64(), hold: f.u64(), first: f.u64() };
    case 10:
      return { is: "region", version: f.u64(), snapshot: bounded(f, REGION_BYTES_MAX) };
    case 11:
      return { is: "switch", name: name(f), on: f.boolean(), why: f.text(REASON_BYTES_MAX) };
    case 12:
      return { is: "gap", gap: readGap(f.record("gap", 5)) };
    case 13:
      return { is: "clock", utc: readUtc(f), source: name(f), offsetUs: within(f.i64(), OFFSET_US_MAX) };
    case 14:
      return { is: "proof", proof: bounded(f, PROOF_BYTES_MAX) };
    case 15:
      return { is: "personal", commitment: f.bytes(32) };
    case 16:
      return { is: "restarted", why: f.text(REASON_BYTES_MAX) };
    default:
      return readClosing(f.record("closing", 7));
  }
}

function readFrame(f: Fields): Frame {
  return {
    frame: f.u64(),
    rtpTimestamp: f.number(0xffff_ffff),
    capturedUs: f.u64(),
    kitTickUs: f.u64(),
    keyFrame: f.boolean(),
    auHash: f.bytes(32),
    pictureHash: f.bytes(32),
    auBytes: f.u64(),
  };
}

function readGap(f: Fields): Gap {
  const gap = { of: f.number(NUMBERED.length - 1), token: f.u64(), first: f.u64(), last: f.u64(), why: f.text(REASON_BYTES_MAX) };
  if (gap.last < gap.first) throw new Malformed(`a gap from ${gap.first} to ${gap.last} ends before it begins`);
  return gap;
}

function readClosing(f: Fields): What {
  const counts: Counts = [f.u64(), f.u64(), f.u64(), f.u64(), f.u64(), f.u64()];
  return { is: "closed", counts, why: f.text(REASON_BYTES_MAX) };
}

function bounded(f: Fields, max: number): Bytes {
  const bytes = f.bytes();
  if (bytes.length > max) throw new Malformed(`a field of ${bytes.length} bytes, at most ${max} are allowed`);
  return bytes;
}

function within(value: bigint, most: bigint): bigint {
  if (value > most || value < -most) throw new Malformed(`${value} in a field from ${-most} to ${most}`);
  return value;
}

function name(f: Fields): string {
  const text = f.text(NAME_BYTES_MAX);
  if (text === "") throw new Malformed("a name is empty");
  return text;
}
