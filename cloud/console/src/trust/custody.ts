/**
 * Custody: the steps of a kit's way, as the ledger has them, and the one that a field team is asked to sign. **Nothing is
 * signed that was not taken apart and checked first.**
 */
import { type Bytes, equal, toHex } from "../wire/bytes";
import { type Cbor, Fields, fromCbor } from "../wire/cbor";
import { proveBytes, readUtc } from "./proof";
import { type TrustRoot } from "./root";
import { require } from "./untrusted";

export const EVENT_CUSTODY = 4;
export const STEPS = ["sealed", "loaded", "airborne", "landed", "unsealed", "self-tested", "paired"] as const;
export type CustodyStep = (typeof STEPS)[number];
export const PAIRED = STEPS.indexOf("paired");

const BODY_BYTES_MAX = 16 * 1024;
/** A transaction's time is its server's; one farther than this from ours is a mistake or a lie. */
const CLOCK_MS_MAX = 10 * 60_000;

export interface Custody {
  readonly kit: Bytes;
  /** From 1, over the kit's whole life. */
  readonly sequence: bigint;
  /** Index in {@link STEPS}. */
  readonly step: number;
  /** With whom it is paired. */
  readonly edge: Bytes | undefined;
  /** SHA-256 of the signed step before; zero before the first. */
  readonly previous: Bytes;
}

export function readCustody(body: Cbor): Custody {
  const f = new Fields("custody", body, 4);
  const [kit, sequence] = [f.bytes(32), f.u64()];
  const choice = f.record("custody step");
  const step = choice.number(PAIRED);
  require(choice.length === (step === PAIRED ? 2 : 1), "a custody step is of no known shape");
  const edge = step === PAIRED ? choice.bytes(32) : undefined;
  return { kit, sequence, step, edge, previous: f.bytes(32) };
}

/** A custody step that somebody wants signed. */
export interface Asked extends Custody {
  readonly ledger: Bytes;
  readonly atMs: number;
}

export function readAsked(body: Uint8Array): Asked {
  const f = new Fields("transaction", fromCbor("transaction", body, BODY_BYTES_MAX), 3);
  const ledger = f.bytes(16);
  const atMs = Number(readUtc(f).us) / 1000;
  const event = f.record("event", 2);
  const kind = event.number(255);
  require(kind === EVENT_CUSTODY, `you were asked to sign a transaction of kind ${kind}, expected a custody step`);
  return { ...readCustody(event.any()), ledger, atMs };
}

/** The newest step that the ledger proves. */
export interface CustodyEnd {
  readonly custody: Custody;
  readonly hash: Bytes;
}

/** The last of these proofs, in the order that they were given in, under the trust root. */
export async function newestCustody(proofs: readonly Uint8Array[], trust: TrustRoot): Promise<CustodyEnd | undefined> {
  const last = proofs.at(-1);
  if (last === undefined) return undefined;
  const proven = await proveBytes(last, trust);
  require(proven.event.kind === EVENT_CUSTODY, `transaction is of kind ${proven.event.kind}, expected a custody step`);
  return { custody: readCustody(proven.event.body), hash: proven.hash };
}

export interface Expected {
  readonly trust: TrustRoot;
  /** The kit that the page shows. */
  readonly kit: Bytes;
  readonly step: CustodyStep;
  readonly nowMs: number;
  /** Undefined: the server showed no proof; then only the page's own knowledge counts. */
  readonly newest: CustodyEnd | undefined;
}

/** Throws unless signing it means what the person was told. */
export function checkAsked(asked: Asked, { trust, kit, step, nowMs, newest }: Expected): void {
  require(equal(asked.ledger, trust.ledger), "you were asked to sign for another ledger than your link's");
  require(equal(asked.kit, kit), `you were asked to sign for kit ${toHex(asked.kit).slice(0, 8)}, this page is about ${toHex(kit).slice(0, 8)}`);
  require(STEPS[asked.step] === step, `you were asked to sign "${STEPS[asked.step]}", expected "${step}"`);
  const offMs = Math.abs(asked.atMs - nowMs);
  require(offMs <= CLOCK_MS_MAX, `its time is ${Math.round(offMs / 60_000)} minutes off this device's clock, limit ${CLOCK_MS_MAX / 60_000}`);
  if (newest === undefined) return;
  require(equal(newest.custody.kit, asked.kit), "the ledger's custody is of another kit");
  const follows = newest.custody.sequence + 1n;
  require(asked.sequence === follows, `it is step ${asked.sequence} of the kit's custody, expected ${follows}`);
  require(equal(asked.previous, newest.hash), "it does not follow the newest step on the ledger");
}
