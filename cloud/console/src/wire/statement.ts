/**
 * Statements: what a person or a device says under its own Ed25519 key, valid by whatever route it comes
 * (`shared/wire/statements.cddl`). What gives permission carries the kit's fresh challenge; an e-stop needs none.
 */
import { type Bytes } from "./bytes";
import { type Cbor, Fields, fromCbor, toCbor, uint } from "./cbor";
import { type Signer } from "./ed25519";
import { Malformed } from "./malformed";
import { sha256 } from "./mac";
import { type Vec3 } from "./pose";
import { Domain, SIGNED_BYTES_MAX, open, seal } from "./signed";

export interface LeaseTranscript {
  readonly session: Bytes;
  readonly token: bigint;
  readonly boot: Bytes;
  readonly holder: Bytes;
  readonly kit: Bytes;
  readonly holderX25519: Bytes;
  readonly kitX25519: Bytes;
}

/** What the kit tells everybody. */
export interface KitNotice {
  readonly boot: Bytes;
  readonly tickUs: bigint;
  /** The one to sign now. */
  readonly challenge: Bytes;
  /** Of the freest arm. */
  readonly mode: number;
  readonly operatingState: number;
  readonly flags: number;
  /** In the order of their numbers. */
  readonly arms: readonly ArmNotice[];
  readonly token: bigint;
  /** Session key of whoever holds control. */
  readonly holder: Bytes | null;
  /** Roster keys of those who have signed what is under way. */
  readonly signedBy: readonly Bytes[];
  /** Presses that are latched or were, newest last. */
  readonly presses: readonly Bytes[];
  readonly reason: string;
  /** The operation is over: nothing arms the kit again in this session. */
  readonly closed: boolean;
  /** Version of the forbidden regions in force; undefined before the first. */
  readonly regions?: bigint;
}

export const ArmKind = { Instrument: 0, Endoscope: 1 } as const;
export type ArmKind = (typeof ArmKind)[keyof typeof ArmKind];

/** What an arm is, and where it stands. */
export interface ArmNotice {
  /** As CRTK names arms: PSM1, ECM. */
  readonly name: string;
  readonly kind: ArmKind;
  /** Its base, at its remote centre, in the kit's frame: whole µm, turn in millionths. */
  readonly positionUm: readonly number[];
  readonly wxyz: readonly number[];
}

/** Where an arm's shaft goes through, in the kit's frame, m. */
export function remoteCentreOf({ positionUm: [x = 0, y = 0, z = 0] }: ArmNotice): Vec3 {
  return [x / 1e6, y / 1e6, z / 1e6];
}

/** A convex body that the tools keep out of, in the kit's frame: whole µm, directions and turns in millionths. */
export type Region =
  | { readonly is: "capsule"; readonly fromUm: readonly number[]; readonly toUm: readonly number[]; readonly radiusUm: number }
  | { readonly is: "half-space"; readonly pointUm: readonly number[]; readonly outward: readonly number[] }
  | { readonly is: "block"; readonly centreUm: readonly number[]; readonly wxyz: readonly number[]; readonly halfUm: readonly number[] };

export type Said =
  | { readonly is: "endorse"; readonly sessionKey: Bytes }
  | { readonly is: "fingerprint"; readonly dtlsSha256: Bytes; readonly nonce: Bytes }
  | { readonly is: "e-stop"; readonly press: Bytes }
  | { readonly is: "clear-e-stop" | "arm" | "home" | "withdraw"; readonly challenge: Bytes }
  | { readonly is: "disarm" | "close" | "withdraw-consent" }
  | { readonly is: "forbid"; readonly challenge: Bytes; readonly version: bigint; readonly regions: readonly Region[] }
  | { readonly is: "lease-request"; readonly challenge: Bytes; readonly x25519: Bytes }
  | { readonly is: "lease-grant" | "lease-confirm"; readonly transcript: LeaseTranscript }
  | { readonly is: "hand-over"; readonly token: bigint; readonly to: Bytes }
  | { readonly is: "take-over"; readonly challenge: Bytes; readonly to: Bytes }
  | { readonly is: "notice"; readonly notice: KitNotice }
  | { readonly is: "refused"; readonly to: Bytes; readonly why: string };

