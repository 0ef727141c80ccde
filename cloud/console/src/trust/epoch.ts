/**
 * An epoch of a ledger: who keeps it, on a chain of its own, and how its keepers say who keeps it next
 * (`docs/evidence-format.md`, 4 and 4.1). **The old set's quorum says what follows**, never the new set.
 */
import { type Bytes, compare, equal, toHex } from "../wire/bytes";
import { type Cbor, Fields, fromCbor } from "../wire/cbor";
import { isUsable } from "../wire/ed25519";
import { sha256 } from "../wire/mac";
import { Domain, open } from "../wire/signed";
import { require } from "./untrusted";

const FORMAT = "farhand trust root v1";
/** No epoch is longer. */
export const EPOCH_BYTES_MAX = 16 * 1024;
export const VALIDATORS_MIN = 5;
export const VALIDATORS_MAX = 64;
const HOSPITALS_MAX = 64;
const POWER_MAX = 1n << 32n;
const ENDORSEMENT_BYTES_MAX = 128;

export interface Validator {
  readonly key: Bytes;
  readonly power: bigint;
}

/** One set of keepers and their chain. */
export interface Epoch {
  readonly ledger: Bytes;
  /** From 0. */
  readonly number: bigint;
  /** HotStuff's chain id. No two epochs of a ledger have the same. */
  readonly chain: bigint;
  /** In ascending order of their keys. */
  readonly validators: readonly Validator[];
  readonly hospitals: readonly Bytes[];
  readonly quorum: bigint;
  /** SHA-256 of its bytes: what its end and endorsements refer to. */
  readonly hash: Bytes;
}

/** An epoch as it stands. Whether it may be trusted is for whoever brought it. */
export function readEpoch(bytes: Uint8Array): Epoch {
  const f = new Fields("trust root", fromCbor("trust root", bytes, EPOCH_BYTES_MAX), 6);
  const format = f.text(64);
  require(format === FORMAT, `format is "${format}", expected "${FORMAT}"`);
  const ledger = f.bytes(16);
  const chain = f.u64();
  require(chain !== 0n, "chain id is 0, which is that of no chain");
  const validators = f.list("validators", VALIDATORS_MAX, (item) => {
    const v = item.record("validator", 2);
    return { key: v.bytes(32), power: v.u64() };
  });
  const hospitals = f.list("hospitals", HOSPITALS_MAX, (item) => item.bytes(32));
  const number = f.u64();
  require(hospitals.length >= 1, "0 hospitals, a ledger needs at least 1");
  ascending(hospitals);
  return { ledger, number, chain, validators, hospitals, quorum: checkValidators(validators), hash: sha256(bytes) };
}

/** The next epoch, from the body of an end: if it follows `ending`, and a quorum of `ending` endorsed it. That this was committed is another question. */
export async function readEnd(body: Cbor, ending: Epoch): Promise<Epoch> {
  const f = new Fields("end of an epoch", body, 3);
  const previous = f.bytes(32);
  require(equal(previous, ending.hash), `it ends the epoch ${short(previous)}, expected ${short(ending.hash)}`);
  const next = readEpoch(f.bytes());
  require(equal(next.ledger, ending.ledger), "the next epoch is of another ledger");
  require(next.number === ending.number + 1n, `epoch ${next.number} follows, expected ${ending.number + 1n}`);
  await checkEndorsements(f.list("endorsements", VALIDATORS_MAX, (item) => item.bytes()), ending, next);
  return next;
}

/** Each is by a validator of `ending`, no two by the same, and they are a quorum's. */
async function checkEndorsements(endorsements: readonly Bytes[], ending: Epoch, next: Epoch): Promise<void> {
  let [power, newest] = [0n, new Uint8Array()];
  for (const signed of endorsements) {
    const { author, body } = await open(Domain.epochEnd, signed);
    const validator = ending.validators.find(({ key }) => equal(key, author));
    require(validator !== undefined, `an endorsement is by ${short(author)}, who is no validator of the epoch that ends`);
    require(compare(newest, author) < 0, `endorsements are not in ascending order of their authors: ${short(author)}`);
    const f = new Fields("endorsement", fromCbor("endorsement", body, ENDORSEMENT_BYTES_MAX), 2);
    const [from, to] = [f.bytes(32), f.bytes(32)];
    require(equal(from, ending.hash) && equal(to, next.hash), `${short(author)} endorsed something else`);
    [power, newest] = [power + validator.power, author];
  }
  require(power >= ending.quorum, `endorsements of power ${power}, a quorum of the epoch that ends needs ${ending.quorum}`);
}

/** The quorum: `floor(2P/3) + 1` of all power, which the others reach without any single one. */
function checkValidators(validators: readonly Validator[]): bigint {
  require(
    validators.length >= VALIDATORS_MIN,
    `${validators.length} validators, a ledger needs at least ${VALIDATORS_MIN}: of four, one crash would stop it for ever`,
  );
  ascending(validators.map((validator) => validator.key));
  let whole = 0n;
  for (const { power } of validators) {
    require(power >= 1n && power <= POWER_MAX, `a validator has power ${power}, allowed are 1 to ${POWER_MAX}`);
    whole += power;
  }
  const quorum = (2n * whole) / 3n + 1n;
  for (const { power } of validators) {
    require(whole - power >= quorum, `without one validator power ${whole - power} is left, a quorum needs ${quorum}`);
  }
  return quorum;
}

function ascending(keys: readonly Uint8Array[]): void {
  keys.forEach((key, i) => {
    require(isUsable(key), `${toHex(key)} is not a usable Ed25519 key`);
    const before = keys[i - 1];
    require(before === undefined || compare(before, key) < 0, `keys are not in ascending order: ${toHex(key)}`);
  });
}

function short(bytes: Uint8Array): string {
  return `${toHex(bytes).slice(0, 16)}…`;
}
