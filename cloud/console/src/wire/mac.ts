/** Message authentication: HMAC-SHA-256 cut to 16 bytes, over all that goes before it. Synchronous, for the hot path. */
import { hmac } from "@noble/hashes/hmac";
import { hkdf } from "@noble/hashes/hkdf";
import { sha256 as sha256Of } from "@noble/hashes/sha2";
import { ascii, type Bytes, equalInConstantTime } from "./bytes";

export const MAC_BYTES = 16;

/** A key for one direction of one lease. */
export class MacKey {
  readonly #keyed;

  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`a key has 32 bytes, not ${key.length}`);
    this.#keyed = hmac.create(sha256Of, key);
  }

  code(content: Uint8Array): Uint8Array {
    return this.#keyed.clone().update(content).digest().subarray(0, MAC_BYTES);
  }

  /** Writes the code into the last bytes of `message`. */
  seal(message: Uint8Array): void {
    const end = message.length - MAC_BYTES;
    message.set(this.code(message.subarray(0, end)), end);
  }

  /** Whether the last bytes of `message` are the code over the rest. */
  checks(message: Uint8Array): boolean {
    const end = message.length - MAC_BYTES;
    return end >= 0 && equalInConstantTime(this.code(message.subarray(0, end)), message.subarray(end));
  }
}

export function sha256(...parts: readonly Uint8Array[]): Bytes {
  const hash = sha256Of.create();
  for (const part of parts) hash.update(part);
  return hash.digest() as Bytes;
}

/** One key a direction, from HKDF-SHA-256 over the X25519 secret with the transcript's hash as salt. */
export interface LeaseKeys {
  readonly consoleToKit: MacKey;
  readonly kitToConsole: MacKey;
}

export function leaseKeys(transcriptHash: Uint8Array, secret: Uint8Array): LeaseKeys {
  const expand = (info: string) => new MacKey(hkdf(sha256Of, secret, transcriptHash, ascii(info), 32));
  return {
    consoleToKit: expand("farhand/v1 console to kit"),
    kitToConsole: expand("farhand/v1 kit to console"),
  };
}