export interface Statement {
  readonly session: Bytes;
  readonly said: Said;
}

/** Nothing in an envelope is longer than the envelope. */
const TEXT_MAX = SIGNED_BYTES_MAX;
const LIST_MAX = SIGNED_BYTES_MAX / 16;

/** The statement under a key, as it travels. */
export function signStatement(statement: Statement, signer: Signer): Promise<Bytes> {
  return seal(Domain.statement, signer, encodeStatement(statement));
}

/** Author and statement, if the author signed it. Whether the author may say so is another question. */
export async function openStatement(bytes: Uint8Array): Promise<Statement & { readonly author: Bytes }> {
  const { author, body } = await open(Domain.statement, bytes);
  return { author, ...decodeStatement(body) };
}

export function encodeStatement({ session, said }: Statement): Bytes {
  return toCbor([session, encodeSaid(said)]);
}

export function decodeStatement(body: Uint8Array): Statement {
  const fields = new Fields("the statement", fromCbor("the statement", body, SIGNED_BYTES_MAX), 2);
  const session = fields.bytes(16);
  const choice = fields.record("what is said", 2);
  return { session, said: decodeSaid(choice.number(255), choice.record("what is said")) };
}

/** SHA-256 of the transcript's CBOR: the salt of the lease's keys. */
export function transcriptHash(transcript: LeaseTranscript): Bytes {
  return sha256(toCbor(encodeTranscript(transcript)));
}

function encodeTranscript(t: LeaseTranscript): Cbor {
  return [t.session, uint(t.token), t.boot, t.holder, t.kit, t.holderX25519, t.kitX25519];
}

function encodeSaid(said: Said): Cbor {
  switch (said.is) {
    case "endorse":
      return [0, [said.sessionKey]];
    case "fingerprint":
      return [1, [said.dtlsSha256, said.nonce]];
    case "e-stop":
      return [2, [said.press]];
    case "clear-e-stop":
      return [3, [said.challenge]];
    case "arm":
      return [4, [said.challenge]];
    case "disarm":
      return [5, []];
    case "home":
      return [6, [said.challenge]];
    case "withdraw":
      return [7, [said.challenge]];
    case "lease-request":
      return [8, [said.challenge, said.x25519]];
    case "lease-grant":
      return [9, [encodeTranscript(said.transcript)]];
    case "lease-confirm":
      return [10, [encodeTranscript(said.transcript)]];
    case "hand-over":
      return [11, [uint(said.token), said.to]];
    case "take-over":
      return [12, [said.challenge, said.to]];
    case "notice":
      return [13, [encodeNotice(said.notice)]];
    case "refused":
      return [14, [said.to, said.why]];
    case "close":
      return [15, []];
    case "withdraw-consent":
      return [16, []];
    case "forbid":
      return [17, [said.challenge, uint(said.version), said.regions.map(encodeRegion)]];
  }
}

function encodeNotice(n: KitNotice): Cbor {
  return [
    n.boot,
    uint(n.tickUs),
    n.challenge,
    n.mode,
    n.operatingState,
    n.flags,
    n.arms.map(({ name, kind, positionUm, wxyz }) => [name, kind, positionUm, wxyz]),
    uint(n.token),
    n.holder,
    n.signedBy,
    n.presses,
    n.reason,
    n.closed,
    ...(n.regions === undefined ? [] : [uint(n.regions)]),
  ];
}

function encodeRegion(region: Region): Cbor {
  switch (region.is) {
    case "capsule":
      return [0, [region.fromUm, region.toUm, region.radiusUm]];
    case "half-space":
      return [1, [region.pointUm, region.outward]];
    case "block":
      return [2, [region.centreUm, region.wxyz, region.halfUm]];
  }
}

const COUNTS = [1, 2, 1, 1, 1, 0, 1, 1, 2, 1, 1, 2, 2, 1, 2, 0, 0, 3];

