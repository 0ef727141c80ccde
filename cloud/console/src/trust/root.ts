/**
 * The trust root: what a person must hold beforehand. **A ledger that brings its own validator keys proves nothing**,
 * so the root's SHA-256 comes with the role link's fragment, which no server ever sees.
 */
import { type Bytes, compare, equal, toHex } from "../wire/bytes";
import { Fields, fromCbor } from "../wire/cbor";
import { isUsable } from "../wire/ed25519";
import { sha256 } from "../wire/mac";
import { require } from "./untrusted";

const FORMAT = "farhand trust root v1";
const BYTES_MAX = 16 * 1024;
export const VALIDATORS_MIN = 5;
export const VALIDATORS_MAX = 64;
const HOSPITALS_MAX = 64;
const POWER_MAX = 1n << 32n;

export interface Validator {
  readonly key: Bytes;
  readonly power: bigint;
}

export interface TrustRoot {
  readonly ledger: Bytes;
  readonly chain: bigint;
  /** In ascending order of their keys. */
  readonly validators: readonly Validator[];
  readonly hospitals: readonly Bytes[];
  readonly quorum: bigint;
}

/** The trust root in `bytes`, if it is the one whose fingerprint the person brought along. */
export function readTrustRoot(bytes: Uint8Array, fingerprint: Uint8Array): TrustRoot {
  const seen = sha256(bytes);
  require(
    equal(seen, fingerprint),
    `the ledger's trust root is ${toHex(seen).slice(0, 16)}…, your link names ${toHex(fingerprint).slice(0, 16)}…`,
  );
  return parseTrustRoot(bytes);
}

/** A trust root as it stands. Whether it may be trusted is for whoever brought it. */
export function parseTrustRoot(bytes: Uint8Array): TrustRoot {
  const f = new Fields("trust root", fromCbor("trust root", bytes, BYTES_MAX), 6);
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
  const epoch = f.u64();
  require(epoch === 0n, `epoch ${epoch}, this page knows only 0`);
  require(hospitals.length >= 1, "0 hospitals, a ledger needs at least 1");
  ascending(hospitals);
  return { ledger, chain, validators, hospitals, quorum: checkValidators(validators) };
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
