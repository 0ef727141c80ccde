/**
 * Deterministic CBOR (RFC 8949, 4.2), read strictly. **One value, one encoding**: whatever is read is encoded again and
 * compared. Structs are arrays of their fields in order, choices are arrays that begin with a number; there are no
 * maps, floats, tags or undefined values.
 */
import { decode, decodeFirst, encode } from "cborg";
import { type Bytes, equal } from "./bytes";
import { Malformed } from "./malformed";

/** What our records are made of. Whole numbers are bigint only beyond 2^53. */
export type Cbor = number | bigint | string | boolean | null | Uint8Array | readonly Cbor[];

const STRICT = { strict: true, allowIndefinite: false, allowUndefined: false };

export function toCbor(value: Cbor): Bytes {
  return new Uint8Array(encode(value));
}

/** The value whose one encoding `bytes` is. */
export function fromCbor(what: string, bytes: Uint8Array, max: number): Cbor {
  if (bytes.length > max) throw new Malformed(`${what} has ${bytes.length} bytes, at most ${max} are allowed`);
  const value = decoded(what, bytes);
  if (!equal(toCbor(value), bytes)) throw unknownShape(what);
  return value;
}

/** The first value of a sequence as it stands, not yet looked at, and what is behind it. */
export function splitCbor(what: string, bytes: Uint8Array): [first: Bytes, rest: Bytes] {
  try {
    const rest = decodeFirst(bytes, STRICT)[1];
    return [bytes.slice(0, bytes.length - rest.length) as Bytes, rest as Bytes];
  } catch {
    throw unknownShape(what);
  }
}

function decoded(what: string, bytes: Uint8Array): Cbor {
  try {
    const value: unknown = decode(bytes, STRICT);
    return plain(what, value);
  } catch {
    throw unknownShape(what);
  }
}

function plain(what: string, value: unknown): Cbor {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value;
    case "number":
      if (Number.isInteger(value)) return value;
      break;
    case "object":
      if (value === null || value instanceof Uint8Array) return value;
      if (Array.isArray(value)) return value.map((item) => plain(what, item));
      break;
  }
  throw unknownShape(what);
}

function unknownShape(what: string): Malformed {
  return new Malformed(`${what} is not deterministic CBOR of a known shape`);
}

/** Takes a record apart, field by field, and throws where it is not as it should be. */
export class Fields {
  readonly #what: string;
  readonly #items: readonly Cbor[];
  #next = 0;

  /** `count` undefined: any number of fields. */
  constructor(what: string, value: Cbor, count?: number) {
    if (!Array.isArray(value) || (count !== undefined && value.length !== count)) throw unknownShape(what);
    this.#what = what;
    this.#items = value as readonly Cbor[];
  }

  get length(): number {
    return this.#items.length;
  }

  any(): Cbor {
    const item = this.#items[this.#next++];
    if (item === undefined) throw unknownShape(this.#what);
    return item;
  }

  bytes(length?: number): Bytes {
    const item = this.any();
    if (!(item instanceof Uint8Array)) throw unknownShape(this.#what);
    if (length !== undefined && item.length !== length) {
      throw new Malformed(`${this.#what} has ${item.length} bytes in a field of ${length}`);
    }
    return new Uint8Array(item);
  }

  bytesOrNull(length: number): Bytes | null {
    if (this.#items[this.#next] !== null) return this.bytes(length);
    this.#next++;
    return null;
  }

  text(bytesMax: number): string {
    const item = this.any();
    if (typeof item !== "string") throw unknownShape(this.#what);
    if (new TextEncoder().encode(item).length > bytesMax) throw new Malformed(`${this.#what} has a text that is too long`);
    return item;
  }

  u64(): bigint {
    const item = this.any();
    if (typeof item !== "number" && typeof item !== "bigint") throw unknownShape(this.#what);
    if (item < 0 || item > 0xffff_ffff_ffff_ffffn) throw unknownShape(this.#what);
    return BigInt(item);
  }

  i64(): bigint {
    const item = this.any();
    if (typeof item !== "number" && typeof item !== "bigint") throw unknownShape(this.#what);
    if (BigInt.asIntN(64, BigInt(item)) !== BigInt(item)) throw unknownShape(this.#what);
    return BigInt(item);
  }

  number(max: number): number {
    const item = this.u64();
    if (item > BigInt(max)) throw new Malformed(`${this.#what} has ${item} in a field up to ${max}`);
    return Number(item);
  }

  boolean(): boolean {
    const item = this.any();
    if (typeof item !== "boolean") throw unknownShape(this.#what);
    return item;
  }

  record(what: string, count?: number): Fields {
    return new Fields(what, this.any(), count);
  }

  /** A list, bounded, each item read by `read` from fields that hold just that item. */
  list<T>(what: string, max: number, read: (item: Fields) => T): T[] {
    const items = this.record(what);
    if (items.length > max) throw new Malformed(`${items.length} ${what}, at most ${max} are allowed`);
    return Array.from({ length: items.length }, () => read(new Fields(what, [items.any()])));
  }
}

/** A u64 as CBOR: the encoder wants small numbers small. */
export function uint(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