function decodeSaid(number: number, f: Fields): Said {
  if (f.length !== COUNTS[number]) throw new Malformed("the statement is not deterministic CBOR of a known shape");
  switch (number) {
    case 0:
      return { is: "endorse", sessionKey: f.bytes(32) };
    case 1:
      return { is: "fingerprint", dtlsSha256: f.bytes(32), nonce: f.bytes(32) };
    case 2:
      return { is: "e-stop", press: f.bytes(16) };
    case 3:
      return { is: "clear-e-stop", challenge: f.bytes(32) };
    case 4:
      return { is: "arm", challenge: f.bytes(32) };
    case 5:
      return { is: "disarm" };
    case 6:
      return { is: "home", challenge: f.bytes(32) };
    case 7:
      return { is: "withdraw", challenge: f.bytes(32) };
    case 8:
      return { is: "lease-request", challenge: f.bytes(32), x25519: f.bytes(32) };
    case 9:
      return { is: "lease-grant", transcript: decodeTranscript(f) };
    case 10:
      return { is: "lease-confirm", transcript: decodeTranscript(f) };
    case 11:
      return { is: "hand-over", token: f.u64(), to: f.bytes(32) };
    case 12:
      return { is: "take-over", challenge: f.bytes(32), to: f.bytes(32) };
    case 13:
      return { is: "notice", notice: decodeNotice(f) };
    case 14:
      return { is: "refused", to: f.bytes(32), why: f.text(TEXT_MAX) };
    case 15:
      return { is: "close" };
    case 16:
      return { is: "withdraw-consent" };
    case 17:
      return { is: "forbid", challenge: f.bytes(32), version: f.u64(), regions: f.list("regions", LIST_MAX, decodeRegion) };
    default:
      throw new Malformed(`unknown statement ${number}`);
  }
}

function decodeTranscript(fields: Fields): LeaseTranscript {
  const f = fields.record("the transcript", 7);
  return {
    session: f.bytes(16),
    token: f.u64(),
    boot: f.bytes(16),
    holder: f.bytes(32),
    kit: f.bytes(32),
    holderX25519: f.bytes(32),
    kitX25519: f.bytes(32),
  };
}

function decodeNotice(fields: Fields): KitNotice {
  const f = fields.record("the notice");
  const notice = {
    boot: f.bytes(16),
    tickUs: f.u64(),
    challenge: f.bytes(32),
    mode: f.number(255),
    operatingState: f.number(255),
    flags: f.number(255),
    arms: f.list("arms", LIST_MAX, decodeArm),
    token: f.u64(),
    holder: f.bytesOrNull(32),
    signedBy: f.list("signers", LIST_MAX, (item) => item.bytes(32)),
    presses: f.list("presses", LIST_MAX, (item) => item.bytes(16)),
    reason: f.text(TEXT_MAX),
    closed: f.boolean(),
  };
  if (f.length === 13) return notice;
  if (f.length === 14) return { ...notice, regions: f.u64() };
  throw new Malformed("the notice is not deterministic CBOR of a known shape");
}

function decodeArm(item: Fields): ArmNotice {
  const f = item.record("an arm", 4);
  return { name: f.text(TEXT_MAX), kind: f.number(ArmKind.Endoscope) as ArmKind, positionUm: whole(f, 3), wxyz: whole(f, 4) };
}

function decodeRegion(item: Fields): Region {
  const choice = item.record("a region", 2);
  const number = choice.number(255);
  const f = choice.record("a region");
  const triple = (): number[] => whole(f, 3);
  if (number === 0 && f.length === 3) return { is: "capsule", fromUm: triple(), toUm: triple(), radiusUm: i32(f) };
  if (number === 1 && f.length === 2) return { is: "half-space", pointUm: triple(), outward: triple() };
  if (number === 2 && f.length === 3) return { is: "block", centreUm: triple(), wxyz: whole(f, 4), halfUm: triple() };
  throw new Malformed("a region is not deterministic CBOR of a known shape");
}

function whole(fields: Fields, count: number): number[] {
  const f = fields.record("a place", count);
  return Array.from({ length: count }, () => i32(f));
}

function i32(f: Fields): number {
  const value = Number(f.i64());
  if (Math.trunc(value) !== value || value < -0x8000_0000 || value > 0x7fff_ffff) throw new Malformed(`a place has ${value} in a field of 32 bits`);
  return value;
}
