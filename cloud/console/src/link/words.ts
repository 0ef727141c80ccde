/**
 * What is said on a path's `statements` channel, little endian, as `shared/link` reads it: which bond the path belongs to, then
 * messages under their numbers, and how many have been taken.
 */
import { type Bytes, concat } from "../wire/bytes";

export type Word =
  | { readonly is: "welcome" }
  /** The edge box does not know this bond. */
  | { readonly is: "apart" }
  | { readonly is: "message"; readonly number: bigint; readonly content: Bytes }
  /** So many messages, from the first on, have been taken. */
  | { readonly is: "heard"; readonly count: bigint };

const HELLO = 0;
const WELCOME = 1;
const MESSAGE = 2;
const HEARD = 3;
const APART = 4;
const NUMBER_BYTES = 8;

/** Which bond: this page's run, and its count of bonds in that run. */
export interface BondName {
  /** 16 random bytes. */
  readonly run: Bytes;
  readonly number: bigint;
}

/** First on each path. `begins`: the bond has no path yet. */
export function hello({ run, number }: BondName, path: number, begins: boolean): Bytes {
  return concat(Uint8Array.of(HELLO), run, u64(number), Uint8Array.of(path, begins ? 1 : 0));
}

export function message(number: bigint, content: Bytes): Bytes {
  return concat(Uint8Array.of(MESSAGE), u64(number), content);
}

export function heard(count: bigint): Bytes {
  return concat(Uint8Array.of(HEARD), u64(count));
}

/** `undefined` if it is none that the edge box says. */
export function readWord(bytes: Bytes): Word | undefined {
  const rest = bytes.subarray(1);
  switch (bytes[0]) {
    case WELCOME:
      return rest.length === 0 ? { is: "welcome" } : undefined;
    case APART:
      return rest.length === 0 ? { is: "apart" } : undefined;
    case MESSAGE:
      return rest.length < NUMBER_BYTES ? undefined : { is: "message", number: numberAt(rest), content: bytes.slice(1 + NUMBER_BYTES) };
    case HEARD:
      return rest.length === NUMBER_BYTES ? { is: "heard", count: numberAt(rest) } : undefined;
    default:
      return undefined;
  }
}

function u64(value: bigint): Bytes {
  const bytes = new Uint8Array(NUMBER_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function numberAt(bytes: Bytes): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}
