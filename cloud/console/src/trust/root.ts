/**
 * The trust root: what a person must hold beforehand. **A ledger that brings its own validator keys proves nothing**,
 * so the SHA-256 of its genesis comes with the role link's fragment, which no server ever sees. Who holds the genesis follows
 * the ledger through all later epochs: each is proven under the one before (`docs/evidence-format.md`, 4.1).
 */
import { type Bytes, equal, toHex } from "../wire/bytes";
import { Fields, fromCbor, splitCbor } from "../wire/cbor";
import { sha256 } from "../wire/mac";
import { type Epoch, readEnd, readEpoch } from "./epoch";
import { EVENT_EPOCH_END, PROOF_BYTES_MAX, type Position, proveBytes } from "./proof";
import { require } from "./untrusted";

/** No trust root is longer: some hundreds of epochs. */
export const TRUST_BYTES_MAX = 1_048_576;

const made = Symbol("each epoch is proven under the one before");

/**
 * A ledger's epochs, as far as they are known. **One exists only if its first is number 0 and each later one was endorsed and
 * committed by a quorum of the one before**; {@link parseTrustRoot} is the only way to make one.
 */
export class TrustRoot {
  constructor(
    token: typeof made,
    /** In order. */
    readonly epochs: readonly [Epoch, ...Epoch[]],
    /** Where the last transaction of each stands that has ended. */
    private readonly ends: readonly Position[],
  ) {
    if (token !== made) throw new TypeError("a trust root is made by parseTrustRoot alone");
  }

  get ledger(): Bytes {
    return this.epochs[0].ledger;
  }

  /** SHA-256 of the first epoch, which is the genesis file; it stays the same for the ledger's whole life. */
  get fingerprint(): Bytes {
    return this.epochs[0].hash;
  }

  get newest(): Epoch {
    return this.epochs.at(-1) ?? this.epochs[0];
  }

  /** The epoch whose chain this is. */
  epochOf(chain: bigint): Epoch | undefined {
    return this.epochs.find((epoch) => epoch.chain === chain);
  }

  /** Where the last transaction of an epoch stands, if its end is known. */
  endOf(epoch: bigint): Position | undefined {
    return this.ends.find((end) => end.epoch === epoch);
  }

  isHospital(key: Uint8Array, epoch: bigint): boolean {
    return this.epochs.some(({ number, hospitals }) => number === epoch && hospitals.some((one) => equal(one, key)));
  }

  /** Whether `other` knows these epochs, and perhaps more. */
  leadsTo(other: TrustRoot): boolean {
    return this.epochs.every(({ hash }, i) => equal(hash, other.epochs[i]?.hash ?? new Uint8Array()));
  }

  /** With the next epoch, if `proof` shows that a quorum of the newest one endorsed and committed it. */
  async ended(proof: Bytes): Promise<TrustRoot> {
    const { event, position } = await proveBytes(proof, this);
    require(event.kind === EVENT_EPOCH_END, `transaction is of kind ${event.kind}, expected the end of an epoch`);
    const next = await readEnd(event.body, this.newest);
    require(position.epoch === this.newest.number, `the end of epoch ${this.newest.number} stands on the chain of epoch ${position.epoch}`);
    require(this.epochOf(next.chain) === undefined, `chain ${next.chain} was another epoch's`);
    return new TrustRoot(made, [...this.epochs, next], [...this.ends, position]);
  }

  static genesis(bytes: Uint8Array): TrustRoot {
    const first = readEpoch(bytes);
    require(first.number === 0n, `it begins with epoch ${first.number}, expected 0`);
    return new TrustRoot(made, [first], []);
  }
}

/** Of a trust root's file, however many epochs it knows. */
export function fingerprintOf(bytes: Uint8Array): Bytes {
  return sha256(splitCbor("trust root", bytes)[0]);
}

/** The trust root in `bytes`, if it is of the ledger whose fingerprint the person brought along. */
export async function readTrustRoot(bytes: Uint8Array, fingerprint: Uint8Array): Promise<TrustRoot> {
  const seen = fingerprintOf(bytes);
  require(
    equal(seen, fingerprint),
    `the ledger's trust root is ${toHex(seen).slice(0, 16)}…, your link names ${toHex(fingerprint).slice(0, 16)}…`,
  );
  return parseTrustRoot(bytes);
}

/** A trust root's file: the first epoch, then a proof of each one's end. Whether it may be trusted is for whoever brought it. */
export async function parseTrustRoot(bytes: Uint8Array): Promise<TrustRoot> {
  require(bytes.length <= TRUST_BYTES_MAX, `a trust root of ${bytes.length} bytes, at most ${TRUST_BYTES_MAX} are allowed`);
  let [item, rest] = splitCbor("trust root", bytes);
  let root = TrustRoot.genesis(item);
  while (rest.length > 0) {
    [item, rest] = splitCbor("trust root", rest);
    const end = new Fields("trust root", [fromCbor("trust root", item, PROOF_BYTES_MAX + 5)], 1);
    root = await root.ended(end.bytes());
  }
  return root;
}

/** Of the trust root given and the bundle's own the one to verify by; `undefined`: they are of different ledgers, or of one that went two ways. */
export function furtherOf(given: TrustRoot, own: TrustRoot): TrustRoot | undefined {
  if (given.leadsTo(own)) return own;
  return own.leadsTo(given) ? given : undefined;
}
